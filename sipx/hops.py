"""The way of RFC 3263 §4 from a host, a port and a transport to addresses, as one class.

The result of a `Walk` is *pools*: for each priority, in order, the SRV targets with their weights
and addresses. `draw` makes an order of a pool, as often as one is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

import trio

from sipx.addresses import parse_address
from sipx.lookup import DnsCache, ResolveError
from sipx.records import Answer, NaptrRecord, RecordType, SrvRecord

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from sipx.sip.uri import SipUri

MAX_TARGETS: Final = 16
"""SRV targets of one answer whose addresses are looked up."""
MAX_ADDRESSES: Final = 16
"""Addresses of one host name that are tried."""

DEFAULT_PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061, "mtls": 5061, "ws": 80, "wss": 443}
"""RFC 3261 §19.1.2; ws and wss have those of RFC 6455 §3."""

_SERVICES: Final = {
    "udp": "_sip._udp",
    "tcp": "_sip._tcp",
    "tls": "_sips._tcp",
    "mtls": "_sips._tcp",
    "ws": "_sip._ws",
    "wss": "_sips._ws",
}
_NAPTR_SERVICES: Final[dict[str, tuple[str, ...]]] = {
    "sip+d2u": ("udp",),
    "sip+d2t": ("tcp",),
    "sips+d2t": ("tls", "mtls"),
    "sip+d2w": ("ws",),
    "sips+d2w": ("wss",),
}
# What serves a wanted transport; for sips "each hop is secured with TLS" (RFC 3261 §26.2.2).
_SERVED_BY: Final[dict[str, tuple[str, ...]]] = {"tls": ("tls", "mtls")}
_SECURED_BY: Final[dict[str, tuple[str, ...]]] = {
    "tcp": ("tls", "mtls"),
    "tls": ("tls", "mtls"),
    "mtls": ("mtls",),
    "ws": ("wss",),
    "wss": ("wss",),
}
_SECURE: Final = frozenset(("tls", "mtls", "wss"))


@dataclass(frozen=True, slots=True)
class Hop:
    """One place to send to: a numeric ``address``, and the ``name`` that was asked for.

    ``transport`` is udp, tcp, tls, mtls, ws or wss. ``name`` is what a certificate must answer
    for (RFC 5922 §4): the host of the question, never a name that the DNS put in its place; it is
    the address itself where no name was asked for.
    """

    address: str
    port: int
    transport: str
    name: str


class Question(NamedTuple):
    """What RFC 3263 §4 starts from.

    ``transport`` is the URI's transport parameter or the protocol of a route, None if the choice
    is free; ``secure`` says that the URI is a SIPS URI; ``transports`` are those that this proxy
    has, in its preference.
    """

    host: str
    port: int | None
    transport: str | None
    secure: bool
    transports: tuple[str, ...]


def question_of(uri: SipUri, transports: tuple[str, ...]) -> Question:
    """The question that a URI asks. Its maddr parameter is not looked at (SEC-09)."""
    transport = uri.transport
    return Question(
        uri.host.decode("ascii", "replace"),
        uri.port,
        transport.decode("ascii", "replace") if transport else None,
        uri.scheme == b"sips",
        transports,
    )


class Step(NamedTuple):
    """One DNS question of an explanation; ``ttl`` in seconds from now, None for ever.

    ``cached`` says that nobody had to be asked, ``authentic`` that the server had the AD bit set.
    """

    question: str
    answer: str
    ttl: float | None
    cached: bool
    authentic: bool


class Member(NamedTuple):
    """An SRV target that has addresses."""

    weight: int
    hops: tuple[Hop, ...]


Pools = tuple[tuple[Member, ...], ...]
"""In the order to be tried; within one of them each use draws an order (`draw`)."""
Weighted = TypeVar("Weighted", SrvRecord, Member)


class Walk:
    """One question on its way through RFC 3263 §4.1 and §4.2."""

    def __init__(
        self, question: Question, dns: DnsCache, clock: Callable[[], float], ipv6_first: bool
    ) -> None:
        self.question = question._replace(host=canonical_name(question.host))
        self.expires = inf
        self.steps: list[Step] = []
        self._dns = dns
        self._clock = clock
        self._families: tuple[RecordType, ...] = ("AAAA", "A") if ipv6_first else ("A", "AAAA")

    async def pools(self) -> Pools:
        """The addresses, pool by pool. Raises ResolveError."""
        question = self.question
        if parse_address(question.host) is not None:
            return self.numeric_pools()
        if question.port is not None:
            # §4.2: "If TARGET was not a numeric IP address, but a port is present in the URI, the
            # client performs an A or AAAA record lookup of the domain name."
            return await self._at(self._named_transport() or self._default_transport())
        transport = self._named_transport()
        if transport is not None:
            service = f"{_SERVICES[transport]}.{question.host}"
            return await self._by_services([(transport, service)], transport)
        services = await self._naptr_services()
        if services:
            return await self._by_services(services, services[0][0])
        # §4.1: "If no NAPTR records are found, the client constructs SRV queries for those
        # transport protocols it supports, and does a query for each."
        services = [(t, f"{_SERVICES[t]}.{question.host}") for t in self._usable_transports()]
        return await self._by_services(services, self._default_transport())

    def numeric_pools(self) -> Pools:
        """The one hop of a numeric host. Raises ResolveError if no transport of ours will do."""
        address = str(parse_address(self.question.host))
        transport = self._named_transport() or self._default_transport()
        port = self.question.port or DEFAULT_PORTS.get(transport, 5060)
        return ((Member(0, (Hop(address, port, transport, address),)),),)

    # ------------------------------------------------------------ §4.1: the transport

    def _named_transport(self) -> str | None:
        """The transport of ours that serves the wanted one; None if the choice is free."""
        question = self.question
        if question.transport is None:
            return None
        wanted = question.transport
        if question.secure:
            serving = _SECURED_BY.get(wanted, ())
        else:
            serving = _SERVED_BY.get(wanted, (wanted,))
        for transport in question.transports:
            if transport in serving:
                return transport
        raise self._no_transport(f"transport {wanted}")

    def _usable_transports(self) -> list[str]:
        return [t for t in self.question.transports if t in _SECURE or not self.question.secure]

    def _default_transport(self) -> str:
        """§4.1: "the client SHOULD use UDP for a SIP URI, and TCP [TLS] for a SIPS URI"."""
        usable = self._usable_transports()
        if not usable:
            raise self._no_transport("TLS" if self.question.secure else "a transport")
        return "udp" if "udp" in usable else usable[0]

    def _no_transport(self, wanted: str) -> ResolveError:
        scheme = "sips" if self.question.secure else "sip"
        ours = ", ".join(self.question.transports) or "none"
        return ResolveError(
            "nodata", f"{scheme}:{self.question.host} needs {wanted}; this proxy has {ours} for it"
        )

    async def _naptr_services(self) -> list[tuple[str, str]]:
        """Transport and SRV name of each NAPTR record that we can use, in its order."""
        [answer] = await self._ask([(self.question.host, "NAPTR")])
        if answer.failure == "timeout":
            raise ResolveError(answer.failure, answer.text)
        # Some name servers answer SERVFAIL to types they do not know: SRV questions follow.
        usable = self._usable_transports()
        services: list[tuple[str, str]] = []
        for record in sorted(answer.naptr, key=_naptr_order):
            # The second §4.1 rule, "discard any services that do not contain SIPS" for a SIPS
            # URI, holds because only secured transports are usable then.
            serving = _NAPTR_SERVICES.get(record.services, ())
            transport = next((t for t in usable if t in serving), None)
            if transport is not None and record.flags == "s" and record.replacement != ".":
                services.append((transport, record.replacement))
        return services

    # ------------------------------------------------------------ §4.2: address and port

    async def _by_services(self, services: Sequence[tuple[str, str]], fallback: str) -> Pools:
        """The targets of the first service that has some; without any SRV record, the host's."""
        services = _once_each(services)
        answers = await self._ask([(name, "SRV") for _, name in services])
        failures: list[ResolveError] = []
        for (transport, _), answer in zip(services, answers, strict=True):
            if answer.is_temporary and answer.failure is not None:
                failures.append(ResolveError(answer.failure, answer.text))
            elif answer.srv:
                records = [r for r in answer.srv if r.target != "." and r.port]
                if not records:
                    failures.append(withdrawn(answer))
                    continue
                pools, failure = await self._pools(records, transport)
                if failure is None:
                    return pools
                failures.append(failure)
        if failures:
            # What may be better later decides before what will not.
            raise min(failures, key=lambda failure: failure.kind not in ("servfail", "timeout"))
        # "If no SRV records were found, the client performs an A or AAAA record lookup of the
        # domain name."
        return await self._at(fallback)

    async def _pools(
        self, records: Sequence[SrvRecord], transport: str
    ) -> tuple[Pools, ResolveError | None]:
        best = sorted(records, key=_srv_order)[:MAX_TARGETS]
        known = await self._addresses(record.target for record in best)
        pools: dict[int, list[Member]] = {}
        for record in best:
            addresses = known[record.target]
            if not isinstance(addresses, ResolveError):
                hops = self._hops(addresses, transport, record.port)
                pools.setdefault(record.priority, []).append(Member(record.weight, hops))
        if pools:
            return tuple(tuple(pool) for pool in pools.values()), None
        failures = [failure for failure in known.values() if isinstance(failure, ResolveError)]
        return (), min(failures, key=lambda failure: failure.kind not in ("servfail", "timeout"))

    async def _at(self, transport: str) -> Pools:
        [addresses] = (await self._addresses([self.question.host])).values()
        if isinstance(addresses, ResolveError):
            raise addresses
        return ((Member(0, self._hops(addresses, transport)),),)

    async def _addresses(self, names: Iterable[str]) -> dict[str, tuple[str, ...] | ResolveError]:
        """The addresses of each name, or why it has none; A and AAAA are asked at once."""
        found: dict[str, tuple[str, ...] | ResolveError] = dict.fromkeys(names, ())
        answers = await self._ask([(name, kind) for name in found for kind in self._families])
        for name in found:
            both = [answer for answer in answers if answer.name == name]
            addresses = [address for answer in both for address in answer.addresses]
            if addresses:
                found[name] = tuple(addresses[:MAX_ADDRESSES])
            else:
                # A failing server says more about the moment, NODATA more than NXDOMAIN.
                worst = next((a for a in both if a.is_temporary), None) or next(
                    (a for a in both if a.failure == "nodata"), both[0]
                )
                found[name] = ResolveError(worst.failure or "nodata", worst.text)
        return found

    def _hops(
        self, addresses: Sequence[str], transport: str, port: int | None = None
    ) -> tuple[Hop, ...]:
        port = port or self.question.port or DEFAULT_PORTS.get(transport, 5060)
        return tuple(Hop(address, port, transport, self.question.host) for address in addresses)

    # ------------------------------------------------------------ the DNS

    async def _ask(self, questions: Sequence[tuple[str, RecordType]]) -> list[Answer]:
        """The answers to all questions, asked at the same time; the plan lives no longer."""
        known = [self._dns.peek(name, kind) for name, kind in questions]
        answers = list(known)
        async with trio.open_nursery() as nursery:
            for index, answer in enumerate(known):
                if answer is None:
                    nursery.start_soon(self._ask_into, answers, index, *questions[index])
        asked = [answer for answer in answers if answer is not None]
        hosts_with_address = {answer.name for answer in asked if answer.addresses}
        now = self._clock()
        for answer, before in zip(asked, known, strict=True):
            ttl = None if answer.expires == inf else max(answer.expires - now, 0.0)
            question = f"{answer.type} {answer.name}"
            self.steps.append(
                Step(question, answer.text, ttl, before is not None, answer.authentic)
            )
            # That a name has no IPv6 address need not be asked again before its IPv4 address is.
            if answer.failure not in ("nodata", "nxdomain") or (
                answer.name not in hosts_with_address
            ):
                self.expires = min(self.expires, answer.expires)
        return asked

    async def _ask_into(
        self, answers: list[Answer | None], index: int, name: str, kind: RecordType
    ) -> None:
        answers[index] = await self._dns.ask(name, kind)


