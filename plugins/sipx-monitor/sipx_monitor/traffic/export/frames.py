"""Frames for messages that were never seen as packets: Ethernet, IP, UDP or TCP, right checksums.

The monitor sits above TLS and above the sockets. Programs that read captures want packets, so
these are made, one for a datagram and as many as it takes for a message of a stream.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import Final, NamedTuple

SEGMENT: Final = 1400
"""Bytes of a message in one TCP segment."""
MOST_DATAGRAM: Final = 65_507
"""Bytes of a message in one UDP datagram (RFC 768, in an IPv4 packet)."""
_APART: Final = 4096
_UDP: Final = 17
_TCP: Final = 6
_PUSH_ACK: Final = 0x18
_HOP_LIMIT: Final = 64

IP = ipaddress.IPv4Address | ipaddress.IPv6Address


class End(NamedTuple):
    """One end of a packet."""

    ip: IP
    port: int


def end_of(text: str) -> End:
    """``192.0.2.1:5060`` or ``[2001:db8::1]:5060``; what cannot be read becomes zeros."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]").partition("%")[0]
    try:
        ip: IP = ipaddress.ip_address(host)
    except ValueError:
        ip = ipaddress.IPv4Address(0)
    return End(ip, int(port) & 0xFFFF if port.isascii() and port.isdigit() else 0)


def same_family(source: End, target: End) -> tuple[End, End]:
    """Both in one IP family: an IPv4 address beside an IPv6 one is written as IPv6 (RFC 4291)."""
    if source.ip.version == target.ip.version:
        return source, target
    return _as_ipv6(source), _as_ipv6(target)


def _as_ipv6(end: End) -> End:
    if isinstance(end.ip, ipaddress.IPv6Address):
        return end
    return End(ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + end.ip.packed), end.port)


def udp_frame(source: End, target: End, data: bytes) -> bytes:
    """One datagram."""
    source, target = same_family(source, target)
    data = data[:MOST_DATAGRAM]
    head = struct.pack("!HHHH", source.port, target.port, 8 + len(data), 0)
    checksum = _checksum(_pseudo(source.ip, target.ip, _UDP, 8 + len(data)) + head + data)
    # RFC 768: "If the computed checksum is zero, it is transmitted as all ones".
    head = head[:6] + struct.pack("!H", checksum or 0xFFFF)
    return _ethernet(source.ip, target.ip, _UDP, head + data)


class TcpStreams:
    """Connections, as far as frames need them: the next sequence number of each direction."""

    def __init__(self) -> None:
        self._next: dict[tuple[End, End], int] = {}

    def frames(self, source: End, target: End, data: bytes, seq: int = 0) -> list[bytes]:
        """The segments of one message, the proxy's number of which is ``seq``.

        A connection begins behind what another file may hold of it: readers of joined files would
        take the same numbers for a retransmission.
        """
        source, target = same_family(source, target)
        frames: list[bytes] = []
        begin = (1 + seq * _APART) & 0xFFFFFFFF
        number = self._next.get((source, target), begin)
        acknowledged = self._next.setdefault((target, source), begin)
        for at in range(0, len(data), SEGMENT):
            piece = data[at : at + SEGMENT]
            frames.append(_tcp_frame(source, target, number, acknowledged, piece))
            number = (number + len(piece)) & 0xFFFFFFFF
        self._next[source, target] = number
        return frames


def _tcp_frame(source: End, target: End, number: int, acknowledged: int, data: bytes) -> bytes:
    fields = (source.port, target.port, number, acknowledged, 5 << 4, _PUSH_ACK, 65535, 0, 0)
    head = struct.pack("!HHIIBBHHH", *fields)
    pseudo = _pseudo(source.ip, target.ip, _TCP, len(head) + len(data))
    checksum = _checksum(pseudo + head + data)
    head = head[:16] + struct.pack("!H", checksum) + head[18:]
    return _ethernet(source.ip, target.ip, _TCP, head + data)


def _ethernet(source: IP, target: IP, protocol: int, data: bytes) -> bytes:
    """Hardware addresses are made of the IP addresses, with the bit for "locally administered"."""
    macs = b"\x02\x00" + target.packed[-4:] + b"\x02\x00" + source.packed[-4:]
    if source.version == 4:
        fields = (0x45, 0, 20 + len(data), 0, 0x4000, _HOP_LIMIT, protocol, 0)
        head = struct.pack("!BBHHHBBH", *fields) + source.packed + target.packed
        head = head[:10] + struct.pack("!H", _checksum(head)) + head[12:]
        return macs + b"\x08\x00" + head + data
    head = struct.pack("!IHBB", 6 << 28, len(data), protocol, _HOP_LIMIT)
    return macs + b"\x86\xdd" + head + source.packed + target.packed + data


def _pseudo(source: IP, target: IP, protocol: int, length: int) -> bytes:
    """RFC 768, RFC 9293 §3.1, RFC 8200 §8.1."""
    if source.version == 4:
        return source.packed + target.packed + struct.pack("!BBH", 0, protocol, length)
    return source.packed + target.packed + struct.pack("!II", length, protocol)


def _checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
