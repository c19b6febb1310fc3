"""HEP3, the Homer Encapsulation Protocol: a SIP message with where and when it passed.

A packet is ``HEP3``, its length in two bytes, and chunks: vendor 0, type, length with these six
bytes, value; numbers are in network order. Nothing in here does I/O.
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC: Final = b"HEP3"
LARGEST: Final = 65_507
"""Bytes of a packet: what a UDP datagram can carry; the length field would allow 65,535."""
LONGEST_CORRELATION: Final = 1024
"""Bytes of a Call-ID: one of 64 KiB would leave the message no room."""

# The numbers of the chunks, as the specification of HEP3 assigns them.
FAMILY: Final = 1
PROTOCOL: Final = 2
SOURCE_IPV4: Final = 3
DESTINATION_IPV4: Final = 4
SOURCE_IPV6: Final = 5
DESTINATION_IPV6: Final = 6
SOURCE_PORT: Final = 7
DESTINATION_PORT: Final = 8
SECONDS: Final = 9
MICROSECONDS: Final = 10
KIND: Final = 11
CAPTURE_ID: Final = 12
AUTH_KEY: Final = 14
PAYLOAD: Final = 15
CORRELATION: Final = 17
NODE_NAME: Final = 19

AF_INET: Final = 2
AF_INET6: Final = 10
TCP: Final = 6
UDP: Final = 17
SIP: Final = 1
"""The type of a payload."""

_HEAD: Final = struct.Struct("!HHH")
_U8: Final = struct.Struct("!HHHB")
_U16: Final = struct.Struct("!HHHH")
_U32: Final = struct.Struct("!HHHI")


class Place(NamedTuple):
    """One end: an address and a port."""

    address: str
    port: int


def chunk(number: int, value: bytes) -> bytes:
    """A chunk with any value."""
    return _HEAD.pack(0, number, 6 + len(value)) + value


def endpoints(source: Place, destination: Place, *, datagrams: bool) -> bytes:
    """The chunks that say from where to where; both addresses are of one family."""
    first, second = ip_address(source.address).packed, ip_address(destination.address).packed
    if len(first) == 4:
        family, numbers = AF_INET, (SOURCE_IPV4, DESTINATION_IPV4)
    else:
        family, numbers = AF_INET6, (SOURCE_IPV6, DESTINATION_IPV6)
    return b"".join(
        (
            _U8.pack(0, FAMILY, 7, family),
            _U8.pack(0, PROTOCOL, 7, UDP if datagrams else TCP),
            chunk(numbers[0], first),
            chunk(numbers[1], second),
            _U16.pack(0, SOURCE_PORT, 8, source.port),
            _U16.pack(0, DESTINATION_PORT, 8, destination.port),
        )
    )


def identity(capture_id: int, auth_key: bytes, node_name: bytes) -> bytes:
    """The chunks that say who has captured."""
    chunks = [_U8.pack(0, KIND, 7, SIP), _U32.pack(0, CAPTURE_ID, 10, capture_id)]
    if auth_key:
        chunks.append(chunk(AUTH_KEY, auth_key))
    if node_name:
        chunks.append(chunk(NODE_NAME, node_name))
    return b"".join(chunks)


def packet(time: float, fixed: Iterable[bytes], correlation: bytes, payload: bytes) -> bytes:
    """A whole packet; ``fixed`` are chunks made before. What does not fit of the payload is cut,
    and so is a Call-ID that would leave it no room.
    """
    seconds, microseconds = divmod(round(time * 1_000_000), 1_000_000)
    head = b"".join(
        (
            *fixed,
            _U32.pack(0, SECONDS, 10, seconds),
            _U32.pack(0, MICROSECONDS, 10, microseconds),
            chunk(CORRELATION, correlation[:LONGEST_CORRELATION]),
        )
    )
    room = LARGEST - len(MAGIC) - 2 - len(head) - 6
    body = chunk(PAYLOAD, payload[:room])
    return b"".join((MAGIC, struct.pack("!H", 6 + len(head) + len(body)), head, body))
