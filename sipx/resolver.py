"""From a SIP URI to the addresses it leads to (RFC 3263 §4), in the order to be tried.

A question is answered in two steps. `sipx.hops.Walk` goes the way of RFC 3263 §4.1 and §4.2
through the DNS and leaves a *plan*: pools of SRV targets with their addresses. The plan is kept
as long as the shortest TTL in it. Each use of a plan draws one order from it (RFC 2782), so the
load is spread per request and the hot path costs a look-up and a comparison of times.

For one name the IPv6 addresses are tried first if this machine has a global IPv6 address of its
own, otherwise the IPv4 addresses; within a family the order of the DNS answer stays. Names in the
system's hosts file are not read; ``localhost`` is the loopback address (RFC 6761 §6.3).
"""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass, replace
from ipaddress import IPv6Address
from math import inf
from socket import AF_INET6, SOCK_DGRAM, socket
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx.addresses import AddressFilter, parse_address
from sipx.hops import (
    DEFAULT_PORTS,
    Hop,
    Pools,
    Question,
    Step,
    Walk,
    canonical_name,
    draw,
    question_of,
    withdrawn,
)
from sipx.lookup import DnsCache, DnsSettings, DnsStatistics, ResolveError, parse_server
from sipx.records import Answer, Kind, SrvRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "DEFAULT_PORTS",
    "FEDERATION_SERVICE",
    "Answer",
    "DnsSettings",
    "DnsStatistics",
    "Explanation",
    "Hop",
    "Kind",
    "Question",
    "ResolveError",
    "Resolver",
    "SrvAnswer",
    "SrvRecord",
    "Step",
    "draw",
    "parse_server",
    "question_of",
]


FEDERATION_SERVICE: Final = "_sipfederationtls._tcp"
"""What precedes a domain in the name of its SRV record for open federation."""
_SERVICES: Final = ("_sips._tcp", "_sip._tcp", "_sip._udp")


class SrvAnswer(NamedTuple):
    """The SRV records of one service, in an order to be tried (RFC 2782), at least one.

    ``expires`` is a time of the kernel's clock; ``text`` tells what was asked, of whom, and what
    came; ``authentic`` that the answer was validated by DNSSEC; ``alias`` is set where the name
    of the service is a CNAME.
    """

    records: tuple[SrvRecord, ...]
    expires: float
    text: str
    authentic: bool
    alias: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """The way of one question through the DNS, and where it led: to ``hops`` or to ``error``."""

    question: Question
    steps: tuple[Step, ...]
    hops: tuple[Hop, ...]
    error: ResolveError | None

    def lines(self) -> list[str]:
        """The explanation for people, a line for each DNS answer, each hop, and the failure."""
        lines = [
            step.answer
            + ("" if step.ttl is None else f" (TTL {step.ttl:.0f} s)")
            + (", from the cache" if step.cached else "")
            + (", validated by DNSSEC" if step.authentic else "")
            for step in self.steps
        ]
        lines += [
            f"{number}. {hop.transport} to {hop.address} port {hop.port} as {hop.name}"
            for number, hop in enumerate(self.hops, 1)
        ]
        return lines if self.error is None else [*lines, f"{self.error.kind}: {self.error.text}"]


class _Plan(NamedTuple):
    """Pools in the order to be tried; in a pool of one priority each use draws an order."""

    expires: float
    pools: Pools
    fixed: tuple[Hop, ...] | None
    """All hops, where there is nothing to draw."""


