"""Whom a request is accepted from and with how much trust: the table "Incoming" of docs/trust.md.

Facts go in, a decision with its row comes out; nothing here looks anything up. The order is
fixed: banned source, TLS identity, class of the peer, From domain, target, rate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

from sipx.trust.rules import relay_refusal
from sipx.trust.terms import (
    Action,
    Certificate,
    Decision,
    Dialog,
    Identity,
    Incoming,
    PasswordlessAccount,
    RegistrarAuth,
    Role,
    RouteFacts,
    SenderKind,
)

MAX_FAILURES: Final = 3
"""Wrong credentials in a row; this one is answered 403 and counts towards a ban."""


class _Class(NamedTuple):
    """What the peer is, before its credentials, From domain, target and rate are looked at.

    ``row`` accepts, ``asks`` challenges; ``asks`` 0: no credentials are wanted.
    """

    row: int
    kind: SenderKind
    trusted: bool
    covers_from: bool
    name: str
    asks: int = 0
    skips: bool = False
    warn: str | None = None
    through: tuple[int, ...] = ()


class _Rows(NamedTuple):
    by_address: int
    authenticated: int
    challenged: int
    account: int
    account_challenged: int
    stranger: int


_ROWS: Final = {
    "tls": _Rows(12, 13, 14, 15, 16, 17),
    "tcp": _Rows(18, 19, 19, 20, 20, 20),
    "udp": _Rows(21, 22, 22, 23, 23, 23),
}
_JUDGED_AS: Final = {
    "udp": "udp",
    "tcp": "tcp",
    "tls": "tls",
    "mtls": "mtls",
    "ws": "tcp",
    "wss": "tls",
}
_HANDSHAKES: Final = (b"ACK", b"CANCEL")
_OUTSIDE: Final = (SenderKind.PARTNER, SenderKind.DISCOVERED)
_PROVEN: Final = (Identity.RFC5922, Identity.SUFFIX, Identity.HOSTING)


def decide_incoming(facts: Incoming) -> Decision:
    """The decision on one request. Raises KeyError for a protocol that is none of the six."""
    decision = _decide(facts, _JUDGED_AS[facts.protocol])
    if decision.row and decision.action is not Action.CLOSE:
        decision = _rewritten(facts, decision)
    # An ACK is never answered (RFC 3261 §17.1.1.3).
    if facts.method == b"ACK" and decision.action is Action.REFUSE:
        return replace(decision, action=Action.DROP, status=None)
    return decision


def _decide(facts: Incoming, protocol: str) -> Decision:
    early = _banned(facts, protocol) or _tls_identity(facts, protocol) or _unmatched(facts)
    if early is not None:
        return early
    peer = _class_of_peer(facts, protocol)
    if isinstance(peer, Decision):
        return peer
    if peer.kind in _OUTSIDE and facts.from_ours:
        why = f"{peer.name} is not a UC server and may not use our own domain in From"
        return _refuse(25, why, through=peer.through)
    row = peer.row
    if peer.asks and facts.auth is not RegistrarAuth.VALID and facts.method not in _HANDSHAKES:
        if not (peer.skips and facts.dialog is Dialog.AUTHENTICATED):
            return _challenge(facts, peer, protocol)
        row = 27
    return _from_target_rate(facts, peer, row) or _accept(facts, peer, row)


# ---------------------------------------------------------------- before the class of the peer


def _rewritten(facts: Incoming, decision: Decision) -> Decision:
    """Rows 24 and 28 changed what the other rows saw; say so."""
    if facts.routes and not _live(facts):
        why = f"{decision.reason} (the route {facts.routes[0].name} is switched off)"
        decision = replace(decision, reason=why, through=(24, *decision.through))
    if facts.dialog is Dialog.UNPROVEN:
        decision = replace(decision, through=(*decision.through, 28))
    return decision


def _live(facts: Incoming) -> list[RouteFacts]:
    """Row 24: an inactive route, or any while static routes are off, is "no route match"."""
    return [route for route in facts.routes if route.active] if facts.static_routes_on else []


def _banned(facts: Incoming, protocol: str) -> Decision | None:
    if not facts.banned:
        return None
    action = Action.DROP if protocol == "udp" else Action.CLOSE
    return Decision(0, action, "the source is banned")


def _tls_identity(facts: Incoming, protocol: str) -> Decision | None:
    """Rows 1, 2 and 11: there is no SIP before the certificate has passed."""
    if protocol not in ("tls", "mtls"):
        return None
    if facts.certificate is Certificate.BAD:
        alert, words = facts.fault.value
        why = f"the certificate of the peer did not pass: {words}"
        return Decision(2 if protocol == "mtls" else 11, Action.CLOSE, why, alert=alert)
    if protocol == "mtls" and facts.certificate is Certificate.NONE:
        why = "the peer showed no certificate, and this interface asks for one"
        return Decision(1, Action.CLOSE, why, alert="certificate_required")
    return None


def _unmatched(facts: Incoming) -> Decision | None:
    """ACK and CANCEL are never challenged: they live by the INVITE they belong to."""
    if facts.matches_invite or facts.method not in _HANDSHAKES:
        return None
    if facts.method == b"CANCEL":
        return _refuse(0, "no INVITE of this hop matches this CANCEL", 481)
    return Decision(0, Action.DROP, "no accepted INVITE matches this ACK")


# ---------------------------------------------------------------- the class of the peer


def _class_of_peer(facts: Incoming, protocol: str) -> _Class | Decision:
    live = _live(facts)
    if live:
        return _by_route(facts, protocol, live)
    if facts.role is Role.LAN:
        entry = protocol == "mtls" and facts.server_entry
        if entry and not facts.lan_user_set:
            return _Class(4, SenderKind.UC_SERVER, True, facts.from_ours, "the UC server")
        account = facts.passwordless
        if account is not None and account.user_matches:
            return _without_password(facts, account)
        if entry:
            return _account(facts, 4, 4, skips=False)
    if protocol == "mtls":
        return _open_federation(facts)
    rows = _ROWS[protocol]
    if facts.role is Role.LAN or (facts.roaming and protocol == "tls"):
        return _account(facts, rows.account, rows.account_challenged, skips=True)
    why = "no active static route matches this peer, and nobody logs on at this interface"
    if protocol != "udp":
        return _refuse(rows.stranger, why)
    if facts.scanner:
        return Decision(23, Action.DROP, "the source is scanning; it gets no answer")
    return replace(_refuse(23, why), limited=True)


def _by_route(facts: Incoming, protocol: str, live: list[RouteFacts]) -> _Class | Decision:
    """Rows 3, 10, 12-14, 18, 19, 21, 22, and 26 that chooses between several routes."""
    route = live[0]
    through: tuple[int, ...] = ()
    if len(live) > 1:
        # Our own domain in From: only a route to a UC server may be chosen for that.
        fit = [r for r in live if r.covers and (r.local or not facts.from_ours)]
        if fit:
            route = fit[0]
        elif not facts.from_ours or any(r.local for r in live):
            return _refuse(26, "none of the routes that share this server covers the From domain")
        through = (26,)
    kind = SenderKind.UC_SERVER if route.local else SenderKind.PARTNER
    name = f"the route {route.name}"
    peer = _Class(0, kind, True, route.covers, name, through=through)
    if facts.certificate is Certificate.OK and protocol in ("mtls", "tls"):
        return peer._replace(row=3 if protocol == "mtls" else 10)
    rows = _ROWS[protocol]
    if not route.trusted:
        asks = rows.challenged
        return peer._replace(row=rows.authenticated, asks=asks, trusted=False, skips=True)
    private = facts.peer_private and (facts.bind_private or protocol == "tls")
    if protocol == "udp" and not private and not route.insecure_trust:
        why = f"{name} trusts addresses, and over UDP only those of the bound private network"
        return _refuse(21, why)
    warn = None if private else f"{name} is trusted by an address outside a private network"
    return peer._replace(row=rows.by_address, warn=warn)


def _account(facts: Incoming, row: int, asks: int, *, skips: bool) -> _Class:
    """Rows 4, 15, 16, 20 and 23: somebody logs on."""
    if facts.user_account:
        covers = facts.from_ours and facts.from_is_account
        return _Class(row, SenderKind.USER, False, covers, "the user's account", asks, skips)
    return _Class(row, SenderKind.UC_SERVER, True, facts.from_ours, "the UC server", asks, skips)


def _without_password(facts: Incoming, account: PasswordlessAccount) -> _Class | Decision:
    """Row 29: an empty password proves nothing, so nothing is asked for."""
    if account.source_listed and facts.bind_private:
        return _Class(29, SenderKind.UC_SERVER, True, facts.from_ours, "the UC server")
    why = "the account has no password, and the source is not one of its private addresses"
    return _refuse(29, why)


def _open_federation(facts: Incoming) -> _Class | Decision:
    """Rows 5 to 9: a good certificate that no route and no UC server entry names."""
    if not facts.open_federation_on:
        return _refuse(9, "no active static route matches this certificate; federation is off")
    name = "the discovered partner"
    peer = _Class(5, SenderKind.DISCOVERED, False, True, name)
    if facts.from_ours:
        return peer
    if facts.from_blocked:
        return _refuse(8, "the From domain is blocked")
    if not facts.welcome:
        return _refuse(9, "federation with the From domain is not allowed")
    if facts.identity is Identity.DNS_FAILED:
        return _refuse(7, "DNS did not answer, so the From domain cannot be proven now", 504)
    if facts.identity is Identity.NO_SRV:
        return _refuse(7, "the From domain has no SRV record for federation")
    if facts.identity not in _PROVEN:
        return _refuse(6, "the certificate of the peer is not good for the From domain")
    return peer


# ---------------------------------------------------------------- after the class of the peer


def _challenge(facts: Incoming, peer: _Class, protocol: str) -> Decision:
    """Rows 14 and 16, and what 4, 19, 20, 22 and 23 say like them."""
    wrong = facts.auth is RegistrarAuth.WRONG
    limited = protocol == "udp"
    if wrong and facts.failures >= MAX_FAILURES:
        why = f"{peer.name} gave wrong credentials {facts.failures} times"
        refusal = _refuse(peer.asks, why)
        return replace(refusal, limited=limited, ban=True, through=peer.through)
    stale = facts.auth is RegistrarAuth.STALE
    why = f"{peer.name} has to give " + ("fresh " if stale else "right " if wrong else "")
    return Decision(
        peer.asks,
        Action.CHALLENGE,
        why + "credentials before its request is accepted",
        status=401 if facts.method == b"REGISTER" else 407,
        limited=limited,
        stale=stale,
        through=peer.through,
    )


def _from_target_rate(facts: Incoming, peer: _Class, row: int) -> Decision | None:
    if not peer.covers_from:
        return _refuse(row, f"{peer.name} may not use this From domain", through=peer.through)
    if facts.from_blocked and peer.kind in _OUTSIDE:
        return _refuse(row, "the From domain is blocked", through=peer.through)
    in_dialog = facts.dialog in (Dialog.AUTHENTICATED, Dialog.KNOWN)
    relay = relay_refusal(peer.kind, facts.target_ours, in_dialog=in_dialog)
    if relay is not None:
        return _refuse(row, relay, through=peer.through)
    if facts.over_limit and peer.kind is SenderKind.DISCOVERED:
        status = None if in_dialog or facts.method in _HANDSHAKES else 503
        why = f"{peer.name} is over its limit"
        return Decision(8, Action.THROTTLE, why, status, peer.kind, limited=True)
    return None


def _accept(facts: Incoming, peer: _Class, row: int) -> Decision:
    if peer.kind is SenderKind.DISCOVERED:
        how = f"proven by its certificate ({facts.identity.value})"
        source: str | None = "AutoFederation"
    else:
        how = "trusted" if peer.trusted else "authenticated, not trusted"
        source = "DirectPartner" if peer.trusted else None
        if peer.kind is SenderKind.UC_SERVER:
            source = "AuthorizedServer"
    return Decision(
        row,
        Action.ACCEPT,
        f"{peer.name} is {how}",
        kind=peer.kind,
        trusted=peer.trusted,
        limited=peer.kind is SenderKind.DISCOVERED,
        keep_identity=peer.trusted and facts.asserted_covered,
        source_type=source,
        warn=peer.warn,
        through=peer.through,
    )


def _refuse(row: int, why: str, status: int = 403, through: tuple[int, ...] = ()) -> Decision:
    return Decision(row, Action.REFUSE, why, status, through=through)
