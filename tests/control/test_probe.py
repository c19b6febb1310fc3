"""OPTIONS the way a message would go, by the proxy and without it; and what came of it."""

from __future__ import annotations

import pytest
import trio

from sipx.control.errors import ControlError
from sipx.control.probe import PartnerParams, ProbeMethods, ProbeParams
from sipx.plugin import Refuse, Target, Targets, hookimpl
from sipx.testing import Authority

A, B = "a.example", "b.example"


async def probed(site, uri=f"sip:{B}", *, live=True, timeout=3.0):  # its own
    methods = ProbeMethods(site.kernel, live=live)
    return await methods.probe(ProbeParams(uri=uri, timeout=timeout))


@pytest.mark.parametrize("live", [True, False])
async def test_a_partner_answers(sites, live):
    a = await sites.site(A)
    b = await sites.site(B)
    found = await probed(a, live=live)
    assert (found.live, found.sent, found.good, found.status) == (live, True, True, 200)
    assert (found.target, found.row, found.interface) == (
        "b.example (discovered)",
        8,
        "open-federation",
    )
    assert found.place == f"mtls:{b.bind}:{b.port}"
    assert not found.reused
    assert found.tls.version == "TLSv1.3"
    assert (found.tls.profile, found.tls.name) == ("ms-suffix", "sip.b.example")
    assert found.tls.names == ("sip.b.example",)
    assert "CN=sip.a.example" in found.tls.shown
    assert found.meaning == ("it answers: the way works",)
    assert None not in (found.times.way, found.times.connection, found.times.answer)


async def test_the_running_proxy_uses_its_connections(sites):
    a = await sites.site(A)
    await sites.site(B)
    assert not (await probed(a)).reused
    assert (await probed(a)).reused
    assert not (await probed(a, live=False)).reused
    assert len([flow for flow in a.kernel.flows if flow.transport == "mtls"]) == 1


@pytest.mark.parametrize("live", [True, False])
async def test_a_user_that_nobody_knows_is_a_way_that_works(sites, live):
    a = await sites.site(A)
    await sites.site(B)
    found = await probed(a, "sip:nobody@b.example", live=live)
    assert (found.status, found.good) == (404, True)
    assert any("nobody here knows this user" in text for text in found.meaning)


@pytest.mark.parametrize("live", [True, False])
async def test_who_is_somebody_else_gets_nothing(sites, live):
    a = await sites.site(A)
    await sites.site(B, names=("other.example",))
    found = await probed(a, live=live)
    assert (found.sent, found.good, found.status) == (False, False, 502)
    assert "other.example" in found.why
    assert found.tls is None
    assert found.tried


@pytest.mark.parametrize("live", [True, False])
async def test_who_does_not_take_our_certificate(sites, live):
    a = await sites.site(A)
    other = Authority("Another CA").write(sites.directory, "other")
    await sites.site(B, trust={"ca": str(other), "networks": ["127.0.0.0/8"]})
    found = await probed(a, live=live)
    assert (found.good, found.status) == (False, 502)
    assert "unknown ca" in found.why


@pytest.mark.parametrize("live", [True, False])
async def test_nobody_answers(sites, nursery, live):
    a = await sites.site(A, plugins=("tls", "static-routes"))

    async def silent(stream):
        await trio.sleep_forever()

    [listener] = await nursery.start(_serve, silent)
    port = listener.socket.getsockname()[1]
    route = {"server": "127.0.0.1", "port": port, "protocol": "tcp", "trusted": True}
    await a.proxy.reload(**{"static-routes": {"route": {"quiet.example": route}}})
    found = await probed(a, "sip:x@quiet.example", live=live, timeout=0.2)
    assert (found.sent, found.good, found.status) == (True, False, 408)
    assert "within 0.2 s" in found.why
    assert found.tls is None


@pytest.mark.parametrize("live", [True, False])
async def test_where_nothing_listens_is_answered_as_a_message_would_be(sites, live):
    a = await sites.site(A, plugins=("tls", "static-routes"))
    route = {"server": "127.0.0.1", "port": 1, "protocol": "tcp", "trusted": True}
    await a.proxy.reload(**{"static-routes": {"route": {"down.example": route}}})
    found = await probed(a, "sip:x@down.example", live=live)
    assert (found.sent, found.good, found.status) == (False, False, 500)
    assert "refused" in found.why


async def _serve(handler, *, task_status):
    await trio.serve_tcp(handler, 0, host="127.0.0.1", task_status=task_status)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_routes_without_tls(sites, live, transport):
    a = await sites.site(A)
    agent = await a.proxy.open_peer("near.example", transport=transport)
    found = await probed(a, "sip:x@near.example", live=live)
    assert (found.good, found.tls) == (True, None)
    assert found.place.startswith(f"{transport}:127.0.0.1:")
    assert agent.received["OPTIONS"] == 1


async def test_what_is_not_sent_is_told_with_its_row(sites):
    a = await sites.site(A)
    found = await probed(a, "sip:x@none.example")
    assert (found.sent, found.status, found.row) == (False, 404, 8)
    assert "publishes no federation service" in found.why
    found = await probed(a, "sip:x@192.0.2.1")
    assert (found.status, found.row) == (403, 11)
    found = await probed(a, f"sip:{A}")
    assert (found.sent, found.good, found.status) == (False, True, 200)
    with pytest.raises(ControlError):
        await probed(a, "sip:")
    with pytest.raises(ControlError):
        await probed(a, "sip:x@b.example\r\nX: y")


@pytest.mark.parametrize("live", [True, False])
async def test_the_next_target_is_tried(sites, live):
    a = await sites.site(A)
    await sites.site(B)
    gone = Target(name="gone", uri=b"sip:x@127.0.0.1:1;transport=tcp")

    class Two:
        @hookimpl
        def determine_targets(self, request, sender):
            if b"blocked" in request.uri:
                return Refuse(480, "his server is down")
            there = await_.targets(B.encode())
            return Targets(((gone,), (there.groups[0][0],)))

    await probed(a)
    await_ = a.kernel.proxy.targets.discoveries
    hooks = a.kernel.hooks
    hooks._order.insert(0, "two")
    hooks.register("two", Two())
    found = await probed(a, live=live)
    assert found.good
    assert [one.name for one in found.tried] == ["gone" if live else "tcp:127.0.0.1:1"]
    assert "refused" in found.tried[0].why.lower()
    found = await probed(a, "sip:blocked@b.example", live=live)
    assert (found.status, found.why) == (480, "his server is down")


async def test_partners_are_checked_and_our_own_domain_is_not_one(sites):
    a = await sites.site(A)
    await sites.site(B)
    methods = ProbeMethods(a.kernel, live=False)
    found = await methods.check_partner(PartnerParams(domain="B.example."))
    assert (found.domain, found.good, found.live) == (B, True, False)
    with pytest.raises(ControlError, match=r"sipx dns check a\.example"):
        await methods.check_partner(PartnerParams(domain=A))
    with pytest.raises(ControlError):
        await methods.check_partner(PartnerParams(domain="b..example"))
