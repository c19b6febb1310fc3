"""The kernel: the nesting of nurseries is the life cycle.

process     services of plugins                                   up first, down last
  proxy     [start and stop of the proxy service act here]
    transactions   parked requests, timers
      listeners    one per enabled interface, started last, stopped first

Nobody keeps a "state" by hand: what is inside a nursery runs, and leaving it ends it. Another
configuration is taken up without leaving any of them (sipx/reload.py).
"""

from __future__ import annotations

import gc
import logging
import random
import secrets
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import trio

from sipx.advertising import Advertising
from sipx.certificates import LOOK, CertificateStore
from sipx.certificates.users import certificate_users
from sipx.config.load import load
from sipx.cookies import Cookies
from sipx.decisions import Decisions
from sipx.discovery import Discoveries
from sipx.edge import Edge
from sipx.errors import ReloadError, SipxError
from sipx.events import ProxyChanged, PublicAddressChanged, Reloaded
from sipx.flows import FlowTable
from sipx.former import FILE as FORMER_FILE
from sipx.former import FormerFile
from sipx.forwarding import Forwarder
from sipx.handle import PluginHandle
from sipx.interfaces import Interfaces
from sipx.journal import Journal
from sipx.limits import dns_settings, stream_limits
from sipx.listeners import Listeners, interfaces_of
from sipx.paths import Paths
from sipx.proxy import ProxyCore
from sipx.redelivery import Redelivery
from sipx.reload import Reload, ReloadStatus
from sipx.resolver import Resolver
from sipx.sip.timers import TICK, Timers, TimerSettings
from sipx.state import cookie_keys, state_directory
from sipx.supervision import Services, ServiceState, describe
from sipx.tls import Tls
from sipx.transactions import Transactions
from sipx.troubles import Troubles
from sipx.useragent import UserAgentClient

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from sipx.config.load import Settings
    from sipx.config.model import KernelConfig
    from sipx.control.api import Api
    from sipx.events import Fault
    from sipx.registry import Registry
    from sipx.reload import Plan

log = logging.getLogger("sipx.kernel")

