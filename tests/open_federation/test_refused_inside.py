"""Requests from other domains that are refused: each with its code and its sentence.

docs/trust.md, table "Incoming", rows 1, 2, 5 to 9 and 25. Somebody with a certificate writes to
ada@home.example; where it says nothing else, in the name of bob@away.example.
"""

from __future__ import annotations

import ssl
from datetime import timedelta

import pytest
import trio

from .lab import ADA, AWAY, BOB, EVIL, HOME, OTHER, SERVICE, authority, why

NOT_GOOD = "the certificate of the peer is not good for the From domain"
NO_SRV = "the From domain has no SRV record for federation"
BLOCKED = "the From domain is blocked"
DNS_FAILED = "DNS did not answer, so the From domain cannot be proven now"


async def refused(lab, agent, code, row, *sentences, to=ADA, sender=BOB, names=(), explain=True):
    """The request is answered by the proxy with these words, and explained by this row."""
    response = await agent.message(to, "hello", sender=sender)
    said = why(response)
    assert response.status == code, said
    for sentence in sentences:
        assert sentence in said
    assert not lab.ada.received
    if explain:
        told = await lab.explain_from(sender, *names, source=agent.place[0], to=to)
        [arrival] = told.arrivals
        assert (arrival.status, arrival.row) == (code, row)
        assert sentences[0] in arrival.why
    return said


# ---------------------------------------------------------------- no SIP at all

# What the log says, and the alert. Names are judged when OpenSSL has shaken hands already, so that
# the connection is closed without one.
BAD = {
    "unknown CA": (
        {"issuer": authority("Unknown CA")},
        "its issuer CN=Unknown CA is not trusted here",
        "UNKNOWN_CA",
    ),
    "expired": (
        {
            "not_before": authority().now - timedelta(days=90),
            "not_after": authority().now - timedelta(days=1),
        },
        "it expired on",
        "CERTIFICATE_EXPIRED",
    ),
    "not valid yet": (
        {"not_before": authority().now + timedelta(days=30)},
        "compare the clocks of both machines",
        "BAD_CERTIFICATE",
    ),
    "wildcard": ({"names": ["*.away.example"]}, "it names no domain", ""),
    "for another use": (
        {"eku": ["1.3.6.1.5.5.7.3.3"]},
        "its extended key usage is",
        "UNSUPPORTED_CERTIFICATE",
    ),
    "an address": (
        {"names": [], "ips": ["127.0.0.9"], "cn": "x"},
        "it names no domain",
        "",
    ),
    "a user": (
        {"names": [], "uris": ["sip:bob@away.example"], "cn": "x"},
        "it names no domain",
        "",
    ),
    "only a common name": ({"cn": AWAY, "san": False}, "it names no domain", ""),
}


@pytest.mark.parametrize("case", BAD)
async def test_row_2_a_bad_certificate_ends_in_the_handshake(lab, case):
    settings, sentence, alert = BAD[case]
    settings = dict(settings)
    names = settings.pop("names", [f"sip.{AWAY}"])
    issued = settings.pop("issuer", lab.ca).leaf(dns=names, **settings)
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run()
    ended = await lab.knock(issued.write(lab.directory, "bad"))
    assert alert in ended
    assert bool(alert) == bool(ended)
    told = lab.trouble("interface", "federation")
    assert sentence in told
    assert "[row 2]" in told
    assert lab.asked(AWAY) == 0
    explained = await lab.explain_from(BOB, chain=(issued.certificate,))
    [arrival] = explained.arrivals
    assert (arrival.status, arrival.row) == (403, 2)
    assert "the handshake fails, there is no SIP" in arrival.why
    assert sentence in arrival.why


async def test_row_2_a_revoked_certificate_ends_in_the_handshake(lab):
    issued = lab.ca.leaf(dns=[f"sip.{AWAY}"])
    crl = lab.directory / "ca.crl"
    crl.write_bytes(lab.ca.revoke(issued))
    await lab.run(trust={"crl": [str(crl)]})
    assert "REVOKED" in await lab.knock(issued.write(lab.directory, "revoked"))
    assert "[row 2]" in lab.trouble("interface", "federation")


async def test_row_1_without_a_certificate_the_handshake_fails(lab):
    await lab.run()
    assert await lab.knock()
    told = lab.trouble("interface", "federation")
    assert "it showed no certificate, and mtls demands one" in told
    assert "[row 1]" in told
    explained = await lab.explain(
        ADA, source=("127.0.0.9", 1), from_uri=BOB, interface="federation"
    )
    assert explained.arrivals[0].row == 1


