"""Row 8 of docs/trust.md, "Outgoing requests": what the DNS may say, and what becomes of it."""

from __future__ import annotations

import pytest
from sipx_open_federation.outgoing import MOST_SERVERS

from sipx.testing import Authority

from .conftest import said

A, B = "a.example", "b.example"
SRV = "_sipfederationtls._tcp.b.example."


@pytest.fixture
async def a(lab):
    return await lab.site(A)


async def refused(site, to, status, *sentences):
    """A message to ``to`` is refused so, with these words in its Warning."""
    response = await site.agent.message(f"sip:peer@{to}", "hello")
    assert response.status == status, said(response)
    for sentence in sentences:
        assert sentence in said(response)


async def test_no_record_is_404(a):
    await refused(a, "nowhere.example", 404, "it publishes no federation service")


async def test_the_target_dot_is_404(lab, a):
    lab.say(B, f"{SRV} 300 IN SRV 0 0 0 .")
    await refused(a, B, 404, "it publishes no federation service", "this service is not available")


@pytest.mark.parametrize("fault", ["fail", "silence"])
async def test_name_servers_that_fail_are_504_and_never_404(lab, a, fault):
    await lab.impatient(a)
    getattr(lab.dns, fault)("_sipfederationtls._tcp.b.example")
    await refused(a, B, 504, "DNS did not answer for the domain")


async def test_a_target_without_address_is_404(lab, a):
    lab.say(B, f"{SRV} 300 IN SRV 0 0 5061 sip.b.example.")
    await refused(a, B, 404, "its SRV record names sip.b.example port 5061", "no address")


async def test_a_target_whose_address_cannot_be_asked_for_is_504(lab, a):
    lab.say(B, f"{SRV} 300 IN SRV 0 0 5061 sip.b.example.")
    lab.dns.fail("sip.b.example")
    await refused(a, B, 504, "DNS did not answer for the domain")


async def test_a_port_that_is_not_permitted_is_403(lab):
    a = await lab.site(A, ports=[5061])
    lab.say(B, f"{SRV} 300 IN SRV 0 0 25 mail.b.example.\nmail.b.example. 300 IN A 127.0.0.9")
    await refused(a, B, 403, "port not permitted", "mail.b.example port 25, and ports = [5061]")


async def test_records_with_other_ports_are_passed_over(lab, caplog):
    b = await lab.site(B)
    a = await lab.site(A, partner={B: {"ports": [b.port]}})
    lab.publish(b, more=f"{SRV} 300 IN SRV 0 0 25 mail.b.example.")
    assert (await a.message(b)).status == 200
    [told] = [r.getMessage() for r in caplog.records if "not tried" in r.getMessage()]
    assert "mail.b.example port 25" in told


async def test_not_everything_that_is_named_is_tried(lab, a):
    names = [f"sip{number}.b.example" for number in range(20)]
    records = [f"{SRV} 300 IN SRV {n} 0 5061 {name}." for n, name in enumerate(names)]
    addresses = [f"{name}. 300 IN A 127.0.0.9" for name in names]
    lab.say(B, "\n".join(records + addresses))
    found = await a.plugin.discovery.discover(B.encode())
    [[target]] = found.targets.groups
    assert [hop.host for hop in target.hops] == names[:MOST_SERVERS]
    assert len(target.partner.srv_targets) == 20
    assert lab.dns.count(names[-1]) == 0


async def test_a_target_in_a_private_network_is_403(lab, a):
    lab.say(B, f"{SRV} 300 IN SRV 0 0 5061 sip.b.example.\nsip.b.example. 300 IN A 10.1.2.3")
    await refused(a, B, 403, "10.1.2.3 is a private address")


async def test_a_record_that_leads_back_is_482(lab, a):
    lab.say(B, f"{SRV} 300 IN SRV 0 0 {a.port} x.b.example.\nx.b.example. 300 IN A {a.bind}")
    await refused(a, B, 482, "is this proxy itself")


async def test_an_alias_is_followed_with_one_warning_for_each_name(lab, a, caplog):
    b = await lab.site(B)
    cname = f"sip.b.example. 300 IN CNAME edge.b.example.\nedge.b.example. 300 IN A {b.bind}"
    lab.publish(b, address="", more=cname)
    for _ in range(2):
        assert (await a.message(b)).status == 200
        lab.forget()
    aliases = [r.getMessage() for r in caplog.records if "alias (CNAME)" in r.getMessage()]
    assert aliases == [
        "sip.b.example, which the SRV record of b.example names, is an alias (CNAME) of "
        "edge.b.example: RFC 2782 forbids that, and others may not follow it; they should publish "
        "an SRV record for the host itself"
    ]


