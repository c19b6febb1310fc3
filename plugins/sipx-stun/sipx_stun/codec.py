"""STUN messages: from bytes to what they say, and back (RFC 8489, RFC 5780, and RFC 3489 of old).

No socket, no clock, no chance: this file only reads and writes. A transaction id is kept as the
sixteen bytes behind the length. RFC 8489 §5: "In [RFC3489], the 32 bits comprising the magic
cookie field were part of the transaction ID"; so whether the cookie stands in front of the other
twelve tells which of the two the sender speaks, and an answer copies all sixteen.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Address = tuple[str, int]
"""An IP address and a port: ("203.0.113.1", 5060). IPv6 without brackets and scope."""

COOKIE: Final = b"\x21\x12\xa4\x42"
BINDING: Final = 0x001
"""The one method there is without TURN."""
MOST: Final = 548
"""Bytes of a message over UDP where the path's MTU is unknown (RFC 8489 §6.1)."""
CHANGE_IP: Final = 0x4
CHANGE_PORT: Final = 0x2
"""The flags of CHANGE-REQUEST (RFC 5780 §7.2)."""

_HEADER: Final = Struct("!HH16s")
_ATTRIBUTE: Final = Struct("!HH")
_CLASS: Final = 0x0110
_FINGERPRINT_XOR: Final = 0x5354554E
_MOST_LISTED: Final = 16
"""Attributes that a 420 lists: an answer must not become much longer than what it answers."""
_MOST_ATTRIBUTES: Final = 32
"""Attributes of a message: three times as many as any use of STUN has, and what each of them costs
is not to be had from us a hundred times for one datagram."""
_MOST_REASON: Final = 127
"""Characters of a reason phrase (RFC 8489 §14.8)."""


class StunError(ValueError):
    """These bytes are no STUN message; the text says what is wrong with them."""


class Kind(IntEnum):
    """The class of a message, as its bits stand in the first two bytes."""

    REQUEST = 0x000
    INDICATION = 0x010
    SUCCESS = 0x100
    ERROR = 0x110


class Attr(IntEnum):
    """Attributes that are understood. Those below 0x8000 have to be, the others need not."""

    MAPPED_ADDRESS = 0x0001
    RESPONSE_ADDRESS = 0x0002  # RFC 3489
    CHANGE_REQUEST = 0x0003  # RFC 3489, RFC 5780
    SOURCE_ADDRESS = 0x0004  # RFC 3489
    CHANGED_ADDRESS = 0x0005  # RFC 3489
    USERNAME = 0x0006
    PASSWORD = 0x0007  # RFC 3489
    MESSAGE_INTEGRITY = 0x0008
    ERROR_CODE = 0x0009
    UNKNOWN_ATTRIBUTES = 0x000A
    REFLECTED_FROM = 0x000B  # RFC 3489
    REALM = 0x0014
    NONCE = 0x0015
    MESSAGE_INTEGRITY_SHA256 = 0x001C
    PASSWORD_ALGORITHM = 0x001D
    USERHASH = 0x001E
    XOR_MAPPED_ADDRESS = 0x0020
    PADDING = 0x0026  # RFC 5780
    RESPONSE_PORT = 0x0027  # RFC 5780
    SOFTWARE = 0x8022
    FINGERPRINT = 0x8028
    RESPONSE_ORIGIN = 0x802B  # RFC 5780
    OTHER_ADDRESS = 0x802C  # RFC 5780


_UNDERSTOOD: Final = frozenset(Attr)
_CANNOT: Final = (Attr.RESPONSE_ADDRESS, Attr.CHANGE_REQUEST, Attr.PADDING, Attr.RESPONSE_PORT)
"""What asks for an answer that `binding_answer` does not give."""


class ErrorCode(NamedTuple):
    """What an error response says: 420, "Unknown Attribute"."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.code} {self.reason}".rstrip()


@dataclass(frozen=True, slots=True)
class StunMessage:
    """A message, and what its attributes say."""

    kind: Kind
    transaction: bytes
    """Sixteen bytes: the cookie and the id of RFC 8489, or the longer id of RFC 3489."""
    method: int = BINDING
    attributes: Mapping[int, bytes] = field(default_factory=dict)
    """The first of each type; RFC 8489 §14 lets the others be ignored."""
    mapped: Address | None = None
    """XOR-MAPPED-ADDRESS, else MAPPED-ADDRESS, which some NATs rewrite (RFC 8489 §14.2)."""
    origin: Address | None = None
    """RESPONSE-ORIGIN, else SOURCE-ADDRESS: where the answer was sent from."""
    other: Address | None = None
    """OTHER-ADDRESS, else CHANGED-ADDRESS: the server's other address with its other port."""
    change: int = 0
    """The flags of CHANGE-REQUEST."""
    error: ErrorCode | None = None
    unknown: tuple[int, ...] = ()
    """Types that have to be understood, and are not."""

    @property
    def classic(self) -> bool:
        """Whether it was made by the rules of RFC 3489 alone."""
        return self.transaction[:4] != COOKIE

    @property
    def fingerprint(self) -> bool:
        """Whether there was a FINGERPRINT, which was right then."""
        return Attr.FINGERPRINT in self.attributes and not self.classic


