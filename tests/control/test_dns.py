"""What the running proxy remembers of the DNS, and the way it goes for a URI."""

from __future__ import annotations

import pytest

from sipx.control.dns import DnsMethods, DnsRouteParams
from sipx.control.errors import ControlError

A, B = "a.example", "b.example"
SERVICE = f"_sipfederationtls._tcp.{B}"


async def route(site, uri="sip:bob@b.example", **more):
    return await DnsMethods(site.kernel).route(DnsRouteParams(uri=uri, **more))


async def test_the_way_is_told_question_by_question(sites):
    a = await sites.site(A)
    sites.say(
        B,
        f"{SERVICE}. 60 IN SRV 20 0 5061 two.b.example.",
        f"{SERVICE}. 60 IN SRV 10 0 5061 one.b.example.",
        "one.b.example. 60 IN A 127.0.0.9",
        "two.b.example. 60 IN CNAME host.c.example.",
        "host.c.example. 60 IN A 10.1.2.3",
        "host.c.example. 60 IN A 127.0.0.8",
    )
    found = await route(a)
    assert (found.live, found.status, found.row, found.temporary) == (True, 0, 8, False)
    asked = [(step.type, step.name) for step in found.steps]
    assert asked[0] == ("SRV", SERVICE)
    assert set(asked[1:]) == {
        (kind, name) for kind in ("A", "AAAA") for name in ("one.b.example", "two.b.example")
    }
    assert not any(step.cached or step.authentic for step in found.steps)
    assert all(step.ttl <= 60 for step in found.steps)
    hops = [hop for target in found.targets for hop in target.hops]
    assert [(hop.address, hop.name) for hop in hops] == [
        ("127.0.0.9", "one.b.example"),
        ("127.0.0.8", "two.b.example"),
    ]
    [refused] = found.refused
    assert (refused.name, refused.address) == ("two.b.example", "10.1.2.3")
    assert "private" in refused.why
    [alias] = [s for s in found.steps if s.name == "two.b.example" and s.type == "A"]
    assert alias.alias == "host.c.example"
    again = await route(a)
    assert all(step.cached for step in again.steps)
    assert len(again.steps) == len(found.steps)


async def test_no_way_is_told_with_its_row(sites):
    a = await sites.site(A)
    found = await route(a)
    assert (found.status, found.row, found.temporary, found.targets) == (404, 8, False, ())
    [step] = found.steps
    assert step.failure == "nxdomain"
    sites.dns.fail(SERVICE)
    DnsMethods(a.kernel).flush()
    found = await route(a)
    assert (found.status, found.temporary) == (504, True)
    with pytest.raises(ControlError):
        await route(a, "sip:")


async def test_the_cache_is_told_and_forgotten(sites):
    a = await sites.site(A)
    sites.publish(B, 5061, "127.0.0.9", ttl=77)
    await route(a)
    methods = DnsMethods(a.kernel)
    held = methods.cache()
    assert {entry.name for entry in held.entries} == {SERVICE, "sip.b.example"}
    [srv] = [entry for entry in held.entries if entry.type == "SRV"]
    assert "1 0 5061 sip.b.example." in srv.text
    assert 70 < srv.ttl <= 77
    assert held.statistics.entries == 3
    assert held.statistics.queries == 3
    assert "3 answers of the DNS forgotten" in methods.flush().text
    assert methods.cache().entries == ()
    asked = sites.dns.count(SERVICE)
    sites.publish(B, 5061, "127.0.0.10")
    found = await route(a)
    assert sites.dns.count(SERVICE) == asked + 1
    assert found.targets[0].hops[0].address == "127.0.0.10"
    sites.publish(B, 5061, "127.0.0.10")
    DnsMethods(a.kernel).flush()
    await DnsMethods(a.kernel).route(DnsRouteParams(uri="sip:x@nothing.invalid"))
    assert "0 answers of the DNS forgotten" in methods.flush().text
