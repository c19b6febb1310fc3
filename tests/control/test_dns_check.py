"""What is published for a domain: ours beside what is here, others as they are followed."""

from __future__ import annotations

from sipx.control.dns_check import CheckMethods, DnsCheckParams

A, B = "a.example", "b.example"
SERVICE = "_sipfederationtls._tcp"


async def checked(site, domain="", *, live=True):
    [found] = (
        await CheckMethods(site.kernel, live=live).check(DnsCheckParams(domain=domain))
    ).domains
    return found


def codes(found):
    return [(finding.code, finding.severity) for finding in found.findings]


async def test_our_domain_fits(sites):
    a = await sites.site(A)
    found = await checked(a)
    assert (found.domain, found.ours, found.certificate, found.way) == (A, True, "main", None)
    [record] = found.records
    assert (record.target, record.port, record.profile, record.good, record.inside) == (
        "sip.a.example",
        a.port,
        "ms-suffix",
        True,
        True,
    )
    [address] = record.addresses
    assert (address.address, address.ours, address.interface) == (a.bind, True, "open-federation")
    [name] = found.names
    assert name.good
    assert codes(found)[:2] == [("SIPX-D001", "ok"), ("SIPX-D010", "warning")]
    assert "interface open-federation listens" in found.findings[0].text
    offline = await checked(a, live=False)
    assert any("is to listen" in finding.text for finding in offline.findings)


async def test_our_domain_without_a_record_or_with_a_wrong_one(sites):
    a = await sites.site(A)
    sites.say(A)
    assert codes(await checked(a)) == [("SIPX-D002", "failure")]
    sites.publish(A, a.port + 1, a.bind)
    assert ("SIPX-D008", "failure") in codes(await checked(a, A))
    sites.publish(A, a.port, "198.51.100.1")
    assert ("SIPX-D006", "warning") in codes(await checked(a))


async def test_the_certificate_that_fits_best_is_told(sites):
    other = sites.certificate("sip.a.example")["main"]
    a = await sites.site(
        A,
        names=("old.example",),
        certificate={"main": sites.certificate("old.example")["main"], "other": other},
        interface={
            "two": {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "other"}
        },
    )
    sites.publish(A, a.proxy.place("two")[1], "127.0.0.1")
    found = await checked(a)
    assert found.certificate == "other"
    assert found.records[0].good


async def test_an_old_answer_that_the_proxy_remembers_is_told(sites):
    a = await sites.site(A)
    await a.kernel.resolver.service(f"{SERVICE}.{A}")
    assert (await checked(a)).remembered == ""
    sites.publish(A, a.port, a.bind, f"{SERVICE}.{A}. 60 IN SRV 2 0 5061 two.a.example.")
    found = await checked(a)
    assert f"1 0 {a.port} sip.a.example" in found.remembered
    assert "for another" in found.remembered
    assert (await checked(a, live=False)).remembered == ""
    await checked(a, B)
    sites.publish(B, 5061, "127.0.0.9")
    assert "does not exist" in (await checked(a, B)).remembered


async def test_a_partner_is_checked_as_it_is_followed(sites):
    a = await sites.site(A)
    sites.say(
        B,
        f"{SERVICE}.{B}. 60 IN SRV 1 0 5061 one.b.example.",
        f"{SERVICE}.{B}. 60 IN SRV 2 0 5061 two.b.example.",
        f"{SERVICE}.{B}. 60 IN SRV 3 0 5062 gate.host.example.",
        f"{SERVICE}.{B}. 60 IN SRV 4 0 5061 none.b.example.",
        "one.b.example. 60 IN A 127.0.0.9",
        "two.b.example. 60 IN CNAME x.c.example.",
        "x.c.example. 60 IN A 10.1.2.3",
        "gate.host.example. 60 IN A 127.0.0.8",
    )
    found = await checked(a, B)
    assert not found.ours
    told = {record.target: record for record in found.records}
    assert [record.priority for record in found.records] == [1, 2, 3, 4]
    assert told["one.b.example"].good
    assert told["two.b.example"].alias == "x.c.example"
    assert "private" in told["two.b.example"].addresses[0].refused
    assert not told["gate.host.example"].inside
    assert set(codes(found)) == {
        ("SIPX-D001", "ok"),
        ("SIPX-D005", "warning"),
        ("SIPX-D007", "warning"),
        ("SIPX-D014", "warning"),
        ("SIPX-D015", "warning"),
    }
    assert found.way is not None
    assert found.way.status == 0


async def test_a_partner_that_is_reached_without_the_record_is_no_failure(sites):
    a = await sites.site(A)
    await a.proxy.open_peer("near.example", transport="tcp")
    found = await checked(a, "near.example")
    assert codes(found) == [("SIPX-D002", "warning")]
    assert "a message goes another way" in found.findings[0].remedy
    assert found.way.status == 0


async def test_a_partner_whose_record_leads_to_this_proxy(sites):
    a = await sites.site(A)
    sites.publish(B, a.port, a.bind)
    found = await checked(a, B)
    [own] = [finding for finding in found.findings if finding.code == "SIPX-D014"]
    assert own.remedy.endswith(f"; if {B} is yours, add it to domains")
    assert found.way.status == 482


async def test_a_partner_that_cannot_be_followed(sites):
    a = await sites.site(A, federation={"ports": [5061]})
    found = await checked(a, B)
    assert codes(found) == [("SIPX-D002", "failure")]
    assert found.way.status == 404
    sites.publish(B, 5061, "10.1.2.3")
    a.kernel.resolver.flush()
    found = await checked(a, B)
    assert codes(found) == [("SIPX-D014", "failure")]
    assert found.way.status == 403
    assert "trust.networks" in found.findings[0].remedy
    sites.publish(B, 5099, "127.0.0.9")
    a.kernel.resolver.flush()
    found = await checked(a, B)
    assert ("SIPX-D010", "warning") in codes(found)
    assert found.way.status != 0
    sites.say(B, f"{SERVICE}.{B}. 60 IN SRV 0 0 0 .")
    assert codes(await checked(a, B)) == [("SIPX-D002", "failure")]
    sites.dns.fail(f"{SERVICE}.{B}")
    found = await checked(a, B)
    assert codes(found) == [("SIPX-D004", "warning")]
    assert found.failure == "servfail"


async def test_a_service_that_is_an_alias(sites):
    a = await sites.site(A)
    sites.say(
        B,
        f"{SERVICE}.{B}. 60 IN CNAME {SERVICE}.c.example.",
        f"{SERVICE}.c.example. 60 IN SRV 1 0 5061 sip.b.example.",
        "sip.b.example. 60 IN A 127.0.0.9",
    )
    found = await checked(a, B)
    assert found.alias == f"{SERVICE}.c.example"
    assert codes(found)[0] == ("SIPX-D007", "warning")
