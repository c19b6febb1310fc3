"""The service that keeps the public address known: at start, when addresses change, in intervals.

For each address that interfaces towards partners are bound to, servers are asked what they see in
its place. What two runs agree on is handed to the kernel (``note_public_addresses``), reported,
logged, and kept over a restart. An answer that stops coming changes nothing of that.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn, Protocol

import trio

from sipx_stun import kept
from sipx_stun.agreement import CONFIRM_AFTER, CONFIRMATIONS, Agreement
from sipx_stun.behaviour import NatType
from sipx_stun.client import Detection, Server, detect
from sipx_stun.records import Elsewhere, compared
from sipx_stun.state import AddressFound, Runs, SourceShown, StunState

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipx import InterfaceSummary, KernelConfig, Proxy, ProxyStatus, Resolver
    from sipx_stun.config import StunConfig

ANY: Final = {"*": 4, "0.0.0.0": 4, "::": 6}  # noqa: S104  # compared, not bound
"""How interfaces write "all addresses", and of which family."""
FIRST_RETRY: Final = 30.0
"""Seconds after a run without an answer; each further one waits twice as long, up to the
interval."""
HISTORY: Final = 50
"""Addresses that came into use and are remembered."""
ADDRESS: Final = "public address"
RECORD: Final = "SRV record"
STORE: Final = "file"
"""The kinds of trouble that are told of."""


@dataclass(frozen=True, slots=True)
class PublicAddressFound:
    """Two runs agree that the world sees the interfaces bound to ``bind`` at ``now``.

    ``before`` is what was in use until then, "" if nothing was; ``server`` who said it last.
    """

    bind: str
    before: str
    now: str
    server: str


class Source(NamedTuple):
    """An address that servers are asked from, as interfaces write it, and its family."""

    bind: str
    family: int

    @property
    def address(self) -> str:
        """What a socket is bound to, "" for all addresses."""
        return "" if self.bind in ANY else self.bind

    def __str__(self) -> str:
        return f"over IPv{self.family}" if self.bind in ANY else f"from {self.bind}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can be asked from there."""
        return self.bind not in ANY and ip_address(self.bind).is_loopback


@dataclass(slots=True)
class Known:
    """What is known of a source. ``last`` is the last run, ``nat`` the last that told the kind."""

    agreement: Agreement = field(default_factory=Agreement)
    since: float | None = None
    when: float | None = None
    last: Detection | None = None
    shown: SourceShown | None = None
    """What was kept over a restart, until there is a run."""
    nat: Detection | None = None


class Find(Protocol):
    """``sipx_stun.client.detect``, or what stands for it in a test."""

    async def __call__(
        self,
        servers: Sequence[Server],
        *,
        bind: str = "",
        family: int = 4,
        nat: bool = True,
        rng: random.Random,
        resolver: Resolver,
        progress: Callable[[str], None] = ...,
        timeout: float = ...,  # noqa: ASYNC109  # handed on
    ) -> Detection:
        """Ask."""
        ...


def switched_on(status: ProxyStatus, config: KernelConfig) -> list[InterfaceSummary]:
    """The interfaces that are switched on, whether they are up yet or not."""
    off = {name for name, table in config.interface.items() if not table.enabled}
    return [one for one in status.interfaces if one.name not in off]


def towards_partners(status: ProxyStatus, config: KernelConfig) -> list[InterfaceSummary]:
    """Those of them on the WAN side."""
    return [one for one in switched_on(status, config) if one.role == "wan"]


def sources_of(
    status: ProxyStatus, config: KernelConfig, servers: Sequence[Server]
) -> list[Source]:
    """Where servers are asked from: the binds of the interfaces that advertise another address,
    or just any where none does. From loopback only servers on loopback can be reached.

    An address that an interface has of its own is none of [wan], and need not lead outside.
    """
    binds = [
        one.bind
        for one in switched_on(status, config)
        if one.advertises and _as_wan_says(one.name, config)
    ]
    sources = [_source(bind) for bind in dict.fromkeys(binds)] or [Source("*", 4)]
    return [source for source in sources if askable(source, servers)]