async def test_a_service_that_is_an_alias_is_followed_with_a_warning(lab, a, caplog):
    b = await lab.site(B)
    other = "_sipfederationtls._tcp.hosted.test."
    records = lab.records[B].replace(SRV, other)
    lab.say(B, f"{SRV} 300 IN CNAME {other}\n{records}")
    assert (await a.message(b)).status == 200
    [told] = [r.getMessage() for r in caplog.records if "alias (CNAME)" in r.getMessage()]
    assert "_sipfederationtls._tcp.hosted.test: not everybody follows that" in told


async def test_one_question_for_many_messages_until_the_ttl_ends(lab, a):
    b = await lab.site(B)
    for _ in range(5):
        assert (await a.message(b)).status == 200
    assert lab.dns.count("_sipfederationtls._tcp.b.example") == 1


async def test_a_ttl_of_0_holds_for_a_second(lab, a):
    b = await lab.site(B)
    lab.publish(b, ttl=0)
    found = await a.plugin.discovery.discover(B.encode())
    assert found.expires > a.proxy.kernel.clock()


@pytest.mark.parametrize(
    ("names", "profile"),
    [(["b.example"], "rfc5922"), (["sip.b.example"], "ms-suffix")],
)
async def test_a_certificate_is_good_by_its_profile(lab, a, names, profile):
    b = await lab.site(B, names=names)
    assert (await a.message(b)).status == 200
    [flow] = a.flows
    assert flow.peer.profile == profile


async def test_a_hosting_provider_speaks_for_a_domain_whose_record_is_there(lab):
    a = await lab.site(A, providers=["hoster.test"])
    b = await lab.site(B, names=["edge.hoster.test"])
    lab.publish(b, target="edge.hoster.test")
    assert (await a.message(b)).status == 200
    assert a.flows[0].peer.profile == "hosting"


@pytest.mark.parametrize(
    ("names", "target", "sentence"),
    [
        (["c.example"], None, "it names c.example; wanted was b.example, or sip.b.example"),
        (["edge.other.test"], "edge.other.test", "nor a known hosting provider's"),
        (["*.b.example"], None, "is a wildcard, which proves no SIP domain"),
        (["sip.x.b.example"], "sip.x.b.example", "neither b.example nor directly below it"),
    ],
)
async def test_a_certificate_that_is_not_good_for_the_domain_is_502(
    lab, a, names, target, sentence
):
    b = await lab.site(B, names=names)
    lab.publish(b, target=target)
    await refused(a, B, 502, sentence)


async def test_any_depth_below_the_domain_if_that_is_said(lab):
    a = await lab.site(A, suffix_depth="any")
    b = await lab.site(B, names=["sip.x.b.example"])
    lab.publish(b, target="sip.x.b.example")
    assert (await a.message(b)).status == 200


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"deny": [B]}, "is blocked"),
        ({"deny": ["*.example"]}, "is blocked"),
        ({"partner": {B: {"blocked": True}}}, "is blocked"),
        ({"allow": ["c.example"]}, "b.example is not in allow of [open-federation]"),
    ],
)
async def test_a_domain_that_is_not_welcome_is_403_without_a_question(lab, settings, sentence):
    a = await lab.site(A, **settings)
    await lab.site(B)
    await refused(a, B, 403, sentence)
    assert lab.dns.count("_sipfederationtls._tcp.b.example") == 0


async def test_an_allowed_partner_need_not_be_in_allow(lab):
    a = await lab.site(A, allow=["c.example"], partner={B: {"allowed": True}})
    b = await lab.site(B)
    assert (await a.message(b)).status == 200


async def test_an_address_is_never_sent_to(a):
    await refused(a, "192.0.2.9", 403)


async def test_a_partner_with_an_authority_of_its_own(lab, tmp_path):
    other = Authority("Other CA")
    other.write(tmp_path, "other")
    settings = {"partner": {B: {"ca": str(tmp_path / "other.crt")}}}
    a = await lab.site(A, **settings)
    b = await lab.site(B, issuer=other)
    assert (await a.message(b)).status == 200
    assert (await b.message(a)).status == 200


async def test_what_vouches_for_one_partner_vouches_for_no_other(lab, tmp_path):
    other = Authority("Other CA")
    other.write(tmp_path, "other")
    a = await lab.site(A, partner={"c.example": {"ca": str(tmp_path / "other.crt")}})
    await lab.site(B, issuer=other)
    await refused(a, B, 502, "issuer CN=Other CA")