async def test_tls_that_is_too_old_ends_in_the_handshake(lab):
    await lab.run(trust={"min_tls": "1.3"})
    old = {"maximum_version": ssl.TLSVersion.TLSv1_2}
    assert "PROTOCOL_VERSION" in await lab.knock(lab.files(f"sip.{AWAY}"), **old)


# ---------------------------------------------------------------- rows 6 and 7

# What the certificate names, the SRV records of away.example, and whether the DNS is asked: names
# that cannot prove the domain whatever the DNS says cost no question (nobody has us ask at will).
NOT_PROVEN = {
    "another domain": (["sip.evil.example"], ["sip.away.example"], False),
    "the SRV target, which is outside the domain": (
        ["sip.evil.example"],
        ["sip.evil.example"],
        False,
    ),
    "a domain that ends alike": (["sip.faraway.example"], ["sip.faraway.example"], False),
    "the domain above": (["example"], ["sip.away.example"], False),
    "in the domain, but not the SRV target": (["mail.away.example"], ["sip.away.example"], True),
    "two labels below": (["sip.far.away.example"], ["sip.far.away.example"], None),
    "the SRV target of another domain": (["sip.other.example"], ["sip.other.example"], False),
}


@pytest.mark.parametrize("case", NOT_PROVEN)
async def test_row_6_a_certificate_that_is_not_good_for_the_from_domain(lab, case):
    names, targets, asked = NOT_PROVEN[case]
    for target in targets:
        lab.publish(AWAY, target, 5061, "127.0.0.9")
    await lab.run()
    agent = await lab.edge(AWAY, *names)
    said = await refused(lab, agent, 403, 6, NOT_GOOD, names=names, explain=False)
    assert names[0] in said
    if asked is not None:
        assert bool(lab.asked(AWAY)) == asked
    await refused(lab, agent, 403, 6, NOT_GOOD, names=names)


@pytest.mark.parametrize(
    "sender",
    [
        "tel:+49301234567",
        "sip:bob@127.0.0.9",
        "sip:bob@[::1]",
        "sip:127.0.0.9",
        "sip:bob@localhost",
        "sip:bob@example",
        "sip:bob@com",
        "sip:away.example@evil.example",
        f"sip:bob@sub.{AWAY}",
        f"sip:bob@{AWAY}.evil.example",
    ],
)
async def test_row_6_no_way_of_writing_a_sender_gets_around_the_proof(lab, sender):
    """SEC-02, SEC-21: what stands in From is one domain, and the certificate names another."""
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run()
    bob = await lab.edge()
    response = await bob.message(ADA, "hello", sender=sender)
    assert response.status in (400, 403), why(response)
    assert not lab.ada.received
    assert lab.asked(AWAY) == 0


@pytest.mark.parametrize(("providers", "code"), [([], 403), (["lync.com"], 200)])
async def test_row_6_a_hosting_provider_speaks_for_others_only_where_it_is_listed(
    lab, providers, code
):
    lab.publish(AWAY, "sipfed.online.lync.com", 5061, "127.0.0.9")
    lab.publish(OTHER, "sip.other.example", 5061, "127.0.0.9")
    await lab.run(providers=providers)
    host = await lab.edge(AWAY, "sipfed.online.lync.com")
    response = await host.message(ADA, "hello")
    assert response.status == code, why(response)
    # Never for a domain whose records do not name it.
    response = await host.message(ADA, "hello", sender=f"sip:x@{OTHER}")
    assert response.status == 403
    assert NOT_GOOD in why(response)


async def test_row_7_403_where_the_proof_needs_an_srv_record_and_there_is_none(lab):
    await lab.run()
    bob = await lab.edge()
    await refused(lab, bob, 403, 7, NO_SRV)


async def test_row_7_403_where_the_srv_record_says_that_there_is_no_service(lab):
    lab.record(f"{SERVICE}.{AWAY}. 60 IN SRV 0 0 0 .")
    await lab.run()
    bob = await lab.edge()
    await refused(lab, bob, 403, 7, NO_SRV)


@pytest.mark.parametrize("fault", ["fail", "silence"])
async def test_row_7_504_not_403_where_the_dns_does_not_answer(lab, fault):
    lab.patience = 0.5
    getattr(lab.dns, fault)(f"{SERVICE}.{AWAY}")
    await lab.run()
    bob = await lab.edge()
    await refused(lab, bob, 504, 7, DNS_FAILED)


async def test_a_certificate_for_the_domain_itself_needs_no_dns(lab):
    lab.dns.fail(f"{SERVICE}.{AWAY}")
    await lab.run()
    bob = await lab.edge(AWAY, AWAY)
    assert (await bob.message(ADA, "hello")).status == 200
    assert lab.dns.queries == []


# ---------------------------------------------------------------- row 8

