"""pcapng and pcap: packets with their times, out of the files that hold them."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx_monitor.traffic.captures.errors import CaptureError
from sipx_monitor.traffic.export.pcapng import (
    COMMENT,
    EPB_FLAGS,
    IF_NAME,
    IF_TSRESOL,
    INBOUND,
    INTERFACE,
    ORDER,
    OUTBOUND,
    PACKET,
    SECTION,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BLOCK: Final = 16 << 20
LATEST: Final = 1e11
"""Seconds since 1970; what is later is no time."""
MOST_INTERFACES: Final = 10_000
MOST_OPTIONS: Final = 1000
"""Of one block; nobody writes more than a handful."""
_SIMPLE_PACKET: Final = 3
_OLD_PACKET: Final = 2
_IF_TSOFFSET: Final = 14
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1_000_000),
    b"\xa1\xb2\xc3\xd4": (">", 1_000_000),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000_000_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000_000_000),
}
_MOST_PACKET: Final = 1 << 20


class Packet(NamedTuple):
    """What was captured. ``wall`` is in seconds since 1970; ``inwards`` is None where the file does
    not say; ``cut`` tells that the end of the packet was not kept.
    """

    wall: float
    link: int
    data: bytes
    interface: str = ""
    inwards: bool | None = None
    comment: str = ""
    cut: bool = False
    section: int = 0


class _Interface(NamedTuple):
    link: int
    name: str
    per_second: float
    offset: int


def is_pcapng(data: bytes) -> bool:
    """Whether it begins like one."""
    return data[:4] == struct.pack("<I", SECTION)


def is_pcap(data: bytes) -> bool:
    """Whether it begins like one."""
    return data[:4] in _PCAP


def pcap_packets(data: bytes) -> Iterator[Packet]:
    """The packets of a pcap file. Raises CaptureError."""
    order, fraction = _PCAP[data[:4]]
    if len(data) < 24:
        raise CaptureError("the file ends within its header; it is damaged")
    link = struct.unpack_from(order + "I", data, 20)[0] & 0x0FFFFFFF
    at, number = 24, 0
    while at < len(data):
        number += 1
        if len(data) - at < 16:
            raise _cut("packet", number, at)
        seconds, part, kept, length = struct.unpack_from(order + "IIII", data, at)
        at += 16
        if kept > _MOST_PACKET:
            raise CaptureError(
                f"packet {number} at byte {at - 16} says that it has {kept} bytes; the file is "
                "damaged"
            )
        if len(data) - at < kept:
            raise _cut("packet", number, at - 16)
        wall = seconds + part / fraction
        yield Packet(wall, link, data[at : at + kept], cut=kept < length)
        at += kept


def pcapng_packets(data: bytes) -> Iterator[Packet | None]:
    """The packets of a pcapng file, of all its sections; None for each block that is none, so that
    whoever reads it can let others run. Raises CaptureError.
    """
    at, number = 0, 0
    order, section = "<", 0
    interfaces: list[_Interface] = []
    while at < len(data):
        number += 1
        if len(data) - at < 12:
            raise _cut("block", number, at)
        if data[at : at + 4] == struct.pack("<I", SECTION):
            order = _byte_order(data, at)
            interfaces = []
            section += 1
        kind, length = struct.unpack_from(order + "II", data, at)
        if length < 12 or length % 4 or length > MOST_BLOCK:
            raise CaptureError(
                f"block {number} at byte {at} says that it has {length} bytes; the file is damaged"
            )
        if len(data) - at < length:
            raise _cut("block", number, at)
        if struct.unpack_from(order + "I", data, at + length - 4)[0] != length:
            raise CaptureError(
                f"block {number} at byte {at} gives two lengths; the file is damaged"
            )
        body = data[at + 8 : at + length - 4]
        packet = None
        try:
            if kind == INTERFACE:
                if len(interfaces) >= MOST_INTERFACES:
                    raise CaptureError(f"more than {MOST_INTERFACES} interfaces")
                interfaces.append(_interface(order, body))
            elif kind in (PACKET, _OLD_PACKET, _SIMPLE_PACKET):
                packet = _packet(order, kind, body, interfaces)._replace(section=section)
        except (struct.error, IndexError, OverflowError):
            raise CaptureError(
                f"block {number} at byte {at} does not hold what it should; the file is damaged"
            ) from None
        yield packet
        at += length


def _byte_order(data: bytes, at: int) -> str:
    mark = data[at + 8 : at + 12]
    for order in ("<", ">"):
        if mark == struct.pack(order + "I", ORDER):
            return order
    raise CaptureError(f"the section at byte {at} has no byte order; the file is damaged")


def _interface(order: str, body: bytes) -> _Interface:
    link: int = struct.unpack_from(order + "HHI", body)[0]
    options = _options(order, body, 8)
    resolution = options.get(IF_TSRESOL, b"\x06")[0]
    per_second = 2.0 ** (resolution & 0x7F) if resolution & 0x80 else 10.0 ** min(resolution, 30)
    offset = 0
    if len(options.get(_IF_TSOFFSET, b"")) == 8:
        offset = struct.unpack(order + "q", options[_IF_TSOFFSET])[0]
    return _Interface(link, _text(options.get(IF_NAME, b"")), per_second, offset)


def _packet(order: str, kind: int, body: bytes, interfaces: list[_Interface]) -> Packet:
    if kind == _SIMPLE_PACKET:
        interface = interfaces[0]
        length: int = struct.unpack_from(order + "I", body)[0]
        data = body[4 : 4 + length]
        return Packet(0.0, interface.link, data, interface.name, cut=len(data) < length)
    if kind == _OLD_PACKET:
        number, _, high, low, kept, length = struct.unpack_from(order + "HHIIII", body)
    else:
        number, high, low, kept, length = struct.unpack_from(order + "IIIII", body)
    if kept > len(body) - 20:
        raise IndexError(kept)
    interface = interfaces[number]
    options = _options(order, body, 20 + kept + (-kept % 4))
    inwards = None
    if kind == PACKET and len(options.get(EPB_FLAGS, b"")) == 4:
        flags = struct.unpack(order + "I", options[EPB_FLAGS])[0] & 3
        inwards = {INBOUND: True, OUTBOUND: False}.get(flags)
    wall = (high << 32 | low) / interface.per_second + interface.offset
    if not 0 <= wall < LATEST:
        raise OverflowError(wall)
    return Packet(
        wall,
        interface.link,
        body[20 : 20 + kept],
        interface.name,
        inwards,
        _text(options.get(COMMENT, b"")),
        kept < length,
    )


def _options(order: str, body: bytes, at: int) -> dict[int, bytes]:
    """The first option of each code."""
    found: dict[int, bytes] = {}
    for _ in range(MOST_OPTIONS):
        if len(body) - at < 4:
            break
        code, length = struct.unpack_from(order + "HH", body, at)
        at += 4
        if not code:
            break
        if len(body) - at < length:
            raise IndexError(length)
        found.setdefault(code, body[at : at + length])
        at += length + (-length % 4)
    return found


def _text(data: bytes) -> str:
    return re.sub(r"[^\S\n]+", " ", data.decode("utf-8", "replace")).strip("\0 ")


def _cut(what: str, number: int, at: int) -> CaptureError:
    return CaptureError(
        f"the file ends within {what} {number}, at byte {at}; it was not written to its end, or "
        "not copied whole"
    )
