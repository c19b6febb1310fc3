"""A certificate, the SRV records of our domains, and what listens: do they belong together?"""

from __future__ import annotations

import pytest

from sipx.config.model import WanConfig
from sipx.identity import certificate_facts
from sipx.plugin import Severity
from sipx.records import SrvRecord
from sipx.resolver import DnsSettings, Resolver
from sipx.srv_match import (
    DomainAnswer,
    Here,
    HostAnswer,
    domain_answer,
    here_of,
    match_srv,
    srv_matches,
)
from sipx.status import InterfaceSummary, PublicSummary
from sipx.testing import Authority
from sipx.testing.dns import dns_server

ZONE = """
_sipfederationtls._tcp.a.example. 120 IN SRV 10 5 5061 sip.a.example.
_sipfederationtls._tcp.a.example. 120 IN SRV 20 0 5061 sip2.a.example.
_sipfederationtls._tcp.b.example. 60  IN SRV 0 0 0 .
sip.a.example.                    90  IN A 127.0.0.1
sip2.a.example.                   90  IN CNAME host.elsewhere.example.
host.elsewhere.example.           90  IN A 192.0.2.9
nat.a.example.                    90  IN A 198.51.100.7
"""


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def named(authority):
    """The facts of a certificate with these names."""
    return lambda *dns: certificate_facts(authority.leaf(dns=dns).certificate)


LISTENER = InterfaceSummary(
    name="federation",
    protocol="mtls",
    role="wan",
    bind="192.0.2.10",
    configured_port=5061,
    state="listening",
    reason="",
    address="192.0.2.10",
    port=5061,
    flows=0,
    outbound=0,
    opened=0,
    messages_in=0,
    messages_out=0,
)
HERE = Here((LISTENER,), frozenset({"127.0.0.1", "192.0.2.10", "192.0.2.11", "2001:db8::10"}))


def changed(listener, **values):
    return listener.model_copy(update=values)


def answer(target="sip.a.example", port=5061, *addresses, domain="a.example", **more):
    host = HostAnswer(addresses or ("192.0.2.10",), **more)
    return DomainAnswer(domain, (SrvRecord(0, 0, port, target),), {target: host})


def codes(found):
    return [finding.code for finding in found.findings]


def bad(found):
    return [f.code for f in found.findings if f.severity is not Severity.OK]


def test_it_fits_by_the_target_or_by_the_domain_itself(named):
    found = match_srv([answer()], named("sip.a.example"), HERE)
    assert found.good
    assert (found.first.profile, found.first.name, found.first.interface) == (
        "ms-suffix",
        "sip.a.example",
        "federation",
    )
    assert codes(found) == ["SIPX-D001", "SIPX-D009"]
    found = match_srv([answer()], named("a.example"), HERE)
    assert found.first.profile == "rfc5922"
    assert bad(found) == ["SIPX-D009"]
    found = match_srv([answer()], named("a.example", "sip.a.example"), HERE)
    assert codes(found) == ["SIPX-D001"]


def test_every_name_of_the_certificate_is_told(named):
    found = match_srv([answer()], named("a.example", "sip.a.example", "old.a.example"), HERE)
    told = {name.name: (name.good, name.why) for name in found.names}
    assert told["sip.a.example"] == (
        True,
        "the SRV record of a.example leads to it, 192.0.2.10 port 5061, interface federation",
    )
    assert told["a.example"] == (
        True,
        "it proves the domain, whose SRV record leads to sip.a.example port 5061",
    )
    assert told["old.a.example"] == (False, "no SRV record of a.example leads to it")


@pytest.mark.parametrize(
    ("names", "target", "expected", "remedy"),
    [
        (("x.example",), "sip.a.example", "a.example or sip.a.example", "get one that names"),
        (("*.a.example",), "sip.a.example", "a wildcard proves no SIP domain", "get one"),
        (("h.b.example",), "h.b.example", "h.b.example lies outside of a.example", "get one"),
        (
            ("sip.a.example",),
            "x.a.example",
            "does not name a.example or x.a.example",
            "to sip.a.example",
        ),
        (("x.y.a.example",), "x.y.a.example", "lies outside of a.example", "get one"),
    ],
)
def test_a_certificate_that_does_not_prove_the_domain(named, names, target, expected, remedy):
    found = match_srv([answer(target)], named(*names), HERE)
    assert not found.good
    [finding] = [f for f in found.findings if f.code == "SIPX-D003"]
    assert finding.severity is Severity.FAILURE
    assert expected in finding.text
    assert remedy in finding.remedy


