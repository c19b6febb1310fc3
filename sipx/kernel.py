"""The kernel: the nesting of nurseries is the life cycle.

process     services of plugins                                   up first, down last
  proxy     [start and stop of the proxy service act here]
    transactions   parked requests, timers
      listeners    one per enabled interface, started last, stopped first

Nobody keeps a "state" by hand: what is inside a nursery runs, and leaving it ends it.
"""

from __future__ import annotations

import logging
import random
import secrets
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import trio

from sipx.certificates import LOOK, CertificateStore
from sipx.cookies import Cookies
from sipx.edge import Edge
from sipx.errors import StartError
from sipx.flows import FlowTable
from sipx.forwarding import Forwarder
from sipx.handle import PluginHandle
from sipx.interfaces import Interface, Interfaces, Status, host_port, machine_addresses
from sipx.journal import Journal
from sipx.lookup import DnsSettings
from sipx.paths import SECURED, NoHop, Paths, same_peer_as
from sipx.plugin import StreamLimits, Target
from sipx.proxy import ProxyCore
from sipx.resolver import Hop, Resolver
from sipx.sip.parser import parse_datagram
from sipx.sip.timers import TICK, Timers, TimerSettings
from sipx.state import cookie_keys, state_directory
from sipx.supervision import ServiceState, describe, supervise
from sipx.tls import Tls
from sipx.transactions import Transactions
from sipx.troubles import Troubles
from sipx.useragent import UserAgentClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sipx.config.load import Settings
    from sipx.config.model import KernelConfig
    from sipx.events import Fault
    from sipx.flows import Flow
    from sipx.identity import Partner
    from sipx.registry import Registry

log = logging.getLogger("sipx.kernel")

SWEEP: Final = 1.0
"""Seconds between two looks at the deadlines of flows."""
WATCH_ADDRESSES: Final = 5.0
"""Seconds between two looks at the machine's addresses."""
FIRST_RETRY: Final = 1.0
LONGEST_RETRY: Final = 60.0
"""Seconds until a listener that failed is tried again: 1, 2, 4 ... 60."""


