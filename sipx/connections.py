"""Connections over sockets, as the transports TCP and TLS drive them (RFC 3261 §18).

A transport subclasses `StreamTransport`, and `Connection` where bytes are not messages yet. What
is the same for all of them stands here: listening, accepting under the caps of SEC-15, connecting
from the interface's address, reading in batches, writing without waiting.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, ClassVar, Final

import trio

from sipx.streams import READ_SIZE, StreamFlow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sipx.flows import Flow
    from sipx.identity import Partner
    from sipx.interfaces import Interface
    from sipx.resolver import Hop
    from sipx.transport import Bound, Receiver

ACCEPTED_AT_ONCE: Final = 64
SLICE: Final = 2048
"""Bytes of a peer that was held which are read before others get their turn."""
_OVERLOAD: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
"""What accept(2) says when the machine is short of something; it passes."""


class Connection(StreamFlow):
    """One connection. A subclass that does not read messages as they come overrides `read` and
    `write`.
    """

    __slots__ = ("_rest", "keys", "listener", "sock")

    def __init__(
        self,
        listener: Listener,
        sock: socket.socket,
        address: str,
        port: int,
        *,
        outbound: bool,
    ) -> None:
        super().__init__(listener.interface, address, port, listener.receiver, outbound=outbound)
        self.sock = sock
        self.listener = listener
        self.keys: list[tuple[object, ...]] = []
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Messages, joined: they go out as they are."""
        self.put(data)

    def read(self, data: bytes) -> bool:
        """Bytes came in; False: the connection is to be closed."""
        if self.receiver.stream(data, self):
            return True
        self.flush()
        self.close("the peer broke the framing")
        return False

    def put(self, data: bytes) -> None:
        """Hand the operating system what it takes; a task waits with the rest."""
        if self.waiting:
            self._rest += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.broke(error.strerror or "write failed")
            return
        if sent < len(data):
            self.waiting = True
            self._rest = data[sent:]
            self.listener.nursery.start_soon(self.listener.guard, self._drain, self)

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
            self.broke(error.strerror or "write failed")
            return
        self.waiting = False
        self.flush()

    def broke(self, reason: str) -> None:
        """The peer does not take any more."""
        self.close(reason)

    async def serve(self) -> None:
        """Read until either side ends it."""
        sock, receiver = self.sock, self.receiver
        recv, wait = sock.recv, trio.lowlevel.wait_readable
        try:
            while not self.closed:
                if self.held_until:
                    await self._held()
                    continue
                await wait(sock)
                if self.held_until:
                    continue
                receiver.batch_begins()
                try:
                    data = recv(READ_SIZE)
                except BlockingIOError:
                    continue
                if data:
                    if self.was_held and len(data) > SLICE:
                        await self._in_slices(data)
                    else:
                        self.read(data)
                else:
                    self.close("closed by the peer")
                receiver.batch_ends()
        except trio.ClosedResourceError:
            return  # closed by this side while waiting
        except OSError as error:
            self.close(error.strerror or "read failed")
            receiver.batch_ends()

    async def _in_slices(self, data: bytes) -> None:
        """What a held peer has piled up delays nobody else: others get their turn in between."""
        receiver = self.receiver
        for start in range(0, len(data), SLICE):
            if not self.closed:
                self.read(data[start : start + SLICE])
                receiver.batch_ends()
                await trio.lowlevel.checkpoint()
                receiver.batch_begins()

    async def _held(self) -> None:
        """Let what the peer sends wait, first in our machine's buffers, then in its own."""
        await trio.sleep(max(self.held_until - self.receiver.now(), 0.0))
        if self.held_until <= self.receiver.now():
            self.held_until = 0.0

    def close(self, reason: str) -> None:
        """End the connection; who waits on it wakes up."""
        if self.closed:
            return
        self.closed = True
        trio.lowlevel.notify_closing(self.sock)
        self.sock.close()
        self.listener.forget(self, reason)


