"""What carries the messages of a testing user agent: UDP and TCP sockets on this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import trio

from sipx.sip import KeepAlive, RemoteError, Request, Response, StreamParser, parse_datagram

if TYPE_CHECKING:
    from trio.abc import Stream

Place = tuple[str, int]
"""A numeric address and a port."""

PONG: Final = b"\r\n"


class Wire(Protocol):
    """One way to one place: a connection, or an address behind a datagram socket."""

    transport: str
    address: str
    port: int
    reliable: bool
    carries_requests: bool

    def send(self, data: bytes) -> bool:
        """Send one message; False when the wire is dead."""
        ...

    def same_peer(self, other: Wire) -> bool:
        """Whether a response from ``other`` may answer a request that went out here."""
        ...


Deliver = Callable[[Request | Response, Wire], None]
Trouble = Callable[[bytes, RemoteError], None]


class Carrier(Protocol):
    """Listens at one place and leads to others. ``via`` is what stands in a Via header."""

    via: bytes
    reliable: bool
    place: Place

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen until cancelled; ``place`` is known when ``started()`` has been called."""
        ...

    async def wire_to(self, place: Place) -> Wire:
        """A wire to a place, made when there is none. Raises OSError."""
        ...


class UdpWire:
    """An address behind our socket."""

    transport = "udp"
    reliable = False

    def __init__(self, sock: socket.socket, place: Place) -> None:
        self.address, self.port = place
        self.carries_requests = False
        self._sock = sock

    def send(self, data: bytes) -> bool:
        """Send one datagram; a full buffer loses it, as the network might."""
        try:
            self._sock.sendto(data, (self.address, self.port))
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True

    def same_peer(self, other: Wire) -> bool:
        """The same host."""
        return other.transport == "udp" and self.address == other.address


class UdpCarrier:
    """A UDP socket. ``bind`` is a numeric address; port 0 takes a free one."""

    via = b"UDP"
    reliable = False

    def __init__(self, bind: str = "127.0.0.1", port: int = 0) -> None:
        self.place: Place = (bind, port)
        self._wires: dict[Place, UdpWire] = {}
        self._sock: socket.socket | None = None

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Read datagrams until cancelled. Raises OSError when the address cannot be bound."""
        family = socket.AF_INET6 if ":" in self.place[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            sock.bind(self.place)
            self.place = sock.getsockname()[:2]
            self._sock = sock
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(sock)
                self._drain(sock, deliver, trouble)

    def _drain(self, sock: socket.socket, deliver: Deliver, trouble: Trouble) -> None:
        while True:
            try:
                data, source = sock.recvfrom(65535)
            except BlockingIOError:
                return
            except ConnectionError:
                continue  # an ICMP error of an earlier datagram
            wire = self._wire((source[0], source[1]))
            try:
                message = parse_datagram(data)
            except RemoteError as error:
                if data.strip(b"\r\n\0"):
                    trouble(data, error)
                continue
            deliver(message, wire)

    def _wire(self, place: Place) -> UdpWire:
        assert self._sock is not None, "the carrier is not serving"
        wire = self._wires.get(place)
        if wire is None:
            wire = self._wires[place] = UdpWire(self._sock, place)
        return wire

    async def wire_to(self, place: Place) -> UdpWire:
        """UDP needs no connection."""
        await trio.lowlevel.checkpoint()
        return self._wire(place)


class TcpWire:
    """A connection; what is sent waits in a queue for the task that writes."""

    reliable = True

    def __init__(self, stream: Stream, place: Place, transport: str = "tcp") -> None:
        self.transport = transport
        self.address, self.port = place
        self.carries_requests = False
        self.stream = stream
        self._queue, self._queued = trio.open_memory_channel[bytes](1000)

    def send(self, data: bytes) -> bool:
        """Queue one message; False when the connection has ended or its peer does not read."""
        try:
            self._queue.send_nowait(data)
        except (trio.WouldBlock, trio.BrokenResourceError, trio.ClosedResourceError):
            return False
        return True

    def same_peer(self, other: Wire) -> bool:
        """The same host: a response may come on a new connection (RFC 3261 §18.2.2)."""
        return other.transport == self.transport and self.address == other.address

    async def write(self) -> None:
        """Write what is queued, until the connection ends."""
        try:
            async with self._queued:
                async for data in self._queued:
                    await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def read(self, deliver: Deliver, trouble: Trouble) -> None:
        """Read messages until either side ends the connection."""
        parser = StreamParser()
        async with self.stream:
            while not parser.failed:
                try:
                    data = bytes(await self.stream.receive_some())
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
                if not data:
                    break
                for item in parser.feed(data):
                    if isinstance(item, RemoteError):
                        trouble(data, item)
                    elif item is KeepAlive.PING:
                        self.send(PONG)
                    elif not isinstance(item, KeepAlive):
                        deliver(item, self)
        self._queue.close()


class Connections:
    """The connections of a carrier, each with a task that reads and one that writes."""

    def __init__(
        self, nursery: trio.Nursery, deliver: Deliver, trouble: Trouble, transport: str = "tcp"
    ) -> None:
        self.nursery = nursery
        self._transport = transport
        self._deliver = deliver
        self._trouble = trouble
        self._wires: dict[Place, TcpWire] = {}

    def get(self, place: Place) -> TcpWire | None:
        """The connection to or from a place, if there is one."""
        return self._wires.get(place)

    def begin(self, stream: Stream, place: Place) -> TcpWire:
        """A connection is there: read and write it."""
        wire = self._wires[place] = TcpWire(stream, place, self._transport)
        self.nursery.start_soon(self._run, wire, place)
        return wire

    async def _run(self, wire: TcpWire, place: Place) -> None:
        async with trio.open_nursery() as own:
            own.start_soon(wire.write)
            await wire.read(self._deliver, self._trouble)
            own.cancel_scope.cancel()
        if self._wires.get(place) is wire:
            del self._wires[place]


class TcpCarrier:
    """A listening TCP socket and connections both ways, reused (RFC 3261 §18)."""

    via = b"TCP"
    reliable = True

    def __init__(self, bind: str = "127.0.0.1", port: int = 0) -> None:
        self.place: Place = (bind, port)
        self._connecting = trio.Lock()
        self._connections: Connections | None = None

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take connections until cancelled. Raises OSError when the address cannot be bound."""
        (listener,) = await trio.open_tcp_listeners(self.place[1], host=self.place[0])
        self.place = listener.socket.getsockname()[:2]
        async with listener, trio.open_nursery() as nursery:
            transport = self.via.decode().lower()
            connections = self._connections = Connections(nursery, deliver, trouble, transport)
            task_status.started()
            while True:
                stream = await listener.accept()
                try:
                    peer = stream.socket.getpeername()
                except OSError:
                    await trio.aclose_forcefully(stream)  # gone before we looked
                    continue
                await self.welcome(connections, stream, (peer[0], peer[1]))

    async def welcome(self, connections: Connections, stream: Stream, peer: Place) -> None:
        """A connection was accepted."""
        connections.begin(stream, peer)

    async def secured(self, stream: Stream, place: Place) -> Stream:
        """A connection that was opened, as messages will pass over it. Raises OSError."""
        return stream

    async def wire_to(self, place: Place) -> TcpWire:
        """The connection to ``place``, opened when there is none. Raises OSError."""
        assert self._connections is not None, "the carrier is not serving"
        async with self._connecting:
            wire = self._connections.get(place)
            if wire is not None:
                return wire
            stream = await trio.open_tcp_stream(place[0], place[1], local_address=self.place[0])
            return self._connections.begin(await self.secured(stream, place), place)
