"""Rows 5 to 9 of docs/trust.md, "Incoming requests": strangers, their certificates, the DNS."""

from __future__ import annotations

import logging

import pytest
import trio
from sipx_open_federation.incoming import MOST_ASKING, MOST_DOMAINS, PartnerProven

from sipx import SenderKind, certificate_facts
from sipx.testing import Authority, TlsCarrier, UserAgent

from .conftest import said

A, B = "a.example", "b.example"
SRV = "_sipfederationtls._tcp.b.example"


class Stranger:
    """A client with a certificate that says what it likes in From."""

    def __init__(self, agent):
        self.agent = agent

    async def message(self, sender=f"sip:peer@{B}", to=f"sip:peer@{A}", method="MESSAGE", **more):
        return await self.agent.send(self.agent.new(method, to, sender=sender, **more))


@pytest.fixture
def stranger(lab, nursery):
    async def connect(site, *names, issuer=None, **more):
        cert = lab.certificate(*names, issuer=issuer, **more)["main"]
        carrier = TlsCarrier("127.0.0.9", 0, ca=lab.ca_file, **cert)
        agent = UserAgent(f"sip:peer@{B}", carrier)
        await nursery.start(agent.serve)
        agent.proxy = site.proxy.place("open-federation")
        return Stranger(agent)

    return connect


@pytest.fixture
async def a(lab):
    return await lab.site(A, providers=["hoster.test"])


def published(lab, target="sip.b.example", ttl=300):
    lab.say(B, f"{SRV}. {ttl} IN SRV 0 0 5061 {target}.\n{target}. 300 IN A 127.0.0.9")


async def test_the_domain_itself_needs_no_record(lab, a, stranger):
    them = await stranger(a, B)
    assert (await them.message()).status == 200
    assert lab.dns.count(SRV) == 0
    [proven] = a.plugin.judge._proven.values()
    sender = proven.verdict.sender
    assert sender.kind is SenderKind.DISCOVERED
    assert (sender.name, sender.row, sender.trusted) == ("b.example (discovered)", 5, False)
    assert sender.domains == frozenset({B.encode()})


@pytest.mark.parametrize(
    ("name", "profile"), [("sip.b.example", "ms-suffix"), ("edge.hoster.test", "hosting")]
)
async def test_a_host_needs_the_record_that_names_it(lab, a, stranger, caplog, name, profile):
    caplog.set_level(logging.INFO)
    published(lab, name)
    them = await stranger(a, name)
    for _ in range(3):
        assert (await them.message()).status == 200
    assert lab.dns.count(SRV) == 1
    assert a.plugin.judge.profile_of(a.flows[0], B.encode()) == profile
    [told] = [r.getMessage() for r in caplog.records if "proven by profile" in r.getMessage()]
    assert f"proven by profile {profile}, its certificate names {name}" in told
    [event] = [e for _, e in a.proxy.events if isinstance(e, PartnerProven)]
    assert (event.domain, event.profile, event.by) == (B, profile, name)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["c.example"], "it names c.example; wanted was b.example"),
        (["sip.c.example", "edge.test"], "not good for the From domain"),
        (["*.b.example"], "is a wildcard, which proves no SIP domain"),
    ],
)
async def test_a_certificate_of_others_is_row_6_without_a_question(
    lab, a, stranger, names, sentence
):
    published(lab)
    # A certificate that names nobody at all does not pass the handshake.
    them = await stranger(a, *names, "c.example")
    response = await them.message()
    assert response.status == 403
    assert sentence in said(response)
    assert lab.dns.count(SRV) == 0


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("edge.b.example", "sip.b.example"),  # a host in the domain, and not the one of the record
        ("sip.x.b.example", "sip.x.b.example"),  # too deep
        ("edge.other.test", "sip.b.example"),  # the record leads out of the domain
    ],
)
async def test_a_host_that_the_record_does_not_prove_is_row_6(lab, a, stranger, target, name):
    published(lab, target)
    them = await stranger(a, name)
    response = await them.message()
    assert response.status == 403
    assert "the certificate of the peer is not good for the From domain" in said(response)


@pytest.mark.parametrize("record", ["", f"{SRV}. 300 IN SRV 0 0 0 ."])
async def test_no_record_where_one_is_needed_is_row_7(lab, a, stranger, record):
    lab.say(B, record)
    response = await (await stranger(a, "sip.b.example")).message()
    assert response.status == 403
    assert "the From domain has no SRV record for federation" in said(response)


@pytest.mark.parametrize("fault", ["fail", "silence"])
async def test_name_servers_that_fail_are_504(lab, a, stranger, fault):
    await lab.impatient(a)
    published(lab)
    getattr(lab.dns, fault)(SRV)
    response = await (await stranger(a, "sip.b.example")).message()
    assert response.status == 504
    assert "DNS did not answer" in said(response)


async def test_our_own_domain_is_nobody_elses(a, stranger):
    them = await stranger(a, A, B)
    response = await them.message(f"sip:peer@{A}")
    assert response.status == 403
    assert "may not use our own domain in From" in said(response)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"deny": [B]}, "the From domain is blocked; b.example"),
        ({"partner": {"*.example": {"blocked": True}}}, "the From domain is blocked; b.example"),
        ({"allow": ["c.example"]}, "b.example is not in allow"),
    ],
)
async def test_who_is_not_welcome_is_refused(lab, stranger, settings, sentence):
    a = await lab.site(A, **settings)
    response = await (await stranger(a, B)).message()
    assert response.status == 403
    assert sentence in said(response)


