"""SIP over UDP (RFC 3261 §18, RFC 3581): one socket per interface, one flow per peer address."""

from __future__ import annotations

import errno
import os
import socket
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import trio

from sipx import (
    Bound,
    Config,
    Flow,
    Hop,
    Interface,
    Partner,
    Receiver,
    Size,
    Transport,
    hookimpl,
    take_reports,
    want_reports,
)
from sipx import Proxy as ProxyHandle

if TYPE_CHECKING:
    from collections.abc import Iterable

BATCH: Final = 64
"""Datagrams taken in one go before other tasks get their turn."""
IDLE: Final = 300.0
"""Seconds after which a silent peer's flow is forgotten; its next datagram makes a new one."""


_UNREACHABLE: Final = (errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH)


class UdpConfig(Config):
    """The TOML table ``[udp]``."""

    socket_buffer: Size = 4 << 20
    """Bytes asked of the operating system for each direction; it may grant less."""
    max_peers: int = 20_000
    """Peer addresses remembered per interface; a silent one makes room, first of those that nobody
    has logged on from."""


class UdpFlow(Flow):
    """The way to one address and port through an interface's socket."""

    __slots__ = ("_listener", "queued_in", "to")

    def __init__(self, listener: UdpListener, to: tuple[str, int], now: float) -> None:
        super().__init__(listener.interface, to[0], to[1], now, outbound=False)
        self.queued_in = now
        """When it had been heard last as it was put at the end of those that make room."""
        self._listener = listener
        self.to = to

    def send(self, data: bytes) -> bool:
        """Queue one datagram until the end of the batch.

        Sending them together wakes a sleeping receiver once instead of once per message, which
        is the dearest part of a send on the same machine.
        """
        if self.closed:
            return False
        listener = self._listener
        queued = listener.queued
        if not queued:
            listener.receiver.flush_later(listener.flush)
        queued.append((data, self))
        self.messages_out += 1
        return True

    def close(self, reason: str) -> None:
        """Forget the peer."""
        if not self.closed:
            self.closed = True
            self._listener.forget(self, reason)

    def overdue(self, now: float) -> str | None:
        """An address that has been silent long is forgotten."""
        return "idle" if now - self.last_in > IDLE else None