def _as_wan_says(name: str, config: KernelConfig) -> bool:
    table = config.interface.get(name)
    advertise = True if table is None else table.advertise
    return advertise if isinstance(advertise, bool) else advertise.host == "auto"


def askable(source: Source, servers: Sequence[Server]) -> list[Server]:
    """The servers that can be asked from there."""
    if not source.loopback:
        return list(servers)
    return [server for server in servers if _is_loopback(server.host)]


def _source(bind: str) -> Source:
    return Source(bind, ANY.get(bind) or ip_address(bind).version)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Detector:
    """What is known of the public address, and the service that finds it."""

    def __init__(self, config: StunConfig, proxy: Proxy, *, find: Find = detect) -> None:
        self._config = config
        self._proxy = proxy
        self._find = find
        self._servers = config.parsed
        self._rng = random.SystemRandom()
        """Transaction ids must not be guessable (RFC 8489 §5)."""
        self._known: dict[Source, Known] = {}
        self._elsewhere: dict[str, Elsewhere] = {}
        self._wanted = trio.Event()
        self._one_at_a_time = trio.Lock()
        self._restored = False
        self._begun = 0
        """How many runs have begun."""
        self._callers: set[trio.CancelScope] = set()
        """Those who wait for a run that they wanted."""
        self._history: deque[AddressFound] = deque(maxlen=HISTORY)
        self.answered = self.silent = self.changes = 0

    def take_over(self, old: Detector) -> None:
        """Go on where another one was; its service has ended."""
        # Copies: the reload may be undone, and then the other one goes on.
        self._known, self._elsewhere = dict(old._known), dict(old._elsewhere)
        self._restored = old._restored
        self._history = old._history.copy()
        self.answered, self.silent, self.changes = old.answered, old.silent, old.changes

    @property
    def has_servers(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._servers)

    def sources(self) -> list[Source]:
        """From where servers are asked now."""
        return sources_of(self._proxy.status(), self._proxy.config, self._servers)

    # ------------------------------------------------------------ the service

    async def service(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run again and again. Without servers nothing is found, and nothing is asked.

        Nobody runs on when it has ended: what he finds might be noted in the place of what
        another plugin of this name has found since, or after the last one has gone.
        """
        try:
            await self._serve(task_status)
        finally:
            for caller in self._callers:
                caller.cancel()

    async def _serve(self, task_status: trio.TaskStatus[None]) -> None:
        if not self._servers:
            self._known.clear()
            self._proxy.note_public_addresses({})
            task_status.started()
            await self._go_on_comparing()
        await self._restore()
        self._publish()
        task_status.started()
        wait = FIRST_RETRY
        while True:
            # Made before the run: what changes while it lasts is looked at after it.
            self._wanted = trio.Event()
            if await self.run():
                wait, pause = FIRST_RETRY, self._config.interval
            else:
                wait, pause = 2 * wait, min(wait, self._config.interval)
            with trio.move_on_after(pause):
                await self._wanted.wait()

    async def _go_on_comparing(self) -> NoReturn:
        """An address that is written down is one that records may lead past, too."""
        while True:
            self._wanted = trio.Event()
            await self._compare()
            with trio.move_on_after(self._config.interval):
                await self._wanted.wait()

    def look_again(self) -> None:
        """The machine has other addresses: the next run begins now."""
        self._wanted.set()

    def reloaded(self) -> None:
        """Interfaces may be others now, and bound elsewhere: what is known of them holds at once,
        also while a run lasts.
        """
        sources = self.sources()
        if self.has_servers and {*sources} == self._known.keys():
            return
        if self.has_servers:
            self._fit(sources)
            self._publish()
        self.look_again()

    async def look_now(self) -> bool:
        """A run that begins from now on; all who wait for the one under way share the next. False
        if the service has ended before it.
        """
        begun = self._begun
        with trio.CancelScope() as caller:
            self._callers.add(caller)
            try:
                async with self._one_at_a_time:
                    if self._begun == begun:
                        await self._run()
            finally:
                self._callers.discard(caller)
        return not caller.cancelled_caught

    async def run(self) -> bool:
        """Ask from each source; True if each was answered."""
        async with self._one_at_a_time:
            return await self._run()

    async def _run(self) -> bool:
        self._begun += 1
        sources = self.sources()
        self._fit(sources)
        self._publish()
        good = True

        async def look(source: Source) -> None:
            nonlocal good
            good = await self._look(source) and good

        async with trio.open_nursery() as nursery:
            for source in sources:
                nursery.start_soon(look, source)
        self._publish()
        await self._compare()
        await self._keep()
        return good

    def _fit(self, sources: list[Source]) -> None:
        """Forget what is not asked from any more."""
        gone = {one: self._known.pop(one) for one in [*self._known] if one not in sources}
        for source in gone:
            self._proxy.note_trouble(ADDRESS, source.bind, None)
        for source in sources:
            # Asked from any address, it was asked from this one: that is known, and goes on.
            before = [known for known in gone.values() if _local(known) == source.bind]
            if before and source not in self._known:
                self._known[source] = before[0]

    async def _look(self, source: Source) -> bool:
        known = self._known.setdefault(source, Known())
        found = await self._ask(source, known)
        for _ in range(CONFIRMATIONS):
            if not known.agreement.open:
                break
            await trio.sleep(CONFIRM_AFTER)
            found = await self._ask(source, known, after=found)
        kind = known.nat
        if found.public is None:
            known.nat = found
        elif self._config.detect_nat_type:
            # After the address, which is needed at once: this takes until nothing more can come.
            known.nat = await self._detect(source, askable(source, self._servers), nat=True)
        else:
            known.nat = None
        known.when = self._proxy.wall()
        if known.nat is not None and (kind is None or kind.nat is not known.nat.nat):
            self._proxy.log.info("the kind of NAT of %s is %s", source.bind, known.nat.nat)
        if self._known.get(source) is known:  # else another source goes on with it
            self._tell(source, known, found)
        return found.public is not None

    async def _ask(
        self, source: Source, known: Known, *, after: Detection | None = None
    ) -> Detection:
        servers = askable(source, self._servers)
        if after is not None:
            servers = others_first(servers, after.server)
        found = await self._detect(source, servers, nat=False)
        known.last, known.when = found, self._proxy.wall()
        if found.public is None:
            self.silent += 1
            return found
        self.answered += 1
        before = known.agreement.used
        if known.agreement.heard(found.public[0]):
            self._changed(source, known, before, found)
        return found

    async def _detect(self, source: Source, servers: Sequence[Server], *, nat: bool) -> Detection:
        return await self._find(
            servers,
            bind=source.address,
            family=source.family,
            nat=nat,
            rng=self._rng,
            resolver=self._proxy.resolver,
            timeout=self._config.timeout,
        )

    # ------------------------------------------------------------ what comes of it

    def _changed(self, source: Source, known: Known, before: str, found: Detection) -> None:
        now = known.agreement.used
        known.since = self._proxy.wall()
        self._history.append(
            AddressFound(time=known.since, bind=source.bind, public=now, server=found.server)
        )
        self.changes += bool(before)
        self._proxy.log.info(
            "the public address of %s is %s%s, says %s",
            source.bind,
            now,
            f" and was {before}" if before else "",
            found.server,
        )
        self._publish()
        self._proxy.report(PublicAddressFound(source.bind, before, now, found.server))

    def _publish(self) -> None:
        self._proxy.note_public_addresses(self.addresses())

    def addresses(self) -> dict[str, str]:
        """What is in use, by bind."""
        return {s.bind: k.agreement.used for s, k in self._known.items() if k.agreement.used}

    def _tell(self, source: Source, known: Known, found: Detection) -> None:
        used, candidate = known.agreement.used, known.agreement.candidate
        stays = f"; {used} stays in use" if used else ""
        text = ""
        if found.public is None:
            text = f"{found.error or 'no STUN server answers'}{stays}"
        elif known.agreement.unsteady >= CONFIRMATIONS:
            text = (
                f"one run after the other finds another address, the last one {candidate}{stays}; "
                "if this machine has several lines to the world, write the address that partners "
                "are to use into wan.public_address"
            )
        self._proxy.note_trouble(ADDRESS, source.bind, text)

    async def _compare(self) -> None:
        """The SRV records of our domains, beside what is in use."""
        public = self._proxy.status().public
        written = public.addresses if public.used else ()
        found = tuple(dict.fromkeys((*written, *self.addresses().values())))
        told = {one.domain: one for one in await compared(self._proxy, found)} if found else {}
        for domain in [domain for domain in self._elsewhere if domain not in told]:
            del self._elsewhere[domain]
            self._proxy.note_trouble(RECORD, domain, None)
        for domain, one in told.items():
            if one.unknown:
                continue  # what was said before may still be so
            self._elsewhere[domain] = one
            text = f"{one.text}; {one.remedy}" if one.text else ""
            self._proxy.note_trouble(RECORD, domain, text)

    # ------------------------------------------------------------ over a restart

    async def _restore(self) -> None:
        """What was in use before, the first time."""
        if self._restored:
            return
        self._restored = True
        try:
            directory = self._proxy.state_dir
            found = await trio.to_thread.run_sync(kept.read, directory)
        except (OSError, ValueError) as error:
            self._proxy.log.warning("what was found before is not known: %s", error)
            return
        for one in found.sources:
            agreement = Agreement(used=one.public)
            self._known[Source(one.bind, one.family)] = Known(
                agreement, since=one.since, when=one.when, shown=one
            )
        self._history.extendleft(reversed(found.history or _in_use(found.sources)))
        self._fit(self.sources())

    async def _keep(self) -> None:
        state = self.state()
        try:
            directory = self._proxy.state_dir
            await trio.to_thread.run_sync(
                kept.write, directory, state.servers, state.sources, state.history
            )
        except OSError as error:
            text = f"it cannot be kept, so that it will not be known after a restart: {error}"
            self._proxy.note_trouble(STORE, kept.FILE, text)
        else:
            self._proxy.note_trouble(STORE, kept.FILE, "")

    # ------------------------------------------------------------ what is shown

    def state(self) -> StunState:
        """What is known now. Without ``bindings``, which others count."""
        return StunState(
            servers=self._config.servers,
            sources=tuple(_shown(source, known) for source, known in self._known.items()),
            records=tuple(one.text for one in self._elsewhere.values() if one.text),
            runs=Runs(answered=self.answered, silent=self.silent),
            changes=self.changes,
            history=tuple(self._history),
        )


def _in_use(sources: Sequence[SourceShown]) -> list[AddressFound]:
    """What a file without a history says of it."""
    return [
        AddressFound(time=one.since, bind=one.bind, public=one.public, server=one.server)
        for one in sources
        if one.public and one.since is not None
    ]


def _local(known: Known) -> str:
    """The address that was asked from, "" if that is not known."""
    if known.last is not None and known.last.local is not None:
        return known.last.local[0]
    return "" if known.shown is None else known.shown.local


def _shown(source: Source, known: Known) -> SourceShown:
    agreement, last, nat = known.agreement, known.last, known.nat
    if last is None:
        kept_one = known.shown or SourceShown(bind=source.bind, family=source.family)
        return kept_one.model_copy(update={"candidate": ""})
    measured = nat is not None and nat.nat is not NatType.UNKNOWN
    return SourceShown(
        bind=source.bind,
        family=source.family,
        server=last.server,
        local="" if last.local is None else last.local[0],
        public=agreement.used,
        since=known.since,
        candidate=agreement.candidate,
        nat="" if nat is None else nat.nat.value,
        mapping="" if nat is None else nat.mapping.value,
        filtering="" if nat is None else nat.filtering.value,
        when=known.when,
        error=last.error if last.public is None or measured or nat is None else nat.error,
    )


def others_first(servers: Sequence[Server], asked: str) -> list[Server]:
    """Begin behind the one that has answered: one that is wrong must not confirm itself."""
    at = next((n + 1 for n, server in enumerate(servers) if str(server) == asked), 0)
    return [*servers[at:], *servers[:at]]