# ---------------------------------------------------------------- reading


def decode(data: bytes) -> StunMessage:
    """A whole datagram as a message. Raises StunError, and nothing else, whatever the bytes."""
    if len(data) < _HEADER.size:
        raise StunError(f"{len(data)} bytes are fewer than a header has")
    first, length, transaction = _HEADER.unpack_from(data)
    # RFC 8489 §5: "The most significant 2 bits of every STUN message MUST be zeroes."
    if first & 0xC000:
        raise StunError("the first two bits are not zero")
    # RFC 8489 §5: "Since all STUN attributes are padded to a multiple of 4 bytes, the last 2 bits
    # of this field are always zero."
    if length % 4 or length != len(data) - _HEADER.size:
        raise StunError(f"it says {length} bytes behind the header; {len(data) - _HEADER.size} are")
    attributes = _attributes(data, classic=transaction[:4] != COOKIE)
    mapped = _address(attributes.get(Attr.MAPPED_ADDRESS))
    xored = _address(attributes.get(Attr.XOR_MAPPED_ADDRESS), COOKIE + transaction[4:])
    return StunMessage(
        kind=Kind(first & _CLASS),
        method=(first & 0xF) | (first & 0xE0) >> 1 | (first & 0x3E00) >> 2,
        transaction=transaction,
        attributes=attributes,
        mapped=xored or mapped,
        origin=_optional(attributes.get(Attr.RESPONSE_ORIGIN))
        or _address(attributes.get(Attr.SOURCE_ADDRESS)),
        other=_optional(attributes.get(Attr.OTHER_ADDRESS))
        or _address(attributes.get(Attr.CHANGED_ADDRESS)),
        change=_change(attributes.get(Attr.CHANGE_REQUEST)),
        error=_error(attributes.get(Attr.ERROR_CODE)),
        unknown=tuple(kind for kind in attributes if kind < 0x8000 and kind not in _UNDERSTOOD),
    )


def _attributes(data: bytes, *, classic: bool) -> dict[int, bytes]:
    """The values by type, the first of each. Raises StunError."""
    found: dict[int, bytes] = {}
    at = _HEADER.size
    number = 0
    while at < len(data):
        number += 1
        if number > _MOST_ATTRIBUTES:
            raise StunError(f"it has more than {_MOST_ATTRIBUTES} attributes")
        # Lengths are multiples of four, so that there is always room for these four bytes.
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        end = at + _ATTRIBUTE.size + size
        following = end + -size % 4
        if following > len(data):
            raise StunError(f"attribute 0x{kind:04x} is longer than the message")
        if kind == Attr.FINGERPRINT and not classic:
            _verify_fingerprint(data, at)
        # RFC 8489 §14.5: "agents MUST ignore all other attributes that follow MESSAGE-INTEGRITY";
        # nobody can vouch for those.
        elif Attr.MESSAGE_INTEGRITY in found or Attr.MESSAGE_INTEGRITY_SHA256 in found:
            at = following
            continue
        found.setdefault(kind, data[at + _ATTRIBUTE.size : end])
        at = following
    return found


def _verify_fingerprint(data: bytes, at: int) -> None:
    # RFC 8489 §14.7: "the FINGERPRINT attribute MUST be the last attribute in the message", so
    # that its value is all the rest.
    if data[at + _ATTRIBUTE.size :] != _fingerprint(data[:at]):
        raise StunError("its FINGERPRINT is wrong")


def _fingerprint(before: bytes) -> bytes:
    """The value, from all that precedes the attribute; the length in there counts it already."""
    return (zlib.crc32(before) ^ _FINGERPRINT_XOR).to_bytes(4, "big")


def _address(value: bytes | None, key: bytes = bytes(16)) -> Address | None:
    """RFC 8489 §14.1, and with the cookie and the id as the key §14.2. Raises StunError."""
    if value is None:
        return None
    if len(value) not in {8, 20} or value[1] != (1 if len(value) == 8 else 2):
        raise StunError("an address is neither one of IPv4 nor one of IPv6")
    port = int.from_bytes(_xor(value[2:4], key), "big")
    packed = _xor(value[4:], key)
    return str(IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)), port


def _optional(value: bytes | None) -> Address | None:
    """An address that need not be understood, and so does no harm where it is malformed."""
    try:
        return _address(value)
    except StunError:
        return None


def _change(value: bytes | None) -> int:
    if value is None:
        return 0
    if len(value) != 4:
        raise StunError("CHANGE-REQUEST is not four bytes")
    return value[3] & (CHANGE_IP | CHANGE_PORT)


