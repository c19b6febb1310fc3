"""The trust table for outgoing requests as sentences, and the rules around the tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sipx.trust import (
    Failure,
    Lookup,
    Outgoing,
    OutgoingAction,
    OutgoingRoute,
    Owner,
    Role,
    SenderKind,
    account_refusal,
    allowed_methods,
    config_refusals,
    decide_outgoing,
    identity_headers_kept,
    insecure_trust_reason,
    method_refusal,
    relay_refusal,
)

UC, PARTNER, DISCOVERED, USER = SenderKind
SERVER = Outgoing(sender=UC, source_trusted=True)
SEND, NEXT, NO = OutgoingAction.SEND, OutgoingAction.NEXT, OutgoingAction.REFUSE
FEDERATED = replace(SERVER, open_federation_on=True)


def by(protocol: str, *, trusted: bool = False, active: bool = True) -> Outgoing:
    return replace(SERVER, route=OutgoingRoute("partner.example", protocol, active, trusted))


def way(facts: Outgoing) -> tuple[int, OutgoingAction, int | None]:
    decision = decide_outgoing(facts)
    return decision.row, decision.action, decision.status


@pytest.mark.parametrize("sender", [PARTNER, DISCOVERED, None])
def test_only_uc_servers_and_local_users_reach_other_domains(sender):
    """SEC-01."""
    assert way(replace(by("tcp"), sender=sender)) == (0, NO, 403)
    assert way(replace(by("tcp"), sender=sender, ours=True)) == (6, SEND, None)
    assert way(replace(by("tcp"), sender=USER)) == (6, SEND, None)


def test_out_row_1_a_user_of_ours_is_reached_through_the_owner_or_is_unavailable():
    ours = replace(SERVER, sender=PARTNER, ours=True, owner=Owner.UP)
    assert way(ours) == (1, SEND, None)
    broken = replace(ours, failure=Failure.REFUSED)
    assert way(replace(broken, more_targets=True)) == (1, NEXT, None)
    assert way(broken) == (1, NO, 480)
    assert way(replace(ours, owner=Owner.DOWN)) == (1, NO, 480)
    silent = replace(ours, failure=Failure.NO_ANSWER)
    assert way(silent) == (1, NO, None)
    assert way(replace(silent, method=b"INVITE")) == (1, NO, 480)


def test_out_row_2_a_user_whom_nobody_knows_is_404_and_never_looked_for_outside():
    assert way(replace(FEDERATED, ours=True)) == (2, NO, 404)


def test_out_row_3_a_blocked_domain_is_refused_even_with_a_route():
    assert way(replace(by("mtls"), blocked=True)) == (3, NO, 403)
    assert way(replace(SERVER, ours=True, blocked=True)) == (2, NO, 404)


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (Failure.CERTIFICATE, 502),
        (Failure.REFUSED, 500),
        (Failure.TIMEOUT, 504),
        (Failure.DNS, 504),
        (Failure.NO_ANSWER, None),
        (Failure.FILTERED, 403),
    ],
)
@pytest.mark.parametrize(("protocol", "row"), [("mtls", 4), ("tls", 5), ("tcp", 6), ("udp", 6)])
def test_out_rows_4_to_6_a_route_is_used_and_its_failures_have_their_codes(
    protocol, row, failure, status
):
    facts = by(protocol)
    assert way(facts) == (row, SEND, None)
    assert way(replace(facts, failure=failure)) == (row, NO, status)
    assert way(replace(facts, failure=failure, more_targets=True)) == (row, NEXT, None)


def test_only_an_invite_without_an_answer_is_answered_408():
    """X-06."""
    facts = replace(by("udp"), failure=Failure.NO_ANSWER)
    assert way(replace(facts, method=b"INVITE")) == (6, NO, 408)
    assert way(facts) == (6, NO, None)


@pytest.mark.parametrize(
    ("facts", "kept"),
    [
        (by("mtls"), True),
        (by("tls"), False),
        (by("tls", trusted=True), True),
        (by("udp"), False),
        (by("udp", trusted=True), True),
        (replace(by("udp", trusted=True), source_trusted=False), False),
        (FEDERATED, False),
        (replace(FEDERATED, privacy_id=True), False),
    ],
)
def test_identity_headers_go_only_where_trust_goes(facts, kept):
    assert decide_outgoing(facts).keep_identity is kept


@pytest.mark.parametrize("protocol", ["udp", "tcp", "ws"])
def test_out_row_6_sips_never_leaves_without_tls(protocol):
    assert way(replace(by(protocol), sips=True)) == (6, NO, 416)
    assert way(replace(by("tls"), sips=True)) == (5, SEND, None)


def test_out_row_7_a_route_that_is_off_is_passed_over():
    for off in (by("mtls", active=False), replace(by("mtls"), static_routes_on=False)):
        decision = decide_outgoing(off)
        assert (decision.row, decision.status, decision.through) == (10, 403, (7,))
        federated = decide_outgoing(replace(off, open_federation_on=True))
        assert (federated.row, federated.action, federated.through) == (8, SEND, (7,))
        assert decide_outgoing(replace(off, ours=True)).row == 2


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (Lookup.NOTHING, 404),
        (Lookup.REFUSED, 404),
        (Lookup.FAILED, 504),
        (Lookup.OURSELVES, 482),
    ],
)
def test_out_row_8_open_federation_follows_the_srv_record_or_says_why_not(found, status):
    assert way(FEDERATED) == (8, SEND, None)
    assert way(replace(FEDERATED, srv=found)) == (8, NO, status)
    assert way(replace(FEDERATED, failure=Failure.CERTIFICATE)) == (8, NO, 502)


def test_out_row_9_rfc_3263_is_asked_only_where_there_is_no_federation_record():
    facts = replace(FEDERATED, srv=Lookup.NOTHING, rfc3263=Lookup.FOUND)
    assert way(facts) == (9, SEND, None)
    assert way(replace(facts, rfc3263=Lookup.NOTHING)) == (9, NO, 404)
    assert way(replace(facts, rfc3263=Lookup.FAILED)) == (9, NO, 504)
    assert way(replace(facts, srv=Lookup.REFUSED)) == (8, NO, 404)


def test_out_row_10_without_a_route_and_without_open_federation_nothing_leaves():
    assert way(SERVER) == (10, NO, 403)
    assert "federation off" in decide_outgoing(SERVER).reason


def test_out_row_11_an_ip_address_is_never_a_domain_to_federate_with():
    assert way(replace(FEDERATED, named=False)) == (11, NO, 403)
    assert way(replace(by("mtls"), named=False)) == (11, NO, 403)


# ---------------------------------------------------------------- the rules around the tables


@pytest.mark.parametrize(
    ("source", "target", "privacy", "kept"),
    [
        (True, True, False, True),
        (True, True, True, True),
        (True, False, False, False),
        (True, False, True, False),
        (False, True, False, False),
        (False, True, True, False),
        (False, False, False, False),
        (False, False, True, False),
    ],
)
def test_i_01_an_asserted_identity_lives_inside_the_trust_domain(source, target, privacy, kept):
    assert identity_headers_kept(source, target, privacy) is kept


def test_sec_01_outside_peers_reach_our_domains_only():
    for kind in (PARTNER, DISCOVERED, None):
        assert relay_refusal(kind, False) is not None
        assert relay_refusal(kind, True) is None
        assert relay_refusal(kind, False, in_dialog=True) is None
    assert relay_refusal(UC, False) is None
    assert relay_refusal(USER, False) is None


@pytest.mark.parametrize(
    ("method", "wan", "lan"),
    [
        (b"MESSAGE", True, True),
        (b"PRACK", True, True),
        (b"PUBLISH", False, True),
        (b"REFER", False, True),
        (b"BENOTIFY", False, True),
        (b"FOO", False, True),
        (b"message", False, True),
        (b"REGISTER", False, False),
        (b"NEGOTIATE", False, False),
    ],
)
def test_the_wan_side_has_a_list_of_methods_and_the_lan_side_all(method, wan, lan):
    assert (method_refusal(method, "wan") is None) is wan
    assert (method_refusal(method, Role.LAN) is None) is lan


def test_each_option_lets_its_own_method_through_and_into_allow():
    assert method_refusal(b"PUBLISH", "wan", publish=True) is None
    assert method_refusal(b"REFER", "wan", refer=True) is None
    assert method_refusal(b"BENOTIFY", "wan", benotify=True) is None
    assert method_refusal(b"REGISTER", "wan", registrar=True) is None
    assert method_refusal(b"REFER", "wan", publish=True, benotify=True, registrar=True)
    assert method_refusal(b"NEGOTIATE", "lan", registrar=True)
    assert allowed_methods().startswith(b"INVITE, ACK, BYE, CANCEL, OPTIONS, ")
    assert allowed_methods(registrar=True, benotify=True).endswith(b"PRACK, BENOTIFY, REGISTER")


PRIVATE = {"protocol": "udp", "trusted": True, "bind": "10.0.0.1", "servers": ["10.0.0.2"]}


@pytest.mark.parametrize(
    ("change", "refusals"),
    [
        ({}, 0),
        ({"bind": "192.0.2.1"}, 1),
        ({"bind": "*"}, 1),
        ({"bind": "::1", "servers": ["fd00::1", "sip.partner.example"]}, 0),
        ({"servers": ["10.0.0.2", "192.0.2.2", "2001:db8::2"]}, 2),
        ({"bind": "192.0.2.1", "servers": ["192.0.2.2"], "protocol": "tcp"}, 2),
        ({"bind": "192.0.2.1", "protocol": "tls"}, 0),
        ({"bind": "192.0.2.1", "protocol": "mtls"}, 0),
        ({"bind": "192.0.2.1", "trusted": False}, 0),
        ({"bind": "192.0.2.1", "insecure_trust": "yes, a leased line"}, 0),
        ({"insecure_trust": "yes"}, 1),
        ({"insecure_trust": "yes, "}, 1),
        ({"trusted": False, "insecure_trust": "true, it is fine"}, 1),
    ],
)
def test_trust_by_address_on_public_networks_is_refused_in_the_configuration(change, refusals):
    assert len(config_refusals(**{**PRIVATE, **change})) == refusals


def test_the_reason_for_insecure_trust_is_what_follows_yes():
    assert insecure_trust_reason("yes, a leased line") == "a leased line"
    assert insecure_trust_reason("no, a leased line") is None


def test_an_account_without_a_password_wants_a_private_bind():
    assert account_refusal(has_password=False, bind="10.0.0.1") is None
    assert account_refusal(has_password=False, bind="127.0.0.1") is None
    assert account_refusal(has_password=True, bind="*") is None
    assert "every address" in (account_refusal(has_password=False, bind="*") or "")
    assert "192.0.2.1" in (account_refusal(has_password=False, bind="192.0.2.1") or "")
