"""A UDP socket for requests, and what ICMP says of them."""

from __future__ import annotations

import errno
import os
import socket
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, Protocol

import trio

from sipx import take_reports, want_reports

if TYPE_CHECKING:
    from sipx_stun.codec import Address

_ROOM: Final = 2048
"""Bytes that are read of a datagram; no answer may have as many."""
_ANY: Final = ("", "*", "0.0.0.0", "::")  # noqa: S104 - names of a bind, not a bind
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
        family = socket.AF_INET6 if ":" in towards[0] else socket.AF_INET
        self._sock = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._sock.setblocking(False)
            want_reports(self._sock)
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
                if error.errno not in _OF_EARLIER or self._icmp() is None:
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
                raise self._icmp() or IcmpError(os.strerror(error.errno or 0), "") from None
            else:
                return data, _plain(source)

    def close(self) -> None:
        """Give the port back."""
        self._sock.close()

    def _icmp(self) -> IcmpError | None:
        """The last of what ICMP has said since."""
        reports = take_reports(self._sock)
        return IcmpError(os.strerror(reports[-1].number), reports[-1].by) if reports else None


def _near_end(family: int, towards: Address) -> str:
    """The address of this machine that datagrams to ``towards`` leave from. Raises OSError."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Connecting a datagram socket sends nothing, it only looks up the route.
        probe.connect(towards)
        return str(probe.getsockname()[0])


def _plain(sockaddr: tuple[str, int] | tuple[str, int, int, int]) -> Address:
    """Written as `sipx_stun.codec` writes it, so that the two compare."""
    return str(ip_address(sockaddr[0].partition("%")[0])), sockaddr[1]
