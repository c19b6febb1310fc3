"""Requests to other domains that are refused: each with its code and its sentence.

docs/trust.md, table "Outgoing", rows 3, 8, 10 and 11: a UC server of ours writes to another domain.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from sipx.testing import TcpCarrier, UserAgent

from .lab import AWAY, BOB, HOME, LOOPBACK, OTHER, SERVICE, authority, why

PUBLISHES_NOTHING = "no route to domain: it publishes no federation service"
NOT_GOOD = "is not good"


async def refused(lab, code, *sentences, uri=BOB):
    """The request is answered by the proxy, with these words."""
    response = await lab.ada.message(uri, "hello")
    said = why(response)
    assert response.status == code, said
    for sentence in sentences:
        assert sentence in said
    return said


# ---------------------------------------------------------------- certificates

LATER = {"not_before": authority().now + timedelta(days=30)}
EXPIRED = {
    "not_before": authority().now - timedelta(days=90),
    "not_after": authority().now - timedelta(days=1),
}
CERTIFICATES = {
    "another domain": (
        {"names": ["sip.other.example"], "target": "sip.away.example"},
        ["it names sip.other.example", "wanted was away.example, or sip.away.example"],
    ),
    "SRV target outside the domain": (
        {"names": ["sip.other.example"], "target": "edge.other.example"},
        ["it names sip.other.example", "wanted was away.example, or a host directly below it"],
    ),
    "good for the SRV target, which is not in the domain": (
        {"names": ["sip.other.example"], "target": "sip.other.example"},
        ["the SRV record names sip.other.example too, but that is neither away.example nor"],
    ),
    "SRV target two labels below the domain": (
        {"names": ["sip.far.away.example"], "target": "sip.far.away.example"},
        ["nor directly below it"],
    ),
    "a domain that only ends alike": (
        {"names": ["sip.faraway.example"], "target": "sip.faraway.example"},
        ["that is neither away.example nor directly below it"],
    ),
    "in the domain, but not the SRV target": (
        {"names": ["mail.away.example"], "target": "sip.away.example"},
        ["it names mail.away.example", "wanted was away.example, or sip.away.example"],
    ),
    "unknown CA": (
        {"issuer": authority("Unknown CA")},
        ["its issuer CN=Unknown CA is not trusted here", "trust.extra_ca"],
    ),
    "expired": (EXPIRED, ["it expired on", "its owner has to renew it"]),
    "not valid yet": (LATER, ["it is not valid yet", "compare the clocks"]),
    "wildcard": (
        {"names": ["*.away.example"], "target": "sip.away.example"},
        ["*.away.example is a wildcard", "RFC 5922 section 7.2"],
    ),
    "for another use": ({"eku": ["1.3.6.1.5.5.7.3.3"]}, ["its extended key usage"]),
    "a sip URI takes the place of DNS names": (
        {"names": ["sip.away.example"], "uris": ["sip:other.example"]},
        ["it names other.example"],
    ),
    "only a common name": (
        {"cn": AWAY, "san": False, "target": "sip.away.example"},
        ["it has only the common name away.example"],
    ),
}


@pytest.mark.parametrize("case", CERTIFICATES)
async def test_502_with_what_is_wrong_with_the_certificate(lab, case):
    settings, sentences = CERTIFICATES[case]
    settings = dict(settings)
    bob = await lab.published(AWAY, *settings.pop("names", ()), **settings)
    await lab.run()
    said = await refused(lab, 502, f"{AWAY} (discovered) at {bob.place[0]}", *sentences)
    assert not bob.received
    assert lab.trouble("partner", f"{AWAY} (discovered)") in said
    assert (await lab.explain()).row == 8


async def test_a_certificate_for_the_domain_is_good_wherever_the_srv_record_leads(lab):
    """RFC 5922: then it is the domain itself that is proven, not the name of a host."""
    bob = await lab.published(AWAY, AWAY, target="edge.other.example")
    await lab.run()
    assert (await lab.ada.message(BOB, "hello")).status == 200
    assert bob.received["MESSAGE"] == 1


async def test_a_revoked_certificate_is_502(lab):
    issued = lab.ca.leaf(dns=["sip.away.example"])
    crl = lab.directory / "ca.crl"
    crl.write_bytes(lab.ca.revoke(issued))
    await lab.published(certs=issued.write(lab.directory, "revoked"))
    await lab.run(trust={"crl": [str(crl)]})
    await refused(lab, 502, "revoked")


async def test_who_asks_for_no_certificate_of_ours_gets_no_request_over_anything_else(lab):
    """The server that DNS names speaks plain TCP: no TLS, no request."""
    plain = UserAgent(BOB, TcpCarrier("127.0.0.9"))
    await lab.nursery.start(plain.serve)
    lab.publish(AWAY, "sip.away.example", plain.place[1], "127.0.0.9")
    await lab.run(extra={"limits": {"connect_timeout": 1}})
    response = await lab.ada.message(BOB, "hello")
    assert response.status in (502, 504)
    assert not plain.received


@pytest.mark.parametrize(
    ("providers", "code"), [(["online.lync.com"], 200), (["lync.com.example"], 502), ([], 502)]
)
async def test_a_hosting_provider_is_one_only_where_the_operator_says_so(lab, providers, code):
    await lab.published(AWAY, "sipfed.online.lync.com")
    await lab.run(providers=providers)
    response = await lab.ada.message(BOB, "hello")
    assert response.status == code, why(response)
    if code != 200:
        assert "nor a known hosting provider's" in why(response)


async def test_what_a_partner_may_be_forgiven_is_said_in_its_own_table(lab):
    await lab.published(AWAY, "*.away.example", target="sip.away.example")
    await lab.run(partner={AWAY: {"allow_wildcard": True}})
    assert (await lab.ada.message(BOB, "hello")).status == 200


# ---------------------------------------------------------------- DNS


async def test_404_without_an_srv_record(lab):
    await lab.run()
    await refused(lab, 404, PUBLISHES_NOTHING)
    told = await lab.explain()
    assert (told.status, told.row) == (404, 8)
    [asked] = [answer for answer in told.dns if answer.name == f"{SERVICE}.{AWAY}"]
    assert "NXDOMAIN" in asked.text


async def test_404_where_the_srv_record_says_that_there_is_no_service(lab):
    lab.record(f"{SERVICE}.{AWAY}. 60 IN SRV 0 0 0 .")
    await lab.run()
    await refused(lab, 404, PUBLISHES_NOTHING, "the target '.'", "RFC 2782")
    assert (await lab.explain()).row == 8


async def test_404_where_the_srv_target_has_no_address(lab):
    lab.publish(AWAY, "sip.away.example")
    await lab.run()
    await refused(lab, 404, "sip.away.example")


@pytest.mark.parametrize("fault", ["fail", "silence"])
@pytest.mark.parametrize("name", [f"{SERVICE}.{AWAY}", "sip.away.example"])
async def test_504_not_404_where_the_dns_does_not_answer(lab, fault, name):
    """What cannot be known now is no "no": SERVFAIL and timeouts, of the record and its target."""
    lab.patience = 0.5
    await lab.published()
    getattr(lab.dns, fault)(name)
    await lab.run()
    said = await refused(lab, 504, name)
    assert "publishes no federation service" not in said
    told = await lab.explain()
    assert (told.status or told.targets[0].status, told.row) == (504, 8)
    lab.dns.heal(name)


async def test_a_name_server_that_answers_again_is_believed_again(lab):
    await lab.published()
    lab.dns.fail(f"{SERVICE}.{AWAY}")
    await lab.run()
    await refused(lab, 504)
    lab.dns.heal(f"{SERVICE}.{AWAY}")
    lab.proxy.kernel.resolver.flush()
    assert (await lab.ada.message(BOB, "hello")).status == 200


# ---------------------------------------------------------------- row 9

BOTH_PLUGINS = ("udp", "tcp", "tls", "static-routes", "open-federation", "rfc3263")


@pytest.mark.parametrize(
    ("names", "code"), [([AWAY], 200), ([f"sip.{AWAY}"], 502), ([f"*.{AWAY}"], 502)]
)
async def test_row_9_rfc_3263_wants_a_certificate_for_the_domain_itself(lab, names, code):
    bob = await lab.edge(AWAY, *names)
    host, port = bob.place
    lab.host(f"sip.{AWAY}", host)
    lab.record(f"_sips._tcp.{AWAY}. IN SRV 1 0 {port} sip.{AWAY}.")
    await lab.run(order=BOTH_PLUGINS, extra={"rfc3263": {}})
    response = await lab.ada.message(BOB, "hello")
    assert response.status == code, why(response)
    assert bob.received["MESSAGE"] == (code == 200)
    assert (await lab.explain()).row == 9


@pytest.mark.parametrize("record", ["none", "failing"])
async def test_row_9_is_no_way_around_what_row_8_says(lab, record):
    """The record "." is an answer, and name servers that fail say nothing about the domain."""
    bob = await lab.edge(AWAY, AWAY)
    lab.host(f"sip.{AWAY}", bob.place[0])
    lab.record(f"_sips._tcp.{AWAY}. IN SRV 1 0 {bob.place[1]} sip.{AWAY}.")
    if record == "failing":
        lab.dns.fail(f"{SERVICE}.{AWAY}")
    else:
        lab.record(f"{SERVICE}.{AWAY}. IN SRV 0 0 0 .")
    await lab.run(order=BOTH_PLUGINS, extra={"rfc3263": {}})
    await refused(lab, 504 if record == "failing" else 404)
    assert not bob.received


async def test_row_9_takes_nothing_but_tls(lab):
    plain = UserAgent(BOB, TcpCarrier("127.0.0.9"))
    await lab.nursery.start(plain.serve)
    lab.host(AWAY, "127.0.0.9")
    lab.record(f"_sip._tcp.{AWAY}. IN SRV 1 0 {plain.place[1]} {AWAY}.")
    await lab.run(order=BOTH_PLUGINS, extra={"rfc3263": {}})
    await refused(lab, 404, PUBLISHES_NOTHING)
    assert not plain.received


# ---------------------------------------------------------------- SEC-09


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.9", "127.0.0.9 is a loopback address"),
        ("10.1.2.3", "10.1.2.3 is a private address"),
        ("169.254.169.254", "the metadata service of a cloud"),
        ("224.0.0.1", "a multicast address"),
        ("100.64.0.1", "a shared address of a carrier's NAT"),
    ],
)
async def test_sec09_403_where_the_srv_target_leads_inside(lab, address, sentence):
    bob = await lab.edge(address="127.0.0.9")
    lab.publish(AWAY, "sip.away.example", bob.place[1], address)
    await lab.run(trust={"networks": []})
    said = await refused(lab, 403, sentence, "is not sent to")
    assert AWAY in said
    assert not bob.received
    told = await lab.explain()
    assert (told.status, told.row) == (403, 8)
    assert sentence in told.why


@pytest.mark.parametrize("address", ["::1", "::ffff:127.0.0.9", "fe80::1", "64:ff9b::a00:1"])
async def test_sec09_ipv6_is_no_way_around_it(lab, address):
    lab.publish(AWAY, "sip.away.example", 5061)
    lab.record(f"sip.away.example. 60 IN AAAA {address}")
    await lab.run(trust={"networks": []})
    await refused(lab, 403, "is not sent to")


async def test_sec09_a_good_address_beside_a_bad_one_is_used_alone(lab):
    bob = await lab.edge(address="127.0.0.9")
    lab.publish(AWAY, "sip.away.example", bob.place[1])
    lab.record("sip.away.example. 60 IN A 10.1.2.3")
    lab.record("sip.away.example. 60 IN A 127.0.0.9")
    await lab.run(trust={"networks": LOOPBACK})
    told = await lab.explain()
    assert [hop.address for hop in told.targets[0].hops] == ["127.0.0.9"]
    assert (await lab.ada.message(BOB, "hello")).status == 200


async def test_sec09_an_srv_target_that_is_an_address_leads_nowhere(lab):
    """An address in the place of a name would need no lookup, and no name to prove."""
    bob = await lab.edge()
    lab.publish(AWAY, bob.place[0], bob.place[1])
    await lab.run()
    response = await lab.ada.message(BOB, "hello")
    assert response.status in (404, 502), why(response)
    assert not bob.received["MESSAGE"]


async def test_sec09_a_name_that_is_bound_again_is_judged_again_when_connecting(lab):
    """DNS rebinding: a good address first, then one of our own network, with a TTL of nothing."""
    bob = await lab.edge(address="127.0.0.9")
    inside = UserAgent("sip:inside@10.example", TcpCarrier("127.1.0.1", bob.place[1]))
    await lab.nursery.start(inside.serve)
    lab.publish(AWAY, "sip.away.example", bob.place[1], "127.0.0.9", ttl=0)
    await lab.run(trust={"networks": ["127.0.0.0/24"]})
    assert (await lab.ada.message(BOB, "hello")).status == 200
    lab.host("sip.away.example", "127.1.0.1", ttl=0)
    lab.proxy.kernel.resolver.flush()
    for flow in lab.flows():
        flow.close("the attacker hangs up")
    await refused(lab, 403, "127.1.0.1 is a loopback address")
    assert not inside.received
    assert not inside.malformed


async def test_403_where_the_srv_record_names_a_port_that_is_not_allowed(lab):
    bob = await lab.published()
    await lab.run(ports=[5061])
    said = await refused(lab, 403, str(bob.place[1]))
    assert "port" in said
    assert not bob.received
    assert (await lab.explain()).row == 8


async def test_of_two_records_only_the_one_with_an_allowed_port_is_used(lab):
    bob = await lab.edge()
    sink = UserAgent("sip:x@y.example", TcpCarrier("127.0.0.9"))
    await lab.nursery.start(sink.serve)
    lab.publish(AWAY, "sip.away.example", sink.place[1], priority=1)
    lab.publish(AWAY, "sip.away.example", bob.place[1], bob.place[0], priority=2)
    await lab.run(ports=[bob.place[1]])
    assert (await lab.ada.message(BOB, "hello")).status == 200
    assert not sink.malformed


# ---------------------------------------------------------------- ourselves


async def test_482_where_the_srv_record_leads_to_this_proxy(lab):
    lab.publish(AWAY, f"sip.{AWAY}")
    await lab.run()
    host, port = lab.proxy.place("federation")
    lab.withdraw(AWAY)
    lab.publish(AWAY, f"sip.{AWAY}", port, host)
    said = await refused(lab, 482, "this proxy itself")
    assert AWAY in said
    told = await lab.explain()
    assert (told.status, told.row) == (482, 8)


async def test_482_also_where_only_the_last_of_several_targets_is_this_proxy(lab):
    """The first cannot be reached; nobody is asked to send the request to himself."""
    await lab.run()
    host, port = lab.proxy.place("federation")
    lab.publish(AWAY, "one.away.example", 1, "127.0.0.9", priority=1)
    lab.publish(AWAY, "two.away.example", port, host, priority=2)
    await refused(lab, 482)


# ---------------------------------------------------------------- what the operator says


BLOCKS = {
    "deny": {"deny": [AWAY]},
    "a pattern": {"deny": ["*.example"]},
    "its own table": {"partner": {AWAY: {"blocked": True}}},
}


@pytest.mark.parametrize("routed", [False, True])
@pytest.mark.parametrize("how", BLOCKS)
async def test_403_for_a_blocked_domain_also_where_a_static_route_leads_there(lab, how, routed):
    bob = await lab.published()
    lab.host("sip.away.example", bob.place[0])
    route = {"server": "sip.away.example", "port": bob.place[1], "protocol": "mtls"}
    block = BLOCKS[how]
    await lab.run(routes={AWAY: route} if routed else None, **block)
    await refused(lab, 403, "the domain is blocked")
    assert not bob.received
    assert lab.asked(AWAY) == 0
    told = await lab.explain()
    assert (told.status, told.row) == (403, 3)


async def test_403_for_a_domain_that_is_not_allowed(lab):
    bob = await lab.published()
    await lab.run(allow=["*.partner.example", OTHER])
    await refused(lab, 403, f"{AWAY} is not in allow of [open-federation]")
    assert not bob.received
    assert lab.asked(AWAY) == 0
    assert (await lab.explain()).row == 10


async def test_what_is_not_allowed_may_have_a_static_route(lab):
    bob = await lab.published()
    route = {"server": "sip.away.example", "port": bob.place[1], "protocol": "mtls"}
    await lab.run(allow=[OTHER], routes={AWAY: route})
    assert (await lab.ada.message(BOB, "hello")).status == 200


async def test_an_allowed_partner_need_not_be_in_allow(lab):
    await lab.published()
    await lab.run(allow=[], partner={AWAY: {"allowed": True}})
    assert (await lab.ada.message(BOB, "hello")).status == 200


async def test_403_where_open_federation_is_off(lab):
    bob = await lab.published()
    await lab.run(enabled=False)
    await refused(lab, 403, "federation off: no static route leads there")
    assert not bob.received
    assert lab.asked(AWAY) == 0
    assert (await lab.explain()).row == 10


@pytest.mark.parametrize("uri", ["sip:bob@127.0.0.9", "sip:bob@[::1]:5061", "sip:127.0.0.9:5061"])
async def test_403_for_an_ip_address_in_the_place_of_a_domain(lab, uri):
    await lab.run()
    await refused(lab, 403, "requests to an IP address", uri=uri)
    assert (await lab.explain(uri)).row == 11


async def test_our_own_domain_is_not_looked_for_in_the_dns(lab):
    evil = await lab.published(HOME, f"sip.{HOME}")
    uc = {"server": "127.0.0.3", "protocol": "udp", "trusted": True, "enabled": True}
    await lab.run(routes={HOME: {**uc, "port": 1}})
    await lab.ada.ask(lab.ada.new("MESSAGE", f"sip:nobody@{HOME}"))
    second = await lab.explain(f"sip:nobody@second.{HOME}")
    assert second.row == 8
    assert (await lab.explain(f"sip:nobody@{HOME}")).row == 1
    assert not evil.received
    assert lab.asked(HOME) == 0
