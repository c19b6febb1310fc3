"""SIP URIs: the examples of RFC 3261 §19.1, the IPv6 cases of RFC 5118, and properties."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sipx.sip import uri as uri_module
from sipx.sip.errors import RemoteError
from sipx.sip.uri import (
    MAX_PARAMS,
    SipUri,
    cached_uri,
    canonical_host,
    hostport,
    is_ip_address,
    scheme_of,
    unescape,
)


def status_of(raw: bytes) -> int:
    with pytest.raises(RemoteError) as caught:
        SipUri.parse(raw)
    return caught.value.status


@pytest.mark.parametrize(
    ("raw", "user", "password", "host", "port", "params", "headers"),
    [
        # RFC 3261 §19.1.3
        (b"sip:alice@atlanta.com", b"alice", None, b"atlanta.com", None, (), None),
        (
            b"sip:alice:secretword@atlanta.com;transport=tcp",
            *(b"alice", b"secretword", b"atlanta.com", None, ((b"transport", b"tcp"),), None),
        ),
        (
            b"sips:alice@atlanta.com?subject=project%20x&priority=urgent",
            *(b"alice", None, b"atlanta.com", None, (), b"subject=project%20x&priority=urgent"),
        ),
        (
            b"sip:+1-212-555-1212:1234@gateway.com;user=phone",
            *(b"+1-212-555-1212", b"1234", b"gateway.com", None, ((b"user", b"phone"),), None),
        ),
        (b"sips:1212@gateway.com", b"1212", None, b"gateway.com", None, (), None),
        (b"sip:alice@192.0.2.4", b"alice", None, b"192.0.2.4", None, (), None),
        (
            b"sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
            *(None, None, b"atlanta.com", None, ((b"method", b"REGISTER"),)),
            b"to=alice%40atlanta.com",
        ),
        (
            b"sip:alice;day=tuesday@atlanta.com",
            *(b"alice;day=tuesday", None, b"atlanta.com", None, (), None),
        ),
        # RFC 4475 §3.1.1.2 and §3.1.1.9
        (
            b"sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too."
            b"(doesn't-it)@example.com",
            b"1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*",
            *(b"&it+has=1,weird!*pas$wo~d_too.(doesn't-it)", b"example.com", None, (), None),
        ),
        (
            b"sip:user;par=u%40example.net@example.com",
            *(b"user;par=u%40example.net", None, b"example.com", None, (), None),
        ),
        # §25.1 in its corners
        (b"SIP:Alice:@H:65535;LR", b"Alice", b"", b"h", 65535, ((b"lr", None),), None),
        (b"sip:h;x=[::]/:&+$?a=", None, None, b"h", None, ((b"x", b"[::]/:&+$"),), b"a="),
        (b"sip:a?b@h?c=d", b"a?b", None, b"h", None, (), b"c=d"),
    ],
)
def test_parts_of_a_uri(raw, user, password, host, port, params, headers) -> None:
    uri = SipUri.parse(raw)

    assert uri.scheme == raw[: raw.index(b":")].lower()
    assert (uri.user, uri.password, uri.host, uri.port) == (user, password, host, port)
    assert (uri.params, uri.headers) == (params, headers)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"sip", b"sip:", b"sip:@h", b"sip:alice@", b"sip:a@b@c", b"sip:a:b:c@h", b"sip:h:",
        b"sip:h:0", b"sip:h:65536", b"sip:h:+5", b"sip:h:99999999999999999999", b"sip:h:5060x",
        b"sip:h;", b"sip:h;;lr", b"sip:h;=x", b"sip:h;a=", b"sip:h?", b"sip:h?a", b"sip:h?=b",
        b"sip:h?a=b&", b"sip:h?a=b?c=d@", b"sip:a%4@h", b"sip:a%zz@h", b"sip:%@h", b"sip:h;a=%g1",
        b"sip:%68", b"sip:h%2ecom", b"sip: h", b"sip:a b@h", b"sip:h ", b" sip:h", b"<sip:h>",
        b"sip:h\x00", b"sip:\xc3\xa4@h", b"sip:a@\xc3\xa4.de", b'sip:"a"@h', b"sip:a#@h",
        b"sip:h;lr;LR", b"sip:h;lr;%6cr", b"sip:h;maddr=", b"sip:h;maddr", b"sip:h;maddr=1.2.3",
        b"sip:h;transport", b"sip:h;transport=a%20b", b"sip:h;maddr=fe80::1", b"1sip:h",
        # hosts that resolvers read in ways of their own
        b"sip:127.1", b"sip:2130706433", b"sip:0x7f.0.0.1", b"sip:0177.0.0.1", b"sip:1.2.3.4.",
        b"sip:1.2.3.256", b"sip:.", b"sip:a..b", b"sip:-a", b"sip:a-",
        b"sip:[::1", b"sip:::1", b"sip:[]", b"sip:[::1]x", b"sip:[fe80::1%25eth0]",
        b"sip:[1::2::3]",
    ],
)  # fmt: skip
def test_malformed_uri_is_a_400(raw: bytes) -> None:
    assert status_of(raw) == 400


@pytest.mark.parametrize("raw", [b"tel:+15551212", b"xyz:abc", b"http://h/", b"im:a@h", b"sipx:h"])
def test_p_02_another_scheme_is_a_416(raw: bytes) -> None:
    assert status_of(raw) == 416
    assert scheme_of(raw) == raw[: raw.index(b":")]


@pytest.mark.parametrize("raw", [b"", b":a", b"1a:b", b"alice@h", b"a b:c", b"\xc3:b"])
def test_text_without_a_scheme_has_no_scheme(raw: bytes) -> None:
    with pytest.raises(RemoteError):
        scheme_of(raw)


def test_sec_06_parameters_are_counted() -> None:
    params = b"".join(b";p%d=v" % i for i in range(MAX_PARAMS))

    assert len(SipUri.parse(b"sip:h" + params).params) == MAX_PARAMS
    assert status_of(b"sip:h" + params + b";one") == 400


@pytest.mark.parametrize(
    ("raw", "host", "numeric"),
    [
        (b"sip:EXAMPLE.com.", b"example.com", False),
        (b"sip:xn--BCHER-kva.example", b"xn--bcher-kva.example", False),
        (b"sip:192.0.2.1", b"192.0.2.1", True),
        (b"sip:1.2.3.4.example", b"1.2.3.4.example", False),
        (b"sip:[2001:DB8:0:0::0010]", b"2001:db8::10", True),
        (b"sip:[::FFFF:192.0.2.2]", b"::ffff:192.0.2.2", True),
        (b"sip:[::ffff:c000:202]", b"::ffff:192.0.2.2", True),
        (b"sip:[0:0:0:0:0:0:0:0]", b"::", True),
    ],
)
def test_sec_21_a_host_has_one_spelling(raw: bytes, host: bytes, numeric: bool) -> None:
    uri = SipUri.parse(raw)

    assert uri.host == host
    assert uri.is_numeric_host is is_ip_address(host) is numeric


@pytest.mark.parametrize(
    ("raw", "host", "port", "printed"),
    [
        # RFC 5118 §4.1, §4.3 (the port is part of the address), §4.4, §4.9, §4.10 twice
        (b"sip:[2001:db8::10]", b"2001:db8::10", None, b"[2001:db8::10]"),
        (b"sip:[2001:db8::10:5070]", b"2001:db8::10:5070", None, b"[2001:db8::10:5070]"),
        (b"sip:[2001:db8::10]:5070", b"2001:db8::10", 5070, b"[2001:db8::10]:5070"),
        (b"sip:u@[::ffff:192.0.2.10]:1", b"::ffff:192.0.2.10", 1, b"[::ffff:192.0.2.10]:1"),
        (b"sip:u@[2001:db8::192.0.2.1]", b"2001:db8::c000:201", None, b"[2001:db8::c000:201]"),
        (b"sip:u@[2001:db8:::192.0.2.1]", b"2001:db8::c000:201", None, b"[2001:db8::c000:201]"),
    ],
)
def test_rfc_5118_ipv6_references(raw: bytes, host: bytes, port: int, printed: bytes) -> None:
    uri = SipUri.parse(raw)

    assert (uri.host, uri.port, uri.hostport_bytes) == (host, port, printed)


def test_rfc_5118_4_2_an_address_without_brackets_is_refused() -> None:
    assert status_of(b"sip:2001:db8::10") == 400


@pytest.mark.parametrize("raw", [b"[1:::2]", b"[:::]", b"[1:::2:1.2.3.4]", b"[1:::2:::1.2.3.4]"])
def test_only_the_three_colons_of_the_old_grammar_are_repaired(raw: bytes) -> None:
    with pytest.raises(RemoteError):
        canonical_host(raw)


def test_parameters_are_found_by_name() -> None:
    uri = SipUri.parse(b"sip:h;LR;Transport=T%43p;maddr=[2001:DB8:0::1];x=%41")

    assert uri.lr
    assert uri.transport == b"tcp"
    assert uri.maddr == b"2001:db8::1"
    assert (uri.param(b"lr"), uri.param(b"x"), uri.param(b"none")) == (b"", b"%41", None)
    assert SipUri.parse(b"sip:h;lr=on").lr
    assert not SipUri.parse(b"sip:lr@h;x=lr").lr
    assert SipUri.parse(b"sip:h").transport is None
    assert SipUri.parse(b"sip:h").maddr is None


def test_sec_21_an_escape_does_not_hide_a_parameter() -> None:
    assert SipUri.parse(b"sip:h;%6c%52").lr
    assert SipUri.parse(b"sip:h;%6daddr=Other.example").maddr == b"other.example"


def test_sec_21_a_second_at_sign_or_a_parameter_in_the_user_part_changes_no_host() -> None:
    uri = SipUri.parse(b"sip:alice%40evil.example;maddr=evil.example@good.example")

    assert (uri.host, uri.maddr) == (b"good.example", None)
    assert status_of(b"sip:alice@evil.example@good.example") == 400


def test_printing_is_canonical_and_leaves_the_user_alone() -> None:
    raw = b"SIP:Al%69ce:Pa%20ss@EXAMPLE.Com.:5060;LR;X=Y?To=A%40b"

    assert bytes(SipUri.parse(raw)) == b"sip:Al%69ce:Pa%20ss@example.com:5060;lr;x=Y?To=A%40b"
    assert repr(SipUri.parse(b"sip:a@h")) == "SipUri.parse(b'sip:a@h')"


def test_a_uri_can_be_made_from_parts() -> None:
    uri = SipUri(b"sip", None, b"2001:db8::1", 5060, ((b"transport", b"tcp"), (b"lr", None)))

    assert bytes(uri) == b"sip:[2001:db8::1]:5060;transport=tcp;lr"
    assert hostport(b"example.com", None) == b"example.com"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # RFC 3261 §19.1.4, "The URIs within each of the following sets are equivalent"
        (b"sip:%61lice@atlanta.com;transport=TCP", b"sip:alice@AtLanTa.CoM;Transport=tcp"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com;newparam=5"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com;security=on"),
        (b"sip:carol@chicago.com;newparam=5", b"sip:carol@chicago.com;security=on"),
        (
            b"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            b"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            b"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            b"sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        # beyond the examples
        (b"sip:a@[2001:db8::1]", b"sip:a@[2001:DB8:0::0:1]"),
        (b"sip:a@h;maddr=[::1]", b"sip:a@h;maddr=[0::1]"),
        (b"sip:a%2fb@h", b"sip:a%2Fb@h"),
        (b"sip:a@h.example", b"sip:a@h.example."),
    ],
)
def test_rfc_3261_19_1_4_equivalent(ours: bytes, theirs: bytes) -> None:
    assert SipUri.parse(ours).equivalent(SipUri.parse(theirs))
    assert SipUri.parse(theirs).equivalent(SipUri.parse(ours))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        # RFC 3261 §19.1.4, "The URIs within each of the following sets are not equivalent"
        (b"SIP:ALICE@AtLanTa.CoM;Transport=udp", b"sip:alice@AtLanTa.CoM;Transport=UDP"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:5060"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com;transport=udp"),
        (b"sip:bob@biloxi.com", b"sip:bob@biloxi.com:6000;transport=tcp"),
        (b"sip:carol@chicago.com", b"sip:carol@chicago.com?Subject=next%20meeting"),
        (b"sip:bob@phone21.boxesbybob.com", b"sip:bob@192.0.2.4"),
        (b"sip:carol@chicago.com;security=on", b"sip:carol@chicago.com;security=off"),
        # its rules one by one
        (b"sip:a@h", b"sips:a@h"),
        (b"sip:a@h", b"sip:h"),
        (b"sip:a@h", b"sip:a:x@h"),
        (b"sip:a:x@h", b"sip:a:X@h"),
        (b"sip:a@h", b"sip:a:@h"),
        (b"sip:a@h", b"sip:a@h;user=ip"),
        (b"sip:a@h", b"sip:a@h;ttl=1"),
        (b"sip:a@h", b"sip:a@h;method=INVITE"),
        (b"sip:a@h", b"sip:a@h;maddr=h"),
        (b"sip:a@h;method=INVITE", b"sip:a@h;method=invite"),
        (b"sip:a@h?a=1", b"sip:a@h?a=1&a=1"),
        (b"sip:a@h?body=A", b"sip:a@h?body=a"),
        # "%3B" is reserved: what it stands for is not what ";" means
        (b"sip:a%3Bb@h", b"sip:a;b@h"),
        (b"sip:a%2541@h", b"sip:a%41@h"),
    ],
)
def test_rfc_3261_19_1_4_not_equivalent(ours: bytes, theirs: bytes) -> None:
    assert not SipUri.parse(ours).equivalent(SipUri.parse(theirs))
    assert not SipUri.parse(theirs).equivalent(SipUri.parse(ours))


def test_escapes_are_decoded_once() -> None:
    assert unescape(b"a%2541%00z%") == b"a%41\x00z%"


def test_cached_uri_gives_the_same_object_and_remembers_no_failure() -> None:
    assert cached_uri(b"sip:memo@h") is cached_uri(b"sip:memo@h")
    for _ in range(2):
        with pytest.raises(RemoteError):
            cached_uri(b"sip:memo@@h")


def test_cached_uri_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uri_module, "_CACHED_URIS", 10)
    for i in range(100):
        cached_uri(b"sip:%d@bounded.example" % i)
    long = b"sip:" + b"a" * 1000 + b"@h"

    assert len(uri_module._CACHE) <= 10
    assert cached_uri(long) is not cached_uri(long)


user = st.from_regex(rb"(?:[A-Za-z0-9\-_.!~*'()&=+$,;?/]|%[0-9A-F]{2}){1,20}", fullmatch=True)
password = st.from_regex(rb"(?:[A-Za-z0-9\-_.!~*'()&=+$,]|%[0-9A-F]{2}){0,9}", fullmatch=True)
hosts = st.one_of(
    st.from_regex(rb"([a-z0-9]{1,5}\.){0,3}[a-z][a-z0-9]{0,5}", fullmatch=True),
    st.ip_addresses(v=4).map(lambda a: str(a).encode()),
    st.ip_addresses(v=6).map(lambda a: canonical_host(b"[%b]" % str(a).encode())),
)
value = st.from_regex(rb"(?:[A-Za-z0-9\[\]/:&+$\-_.!~*'()]|%[0-9A-F]{2}){1,9}", fullmatch=True)
params = st.lists(
    st.tuples(st.from_regex(rb"[a-z]{1,6}", fullmatch=True), st.none() | value),
    max_size=5,
    unique_by=lambda param: param[0],
).filter(lambda pairs: not {b"maddr", b"transport"} & {name for name, _ in pairs})
uris = st.builds(
    lambda scheme, who, host, port, more: SipUri(
        scheme, who and who[0], host, port, tuple(more), None, who and who[1]
    ),
    st.sampled_from([b"sip", b"sips"]),
    st.none() | st.tuples(user, st.none() | password),
    hosts,
    st.none() | st.integers(1, 65535),
    params,
)


@given(uris)
def test_what_is_printed_is_read_again_the_same(uri: SipUri) -> None:
    again = SipUri.parse(bytes(uri))

    for name in SipUri.__slots__:
        assert getattr(again, name) == getattr(uri, name)
    assert again.equivalent(uri)


@given(
    st.binary(max_size=60)
    | st.text('sip:@;?=&%41[]. "<>ahost\n\x00', max_size=60).map(lambda s: b"sip:" + s.encode())
)
def test_nothing_but_remote_error_is_raised(raw: bytes) -> None:
    with suppress(RemoteError):
        uri = SipUri.parse(raw)
        assert bytes(SipUri.parse(bytes(uri))) == bytes(uri)


@pytest.mark.parametrize(
    "unit",
    [
        b"a",
        b"a.",
        b"1.",
        b";a",
        b";a=b",
        b"%41",
        b"[",
        b":",
        b"::",
        b"?",
        b"&a=b",
        b"@",
        b"a-",
        b"0",
    ],
    ids=repr,
)
def test_sec_19_long_uris_take_linear_time(unit: bytes) -> None:
    text = unit * (65536 // len(unit))
    began = time.process_time()

    for start in (b"sip:", b"sip:a@", b"sip:h", b"sip:[", b"sip:h;a=", b"sip:h?a=b"):
        for end in (b"", b"@h", b"\x00", b"]"):
            with suppress(RemoteError):
                SipUri.parse(start + text + end)

    # 24 texts of 64 KiB; 20 ms each would already be too much
    assert time.process_time() - began < 0.48
