"""The way to a partner, step by step, on real sockets with real certificates and a name server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import trio
from OpenSSL import SSL

from sipx.partner_check import check_partner
from sipx.testing import Authority

A, B = "a.example", "b.example"


@pytest.fixture
def walked(sites):
    """The states and texts of the steps from A's proxy to B."""

    async def walk(site, domain=B, patience=3.0):
        return await check_partner(site.kernel, domain, patience=patience, live=True)

    return walk


def states(found):
    """The worst state of each step, in order."""
    order = ("failed", "skipped", "warning", "ok", "no")
    names = dict.fromkeys(step.name for step in found.steps)
    return {
        name: min((s.state for s in found.steps if s.name == name), key=order.index)
        for name in names
    }


def step(found, name, state=None):
    """The first step of a name, in one state."""
    return next(s for s in found.steps if s.name == name and state in (None, s.state))


def steps_not_ok(found):
    return {name: state for name, state in states(found).items() if state not in ("ok", "no")}


async def test_a_way_that_works(sites, walked):
    a = await sites.site(A)
    b = await sites.site(B, names=("sip.b.example", "b.example"))
    found = await walked(a)
    assert found.good, found
    assert (found.name, found.live, found.temporary) == ("b.example (discovered)", True, False)
    assert states(found) == {
        "route": "ok",
        "srv": "ok",
        "address": "ok",
        "tcp": "ok",
        "tls": "ok",
        "ours": "ok",
        "chain": "ok",
        "eku": "ok",
        "rfc5922": "ok",
        "ms-suffix": "ok",
        "hosting": "no",
        "identity": "ok",
        "options": "ok",
    }
    assert "row 8" in step(found, "route").text
    assert f"1 0 {b.port} sip.b.example (not validated by DNSSEC)" in step(found, "srv").text
    assert "TLSv1.2 and TLSv1.3" in [s.text for s in found.steps if s.name == "tls"][1]
    assert step(found, "options").text.startswith("200 OK")
    assert all(step(found, name).ms is not None for name in ("srv", "tcp", "tls", "options"))


async def test_each_profile_is_told_by_itself(sites, walked):
    a = await sites.site(A)
    await sites.site(B)
    found = await walked(a)
    assert found.good
    assert states(found)["rfc5922"] == "no"
    assert "names sip.b.example, and not b.example itself" in step(found, "rfc5922").text
    assert step(found, "identity").text == "proven by ms-suffix: sip.b.example"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("other.example",), "names other.example"),
        (("*.b.example",), "wildcard"),
    ],
)
async def test_a_certificate_of_somebody_else_gets_no_request(sites, walked, names, said):
    a = await sites.site(A)
    await sites.site(B, names=names)
    found = await walked(a)
    assert steps_not_ok(found) == {"identity": "failed", "options": "skipped"}
    assert said in step(found, "identity").text + step(found, "identity").remedy
    assert "nobody who is not proven" in step(found, "options").text


async def test_an_authority_that_nobody_knows_refuses_in_both_directions(sites, walked):
    a = await sites.site(A)
    await sites.site(B, issuer=Authority("Another CA"), trust={"ca": str(sites.ca_file)})
    found = await walked(a)
    assert steps_not_ok(found) == {"chain": "failed", "identity": "failed", "options": "skipped"}
    assert "not trusted here" in step(found, "chain").text
    assert "its names would do (ms-suffix)" in step(found, "identity").text


async def test_a_partner_that_does_not_know_our_authority(sites, walked):
    a = await sites.site(A)
    other = Authority("Another CA").write(sites.directory, "other")
    await sites.site(B, trust={"ca": str(other), "networks": ["127.0.0.0/8"]})
    found = await walked(a)
    assert steps_not_ok(found) == {"ours": "failed", "options": "failed"}
    assert "unknown ca" in step(found, "ours").text
    assert "trust the authority" in step(found, "ours").remedy


async def test_a_certificate_that_has_expired(sites, walked):
    a = await sites.site(A)
    now = datetime.now(UTC)
    old = {"not_before": now - timedelta(days=9), "not_after": now - timedelta(days=2)}
    await sites.site(B, cert=old)
    found = await walked(a)
    assert states(found)["chain"] == "failed"
    assert "expired" in step(found, "chain").text
    assert "renew" in step(found, "chain").remedy


async def test_a_certificate_that_ends_soon(sites, walked):
    a = await sites.site(A)
    await sites.site(B, cert={"not_after": datetime.now(UTC) + timedelta(days=5)})
    found = await walked(a)
    assert found.good
    assert steps_not_ok(found) == {"chain": "warning"}
    assert "5 days left" in step(found, "chain").text


async def test_the_purpose_counts_in_both_roles(sites, walked):
    a = await sites.site(A)
    await sites.site(B, cert={"eku": ["serverAuth"]})
    found = await walked(a)
    assert found.good
    told = [s.text for s in found.steps if s.name == "eku"]
    assert "when it connects to us" in told[1]
    assert "strict rules would refuse it" in told[1]
    odd = {"eku": ["1.3.6.1.5.5.7.3.4"]}
    await sites.site("c.example", cert=odd)
    found = await walked(a, "c.example")
    assert states(found)["eku"] == "failed"
    assert states(found)["options"] == "skipped"


