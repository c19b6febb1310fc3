"""The transports ``udp`` and ``tcp`` of a kernel under test, on a network in memory."""

from __future__ import annotations

import errno
import math
from typing import TYPE_CHECKING

import trio

from sipx.flows import Flow
from sipx.plugin import Config, hookimpl
from sipx.streams import READ_SIZE, StreamFlow
from sipx.testing.network import Network

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trio.abc import Stream

    from sipx.identity import Partner
    from sipx.interfaces import Interface
    from sipx.plugin import Proxy
    from sipx.resolver import Hop
    from sipx.testing.carriers import Place
    from sipx.transport import Bound, Receiver, Transport


class MemoryDatagramFlow(Flow):
    """The way to one place through an interface."""

    __slots__ = ("_transport",)

    def __init__(self, transport: MemoryUdp, interface: Interface, to: Place, now: float) -> None:
        super().__init__(interface, to[0], to[1], now, outbound=False)
        self._transport = transport

    def send(self, data: bytes) -> bool:
        """Send one datagram."""
        source = self.interface.address
        if source is None or self.closed:
            return False
        self.messages_out += 1
        self._transport.network.datagram(data, source, (self.address, self.port))
        return True

    def close(self, reason: str) -> None:
        """Forget the peer."""
        if not self.closed:
            self.closed = True
            self._transport.forget(self, reason)


class MemoryUdp:
    """The transport ``udp`` of the kernel under test."""

    name = "udp"
    via = b"UDP"
    reliable = False
    secure = False
    default_port = 5060

    def __init__(self) -> None:
        self.network = Network()
        self._flows: dict[tuple[Interface, Place], MemoryDatagramFlow] = {}
        self._receivers: dict[Interface, Receiver] = {}

    async def listen(
        self,
        interface: Interface,
        receiver: Receiver,
        *,
        task_status: Bound,
    ) -> None:
        """Bind and serve. Raises OSError."""
        place = (interface.listen_address, interface.port or self.network.free_port())
        arriving = self.network.bind(place)
        self._receivers[interface] = receiver
        try:
            task_status.started(place)
            async for data, source in arriving:
                receiver.batch_begins()
                flow = self.flow_to(interface, *source)
                if flow is not None:
                    receiver.datagram(data, flow)
                receiver.batch_ends()
        finally:
            self.network.unbind(place)
            for flow in [f for (at, _), f in self._flows.items() if at is interface]:
                flow.close("the interface was closed")
            del self._receivers[interface]

    def forget(self, flow: MemoryDatagramFlow, reason: str) -> None:
        """A flow has ended."""
        self._flows.pop((flow.interface, (flow.address, flow.port)), None)
        self._receivers[flow.interface].closed(flow, reason)

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """There always is a flow while the interface listens."""
        receiver = self._receivers.get(interface)
        if receiver is None:
            return None
        key = (interface, (address, port))
        flow = self._flows.get(key)
        if flow is None:
            flow = MemoryDatagramFlow(self, interface, (address, port), receiver.now())
            self._flows[key] = flow
            receiver.opened(flow)
        return flow

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """The same as ``flow_to``. Raises OSError when the interface is down."""
        await trio.lowlevel.checkpoint()
        flow = self.flow_to(interface, hop.address, hop.port)
        if flow is None:
            raise OSError(errno.ENETDOWN, f"interface {interface.name} is not listening")
        return flow


