"""SIP over TCP (RFC 3261 §18): connections taken and made, reused both ways, bounded."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Final

import trio

from sipx import (
    READ_SIZE,
    Bound,
    Config,
    Flow,
    Interface,
    Receiver,
    StreamFlow,
    Transport,
    hookimpl,
)
from sipx import Proxy as ProxyHandle

if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPTED_AT_ONCE: Final = 64
_OVERLOAD: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""What accept(2) says when the machine is short of something; it passes."""


class TcpConfig(Config):
    """The TOML table ``[tcp]``."""

    backlog: int = 1024
    """Connections that may wait to be accepted."""


class TcpFlow(StreamFlow):
    """One connection."""

    __slots__ = ("_listener", "_rest", "sock")

    def __init__(
        self,
        listener: TcpListener,
        sock: socket.socket,
        address: str,
        port: int,
        *,
        outbound: bool,
    ) -> None:
        super().__init__(listener.interface, address, port, listener.receiver, outbound=outbound)
        self.sock = sock
        self._listener = listener
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Hand the operating system what it takes; a task waits with the rest."""
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.close(error.strerror or "write failed")
            return
        if sent < len(data):
            self.waiting = True
            self._rest = data[sent:]
            self._listener.nursery.start_soon(self._drain)

    async def _drain(self) -> None:
        """Write the rest as the peer reads."""
        try:
            while self._rest:
                await trio.lowlevel.wait_writable(self.sock)
                try:
                    self._rest = self._rest[self.sock.send(self._rest) :]
                except BlockingIOError:
                    continue
        except trio.ClosedResourceError:
            return  # closed while waiting
        except OSError as error:
            self.close(error.strerror or "write failed")
            return
        self.waiting = False
        self.flush()

    async def serve(self) -> None:
        """Read until either side ends it."""
        sock, receiver = self.sock, self.receiver
        recv, wait = sock.recv, trio.lowlevel.wait_readable
        try:
            while not self.closed:
                await wait(sock)
                receiver.batch_begins()
                try:
                    data = recv(READ_SIZE)
                except BlockingIOError:
                    continue
                if not data:
                    self.close("closed by the peer")
                elif not receiver.stream(data, self):
                    self.flush()
                    self.close("the peer broke the framing")
                receiver.batch_ends()
        except trio.ClosedResourceError:
            return  # closed by this side while waiting
        except OSError as error:
            self.close(error.strerror or "read failed")
            receiver.batch_ends()

    def close(self, reason: str) -> None:
        """End the connection; who waits on it wakes up."""
        if self.closed:
            return
        self.closed = True
        trio.lowlevel.notify_closing(self.sock)
        self.sock.close()
        self._listener.forget(self, reason)


class TcpListener:
    """One listening socket and its connections, those that it opened itself among them."""

    def __init__(
        self, interface: Interface, receiver: Receiver, nursery: trio.Nursery, sock: socket.socket
    ) -> None:
        self.interface = interface
        self.receiver = receiver
        self.nursery = nursery
        self.sock = sock
        self.flows: set[TcpFlow] = set()
        self.by_peer: dict[tuple[str, int], TcpFlow] = {}

    def begin(self, sock: socket.socket, address: str, port: int, *, outbound: bool) -> TcpFlow:
        """A connection is there: make it a flow and read it."""
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        flow = TcpFlow(self, sock, address.partition("%")[0], port, outbound=outbound)
        self.flows.add(flow)
        self.by_peer[flow.address, port] = flow
        self.receiver.opened(flow)
        self.nursery.start_soon(flow.serve)
        return flow

    def forget(self, flow: TcpFlow, reason: str) -> None:
        """A connection has ended."""
        self.flows.discard(flow)
        if self.by_peer.get((flow.address, flow.port)) is flow:
            del self.by_peer[flow.address, flow.port]
        self.receiver.closed(flow, reason)

    async def accept(self) -> None:
        """Take connections until cancelled."""
        while True:
            await trio.lowlevel.wait_readable(self.sock)
            for _ in range(ACCEPTED_AT_ONCE):
                try:
                    sock, peer = self.sock.accept()
                except BlockingIOError:
                    break
                except OSError as error:
                    if error.errno in _OVERLOAD:
                        await trio.sleep(0.1)
                        break
                    if error.errno == errno.ECONNABORTED:
                        continue
                    raise
                if self.receiver.admits(peer[0]) is not None:
                    sock.close()
                    continue
                self.begin(sock, peer[0], peer[1], outbound=False)

    def close(self) -> None:
        """End all connections and the listening socket."""
        for flow in list(self.flows):
            flow.close("the interface was closed")
        self.sock.close()


class TcpTransport:
    """The transport ``tcp``."""

    name = "tcp"
    via = b"TCP"
    reliable = True
    secure = False
    default_port = 5060

    def __init__(self, config: TcpConfig) -> None:
        self._config = config
        self._listeners: dict[Interface, TcpListener] = {}

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
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, interface.port))
            sock.listen(self._config.backlog)
            async with trio.open_nursery() as nursery:
                listener = TcpListener(interface, receiver, nursery, sock)
                self._listeners[interface] = listener
                try:
                    task_status.started(sock.getsockname()[:2])
                    await listener.accept()
                finally:
                    self._listeners.pop(interface, None)
                    listener.close()
                    nursery.cancel_scope.cancel()

    def flow_to(self, interface: Interface, address: str, port: int) -> Flow | None:
        """The connection to this peer, if there is one."""
        listener = self._listeners.get(interface)
        return None if listener is None else listener.by_peer.get((address, port))

    async def connect(self, interface: Interface, address: str, port: int) -> Flow:
        """Open a connection from the interface's address. Raises OSError."""
        listener = self._listeners.get(interface)
        if listener is None:
            raise OSError(f"interface {interface.name} is not listening")
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = trio.socket.socket(family, socket.SOCK_STREAM)
        try:
            if not interface.wildcard:
                await sock.bind((interface.listen_address, 0))
            await sock.connect((address, port))
            plain = socket.socket(fileno=sock.detach())
        except BaseException:
            sock.close()
            raise
        return listener.begin(plain, address, port, outbound=True)


class Tcp:
    """The plugin."""

    Config = TcpConfig

    def __init__(self, config: TcpConfig, proxy: ProxyHandle) -> None:
        self._transport = TcpTransport(config)

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``tcp``."""
        return [self._transport]