def test_no_certificate_at_all(named):
    found = match_srv([answer()], None, HERE)
    assert bad(found) == ["SIPX-D003"]
    assert found.names == ()


def test_a_target_outside_of_the_domain_is_weak_where_the_domain_is_named(named):
    found = match_srv([answer("h.b.example")], named("a.example", "h.b.example"), HERE)
    assert found.good
    assert bad(found) == ["SIPX-D009"]
    assert "do not follow" in found.findings[-1].text


@pytest.mark.parametrize(
    ("failure", "code", "severity"),
    [
        ("nxdomain", "SIPX-D002", Severity.FAILURE),
        ("nodata", "SIPX-D002", Severity.FAILURE),
        ("refused", "SIPX-D002", Severity.FAILURE),
        ("servfail", "SIPX-D004", Severity.WARNING),
        ("timeout", "SIPX-D004", Severity.WARNING),
    ],
)
def test_no_record_at_all(named, failure, code, severity):
    found = match_srv([DomainAnswer("a.example", (), failure=failure)], named("a.example"), HERE)
    [finding] = found.findings
    assert (finding.code, finding.severity) == (code, severity)
    assert not found.good
    assert found.names[0].why == ("it proves the domain, but no SRV record of that leads here")


def test_what_is_wrong_with_the_host_of_a_record(named):
    facts = named("a.example", "sip.a.example")
    gone = DomainAnswer(
        "a.example",
        (SrvRecord(0, 0, 5061, "sip.a.example"),),
        {"sip.a.example": HostAnswer((), "nxdomain", "A sip.a.example: does not exist")},
    )
    assert bad(match_srv([gone], facts, HERE)) == ["SIPX-D005"]
    slow = replace_host(gone, HostAnswer((), "timeout", "A sip.a.example: no answer"))
    assert bad(match_srv([slow], facts, HERE)) == ["SIPX-D004"]
    alias = replace_host(gone, HostAnswer(("192.0.2.10",), alias="x.example"))
    found = match_srv([alias], facts, HERE)
    assert found.good
    assert bad(found) == ["SIPX-D007"]
    number = answer("192.0.2.10", 5061, "192.0.2.10")
    assert "SIPX-D005" in bad(match_srv([number], facts, HERE))
    assert bad(match_srv([answer()._replace(alias="x.example")], facts, HERE)) == ["SIPX-D007"]


def replace_host(given, host):
    return given._replace(hosts={"sip.a.example": host})


def test_what_listens_somewhere_else(named):
    facts = named("a.example", "sip.a.example")
    for listener, said in (
        (changed(LISTENER, port=5062, configured_port=5062), "interface federation on port 5062"),
        (changed(LISTENER, protocol="tls"), "its protocol is tls"),
        (changed(LISTENER, state="failed", reason="in use", port=None), "is failed, in use"),
        (changed(LISTENER, address="192.0.2.11"), "interface federation is listening"),
    ):
        found = match_srv([answer()], facts, HERE._replace(listeners=(listener,)))
        [finding] = [f for f in found.findings if f.code == "SIPX-D008"]
        assert said in finding.text
        assert not found.good
    found = match_srv([answer()], facts, HERE._replace(listeners=()))
    assert "no interface does" in found.findings[0].text
    assert bad(match_srv([answer(port=5062)], facts, HERE)) == ["SIPX-D010", "SIPX-D008"]


def test_an_address_of_another_machine(named):
    found = match_srv([answer("sip.a.example", 5061, "198.51.100.1")], named("a.example"), HERE)
    assert bad(found)[0] == "SIPX-D006"
    assert "192.0.2.10" in found.findings[0].text
    assert "127.0.0.1" not in found.findings[0].text
    assert "set wan.use_public_address" in found.findings[0].remedy
    behind = HERE._replace(public=frozenset({"198.51.100.7"}))
    found = match_srv([answer("sip.a.example", 5061, "198.51.100.1")], named("a.example"), behind)
    assert "it has 192.0.2.10, 192.0.2.11, 198.51.100.7" in found.findings[0].text
    assert "correct the address of sip.a.example; if partners" in found.findings[0].remedy
    both = answer("sip.a.example", 5061, "198.51.100.1", "192.0.2.10")
    found = match_srv([both], named("a.example", "sip.a.example"), HERE)
    assert found.good
    assert bad(found) == ["SIPX-D006"]


