"""DNS questions, one name and one record type each, with a cache (RFC 1035, RFC 2308).

Three rules keep a bad answer small. A failure of a name server (SERVFAIL, no answer) is
remembered for seconds only and never replaces records that are still valid. Identical questions
that come while one is under way wait for its answer. Every table has a bound.

What RFC 3263 makes of the answers is in `sipx.resolver`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
import dns.rrset
import trio

from sipx.addresses import parse_address
from sipx.errors import SipxError
from sipx.records import (
    MAX_RECORDS,
    Answer,
    Kind,
    RecordType,
    addresses_of,
    naptr_of,
    special_answer,
    srv_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FAILURE_TTL: Final = 5.0
"""Seconds for which a failure of the name servers is believed."""
MAX_WAITING: Final = 512
"""Questions that may be under way at once; one more fails at once instead of waiting."""
MAX_CNAMES: Final = 8
"""Further questions that one answer may lead to by pointing to another name."""

_MAX_SHOWN: Final = 1000
_EDNS_PAYLOAD: Final = 1232
_FIRST_SERVER_SHARE: Final = 0.4


class ResolveError(SipxError):
    """A name led to no address. ``kind`` is for the program, the text for people.

    ``nxdomain``: the name does not exist, or cannot. ``nodata``: it exists without the records
    that are needed, or for no transport of ours. ``refused``: its owner says that the service is
    not available there (RFC 2782, target "."). ``servfail``, ``timeout``: the name servers failed,
    later may be better. ``filtered``: every address is one that must not be sent to (SEC-09).
    """

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind: Kind = kind
        self.text = text


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """The table ``[dns]``; times in seconds. Raises ValueError for a server it cannot read.

    ``servers`` are addresses with an optional port, none means those of the system. ``timeout``
    is for one question, whatever number of servers it is put to. A TTL is held between
    ``cache_min_ttl`` and ``cache_max_ttl``. A "no" lives as long as its SOA record says
    (RFC 2308 §5) but not longer than ``negative_max_ttl``, and ``negative_ttl`` without SOA.
    """

    servers: tuple[str, ...] = ()
    timeout: float = 5.0
    cache_max_ttl: float = 3600.0
    cache_min_ttl: float = 5.0
    negative_ttl: float = 30.0
    negative_max_ttl: float = 300.0
    max_entries: int = 10_000

    def __post_init__(self) -> None:
        for server in self.servers:
            parse_server(server)


@dataclass(frozen=True, slots=True)
class DnsStatistics:
    """Counts since the start; ``entries`` and ``waiting`` (questions under way) are of now.

    ``hits`` were answered from memory, ``misses`` were not, ``shared`` waited for another's query.
    """

    entries: int
    waiting: int
    hits: int
    misses: int
    shared: int
    queries: int
    failures: int
    evicted: int


class _Flight:
    """A question under way, and those who wait for it."""

    __slots__ = ("answer", "landed")

    def __init__(self) -> None:
        self.landed = trio.Event()
        self.answer: Answer | None = None


class DnsCache:
    """Asks the name servers of ``settings``, remembers by ``clock``."""

    def __init__(self, settings: DnsSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._backend: dns.asyncresolver.Resolver | None = None
        self._answers: OrderedDict[tuple[str, RecordType], Answer] = OrderedDict()
        self._flights: dict[tuple[str, RecordType], _Flight] = {}
        self._hits = self._misses = self._shared = 0
        self._queries = self._failures = self._evicted = 0

    def peek(self, name: str, kind: RecordType) -> Answer | None:
        """The valid answer that is known, also when it is a failure; asks nobody."""
        answer = self._valid((name, kind))
        if answer is not None:
            self._hits += 1
        return answer

    def known(self, name: str, kind: RecordType) -> Answer | None:
        """The same for those who only watch: it does not count."""
        return self._valid((name, kind))

    async def ask(self, name: str, kind: RecordType) -> Answer:
        """The answer to a question, from the cache or the name servers. A failure is an answer.

        ``name`` is in lower case without the final dot.
        """
        key = (name, kind)
        while True:
            known = self.peek(name, kind)
            if known is not None:
                return known
            flight = self._flights.get(key)
            if flight is None:
                break
            self._shared += 1
            await flight.landed.wait()
            if flight.answer is not None:
                return flight.answer
            # The asker was cancelled before it knew; the first that wakes up asks in its place.
        self._misses += 1
        special = special_answer(name, kind)
        if special is not None:
            return special
        if len(self._flights) >= MAX_WAITING:
            text = f"{kind} {name}: not asked, {MAX_WAITING} DNS questions are waiting already"
            return Answer(name, kind, text, self._clock(), "servfail")
        flight = self._flights[key] = _Flight()
        try:
            flight.answer = await self._query(name, kind)
            self._store(key, flight.answer)
            return flight.answer
        finally:
            del self._flights[key]
            flight.landed.set()

    def answers(self) -> tuple[Answer, ...]:
        """All valid answers, the oldest first."""
        now = self._clock()
        return tuple(answer for answer in self._answers.values() if answer.expires > now)

    def flush(self) -> None:
        """Forget all answers, and read the system's list of name servers again."""
        self._answers.clear()
        self._backend = None

    def statistics(self) -> DnsStatistics:
        """The counts of now."""
        return DnsStatistics(
            entries=len(self._answers),
            waiting=len(self._flights),
            hits=self._hits,
            misses=self._misses,
            shared=self._shared,
            queries=self._queries,
            failures=self._failures,
            evicted=self._evicted,
        )

    def _valid(self, key: tuple[str, RecordType]) -> Answer | None:
        answer = self._answers.get(key)
        return answer if answer is not None and answer.expires > self._clock() else None

    def _store(self, key: tuple[str, RecordType], answer: Answer) -> None:
        if answer.is_temporary:
            self._failures += 1
            valid = self._valid(key)
            if valid is not None and not valid.is_temporary:
                return
        self._answers.pop(key, None)
        if len(self._answers) >= self._settings.max_entries:
            self._answers.popitem(last=False)
            self._evicted += 1
        self._answers[key] = answer

    async def _query(self, name: str, kind: RecordType) -> Answer:
        asked = f"{kind} {name}"
        try:
            backend = self._backend or self._configured()
        except dns.exception.DNSException as failure:
            return self._failed(name, kind, "servfail", f"{asked}: no name server: {failure}")
        who = ", ".join(_server_text(server) for server in backend.nameservers)
        target = dns.name.from_text(name)
        deadline = trio.current_time() + self._settings.timeout
        ttl = inf
        for _ in range(MAX_CNAMES):
            self._queries += 1
            try:
                answer = await backend.resolve(
                    target,
                    kind,
                    raise_on_no_answer=False,
                    search=False,
                    lifetime=max(deadline - trio.current_time(), 0.001),
                    backend=dns.asyncbackend.get_backend("trio"),
                )
            except dns.resolver.NXDOMAIN as no:
                text = f"{asked}: the name does not exist (NXDOMAIN), says {who}"
                response = no.kwargs["responses"][target]
                return self._negative(name, kind, "nxdomain", text, ttl, response)
            except dns.resolver.LifetimeTimeout:
                text = f"{asked}: no answer within {self._settings.timeout:g} s from {who}"
                return self._failed(name, kind, "timeout", text)
            except dns.resolver.NoNameservers as failure:
                text = f"{asked}: {_errors_text(failure) or f'no usable answer from {who}'}"
                return self._failed(name, kind, "servfail", text)
            except dns.exception.DNSException as failure:
                text = f"{asked}: {type(failure).__name__} from {who}"
                return self._failed(name, kind, "servfail", text)
            chain = answer.chaining_result
            if chain.answer is not None:
                ttl = min(ttl, chain.minimum_ttl)
                found = self._positive(name, kind, who, ttl, chain.answer, answer.response)
                canonical = str(chain.canonical_name.to_text(omit_final_dot=True)).lower()
                return found if canonical == name else found._replace(alias=canonical)
            soa = any(rrset.rdtype == dns.rdatatype.SOA for rrset in answer.response.authority)
            if soa or chain.canonical_name == target:
                text = f"{asked}: the name has no {kind} record, says {who}"
                return self._negative(name, kind, "nodata", text, ttl, answer.response)
            # A CNAME whose target the server did not look up (RFC 1034 §3.6.2): ask for that.
            ttl = min(ttl, *(rrset.ttl for rrset in chain.cnames))
            target = chain.canonical_name
        text = f"{asked}: more than {MAX_CNAMES} CNAME records in a row from {who}"
        return self._failed(name, kind, "servfail", text)

    def _positive(
        self,
        name: str,
        kind: RecordType,
        who: str,
        ttl: float,
        rrset: dns.rrset.RRset,
        response: dns.message.Message,
    ) -> Answer:
        settings = self._settings
        ttl = min(max(ttl, settings.cache_min_ttl), settings.cache_max_ttl)
        rdatas = list(rrset)[:MAX_RECORDS]
        records = "; ".join(rdata.to_text() for rdata in rdatas)[:_MAX_SHOWN]
        return Answer(
            name,
            kind,
            f"{kind} {name}: {records}, says {who}",
            self._clock() + ttl,
            addresses=addresses_of(rdatas) if kind in ("A", "AAAA") else (),
            srv=tuple(map(srv_of, rdatas)) if kind == "SRV" else (),
            naptr=tuple(map(naptr_of, rdatas)) if kind == "NAPTR" else (),
            authentic=bool(response.flags & dns.flags.AD),
        )

    def _negative(
        self,
        name: str,
        kind: RecordType,
        failure: Kind,
        text: str,
        ttl: float,
        response: dns.message.QueryMessage,
    ) -> Answer:
        """RFC 2308 §5: "the TTL of this record is set from the minimum of the SOA"."""
        settings = self._settings
        if any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority):
            ttl = min(ttl, response.resolve_chaining().minimum_ttl)
        else:
            ttl = min(ttl, settings.negative_ttl)
        ttl = min(max(ttl, settings.cache_min_ttl), settings.negative_max_ttl)
        authentic = bool(response.flags & dns.flags.AD)
        return Answer(name, kind, text, self._clock() + ttl, failure, authentic=authentic)

    def _failed(self, name: str, kind: RecordType, failure: Kind, text: str) -> Answer:
        return Answer(name, kind, text, self._clock() + FAILURE_TTL, failure)

    def _configured(self) -> dns.asyncresolver.Resolver:
        """The stub resolver of dnspython, without its own cache. Raises DNSException."""
        settings = self._settings
        backend = dns.asyncresolver.Resolver(configure=not settings.servers)
        if settings.servers:
            backend.nameservers = [
                dns.nameserver.Do53Nameserver(*parse_server(server)) for server in settings.servers
            ]
        # A dead first server must leave time to ask the second.
        backend.timeout = settings.timeout * _FIRST_SERVER_SHARE
        backend.lifetime = settings.timeout
        backend.use_edns(0, 0, _EDNS_PAYLOAD)
        # RFC 6840 §5.7: AD in a question asks for the AD bit in the answer.
        backend.flags = dns.flags.RD | dns.flags.AD
        self._backend = backend
        return backend