BLOCKS = {
    "deny": {"deny": [AWAY]},
    "a pattern": {"deny": ["*.example"]},
    "its own table": {"partner": {AWAY: {"blocked": True}}},
}


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("how", BLOCKS)
async def test_row_8_403_from_a_blocked_domain_also_where_a_static_route_names_it(lab, how, routed):
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    route = {"server": f"sip.{AWAY}", "protocol": "mtls"}
    await lab.run(routes={AWAY: route} if routed else None, **BLOCKS[how])
    bob = await lab.edge()
    await refused(lab, bob, 403, 8, BLOCKED)
    assert lab.asked(AWAY) == 0


async def test_a_blocked_domain_is_not_reached_by_a_name_for_it(lab):
    """SEC-21: however it is spelt."""
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run(deny=[AWAY])
    bob = await lab.edge()
    for spelt in ("AWAY.example", "away.example.", "Away.Example."):
        await refused(lab, bob, 403, 8, BLOCKED, sender=f"sip:bob@{spelt}")
    for spelt in ("AWAY.example", "away.example.", "%61way.example"):
        response = await lab.ada.message(f"sip:bob@{spelt}", "hello")
        assert response.status in (400, 403), spelt


async def test_row_9_403_from_a_domain_that_is_not_allowed(lab):
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run(allow=[OTHER])
    bob = await lab.edge()
    await refused(lab, bob, 403, 9, f"{AWAY} is not in allow of [open-federation]")
    assert lab.asked(AWAY) == 0


# ---------------------------------------------------------------- rows 9 and 25, relaying


async def test_row_9_403_where_open_federation_is_off(lab):
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run(enabled=False)
    bob = await lab.edge()
    await refused(lab, bob, 403, 9, "no active static route matches this certificate", AWAY)
    assert lab.asked(AWAY) == 0


async def test_row_9_403_on_another_interface_than_that_of_open_federation(lab):
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    far = {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "own"}
    await lab.run(interface={"routes": far})
    bob = await lab.edge()
    bob.proxy = lab.proxy.place("routes")
    response = await bob.message(ADA, "hello")
    assert response.status == 403
    assert lab.asked(AWAY) == 0
    assert not lab.ada.received


@pytest.mark.parametrize("sender", [ADA, f"sip:ceo@{HOME}", f"sip:ada@{HOME.upper()}."])
@pytest.mark.parametrize("names", [[f"sip.{AWAY}"], [f"sip.{HOME}"], [HOME]])
async def test_row_25_our_own_domain_never_comes_from_outside(lab, names, sender):
    """SEC-02: not even from somebody whose certificate names our domain."""
    lab.publish(HOME, f"sip.{HOME}", 5061, "127.0.0.9")
    await lab.run()
    evil = await lab.edge(HOME, *names)
    await refused(lab, evil, 403, 25, "may not use our own domain", sender=sender, names=names)
    assert lab.asked(HOME) == 0


@pytest.mark.parametrize(
    "to", [f"sip:x@{OTHER}", BOB, f"sip:x@{EVIL}", "sip:x@127.0.0.9", f"sip:x@sub.{HOME}"]
)
async def test_sec01_outside_to_outside_is_403(lab, to):
    other = await lab.published(OTHER)
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.99")
    await lab.run()
    bob = await lab.edge()
    for method in ("MESSAGE", "SUBSCRIBE", "OPTIONS"):
        response = await bob.request(method, to)
        assert response.status == 403, method
        assert "relaying denied" in why(response)
    await refused(lab, bob, 403, 5, "relaying denied", to=to)
    assert not other.received
    assert lab.asked(OTHER) == lab.asked(EVIL) == 0


async def test_sec01_a_route_header_is_no_way_out(lab):
    """To our user, but by way of somebody else's host: with and without a cookie of ours."""
    other = await lab.published(OTHER)
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    await lab.run()
    bob = await lab.edge()
    host, port = lab.proxy.place("federation")
    away = f"<sip:{other.place[0]}:{other.place[1]};transport=tls;lr>"
    ours = f"<sip:{host}:{port};transport=tls;lr>"
    forged = f"<sip:sipx-AAAA@{host}:{port};transport=tls;lr>"
    wire = await bob.carrier.wire_to((host, port))
    for number, routes in enumerate(([away], [ours, away], [forged, away]), 1):
        request = bob.new("MESSAGE", ADA, headers=[(b"Route", r.encode()) for r in routes])
        _, via = bob._new_via()
        wire.send(b"\r\n".join([request.start, via, *request.lines, b"", request.body]))
        with trio.fail_after(10):
            while bob.received["403"] < number:
                await trio.sleep(0.01)
    assert not other.received
    assert not lab.ada.received