class Listener:
    """One listening socket and its connections, those that it opened itself among them.

    ``pool`` finds a connection again by the key that the transport gave it.
    """

    connection: ClassVar[type[Connection]] = Connection

    def __init__(
        self, interface: Interface, receiver: Receiver, nursery: trio.Nursery, sock: socket.socket
    ) -> None:
        self.interface = interface
        self.receiver = receiver
        self.nursery = nursery
        self.sock = sock
        self.flows: set[Connection] = set()
        self.pool: dict[tuple[object, ...], Connection] = {}

    def welcome(self, sock: socket.socket, address: str, port: int) -> None:
        """A connection was accepted."""
        self.begin(self.connection(self, sock, address, port, outbound=False), (address, port))

    def begin(self, flow: Connection, *keys: tuple[object, ...]) -> None:
        """The connection can carry messages: read it, and find it by these keys from now on."""
        self.flows.add(flow)
        for key in keys:
            self.name(flow, key)
        self.receiver.opened(flow)
        self.nursery.start_soon(self.guard, flow.serve, flow)

    async def guard(self, fn: Callable[[], Awaitable[None]], flow: Connection) -> None:
        """Run a task of one connection: whatever it raises costs this connection alone."""
        try:
            await fn()
        except Exception as error:
            flow.close("internal error")
            self.receiver.bug(error, f"serving {flow.name}")

    def name(self, flow: Connection, key: tuple[object, ...]) -> None:
        """From now on the pool leads from this key to this connection."""
        self.pool[key] = flow
        flow.keys.append(key)

    def forget(self, flow: Connection, reason: str) -> None:
        """A connection has ended."""
        self.flows.discard(flow)
        for key in flow.keys:
            if self.pool.get(key) is flow:
                del self.pool[key]
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
                if self.receiver.admits(peer[0], self.interface) is not None:
                    sock.close()
                    continue
                _prepare(sock)
                self.welcome(sock, peer[0].partition("%")[0], peer[1])

    def close(self) -> None:
        """End all connections and the listening socket."""
        for flow in list(self.flows):
            flow.close("the interface was closed")
        self.sock.close()


class StreamTransport:
    """A transport over connections (sipx.transport.Transport). ``backlog``: connections that may
    wait to be accepted.
    """

    name = "tcp"
    via = b"TCP"
    reliable = True
    secure = False
    default_port = 5060
    listener: ClassVar[type[Listener]] = Listener

    def __init__(self, backlog: int) -> None:
        self._backlog = backlog
        self._listeners: dict[Interface, Listener] = {}

    def prepare(self, interface: Interface) -> None:
        """Before the port is bound: what else the interface needs. Raises OSError."""

    async def listen(
        self,
        interface: Interface,
        receiver: Receiver,
        *,
        task_status: Bound = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Bind and serve. Raises OSError."""
        self.prepare(interface)
        address = interface.listen_address
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address, interface.port))
            sock.listen(self._backlog)
            async with trio.open_nursery() as nursery:
                listener = self.make_listener(interface, receiver, nursery, sock)
                self._listeners[interface] = listener
                try:
                    task_status.started(sock.getsockname()[:2])
                    await listener.accept()
                finally:
                    self._listeners.pop(interface, None)
                    listener.close()
                    nursery.cancel_scope.cancel()

    def make_listener(
        self, interface: Interface, receiver: Receiver, nursery: trio.Nursery, sock: socket.socket
    ) -> Listener:
        """The listener of an interface; it has the socket."""
        return self.listener(interface, receiver, nursery, sock)

    def listener_of(self, interface: Interface) -> Listener:
        """The listener of an interface that is up. Raises OSError."""
        listener = self._listeners.get(interface)
        if listener is None:
            raise OSError(f"interface {interface.name} is not listening")
        return listener

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """The connection to this peer, if there is one."""
        listener = self._listeners.get(interface)
        return None if listener is None else listener.pool.get((address, port))

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """Open a connection from the interface's address. Raises OSError."""
        listener = self.listener_of(interface)
        sock = await open_socket(interface, hop.address, hop.port)
        flow = listener.connection(listener, sock, hop.address, hop.port, outbound=True)
        listener.begin(flow, (hop.address, hop.port))
        return flow


async def open_socket(interface: Interface, address: str, port: int) -> socket.socket:
    """A connected socket, its near end at the interface's address. Raises OSError."""
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
    _prepare(plain)
    return plain


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
