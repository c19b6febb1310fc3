"""Listeners: one task per enabled interface, started last, stopped first (docs/architecture.md).

A listener that fails is tried again and again, and the others are not concerned. One that is to
go stops taking what is new, lets what is under way finish, and then closes its connections.
"""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

import trio

from sipx.errors import StartError
from sipx.interfaces import Interface, Interfaces, Status, machine_addresses
from sipx.public_address import PublicAddress
from sipx.supervision import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.config.model import InterfaceConfig, KernelConfig
    from sipx.hooks import Hooks
    from sipx.plugin import InterfaceRequest
    from sipx.transactions import Transactions
    from sipx.transport import Receiver

log = logging.getLogger("sipx.kernel")

WATCH_ADDRESSES: Final = 5.0
"""Seconds between two looks at the machine's addresses."""
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 60.0
"""Seconds until a listener that failed is tried again: 1, 2, 4 ... 60."""
PATIENCE: Final = 20.0
"""Seconds that a transport may take to bind before others are not kept waiting any more."""
_SHIPPED: Final = {"udp": "udp", "tcp": "tcp", "tls": "tls", "mtls": "tls"}
"""The shipped plugin that brings a protocol."""
ADDRESS_GONE: Final = "its address is not on this machine any more"


# ---------------------------------------------------------------- from the configuration


def _unknown(protocol: str, transports: Iterable[str]) -> str:
    """What is missing where an interface wants a protocol that is not there."""
    known = ", ".join(sorted(transports)) or "none"
    plugin = _SHIPPED.get(protocol)
    command = f": `sipx plugins enable {plugin}`" if plugin else ""
    return (
        f"no enabled plugin brings the protocol {protocol!r} (there are: {known}); list the plugin "
        f"in `plugins`, or switch it on again{command}"
    )


def interfaces_of(config: KernelConfig, hooks: Hooks) -> list[Interface]:
    """The interfaces of the file, then those that plugins add. Raises StartError."""
    transports = {transport.name: transport for transport in hooks.transports()}
    wan = config.wan
    default = (wan.certificate,) if wan.certificate else ()
    found: list[Interface] = []
    for name, table in config.interface.items():
        transport = transports.get(table.protocol)
        if transport is None:
            if not table.enabled:
                continue
            raise StartError(f"interface.{name}: {_unknown(table.protocol, transports)}")
        found.append(
            Interface(
                name,
                table.bind,
                table.port,
                transport,
                table.role,
                table.enabled,
                public=_public(config, table),
                certificates=table.certificate or default,
                client_certificate=table.client_certificate,
                eku=table.eku_policy,
            )
        )
    for request in hooks.interfaces():
        transport = transports.get(request.protocol)
        if transport is None:
            said = _unknown(request.protocol, transports)
            raise StartError(f"interface {request.name!r} of a plugin: {said}")
        own = (request.certificate,) if request.certificate else default
        found.append(
            Interface(
                request.name,
                request.bind,
                request.port,
                transport,
                request.role,
                public=_public(config, request),
                certificates=own,
            )
        )
    return found


def _public(
    config: KernelConfig, table: InterfaceConfig | InterfaceRequest
) -> PublicAddress | None:
    """What an interface is to be advertised as: towards the LAN only what it names itself."""
    wan = config.wan
    if isinstance(table.advertise, PublicAddress):
        return table.advertise
    if not (wan.use_public_address and table.advertise and table.role == "wan"):
        return None
    return PublicAddress(wan.public_address, wan.public_port)


# ---------------------------------------------------------------- running


class _Running:
    """The task of one interface: ``whole`` ends it, ``attempt`` makes it begin anew, ``draining``
    ends the waiting for what is under way.
    """

    def __init__(self) -> None:
        self.whole = trio.CancelScope()
        self.attempt = trio.CancelScope()
        self.draining = trio.CancelScope()
        self.tried = trio.Event()
        self.ended = trio.Event()


