"""From a packet to what UDP or TCP carries: link layers, IP with fragments, ports."""

from __future__ import annotations

import ipaddress
import struct
from collections import OrderedDict
from typing import Final, NamedTuple

from sipx_monitor.traffic.export.frames import IP, End

_IPV4: Final = 0x0800
_IPV6: Final = 0x86DD
_VLANS: Final = (0x8100, 0x88A8, 0x9100)
_UDP: Final = 17
_TCP: Final = 6
_FRAGMENT: Final = 44
_EXTENSIONS: Final = (0, 43, 60, 135)
"""IPv6 extension headers that are skipped (RFC 8200 §4.1)."""
LINKS: Final = {0: "BSD loopback", 1: "Ethernet", 12: "raw IP", 14: "raw IP", 101: "raw IP",
                108: "BSD loopback", 113: "Linux cooked", 228: "IPv4", 229: "IPv6",
                276: "Linux cooked v2"}  # fmt: skip
MOST_FRAGMENTED: Final = 64
"""Datagrams that wait for their other parts."""
_MOST_PARTS: Final = 64


class Carried(NamedTuple):
    """What UDP or TCP carries in one packet. ``number`` is the sequence number of TCP, None for
    UDP; ``begins`` and ``ends`` are SYN, and FIN or RST.
    """

    source: End
    target: End
    data: bytes
    number: int | None = None
    begins: bool = False
    ends: bool = False


class Packets:
    """Takes packets apart. One object for a file: fragments wait in it."""

    def __init__(self) -> None:
        self._parts: OrderedDict[tuple[object, ...], dict[int, tuple[bytes, bool]]] = OrderedDict()

    def carried(self, link: int, data: bytes) -> Carried | None:
        """What is in a packet; None where it is no UDP or TCP over IP, or not whole yet."""
        try:
            return self._ip(_without_link(link, data))
        except (struct.error, IndexError, ValueError):
            return None

    def _ip(self, data: bytes) -> Carried | None:
        if not data:
            return None
        version = data[0] >> 4
        if version == 4:
            return self._ipv4(data)
        return self._ipv6(data) if version == 6 else None

    def _ipv4(self, data: bytes) -> Carried | None:
        length, name, place = struct.unpack_from("!HHH", data, 2)
        protocol = data[9]
        source, target = (ipaddress.IPv4Address(data[at : at + 4]) for at in (12, 16))
        # A length of 0 is what a network card writes that cuts segments itself.
        body = data[(data[0] & 15) * 4 : length or len(data)]
        if place & 0x3FFF:
            key = (source, target, protocol, name)
            whole = self._part(key, (place & 0x1FFF) * 8, body, more=bool(place & 0x2000))
            if whole is None:
                return None
            body = whole
        return _transport(source, target, protocol, body)

    def _ipv6(self, data: bytes) -> Carried | None:
        length, following = struct.unpack_from("!HB", data, 4)
        source, target = (ipaddress.IPv6Address(data[at : at + 16]) for at in (8, 24))
        body = data[40 : 40 + length] if length else data[40:]
        for _ in range(8):
            if following in _EXTENSIONS:
                following, size = body[0], (body[1] + 1) * 8
                body = body[size:]
            elif following == _FRAGMENT:
                following, place, name = struct.unpack_from("!BxHI", body)
                key = (source, target, name)
                whole = self._part(key, place & 0xFFF8, body[8:], more=bool(place & 1))
                if whole is None:
                    return None
                body = whole
            else:
                break
        return _transport(source, target, following, body)

    def _part(self, key: tuple[object, ...], at: int, data: bytes, *, more: bool) -> bytes | None:
        """A part of a datagram; the whole with the last one (RFC 791 §3.2, RFC 8200 §4.5)."""
        parts = self._parts.setdefault(key, {})
        if len(parts) < _MOST_PARTS:
            parts[at] = (data, more)
        while len(self._parts) > MOST_FRAGMENTED:
            self._parts.popitem(last=False)
        end, pieces = 0, []
        for begin in sorted(parts):
            if begin != end:
                return None
            piece, more_follow = parts[begin]
            pieces.append(piece)
            end += len(piece)
            if not more_follow:
                del self._parts[key]
                return b"".join(pieces)
        return None


def _transport(source: IP, target: IP, protocol: int, data: bytes) -> Carried | None:
    if protocol == _UDP:
        source_port, target_port, length = struct.unpack_from("!HHH", data)
        body = data[8 : length if length >= 8 else len(data)]
        return Carried(End(source, source_port), End(target, target_port), body)
    if protocol == _TCP:
        source_port, target_port, number, _, offset, flags = struct.unpack_from("!HHIIBB", data)
        return Carried(
            End(source, source_port),
            End(target, target_port),
            data[(offset >> 4) * 4 :],
            number,
            bool(flags & 2),
            bool(flags & 5),
        )
    return None


def _without_link(link: int, data: bytes) -> bytes:
    """The IP packet in a packet of a link layer, b"" where there is none."""
    if link == 1:
        at = 12
        kind = struct.unpack_from("!H", data, at)[0]
        while kind in _VLANS:
            at += 4
            kind = struct.unpack_from("!H", data, at)[0]
        return data[at + 2 :] if kind in (_IPV4, _IPV6) else b""
    if link in (0, 108):
        return data[4:]
    if link == 113:
        return data[16:] if struct.unpack_from("!H", data, 14)[0] in (_IPV4, _IPV6) else b""
    if link == 276:
        return data[20:] if struct.unpack_from("!H", data)[0] in (_IPV4, _IPV6) else b""
    return data if link in LINKS else b""