SWEEP: Final = 1.0
"""Seconds between two looks at the deadlines of flows."""


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
        self.registry = registry
        self.clock = clock
        self.wall = wall
        self.started_at = wall()
        self.rng = rng or random.Random(secrets.randbits(128))
        self.forgive = forgive
        limits = self.config.limits
        self.state_directory = state_directory(self.config.service.state_dir)
        self.makes_directories = True
        """Whether plugins find their directory made; who is only asked changes nothing there."""
        self.domains = frozenset(domain.encode() for domain in self.config.domains)
        self.timers = Timers()
        self.transactions = Transactions(
            timer_settings or TimerSettings(), self.timers, limit=limits.max_transactions
        )
        self.flows = FlowTable()
        self.interfaces = Interfaces([], wall=wall)
        self.resolver = Resolver(dns_settings(self.config.dns), clock=clock, rng=self.rng)
        self.troubles = Troubles(clock)
        self.paths = Paths(
            self.interfaces,
            self.resolver,
            clock,
            connect_timeout=limits.connect_timeout,
            trouble=self.troubles.note,
            networks=self.config.trust.networks,
        )
        self.hooks = registry.start(settings, self.handle)
        self.journal = Journal(self.hooks, clock)
        self.certificates = CertificateStore(
            self.config, self.hooks.partners(), wall=wall, trouble=self.troubles.note
        )
        self.certificates.named = certificate_users(settings.plugins)
        self.tls = Tls(self.certificates, wall)
        self.edge = Edge(
            clock=clock,
            limits=limits.messages(),
            stream_limits=stream_limits(limits),
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
        process = self.rng.randbytes(4)
        cookies = Cookies(cookie_keys(self.state_directory), wall, process)
        self.proxy = ProxyCore(
            domains=self.domains,
            hooks=self.hooks,
            interfaces=self.interfaces,
            transactions=self.transactions,
            cookies=cookies,
            flows=self.flows,
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
            discoveries=Discoveries(
                self.hooks.discoveries(), self.resolver, clock, self.journal.fault
            ),
            partners=self.certificates.partners,
        )
        self.transactions.user = self.proxy
        self._decisions = Decisions(
            self.hooks, self.journal, self.paths, self.proxy.discoveries.source, self.edge.bug
        )
        self.hooks.on_change = self._watch
        self._watch()
        redelivery = Redelivery(self.paths, self.journal, self.park)
        self.transactions.reopen = redelivery.deliver
        former = FormerFile(self.state_directory / FORMER_FILE)
        former.read(self.interfaces.former)
        self.advertising = Advertising(
            self.interfaces,
            self.flows,
            self.resolver,
            former,
            changed=self.interfaces_changed,
            trouble=self.troubles.note,
        )
        self.interfaces.all += interfaces_of(self.config, self.hooks)
        self.listeners = Listeners(
            self.interfaces,
            self.edge,
            self.transactions,
            changed=self.interfaces_changed,
            addresses_changed=self._addresses_changed,
            on_failure=self._listener_failed,
        )
        self.reloads = ReloadStatus()
        self.after_reload: list[Callable[[Plan], None]] = []
        """Called when another configuration has been taken up."""
        self.watchers: list[Callable[[str, object], None]] = []
        """Told of events: the plugin, "" for the kernel itself, and what happened."""
        self.lost_lines: Callable[[], int] = int
        """How many lines of the log were lost: whoever has the log sets this."""
        self.running_services = Services(self._service_failed)
        self.process: trio.Nursery | None = None
        """What lasts as long as ``run``; None before it and after it."""
        self._parked = 0
        self._parking: trio.Nursery | None = None
        self._written = trio.Event()
        """Parked requests have written something that has not left yet."""
        self._changing = trio.Lock()
        """Held by whoever starts, stops or reloads: one at a time."""
        self._ending = False
        self._stop, self._go = trio.Event(), trio.Event()
        self._up, self._down = trio.Event(), trio.Event()
        self._draining = trio.CancelScope()
        self._waiting = trio.CancelScope()
        """What the end of the process does not wait for: plugins that start, a reload."""
        if not forgive:
            self.journal.on_fault = self._unforgiven
            self.edge.on_bug = self._unforgiven_bug

    # ------------------------------------------------------------ what plugins hold

    def handle(self, name: str) -> PluginHandle:
        """The kernel as the plugin ``name`` holds it."""
        return PluginHandle(self, name)

    @cached_property
    def api(self) -> Api:
        """The control API: of this kernel and of the plugins that it has at the time."""
        from sipx.control.kernel import api_of

        return api_of(self)

    def report(self, plugin: str, event: object) -> None:
        """An event of a plugin, or of the kernel (""), for those who watch."""
        log.debug("event of %s: %r", plugin or "the kernel", event)
        for watcher in self.watchers:
            watcher(plugin, event)

    def _watch(self) -> None:
        """Hooks are others: what only watchers want is told where there are any, or not at all."""
        told = self._decisions if self.hooks.decision_made else None
        self.proxy.decisions = self.proxy.forwarder.decisions = told
        traced = bool(self.hooks.message_traced)
        self.edge.traced = self.proxy.traced = traced
        self.proxy.forwarder.watched = traced or told is not None
        self.transactions.on_bytes = self.journal.trace_left if self.hooks.bytes_traced else None

    def interfaces_changed(self) -> None:
        """One was bound, lost or changed: what is ours and what is ready is found out anew."""
        self.interfaces.refresh()
        self.transactions.own_sent_by = self.interfaces.own_sent_by
        self.paths.forget()
        for event in self.interfaces.news():
            if isinstance(event, PublicAddressChanged):
                log.info(
                    "interface %s: peers see %s in place of %s",
                    event.interface,
                    event.now or "its own address",
                    event.before or "its own address",
                    extra={"interface": event.interface},
                )
            self.report("", event)

    def _addresses_changed(self, present: frozenset[str]) -> None:
        """This machine got or lost an address: what "*" is written as may be another one."""
        self.advertising.apply()
        for plugin in self.hooks.addresses_changed():
            with self._barrier(f"plugin {plugin.plugin} was told of the machine's addresses"):
                plugin.item(present)

    def _listener_failed(self, error: Exception) -> None:
        if not self.forgive:
            raise error

    # ------------------------------------------------------------ life

    @property
    def state(self) -> str:
        """The proxy service: "starting", "running", "draining" or "stopped"."""
        if self._stop.is_set():
            return "draining"
        if self._up.is_set():
            return "running"
        return "stopped" if self._down.is_set() else "starting"

    @property
    def ending(self) -> bool:
        """Whether the process is to end, however it was told so."""
        return self._ending

    @property
    def services(self) -> list[ServiceState]:
        """The services of plugins."""
        return self.running_services.states

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start everything, call ``started()`` when all interfaces were tried, and last."""
        async with trio.open_nursery() as process:
            self.process = process
            await process.start(self.running_services.run)
            async with self._changing:
                with self._until_the_end():
                    await self.running_services.start(self.hooks.services())
            told: Callable[[], None] = task_status.started
            while not self._ending:
                await self._run_proxy(told)
                told = _nobody
                if not self._ending:
                    await self._go.wait()
            told()  # who ended it while it started does not wait for a start
            self.process = None
            process.cancel_scope.cancel()

    async def _run_proxy(self, told: Callable[[], None]) -> None:
        self._go = trio.Event()
        self._down = trio.Event()
        self._draining = trio.CancelScope()
        self.proxy.draining = self.edge.draining = False
        async with trio.open_nursery() as transactions:
            self._parking = transactions
            self.timers.now = self.clock()
            transactions.start_soon(self._tick)
            transactions.start_soon(self._sweep)
            transactions.start_soon(self._flush_parked)
            transactions.start_soon(self._watch_certificates)
            transactions.start_soon(self.advertising.run)
            async with trio.open_nursery() as listeners:
                async with self._changing:
                    await listeners.start(self.listeners.run)
                self._up.set()
                self.report("", ProxyChanged("running"))
                told()
                await self._stop.wait()
                async with self._changing:
                    await self._drain()
                    for interface in self.interfaces.all:
                        interface.closing = True
                    listeners.cancel_scope.cancel()
            self._parking = None
            transactions.cancel_scope.cancel()
        self.edge.batch_ends()
        self.transactions.clear()
        self._stop, self._up = trio.Event(), trio.Event()
        self._down.set()
        self.report("", ProxyChanged("stopped"))

    async def start_proxy(self) -> None:
        """Let the proxy service begin again after ``stop_proxy``; returns when it has begun."""
        if self._stop.is_set():
            await self._down.wait()
        if self._down.is_set():
            log.info("the proxy service starts")
            self._go.set()
        await self._up.wait()

    async def stop_proxy(self, *, now: bool = False) -> None:
        """End the proxy service and stay: what is under way may finish unless ``now``."""
        if self._down.is_set():
            return
        log.info("the proxy service stops%s", " at once" if now else "")
        down = self._down
        self._stop.set()
        if now:
            self._draining.cancel()
        await down.wait()

    def stop(self, *, now: bool = False) -> None:
        """Let what is under way finish, within ``service.stop_timeout``, then end ``run``."""
        self._ending = True
        self._stop.set()
        self._go.set()
        self._waiting.cancel()
        if now:
            self._draining.cancel()

    async def _drain(self) -> None:
        """New requests get 503, new connections are turned away; then the rest is waited for."""
        self.proxy.draining = self.edge.draining = True
        self.report("", ProxyChanged("draining"))
        with self._draining, trio.move_on_after(self.config.service.stop_timeout):
            # The hot path tells nobody when it has finished; who shuts down can look.
            while not self.transactions.idle():  # noqa: ASYNC110
                await trio.sleep(self.transactions.until_next_look())

    # ------------------------------------------------------------ another configuration

    async def read(self) -> Settings:
        """The configuration file as it is now. Raises ConfigError and PluginError."""
        return await trio.to_thread.run_sync(self._read, abandon_on_cancel=True)

    def _read(self) -> Settings:
        try:
            return load(self.settings.path, self.registry)
        finally:
            # tomlkit's objects refer to each other, and the collector comes rarely here
            # (settle_memory of sipx/cli/run.py): what this has left is young, and goes now.
            gc.collect(0)

    async def plan(self, settings: Settings) -> Plan:
        """What ``reload`` would do. Raises ReloadError."""
        return (await Reload.prepare(self, settings)).plan

    async def reload(self, settings: Settings | None = None) -> Plan:
        """Take up another configuration, or the file as it is when those before have been taken up.

        Raises ReloadError, and ConfigError and PluginError of the file; then all is as it was
        before. When the process is to end a reload that is under way is undone.
        """
        async with self._changing:
            with self._until_the_end():
                try:
                    change = await Reload.prepare(self, settings or await self.read())
                    await change.apply()
                except SipxError as error:
                    self.reload_failed(error)
                    raise
                except Exception as error:
                    log.exception("internal error while another configuration was taken up")
                    failure = ReloadError(f"internal error: {describe(error)}")
                    self.reload_failed(failure)
                    raise failure from error
                self._reloaded(change.plan)
                return change.plan
            failure = ReloadError("the process is being stopped")
            self.reload_failed(failure)
            raise failure

    def _reloaded(self, plan: Plan) -> None:
        self.reloads.succeeded(plan, self.wall())
        self.report("", Reloaded(changes=tuple(plan.lines())))
        for plugin in self.hooks.reloaded():
            with self._barrier(f"plugin {plugin.plugin} was told of a reload"):
                plugin.item()
        for told in self.after_reload:
            with self._barrier("a reload was told of"):
                told(plan)

    @contextmanager
    def _until_the_end(self) -> Iterator[None]:
        """What is within is cancelled, and gone past, when the process is to end."""
        with trio.CancelScope() as self._waiting:
            if self._ending:
                self._waiting.cancel()
            yield

    def reload_failed(self, error: SipxError) -> None:
        """Note for the status why another configuration is not in use."""
        text = "; ".join(str(error).splitlines())
        self.reloads.failed_with(text, self.wall())
        self.report("", Reloaded(error=text))

    def take_up_limits(self) -> None:
        """What [limits], [dns] and [trust] say holds from now on; for new connections."""
        limits = self.config.limits
        self.edge.limits = limits.messages()
        self.edge.stream_limits = stream_limits(limits)
        self.edge.max_connections = limits.max_connections
        self.edge.max_connections_per_address = limits.max_connections_per_address
        self.transactions.limit = limits.max_transactions
        self.proxy.forwarder.udp_request_size = limits.udp_request_size
        self.paths.connect_timeout = limits.connect_timeout
        self.paths.networks = self.config.trust.networks
        self.resolver.reconfigure(dns_settings(self.config.dns))

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
            self.journal.internal_error()
            if not self.forgive:
                raise _Unforgiven(f"a bug while {when}") from error

    # ------------------------------------------------------------ parked requests

    @property
    def parked(self) -> int:
        """Requests that wait for DNS, a connection or a plugin."""
        return self._parked

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
            self._written.set()

    async def _flush_parked(self) -> None:
        """What many of them write in one turn of the loop leaves in one write: a plugin that
        commits in groups answers them in groups.
        """
        while True:
            await self._written.wait()
            self._written = trio.Event()
            self.edge.batch_ends()

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


def _nobody() -> None:
    """The start has been told before."""