async def test_one_connection_may_carry_several_domains(lab, a, stranger):
    them = await stranger(a, B, "c.example")
    for domain in (B, "c.example", B):
        assert (await them.message(f"sip:peer@{domain}")).status == 200
    assert (await them.message("sip:peer@d.example")).status == 403
    [flow] = a.flows
    assert a.plugin.judge.domains_of(flow) == (B.encode(), b"c.example")


async def test_what_is_remembered_ends_with_the_connection(lab, a, stranger, eventually):
    them = await stranger(a, B)
    assert (await them.message()).status == 200
    judge = a.plugin.judge
    assert len(judge._proven) == 1
    a.flows[0].close("test")
    await eventually(lambda: not a.flows)
    assert not judge._proven
    assert not judge._domains


async def test_what_is_remembered_of_one_connection_is_bounded(lab, a, stranger):
    names = [f"d{number}.example" for number in range(MOST_DOMAINS + 5)]
    them = await stranger(a, *names)
    for name in names:
        assert (await them.message(f"sip:peer@{name}")).status == 200
    judge = a.plugin.judge
    assert len(judge._proven) == len(judge.domains_of(a.flows[0])) == MOST_DOMAINS
    assert len(a.plugin.relations.connected()) == MOST_DOMAINS
    assert (await them.message(f"sip:peer@{names[0]}")).status == 200


async def test_strangers_are_no_relay(a, stranger):
    them = await stranger(a, B)
    assert (await them.message(to="sip:peer@c.example")).status == 403


@pytest.mark.parametrize("method", ["NEGOTIATE", "PUBLISH", "REFER", "REGISTER", "BENOTIFY"])
async def test_methods_that_federation_has_not_are_405(a, stranger, method):
    them = await stranger(a, B)
    assert (await them.message(method=method)).status == 405


async def test_a_pinned_key_is_believed_without_an_authority(lab, stranger):
    other = Authority("Other CA")
    issued = other.leaf(dns=["sip.b.example"])
    pin = certificate_facts(issued.certificate).spki
    a = await lab.site(A, partner={B: {"pins": [pin]}})
    published(lab)
    cert, key_file = issued.write(lab.directory, "pinned")
    carrier = TlsCarrier("127.0.0.9", 0, ca=lab.ca_file, cert_file=cert, key_file=key_file)
    agent = UserAgent(f"sip:peer@{B}", carrier)
    await lab.nursery.start(agent.serve)
    agent.proxy = a.proxy.place("open-federation")
    them = Stranger(agent)
    assert (await them.message()).status == 200
    assert (await them.message("sip:peer@c.example")).status == 403


# ---------------------------------------------------------------- records that change


async def test_a_record_that_is_removed_ends_what_it_proved(lab, a, stranger):
    published(lab)
    them = await stranger(a, "sip.b.example")
    assert (await them.message()).status == 200
    lab.say(B, "")
    assert (await them.message()).status == 200  # its TTL goes on
    lab.forget()
    response = await them.message()
    assert response.status == 403
    published(lab)
    lab.forget()
    assert (await them.message()).status == 200


async def test_dialogs_outlive_the_record(lab, a, stranger):
    published(lab)
    them = await stranger(a, "sip.b.example")
    call = await them.agent.call(f"sip:peer@{A}")
    lab.say(B, "")
    lab.forget()
    assert (await them.message()).status == 403
    assert (await call.hangup()).status == 200


async def test_a_route_to_us_is_no_dialog(lab, a, stranger):
    """Row 28: who only claims to be in a dialog is judged by what it could show for it."""
    published(lab)
    them = await stranger(a, "sip.b.example")
    host, port = a.proxy.place("open-federation")
    route = f"<sip:{host}:{port};transport=tls;lr>".encode()
    assert (await them.message(headers=[(b"Route", route)])).status == 200
    lab.say(B, "")
    lab.forget()
    request = them.agent.new("MESSAGE", f"sip:peer@{A}", headers=[(b"Route", route)])
    tagged = [line + b";tag=1" if line.startswith(b"To:") else line for line in request.lines]
    request.lines[:] = tagged
    assert (await them.agent.send(request)).status == 403


async def test_sec22_a_stranger_with_a_slow_dns_does_not_keep_everybody_waiting(lab, a, stranger):
    """A host of a provider may speak for any domain: what is asked for is the stranger's choice."""
    await lab.impatient(a, "4s")  # all are sent before the first is given up
    them = await stranger(a, "edge.hoster.test")
    domains = [f"d{number}.test" for number in range(3 * MOST_ASKING)]
    for domain in domains:
        lab.dns.silence(f"_sipfederationtls._tcp.{domain}")
    asked = []
    for domain in domains:
        new = them.agent.new("MESSAGE", f"sip:peer@{A}", sender=f"sip:x@{domain}")
        asked.append(await them.agent.ask(new))
        await trio.sleep(0.002)
    answer = await asked[-1].answer()
    assert answer.status == 503
    assert answer.get(b"Retry-After")
    assert a.proxy.kernel.parked <= MOST_ASKING + 8
    codes = [(await one.answer()).status for one in asked]
    assert codes.count(504) + codes.count(403) <= MOST_ASKING + 8
    assert not a.plugin.judge._asking


async def test_what_waits_for_the_dns_during_a_reload_proves_nothing_for_later(lab, a, stranger):
    published(lab)
    them = await stranger(a, "sip.b.example")
    lab.dns.delay(SRV, 0.25)
    waiting = await them.agent.ask(
        them.agent.new("MESSAGE", f"sip:peer@{A}", sender=f"sip:peer@{B}")
    )
    await trio.sleep(0.05)
    table = dict(a.proxy._configured.tables["open-federation"])
    await a.proxy.reload(**{"open-federation": {**table, "allow": ["c.example"]}})
    assert (await waiting.answer()).status == 200
    assert (await them.message()).status == 403