def parse_server(text: str) -> tuple[str, int]:
    """Address and port of a name server: ``9.9.9.9``, ``127.0.0.1:5353``, ``[2620:fe::fe]:53``.

    Raises ValueError with a text for the operator.
    """
    host, port = text, "53"
    if text.startswith("[") or text.count(":") == 1:
        head, _, tail = text.rpartition(":")
        if head and not text.endswith("]"):
            host, port = head, tail
    address = parse_address(host)
    if address is None:
        raise ValueError(f"{text!r} is not the IP address of a name server, with or without port")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise ValueError(f"{text!r}: the port must be between 1 and 65535")
    return str(address), int(port)


def _server_text(server: str | dns.nameserver.Nameserver) -> str:
    if not isinstance(server, dns.nameserver.AddressAndPortNameserver):
        return str(server)
    host = f"[{server.address}]" if ":" in server.address else server.address
    return host if server.port == 53 else f"{host}:{server.port}"


def _errors_text(failure: dns.resolver.NoNameservers) -> str:
    """ "SERVFAIL from 9.9.9.9" for every server that was asked."""
    errors = failure.kwargs.get("errors", ())
    texts = []
    for server, _, _, error, _ in errors:
        what = error if isinstance(error, str) else f"{type(error).__name__} {error}".strip()
        if isinstance(error, OSError) and error.strerror:
            what = error.strerror
        texts.append(f"{what} from {str(server).removeprefix('Do53:').replace('@', ':')}")
    return "; ".join(texts)
