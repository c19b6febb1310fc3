"""Every cell of the table "Outgoing" of docs/trust.md against the table, written row by row.

As tests/test_trust_matrix.py does for requests that come in: a cell is a combination of
circumstances, ``ROWS`` is the table, exactly one row has to apply to each cell, and
`decide_outgoing` has to come to the same row and the same answer.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sipx.trust import (
    Failure,
    Lookup,
    Outgoing,
    OutgoingAction,
    OutgoingDecision,
    OutgoingRoute,
    Owner,
    SenderKind,
    decide_outgoing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UC, PARTNER, DISCOVERED, USER = SenderKind
SEND, NEXT, NO = OutgoingAction.SEND, OutgoingAction.NEXT, OutgoingAction.REFUSE
BOTH = (False, True)


class Cell(NamedTuple):
    sender: SenderKind | None = UC
    domain: str = "foreign"
    """"ours", "foreign", or "none": an IP address or nothing."""
    blocked: bool = False
    owner: Owner = Owner.UNKNOWN
    route: str = ""
    """The protocol of the route; "" is none."""
    active: bool = True
    switch: bool = True
    flag: bool = False
    open: bool = False
    srv: Lookup = Lookup.FOUND
    rfc3263: Lookup | None = None
    failure: Failure | None = None
    more: bool = False
    method: str = "MESSAGE"
    sips: bool = False


def facts_of(c: Cell) -> Outgoing:
    return Outgoing(
        sender=c.sender,
        method=c.method.encode(),
        sips=c.sips,
        named=c.domain != "none",
        ours=c.domain == "ours",
        blocked=c.blocked,
        owner=c.owner,
        route=OutgoingRoute("partner.example", c.route, c.active, c.flag) if c.route else None,
        static_routes_on=c.switch,
        open_federation_on=c.open,
        srv=c.srv,
        rfc3263=c.rfc3263,
        failure=c.failure,
        more_targets=c.more,
        source_trusted=True,
    )


# ---------------------------------------------------------------- the table, row by row

Answer = tuple[OutgoingAction, int | None]
CODES = {
    Failure.CERTIFICATE: 502,
    Failure.REFUSED: 500,
    Failure.TIMEOUT: 504,
    Failure.DNS: 504,
    Failure.FILTERED: 403,
}
"""Columns "on failure" of rows 4 and 8. No answer: 408 for an INVITE, silence for others."""
SAID = {Lookup.NOTHING: 404, Lookup.REFUSED: 404, Lookup.FAILED: 504, Lookup.OURSELVES: 482}
"""Row 8: "no SRV / "." -> 404; SERVFAIL 504; our target is ourselves -> 482"."""


def inside(c: Cell) -> bool:
    return c.sender in (UC, USER)


def relayed(c: Cell) -> bool:
    """SEC-01: "only for requests whose sender class is UC server"; our domain is for all."""
    return not inside(c) and c.domain != "ours"


def asked(c: Cell) -> bool:
    """There is a domain to find a way to."""
    return not relayed(c) and c.domain != "none"


def owned(c: Cell) -> bool:
    return asked(c) and c.domain == "ours" and c.owner is not Owner.UNKNOWN


def blocked(c: Cell) -> bool:
    return asked(c) and c.domain == "foreign" and c.blocked


def routed(c: Cell, *protocols: str) -> bool:
    there = c.route in protocols and c.active and c.switch
    return asked(c) and there and not owned(c) and not blocked(c)


def unrouted(c: Cell) -> bool:
    """Row 7: "static row inactive or switch off: fall through"."""
    there = c.route and c.active and c.switch
    return asked(c) and not there and not owned(c) and not blocked(c)


def federated(c: Cell) -> bool:
    return unrouted(c) and c.domain == "foreign" and c.open


def by_sips(c: Cell) -> bool:
    """Row 9: "no SRV, plugin rfc3263 on"; "." is an answer, not the lack of one."""
    return c.srv is Lookup.NOTHING and c.rfc3263 is not None


def refused(status: int) -> Callable[[Cell], Answer]:
    return lambda c: (NO, status)


def tried(c: Cell) -> Answer:
    if c.failure is None:
        return (SEND, None)
    if c.more:
        return (NEXT, None)
    if c.failure is Failure.NO_ANSWER:
        return (NO, 408 if c.method == "INVITE" else None)
    return (NO, CODES[c.failure])


def to_owner(c: Cell) -> Answer:
    """Row 1: "next target; then 480 Retry-After"."""
    if c.owner is Owner.UP and c.failure is None:
        return (SEND, None)
    if c.more:
        return (NEXT, None)
    if c.failure is Failure.NO_ANSWER and c.method != "INVITE":
        return (NO, None)
    return (NO, 480)


def in_clear(c: Cell) -> Answer:
    """Row 6: "sips: R-URI refused (416)"."""
    return (NO, 416) if c.sips and c.failure is None else tried(c)


def discovered(c: Cell) -> Answer:
    found = c.rfc3263 if by_sips(c) else c.srv
    return tried(c) if found is Lookup.FOUND else (NO, SAID[found])


class Row(NamedTuple):
    number: int
    when: Callable[[Cell], bool]
    says: Callable[[Cell], Answer]


ROWS = (
    Row(0, relayed, refused(403)),
    Row(1, owned, to_owner),
    Row(2, lambda c: unrouted(c) and c.domain == "ours", refused(404)),
    Row(3, blocked, refused(403)),
    Row(4, lambda c: routed(c, "mtls"), tried),
    Row(5, lambda c: routed(c, "tls", "wss"), tried),
    Row(6, lambda c: routed(c, "tcp", "udp", "ws"), in_clear),
    Row(8, lambda c: federated(c) and not by_sips(c), discovered),
    Row(9, lambda c: federated(c) and by_sips(c), discovered),
    Row(10, lambda c: unrouted(c) and c.domain == "foreign" and not c.open, refused(403)),
    Row(11, lambda c: not relayed(c) and c.domain == "none", refused(403)),
)


# ---------------------------------------------------------------- the cells


def ways() -> Iterator[Cell]:
    """Who asks, for what, and which ways there are."""
    routes = ("", "mtls", "tls", "tcp", "udp")
    for sender, domain, block, owner, route, active, switch, on, srv in product(
        (*SenderKind, None), ("ours", "foreign", "none"), BOTH, Owner, routes, BOTH, BOTH, BOTH,
        (Lookup.FOUND, Lookup.NOTHING),
    ):  # fmt: skip
        if route or (active and switch):
            yield Cell(sender, domain, block, owner, route, active, switch, open=on, srv=srv)


def lookups() -> Iterator[Cell]:
    """What the DNS said, for both services."""
    for domain, on, srv, rfc3263, route, more in product(
        ("ours", "foreign"), BOTH, Lookup, (None, *Lookup), ("", "mtls"), BOTH
    ):
        yield Cell(
            domain=domain, open=on, srv=srv, rfc3263=rfc3263, route=route, active=False, more=more
        )


def failures() -> Iterator[Cell]:
    """How a try can end, on each way."""
    found = ((Lookup.FOUND, None), (Lookup.NOTHING, Lookup.FOUND))
    routes = ("", "mtls", "tls", "wss", "tcp", "udp", "ws")
    for domain, owner, route, (srv, rfc3263), failure, more, method, sips in product(
        ("ours", "foreign"), Owner, routes, found, (None, *Failure), BOTH, ("INVITE", "NOTIFY"),
        BOTH,
    ):  # fmt: skip
        yield Cell(
            domain=domain, owner=owner, route=route, open=True, srv=srv, rfc3263=rfc3263,
            failure=failure, more=more, method=method, sips=sips,
        )  # fmt: skip


MATRICES = {"ways": ways, "lookups": lookups, "failures": failures}


@cache
def judged(matrix: str) -> list[tuple[Cell, OutgoingDecision]]:
    return [(cell, decide_outgoing(facts_of(cell))) for cell in MATRICES[matrix]()]


def every() -> list[tuple[Cell, OutgoingDecision]]:
    return [judgement for matrix in MATRICES for judgement in judged(matrix)]


@pytest.mark.parametrize("matrix", MATRICES)
def test_each_cell_meets_exactly_one_row_its_answer_and_a_reason_in_words(matrix):
    for cell, decision in judged(matrix):
        rows = [row for row in ROWS if row.when(cell)]
        assert len(rows) == 1, f"rows {[row.number for row in rows]} apply to {cell}"
        answer = rows[0].says(cell)
        assert (decision.row, decision.action, decision.status) == (rows[0].number, *answer), cell
        assert len(decision.reason.split()) > 2, cell


def test_the_cells_reach_every_row_of_the_table():
    reached = {row for _, decision in every() for row in (decision.row, *decision.through)}
    assert reached == set(range(12))


def test_a_route_that_is_switched_off_is_passed_over_and_said_so():
    """Row 7."""
    for cell, decision in every():
        off = bool(cell.route) and not (cell.active and cell.switch)
        assert decision.through == ((7,) if off and decision.row in (2, 8, 9, 10) else ()), cell


def test_nobody_from_outside_leaves_by_any_row():
    """SEC-01."""
    for cell, decision in every():
        if not inside(cell) and decision.action is SEND:
            assert cell.domain == "ours", cell


def test_our_own_domain_is_never_looked_for_in_the_dns():
    for cell, decision in every():
        if cell.domain == "ours":
            assert decision.row not in (3, 8, 9, 10), cell


def test_what_is_blocked_is_sent_nowhere():
    """Row 3: "blocked: 403", with and without a route."""
    for cell, decision in every():
        if cell.blocked and cell.domain == "foreign":
            assert decision.action is NO, cell


def test_asserted_identities_go_to_trusted_rows_only():
    """Row 8: "P-Asserted-Identity ... kept only to trusted rows"."""
    for cell, decision in every():
        trusted = decision.row in (1, 4) or (decision.row in (5, 6) and cell.flag)
        assert decision.keep_identity == (trusted and decision.action is SEND), cell
