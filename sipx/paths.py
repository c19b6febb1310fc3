"""From a target to a flow: hops by configuration or RFC 3263, interfaces, connections."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx.addresses import AddressFilter, parse_address
from sipx.identity import Partner, PeerCertificate
from sipx.interfaces import LAN_SIDE
from sipx.lookup import ResolveError
from sipx.plugin import PeerRefusedError
from sipx.resolver import Hop, Question, question_of
from sipx.sip.uri import cached_uri, is_ip_address

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.flows import Flow
    from sipx.interfaces import Interface, Interfaces
    from sipx.plugin import NextHop, Target
    from sipx.records import Answer
    from sipx.resolver import Resolver

RECHECK: Final = 1.0
"""Seconds for which a hop known by name is used without asking the cache again."""
DOWN: Final = 30.0
"""Seconds for which a hop that could not be reached is tried after the others."""
SAME_HOST: Final = 0.25
NEXT_TARGET: Final = 1.0
"""Seconds that a connection attempt is alone, before the next begins beside it."""
MOST_OF_HOST: Final = 4
MOST_HOPS: Final = 8
"""Addresses of one host, and of all hosts together, that one request is tried at."""
SECURED: Final = ("tls", "mtls", "wss")
"""Transports whose other end has to prove who it is."""
NO_TCP: Final = 300.0
"""Seconds for which a peer that refused TCP gets its large requests by UDP (§18.1.1)."""


class Permitted(NamedTuple):
    """Where a dialog may lead to: ``addresses`` whatever their class, with ``only`` to no others,
    and there to these ``ports``; None: to any.
    """

    addresses: frozenset[str] = frozenset()
    only: bool = False
    ports: frozenset[int] | None = None


_ANYWHERE: Final = Permitted()


class NoHop(Exception):  # noqa: N818  # an outcome, told upstream as a response
    """There is no way to a target; ``status`` as docs/operations.md lists them, text for people."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class _Attempt:
    """A connection being opened; all who want it wait for its end, and fail as it did."""

    __slots__ = ("ended", "failure")

    def __init__(self) -> None:
        self.ended = trio.Event()
        self.failure: tuple[int, str] | None = None


class _Race:
    """Attempts to reach several hops: the first that succeeded, and those that failed."""

    __slots__ = ("failures", "won")

    def __init__(self) -> None:
        self.failures: list[NoHop] = []
        self.won: tuple[Hop, Flow] | None = None