def test_an_interface_on_all_addresses_takes_those_of_its_family(named):
    facts = named("a.example", "sip.a.example")
    everywhere = changed(LISTENER, bind="*", address="0.0.0.0")
    here = HERE._replace(listeners=(everywhere,))
    assert match_srv([answer("sip.a.example", 5061, "192.0.2.11")], facts, here).good
    six = answer("sip.a.example", 5061, "2001:db8::10")
    assert not match_srv([six], facts, here).good
    both = (everywhere, changed(LISTENER, bind="::", address="::"))
    assert match_srv([six], facts, HERE._replace(listeners=both)).good


def test_the_address_in_front_of_a_nat_is_ours(named):
    facts = named("a.example", "sip.a.example")
    wan = WanConfig(use_public_address=True, public_address="198.51.100.7", public_port=5061)
    inner = changed(LISTENER, port=15061, configured_port=15061)
    here = here_of((inner,), wan, PublicSummary())._replace(addresses=frozenset({"192.0.2.10"}))
    assert match_srv([answer("sip.a.example", 5061, "198.51.100.7")], facts, here).good
    assert bad(match_srv([answer("sip.a.example", 5062, "198.51.100.7")], facts, here)) == [
        "SIPX-D010",
        "SIPX-D008",
    ]
    assert not here_of((), WanConfig(), PublicSummary()).public
    assert not here_of((), WanConfig(use_public_address=True), PublicSummary()).public


def test_what_was_found_or_is_advertised_is_in_front_of_us(named):
    facts = named("a.example", "sip.a.example")
    known = PublicSummary(addresses=("198.51.100.7",), found={"*": "198.51.100.7"})
    here = here_of((LISTENER,), WanConfig(), known)
    assert match_srv([answer("sip.a.example", 5061, "198.51.100.7")], facts, here).good
    other = changed(LISTENER, advertised="198.51.100.8:5071")
    here = here_of((other,), WanConfig(), PublicSummary())
    assert match_srv([answer("sip.a.example", 5071, "198.51.100.8")], facts, here).good
    found = match_srv([answer("sip.a.example", 5061, "198.51.100.8")], facts, here)
    assert bad(found) == ["SIPX-D008"]


async def test_the_records_are_looked_up(named):
    async with dns_server(ZONE) as dns:
        resolver = Resolver(DnsSettings(servers=(dns.server,)))
        found = await domain_answer(resolver, "a.example")
        assert [record.priority for record in found.records] == [10, 20]
        assert found.hosts["sip.a.example"].addresses == ("127.0.0.1",)
        assert found.hosts["sip2.a.example"].alias == "host.elsewhere.example"
        assert (await domain_answer(resolver, "b.example")).failure == "refused"
        assert (await domain_answer(resolver, "c.example")).failure == "nxdomain"
        local = changed(LISTENER, bind="127.0.0.1", address="127.0.0.1")
        here = HERE._replace(listeners=(local,))
        facts = named("a.example", "sip.a.example", "sip2.a.example")
        found = await srv_matches(resolver, ["a.example", "b.example"], facts, here)
        assert found.first.record.target == "sip.a.example"
        assert not found.good
        assert [domain.good for domain in found.domains] == [True, False]
        assert found.expires <= resolver._clock() + 120
        nat = here._replace(public=frozenset({"nat.a.example"}), listeners=(LISTENER,))
        pointed = ZONE.replace("sip.a.example.                    90  IN A 127.0.0.1", "")
        dns.load(pointed + "sip.a.example. 90 IN A 198.51.100.7\n")
        resolver.flush()
        assert (await srv_matches(resolver, ["a.example"], facts, nat)).good
        dns.load(ZONE.replace("5061 sip.a.example.", "5061 nat.a.example."))
        resolver.flush()
        found = await srv_matches(resolver, ["a.example"], named("a.example"), nat)
        assert found.first.record.target == "nat.a.example"