class MemoryStreamFlow(StreamFlow):
    """One connection of the kernel under test."""

    __slots__ = ("_outbox", "_outgoing", "_scope", "_transport", "stream")

    def __init__(
        self,
        transport: MemoryTcp,
        interface: Interface,
        stream: Stream,
        place: Place,
        *,
        outbound: bool,
    ) -> None:
        receiver = transport.receivers[interface][0]
        super().__init__(interface, place[0], place[1], receiver, outbound=outbound)
        self.stream = stream
        self._transport = transport
        self._scope = trio.CancelScope()
        self._outbox, self._outgoing = trio.open_memory_channel[bytes](math.inf)

    def write(self, data: bytes) -> None:
        """The other end takes everything at once."""
        self._outbox.send_nowait(data)

    async def serve(self) -> None:
        """Read and write until either side ends it."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write)
                await self._read()
                nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            # What was written before the end still reaches the peer, as it does with TCP.
            while self._outgoing.statistics().current_buffer_used:
                await self.stream.send_all(self._outgoing.receive_nowait())
        await trio.aclose_forcefully(self.stream)

    async def _write(self) -> None:
        async for data in self._outgoing:
            try:
                with trio.CancelScope(shield=True):  # it never waits; closing must not lose it
                    await self.stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return

    async def _read(self) -> None:
        receiver = self.receiver
        while not self.closed:
            try:
                data = await self.stream.receive_some(READ_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if self.held_until > receiver.now():
                await trio.sleep(self.held_until - receiver.now())
            receiver.batch_begins()
            if not data:
                self.close("closed by the peer")
            elif not receiver.stream(bytes(data), self):
                self.flush()
                self.close("the peer broke the framing")
            receiver.batch_ends()

    def close(self, reason: str) -> None:
        """End the connection."""
        if not self.closed:
            self.closed = True
            self._scope.cancel()
            self._transport.forget(self, reason)


class MemoryTcp:
    """The transport ``tcp`` of the kernel under test."""

    name = "tcp"
    via = b"TCP"
    reliable = True
    secure = False
    default_port = 5060

    def __init__(self) -> None:
        self.network = Network()
        self.receivers: dict[Interface, tuple[Receiver, trio.Nursery]] = {}
        self._flows: dict[tuple[Interface, Place], MemoryStreamFlow] = {}

    async def listen(
        self,
        interface: Interface,
        receiver: Receiver,
        *,
        task_status: Bound,
    ) -> None:
        """Take connections until cancelled. Raises OSError."""
        place = (interface.listen_address, interface.port or self.network.free_port())

        def accept(stream: Stream, peer: Place) -> None:
            if receiver.admits(peer[0], interface) is None:
                self._begin(interface, stream, peer, outbound=False)
            else:
                nursery.start_soon(trio.aclose_forcefully, stream)

        self.network.listen(place, accept)
        try:
            async with trio.open_nursery() as nursery:
                self.receivers[interface] = (receiver, nursery)
                try:
                    task_status.started(place)
                    await trio.sleep_forever()
                finally:
                    for flow in [f for (at, _), f in self._flows.items() if at is interface]:
                        flow.close("the interface was closed")
        finally:
            self.network.deaf(place)
            self.receivers.pop(interface, None)

    def _begin(
        self, interface: Interface, stream: Stream, place: Place, *, outbound: bool
    ) -> MemoryStreamFlow:
        receiver, nursery = self.receivers[interface]
        flow = MemoryStreamFlow(self, interface, stream, place, outbound=outbound)
        self._flows[interface, place] = flow
        receiver.opened(flow)
        nursery.start_soon(flow.serve)
        return flow

    def forget(self, flow: MemoryStreamFlow, reason: str) -> None:
        """A connection has ended."""
        self._flows.pop((flow.interface, (flow.address, flow.port)), None)
        flow.receiver.closed(flow, reason)

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """The connection to or from this place, if there is one."""
        return self._flows.get((interface, (address, port)))

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """Open a connection. Raises OSError."""
        await trio.lowlevel.checkpoint()
        if interface not in self.receivers:
            raise OSError(errno.ENETDOWN, f"interface {interface.name} is not listening")
        stream = self.network.connect(interface.listen_address, (hop.address, hop.port))
        return self._begin(interface, stream, (hop.address, hop.port), outbound=True)


# ---------------------------------------------------------------- as plugins


class MemoryConfig(Config):
    """The TOML table ``[udp]`` or ``[tcp]`` of a kernel under test."""


class MemoryUdpPlugin:
    """Stands in for the plugin ``udp``."""

    Config = MemoryConfig

    def __init__(self, config: MemoryConfig, proxy: Proxy) -> None:
        self.transport = MemoryUdp()

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``udp``."""
        return [self.transport]


class MemoryTcpPlugin:
    """Stands in for the plugin ``tcp``."""

    Config = MemoryConfig

    def __init__(self, config: MemoryConfig, proxy: Proxy) -> None:
        self.transport = MemoryTcp()

    @hookimpl
    def transports(self) -> Iterable[Transport]:
        """``tcp``."""
        return [self.transport]