class Paths:
    """Finds the hops of a target and a flow to each; remembers what is ready for use."""

    def __init__(
        self,
        interfaces: Interfaces,
        resolver: Resolver,
        clock: Callable[[], float],
        *,
        connect_timeout: float,
        trouble: Callable[[str, str, str], None],
        networks: tuple[str, ...] = (),
    ) -> None:
        self.interfaces = interfaces
        self.resolver = resolver
        self.clock = clock
        self.connect_timeout = connect_timeout
        self.networks = networks
        self.trouble = trouble
        self._ready: dict[Target, tuple[Flow, tuple[Hop, ...], float]] = {}
        self._connecting: dict[tuple[str, str, int, str], _Attempt] = {}
        self._down: dict[Hop, float] = {}
        self._no_tcp: dict[tuple[str, int], float] = {}
        self._filters: dict[Permitted, AddressFilter] = {}

    def forget(self) -> None:
        """Interfaces or routes changed: nothing is ready any more."""
        self._ready.clear()
        self._filters.clear()

    # ------------------------------------------------------------ hops

    def ready(self, target: Target, now: float) -> tuple[Flow, tuple[Hop, ...], float] | None:
        """What the last request to this target used, if it can be used again."""
        found = self._ready.get(target)
        if found is not None and (found[0].closed or found[2] < now):
            del self._ready[target]
            return None
        return found

    def keep(self, target: Target, flow: Flow, hops: tuple[Hop, ...]) -> None:
        """Remember the first hop of a configured target as ready."""
        if not target.hops:
            return
        numeric = all(parse_address(hop.host) is not None for hop in target.hops)
        if len(self._ready) > 4096:
            self._ready.clear()
        settled = numeric and not self._down
        until = float("inf") if settled else self.clock() + RECHECK
        self._ready[target] = (flow, hops, until)

    def hops_now(
        self, target: Target, uri: bytes, permitted: Permitted | None
    ) -> tuple[Hop, ...] | None:
        """The hops as far as they are known without waiting; None: ask ``hops``.

        Raises NoHop.
        """
        try:
            if not target.hops:
                question = self._question_of(target, uri)
                return self.resolver.cached(question, self._filter(permitted)) or None
            hops: list[Hop] = []
            for hop in target.hops:
                known = self._configured_now(hop)
                if known is None:
                    return None
                hops += known
            return self._permitted(hops, target) if target.discovered else tuple(hops)
        except ResolveError as error:
            raise NoHop(_status_of(error), str(error)) from error

    async def hops(
        self, target: Target, uri: bytes, permitted: Permitted | None
    ) -> tuple[Hop, ...]:
        """The hops, asking DNS where needed. Raises NoHop.

        Of several configured servers one that cannot be resolved does not spoil the others.
        """
        if not target.hops:
            question = self._question_of(target, uri)
            try:
                return await self.resolver.resolve(question, self._filter(permitted))
            except ResolveError as error:
                raise NoHop(_status_of(error), str(error)) from error
        known = [self._configured_now(hop) for hop in target.hops]
        found = [() if each is None else each for each in known]
        failures: list[ResolveError] = []

        async def look_up(number: int, hop: NextHop) -> None:
            try:
                found[number] = await self._configured(hop)
            except ResolveError as error:
                failures.append(error.with_traceback(None))

        if None in known:
            # All at once: names whose servers are silent cost the time of one of them.
            async with trio.open_nursery() as nursery:
                for number, hop in enumerate(target.hops):
                    if known[number] is None:
                        nursery.start_soon(look_up, number, hop)
        hops = tuple(hop for each in found for hop in each)
        if not hops and failures:
            failure = failures[-1]
            raise NoHop(_status_of(failure) if target.discovered else 504, str(failure))
        return self._permitted(hops, target) if target.discovered else hops

    def refused(
        self, target: Target, uri: bytes, permitted: Permitted | None
    ) -> tuple[tuple[Hop, str], ...]:
        """What is known of a target and not tried, and why not: for those who watch."""
        if target.hops and not target.discovered:
            return ()  # the operator named them
        if target.hops:
            questions = [self._question(hop) for hop in target.hops]
        else:
            questions = [self._question_of(target, uri)]
        known = [hop for question in questions for hop in self.resolver.known_hops(question)]
        known += [each for hop in target.hops for each in self._configured_now(hop) or ()]
        allowed = self._filter(permitted)
        assert allowed is not None
        found = {hop: allowed.refusal(hop.address, hop.port) for hop in known}
        return tuple((hop, refusal) for hop, refusal in found.items() if refusal is not None)

    def dns_answers(self, target: Target, uri: bytes, hops: tuple[Hop, ...]) -> tuple[Answer, ...]:
        """What the DNS has said of the names on the way to a target: for those who watch."""
        hosts = [hop.host for hop in target.hops]
        hosts += [] if target.hops else [cached_uri(uri).host.decode("ascii", "replace")]
        if target.discovered:
            hosts.append(target.name)
        names = dict.fromkeys([*(host.lower() for host in hosts), *(hop.name for hop in hops)])
        found = [
            answer
            for name in names
            if not is_ip_address(name.encode())
            for answer in self.resolver.answers_about(name)
        ]
        return tuple({(answer.name, answer.type): answer for answer in found}.values())

    def _permitted(self, hops: Iterable[Hop], target: Target) -> tuple[Hop, ...]:
        """SEC-09 for what the DNS says of a domain that nobody has configured. Raises NoHop."""
        allowed = self._filter(None)
        assert allowed is not None
        kept: list[Hop] = []
        refusals: dict[str, None] = {}
        for hop in hops:
            if self._is_ours(hop):
                raise NoHop(482, f"{target.name}: {hop.name} port {hop.port} is this proxy itself")
            refusal = allowed.refusal(hop.address, hop.port)
            if refusal is None:
                kept.append(hop)
            else:
                refusals[refusal] = None
        if not kept:
            raise NoHop(403, f"{target.name} is not sent to: {'; '.join(refusals)}")
        return tuple(kept)

    def _is_ours(self, hop: Hop) -> bool:
        own = self.interfaces.own
        return (hop.address.encode(), hop.port) in own or (hop.name.encode(), hop.port) in own

    def _question_of(self, target: Target, uri: bytes) -> Question:
        """What RFC 3263 starts from. What was discovered is never left for a way without TLS, as
        its Contact or Record-Route might ask for: only there it proves who it is. Raises NoHop.
        """
        question = question_of(cached_uri(uri), self.interfaces.transports())
        if not target.discovered or question.transport in SECURED:
            return question
        if question.transport is not None and not question.secure:
            raise NoHop(
                403, f"its Contact asks for {question.transport}, and it is spoken to by TLS"
            )
        return question._replace(transport="tls")

    def _configured_now(self, hop: NextHop) -> tuple[Hop, ...] | None:
        if hop.port is None or hop.transport is None:
            return self.resolver.cached(self._question(hop))
        if parse_address(hop.host) is not None:
            return (Hop(hop.host, hop.port, hop.transport, hop.host),)
        addresses = self.resolver.cached_addresses(hop.host)
        if addresses is None:
            return None
        return tuple(Hop(a, hop.port, hop.transport, hop.host) for a in addresses)

    async def _configured(self, hop: NextHop) -> tuple[Hop, ...]:
        if hop.port is None or hop.transport is None:
            return await self.resolver.resolve(self._question(hop))
        if parse_address(hop.host) is not None:
            return (Hop(hop.host, hop.port, hop.transport, hop.host),)
        addresses = await self.resolver.addresses(hop.host)
        return tuple(Hop(a, hop.port, hop.transport, hop.host) for a in addresses)

    def _question(self, hop: NextHop) -> Question:
        secure = hop.transport in ("tls", "mtls", "wss")
        return Question(hop.host, hop.port, hop.transport, secure, self.interfaces.transports())

    def _filter(self, permitted: Permitted | None) -> AddressFilter | None:
        """SEC-09: where data from outside may lead to."""
        permitted = permitted or _ANYWHERE
        found = self._filters.get(permitted)
        if found is None:
            own = [
                (host.decode(), port)
                for host, port in self.interfaces.own
                if parse_address(host.decode()) is not None
            ]
            if len(self._filters) > 1024:
                self._filters.clear()
            allowed = (*self.networks, *permitted.addresses)
            found = AddressFilter(allowed, own, only=permitted.only, ports=permitted.ports)
            self._filters[permitted] = found
        return found

    # ------------------------------------------------------------ flows

    def flow_now(
        self,
        hop: Hop,
        bind: str | None = None,
        near: Interface | None = None,
        partner: Partner | None = None,
    ) -> Flow | None:
        """A flow to a hop that can be used at once. Raises NoHop without a fitting interface."""
        interface = self.interface_for(hop, bind, near)
        if hop.transport in SECURED and partner is None:
            partner = whoever_is(hop.name)
        return interface.transport.flow_to(interface, hop.address, hop.port, partner)

    def interface_for(self, hop: Hop, bind: str | None, near: Interface | None) -> Interface:
        """The interface to reach a hop from. Raises NoHop."""
        interface = self.interfaces.towards(hop, bind, near)
        if interface is None:
            at = f" on {bind}" if bind and bind != LAN_SIDE else ""
            raise NoHop(503, f"no interface for {hop.transport}{at} is listening")
        return interface

    async def flow(
        self,
        hop: Hop,
        bind: str | None = None,
        near: Interface | None = None,
        partner: Partner | None = None,
    ) -> Flow:
        """A flow to a hop, connecting if need be. Raises NoHop.

        Requests that want the same connection wait for one attempt together.
        """
        if hop.transport in SECURED and partner is None:
            partner = whoever_is(hop.name)
        interface = self.interface_for(hop, bind, near)
        transport = interface.transport
        key = (interface.name, hop.address, hop.port, partner.key if partner is not None else "")
        while True:
            flow = transport.flow_to(interface, hop.address, hop.port, partner)
            if flow is not None:
                return flow
            under_way = self._connecting.get(key)
            if under_way is None:
                break
            await under_way.ended.wait()
            if under_way.failure is not None:
                raise NoHop(*under_way.failure)
        attempt = self._connecting[key] = _Attempt()
        try:
            with trio.fail_after(self.connect_timeout):
                flow = await transport.connect(interface, hop, partner)
        except trio.TooSlowError:
            self.failed(hop)
            what = "connection and TLS handshake" if hop.transport in SECURED else "connection"
            why = f"no {what} within {self.connect_timeout:g} s"
            attempt.failure = (504, f"{hop.address} port {hop.port}: {why}")
            self._told(partner, attempt.failure[1])
            raise NoHop(*attempt.failure) from None
        except OSError as error:
            self.failed(hop)
            if isinstance(error, PeerRefusedError):
                # The other end is not who it has to be, or does not want us: no gateway.
                attempt.failure = (502, str(error))
            else:
                # trio's own text repeats the address, as Python writes it
                why = os.strerror(error.errno) if error.errno else str(error)
                attempt.failure = (503, f"{hop.address} port {hop.port}: {why}")
            self._told(partner, attempt.failure[1])
            raise NoHop(*attempt.failure) from error
        finally:
            del self._connecting[key]
            attempt.ended.set()
        self._told(partner, "")
        return flow

    # ------------------------------------------------------------ several hops at once

    def open_among(
        self, hops: tuple[Hop, ...], bind: str | None, partner: Partner | None
    ) -> tuple[tuple[Hop, ...], Flow] | None:
        """A flow that is open to one of these hops, and the hops with that one first."""
        for hop in hops:
            interface = self.interfaces.towards(hop, bind)
            if interface is not None:
                flow = interface.transport.flow_to(interface, hop.address, hop.port, partner)
                if flow is not None:
                    return _first(hop, hops), flow
        return None

    async def first_flow(
        self,
        hops: tuple[Hop, ...],
        bind: str | None = None,
        near: Interface | None = None,
        partner: Partner | None = None,
    ) -> tuple[tuple[Hop, ...], Flow]:
        """The first flow that comes about, and the hops with its own first. Raises NoHop.

        RFC 8305 §5: "Connection Attempt Delay", 250 ms, before the next address of the same host
        is tried as well; the next SRV target is given a second, so that one of lower priority
        serves only where one of higher priority is slow. A failure lets the next begin at once.
        """
        hops = _few(hops)
        if len(hops) == 1:
            return hops, await self.flow(hops[0], bind, near, partner)
        race = _Race()
        async with trio.open_nursery() as nursery:
            for number, hop in enumerate(hops):
                failed = trio.Event()
                nursery.start_soon(self._enter, race, hop, failed, bind, near, partner, nursery)
                if number + 1 < len(hops):
                    same = hops[number + 1].name == hop.name
                    with trio.move_on_after(SAME_HOST if same else NEXT_TARGET):
                        await failed.wait()
        if race.won is None:
            # Who is not who he has to be says more than who cannot be reached.
            raise min(race.failures, key=lambda failure: failure.status != 502)
        hop, flow = race.won
        for earlier in hops[: hops.index(hop)]:
            self.failed(earlier)
        return _first(hop, hops), flow

    async def _enter(
        self,
        race: _Race,
        hop: Hop,
        failed: trio.Event,
        bind: str | None,
        near: Interface | None,
        partner: Partner | None,
        nursery: trio.Nursery,
    ) -> None:
        try:
            flow = await self.flow(hop, bind, near, partner)
        except NoHop as failure:
            race.failures.append(failure.with_traceback(None))
            failed.set()
        else:
            if race.won is None:
                race.won = (hop, flow)
            nursery.cancel_scope.cancel()

    def _told(self, partner: Partner | None, text: str) -> None:
        """What became of the connection to a partner, for the log and the status."""
        if partner is not None and partner.name:
            self.trouble("partner", partner.name, text)

    def by_health(self, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
        """RFC 3263 §4.3 without its price: hops that failed lately come last, but stay."""
        if not self._down or len(hops) < 2:
            return hops
        now = self.clock()
        for hop in [hop for hop, until in self._down.items() if until <= now]:
            del self._down[hop]
        return tuple(sorted(hops, key=self._down.__contains__))

    def failed(self, hop: Hop) -> None:
        """A hop could not be reached: for a while others are asked before it."""
        if len(self._down) > 4096:
            self._down.clear()
        self._down[hop] = self.clock() + DOWN
        for target in [t for t, ready in self._ready.items() if ready[1][0] == hop]:
            del self._ready[target]

    # ------------------------------------------------------------ RFC 3261 §18.1.1

    def tcp_hop(self, hop: Hop) -> Hop | None:
        """The same place by TCP, unless we have none or it refused lately."""
        refused = self._no_tcp.get((hop.address, hop.port))
        if refused is not None:
            if refused > self.clock():
                return None
            del self._no_tcp[hop.address, hop.port]
        stream = Hop(hop.address, hop.port, "tcp", hop.name)
        return stream if self.interfaces.towards(stream) is not None else None

    def refused_tcp(self, hop: Hop) -> None:
        """Large requests to this hop go by UDP for a while."""
        if len(self._no_tcp) > 4096:
            self._no_tcp.clear()
        self._no_tcp[hop.address, hop.port] = self.clock() + NO_TCP


@lru_cache(maxsize=4096)
def whoever_is(host: str) -> Partner:
    """RFC 5922 §7.3: where nothing else is known, the host that was asked for has to be proven."""
    name = host.rstrip(".").lower().encode()
    return Partner(name="", domain=name, profiles=("rfc5922",))


def same_peer_as(certificate: PeerCertificate) -> Partner:
    """RFC 3261 §18.2.2 over TLS: a response goes to whoever sent the request, and nobody else."""
    return Partner(name="", names=certificate.ids)


def _few(hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    """So few that whoever wrote them into the DNS cannot make this proxy knock at many doors."""
    kept: list[Hop] = []
    for hop in hops:
        if sum(other.name == hop.name for other in kept) < MOST_OF_HOST:
            kept.append(hop)
    return tuple(kept[:MOST_HOPS])


def _first(hop: Hop, hops: tuple[Hop, ...]) -> tuple[Hop, ...]:
    return (hop, *(other for other in hops if other is not hop))


def _status_of(error: ResolveError) -> int:
    if error.kind in ("servfail", "timeout"):
        return 504
    if error.kind == "filtered":
        return 403
    return 404
