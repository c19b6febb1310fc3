"""A network in memory: who listens where, and carriers for the peers of a kernel under test.

Nothing here touches a socket, so that time can be made to jump (``autojump_clock``), and what is
lost is what a test says (``Network.lose``).
"""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING, Final

import trio
import trio.testing

from sipx.sip import RemoteError, parse_datagram
from sipx.testing.carriers import Connections, Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.abc import Stream

    from sipx.testing.carriers import Deliver, TcpWire, Trouble, Wire

FIRST_PORT: Final = 40_000
"""Where port 0 and outgoing connections begin."""


class Network:
    """Who listens where. ``lose(data, source, to)`` returns True for a datagram to be lost."""

    def __init__(self) -> None:
        self.lose: Callable[[bytes, Place, Place], bool] | None = None
        self._inboxes: dict[Place, trio.MemorySendChannel[tuple[bytes, Place]]] = {}
        self._listeners: dict[Place, Callable[[Stream, Place], object]] = {}
        self._next_port = FIRST_PORT

    def free_port(self) -> int:
        """A port nobody has had."""
        self._next_port += 1
        return self._next_port

    def bind(self, place: Place) -> trio.MemoryReceiveChannel[tuple[bytes, Place]]:
        """Datagrams for ``place`` with their sources. Raises OSError when it is taken."""
        if place in self._inboxes:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        inbox, arriving = trio.open_memory_channel[tuple[bytes, Place]](math.inf)
        self._inboxes[place] = inbox
        return arriving

    def unbind(self, place: Place) -> None:
        """What comes for ``place`` is lost from now on."""
        self._inboxes.pop(place, None)

    def datagram(self, data: bytes, source: Place, to: Place) -> None:
        """Deliver, or lose, one datagram."""
        inbox = self._inboxes.get(to)
        if inbox is not None and (self.lose is None or not self.lose(data, source, to)):
            inbox.send_nowait((data, source))

    def listen(self, place: Place, accept: Callable[[Stream, Place], object]) -> None:
        """Hand connections to ``place`` to ``accept``. Raises OSError when it is taken."""
        if place in self._listeners:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self._listeners[place] = accept

    def deaf(self, place: Place) -> None:
        """Connections to ``place`` are refused from now on."""
        self._listeners.pop(place, None)

    def connect(self, host: str, to: Place) -> Stream:
        """A connection from ``host``. Raises OSError when nobody listens."""
        accept = self._listeners.get(to)
        if accept is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        near, far = trio.testing.memory_stream_pair()
        accept(far, (host, self.free_port()))
        return near


class MemoryUdpCarrier:
    """A peer's datagram socket; it receives from the moment it is made."""

    via = b"UDP"
    reliable = False

    def __init__(self, network: Network, place: Place) -> None:
        self.place = place
        self.network = network
        self._arriving = network.bind(place)

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Read datagrams until cancelled."""
        task_status.started()
        try:
            async for data, source in self._arriving:
                try:
                    message = parse_datagram(data)
                except RemoteError as error:
                    trouble(data, error)
                else:
                    deliver(message, MemoryWire(self, source))
        finally:
            self.network.unbind(self.place)

    async def wire_to(self, place: Place) -> Wire:
        """Datagrams need no connection."""
        await trio.lowlevel.checkpoint()
        return MemoryWire(self, place)


class MemoryWire:
    """An address behind a peer's datagram socket."""

    transport = "udp"
    reliable = False

    def __init__(self, carrier: MemoryUdpCarrier, place: Place) -> None:
        self.address, self.port = place
        self.carries_requests = False
        self._carrier = carrier

    def send(self, data: bytes) -> bool:
        """Send one datagram."""
        carrier = self._carrier
        carrier.network.datagram(data, carrier.place, (self.address, self.port))
        return True

    def same_peer(self, other: Wire) -> bool:
        """The same host."""
        return other.transport == "udp" and self.address == other.address


class MemoryTcpCarrier:
    """A peer's listening socket and its connections."""

    via = b"TCP"
    reliable = True

    def __init__(self, network: Network, place: Place) -> None:
        self.place = place
        self.network = network
        self._connections: Connections | None = None
        self._early: list[tuple[Stream, Place]] = []
        network.listen(place, self._accept)

    def _accept(self, stream: Stream, place: Place) -> None:
        if self._connections is None:
            self._early.append((stream, place))
        else:
            self._connections.begin(stream, place)

    async def serve(
        self,
        deliver: Deliver,
        trouble: Trouble,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Take connections until cancelled."""
        try:
            async with trio.open_nursery() as nursery:
                connections = self._connections = Connections(nursery, deliver, trouble)
                for stream, place in self._early:
                    connections.begin(stream, place)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self.network.deaf(self.place)

    async def wire_to(self, place: Place) -> TcpWire:
        """The connection to ``place``, opened when there is none. Raises OSError."""
        await trio.lowlevel.checkpoint()
        assert self._connections is not None, "the carrier is not serving"
        wire = self._connections.get(place)
        if wire is None:
            wire = self._connections.begin(self.network.connect(self.place[0], place), place)
        return wire