def _error(value: bytes | None) -> ErrorCode | None:
    if value is None:
        return None
    if len(value) < 4:
        raise StunError("ERROR-CODE is shorter than four bytes")
    hundreds, number = value[2] & 0x7, value[3]
    if not 1 <= hundreds <= 6 or number > 99:
        raise StunError("ERROR-CODE has no number from 100 to 699")
    # It comes from a stranger, and is shown to people.
    reason = value[4:].decode(errors="replace")[:_MOST_REASON].rstrip("\0 ")
    shown = "".join(each if each.isprintable() else "?" for each in reason)
    return ErrorCode(hundreds * 100 + number, shown)


def _xor(value: bytes, key: bytes) -> bytes:
    """With as many bytes of the key."""
    size = len(value)
    number = int.from_bytes(value, "big") ^ int.from_bytes(key[:size], "big")
    return number.to_bytes(size, "big")


# ---------------------------------------------------------------- writing


def encode(
    kind: Kind,
    transaction: bytes,
    attributes: Iterable[tuple[int, bytes]] = (),
    *,
    fingerprint: bool = False,
) -> bytes:
    """A message of the method Binding; ``fingerprint`` puts one at its end."""
    body = b"".join(
        _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) % 4)
        for kind, value in attributes
    )
    length = len(body) + (8 if fingerprint else 0)
    message = _HEADER.pack(kind | BINDING, length, transaction) + body
    if fingerprint:
        message += _ATTRIBUTE.pack(Attr.FINGERPRINT, 4) + _fingerprint(message)
    return message


def address_value(address: Address, key: bytes = bytes(16)) -> bytes:
    """The value of an attribute that is an address. Raises ValueError for what is none."""
    packed = ip_address(address[0].partition("%")[0]).packed
    family = b"\0\1" if len(packed) == 4 else b"\0\2"
    return family + _xor(address[1].to_bytes(2, "big"), key) + _xor(packed, key)


def mapped_address(transaction: bytes, source: Address) -> tuple[int, bytes]:
    """The attribute that tells a client, by its transaction, the address that it is seen from.

    RFC 8489 §11: a server that detects a client of RFC 3489 is to "insert a MAPPED-ADDRESS
    attribute instead of an XOR-MAPPED-ADDRESS attribute".
    """
    if transaction[:4] == COOKIE:
        return Attr.XOR_MAPPED_ADDRESS, address_value(source, transaction)
    return Attr.MAPPED_ADDRESS, address_value(source)


def unknown_attributes(request: StunMessage, kinds: Iterable[int]) -> bytes:
    """The error response 420 to a request with attributes that are not understood."""
    listed = list(kinds)[:_MOST_LISTED]
    if request.classic and len(listed) % 2:
        # RFC 3489 §11.2.10: "If the number of unknown attributes is an odd number, one of the
        # attributes MUST be repeated in the list, so that the total length of the list is a
        # multiple of 4 bytes."
        listed.append(listed[-1])
    return encode(
        Kind.ERROR,
        request.transaction,
        [
            (Attr.ERROR_CODE, b"\0\0\x04\x14Unknown Attribute"),
            (Attr.UNKNOWN_ATTRIBUTES, b"".join(kind.to_bytes(2, "big") for kind in listed)),
        ],
        fingerprint=request.fingerprint,
    )


def binding_request(transaction: bytes, change: int = 0) -> bytes:
    """What a client sends: twenty bytes, and eight more where the answer is to come elsewhere."""
    asked = [(Attr.CHANGE_REQUEST, change.to_bytes(4, "big"))] if change else []
    return encode(Kind.REQUEST, transaction, asked)


def binding_answer(data: bytes, source: Address) -> bytes | None:
    """The answer to a Binding request that came from ``source``; None: there is none.

    This is the server of RFC 5626 §8, "a limited version of a STUN server on the same interface
    and UDP port" as SIP. Only a request is answered, so that two servers never answer each other.
    Nobody is asked who he is: what would prove it is known, unexpected, and ignored. An answer has
    at most 32 bytes more than the request, and a request that is too long for the internet none,
    since thousands of attributes would cost time.
    """
    if len(data) > MOST:
        return None
    try:
        request = decode(data)
    except StunError:
        # RFC 8489 §6.3: "If any errors are detected, the message is silently discarded."
        return None
    if request.kind is not Kind.REQUEST or request.method != BINDING:
        return None
    # Clients of RFC 3489 send CHANGE-REQUEST with no flag set: that asks for nothing. Anything
    # else, says RFC 8489 §11, "the server will view these as unknown".
    refused = [
        *request.unknown,
        *(
            kind
            for kind in _CANNOT
            if kind in request.attributes and (kind != Attr.CHANGE_REQUEST or request.change)
        ),
    ]
    if refused:
        return unknown_attributes(request, refused)
    return encode(
        Kind.SUCCESS,
        request.transaction,
        [mapped_address(request.transaction, source)],
        fingerprint=request.fingerprint,
    )