def draw(pool: Sequence[Weighted], rng: random.Random) -> list[Weighted]:
    """An order in which to try the records of one priority, by their weights (RFC 2782).

    "The following algorithm SHOULD be used to order the SRV RRs of the same priority": those of
    weight 0 come first, a number between 0 and the sum of weights is drawn, and the first whose
    running sum reaches it is taken. Where no record has weight 0 the number 0 is not drawn, for
    it would go to whichever record stands first, and 1:1 would become 2:1.
    """
    if len(pool) == 1:
        return list(pool)
    zeros = [member for member in pool if not member.weight]
    rng.shuffle(zeros)
    left = zeros + [member for member in pool if member.weight]
    order: list[Weighted] = []
    while len(left) > 1:
        total = sum(member.weight for member in left)
        number = rng.randint(0 if not left[0].weight else 1, total)
        running = 0
        for index, member in enumerate(left):
            running += member.weight
            if running >= number:
                order.append(left.pop(index))
                break
    return order + left


def canonical_name(name: str) -> str:
    """A host name as the cache knows it: in lower case without the final dot."""
    return name.lower().removesuffix(".")


def _once_each(services: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Each SRV name once, with the transport that came first: tls and mtls share one."""
    first: dict[str, str] = {}
    for transport, name in services:
        first.setdefault(name, transport)
    return [(transport, name) for name, transport in first.items()]


def _naptr_order(record: NaptrRecord) -> tuple[int, int]:
    return record.order, record.preference


def _srv_order(record: SrvRecord) -> tuple[int, int]:
    return record.priority, -record.weight


def withdrawn(answer: Answer) -> ResolveError:
    """The failure that an SRV record with the target "." stands for."""
    text = f'{answer.text}: the target "." says that this service is not available (RFC 2782)'
    return ResolveError("refused", text)
