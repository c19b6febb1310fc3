"""What is shown of partners: the models of ``federation.partners``, and the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from sipx_open_federation.config import NAME
from sipx_open_federation.partners import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipx import Proxy
    from sipx_open_federation.book import Entry
    from sipx_open_federation.relations import Relations

MOST: Final = 1000
"""The largest number that can be asked for at once."""
SHOWN: Final = 50
"""Partners that the status shows at most; ``sipx partners`` shows all."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class PartnersParams(_Shown):
    """Which partners."""

    domain: str = ""
    """A domain, or a pattern with stars; "" for all."""
    connected: bool = False
    """Only those that there is a connection with now."""
    limit: int = Field(default=100, ge=1, le=MOST)
    """How many at most."""
    offset: int = Field(default=0, ge=0)
    """How many are left out before."""


class ForgetParams(_Shown):
    """Who is forgotten."""

    domain: str
    """The partner's domain."""


class PartnerState(_Shown):
    """One discovered partner. Times are seconds since 1970, None for never."""

    domain: str
    standing: str
    """"discovered", "allowed" (promoted), "blocked", or "not in allow"."""
    first: float | None
    """The first contact."""
    last: float | None
    """The last contact."""
    last_in: float | None
    """Its last request."""
    last_out: float | None
    """Its last answer to a request of ours."""
    identity: str
    """The name of its certificate that proves the domain, "" as long as none has."""
    profile: str
    """By which profile it does."""
    weakness: str
    """What speaks against that, "" if nothing does."""
    subject: str
    issuer: str
    certificate_until: float | None
    """When its certificate ends."""
    messages_in: int
    """Requests of the partner that were let in."""
    messages_out: int
    """Requests of ours that it has answered."""
    refused: int
    """Its requests that were refused, for another reason than its limits."""
    slowed: int
    """Its requests for which it had to wait."""
    limited: int
    """Its requests that were refused because of its limits."""
    over: float
    """How many messages it is over its limit now."""
    messages_per_second: float
    """What it may send; 0: no limit."""
    burst: int
    users_per_day: int
    """How many different users it may ask for; 0: no limit."""
    flows: tuple[str, ...]
    """The connections with it, by name."""
    flow_ids: tuple[int, ...]
    """Their numbers in `sipx flows`."""
    subscriptions: int
    """Subscriptions in both directions that keep them."""
    next_try: float | None
    """In how many seconds it is connected to again, None where nothing is to be done."""
    trouble: str
    """What does not work with it, "" if nothing is known."""


class PartnerList(_Shown):
    """Some of them, the one with the latest contact first."""

    partners: tuple[PartnerState, ...]
    total: int
    """How many there are of what was asked for."""


class PartnerRow(_Shown):
    """A partner in the status: one that there is contact with now."""

    domain: str
    standing: str
    profile: str
    flows: int
    subscriptions: int
    messages_in: int
    messages_out: int
    limited: int
    since: float
    """The first contact."""
    trouble: str


class FederationCounts(_Shown):
    """Open federation in the status."""

    interface: str
    known: int
    """Partners in the book."""
    connected: int
    """Of these, partners that there is a connection with now."""
    messages_in: int
    """Requests of partners that were let in since the start, of all of them together."""
    messages_out: int
    """Requests that partners have answered."""
    slowed: int
    """Of the first, those that had to wait because their partner was over its limit."""
    limited: int
    """Requests that were refused because of that."""
    refused: int
    """Requests that were refused for another reason."""


def standing_of(relations: Relations, domain: bytes) -> str:
    """What a partner may do here, in words."""
    partners = relations.partners
    if partners.blocked(domain):
        return "blocked"
    if partners.promoted(domain):
        return "allowed"
    return "discovered" if partners.welcome(domain) else "not in allow"


def state_of(entry: Entry, relations: Relations, proxy: Proxy) -> PartnerState:
    """Everything that is known of a partner."""
    domain = entry.domain.encode()
    allowance = relations.limits.allowance(domain)
    ties = relations.connections.of(domain)
    flows = relations.flows(domain)
    return PartnerState(
        domain=entry.domain,
        standing=standing_of(relations, domain),
        first=entry.first or None,
        last=entry.last or None,
        last_in=entry.last_in or None,
        last_out=entry.last_out or None,
        identity=entry.identity,
        profile=entry.profile,
        weakness=entry.weakness,
        subject=entry.subject,
        issuer=entry.issuer,
        certificate_until=entry.not_after or None,
        messages_in=entry.messages_in,
        messages_out=entry.messages_out,
        refused=entry.refused,
        slowed=entry.slowed,
        limited=entry.limited,
        over=relations.limits.owes(domain),
        messages_per_second=allowance.rate,
        burst=allowance.burst,
        users_per_day=allowance.users,
        flows=tuple(flow.name for flow in flows),
        flow_ids=tuple(flow.id for flow in flows),
        subscriptions=ties.subscriptions,
        next_try=ties.next_try,
        trouble=_trouble(proxy, domain),
    )


def sections(relations: Relations, proxy: Proxy) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
    """For ``sipx status``: how many there are, and those of now."""
    book, connected = relations.book, relations.connected()
    counts = FederationCounts(
        interface=relations.config.interface_name,
        known=len(book),
        connected=len(connected),
        messages_in=book.totals["in"],
        messages_out=book.totals["out"],
        slowed=book.totals["slowed"],
        limited=book.totals["limited"],
        refused=book.totals["refused"],
    )
    entries = (book.entry(domain) for domain in connected)
    rows = [_row(entry, relations, proxy) for entry in _first(entries)]
    return {NAME: counts, "partners": rows}


def _first(entries: Iterable[Entry | None]) -> list[Entry]:
    found = [entry for entry in entries if entry is not None]
    found.sort(key=lambda entry: entry.last, reverse=True)
    return found[:SHOWN]


def _row(entry: Entry, relations: Relations, proxy: Proxy) -> PartnerRow:
    domain = entry.domain.encode()
    return PartnerRow(
        domain=entry.domain,
        standing=standing_of(relations, domain),
        profile=entry.profile,
        flows=len(relations.flows(domain)),
        subscriptions=relations.connections.of(domain).subscriptions,
        messages_in=entry.messages_in,
        messages_out=entry.messages_out,
        limited=entry.limited,
        since=entry.first,
        trouble=_trouble(proxy, domain),
    )


def _trouble(proxy: Proxy, domain: bytes) -> str:
    return proxy.trouble("partner", name_of(domain))
