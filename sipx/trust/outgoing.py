"""Where a request may go, and what a failure on the way means: the table "Outgoing".

The same function answers before anything is tried and after a try has failed: then ``failure``
says how, and ``more_targets`` whether there is another place to try.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Final

from sipx.trust.rules import identity_headers_kept, relay_refusal

if TYPE_CHECKING:
    from sipx.trust.terms import SenderKind


class Owner(Enum):
    """What the registrar and the list of UC servers know of a user in our domain."""

    UNKNOWN = "unknown"
    UP = "up"
    DOWN = "down"


class Lookup(Enum):
    """What DNS said about a foreign domain."""

    FOUND = "found"
    NOTHING = "no record"
    REFUSED = 'the record "."'
    FAILED = "no answer"
    OURSELVES = "leads to this proxy"


class Failure(Enum):
    """How a try ended. REFUSED is also a 503 of the next hop and a dead flow (RFC 3261 §16.9)."""

    CERTIFICATE = "certificate or TLS"
    REFUSED = "refused"
    TIMEOUT = "no connection in time"
    DNS = "name not resolved"
    NO_ANSWER = "no final answer"
    FILTERED = "address or port not permitted"


class OutgoingAction(Enum):
    """SEND (again), go on with the NEXT target, or REFUSE: with a status, or in silence."""

    SEND = "send"
    REFUSE = "refuse"
    NEXT = "next"


@dataclass(frozen=True, slots=True)
class OutgoingRoute:
    """The static route whose pattern matches the target's domain best."""

    name: str
    protocol: str
    active: bool = True
    trusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """Everything that the decision on a target needs."""

    sender: SenderKind | None
    method: bytes = b"MESSAGE"
    sips: bool = False
    named: bool = True
    """The Request-URI names a domain: not an IP address, not nothing."""
    ours: bool = False
    blocked: bool = False
    owner: Owner = Owner.UNKNOWN
    route: OutgoingRoute | None = None
    static_routes_on: bool = True
    open_federation_on: bool = False
    welcome: bool = True
    """The operator's lists let the domain federate with us."""
    srv: Lookup = Lookup.FOUND
    """What _sipfederationtls._tcp led to."""
    rfc3263: Lookup | None = None
    """What NAPTR and _sips._tcp led to; None: they are not asked here."""
    failure: Failure | None = None
    more_targets: bool = False
    source_trusted: bool = False
    privacy_id: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingDecision:
    """What to do, by which row, and why.

    ``row`` 0 is the rule before the table. ``through`` holds 7 where a route is switched off.
    ``status`` None with REFUSE: nothing is answered (RFC 4320 §4.2). A 480 wants Retry-After.
    """

    row: int
    action: OutgoingAction
    reason: str
    status: int | None = None
    keep_identity: bool = False
    through: tuple[int, ...] = ()


_STATUS: Final = {
    Failure.CERTIFICATE: 502,
    Failure.REFUSED: 500,
    Failure.TIMEOUT: 504,
    Failure.DNS: 504,
    Failure.NO_ANSWER: 408,
    Failure.FILTERED: 403,
}
_ROUTE_ROWS: Final = {"mtls": 4, "tls": 5, "wss": 5, "tcp": 6, "udp": 6, "ws": 6}


def decide_outgoing(facts: Outgoing) -> OutgoingDecision:
    """The decision on one target. Raises KeyError for a route's unknown protocol."""
    relay = relay_refusal(facts.sender, facts.ours)
    if relay is not None:
        return _refuse(0, relay, 403)
    if not facts.named:
        return _refuse(11, "requests to an IP address or to no domain are never sent", 403)
    if facts.ours and facts.owner is not Owner.UNKNOWN:
        return _to_owner(facts)
    if facts.blocked and not facts.ours:
        return _refuse(3, "the domain is blocked", 403)
    route = facts.route
    if route is not None and route.active and facts.static_routes_on:
        return _by_route(facts, route)
    decision = _without_route(facts)
    return decision if route is None else replace(decision, through=(7,))


def _to_owner(facts: Outgoing) -> OutgoingDecision:
    """Row 1: "next target; then 480 Retry-After"."""
    if facts.owner is Owner.UP and facts.failure is None:
        return _send(facts, 1, "the UC server of this user is connected", trusted=True)
    why = "the UC server of this user cannot be reached"
    if facts.more_targets:
        return OutgoingDecision(1, OutgoingAction.NEXT, why)
    if facts.failure is Failure.NO_ANSWER and facts.method != b"INVITE":
        return _silence(1)
    return _refuse(1, why, 480)


def _by_route(facts: Outgoing, route: OutgoingRoute) -> OutgoingDecision:
    """Rows 4 to 6."""
    row = _ROUTE_ROWS[route.protocol]
    if facts.failure is not None:
        return _failed(facts, row, facts.failure, f"the server of the route {route.name}")
    if row == 6 and facts.sips:
        why = f"sips wants TLS on every hop, and the route {route.name} is {route.protocol}"
        return _refuse(6, why, 416)
    trusted = row == 4 or route.trusted
    return _send(facts, row, f"the static route {route.name} leads there", trusted=trusted)


def _without_route(facts: Outgoing) -> OutgoingDecision:
    """Rows 2 and 8 to 10. Our own domain is never looked for outside."""
    if facts.ours:
        return _refuse(2, "nobody here knows this user", 404)
    if not facts.open_federation_on:
        return _refuse(10, "federation off: no static route leads there", 403)
    if not facts.welcome:
        return _refuse(10, "federation with this domain is not allowed", 403)
    row, found = 8, facts.srv
    # "." says that there is no service (RFC 2782): only where nothing is said others are asked.
    if found is Lookup.NOTHING and facts.rfc3263 is not None:
        row, found = 9, facts.rfc3263
    if found in (Lookup.NOTHING, Lookup.REFUSED):
        return _refuse(row, "no route to domain: it publishes no federation service", 404)
    if found is Lookup.FAILED:
        return _refuse(row, "DNS did not answer for the domain", 504)
    if found is Lookup.OURSELVES:
        return _refuse(row, "the records of the domain lead back to this proxy", 482)
    if facts.failure is not None:
        return _failed(facts, row, facts.failure, "the server that DNS names for the domain")
    return _send(facts, row, "DNS names a federation server of the domain", trusted=False)


def _failed(facts: Outgoing, row: int, failure: Failure, what: str) -> OutgoingDecision:
    why = f"{what}: {failure.value}"
    if facts.more_targets:
        return OutgoingDecision(row, OutgoingAction.NEXT, why)
    if failure is Failure.NO_ANSWER and facts.method != b"INVITE":
        return _silence(row)
    return _refuse(row, why, _STATUS[failure])


def _send(facts: Outgoing, row: int, why: str, *, trusted: bool) -> OutgoingDecision:
    keep = identity_headers_kept(facts.source_trusted, trusted, facts.privacy_id)
    return OutgoingDecision(row, OutgoingAction.SEND, why, keep_identity=keep)


def _refuse(row: int, why: str, status: int) -> OutgoingDecision:
    return OutgoingDecision(row, OutgoingAction.REFUSE, why, status)


def _silence(row: int) -> OutgoingDecision:
    """RFC 4320 §4.2: a late response to a non-INVITE request helps nobody."""
    return OutgoingDecision(row, OutgoingAction.REFUSE, "no answer in time; nothing is said")