async def test_nothing_listens(sites, walked):
    a = await sites.site(A)
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    sites.publish(B, port, "127.0.0.1")
    found = await walked(a)
    assert states(found)["tcp"] == "failed"
    assert "nothing listens there" in step(found, "tcp").text
    assert [s.state for s in found.steps[-5:]] == ["skipped"] * 5


async def test_one_target_that_works_is_enough(sites, walked):
    a = await sites.site(A)
    b = await sites.site(B)
    sites.publish(
        B,
        b.port,
        b.bind,
        f"_sipfederationtls._tcp.b.example. 300 IN SRV 2 0 {b.port} two.b.example.",
        f"_sipfederationtls._tcp.b.example. 300 IN SRV 3 0 {b.port} three.b.example.",
        "three.b.example. 300 IN A 10.1.2.3",
    )
    found = await walked(a)
    assert found.good, found
    assert states(found)["address"] == "warning"
    told = [s.text for s in found.steps if s.name == "address"]
    assert any("two.b.example" in text and "does not exist" in text for text in told)
    assert any("10.1.2.3 is a private address" in text for text in told)


async def test_what_answers_speaks_no_tls(sites, walked, nursery):
    a = await sites.site(A)

    async def shout(stream):
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        await stream.aclose()

    [listener] = await nursery.start(partial(trio.serve_tcp, shout, 0, host="127.0.0.1"))
    sites.publish(B, listener.socket.getsockname()[1], "127.0.0.1")
    found = await walked(a)
    assert states(found)["tls"] == "failed"
    assert "no TLS" in step(found, "tls").text


async def test_only_old_tls_is_a_warning(sites, walked, monkeypatch):
    a = await sites.site(A)
    await sites.site(B)
    monkeypatch.setattr("sipx.partner_check.VERSIONS", {"TLSv1.2": SSL.TLS1_2_VERSION})
    found = await walked(a)
    assert steps_not_ok(found) == {"tls": "warning"}


@pytest.mark.parametrize(
    ("records", "state", "said"),
    [
        ((), "failed", "there is no SRV record"),
        (("_sipfederationtls._tcp.b.example. 60 IN SRV 0 0 0 .",), "failed", "does not federate"),
    ],
)
async def test_no_record(sites, walked, records, state, said):
    a = await sites.site(A)
    sites.say(B, *records)
    found = await walked(a)
    assert not found.good
    assert not found.temporary
    assert (step(found, "srv").state, said in step(found, "srv").text) == (state, True)
    assert step(found, "address").state == "skipped"


async def test_name_servers_that_fail(sites, walked):
    a = await sites.site(A)
    sites.dns.fail(f"_sipfederationtls._tcp.{B}")
    found = await walked(a)
    assert found.temporary
    assert step(found, "route").text.startswith("a message would be refused with 504 (row 8)")
    assert step(found, "srv").state == "failed"


async def test_where_federation_is_off_the_rest_is_told_all_the_same(sites, walked):
    off = {"enabled": False}
    port = {"far": {"bind": "127.0.0.1", "port": 0, "protocol": "mtls"}}
    a = await sites._start(
        domains=[A],
        plugins=["tls"],
        wan={"certificate": "main"},
        certificate=sites.certificate("sip.a.example"),
        trust={"ca": str(sites.ca_file), "networks": ["127.0.0.0/8"]},
        dns={"servers": [sites.dns.server]},
        interface=port,
        **{"open-federation": off},
    )
    await sites.site(B)
    sites.publish(A, a.place("far")[1], "127.0.0.1")
    found = await walked(a)
    assert not found.good
    assert "403 (row 10)" in step(found, "route").text
    assert states(found)["identity"] == "ok"
    assert states(found)["options"] == "ok"


async def test_a_static_route_is_walked_by_its_own_rules(sites, walked):
    b = await sites.site(B, names=("gate.elsewhere.example",))
    route = {"server": b.bind, "port": b.port, "protocol": "mtls"}
    name = {**route, "server": "gate.elsewhere.example"}
    sites.say("elsewhere.example", f"gate.elsewhere.example. 60 IN A {b.bind}")
    a = await sites.site(
        A, plugins=("tls", "static-routes"), **{"static-routes": {"route": {B: name}}}
    )
    found = await walked(a)
    assert found.good, found
    assert "a route that is configured, row 4" in step(found, "route").text
    assert "not asked" in step(found, "srv").text
    assert step(found, "identity").text == "proven by direct: gate.elsewhere.example"
    assert "rfc5922" not in states(found)
    await a.proxy.reload(**{"static-routes": {"route": {B: route}}})
    found = await walked(a)
    assert step(found, "identity").state == "failed"
    assert "b.example was wanted" in step(found, "identity").text


async def test_what_is_configured_for_a_partner_counts(sites, walked):
    pins = {"partner": {B: {"pins": ["0" * 64]}}}
    a = await sites.site(A, federation=pins)
    await sites.site(B)
    found = await walked(a)
    assert step(found, "identity").state == "failed"
    assert "none of the pinned ones" in step(found, "identity").text


async def test_a_blocked_partner_is_told_as_such(sites, walked):
    a = await sites.site(A, federation={"deny": [B]})
    await sites.site(B)
    found = await walked(a)
    assert not found.good
    assert "refused with 403" in step(found, "route").text
