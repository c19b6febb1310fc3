"""Every cell of the trust matrix against the table, written once more row by row.

A cell is a combination of circumstances in words. ``ROWS`` is the table: the number of a row,
when it applies, what it says. Exactly one row has to apply to each cell, and `decide_incoming`
has to come to the same row and the same answer. SEC-01, SEC-02, SEC-03.
"""

from __future__ import annotations

from functools import cache
from itertools import chain, product
from typing import TYPE_CHECKING, NamedTuple

import pytest

from sipx.trust import (
    Action,
    Certificate,
    CertificateFault,
    Decision,
    Identity,
    Incoming,
    PasswordlessAccount,
    RegistrarAuth,
    Role,
    RouteFacts,
    SenderKind,
    decide_incoming,
    dialog_standing,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

UC, PARTNER, DISCOVERED, USER = SenderKind


class Cell(NamedTuple):
    protocol: str
    role: str = "wan"
    cert: str = "none"
    route: str = "none"
    flag: bool = False
    auth: str = "none"
    sender: str = "covered"
    open: bool = False
    # Logging on:
    roaming: bool = False
    lan_user: bool = True
    passwordless: str = "none"
    account: str = "server"
    # Claims to be part of something earlier:
    dialog: str = "none"
    method: str = "MESSAGE"
    matched: bool = False
    # What else can be wrong:
    banned: bool = False
    scanner: bool = False
    blocked: bool = False
    over: bool = False
    target: str = "ours"
    private: bool = True
    insecure: bool = False


# ---------------------------------------------------------------- from a cell to facts

BAD = {
    "bad ca": CertificateFault.UNKNOWN_CA,
    "bad expired": CertificateFault.EXPIRED,
    "bad early": CertificateFault.NOT_YET_VALID,
    "bad revoked": CertificateFault.REVOKED,
    "bad eku": CertificateFault.WRONG_PURPOSE,
    "bad name": CertificateFault.NO_NAME,
}
OK = {
    "ok route": Identity.NONE,
    "ok 5922": Identity.RFC5922,
    "ok suffix": Identity.SUFFIX,
    "ok hosting": Identity.HOSTING,
    "ok wrong": Identity.NONE,
    "ok dns failed": Identity.DNS_FAILED,
    "ok no srv": Identity.NO_SRV,
    "ok entry": Identity.NONE,
    # It names the route's server, and is good for the From domain by open federation as well.
    "ok both": Identity.RFC5922,
}
FROM = ("ours", "covered", "other")
# The routes of each variant: which From domains each covers, and whether it is local.
ROUTES: dict[str, tuple[tuple[tuple[str, ...], bool], ...]] = {
    "none": (),
    "row": ((("covered",), False),),
    "inactive": ((("covered",), False),),
    "off": ((("covered",), False),),
    "local": ((("ours",), True),),
    "any": ((FROM, False),),
    "two": (((), False), (("covered",), False)),
    "two, one local": ((("covered",), False), (("ours",), True)),
    "any and local": ((FROM, False), (("ours",), True)),
}
SHARED_WITH_US = ("two, one local", "any and local")
CLAIMS = {
    "none": (False, False, True, True),
    "authenticated": (True, True, True, True),
    "known": (True, True, True, False),
    "other peer": (True, True, False, True),
    "bad cookie": (True, False, True, True),
}
DIALOGS = {
    name: dialog_standing(claimed=a, cookie_valid=b, same_peer=c, authenticated_here=d)
    for name, (a, b, c, d) in CLAIMS.items()
}
PASSWORDLESS = {
    "none": None,
    "other user": PasswordlessAccount(user_matches=False, source_listed=True),
    "elsewhere": PasswordlessAccount(user_matches=True, source_listed=False),
    "listed": PasswordlessAccount(user_matches=True, source_listed=True),
}
AUTH = ("none", "valid", "stale", "wrong", "wrong again")


def found_routes(c: Cell) -> tuple[tuple[tuple[str, ...], bool], ...]:
    """A certificate that proves something else leads to no route, an address does."""
    return ROUTES[c.route] if c.cert in ("none", "ok route", "ok both") else ()


def facts_of(c: Cell) -> Incoming:
    certificate = Certificate(c.cert.split()[0])
    return Incoming(
        protocol=c.protocol,
        role=Role(c.role),
        method=c.method.encode(),
        banned=c.banned,
        scanner=c.scanner,
        certificate=certificate,
        fault=BAD.get(c.cert, CertificateFault.NO_NAME),
        routes=tuple(
            RouteFacts(
                name=f"route{i}.example",
                covers=c.sender in covered,
                active=c.route != "inactive",
                trusted=c.flag,
                local=local,
                insecure_trust=c.insecure,
            )
            for i, (covered, local) in enumerate(found_routes(c))
        ),
        static_routes_on=c.route != "off",
        server_entry=c.cert == "ok entry",
        lan_user_set=c.lan_user,
        passwordless=PASSWORDLESS[c.passwordless],
        roaming=c.roaming,
        auth=RegistrarAuth(c.auth.split()[0]),
        failures=3 if c.auth == "wrong again" else 1,
        user_account=c.account != "server",
        from_is_account=c.account == "user",
        open_federation_on=c.open,
        identity=OK.get(c.cert, Identity.NONE),
        from_ours=c.sender == "ours",
        from_blocked=c.blocked,
        asserted_covered=True,
        target_ours=c.target == "ours",
        over_limit=c.over,
        peer_private=c.private,
        bind_private=c.private,
        dialog=DIALOGS[c.dialog],
        matches_invite=c.matched,
    )


# ---------------------------------------------------------------- the table, row by row

Answer = tuple[Action, int | None, SenderKind | None]
FORBIDDEN: Answer = (Action.REFUSE, 403, None)
CLOSED: Answer = (Action.CLOSE, None, None)
SILENCE: Answer = (Action.DROP, None, None)


def live(c: Cell) -> bool:
    """Row 24: "row inactive, or 'use static routes' off" is "as 'no route match'"."""
    return bool(found_routes(c)) and c.route not in ("inactive", "off")


def encrypted(c: Cell) -> bool:
    return c.protocol in ("tls", "mtls")


def heard(c: Cell) -> bool:
    """What comes before the class of the peer let the request pass."""
    if c.banned or (encrypted(c) and c.cert in BAD) or (c.protocol == "mtls" and c.cert == "none"):
        return False
    return c.matched or c.method not in ("ACK", "CANCEL")


def route_kind(c: Cell) -> SenderKind:
    local = c.route == "local" or (c.route in SHARED_WITH_US and c.sender == "ours")
    return UC if local else PARTNER


def covered_by_route(c: Cell) -> bool:
    return any(c.sender in covered for covered, _ in found_routes(c))


def spoofable(c: Cell) -> bool:
    """Row 21: "source must be on the bound private network"."""
    return c.protocol == "udp" and c.flag and not c.private and not c.insecure


def shared_by_none(c: Cell) -> bool:
    """Row 26: "two rows match: row whose domain covers From; none -> 403"."""
    two = len(found_routes(c)) > 1 and not covered_by_route(c)
    return two and (c.sender != "ours" or c.route in SHARED_WITH_US)


def ours_from_outside(c: Cell) -> bool:
    """Row 25: "From domain = our domain, peer not a UC server"."""
    if c.sender != "ours":
        return False
    if live(c):
        return route_kind(c) is PARTNER and not spoofable(c)
    return candidate(c) and c.open


def routed(c: Cell) -> bool:
    """ "Static route match: yes", and neither row 25 nor row 26 says no."""
    return heard(c) and live(c) and not shared_by_none(c) and not ours_from_outside(c)


def nameless(c: Cell) -> bool:
    """Row 29: "account with empty password"; not asked where row 4 asks for no user."""
    wanted = c.role == "lan" and c.passwordless in ("elsewhere", "listed")
    return heard(c) and not live(c) and wanted and not (entry(c) and not c.lan_user)


def entry(c: Cell) -> bool:
    return c.role == "lan" and c.protocol == "mtls" and c.cert == "ok entry"


def logon(c: Cell) -> bool:
    """No route, but here one may log on: "LAN role or roaming registrar on"."""
    here = c.role == "lan" or (c.roaming and c.protocol == "tls")
    return heard(c) and not live(c) and not nameless(c) and here and c.protocol != "mtls"


def stranger(c: Cell) -> bool:
    return heard(c) and not live(c) and not nameless(c) and not logon(c) and c.protocol != "mtls"


def candidate(c: Cell) -> bool:
    """A certificate that is ok, "no" route, and no UC server entry: rows 5 to 9."""
    ok = heard(c) and c.protocol == "mtls" and c.cert in OK
    return ok and not live(c) and not entry(c) and not nameless(c)


def discovered(c: Cell) -> bool:
    return candidate(c) and c.open and c.sender != "ours"


def proven(c: Cell) -> bool:
    return c.cert in ("ok 5922", "ok suffix", "ok hosting", "ok both")


def settled(c: Cell) -> bool:
    """Credentials are there, or never asked for: "ACK and CANCEL are never challenged"."""
    return c.auth == "valid" or c.method in ("ACK", "CANCEL")


def skipped(c: Cell) -> bool:
    """Row 27: "skip 13-16 challenge only if the dialog was authenticated on this same flow"."""
    return not settled(c) and c.dialog == "authenticated"


def asked(c: Cell) -> bool:
    return not settled(c) and not skipped(c)


def by_address(c: Cell) -> bool:
    return routed(c) and c.cert == "none"


def ask(c: Cell) -> Answer:
    if c.auth == "wrong again":
        return FORBIDDEN
    return (Action.CHALLENGE, 401 if c.method == "REGISTER" else 407, None)


def welcome(c: Cell, kind: SenderKind, covered: bool) -> Answer:
    """What follows in every accepting row: the From check, then the target check."""
    if not covered:
        return FORBIDDEN
    relayed = c.target != "ours" and c.dialog not in ("known", "authenticated")
    if kind in (PARTNER, DISCOVERED) and (c.blocked or relayed):
        return FORBIDDEN
    return (Action.ACCEPT, None, kind)


def welcome_route(c: Cell) -> Answer:
    return welcome(c, route_kind(c), covered_by_route(c))


def welcome_server(c: Cell) -> Answer:
    return welcome(c, UC, c.sender == "ours")


def welcome_account(c: Cell) -> Answer:
    """Row 15: "UC server or user (AoR of the account only)"."""
    if c.account == "server":
        return welcome_server(c)
    return welcome(c, USER, c.sender == "ours" and c.account == "user")


def asks_route(c: Cell) -> Answer:
    return ask(c) if asked(c) else welcome_route(c)


def asks_account(c: Cell) -> Answer:
    return ask(c) if asked(c) else welcome_account(c)


def throttle(c: Cell) -> Answer:
    waits = c.dialog in ("known", "authenticated") or c.method in ("ACK", "CANCEL")
    return (Action.THROTTLE, None if waits else 503, DISCOVERED)


def exceeded(c: Cell) -> bool:
    good = discovered(c) and proven(c) and not c.blocked
    return good and c.over and welcome(c, DISCOVERED, True)[0] is Action.ACCEPT


class Row(NamedTuple):
    number: int
    when: Callable[[Cell], bool]
    says: Callable[[Cell], Answer]


def forbidden(c: Cell) -> Answer:
    return FORBIDDEN


def early(c: Cell) -> bool:
    """An ACK or CANCEL that belongs to nothing, and nothing else against it."""
    return not heard(c) and heard(c._replace(matched=True))


def handshake(c: Cell, protocol: str, certificates: Container[str]) -> bool:
    return not c.banned and c.protocol == protocol and c.cert in certificates


def trusting(c: Cell, protocol: str) -> bool:
    return by_address(c) and c.protocol == protocol and c.flag


def untrusting(c: Cell, protocol: str) -> bool:
    return by_address(c) and c.protocol == protocol and not c.flag


def welcome_entry(c: Cell) -> Answer:
    """Row 4: "not asked unless LAN user set; then valid"; row 27 does not name it."""
    if not c.lan_user:
        return welcome_server(c)
    return welcome_account(c) if settled(c) else ask(c)


# fmt: off
ROWS = (
    Row(0, lambda c: c.banned, lambda c: SILENCE if c.protocol == "udp" else CLOSED),
    Row(0, early, lambda c: SILENCE if c.method == "ACK" else (Action.REFUSE, 481, None)),
    Row(1, lambda c: handshake(c, "mtls", ("none",)), lambda c: CLOSED),
    Row(2, lambda c: handshake(c, "mtls", BAD), lambda c: CLOSED),
    Row(3, lambda c: routed(c) and c.protocol == "mtls", welcome_route),
    Row(4, lambda c: heard(c) and entry(c) and not live(c) and not nameless(c), welcome_entry),
    Row(5, lambda c: discovered(c) and proven(c) and not c.blocked and not exceeded(c),
        lambda c: welcome(c, DISCOVERED, True)),
    Row(6, lambda c: discovered(c) and not c.blocked and OK[c.cert] is Identity.NONE, forbidden),
    Row(7, lambda c: discovered(c) and not c.blocked and c.cert == "ok dns failed",
        lambda c: (Action.REFUSE, 504, None)),
    Row(7, lambda c: discovered(c) and not c.blocked and c.cert == "ok no srv", forbidden),
    Row(8, lambda c: discovered(c) and c.blocked, forbidden),
    Row(8, exceeded, throttle),
    Row(9, lambda c: candidate(c) and not c.open, forbidden),
    Row(10, lambda c: routed(c) and c.protocol == "tls" and c.cert in OK, welcome_route),
    Row(11, lambda c: handshake(c, "tls", BAD), lambda c: CLOSED),
    Row(12, lambda c: trusting(c, "tls"), welcome_route),
    Row(13, lambda c: untrusting(c, "tls") and settled(c), welcome_route),
    Row(14, lambda c: untrusting(c, "tls") and asked(c), ask),
    Row(15, lambda c: logon(c) and c.protocol == "tls" and settled(c), welcome_account),
    Row(16, lambda c: logon(c) and c.protocol == "tls" and asked(c), ask),
    Row(17, lambda c: stranger(c) and c.protocol == "tls", forbidden),
    Row(18, lambda c: trusting(c, "tcp"), welcome_route),
    Row(19, lambda c: untrusting(c, "tcp") and not skipped(c), asks_route),
    Row(20, lambda c: logon(c) and c.protocol == "tcp" and not skipped(c), asks_account),
    Row(20, lambda c: stranger(c) and c.protocol == "tcp", forbidden),
    Row(21, lambda c: trusting(c, "udp") and not spoofable(c), welcome_route),
    Row(21, lambda c: trusting(c, "udp") and spoofable(c), forbidden),
    Row(22, lambda c: untrusting(c, "udp") and not skipped(c), asks_route),
    Row(23, lambda c: logon(c) and c.protocol == "udp" and not skipped(c), asks_account),
    Row(23, lambda c: stranger(c) and c.protocol == "udp",
        lambda c: SILENCE if c.scanner else FORBIDDEN),
    Row(25, lambda c: heard(c) and ours_from_outside(c), forbidden),
    Row(26, lambda c: heard(c) and live(c) and shared_by_none(c), forbidden),
    Row(27, lambda c: skipped(c) and untrusting(c, c.protocol) and c.protocol != "mtls",
        welcome_route),
    Row(27, lambda c: skipped(c) and logon(c), welcome_account),
    Row(29, nameless,
        lambda c: welcome_server(c) if c.passwordless == "listed" and c.private else FORBIDDEN),
)
# fmt: on


def rows_on_the_way(c: Cell, number: int) -> set[int]:
    """Rows 24 and 28 change the circumstances, row 26 chooses; then another row decides."""
    if number in (0, 1, 2, 11):
        return set()
    passed = {24} if found_routes(c) and not live(c) else set()
    if c.dialog in ("other peer", "bad cookie"):
        passed.add(28)
    if live(c) and len(found_routes(c)) > 1 and number != 26:
        passed.add(26)
    return passed


# ---------------------------------------------------------------- the cells


PROTOCOLS = ("udp", "tcp", "tls", "mtls")
ROLES = ("wan", "lan")
BOTH = (False, True)
ALIKE = ("ok suffix", "ok hosting", "ok no srv")
"""Credentials make no difference to these on the LAN side; on the WAN side `plan` asks."""


def certificates(protocol: str, *some: str) -> tuple[str, ...]:
    if protocol in ("udp", "tcp"):
        return ("none",)
    return some or ("none", *BAD, *OK)


# fmt: off
def circumstances() -> Iterator[Cell]:
    """Protocol, certificate, route, flag, credentials, From and open federation in full."""
    for protocol in PROTOCOLS:
        for role, cert, route, flag, auth, sender, on in product(
            ROLES, certificates(protocol), ROUTES, BOTH, AUTH, FROM, BOTH
        ):
            if (cert in BAD or cert in ALIKE) and (flag or auth != "none"):
                continue
            yield Cell(protocol, role, cert, route, flag, auth, sender, on)


def plan() -> Iterator[Cell]:
    """The WAN side: each certificate with each route, flag, credential, From, and the switch."""
    for protocol in PROTOCOLS:
        for cert, route, flag, auth, sender, on in product(
            certificates(protocol, "none", *BAD, "ok route", "ok both", "ok 5922", "ok suffix",
                         "ok hosting", "ok wrong"),
            ("none", "row", "inactive", "two"), BOTH, ("none", "valid", "stale", "wrong"), FROM,
            BOTH,
        ):
            yield Cell(protocol, "wan", cert, route, flag, auth, sender, on)


def federation() -> Iterator[Cell]:
    """Open federation: what the DNS said, blocks, limits, relaying, dialogs, on both sides."""
    earlier = (("MESSAGE", False), ("BENOTIFY", False), ("ACK", True), ("CANCEL", False))
    sides = (("wan", "none"), ("wan", "row"), ("wan", "inactive"), ("lan", "none"))
    for (role, route), cert, sender, on, blocked, over, target, dialog, (method, match) in product(
        sides, OK, FROM, BOTH, BOTH, BOTH, ("ours", "foreign"), ("none", "known", "other peer"),
        earlier,
    ):
        if blocked and (over or target == "foreign"):
            continue
        yield Cell(
            "mtls", role, cert, route, sender=sender, open=on, dialog=dialog, method=method,
            matched=match, blocked=blocked, over=over, target=target,
        )


def logons() -> Iterator[Cell]:
    """Who may log on where, with and without a password."""
    for protocol in PROTOCOLS:
        for role, cert, route, auth, sender, roaming, user, empty, account, private in product(
            ROLES, certificates(protocol, "none", "ok 5922", "ok entry"), ("none", "row"),
            ("none", "valid"), ("ours", "other"), BOTH, BOTH, PASSWORDLESS,
            ("server", "user", "other user"), BOTH,
        ):
            if (not user and cert != "ok entry") or (roaming and role == "lan"):
                continue
            yield Cell(
                protocol, role, cert, route, False, auth, sender, False, roaming, user, empty,
                account, private=private,
            )


def dialogs() -> Iterator[Cell]:
    """What claims to belong to something earlier."""
    earlier = [("MESSAGE", False), ("REGISTER", False), *product(("ACK", "CANCEL"), BOTH)]
    for protocol in PROTOCOLS:
        for role, cert, route, flag, auth, dialog, (method, matched), target in product(
            ROLES, certificates(protocol, "none", "ok route", "ok 5922", "ok entry"),
            ("none", "row", "two, one local"), BOTH, ("none", "wrong again"), DIALOGS, earlier,
            ("ours", "foreign"),
        ):
            if target == "foreign" and (method != "MESSAGE" or auth != "none"):
                continue
            yield Cell(
                protocol, role, cert, route, flag, auth, open=True, dialog=dialog, method=method,
                matched=matched, target=target, over=method != "REGISTER",
            )


def dangers() -> Iterator[Cell]:
    """Bans, scans, blocked domains, limits, relaying and addresses that can be forged."""
    for protocol in PROTOCOLS:
        for cert, route, flag, sender, ban, scanner, blocked, over, target, private, why in product(
            certificates(protocol, "none", "ok route", "ok suffix", "bad ca"),
            ("none", "row", "any", "local"), BOTH, ("ours", "covered"), BOTH, BOTH, BOTH, BOTH,
            ("ours", "foreign"), BOTH, BOTH,
        ):
            if (ban and over) or (scanner and protocol != "udp") or (why and not flag):
                continue
            yield Cell(
                protocol, "wan", cert, route, flag, "none", sender, True, banned=ban,
                scanner=scanner, blocked=blocked, over=over, target=target, private=private,
                insecure=why,
            )
# fmt: on


MATRICES = {
    "circumstances": circumstances,
    "plan": plan,
    "federation": federation,
    "logons": logons,
    "dialogs": dialogs,
    "dangers": dangers,
}


def answer_of(d: Decision) -> tuple[int, Action, int | None, SenderKind | None]:
    return d.row, d.action, d.status, d.kind


def expected(c: Cell) -> tuple[int, Answer]:
    rows = [row for row in ROWS if row.when(c)]
    assert len(rows) == 1, f"rows {[row.number for row in rows]} apply to {c}"
    answer = rows[0].says(c)
    if c.method == "ACK" and answer[0] is Action.REFUSE:
        answer = SILENCE
    return rows[0].number, answer


@cache
def judged(matrix: str) -> list[tuple[Cell, Decision]]:
    return [(cell, decide_incoming(facts_of(cell))) for cell in MATRICES[matrix]()]


def every() -> Iterator[tuple[Cell, Decision]]:
    return chain.from_iterable(judged(matrix) for matrix in MATRICES)


@pytest.mark.parametrize("matrix", MATRICES)
def test_each_cell_meets_exactly_one_row_its_answer_and_a_reason_in_words(matrix):
    for cell, decision in judged(matrix):
        number, answer = expected(cell)
        assert answer_of(decision) == (number, *answer), cell
        assert len(decision.reason.split()) > 3, cell
        assert set(decision.through) == rows_on_the_way(cell, number), cell


def test_the_cells_reach_every_row_of_the_table():
    reached = {row for _, decision in every() for row in (decision.row, *decision.through)}
    assert reached == set(range(30))


def test_nobody_from_outside_is_accepted_with_our_domain_or_for_a_foreign_target():
    """SEC-01 and SEC-02, whatever the circumstances."""
    for cell, decision in every():
        if decision.action is Action.ACCEPT and decision.kind in (PARTNER, DISCOVERED):
            assert cell.sender != "ours", cell
            assert cell.target == "ours" or cell.dialog in ("known", "authenticated"), cell


def test_nobody_is_accepted_without_a_route_an_account_or_a_proven_domain():
    for cell, decision in every():
        if decision.action is Action.ACCEPT:
            assert (
                live(cell)
                or (
                    cell.role == "lan"
                    and (cell.cert == "ok entry" or cell.passwordless == "listed")
                )
                or cell.auth == "valid"
                or (cell.protocol == "mtls" and cell.open and proven(cell))
                or (cell.dialog == "authenticated" or cell.matched)
            ), cell


def test_a_static_route_goes_before_open_federation_and_is_not_its_fallback():
    """A certificate that would do for both is the route's, with the route's From domains."""
    for cell, decision in every():
        if cell.cert == "ok both" and live(cell) and heard(cell):
            assert decision.kind is not DISCOVERED, cell
            assert decision.row not in range(4, 10), cell
            open_off = decide_incoming(facts_of(cell._replace(open=not cell.open)))
            assert answer_of(open_off) == answer_of(decision), cell


def test_a_discovered_partner_is_never_trusted_and_always_within_limits():
    """Rows 5 and 8: what its certificate proves is a domain, not good will."""
    for cell, decision in every():
        if decision.kind is DISCOVERED:
            assert cell.protocol == "mtls", cell
            assert cell.open, cell
            assert not cell.blocked, cell
            assert not decision.trusted, cell
            assert not decision.keep_identity, cell
            assert decision.limited, cell


def test_open_federation_changes_nothing_where_it_does_not_decide():
    """SEC-01: the switch opens rows 5 to 8, and no other way in."""
    for cell, decision in chain(judged("plan"), judged("federation")):
        off = decide_incoming(facts_of(cell._replace(open=False)))
        if not cell.open or decision.row not in (5, 6, 7, 8, 25):
            assert answer_of(off) == answer_of(decision), cell
        else:
            assert off.row in (9, 25), cell
            assert off.action in (Action.REFUSE, Action.DROP), cell


def test_a_claim_to_be_in_a_dialog_gains_nothing_without_our_cookie():
    """SEC-03: the same request outside a dialog gets the same answer."""
    for cell, decision in judged("dialogs"):
        if cell.dialog in ("other peer", "bad cookie"):
            outside = decide_incoming(facts_of(cell._replace(dialog="none")))
            assert answer_of(decision) == answer_of(outside), cell


def test_asserted_identities_survive_only_from_trusted_peers():
    """I-01: discovered and merely authenticated peers are not trusted."""
    for cell, decision in every():
        assert not decision.trusted or decision.kind in (UC, PARTNER), cell
        if by_address(cell) and not cell.flag:
            assert not decision.trusted, cell
        kept = decision.action is Action.ACCEPT and decision.trusted
        assert decision.keep_identity == kept, cell


def test_the_source_type_says_what_the_peer_is():
    types = {UC: "AuthorizedServer", DISCOVERED: "AutoFederation", USER: None}
    for cell, decision in every():
        if decision.action is not Action.ACCEPT:
            assert decision.source_type is None, cell
        elif decision.kind is PARTNER:
            assert decision.source_type == ("DirectPartner" if decision.trusted else None), cell
        else:
            assert decision.source_type == types[decision.kind], cell


def test_ack_and_cancel_are_never_challenged_and_an_ack_is_never_answered():
    """P-19."""
    for cell, decision in judged("dialogs"):
        if cell.method in ("ACK", "CANCEL"):
            assert decision.action is not Action.CHALLENGE, cell
        if cell.method == "ACK":
            assert decision.status is None, cell
