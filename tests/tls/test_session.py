"""Sessions in memory against a peer with no rules of its own: every refusal here is ours."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from datetime import timedelta

import pytest
from OpenSSL import SSL

from sipx.identity import EkuPolicy, Partner, proof_of
from sipx.testing.certificates import Authority
from sipx.tls import TlsError
from sipx.trust import Certificate, CertificateFault

from .strangers import Stranger, shake

PEER = "sip.away.example"
AWAY = Partner("away.example", b"away.example", frozenset({b"away.example", PEER.encode()}))

# protocol.md's table "EKU in 2026": what each kind of certificate gets under each policy. "both
# roles" of the federation policy is the point: public certificates are for servers only.
KINDS = {
    "serverAuth": ("serverAuth",),
    "serverAuth under a serverAuth-only authority": ("serverAuth",),
    "both": ("serverAuth", "clientAuth"),
    "clientAuth": ("clientAuth",),
    "none": None,
    "sipDomain": ("sipDomain",),
    "any": ("any",),
}
TAKEN = {
    # policy: (when it connects to us, when we connect to it)
    "strict": (
        {"both", "clientAuth", "none"},
        {"serverAuth", "serverAuth under a serverAuth-only authority", "both", "none"},
    ),
    "federation": (set(KINDS) - {"any"}, set(KINDS) - {"any"}),
    "sip-only": ({"none", "sipDomain", "any"}, {"none", "sipDomain", "any"}),
    "any": (set(KINDS), set(KINDS)),
}


def peer_certificate(lab, kind):
    issuer = lab.ca
    if "under" in kind:
        issuer = Authority("for servers only", issuer=lab.ca, eku=["serverAuth"])
    return issuer.leaf(dns=[PEER], eku=KINDS[kind])


@pytest.mark.parametrize("policy", TAKEN)
@pytest.mark.parametrize("kind", KINDS)
def test_c03_the_eku_of_a_client(lab, kind, policy):
    peer = Stranger(peer_certificate(lab, kind))
    if kind in TAKEN[policy][0]:
        session = lab.accept(peer, eku=policy)
        assert session.examined.certificate.ids == {PEER.encode()}
    else:
        with pytest.raises(TlsError, match="extended key usage") as refusal:
            lab.accept(peer, eku=policy)
        assert refusal.value.fault is CertificateFault.WRONG_PURPOSE
        assert peer.error is not None


@pytest.mark.parametrize("policy", TAKEN)
@pytest.mark.parametrize("kind", KINDS)
def test_c03_the_eku_of_a_server(lab, kind, policy):
    peer = Stranger(peer_certificate(lab, kind), server=True)
    if kind in TAKEN[policy][1]:
        session = lab.connect(peer, AWAY, eku=policy)
        assert session.examined.partners["away.example"].name == PEER.encode()
    else:
        with pytest.raises(TlsError, match="extended key usage") as refusal:
            lab.connect(peer, AWAY, eku=policy)
        assert refusal.value.fault is CertificateFault.WRONG_PURPOSE


def test_a_partner_may_have_a_laxer_policy_than_the_interface(lab):
    partner = Partner("away.example", names=frozenset({PEER.encode()}), eku=EkuPolicy.FEDERATION)
    tls = lab.tls(partners=(partner,))
    peer = Stranger(lab.ca.leaf(dns=[PEER], eku=["serverAuth"]))
    session = lab.accept(peer, tls=tls, eku="strict")
    assert not session.examined.general
    assert set(session.examined.partners) == {"away.example"}
    other = Stranger(lab.ca.leaf(dns=["sip.other.example"], eku=["serverAuth"]))
    with pytest.raises(TlsError):
        lab.accept(other, tls=tls, eku="strict")


# ---------------------------------------------------------------- rows 1, 2, 10, 11, 12


def bad(lab, kind):
    """A certificate that must not pass, and what is wrong with it."""
    now = lab.ca.now
    day = timedelta(days=1)
    if kind == "unknown authority":
        return Authority("Lab CA").leaf(dns=[PEER])
    if kind == "self-signed":
        return lab.ca.leaf(dns=[PEER], self_signed=True)
    if kind == "expired":
        return lab.ca.leaf(dns=[PEER], not_before=now - 9 * day, not_after=now - 2 * day)
    if kind == "not yet valid":
        return lab.ca.leaf(dns=[PEER], not_before=now + 5 * day)
    if kind == "no name":
        return lab.ca.leaf("Away Ltd", san=False)
    return lab.ca.leaf(dns=["*.away.example"])


FAULTS = {
    "unknown authority": (CertificateFault.UNKNOWN_CA, "unknown ca"),
    "self-signed": (CertificateFault.UNKNOWN_CA, "unknown ca"),
    "expired": (CertificateFault.EXPIRED, "certificate expired"),
    "not yet valid": (CertificateFault.NOT_YET_VALID, "bad certificate"),
    "no name": (CertificateFault.NO_NAME, None),
    "only a wildcard": (CertificateFault.NO_NAME, None),
}


@pytest.mark.parametrize("protocol", ["tls", "mtls"])
@pytest.mark.parametrize("kind", FAULTS)
def test_a_bad_certificate_ends_the_handshake(lab, kind, protocol):
    issued = bad(lab, kind)
    peer = Stranger(issued)
    fault, alert = FAULTS[kind]
    with pytest.raises(TlsError) as refusal:
        lab.accept(peer, protocol=protocol)
    failure = refusal.value
    assert (failure.certificate, failure.fault) == (Certificate.BAD, fault)
    text = str(failure)
    assert text.startswith("192.0.2.1: its certificate (subject ")
    assert f"{issued.certificate.serial_number:x}" in text
    assert "; " in text
    assert peer.error is not None
    if alert is not None:
        assert alert in peer.error


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_with_a_bad_certificate_is_left(lab, kind):
    peer = Stranger(bad(lab, kind), server=True)
    with pytest.raises(TlsError) as refusal:
        lab.connect(peer, AWAY)
    assert refusal.value.fault is FAULTS[kind][0]
    assert str(refusal.value).startswith("away.example at 192.0.2.1:5061: its certificate")


def test_mtls_demands_a_certificate(lab):
    peer = Stranger()
    with pytest.raises(TlsError, match="mtls demands one") as refusal:
        lab.accept(peer)
    assert refusal.value.certificate is Certificate.NONE
    assert "certificate required" in peer.error


def test_tls_asks_for_a_certificate_and_takes_none(lab):
    session = lab.accept(Stranger(), protocol="tls")
    assert session.established
    assert session.examined is None


def test_the_missing_intermediate_is_named(lab):
    sub = Authority("Sub CA", issuer=lab.ca)
    alone = sub.leaf(dns=[PEER])
    alone = type(alone)(alone.certificate, alone.key, ())
    with pytest.raises(TlsError) as refusal:
        lab.accept(Stranger(alone))
    assert "its issuer CN=Sub CA is not trusted here, and no certificate of that issuer" in str(
        refusal.value
    )
    assert "has to send its certificate too" in refusal.value.remedy
    assert lab.accept(Stranger(sub.leaf(dns=[PEER]))).established


def test_a_link_of_the_chain_that_is_no_good_is_named(lab):
    """In the handshake by OpenSSL, later by our own look at the chain: in the same words."""
    old = Authority("Old CA", issuer=lab.ca, now=lab.ca.now - timedelta(days=4000))
    with pytest.raises(TlsError, match=r"of its chain \(subject CN=Old CA.* it expired on"):
        lab.accept(Stranger(old.leaf(dns=[PEER], not_before=lab.ca.now)))
    leaf = lab.ca.leaf(dns=["no.authority.example"])
    forged = Authority("Forged", issuer=lab.ca)
    forged.certificate, forged.key = leaf.certificate, leaf.key
    forged.name = leaf.certificate.subject
    peer = Stranger(forged.leaf(dns=[PEER]))
    with pytest.raises(TlsError, match=r"CN=no\.authority\.example, .* is no authority"):
        lab.accept(peer)


@pytest.mark.parametrize("revoked", [False, True])
def test_a_pinned_key_without_its_chain_is_looked_up_in_the_lists(lab, revoked):
    sub = Authority("Sub CA", issuer=lab.ca)
    issued = sub.leaf(dns=[PEER])
    alone = type(issued)(issued.certificate, issued.key, ())
    away = Partner("away.example", pins=frozenset({_spki(issued)}))
    lists = lab.path(lab.ca.revoke() + sub.revoke(*((issued,) if revoked else ())))
    tls = lab.tls(partners=(away,), crl=[str(lists)])
    if revoked:
        with pytest.raises(TlsError, match="revoked"):
            lab.accept(Stranger(alone), tls=tls)
    else:
        assert set(lab.accept(Stranger(alone), tls=tls).examined.partners) == {"away.example"}


def test_revoked_is_refused(lab):
    good, revoked = lab.ca.leaf(dns=[PEER]), lab.ca.leaf(dns=[PEER])
    tls = lab.tls(crl=[str(lab.path(lab.ca.revoke(revoked)))])
    assert lab.accept(Stranger(good), tls=tls).established
    peer = Stranger(revoked)
    with pytest.raises(TlsError, match="revoked") as refusal:
        lab.accept(peer, tls=tls)
    assert refusal.value.fault is CertificateFault.REVOKED
    assert "certificate revoked" in peer.error


def test_a_list_that_has_expired_still_revokes_and_says_nothing_else(lab):
    good, revoked = lab.ca.leaf(dns=[PEER]), lab.ca.leaf(dns=[PEER])
    crl = lab.ca.revoke(revoked, next_update=lab.ca.now + timedelta(hours=1))
    tls = lab.tls(crl=[str(lab.path(crl))])
    assert lab.accept(Stranger(good), tls=tls).established
    with pytest.raises(TlsError, match="revoked"):
        lab.accept(Stranger(revoked), tls=tls)


# ---------------------------------------------------------------- whom a certificate proves


def test_c02_the_certificate_of_another_partner_proves_nothing(lab):
    peer = Stranger(lab.ca.leaf(dns=["sip.other.example"]), server=True)
    with pytest.raises(
        TlsError, match=r"it names sip\.other\.example, and .* was wanted"
    ) as refusal:
        lab.connect(peer, AWAY)
    assert refusal.value.fault is CertificateFault.NO_NAME


def test_the_authority_of_one_partner_vouches_for_no_other(lab, tmp_path):
    own = Authority("Away's CA")
    path = own.write(tmp_path, "away-ca")
    away = Partner("away.example", names=frozenset({PEER.encode()}), ca=(path,))
    other = Partner("other.example", names=frozenset({b"sip.other.example"}))
    tls = lab.tls(partners=(away, other))
    session = lab.accept(Stranger(own.leaf(dns=[PEER])), tls=tls)
    assert not session.examined.general
    assert set(session.examined.partners) == {"away.example"}
    with pytest.raises(TlsError, match="was wanted"):
        lab.accept(Stranger(own.leaf(dns=["sip.other.example"])), tls=tls)
    # And what [trust] vouches for is not this partner, whatever it is called.
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    assert session.examined.general
    assert session.examined.partners == {}
    with pytest.raises(TlsError):
        lab.connect(Stranger(lab.ca.leaf(dns=[PEER]), server=True), away, tls=tls)


def test_a_discovered_partner_with_an_authority_of_its_own_is_named_later(lab, tmp_path):
    own = Authority("Found's CA")
    path = own.write(tmp_path, "found-ca")
    found = Partner(
        "found.example (discovered)",
        b"found.example",
        profiles=("rfc5922", "ms-suffix"),
        ca=(path,),
        discovered=True,
    )
    tls = lab.tls(partners=(found,))
    # What it has to name is in the DNS, which nobody has asked yet.
    examined = lab.accept(Stranger(own.leaf(dns=["sip.found.example"])), tls=tls).examined
    assert (examined.general, dict(examined.partners)) == (False, {})
    assert examined.vouched == {found.name}
    asked = replace(found, srv_targets=frozenset({b"sip.found.example"}))
    assert proof_of(examined, asked).profile == "ms-suffix"
    other = replace(asked, name="other.example (discovered)", domain=b"other.example")
    assert proof_of(examined, other) is None
    # [trust] vouches for others, not for this one.
    examined = lab.accept(Stranger(lab.ca.leaf(dns=["found.example"])), tls=tls).examined
    assert examined.general
    assert examined.vouched == set()
    assert proof_of(examined, asked) is None
    with pytest.raises(TlsError):
        lab.accept(Stranger(own.leaf(ips=["192.0.2.1"])), tls=tls)


def test_a_wildcard_passes_the_handshake_only_where_some_partner_takes_it(lab):
    star = lab.ca.leaf(dns=["*.found.example"])
    with pytest.raises(TlsError, match="names no domain"):
        lab.accept(Stranger(star))
    found = Partner("found.example (discovered)", b"found.example", discovered=True)
    lax = replace(found, profiles=("ms-suffix",), allow_wildcard=True)
    examined = lab.accept(Stranger(star), tls=lab.tls(partners=(lax,))).examined
    assert proof_of(examined, lax) is None
    asked = replace(lax, srv_targets=frozenset({b"sip.found.example"}))
    assert "wildcard" in proof_of(examined, asked).weakness
    assert proof_of(examined, replace(asked, allow_wildcard=False)) is None


def test_a_discovered_partner_is_connected_to_by_what_the_dns_says_now(lab):
    found = Partner(
        "found.example (discovered)",
        b"found.example",
        profiles=("rfc5922", "ms-suffix"),
        srv_targets=frozenset({b"old.found.example"}),
        discovered=True,
    )
    issued = lab.ca.leaf(dns=["new.found.example"])
    tls = lab.tls()
    with pytest.raises(TlsError, match=r"wanted was found\.example, or old\.found\.example"):
        lab.connect(Stranger(issued, server=True), found, tls=tls)
    moved = replace(found, srv_targets=frozenset({b"new.found.example"}))
    assert moved.key == found.key
    session = lab.connect(Stranger(issued, server=True), moved, tls=tls)
    assert session.examined.partners[found.name].profile == "ms-suffix"


def test_a_pinned_key_needs_no_authority(lab):
    issued = lab.ca.leaf(dns=[PEER], self_signed=True)
    spki = _spki(issued)
    away = Partner("away.example", names=frozenset({b"else.example"}), pins=frozenset({spki}))
    tls = lab.tls(partners=(away,))
    session = lab.accept(Stranger(issued), tls=tls)
    assert set(session.examined.partners) == {"away.example"}
    assert not session.examined.general
    assert lab.connect(Stranger(issued, server=True), away, tls=tls).established
    with pytest.raises(TlsError):
        lab.accept(Stranger(lab.ca.leaf(dns=[PEER], self_signed=True)), tls=tls)
    with pytest.raises(TlsError, match="none of the pinned ones"):
        lab.connect(Stranger(lab.ca.leaf(dns=["else.example"]), server=True), away, tls=tls)


def test_a_pinned_key_must_still_be_valid(lab):
    day = timedelta(days=1)
    issued = lab.ca.leaf(
        dns=[PEER], self_signed=True, not_before=lab.ca.now - 9 * day, not_after=lab.ca.now - day
    )
    away = Partner("away.example", pins=frozenset({_spki(issued)}))
    with pytest.raises(TlsError, match="expired"):
        lab.accept(Stranger(issued), tls=lab.tls(partners=(away,)))


def test_a_leaf_may_itself_be_what_a_partner_is_trusted_by(lab, tmp_path):
    issued = lab.ca.leaf(dns=[PEER], self_signed=True)
    path, _ = issued.write(tmp_path, "away")
    away = Partner("away.example", names=frozenset({PEER.encode()}), ca=(path,))
    tls = lab.tls(partners=(away,))
    assert set(lab.accept(Stranger(issued), tls=tls).examined.partners) == {"away.example"}


def test_verify_off_takes_any_certificate_and_knows_nobody(lab):
    away = Partner("away.example", names=frozenset({PEER.encode()}), verify=False, mutual=False)
    session = lab.connect(Stranger(bad(lab, "self-signed"), server=True), away)
    assert session.examined is None


def test_our_certificate_is_shown_to_mutual_partners_only(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]), server=True)
    lab.connect(peer, AWAY)
    assert peer.connection.get_peer_certificate(as_cryptography=True) is not None
    peer = Stranger(lab.ca.leaf(dns=[PEER]), server=True)
    lab.connect(peer, Partner("away.example", names=AWAY.names, mutual=False))
    assert peer.connection.get_peer_certificate(as_cryptography=True) is None


def test_a_partner_may_be_shown_another_certificate(lab):
    tls = lab.tls(lab.ca.leaf(dns=["one.example"]), lab.ca.leaf(dns=["two.example"]))
    partner = Partner("away.example", names=AWAY.names, certificate="own1")
    peer = Stranger(lab.ca.leaf(dns=[PEER]), server=True)
    lab.connect(peer, partner, tls=tls)
    shown = peer.connection.get_peer_certificate(as_cryptography=True)
    assert shown == tls.certificates.own("own1").certificate


def test_an_interface_may_show_another_certificate_when_it_connects(lab):
    tls = lab.tls(lab.ca.leaf(dns=["one.example"]), lab.ca.leaf(dns=["two.example"]))
    peer = Stranger(lab.ca.leaf(dns=[PEER]), server=True)
    interface = lab.interface(tls, client_certificate="own1")
    shake(tls.connecting(interface, AWAY, "192.0.2.1:5061", PEER), peer)
    shown = peer.connection.get_peer_certificate(as_cryptography=True)
    assert shown == tls.certificates.own("own1").certificate


# ---------------------------------------------------------------- SNI


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("one.example", 0),
        ("two.example", 1),
        ("TWO.example", 1),
        ("sip.three.example", 2),
        ("a.sip.three.example", 0),
        ("nobody.example", 0),
        ("", 0),
    ],
)
def test_the_certificate_is_chosen_by_the_name_asked_for(lab, asked, shown):
    tls = lab.tls(
        *(lab.ca.leaf(dns=[n]) for n in ("one.example", "two.example", "*.three.example"))
    )
    peer = Stranger(lab.ca.leaf(dns=[PEER]), name=asked)
    session = lab.accept(peer, tls=tls)
    got = peer.connection.get_peer_certificate(as_cryptography=True)
    assert got == tls.certificates.own(f"own{shown}").certificate
    assert session.examined is not None


def test_a_certificate_with_a_sip_uri_is_still_chosen_by_its_dns_names(lab):
    """RFC 5922 says whom it proves; what a client calls the server by is a DNS name."""
    tls = lab.tls(
        lab.ca.leaf(dns=["one.example"]),
        lab.ca.leaf(dns=["sip.two.example", "*.two.example"], uris=["sip:two.example"]),
    )
    for asked in ("sip.two.example", "two.example", "x.two.example"):
        peer = Stranger(lab.ca.leaf(dns=[PEER]), name=asked)
        lab.accept(peer, tls=tls)
        got = peer.connection.get_peer_certificate(as_cryptography=True)
        assert got == tls.certificates.own("own1").certificate, asked


@pytest.mark.parametrize(
    ("partner", "host", "asked"),
    [
        (AWAY, "192.0.2.1", "away.example"),
        (AWAY, PEER, PEER),
        (Partner("a", names=AWAY.names, sni="front.example"), PEER, "front.example"),
        (Partner("a", names=AWAY.names), "192.0.2.1", ""),
        (Partner("a", b"192.0.2.1", AWAY.names), "192.0.2.1", ""),
    ],
)
def test_the_name_that_we_ask_for(lab, partner, host, asked):
    peer = Stranger(lab.ca.leaf(dns=[PEER]), server=True)
    lab.connect(peer, partner, host=host)
    assert (peer.connection.get_servername() or b"").decode() == asked


# ---------------------------------------------------------------- SEC-14


def test_sec14_tls_1_1_is_refused(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]), versions=(SSL.TLS1_1_VERSION, SSL.TLS1_1_VERSION))
    with pytest.raises(TlsError, match="no version of TLS that is allowed"):
        lab.accept(peer)


def test_sec14_min_tls_1_3_refuses_1_2(lab):
    def peer():
        return Stranger(lab.ca.leaf(dns=[PEER]), versions=(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION))

    assert lab.accept(peer()).version == "TLSv1.2"
    with pytest.raises(TlsError, match="no version of TLS that is allowed"):
        lab.accept(peer(), tls=lab.tls(min_tls="1.3"))


def test_sec14_renegotiation_is_refused(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]), versions=(SSL.TLS1_2_VERSION, SSL.TLS1_2_VERSION))
    session = lab.accept(peer)
    assert peer.connection.renegotiate()
    asked = peer.take(b"")
    assert session.receive(asked) == b""
    peer.take(session.encrypt(b"still here"))
    assert "no renegotiation" in peer.error
    assert session._connection.total_renegotiations() == 0


@pytest.mark.parametrize("change", ["nothing", "expired", "revoked"])
def test_a_resumed_session_is_examined_like_a_new_one(lab, change, monkeypatch):
    sub = Authority("Sub CA", issuer=lab.ca)
    issued = sub.leaf(dns=[PEER], not_after=lab.ca.now + timedelta(days=2))
    crl = lab.path(sub.revoke())
    tls = lab.tls(crl=[str(crl)])
    context = SSL.Context(SSL.TLS_METHOD)
    context.use_certificate(issued.certificate)
    context.use_privatekey(issued.key)
    context.add_extra_chain_cert(sub.certificate)
    first = Stranger(issued)
    first.connection = SSL.Connection(context, None)
    first.connection.set_connect_state()
    session = lab.accept(first, tls=tls)
    first.take(session.encrypt(b"hello"))
    assert first.clear == b"hello"
    again = Stranger(issued)
    again.connection = SSL.Connection(context, None)
    again.connection.set_connect_state()
    again.connection.set_session(first.connection.get_session())
    seen = []
    original = tls.examiner.examine
    monkeypatch.setattr(
        tls.examiner,
        "examine",
        lambda leaf, others, **kw: seen.append(len(others)) or original(leaf, others, **kw),
    )
    if change == "expired":
        lab.now += 3 * 86400
    if change == "revoked":
        crl.write_bytes(sub.revoke(issued))
        lab.now += 61
        # The context, and with it the ticket's key, stays for this test: only the list is new.
        generation = tls.certificates.generation
        assert tls.certificates.look()
        tls._contexts._generation = generation + 1
    if change == "nothing":
        assert lab.accept(again, tls=tls).examined.general
    else:
        with pytest.raises(TlsError, match=change):
            lab.accept(again, tls=tls)
    assert seen in ([0], [1]), "a resumed session has no chain, and is examined all the same"


# ---------------------------------------------------------------- a proof that ends


def test_nobody_is_doubted_while_nothing_has_changed(lab):
    tls = lab.tls()
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    assert session.doubt() is None
    assert lab.accept(Stranger(), tls=tls, protocol="tls").doubt() is None


def test_a_certificate_that_expires_ends_its_connection(lab):
    tls = lab.tls()
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    lab.now += 88 * 86400
    assert session.doubt() is None
    lab.now += 3 * 86400
    assert "expired on" in session.doubt()


def test_a_certificate_that_is_revoked_ends_its_connection(lab):
    crl = lab.path(lab.ca.revoke())
    tls = lab.tls(crl=[str(crl)], partners=(AWAY,))
    issued = lab.ca.leaf(dns=[PEER])
    inward = lab.accept(Stranger(issued), tls=tls)
    outward = lab.connect(Stranger(issued, server=True), AWAY, tls=tls)
    other = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    crl.write_bytes(lab.ca.revoke(issued))
    assert tls.certificates.look()
    assert "has revoked it" in inward.doubt()
    assert outward.doubt().startswith("away.example at 192.0.2.1:5061: its certificate")
    assert other.doubt() is None


def test_an_authority_that_is_taken_away_ends_what_it_proved(lab, tmp_path):
    """[trust] still vouches for the certificate; that it is this partner nobody says any more."""
    other = Authority("Another CA")
    path = lab.ca.write(tmp_path, "away-ca")
    away = Partner("away.example", names=frozenset({PEER.encode()}), ca=(path,))
    tls = lab.tls(partners=(away,))
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    assert session.examined.proven == {"away.example"}
    other.write(tmp_path, "away-ca")
    assert tls.certificates.look()
    assert "proves another peer" in session.doubt()


def test_a_new_certificate_of_ours_is_no_reason_to_doubt(lab):
    tls = lab.tls()
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    before = tls.certificates.trust_generation
    renewed = lab.ca.leaf(dns=["own.example"])
    [state] = tls.certificates.states()
    state.files[0].write_bytes(renewed.cert_pem)
    state.files[1].write_bytes(renewed.key_pem)
    assert tls.certificates.look()
    assert tls.certificates.trust_generation == before
    assert session.doubt() is None


# ---------------------------------------------------------------- messages


def test_messages_pass_both_ways_and_records_are_joined(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]))
    session = lab.accept(peer)
    large = bytes(range(256)) * 400
    peer.take(session.encrypt(large))
    assert peer.clear == large
    assert (
        session.receive(peer.say(b"one") + peer.say(b"two") + peer.say(b"three")) == b"onetwothree"
    )


def test_bytes_may_come_one_by_one(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]))
    session = lab.accept(peer)
    clear = b"".join(session.receive(bytes([byte])) for byte in peer.say(b"in pieces"))
    assert clear == b"in pieces"


def test_goodbyes(lab):
    peer = Stranger(lab.ca.leaf(dns=[PEER]))
    session = lab.accept(peer)
    peer.connection.shutdown()
    assert session.receive(peer.drain()) == b""
    assert session.ended
    peer = Stranger(lab.ca.leaf(dns=[PEER]))
    session = lab.accept(peer)
    peer.take(session.end())
    assert peer.error == "closed"


def test_garbage_in_a_connection_is_a_failure_in_words(lab):
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])))
    with pytest.raises(TlsError, match=r"192\.0\.2\.1: "):
        session.receive(b"\x17\x03\x03\x00\x20" + bytes(32))


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "clear text"),
        (b"OPTIONS sip:a.example SIP/2.0\r\n\r\n", "clear text"),
    ],
)
def test_what_is_no_tls_is_told_so(lab, sent, words):
    tls = lab.tls()
    session = tls.accepting(lab.interface(tls), "192.0.2.1")
    with pytest.raises(TlsError, match=words):
        session.handshake(sent)


def test_a_peer_that_goes_in_the_handshake_is_told_with_our_certificate(lab):
    tls = lab.tls()
    session = tls.accepting(lab.interface(tls), "192.0.2.1")
    with pytest.raises(TlsError, match=r"closed the connection .*ours: subject CN=own\.example"):
        session.cut_off()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (40, "found no common ground"),
        (42, "does not accept our certificate"),
        (43, "does not accept the extended key usage of our certificate"),
        (44, "to it our certificate is revoked"),
        (45, "to it our certificate has expired"),
        (46, "its log says why"),
        (48, "trust the authority that issued ours"),
        (49, "does not want us"),
        (51, "a signature did not verify"),
        (70, "speaks no version of TLS"),
        (71, "stronger ciphers"),
        (80, "failed by itself"),
        (112, "set the partner's sni"),
        (116, "wants a certificate"),
    ],
)
def test_every_alert_has_its_sentence(lab, number, words):
    """As OpenSSL reports what came over the wire, in whatever words its version has for it."""
    tls = lab.tls(partners=(AWAY,))
    session = tls.connecting(lab.interface(tls), AWAY, "192.0.2.1:5061", PEER)
    session.handshake()
    with pytest.raises(TlsError, match="refused us with the alert") as refusal:
        session.handshake(b"\x15\x03\x03\x00\x02\x02" + bytes([number]))
    assert words in refusal.value.remedy


def test_the_alert_of_a_peer_is_told_with_our_certificate(lab):
    """A real refusal: its OpenSSL does not know our authority."""
    server = Stranger(lab.ca.leaf(dns=[PEER]), server=True, strict=True)
    tls = lab.tls(partners=(AWAY,))
    session = tls.connecting(lab.interface(tls), AWAY, "192.0.2.1:5061", PEER)
    alert = shake(session, server)
    with pytest.raises(TlsError) as refusal:
        session.receive(alert)
    text = str(refusal.value)
    assert "refused us with the alert 'unknown ca' (ours: subject CN=own.example" in text
    assert "trust the authority that issued ours" in text


def test_a_closed_session_frees_its_memory_at_once(lab):
    tls = lab.tls()
    session = lab.accept(Stranger(lab.ca.leaf(dns=[PEER])), tls=tls)
    connection = weakref.ref(session._connection)
    gc.disable()
    try:
        session.end()
        del session
        assert connection() is None
    finally:
        gc.enable()


def _spki(issued):
    from sipx.identity import certificate_facts

    return certificate_facts(issued.certificate).spki
