"""SEC-09: which addresses may be sent to by what outsiders say."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.addresses import MEMO_SIZE, AddressFilter, is_private, parse_address


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("::1", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("169.254.1.1", "link-local"),
        ("fe80::1", "link-local"),
        ("fe80::1%eth0", "link-local"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("fd12:3456::1", "private"),
        ("fec0::1", "site-local"),
        ("100.64.0.1", "RFC 6598"),
        ("100.127.255.255", "RFC 6598"),
        ("192.0.0.8", "RFC 6890"),
        ("198.19.0.1", "benchmarking"),
        ("224.0.1.75", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "broadcast"),
        ("240.0.0.1", "reserved"),
        ("64:ff9b:1::a00:1", "local NAT64"),
        ("100::1", "discard"),
    ],
)
def test_addresses_that_lead_inside_are_refused_with_their_class(address: str, reason: str) -> None:
    refusal = AddressFilter().refusal(address, 5060)

    assert refusal is not None
    assert reason in refusal


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "168.63.129.16",
        "100.100.100.200",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
    ],
)
def test_metadata_services_of_clouds_are_named_as_such(address: str) -> None:
    assert "metadata service" in str(AddressFilter().refusal(address))


@pytest.mark.parametrize(
    ("address", "inner"),
    [
        ("::ffff:127.0.0.1", "127.0.0.1 is a loopback"),
        ("::ffff:7f00:1", "127.0.0.1 is a loopback"),
        ("2002:7f00:1::1", "6to4"),
        ("2002:a00:1::1", "10.0.0.1"),
        ("64:ff9b::7f00:1", "NAT64"),
        ("64:ff9b::192.168.0.1", "192.168.0.1"),
        ("2001:0:a00:1::", "Teredo"),
        ("2001:0:5db8:1:0:0:80ff:fffe", "127.0.0.1"),
        ("::10.0.0.1", "IPv4-compatible"),
    ],
)
def test_an_inside_address_wrapped_in_ipv6_is_refused(address: str, inner: str) -> None:
    assert inner in str(AddressFilter().refusal(address))


@pytest.mark.parametrize(
    "address",
    [
        "9.9.9.9",
        "2620:fe::fe",
        "172.15.255.255",
        "172.32.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "192.0.2.10",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "::ffff:9.9.9.9",
        "2002:909:909::1",
        "64:ff9b::9.9.9.9",
    ],
)
def test_public_and_documentation_addresses_are_permitted(address: str) -> None:
    assert AddressFilter().refusal(address, 5060) is None


@pytest.mark.parametrize(
    "text", ["", "example.com", "127.1", "0x7f.1", "10.0.0.1:5060", "1.2.3.4 "]
)
def test_what_is_no_numeric_address_is_refused(text: str) -> None:
    assert "not a numeric address" in str(AddressFilter().refusal(text))


def test_an_allowed_network_wins_over_the_class_of_its_addresses_only() -> None:
    permitted = AddressFilter(["10.0.0.0/24", ipaddress.ip_network("fd00:1::/64"), "127.0.0.2"])

    assert permitted.refusal("10.0.0.7") is None
    assert permitted.refusal("::ffff:10.0.0.7") is None
    assert permitted.refusal("fd00:1::7") is None
    assert permitted.refusal("127.0.0.2") is None
    assert permitted.refusal("10.0.1.7") is not None
    assert permitted.refusal("127.0.0.1") is not None


def test_an_own_listener_is_refused_even_in_an_allowed_network_but_only_at_its_port() -> None:
    permitted = AddressFilter(["0.0.0.0/0"], [("192.0.2.10", 5060), ("2001:DB8:0::1", 5061)])

    assert "own listener" in str(permitted.refusal("192.0.2.10", 5060))
    assert "own listener" in str(permitted.refusal("::ffff:192.0.2.10", 5060))
    assert "own listener" in str(permitted.refusal("2001:db8::1", 5061))
    assert permitted.refusal("192.0.2.10", 5062) is None
    assert permitted.refusal("192.0.2.10") is None
    assert permitted.refusal("192.0.2.11", 5060) is None


@pytest.mark.parametrize("bind", ["*", "0.0.0.0", "::"])
def test_a_listener_on_all_addresses_is_found_behind_every_loopback_address(bind: str) -> None:
    permitted = AddressFilter(["127.0.0.0/8", "::1"], [(bind, 5060)])

    for loopback in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert "own listener" in str(permitted.refusal(loopback, 5060))
        assert permitted.refusal(loopback, 5080) is None


def test_a_network_with_host_bits_or_a_listener_with_a_name_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="host bits"):
        AddressFilter(["10.0.0.1/8"])
    with pytest.raises(ValueError, match=r"'sip\.example' is not a numeric address"):
        AddressFilter(own=[("sip.example", 5060)])


def test_the_memory_of_verdicts_is_bounded_and_verdicts_outlive_it() -> None:
    permitted = AddressFilter()
    for number in range(MEMO_SIZE + 100):
        permitted.refusal(f"10.1.{number // 256}.{number % 256}")

    assert len(permitted._memo) == MEMO_SIZE
    assert permitted.refusal("10.1.0.0") == "10.1.0.0 is a private address"


@pytest.mark.parametrize(
    "text",
    [
        "127.1",
        "0x7f.1",
        "0x7f000001",
        "2130706433",
        "017700000001",
        "0177.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "1.2.3",
        "1.2.3.256",
        " 1.2.3.4",
        "1.2.3.4\n",
        "\uff11.2.3.4",
        "fe80::1%eth0",
        "[127.0.0.1]",
        "[::1",
        "::1]",
        ":::1",
        "",
        "example.com",
    ],
)
def test_only_strict_forms_are_addresses(text: str) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
    ],
)
def test_an_address_has_one_canonical_form(text: str, canonical: str) -> None:
    assert str(parse_address(text)) == canonical


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("127.0.0.1", True),
        ("10.0.0.1", True),
        ("172.20.0.1", True),
        ("192.168.0.1", True),
        ("169.254.0.1", True),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("::ffff:10.0.0.1", True),
        ("100.64.0.1", False),
        ("192.0.2.1", False),
        ("9.9.9.9", False),
        ("2001:db8::1", False),
        ("example.com", False),
    ],
)
def test_private_is_what_the_internet_cannot_reach(address: str, private: bool) -> None:
    assert is_private(address) is private


@given(st.ip_addresses())
def test_no_private_address_is_ever_permitted(address: ipaddress.IPv4Address) -> None:
    if is_private(str(address)):
        assert AddressFilter().refusal(str(address)) is not None


@given(st.text(max_size=60))
def test_no_text_makes_the_filter_raise(text: str) -> None:
    AddressFilter().refusal(text, 5060)