class Listeners:
    """The listeners of the interfaces. ``changed`` is called when one is bound or lost.

    ``addresses_changed`` is told of the addresses that this machine has when they are others;
    ``on_failure`` of what a transport raises that is no OSError.
    """

    def __init__(
        self,
        interfaces: Interfaces,
        receiver: Receiver,
        transactions: Transactions,
        *,
        changed: Callable[[], None],
        addresses_changed: Callable[[frozenset[str]], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._interfaces = interfaces
        self._receiver = receiver
        self._transactions = transactions
        self._changed = changed
        self._addresses_changed = addresses_changed
        self._on_failure = on_failure
        self._running: dict[Interface, _Running] = {}
        self._nursery: trio.Nursery | None = None

    @property
    def running(self) -> bool:
        """Whether they are started at all: not while the proxy service is stopped."""
        return self._nursery is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen on every enabled interface; ``started()`` when each was tried."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._watch_addresses)
                for interface in tuple(self._interfaces.all):
                    if interface.enabled:
                        await self.start(interface)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._nursery = None
            self._running.clear()
            # Those that were about to go are gone; nobody starts them again.
            self._interfaces.all[:] = [i for i in self._interfaces.all if not i.draining]
            for interface in self._interfaces.all:
                interface.ended()
            self._changed()

    def has(self, interface: Interface) -> bool:
        """Whether it listens, or tries to."""
        return interface in self._running

    def ends(self, interface: Interface) -> bool:
        """Whether it is being closed: nothing can keep it any more."""
        running = self._running.get(interface)
        return running is not None and running.whole.cancel_called

    async def start(self, interface: Interface) -> None:
        """Try to listen; what came of it stands in the interface's status and reason.

        A transport that does not say within PATIENCE goes on trying, and nobody waits for it.
        """
        assert self._nursery is not None
        running = self._running[interface] = _Running()
        self._nursery.start_soon(self._run, interface, running)
        with trio.move_on_after(PATIENCE):
            await running.tried.wait()

    async def resume(self, interface: Interface) -> None:
        """Let an interface listen that was closed, or is about to be."""
        running = self._running.get(interface)
        if running is not None and not running.whole.cancel_called:
            self.revive(interface)
            return
        if running is not None:
            await running.ended.wait()
        if self._nursery is not None:
            await self.start(interface)

    async def end(self, interface: Interface) -> None:
        """Close an interface and its connections now."""
        running = self._running.get(interface)
        if running is not None:
            running.whole.cancel()
            running.draining.cancel()
            await running.ended.wait()

    async def drain(self, interface: Interface, patience: float) -> None:
        """Take nothing new, wait ``patience`` seconds at most for what is under way, then close."""
        await self._finish(interface, self._turn_away(interface), patience)

    def drain_aside(self, interface: Interface, patience: float) -> None:
        """The same in a task of its own; then the interface leaves the list."""
        assert self._nursery is not None
        draining = self._turn_away(interface)
        self._nursery.start_soon(self._finish_and_forget, interface, draining, patience)

    def _turn_away(self, interface: Interface) -> trio.CancelScope:
        interface.draining = True
        draining = self._running[interface].draining = trio.CancelScope()
        self._changed()
        return draining

    async def _finish(
        self, interface: Interface, draining: trio.CancelScope, patience: float
    ) -> bool:
        """False when ``revive`` came before the end."""
        running = self._running.get(interface)
        if running is None:
            return True
        with draining, trio.move_on_after(patience):
            # The hot path tells nobody when it has finished; who waits can look.
            while not self._transactions.idle(interface):  # noqa: ASYNC110
                await trio.sleep(self._transactions.until_next_look())
        if draining.cancel_called and not running.whole.cancel_called:
            return False
        await self.end(interface)
        return True

    async def _finish_and_forget(
        self, interface: Interface, draining: trio.CancelScope, patience: float
    ) -> None:
        finished = await self._finish(interface, draining, patience)
        if finished and interface in self._interfaces.all:
            self._interfaces.all.remove(interface)
            self._changed()

    def revive(self, interface: Interface) -> None:
        """An interface that was about to go stays after all."""
        interface.draining = False
        self._running[interface].draining.cancel()
        self._changed()

    def address_lost(self, interface: Interface) -> None:
        """Begin anew: what the interface is bound to has left this machine."""
        self._running[interface].attempt.cancel()

    async def _run(self, interface: Interface, running: _Running) -> None:
        try:
            with running.whole:
                await self._keep_listening(interface, running)
        finally:
            running.tried.set()
            running.ended.set()
        del self._running[interface]
        interface.ended()
        self._changed()

    async def _keep_listening(self, interface: Interface, running: _Running) -> None:
        """Listen, and try again when that fails; the others are not concerned."""
        retry = FIRST_RETRY
        bound = _Bound(interface, self._changed, running.tried)
        while True:
            interface.status = Status.STARTING if interface.reason == "" else Status.FAILED
            with trio.CancelScope() as running.attempt:
                try:
                    await interface.transport.listen(interface, self._receiver, task_status=bound)
                    reason = "the listener ended"
                except OSError as error:
                    reason = error.strerror or str(error)
                except Exception as error:
                    log.exception("transport of interface %s failed", interface.name)
                    reason = describe(error)
                    self._on_failure(error)
            if running.attempt.cancelled_caught:
                reason = ADDRESS_GONE
            if bound.ready:
                retry = FIRST_RETRY
            bound.ready = False
            if interface.reason != reason:
                log.warning(
                    "interface %s: %s; trying again",
                    interface.name,
                    reason,
                    extra={"interface": interface.name},
                )
            interface.failed(reason)
            self._changed()
            running.tried.set()
            await trio.sleep(retry)
            retry = min(2 * retry, LONGEST_RETRY)

    async def _watch_addresses(self) -> None:
        """An interface whose address has left the machine is shown as failed, and tried again."""
        known = _machine()
        while True:
            await trio.sleep(WATCH_ADDRESSES)
            present = _machine()
            for interface in self._interfaces.listening():
                if interface.wildcard or interface.listen_address.startswith("127."):
                    continue
                if interface.listen_address not in present:
                    self.address_lost(interface)
            if present != known:
                known = present
                self._addresses_changed(present)


def _machine() -> frozenset[str]:
    """Both families."""
    return frozenset((*machine_addresses(socket.AF_INET), *machine_addresses(socket.AF_INET6)))


class _Bound:
    """What a transport reports to: notes the address, and that the interface has been tried."""

    def __init__(
        self, interface: Interface, changed: Callable[[], None], tried: trio.Event
    ) -> None:
        self._interface = interface
        self._changed = changed
        self._tried = tried
        self.ready = False

    def started(self, value: tuple[str, int]) -> None:
        """The listener is bound to ``value``."""
        self.ready = True
        self._interface.bound(value)
        self._changed()
        log.info(
            "interface %s: listening on %s port %d (%s)",
            self._interface.name,
            value[0],
            value[1],
            self._interface.protocol,
            extra={"interface": self._interface.name},
        )
        self._tried.set()
