"""The trust table for incoming requests as sentences: at least one cell for each row."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from sipx.trust import (
    Action,
    Certificate,
    CertificateFault,
    Dialog,
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

UC, PARTNER, DISCOVERED, USER = SenderKind
NO_CERT, BAD_CERT, GOOD_CERT = Certificate
VALID, STALE, WRONG = RegistrarAuth.VALID, RegistrarAuth.STALE, RegistrarAuth.WRONG
ACCEPT, CHALLENGE, REFUSE = Action.ACCEPT, Action.CHALLENGE, Action.REFUSE

TRUSTED = RouteFacts("partner.example", covers=True, trusted=True)
UNTRUSTED = RouteFacts("partner.example", covers=True)
ELSEWHERE = RouteFacts("elsewhere.example", covers=False, trusted=True)
LOCAL = RouteFacts("example.com", covers=True, trusted=True, local=True)


def udp(*routes: RouteFacts) -> Incoming:
    return Incoming(
        protocol="udp", from_ours=False, routes=routes, peer_private=True, bind_private=True
    )


def tcp(*routes: RouteFacts) -> Incoming:
    return replace(udp(*routes), protocol="tcp")


def tls(*routes: RouteFacts, cert: Certificate = NO_CERT) -> Incoming:
    return replace(udp(*routes), protocol="tls", certificate=cert)


def mtls(*routes: RouteFacts, cert: Certificate = GOOD_CERT) -> Incoming:
    return replace(udp(*routes), protocol="mtls", certificate=cert)


OPEN = replace(mtls(), open_federation_on=True)
DISCOVERED_PEER = replace(OPEN, identity=Identity.RFC5922)
LAN = replace(tcp(), role=Role.LAN, from_ours=True)


def outcome(facts: Incoming) -> tuple[int, Action, int | None]:
    decision = decide_incoming(facts)
    return decision.row, decision.action, decision.status


# ---------------------------------------------------------------- incoming: MTLS


def test_row_1_mtls_without_a_certificate_ends_in_the_handshake():
    decision = decide_incoming(mtls(TRUSTED, cert=NO_CERT))
    assert (decision.row, decision.action) == (1, Action.CLOSE)
    assert decision.alert == "certificate_required"


@pytest.mark.parametrize(
    ("fault", "alert"),
    [
        (CertificateFault.UNKNOWN_CA, "unknown_ca"),
        (CertificateFault.EXPIRED, "certificate_expired"),
        (CertificateFault.NOT_YET_VALID, "certificate_expired"),
        (CertificateFault.REVOKED, "certificate_revoked"),
        (CertificateFault.WRONG_PURPOSE, "unsupported_certificate"),
        (CertificateFault.NO_NAME, "bad_certificate"),
    ],
)
def test_row_2_mtls_with_a_bad_certificate_ends_with_the_alert_that_says_why(fault, alert):
    decision = decide_incoming(replace(mtls(TRUSTED, cert=BAD_CERT), fault=fault))
    assert (decision.row, decision.action, decision.alert) == (2, Action.CLOSE, alert)
    assert fault.alert == alert


def test_row_3_mtls_routes_are_trusted_whatever_their_flag_says():
    decision = decide_incoming(replace(mtls(UNTRUSTED), asserted_covered=True))
    assert (decision.row, decision.action, decision.kind) == (3, ACCEPT, PARTNER)
    assert decision.trusted
    assert decision.keep_identity
    assert decision.source_type == "DirectPartner"
    assert outcome(mtls(ELSEWHERE)) == (3, REFUSE, 403)


def test_row_4_a_uc_server_with_a_certificate_logs_on_only_where_a_lan_user_is_set():
    server = replace(mtls(), role=Role.LAN, server_entry=True, from_ours=True)
    assert outcome(server) == (4, CHALLENGE, 407)
    assert outcome(replace(server, auth=WRONG, failures=3)) == (4, REFUSE, 403)
    assert outcome(replace(server, auth=VALID)) == (4, ACCEPT, None)
    decision = decide_incoming(replace(server, lan_user_set=False))
    assert (decision.row, decision.action, decision.kind) == (4, ACCEPT, UC)
    assert decision.source_type == "AuthorizedServer"


@pytest.mark.parametrize("profile", [Identity.RFC5922, Identity.SUFFIX, Identity.HOSTING])
def test_row_5_a_certificate_good_for_the_from_domain_makes_a_discovered_partner(profile):
    decision = decide_incoming(replace(OPEN, identity=profile, asserted_covered=True))
    assert (decision.row, decision.action, decision.kind) == (5, ACCEPT, DISCOVERED)
    assert decision.limited
    assert not decision.trusted
    assert not decision.keep_identity
    assert decision.source_type == "AutoFederation"
    assert profile.value in decision.reason


def test_row_6_a_certificate_not_good_for_the_from_domain_is_refused():
    assert outcome(OPEN) == (6, REFUSE, 403)


def test_row_7_dns_that_fails_is_504_and_a_domain_without_srv_403():
    assert outcome(replace(OPEN, identity=Identity.DNS_FAILED)) == (7, REFUSE, 504)
    assert outcome(replace(OPEN, identity=Identity.NO_SRV)) == (7, REFUSE, 403)


def test_row_8_a_blocked_domain_is_refused_and_one_over_its_limit_slowed_down():
    assert outcome(replace(DISCOVERED_PEER, from_blocked=True)) == (8, REFUSE, 403)
    over = replace(DISCOVERED_PEER, over_limit=True)
    assert outcome(over) == (8, Action.THROTTLE, 503)
    inside = replace(over, dialog=Dialog.KNOWN)
    assert outcome(inside) == (8, Action.THROTTLE, None)
    assert outcome(replace(over, target_ours=False)) == (5, REFUSE, 403)


def test_row_9_without_open_federation_an_unknown_certificate_is_refused():
    assert outcome(replace(mtls(), identity=Identity.RFC5922)) == (9, REFUSE, 403)


# ---------------------------------------------------------------- incoming: TLS


def test_row_10_a_tls_peer_that_offers_a_good_certificate_is_trusted():
    assert outcome(tls(UNTRUSTED, cert=GOOD_CERT)) == (10, ACCEPT, None)


def test_row_11_an_offered_certificate_must_pass():
    assert outcome(tls(TRUSTED, cert=BAD_CERT)) == (11, Action.CLOSE, None)


def test_row_12_a_trusted_tls_route_outside_a_private_network_is_accepted_with_a_warning():
    decision = decide_incoming(tls(TRUSTED))
    assert (decision.row, decision.action, decision.warn) == (12, ACCEPT, None)
    assert decide_incoming(replace(tls(TRUSTED), bind_private=False)).warn is None
    outside = decide_incoming(replace(tls(TRUSTED), peer_private=False))
    assert outside.action is ACCEPT
    assert "outside a private network" in (outside.warn or "")


def test_row_13_an_untrusted_tls_route_is_accepted_with_credentials_but_not_trusted():
    facts = replace(tls(UNTRUSTED), auth=VALID, asserted_covered=True)
    decision = decide_incoming(facts)
    assert (decision.row, decision.action, decision.kind) == (13, ACCEPT, PARTNER)
    assert not decision.trusted
    assert not decision.keep_identity
    assert decision.source_type is None


def test_row_14_an_untrusted_tls_route_is_challenged_and_the_third_failure_refused():
    facts = tls(UNTRUSTED)
    assert outcome(facts) == (14, CHALLENGE, 407)
    assert outcome(replace(facts, method=b"REGISTER")) == (14, CHALLENGE, 401)
    stale = decide_incoming(replace(facts, auth=STALE))
    assert (stale.action, stale.status, stale.stale) == (CHALLENGE, 407, True)
    second = decide_incoming(replace(facts, auth=WRONG, failures=2))
    assert (second.action, second.stale, second.ban) == (CHALLENGE, False, False)
    third = decide_incoming(replace(facts, auth=WRONG, failures=3))
    assert (third.row, third.action, third.status, third.ban) == (14, REFUSE, 403, True)


def test_row_15_a_roaming_user_may_use_only_the_address_of_the_account():
    facts = replace(tls(), roaming=True, auth=VALID, from_ours=True, user_account=True)
    assert outcome(facts) == (15, REFUSE, 403)
    decision = decide_incoming(replace(facts, from_is_account=True, target_ours=False))
    assert (decision.row, decision.action, decision.kind) == (15, ACCEPT, USER)
    assert not decision.trusted
    server = decide_incoming(replace(facts, user_account=False))
    assert (server.row, server.kind, server.trusted) == (15, UC, True)


def test_row_16_who_may_log_on_but_has_not_is_challenged():
    assert outcome(replace(tls(), roaming=True)) == (16, CHALLENGE, 407)
    assert outcome(replace(tls(), role=Role.LAN)) == (16, CHALLENGE, 407)


def test_row_17_tls_strangers_get_no_password_to_guess_and_no_open_federation():
    facts = replace(tls(cert=GOOD_CERT), open_federation_on=True, identity=Identity.RFC5922)
    assert outcome(facts) == (17, REFUSE, 403)
    assert outcome(replace(tls(), auth=VALID)) == (17, REFUSE, 403)


# ---------------------------------------------------------------- incoming: TCP and UDP


def test_row_18_a_trusted_tcp_route_is_trusted_by_address():
    decision = decide_incoming(replace(tcp(TRUSTED), asserted_covered=True))
    assert (decision.row, decision.action, decision.kind) == (18, ACCEPT, PARTNER)
    assert decision.keep_identity
    assert decision.warn is None
    assert decide_incoming(replace(tcp(TRUSTED), bind_private=False)).warn
    assert outcome(tcp(ELSEWHERE)) == (18, REFUSE, 403)


def test_row_19_an_untrusted_tcp_route_is_challenged_and_never_accepted_without_credentials():
    assert outcome(tcp(UNTRUSTED)) == (19, CHALLENGE, 407)
    assert outcome(replace(tcp(UNTRUSTED), auth=VALID)) == (19, ACCEPT, None)


def test_row_20_without_a_route_tcp_is_for_uc_servers_that_log_on_at_the_lan():
    assert outcome(LAN) == (20, CHALLENGE, 407)
    assert outcome(replace(LAN, auth=VALID)) == (20, ACCEPT, None)
    assert outcome(replace(LAN, auth=VALID, from_ours=False)) == (20, REFUSE, 403)
    assert outcome(replace(tcp(), auth=VALID)) == (20, REFUSE, 403)


def test_row_21_over_udp_trust_by_address_ends_at_the_private_network():
    facts = udp(TRUSTED)
    assert outcome(facts) == (21, ACCEPT, None)
    assert outcome(replace(facts, peer_private=False)) == (21, REFUSE, 403)
    assert outcome(replace(facts, bind_private=False)) == (21, REFUSE, 403)
    named = replace(udp(replace(TRUSTED, insecure_trust=True)), peer_private=False)
    decision = decide_incoming(named)
    assert (decision.row, decision.action) == (21, ACCEPT)
    assert decision.warn


def test_row_22_challenges_over_udp_are_small_and_rate_limited():
    decision = decide_incoming(udp(UNTRUSTED))
    assert (decision.row, decision.action, decision.limited) == (22, CHALLENGE, True)
    assert outcome(replace(udp(UNTRUSTED), auth=VALID)) == (22, ACCEPT, None)


def test_row_23_udp_strangers_are_refused_and_scanners_get_nothing():
    decision = decide_incoming(udp())
    assert (decision.row, decision.action, decision.status) == (23, REFUSE, 403)
    assert decision.limited
    assert outcome(replace(udp(), scanner=True)) == (23, Action.DROP, None)
    assert outcome(replace(LAN, protocol="udp", auth=VALID)) == (23, ACCEPT, None)


# ---------------------------------------------------------------- incoming: any interface


def test_row_24_an_inactive_route_is_no_route_and_the_reason_says_so():
    inactive = decide_incoming(tcp(replace(TRUSTED, active=False)))
    off = decide_incoming(replace(tcp(TRUSTED), static_routes_on=False))
    for decision in (inactive, off):
        assert (decision.row, decision.action, decision.through) == (20, REFUSE, (24,))
        assert "partner.example is switched off" in decision.reason


def test_row_24_an_inactive_route_does_not_stop_an_active_one():
    assert outcome(tcp(replace(ELSEWHERE, active=False), TRUSTED)) == (18, ACCEPT, None)


@pytest.mark.parametrize(
    "facts",
    [mtls(TRUSTED), tls(TRUSTED), tcp(TRUSTED), udp(TRUSTED), udp(UNTRUSTED), DISCOVERED_PEER],
)
def test_row_25_nobody_but_a_uc_server_uses_our_domain_in_from(facts):
    assert outcome(replace(facts, from_ours=True)) == (25, REFUSE, 403)


@pytest.mark.parametrize(("facts", "row"), [(mtls, 3), (tls, 12), (tcp, 18), (udp, 21)])
def test_the_peer_of_a_route_for_our_own_domain_is_a_uc_server(facts, row):
    decision = decide_incoming(replace(facts(LOCAL), from_ours=True, target_ours=False))
    assert (decision.row, decision.action, decision.kind) == (row, ACCEPT, UC)
    assert decision.source_type == "AuthorizedServer"


def test_row_26_of_two_routes_the_one_that_covers_from_decides():
    decision = decide_incoming(tcp(ELSEWHERE, UNTRUSTED))
    assert (decision.row, decision.action, decision.through) == (19, CHALLENGE, (26,))
    assert outcome(tcp(ELSEWHERE, replace(UNTRUSTED, covers=False))) == (26, REFUSE, 403)


def test_row_26_a_catch_all_never_takes_our_domain_from_the_route_of_our_uc_server():
    every = replace(UNTRUSTED, name="*")
    decision = decide_incoming(replace(tcp(every, LOCAL), from_ours=True))
    assert (decision.row, decision.action, decision.kind) == (18, ACCEPT, UC)


def test_row_27_a_dialog_authenticated_on_this_flow_is_not_challenged_again():
    facts = replace(tcp(UNTRUSTED), dialog=Dialog.AUTHENTICATED, target_ours=False)
    assert outcome(facts) == (27, ACCEPT, None)
    assert outcome(replace(facts, dialog=Dialog.KNOWN)) == (19, CHALLENGE, 407)
    assert outcome(replace(facts, routes=(replace(UNTRUSTED, covers=False),))) == (27, REFUSE, 403)


def test_row_28_a_claimed_dialog_without_our_cookie_gains_nothing():
    """SEC-03: a To tag is no proof."""
    decision = decide_incoming(replace(tcp(UNTRUSTED), dialog=Dialog.UNPROVEN))
    assert (decision.row, decision.action, decision.through) == (19, CHALLENGE, (28,))
    relay = replace(tcp(TRUSTED), dialog=Dialog.UNPROVEN, target_ours=False)
    assert outcome(relay) == (18, REFUSE, 403)


def test_row_29_an_account_without_a_password_counts_only_from_its_private_addresses():
    listed = PasswordlessAccount(user_matches=True, source_listed=True)
    facts = replace(LAN, passwordless=listed)
    assert outcome(facts) == (29, ACCEPT, None)
    assert outcome(replace(facts, bind_private=False)) == (29, REFUSE, 403)
    elsewhere = replace(listed, source_listed=False)
    assert outcome(replace(facts, passwordless=elsewhere, auth=VALID)) == (29, REFUSE, 403)
    assert outcome(replace(facts, passwordless=PasswordlessAccount(False, True)))[0] == 20
    assert outcome(replace(facts, role=Role.WAN)) == (20, REFUSE, 403)


# ---------------------------------------------------------------- incoming: around the rows


def test_a_banned_source_gets_silence_over_udp_and_a_closed_connection_else():
    assert outcome(replace(udp(TRUSTED), banned=True)) == (0, Action.DROP, None)
    assert outcome(replace(mtls(TRUSTED), banned=True)) == (0, Action.CLOSE, None)


def test_cancel_and_ack_live_by_their_invite():
    """P-18, P-19."""
    cancel, ack = (replace(tcp(UNTRUSTED), method=m) for m in (b"CANCEL", b"ACK"))
    assert outcome(cancel) == (0, REFUSE, 481)
    assert outcome(ack) == (0, Action.DROP, None)
    assert outcome(replace(cancel, matches_invite=True)) == (19, ACCEPT, None)
    assert outcome(replace(ack, matches_invite=True)) == (19, ACCEPT, None)
    assert outcome(replace(ack, matches_invite=True, routes=())) == (20, Action.DROP, None)


def test_an_asserted_identity_of_a_domain_the_peer_may_not_use_is_stripped():
    assert not decide_incoming(tcp(TRUSTED)).keep_identity


@pytest.mark.parametrize(("websocket", "below"), [("ws", tcp), ("wss", tls)])
@pytest.mark.parametrize("route", [TRUSTED, UNTRUSTED, ELSEWHERE])
def test_websockets_are_judged_like_the_stream_below_them(websocket, below, route):
    facts = below(route)
    assert decide_incoming(replace(facts, protocol=websocket)) == decide_incoming(facts)


def test_a_protocol_that_the_table_does_not_know_is_never_accepted():
    with pytest.raises(KeyError):
        decide_incoming(replace(tcp(TRUSTED), protocol="sctp"))


@pytest.mark.parametrize(
    ("claimed", "cookie", "same", "here"), list(product((False, True), repeat=4))
)
def test_a_dialog_is_proven_by_our_cookie_in_the_hands_of_the_same_peer(
    claimed, cookie, same, here
):
    standing = dialog_standing(
        claimed=claimed, cookie_valid=cookie, same_peer=same, authenticated_here=here
    )
    if not claimed:
        assert standing is Dialog.NONE
    elif cookie and same:
        assert standing is (Dialog.AUTHENTICATED if here else Dialog.KNOWN)
    else:
        assert standing is Dialog.UNPROVEN