class Kernel:
    """One proxy process. ``run`` lasts as long as the process should.

    ``clock`` is monotonic seconds, ``wall`` seconds since 1970. ``forgive`` is False in tests:
    then a fault of a plugin or a bug of ours ends the run.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        *,
        clock: Callable[[], float] = trio.current_time,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        timer_settings: TimerSettings | None = None,
        forgive: bool = True,
    ) -> None:
        self.settings = settings
        self.config: KernelConfig = settings.kernel
        self.clock = clock
        self.rng = rng or random.Random(secrets.randbits(128))
        self.forgive = forgive
        limits = self.config.limits
        self.state_directory = state_directory(self.config.service.state_dir)
        self.domains = frozenset(domain.encode() for domain in self.config.domains)
        self.timers = Timers()
        self.transactions = Transactions(
            timer_settings or TimerSettings(), self.timers, limit=limits.max_transactions
        )
        self.flows = FlowTable()
        self.interfaces = Interfaces([])
        dns = self.config.dns
        self.resolver = Resolver(
            DnsSettings(
                tuple(host_port(s.host, s.port).decode() for s in dns.servers),
                timeout=dns.timeout,
                cache_max_ttl=dns.cache_max_ttl,
            ),
            clock=clock,
            rng=self.rng,
        )
        self.troubles = Troubles(clock)
        self.paths = Paths(
            self.interfaces,
            self.resolver,
            clock,
            connect_timeout=limits.connect_timeout,
            trouble=self.troubles.note,
            networks=self.config.trust.networks,
        )
        self.hooks = registry.start(settings, self._handle)
        self.journal = Journal(self.hooks, clock)
        self.certificates = CertificateStore(
            self.config, self.hooks.partners(), wall=wall, trouble=self.troubles.note
        )
        self.tls = Tls(self.certificates, wall)
        self.edge = Edge(
            clock=clock,
            limits=limits.messages(),
            stream_limits=StreamLimits(
                first_message=limits.first_message_timeout,
                head=limits.head_timeout,
                body=limits.body_timeout,
                idle=limits.idle_timeout,
                keepalive=limits.keepalive,
                handshake=limits.handshake_timeout,
                write_queue=limits.write_queue,
            ),
            max_connections=limits.max_connections,
            max_connections_per_address=limits.max_connections_per_address,
            flows=self.flows,
            transactions=self.transactions,
            hooks=self.hooks,
            journal=self.journal,
            troubles=self.troubles,
        )
        self.user_agent = UserAgentClient(
            self.transactions, self.paths, self.rng, self.edge.batch_begins, self.edge.batch_ends
        )
        cookies = Cookies(cookie_keys(self.state_directory), wall)
        self.proxy = ProxyCore(
            domains=self.domains,
            hooks=self.hooks,
            interfaces=self.interfaces,
            transactions=self.transactions,
            cookies=cookies,
            journal=self.journal,
            forwarder=Forwarder(
                hooks=self.hooks,
                paths=self.paths,
                cookies=cookies,
                timers=self.timers,
                journal=self.journal,
                park=self.park,
                batch_begins=self.edge.batch_begins,
                batch_ends=self.edge.batch_ends,
                sequence=self.rng.getrandbits(48),
                udp_request_size=limits.udp_request_size,
            ),
            park=self.park,
            partners=self.certificates.partners,
        )
        self.transactions.user = self.proxy
        self.transactions.reopen = self._answer_on_a_new_connection
        self.interfaces.all += self._configured_interfaces()
        self.services: list[ServiceState] = []
        self.watchers: list[Callable[[str, object], None]] = []
        self._parked = 0
        self._parking: trio.Nursery | None = None
        self._scopes: dict[Interface, trio.CancelScope] = {}
        self._stop = trio.Event()
        if not forgive:
            self.journal.on_fault = self._unforgiven
            self.edge.on_bug = self._unforgiven_bug

    # ------------------------------------------------------------ what plugins hold

    def _handle(self, name: str) -> PluginHandle:
        return PluginHandle(self, name)

    def report(self, plugin: str, event: object) -> None:
        """An event of a plugin, for those who watch."""
        log.debug("event of plugin %s: %r", plugin, event)
        for watcher in self.watchers:
            watcher(plugin, event)

    # ------------------------------------------------------------ interfaces

    def _configured_interfaces(self) -> list[Interface]:
        transports = {transport.name: transport for transport in self.hooks.transports()}
        found: list[Interface] = []
        wan = self.config.wan
        default_certificate = (wan.certificate,) if wan.certificate else ()
        for name, table in self.config.interface.items():
            transport = transports.get(table.protocol)
            if transport is None:
                if not table.enabled:
                    continue
                known = ", ".join(sorted(transports)) or "none"
                raise StartError(
                    f"interface.{name}: no enabled plugin brings the protocol {table.protocol!r} "
                    f"(there are: {known}); add the plugin to `plugins`"
                )
            public = None
            if wan.use_public_address and table.advertise and table.role == "wan":
                public = wan.public_address
            advertised = None
            if public not in (None, "auto"):
                advertised = (str(public), wan.public_port or table.port)
            found.append(
                Interface(
                    name,
                    table.bind,
                    table.port,
                    transport,
                    table.role,
                    table.enabled,
                    advertised,
                    certificates=table.certificate or default_certificate,
                    client_certificate=table.client_certificate,
                    eku=table.eku_policy,
                )
            )
        for request in self.hooks.interfaces():
            transport = transports.get(request.protocol)
            if transport is None:
                raise StartError(
                    f"interface {request.name!r} of a plugin wants the protocol "
                    f"{request.protocol!r}, which no enabled plugin brings"
                )
            own = (request.certificate,) if request.certificate else default_certificate
            found.append(
                Interface(
                    request.name,
                    request.bind,
                    request.port,
                    transport,
                    request.role,
                    certificates=own,
                )
            )
        return found

    async def _keep_listening(
        self,
        interface: Interface,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Listen, and try again when that fails; the others are not concerned."""
        retry = FIRST_RETRY
        bound = _Bound(self, interface, task_status)
        while True:
            interface.status = Status.STARTING if interface.reason == "" else Status.FAILED
            with trio.CancelScope() as scope:
                self._scopes[interface] = scope
                try:
                    await interface.transport.listen(interface, self.edge, task_status=bound)
                    reason = "the listener ended"
                except OSError as error:
                    reason = error.strerror or str(error)
                except Exception as error:
                    log.exception("transport of interface %s failed", interface.name)
                    reason = describe(error)
                    if not self.forgive:
                        raise
            if scope.cancelled_caught:
                reason = "its address is not on this machine any more"
            if bound.ready:
                retry = FIRST_RETRY
            bound.ready = False
            if interface.reason != reason:
                log.warning("interface %s: %s; trying again", interface.name, reason)
            interface.failed(reason)
            self._interfaces_changed()
            bound.first()
            await trio.sleep(retry)
            retry = min(2 * retry, LONGEST_RETRY)

    def _interfaces_changed(self) -> None:
        self.interfaces.refresh()
        self.transactions.own_sent_by = self.interfaces.own_sent_by
        self.paths.forget()

    async def _watch_addresses(self) -> None:
        """An interface whose address has left the machine is shown as failed, and tried again."""
        while True:
            await trio.sleep(WATCH_ADDRESSES)
            present = {
                *machine_addresses(socket.AF_INET),
                *machine_addresses(socket.AF_INET6),
            }
            for interface in self.interfaces.listening():
                if interface.wildcard or interface.listen_address.startswith("127."):
                    continue
                if interface.listen_address not in present:
                    self._scopes[interface].cancel()

    # ------------------------------------------------------------ life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start everything, call ``started()`` when all interfaces were tried, and last."""
        async with trio.open_nursery() as process:
            for plugin, service in self.hooks.services():
                state = ServiceState(plugin, getattr(service, "__name__", "service"))
                self.services.append(state)
                await process.start(supervise, service, state, self._service_failed)
            await self._run_proxy(task_status)
            process.cancel_scope.cancel()

    async def _run_proxy(self, task_status: trio.TaskStatus[None]) -> None:
        async with trio.open_nursery() as transactions:
            self._parking = transactions
            self.timers.now = self.clock()
            transactions.start_soon(self._tick)
            transactions.start_soon(self._sweep)
            transactions.start_soon(self._watch_addresses)
            transactions.start_soon(self._watch_certificates)
            async with trio.open_nursery() as listeners:
                for interface in self.interfaces.all:
                    if interface.enabled:
                        await listeners.start(self._keep_listening, interface)
                task_status.started()
                await self._stop.wait()
                await self._drain()
                listeners.cancel_scope.cancel()
            self._parking = None
            transactions.cancel_scope.cancel()

    def stop(self) -> None:
        """Let what is under way finish, within ``service.stop_timeout``, then end ``run``."""
        self._stop.set()

    async def _drain(self) -> None:
        """New requests get 503, new connections are turned away; then the rest is waited for."""
        self.proxy.draining = self.edge.draining = True
        with trio.move_on_after(self.config.service.stop_timeout):
            # The hot path tells nobody when it has finished; who shuts down can look.
            while not self.transactions.idle():  # noqa: ASYNC110
                await trio.sleep(TICK)

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK)
            with self._barrier("a timer fired"):
                self.timers.tick(self.clock())
            self.edge.batch_ends()

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            with self._barrier("flows were looked after"):
                self.edge.sweep()

    async def _watch_certificates(self) -> None:
        while True:
            await trio.sleep(LOOK)
            with self._barrier("certificate files were looked at"):
                await self.certificates.look_aside()

    @contextmanager
    def _barrier(self, when: str) -> Iterator[None]:
        """A bug of ours costs what it is about, and is told; it does not end the proxy."""
        try:
            yield
        except Exception as error:
            log.exception("internal error while %s", when)
            self.journal.drops["internal error"] += 1
            if not self.forgive:
                raise _Unforgiven(f"a bug while {when}") from error

    # ------------------------------------------------------------ parked requests

    def park(self, fn: Callable[..., Awaitable[None]], *args: Any) -> bool:
        """Run ``fn`` in the nursery of transactions; False when too many are parked already."""
        if self._parking is None or self._parked >= self.config.limits.parked_requests:
            return False
        self._parked += 1
        self._parking.start_soon(self._run_parked, fn, args)
        return True

    async def _run_parked(self, fn: Callable[..., Awaitable[None]], args: tuple[Any, ...]) -> None:
        try:
            with self._barrier("a request was parked"):
                await fn(*args)
        finally:
            self._parked -= 1
            self.edge.batch_ends()

    def _answer_on_a_new_connection(self, flow: Any, port: int, data: bytes) -> None:
        """RFC 3261 §18.2.2: the connection of the request is gone; open one to its sender."""

        partner: Partner | None = None
        if flow.transport in SECURED:
            if flow.examined is None:
                self.journal.dropped(flow, "response not deliverable: its TLS connection has gone")
                return
            partner = same_peer_as(flow.examined.certificate)

        async def deliver() -> None:
            received = Hop(flow.address, port, flow.transport, flow.address)
            try:
                new = await self.paths.flow(received, near=flow.interface, partner=partner)
            except NoHop as failure:
                try:
                    new = await self._flow_to_sent_by(flow, data, partner)
                except NoHop:
                    self.journal.dropped(flow, f"response not deliverable: {failure.why}")
                    return
            new.send(data)

        self.park(deliver)

    async def _flow_to_sent_by(self, flow: Any, data: bytes, partner: Partner | None) -> Flow:
        """RFC 3263 §5: if the address failed, the name in sent-by is looked up, by SRV where it
        has no port. Raises NoHop.
        """
        via = parse_datagram(data).vias[0]
        uri = b"sip:" + via.sent_by + b";transport=" + flow.transport.encode()
        failure = NoHop(503, "no hop")
        for hop in await self.paths.hops(Target(), uri, (frozenset({flow.address}), False)):
            try:
                return await self.paths.flow(hop, near=flow.interface, partner=partner)
            except NoHop as error:
                failure = NoHop(error.status, error.why)
        raise failure

    # ------------------------------------------------------------ faults

    def _service_failed(self, state: ServiceState, error: Exception) -> None:
        self.journal.faults[state.plugin] += 1
        if not self.forgive:
            raise error

    def _unforgiven(self, fault: Fault) -> None:
        raise _Unforgiven(f"plugin {fault.plugin} failed in {fault.where}") from fault.error

    def _unforgiven_bug(self, error: Exception) -> None:
        raise _Unforgiven("a bug of the kernel") from error


class _Unforgiven(BaseException):
    """Leaves every barrier behind: in tests a fault ends the run."""


class _Bound:
    """What a transport reports to: notes the address, starts the kernel's next step once."""

    def __init__(
        self, kernel: Kernel, interface: Interface, task_status: trio.TaskStatus[None]
    ) -> None:
        self._kernel = kernel
        self._interface = interface
        self._task_status = task_status
        self._told = False
        self.ready = False

    def started(self, value: tuple[str, int]) -> None:
        """The listener is bound to ``value``."""
        self.ready = True
        self._interface.bound(value)
        self._kernel._interfaces_changed()  # noqa: SLF001  # two halves of one step
        log.info(
            "interface %s: listening on %s port %d (%s)",
            self._interface.name,
            value[0],
            value[1],
            self._interface.protocol,
        )
        self.first()

    def first(self) -> None:
        """Whatever came of it, the interface has been tried."""
        if not self._told:
            self._told = True
            self._task_status.started()
