"""What ICMP says of datagrams that were sent: the queue of errors of a socket (Linux, ip(7)).

RFC 3261 §18.4: host, network, port or protocol unreachable are told to whoever sent.
"""

from __future__ import annotations

import socket
import sys
from ipaddress import ip_address
from struct import Struct
from typing import Final, NamedTuple

_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_EXTENDED_ERROR: Final = Struct("=IBBBBII")
_FROM_ICMP: Final = (2, 3)
"""The origins SO_EE_ORIGIN_ICMP and SO_EE_ORIGIN_ICMP6."""
_SOCKADDR: Final = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}
"""Where the address stands in a sockaddr."""


class IcmpReport(NamedTuple):
    """``number`` is an errno, ``to`` (host, port) whom the datagram was for, ``by`` who says that
    it did not arrive, "" where that is unknown.
    """

    number: int
    to: tuple[str, int]
    by: str


def want_reports(sock: socket.socket) -> None:
    """Let a datagram socket keep what ICMP says; only Linux does."""
    if sys.platform == "linux":
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def take_reports(sock: socket.socket) -> list[IcmpReport] | None:
    """Empty the queue, without which the socket is readable for ever; None if it was empty."""
    found: list[IcmpReport] | None = None
    while sys.platform == "linux":
        try:
            _, ancillary, _, to = sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
        except OSError:
            break
        found = [] if found is None else found
        for _, _, data in ancillary:
            if len(data) < _EXTENDED_ERROR.size:
                continue
            number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
            if origin in _FROM_ICMP:
                place = (to[0].partition("%")[0], to[1])
                found.append(IcmpReport(number, place, _offender(sock, data)))
    return found


def _offender(sock: socket.socket, data: bytes) -> str:
    """The sockaddr behind the error."""
    packed = data[_EXTENDED_ERROR.size :][_SOCKADDR[sock.family]]
    return str(ip_address(packed)) if len(packed) in (4, 16) else ""
