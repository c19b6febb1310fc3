"""A UDP socket for requests, and what ICMP says of them."""

from __future__ import annotations

import errno
import os
import socket
import sys
from ipaddress import ip_address
from struct import Struct
from typing import TYPE_CHECKING, Final, Protocol

import trio

if TYPE_CHECKING:
    from sipx_stun.codec import Address

_ROOM: Final = 2048
"""Bytes that are read of a datagram; no answer may have as many."""
_ANY: Final = ("", "*", "0.0.0.0", "::")  # noqa: S104 - names of a bind, not a bind
_IP_RECVERR: Final = 11
_IPV6_RECVERR: Final = 25
_EXTENDED_ERROR: Final = Struct("=IBBBBII")
_FROM_ICMP: Final = (2, 3)
"""Linux, ip(7): how a datagram socket is told what became of what it sent."""
_OF_EARLIER: Final = (
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,
    errno.EMSGSIZE,
    errno.EPROTO,
)
"""Errors that ICMP messages become, and that a call gets for what an earlier one sent."""


class IcmpError(Exception):
    """ICMP says that something sent before did not arrive. ``by`` is who says so, "" unknown."""

    def __init__(self, text: str, by: str) -> None:
        super().__init__(f"{text.lower()} (ICMP from {by})" if by else f"{text.lower()} (ICMP)")
        self.by = by


class Datagrams(Protocol):
    """What a client needs of a socket; tests have one without a network."""

    local: Address
    """The address and port that it is bound to, never an unspecified one."""

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram, or lose it. Raises OSError where this machine cannot."""

    async def receive(self) -> tuple[bytes, Address]:
        """Wait for one datagram. Raises IcmpError."""

    def close(self) -> None:
        """Give the port back."""


class UdpSocket:
    """A socket on a free port, at ``bind`` or where the way to ``towards`` begins.

    Raises OSError: no such address here, or no way there.
    """

    def __init__(self, bind: str, towards: Address) -> None:
        self._ipv6 = ":" in towards[0]
        family = socket.AF_INET6 if self._ipv6 else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            if sys.platform == "linux":
                level = socket.IPPROTO_IPV6 if self._ipv6 else socket.IPPROTO_IP
                self._sock.setsockopt(level, _IPV6_RECVERR if self._ipv6 else _IP_RECVERR, 1)
            # The near end has to be known to tell whether there is a NAT.
            self._sock.bind((_near_end(family, towards) if bind in _ANY else bind, 0))
            self.local: Address = _plain(self._sock.getsockname())
        except BaseException:
            self._sock.close()
            raise

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram, or lose it: it is sent again anyway. Raises OSError."""
        for _ in range(2):
            try:
                self._sock.sendto(data, to)
            except BlockingIOError:
                return
            except OSError as error:
                # It may be what ICMP said of one before; then this one was not sent.
                if error.errno not in _OF_EARLIER or self._icmp(error) is None:
                    raise
            else:
                return

    async def receive(self) -> tuple[bytes, Address]:
        """Wait for one datagram. Raises IcmpError."""
        # However much arrives, others get their turn, and a deadline is felt.
        await trio.lowlevel.checkpoint()
        while True:
            try:
                data, source = self._sock.recvfrom(_ROOM)
            except BlockingIOError:
                await trio.lowlevel.wait_readable(self._sock)
            except OSError as error:
                raise self._icmp(error) or IcmpError(os.strerror(error.errno or 0), "") from None
            else:
                return data, _plain(source)

    def close(self) -> None:
        """Give the port back."""
        self._sock.close()

    def _icmp(self, error: OSError) -> IcmpError | None:
        """Empty the queue of errors, without which the socket would be readable for ever."""
        found: IcmpError | None = None
        while sys.platform == "linux":
            try:
                _, ancillary, _, _ = self._sock.recvmsg(0, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            for _, _, data in ancillary:
                if len(data) >= _EXTENDED_ERROR.size:
                    number, origin, *_ = _EXTENDED_ERROR.unpack_from(data)
                    if origin in _FROM_ICMP:
                        found = IcmpError(os.strerror(number), self._offender(data))
        return found

    def _offender(self, data: bytes) -> str:
        """Who sent the ICMP message: a sockaddr behind the error."""
        at = _EXTENDED_ERROR.size + (8 if self._ipv6 else 4)
        packed = data[at : at + (16 if self._ipv6 else 4)]
        return str(ip_address(packed)) if len(packed) == (16 if self._ipv6 else 4) else ""


def _near_end(family: int, towards: Address) -> str:
    """The address of this machine that datagrams to ``towards`` leave from. Raises OSError."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing, it only looks up the route.
        probe.connect(towards)
        return str(probe.getsockname()[0])


def _plain(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Written as `sipx_stun.codec` writes it, so that the two compare."""
    return str(ip_address(sockaddr[0].partition("%")[0])), sockaddr[1]
