"""The DNS as the proxy sees it: what it remembers, and the way it goes for a URI: ``dns.*``.

The same methods answer for a running proxy and, from the command line, for one that is only made of
its configuration file; ``live`` says which it was.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field

from sipx.control.errors import ControlError
from sipx.control.explain import LONGEST_URI, ExplainedTarget, Explanation
from sipx.control.methods import Done, changing
from sipx.dry_run import DryRun, RequestError
from sipx.escaping import escaped
from sipx.outward import outward_filter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.kernel import Kernel
    from sipx.records import Answer

_ORDER: Final = {"NAPTR": 0, "SRV": 1}
"""RFC 3263 §4: what is asked first."""
_DISCOVERED: Final = (8, 9)
"""Rows of docs/trust.md, table "Outgoing", by which outsiders' records lead somewhere."""


class DnsEntry(BaseModel):
    """One question with its answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    type: str
    """A, AAAA, SRV or NAPTR."""
    text: str
    """What came, and from whom, in words."""
    ttl: float | None
    """Seconds for which it holds, None for ever."""
    failure: str
    """"" where there are records; else nxdomain, nodata, servfail or timeout."""
    authentic: bool
    """Whether the name server says that it has validated the answer by DNSSEC (the AD bit)."""
    alias: str
    """The name that a CNAME has put in the place of the asked one, "" without."""


class DnsStatistics(BaseModel):
    """Counts since the start, or since other name servers were configured."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    entries: int
    """Answers that are kept."""
    waiting: int
    """Questions that are under way."""
    hits: int
    """Answered from memory."""
    misses: int
    """Not answered from memory."""
    shared: int
    """Waited for the query of another."""
    queries: int
    failures: int
    """Queries that the name servers failed to answer."""
    evicted: int
    """Answers that had to make room."""


class DnsCacheState(BaseModel):
    """What the cache holds, the oldest first."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    entries: tuple[DnsEntry, ...]
    statistics: DnsStatistics


class DnsRouteParams(BaseModel):
    """Which way."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    uri: str = Field(min_length=1, max_length=LONGEST_URI)
    """The Request-URI of a request from one of our UC servers."""
    method: str = Field("MESSAGE", min_length=1, max_length=32, pattern="^[A-Z]+$")


class DnsStep(DnsEntry):
    """One question on the way."""

    cached: bool
    """Whether the answer was known before, so that nobody was asked."""


class DnsRefused(BaseModel):
    """An address that the DNS names, and that is not sent to."""

    model_config = ConfigDict(frozen=True)

    name: str
    address: str
    why: str


class DnsRoute(BaseModel):
    """The way of a request through the DNS, and the hops that it ends at."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether a running proxy says so."""
    uri: str
    method: str
    status: int
    """0: there is a way; else the request is answered so."""
    why: str
    row: int
    """The row of docs/trust.md, table "Outgoing", that decided; 0 where none did."""
    temporary: bool
    """Whether a name server failed, so that it may be another way soon."""
    reasons: tuple[str, ...]
    """Why the targets are what they are, as plugins say."""
    steps: tuple[DnsStep, ...]
    targets: tuple[ExplainedTarget, ...]
    """With their hops, in the order in which they are tried."""
    refused: tuple[DnsRefused, ...]


class DnsMethods:
    """The methods ``dns.cache``, ``dns.flush`` and ``dns.route``."""

    def __init__(self, kernel: Kernel, *, live: bool = True) -> None:
        self._kernel = kernel
        self._live = live

    def cache(self) -> DnsCacheState:
        """What the cache of the DNS holds, and how often it was asked."""
        now = self._kernel.clock()
        resolver = self._kernel.resolver
        counts = resolver.statistics()
        return DnsCacheState(
            entries=tuple(DnsEntry(**_entry(answer, now)) for answer in resolver.answers()),
            statistics=DnsStatistics(
                entries=counts.entries,
                waiting=counts.waiting,
                hits=counts.hits,
                misses=counts.misses,
                shared=counts.shared,
                queries=counts.queries,
                failures=counts.failures,
                evicted=counts.evicted,
            ),
        )

    @changing("operator")
    def flush(self) -> Done:
        """Forget all answers of the DNS; connections and dialogs stay as they are."""
        resolver = self._kernel.resolver
        known = len(resolver.answers())
        resolver.flush()
        self._kernel.paths.forget()
        kept = f"{known} answer{'' if known == 1 else 's'} of the DNS"
        return Done(text=f"{kept} forgotten; what is asked next is asked anew")

    async def route(self, params: DnsRouteParams) -> DnsRoute:
        """Resolve a URI exactly as for a request from one of our UC servers; nothing is sent but
        questions to the DNS.
        """
        kernel = self._kernel
        before = {(a.name, a.type): a.expires for a in kernel.resolver.answers()}
        try:
            explained = await DryRun(kernel).explain(params.uri, method=params.method)
        except RequestError as error:
            raise ControlError("params", str(error)) from error
        told = Explanation.of(explained, live=self._live)
        asked = {(answer.name, answer.type) for answer in explained.dns}
        answers = [a for a in kernel.resolver.answers() if (a.name, a.type) in asked]
        answers.sort(key=lambda answer: _ORDER.get(answer.type, 2))
        now = kernel.clock()
        row = told.row or next((t.row for t in explained.targets), 0)
        return DnsRoute(
            live=self._live,
            uri=told.uri,
            method=told.method,
            status=told.status,
            why=told.why,
            row=row,
            temporary=told.status == 504 and any(a.is_temporary for a in answers),
            reasons=told.reasons,
            steps=tuple(
                DnsStep(**_entry(a, now), cached=before.get((a.name, a.type)) == a.expires)
                for a in answers
            ),
            targets=told.targets,
            refused=_refused(kernel, answers) if row in _DISCOVERED else (),
        )


def _refused(kernel: Kernel, answers: Iterable[Answer]) -> tuple[DnsRefused, ...]:
    permitted = outward_filter(kernel)
    ports = {record.target: record.port for answer in answers for record in answer.srv}
    return tuple(
        DnsRefused(name=escaped(answer.name), address=address, why=why)
        for answer in answers
        for address in answer.addresses
        if answer.name in ports
        and (why := permitted.refusal(address, ports[answer.name])) is not None
    )


def _entry(answer: Answer, now: float) -> dict[str, Any]:
    return {
        "name": escaped(answer.name),
        "type": answer.type,
        "text": escaped(answer.text),
        "ttl": None if answer.expires == inf else round(max(answer.expires - now, 0.0), 1),
        "failure": answer.failure or "",
        "authentic": answer.authentic,
        "alias": escaped(answer.alias),
    }
