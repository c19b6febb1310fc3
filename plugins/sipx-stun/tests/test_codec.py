"""Bytes to messages and back: the vectors of RFC 5769, what is wrong, and anything at all."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sipx_stun.codec import (
    BINDING,
    CHANGE_IP,
    CHANGE_PORT,
    COOKIE,
    MOST,
    Attr,
    ErrorCode,
    Kind,
    StunError,
    address_value,
    binding_answer,
    binding_request,
    decode,
    encode,
    mapped_address,
)

TRANSACTION = COOKIE + bytes.fromhex("b7e7a701bc34d686fa87dfae")
CLASSIC = bytes(range(16))
SOURCE = ("203.0.113.1", 5060)

# RFC 5769 §2.1 to §2.4; the padding of 2.1 to 2.3 is of spaces on purpose.
REQUEST = bytes.fromhex(
    "00 01 00 58 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae"
    "80 22 00 10 53 54 55 4e 20 74 65 73 74 20 63 6c 69 65 6e 74"
    "00 24 00 04 6e 00 01 ff"
    "80 29 00 08 93 2f f9 b1 51 26 3b 36"
    "00 06 00 09 65 76 74 6a 3a 68 36 76 59 20 20 20"
    "00 08 00 14 9a ea a7 0c bf d8 cb 56 78 1e f2 b5 b2 d3 f2 49 c1 b5 71 a2"
    "80 28 00 04 e5 7a 3b cf"
)
IPV4_RESPONSE = bytes.fromhex(
    "01 01 00 3c 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae"
    "80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20"
    "00 20 00 08 00 01 a1 47 e1 12 a6 43"
    "00 08 00 14 2b 91 f5 99 fd 9e 90 c3 8c 74 89 f9 2a f9 ba 53 f0 6b e7 d7"
    "80 28 00 04 c0 7d 4c 96"
)
IPV6_RESPONSE = bytes.fromhex(
    "01 01 00 48 21 12 a4 42 b7 e7 a7 01 bc 34 d6 86 fa 87 df ae"
    "80 22 00 0b 74 65 73 74 20 76 65 63 74 6f 72 20"
    "00 20 00 14 00 02 a1 47 01 13 a9 fa a5 d3 f1 79 bc 25 f4 b5 be d2 b9 d9"
    "00 08 00 14 a3 82 95 4e 4b e6 7b f1 17 84 c9 7c 82 92 c2 75 bf e3 ed 41"
    "80 28 00 04 c8 fb 0b 4c"
)
LONG_TERM_REQUEST = bytes.fromhex(
    "00 01 00 60 21 12 a4 42 78 ad 34 33 c6 ad 72 c0 29 da 41 2e"
    "00 06 00 12 e3 83 9e e3 83 88 e3 83 aa e3 83 83 e3 82 af e3 82 b9 00 00"
    "00 15 00 1c 66 2f 2f 34 39 39 6b 39 35 34 64 36 4f 4c 33 34 6f 4c 39 46 53 54 76 79 36 34 73"
    "41"
    "00 14 00 0b 65 78 61 6d 70 6c 65 2e 6f 72 67 00"
    "00 08 00 14 f6 70 24 65 6d d6 4a 3e 02 b8 e0 71 2e 85 c9 a2 8c a8 96 66"
)
VECTORS = [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE, LONG_TERM_REQUEST]


def message(*attributes: tuple[int, bytes], kind: Kind = Kind.SUCCESS, **more: bool) -> bytes:
    return encode(kind, TRANSACTION, attributes, **more)


# ---------------------------------------------------------------- RFC 5769


def test_the_request_of_rfc_5769_is_read_and_its_fingerprint_fits():
    found = decode(REQUEST)
    assert (found.kind, found.method, found.transaction) == (Kind.REQUEST, BINDING, TRANSACTION)
    assert found.attributes[Attr.SOFTWARE] == b"STUN test client"
    assert found.attributes[Attr.USERNAME] == b"evtj:h6vY"
    assert found.fingerprint
    assert not found.classic
    assert found.unknown == (0x0024,)  # PRIORITY is one of ICE


@pytest.mark.parametrize(
    ("data", "mapped"),
    [
        (IPV4_RESPONSE, ("192.0.2.1", 32853)),
        (IPV6_RESPONSE, ("2001:db8:1234:5678:11:2233:4455:6677", 32853)),
    ],
    ids=["IPv4", "IPv6"],
)
def test_the_responses_of_rfc_5769_tell_their_mapped_address(data, mapped):
    found = decode(data)
    assert found.kind is Kind.SUCCESS
    assert found.mapped == mapped
    assert found.attributes[Attr.SOFTWARE] == b"test vector"
    assert found.fingerprint
    assert found.unknown == ()
    # The same bytes are written for it.
    assert mapped_address(TRANSACTION, mapped)[1] in data


def test_the_request_with_long_term_credentials_of_rfc_5769_is_read():
    found = decode(LONG_TERM_REQUEST)
    assert found.attributes[Attr.USERNAME].decode() == "マトリックス"
    assert found.attributes[Attr.REALM] == b"example.org"
    assert found.unknown == ()
    assert not found.fingerprint


@pytest.mark.parametrize("data", [REQUEST, IPV4_RESPONSE, IPV6_RESPONSE])
def test_a_bit_that_fell_over_is_seen_by_the_fingerprint(data):
    for place in range(20, len(data) - 8):
        broken = bytearray(data)
        broken[place] ^= 0x10
        with pytest.raises(StunError):
            decode(bytes(broken))


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "fewer than a header"),
        (binding_request(TRANSACTION)[:19], "fewer than a header"),
        (b"\x80" + binding_request(TRANSACTION)[1:], "first two bits"),
        (b"\x40" + binding_request(TRANSACTION)[1:], "first two bits"),
        (binding_request(TRANSACTION) + b"\0\0\0\0", "0 bytes behind the header; 4 are"),
        (b"\0\1\0\2" + TRANSACTION + b"\0\0", "2 bytes behind the header"),
        (b"\0\1\0\4" + TRANSACTION + b"\x80\x22\0\5", "0x8022 is longer than the message"),
        (b"\0\1\0\4" + TRANSACTION + b"\0\1\xff\xff", "0x0001 is longer than the message"),
        (message((Attr.MAPPED_ADDRESS, b"\0\1\0\0\1\2\3")), "neither one of IPv4"),
        (message((Attr.MAPPED_ADDRESS, b"\0\2\0\0\1\2\3\4")), "neither one of IPv4"),
        (message((Attr.XOR_MAPPED_ADDRESS, b"")), "neither one of IPv4"),
        (message((Attr.CHANGE_REQUEST, b"\0\0\0"), kind=Kind.REQUEST), "CHANGE-REQUEST"),
        (message((Attr.ERROR_CODE, b"\0\0\4"), kind=Kind.ERROR), "shorter than four"),
        (message((Attr.ERROR_CODE, b"\0\0\0\0"), kind=Kind.ERROR), "no number from 100"),
        (message((Attr.ERROR_CODE, b"\0\0\7\0"), kind=Kind.ERROR), "no number from 100"),
        (message((Attr.ERROR_CODE, b"\0\0\4\x64"), kind=Kind.ERROR), "no number from 100"),
        (message((Attr.FINGERPRINT, bytes(4))), "FINGERPRINT is wrong"),
        (message((Attr.FINGERPRINT, bytes(3))), "FINGERPRINT is wrong"),
        (message((Attr.FINGERPRINT, bytes(4)), fingerprint=True), "FINGERPRINT is wrong"),
    ],
)
def test_what_is_malformed_is_refused_and_said(data, says):
    with pytest.raises(StunError, match=re.escape(says)):
        decode(data)


def test_an_address_that_need_not_be_understood_does_no_harm_where_it_is_malformed():
    found = decode(message((Attr.OTHER_ADDRESS, b"?"), (Attr.RESPONSE_ORIGIN, b"")))
    assert (found.other, found.origin) == (None, None)


def test_the_xored_address_counts_before_the_plain_one():
    plain = (Attr.MAPPED_ADDRESS, address_value(("192.0.2.9", 9)))
    found = decode(message(plain, mapped_address(TRANSACTION, SOURCE)))
    assert found.mapped == SOURCE
    assert decode(message(plain)).mapped == ("192.0.2.9", 9)


def test_the_names_of_rfc_3489_count_where_there_are_no_newer_ones():
    old = [
        (Attr.SOURCE_ADDRESS, address_value(("192.0.2.1", 1))),
        (Attr.CHANGED_ADDRESS, address_value(("192.0.2.2", 2))),
    ]
    found = decode(message(*old))
    assert (found.origin, found.other) == (("192.0.2.1", 1), ("192.0.2.2", 2))
    new = [
        (Attr.RESPONSE_ORIGIN, address_value(("192.0.2.3", 3))),
        (Attr.OTHER_ADDRESS, address_value(("192.0.2.4", 4))),
    ]
    found = decode(message(*old, *new))
    assert (found.origin, found.other) == (("192.0.2.3", 3), ("192.0.2.4", 4))


def test_of_an_attribute_that_is_there_twice_the_first_counts():
    first, second = (mapped_address(TRANSACTION, ("192.0.2.1", n)) for n in (1, 2))
    assert decode(message(first, second)).mapped == ("192.0.2.1", 1)


def test_what_follows_message_integrity_is_ignored_but_the_fingerprint():
    found = decode(
        message(
            (Attr.MESSAGE_INTEGRITY, bytes(20)),
            mapped_address(TRANSACTION, SOURCE),
            (0x7FFF, b""),
            fingerprint=True,
        )
    )
    assert (found.mapped, found.unknown, found.fingerprint) == (None, (), True)


def test_only_what_has_to_be_understood_is_unknown():
    assert decode(message((0x7FFF, b"x"), (0x8000, b"y"), (0xFFFF, b""))).unknown == (0x7FFF,)


def test_without_the_cookie_there_is_no_fingerprint():
    found = decode(encode(Kind.REQUEST, CLASSIC, [(Attr.FINGERPRINT, b"none")]))
    assert found.classic
    assert not found.fingerprint


def test_an_error_is_read_with_its_reason_which_is_harmless_to_show():
    found = decode(message((Attr.ERROR_CODE, b"\0\0\4\x14no\x1b[31m\xff"), kind=Kind.ERROR))
    assert found.error == ErrorCode(420, "no?[31m\ufffd")
    assert str(found.error) == "420 no?[31m\ufffd"
    assert str(ErrorCode(500, "")) == "500"


@pytest.mark.parametrize("method", [0x000, 0x001, 0x003, 0x010, 0x080, 0xFFF])
@pytest.mark.parametrize("kind", list(Kind))
def test_the_bits_of_class_and_method_are_told_apart(method, kind):
    # RFC 8489 §5, figure 3: M11 to M7, C1, M6 to M4, C0, M3 to M0.
    bits = f"{method:012b}"
    first = int(bits[:5] + str(kind >> 8) + bits[5:8] + str(kind >> 4 & 1) + bits[8:], 2)
    found = decode(first.to_bytes(2, "big") + b"\0\0" + TRANSACTION)
    assert (found.method, found.kind) == (method, kind)


# ---------------------------------------------------------------- anything at all


ADDRESSES = st.tuples(
    st.one_of(
        st.integers(0, 2**32 - 1).map(lambda n: str(IPv4Address(n))),
        st.integers(0, 2**128 - 1).map(lambda n: str(IPv6Address(n))),
    ),
    st.integers(0, 65535),
)
TRANSACTIONS = st.one_of(st.binary(min_size=12, max_size=12).map(lambda b: COOKIE + b),
                         st.binary(min_size=16, max_size=16))  # fmt: skip
SOUP = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(list(Attr)), st.integers(0, 0xFFFF)), st.binary(max_size=24)
    ),
    max_size=8,
)


def read(data: bytes) -> None:
    """Nothing but StunError comes of it, and an answer is only a little longer than a request."""
    answer = binding_answer(data, SOURCE)
    try:
        found = decode(data)
    except StunError:
        assert answer is None
        return
    assert found.transaction == data[4:20]
    asked = found.kind is Kind.REQUEST and found.method == BINDING
    assert (answer is not None) == (asked and len(data) <= MOST)
    if answer is not None:
        assert len(answer) <= min(MOST, len(data) + 32)
        said = decode(answer)
        assert said.kind in {Kind.SUCCESS, Kind.ERROR}
        assert said.transaction == found.transaction
        # Nothing comes of an answer, so that no two servers keep each other busy.
        assert binding_answer(answer, SOURCE) is None


@given(st.binary(max_size=200))
@example(REQUEST)
def test_any_bytes_are_a_message_or_refused(data):
    read(data)


@given(st.sampled_from(list(Kind)), TRANSACTIONS, SOUP, st.booleans())
def test_any_attributes_are_a_message_or_refused(kind, transaction, attributes, fingerprint):
    read(encode(kind, transaction, attributes, fingerprint=fingerprint))


@given(st.sampled_from(VECTORS), st.lists(st.tuples(st.integers(0), st.binary(max_size=3))))
def test_any_damage_to_a_right_message_is_survived(data, damage):
    broken = bytearray(data)
    for place, instead in damage:
        at = place % (len(broken) + 1)
        broken[at : at + len(instead)] = instead
    read(bytes(broken))


@given(st.sampled_from(VECTORS), st.integers(0, 110))
def test_any_beginning_of_a_right_message_is_survived(data, length):
    read(data[:length])


@given(ADDRESSES, TRANSACTIONS)
def test_any_address_comes_back_as_it_was(address, transaction):
    found = decode(encode(Kind.SUCCESS, transaction, [mapped_address(transaction, address)]))
    assert found.mapped == address


# ---------------------------------------------------------------- the answer


def test_a_request_is_answered_with_the_xored_address_that_it_came_from():
    answer = binding_answer(binding_request(TRANSACTION), SOURCE)
    assert answer == bytes.fromhex("0101000c") + TRANSACTION + bytes.fromhex(
        "00200008 0001 32d6 ea12d543"
    )


def test_it_is_answered_over_ipv6():
    answer = decode(binding_answer(binding_request(TRANSACTION), ("2001:db8::1", 5060)))
    assert answer.mapped == ("2001:db8::1", 5060)
    answer = decode(binding_answer(binding_request(TRANSACTION), ("fe80::1%eth0", 5060)))
    assert answer.mapped == ("fe80::1", 5060)


def test_a_client_of_rfc_3489_gets_the_plain_address_and_its_whole_id_back():
    # RFC 8489 §11: "it SHOULD copy the value seen in the magic cookie field in the Binding
    # request to the magic cookie field in the Binding response message"
    answer = decode(binding_answer(binding_request(CLASSIC), SOURCE))
    assert answer.transaction == CLASSIC
    assert answer.attributes.keys() == {Attr.MAPPED_ADDRESS}
    assert answer.mapped == SOURCE


def test_a_fingerprint_is_answered_with_one():
    asked = encode(Kind.REQUEST, TRANSACTION, fingerprint=True)
    assert decode(binding_answer(asked, SOURCE)).fingerprint
    assert not decode(binding_answer(binding_request(TRANSACTION), SOURCE)).fingerprint
    assert binding_answer(asked[:-1] + bytes([asked[-1] ^ 1]), SOURCE) is None


@pytest.mark.parametrize("transaction", [TRANSACTION, CLASSIC], ids=["RFC 8489", "RFC 3489"])
@pytest.mark.parametrize(
    ("attributes", "listed"),
    [
        ([(0x0024, bytes(4))], [0x0024]),
        ([(0x0024, bytes(4)), (0x0025, b"")], [0x0024, 0x0025]),
        ([(Attr.CHANGE_REQUEST, bytes([0, 0, 0, CHANGE_IP | CHANGE_PORT]))], [0x0003]),
        ([(Attr.RESPONSE_ADDRESS, bytes(8))], [0x0002]),
        ([(Attr.RESPONSE_PORT, bytes(4))], [0x0027]),
        ([(Attr.PADDING, bytes(500))], [0x0026]),
    ],
)
def test_what_is_not_understood_or_not_done_is_listed_with_420(transaction, attributes, listed):
    answer = decode(binding_answer(encode(Kind.REQUEST, transaction, attributes), SOURCE))
    assert answer.kind is Kind.ERROR
    assert answer.error == ErrorCode(420, "Unknown Attribute")
    value = answer.attributes[Attr.UNKNOWN_ATTRIBUTES]
    found = [int.from_bytes(value[at : at + 2], "big") for at in range(0, len(value), 2)]
    if transaction == CLASSIC and len(listed) % 2:
        listed = [*listed, listed[-1]]
    assert found == listed


def test_a_change_request_that_asks_for_nothing_is_answered():
    asked = encode(Kind.REQUEST, CLASSIC, [(Attr.CHANGE_REQUEST, bytes(4))])
    assert decode(binding_answer(asked, SOURCE)).mapped == SOURCE


def test_many_unknown_attributes_do_not_make_a_long_answer():
    asked = encode(Kind.REQUEST, TRANSACTION, [(0x4000 + n, b"") for n in range(32)])
    assert len(binding_answer(asked, SOURCE)) == 20 + 28 + 4 + 32


def test_far_too_many_attributes_are_not_worth_the_time():
    with pytest.raises(StunError, match="more than 32 attributes"):
        decode(message(*[(0x8022, b"")] * 33))
    asked = encode(Kind.REQUEST, TRANSACTION, [(0x4000 + n, b"") for n in range(33)])
    assert binding_answer(asked, SOURCE) is None


def test_a_request_that_is_too_long_is_not_even_read():
    asked = [encode(Kind.REQUEST, TRANSACTION, [(Attr.SOFTWARE, bytes(n))]) for n in (524, 528)]
    assert [len(each) for each in asked] == [MOST, MOST + 4]
    assert [binding_answer(each, SOURCE) is None for each in asked] == [False, True]


def test_credentials_are_ignored():
    assert decode(binding_answer(LONG_TERM_REQUEST, SOURCE)).mapped == SOURCE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\0\0",
        encode(Kind.INDICATION, TRANSACTION),
        encode(Kind.SUCCESS, TRANSACTION, [mapped_address(TRANSACTION, SOURCE)]),
        encode(Kind.ERROR, TRANSACTION),
        b"\0\3\0\0" + TRANSACTION,
    ],
    ids=["nothing", "short", "indication", "success", "error", "allocate"],
)
def test_nothing_but_a_binding_request_is_answered(data):
    assert binding_answer(data, SOURCE) is None