class UdpListener:
    """One bound socket and the flows behind it."""

    def __init__(
        self, interface: Interface, receiver: Receiver, sock: socket.socket, max_peers: int
    ) -> None:
        self.interface = interface
        self.receiver = receiver
        self.sock = sock
        self.max_peers = max_peers
        self.flows: dict[tuple[str, int], UdpFlow] = {}
        self._strangers: OrderedDict[UdpFlow, None] = OrderedDict()
        self._logged_on: OrderedDict[UdpFlow, None] = OrderedDict()
        """Both in the order in which they make room."""
        self.queued: list[tuple[bytes, UdpFlow]] = []
        self.lost = 0
        """Datagrams that found the socket's buffer full."""

    def flow(self, address: tuple[str, int]) -> UdpFlow:
        """The flow of a peer address, made when it is new."""
        found = self.flows.get(address)
        if found is None:
            if len(self.flows) >= self.max_peers:
                self._make_room()
            found = self.flows[address] = UdpFlow(self, address, self.receiver.now())
            self._strangers[found] = None
            self.receiver.opened(found)
        return found

    def _make_room(self) -> None:
        """Close a flow that has been silent since it was looked at last.

        Anybody can send from any number of forged addresses: these cost no search through all
        flows (SEC-19), and push out nobody who has logged on as long as there are others.
        """
        for waiting in (self._strangers, self._logged_on):
            while waiting:
                flow, _ = waiting.popitem(last=False)
                if flow.account and waiting is self._strangers:
                    self._logged_on[flow] = None
                elif flow.last_in > flow.queued_in:
                    flow.queued_in = flow.last_in
                    waiting[flow] = None
                else:
                    flow.close("too many peers")
                    return

    def flush(self) -> None:
        """Send what the batch has queued; a full buffer loses it, as the network might."""
        queued, self.queued = self.queued, []
        sendto = self.sock.sendto
        for data, flow in queued:
            try:
                sendto(data, flow.to)
            except BlockingIOError:
                self.lost += 1
            except OSError as error:
                if not self.read_errors():
                    # RFC 3261 §18.4: "the transport layer SHOULD inform the transport user".
                    flow.close(error.strerror or "cannot send")
                elif not flow.closed:
                    self._again(data, flow)

    def _again(self, data: bytes, flow: UdpFlow) -> None:
        """The error belonged to an earlier datagram; this one has not been sent yet."""
        try:
            self.sock.sendto(data, flow.to)
        except OSError:
            self.lost += 1

    def read_errors(self) -> bool:
        """Close the flows whose datagrams were answered by ICMP; False when there were none.

        RFC 3261 §18.4: host, network, port or protocol unreachable are told to the transport
        user, whose transactions then fail at once instead of after 32 seconds.
        """
        reports = take_reports(self.sock)
        for report in reports or ():
            flow = self.flows.get(report.to)
            if flow is not None and report.number in _UNREACHABLE:
                flow.close(os.strerror(report.number))
        return reports is not None

    def forget(self, flow: UdpFlow, reason: str) -> None:
        """A flow has ended."""
        self.flows.pop((flow.address, flow.port), None)
        self._strangers.pop(flow, None)
        self._logged_on.pop(flow, None)
        self.receiver.closed(flow, reason)

    async def serve(self) -> None:
        """Take what has arrived, up to BATCH datagrams at a time, until cancelled."""
        sock, receiver, flows = self.sock, self.receiver, self.flows
        recvfrom, datagram, wait = sock.recvfrom, receiver.datagram, trio.lowlevel.wait_readable
        while True:
            await wait(sock)
            receiver.batch_begins()
            try:
                for _ in range(BATCH):
                    data, address = recvfrom(65535)
                    flow = flows.get(address[:2] if len(address) > 2 else address)
                    if flow is None:
                        flow = self.flow((address[0].partition("%")[0], address[1]))
                    datagram(data, flow)
            except BlockingIOError:
                pass  # drained: the usual end of a batch
            except OSError as error:
                # What ICMP says of an earlier datagram comes up here as well.
                if not self.read_errors() and error.errno not in _UNREACHABLE:
                    raise
            receiver.batch_ends()

    def close(self) -> None:
        """End all flows and the socket."""
        for flow in list(self.flows.values()):
            flow.close("the interface was closed")
        self.sock.close()


class UdpTransport:
    """The transport ``udp``."""

    name = "udp"
    via = b"UDP"
    reliable = False
    secure = False
    default_port = 5060

    def __init__(self, config: UdpConfig) -> None:
        self._config = config
        self._listeners: dict[Interface, UdpListener] = {}

    async def listen(
        self,
        interface: Interface,
        receiver: Receiver,
        *,
        task_status: Bound = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Bind and serve. Raises OSError."""
        address = interface.listen_address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        listener = UdpListener(interface, receiver, sock, self._config.max_peers)
        try:
            sock.setblocking(False)
            size = self._config.socket_buffer
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            want_reports(sock)
            sock.bind((address, interface.port))
            self._listeners[interface] = listener
            task_status.started(sock.getsockname()[:2])
            await listener.serve()
        finally:
            self._listeners.pop(interface, None)
            listener.close()

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """UDP needs no connection: there always is a flow while the interface listens."""
        listener = self._listeners.get(interface)
        return None if listener is None else listener.flow((address, port))

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """The same as ``flow_to``. Raises OSError when the interface is down."""
        flow = self.flow_to(interface, hop.address, hop.port)
        if flow is None:
            raise OSError(f"interface {interface.name} is not listening")
        await trio.lowlevel.checkpoint()
        return flow


class Udp:
    """SIP over UDP."""

    Config = UdpConfig

    def __init__(self, config: UdpConfig, proxy: ProxyHandle) -> None:
        self._transport = UdpTransport(config)

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``udp``."""
        return [self._transport]