class Resolver:
    """RFC 3263 with a cache; the kernel has one. Times are those of ``clock``, in seconds.

    ``ipv6_first`` says which addresses of a name come first; None looks at this machine.
    """

    def __init__(
        self,
        settings: DnsSettings,
        *,
        clock: Callable[[], float] = trio.current_time,
        rng: random.Random | None = None,
        ipv6_first: bool | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._rng = rng or random.Random()
        self._ipv6 = ipv6_first
        self._ipv6_first = has_global_ipv6() if ipv6_first is None else ipv6_first
        self._dns = DnsCache(settings, clock)
        self._plans: OrderedDict[Question, _Plan] = OrderedDict()
        self._hits = 0
        self.flushes = 0
        """Counts how often all was forgotten: what others made of answers is void then, too."""

    def reconfigure(self, settings: DnsSettings) -> None:
        """Ask other servers, or with other limits, from now on; what was learnt is forgotten."""
        if settings != self._settings:
            self._settings = settings
            self._dns = DnsCache(settings, self._clock)
            self._plans.clear()
            self.flushes += 1

    def cached(
        self, question: Question, permitted: AddressFilter | None = None
    ) -> tuple[Hop, ...] | None:
        """The hops if they are known without asking anybody, in the order to be tried.

        None when `resolve` must be awaited, which also says why a name is known to lead nowhere.
        A numeric host is always known. Hops that ``permitted`` refuses are left out.
        """
        plan = self._plans.get(question)
        if plan is None:
            plan = self._numeric(question)
            if plan is None:
                return None
        elif plan.expires <= self._clock():
            return None
        self._hits += 1
        return self._draw(plan, permitted) or None

    async def resolve(
        self, question: Question, permitted: AddressFilter | None = None
    ) -> tuple[Hop, ...]:
        """The hops in the order to be tried, at least one. Raises ResolveError.

        Hops that ``permitted`` refuses are left out; ``filtered`` if none remains.
        """
        plan = self._plans.get(question)
        if plan is None or plan.expires <= self._clock():
            walk = self._walk(question)
            plan = _plan_of(await walk.pools(), walk.expires)
            self._keep(question, plan)
        hops = self._draw(plan, permitted)
        if not hops and permitted is not None:
            raise _filtered(question.host, self._draw(plan, None), permitted)
        return hops

    def cached_addresses(self, host: str) -> tuple[str, ...] | None:
        """What `addresses` would return, if it is known without asking anybody, else None."""
        hops = self.cached(_address_question(host))
        return None if hops is None else tuple(hop.address for hop in hops)

    async def addresses(self, host: str) -> tuple[str, ...]:
        """The addresses of a host, A and AAAA only, in the order to be tried. Raises ResolveError.

        They are right until `cached_addresses` returns None.
        """
        return tuple(hop.address for hop in await self.resolve(_address_question(host)))

    async def srv(self, name: str) -> tuple[SrvRecord, ...]:
        """The SRV records at a name such as ``_sip._tcp.example.com``, in an order to be tried.

        Raises ResolveError; ``refused`` if the one target is "." (RFC 2782).
        """
        return (await self.service(name)).records

    async def service(self, name: str) -> SrvAnswer:
        """The same, with how long it holds. Raises ResolveError."""
        return self._service(await self._dns.ask(canonical_name(name), "SRV"))

    def cached_service(self, name: str) -> SrvAnswer | None:
        """What `service` would return, or raise, if it is known without asking anybody; else None.

        Raises ResolveError.
        """
        answer = self._dns.peek(canonical_name(name), "SRV")
        return None if answer is None else self._service(answer)

    def _service(self, answer: Answer) -> SrvAnswer:
        if answer.failure is not None:
            raise ResolveError(answer.failure, answer.text)
        records = [record for record in answer.srv if record.target != "."]
        if not records:
            raise withdrawn(answer)
        drawn = tuple(
            record
            for priority in sorted({record.priority for record in records})
            for record in draw([r for r in records if r.priority == priority], self._rng)
        )
        return SrvAnswer(drawn, answer.expires, answer.text, answer.authentic, answer.alias)

    async def sips_services(self, domain: str) -> tuple[str, ...]:
        """The SRV names of a domain's SIP over TLS (RFC 3263 §4.1), in the order to be tried.

        Those of its NAPTR records for SIPS+D2T; without any ``_sips._tcp.`` and the domain.
        Raises ResolveError where the name servers give no answer.
        """
        name = canonical_name(domain)
        answer = await self._dns.ask(name, "NAPTR")
        if answer.failure == "timeout":
            raise ResolveError(answer.failure, answer.text)
        # Some name servers answer SERVFAIL to types they do not know: the SRV question follows.
        named = [
            record.replacement
            for record in sorted(answer.naptr, key=lambda r: (r.order, r.preference))
            if record.services == "sips+d2t" and record.flags == "s" and record.replacement != "."
        ]
        return tuple(dict.fromkeys(named)) or (f"_sips._tcp.{name}",)

    def alias_of(self, host: str) -> str:
        """The name that a CNAME has put in the place of a host's, if that is known; else ""."""
        name = canonical_name(host)
        answers = [self._dns.peek(name, kind) for kind in ("A", "AAAA")]
        return next((answer.alias for answer in answers if answer is not None and answer.alias), "")

    async def explain(self, question: Question) -> Explanation:
        """Go the way of `resolve` from its first step on, and tell it."""
        walk = self._walk(question)
        hops: tuple[Hop, ...] = ()
        error: ResolveError | None = None
        try:
            hops = self._draw(_plan_of(await walk.pools(), walk.expires), None)
        except ResolveError as failure:
            error = failure
        return Explanation(question, tuple(walk.steps), hops, error)

    def answers(self) -> tuple[Answer, ...]:
        """All valid answers in the cache, the oldest first; negative ones and failures too."""
        return self._dns.answers()

    def answers_about(self, host: str) -> tuple[Answer, ...]:
        """The valid answers on the ways to a host: of its services, and of what they lead to."""
        names = {host: None}
        found: list[Answer | None] = [self._dns.known(host, "NAPTR")]
        for service in (FEDERATION_SERVICE, *_SERVICES):
            answer = self._dns.known(f"{service}.{host}", "SRV")
            found.append(answer)
            names |= dict.fromkeys(() if answer is None else [r.target for r in answer.srv])
        for name in names:
            found += [self._dns.known(name, "A"), self._dns.known(name, "AAAA")]
        return tuple(answer for answer in found if answer is not None)

    def known_hops(self, question: Question) -> tuple[Hop, ...]:
        """All hops of a question that has been asked, in no order that says anything."""
        plan = self._plans.get(question)
        if plan is None:
            return ()
        members = [member for pool in plan.pools for member in pool]
        return plan.fixed or tuple(hop for member in members for hop in member.hops)

    def flush(self) -> None:
        """Forget all that was learnt, and look again at what this machine has."""
        self._plans.clear()
        self.flushes += 1
        self._dns.flush()
        self._ipv6_first = has_global_ipv6() if self._ipv6 is None else self._ipv6

    def statistics(self) -> DnsStatistics:
        """The counts of the cache; what `cached` answered is among the hits."""
        counts = self._dns.statistics()
        return replace(counts, hits=counts.hits + self._hits)

    def _walk(self, question: Question) -> Walk:
        return Walk(question, self._dns, self._clock, self._ipv6_first)

    def _numeric(self, question: Question) -> _Plan | None:
        """RFC 3263 §4: "If TARGET is a numeric IP address" no DNS is needed."""
        if parse_address(question.host) is None:
            return None
        try:
            plan = _plan_of(self._walk(question).numeric_pools(), inf)
        except ResolveError:
            return None
        self._keep(question, plan)
        return plan

    def _keep(self, question: Question, plan: _Plan) -> None:
        self._plans.pop(question, None)
        if len(self._plans) >= self._settings.max_entries:
            self._plans.popitem(last=False)
        self._plans[question] = plan

    def _draw(self, plan: _Plan, permitted: AddressFilter | None) -> tuple[Hop, ...]:
        hops = plan.fixed
        if hops is None:
            members = [member for pool in plan.pools for member in draw(pool, self._rng)]
            hops = tuple(hop for member in members for hop in member.hops)
        if permitted is None:
            return hops
        return tuple(hop for hop in hops if permitted.refusal(hop.address, hop.port) is None)


def has_global_ipv6() -> bool:
    """Whether this machine would send to the IPv6 internet from a global address of its own."""
    try:
        with socket(AF_INET6, SOCK_DGRAM) as probe:
            # Connecting a datagram socket sends nothing, it only looks up the route.
            probe.connect(("2001:db8::1", 9))
            return IPv6Address(probe.getsockname()[0].partition("%")[0]).is_global
    except OSError:
        return False


def _plan_of(pools: Pools, expires: float) -> _Plan:
    if any(len(pool) > 1 for pool in pools):
        return _Plan(expires, pools, None)
    return _Plan(expires, pools, tuple(hop for [member] in pools for hop in member.hops))


def _address_question(host: str) -> Question:
    # A port keeps RFC 3263 from NAPTR and SRV; which one does not matter here.
    return Question(canonical_name(host), 1, None, False, ("udp",))


def _filtered(host: str, hops: Sequence[Hop], permitted: AddressFilter) -> ResolveError:
    reasons = dict.fromkeys(permitted.refusal(hop.address, hop.port) for hop in hops)
    return ResolveError("filtered", f"{host}: {'; '.join(r for r in reasons if r)}")
