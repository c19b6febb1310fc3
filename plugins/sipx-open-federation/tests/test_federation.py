"""Two proxies that know nothing of each other but the DNS: messages over mutual TLS."""

from __future__ import annotations

A, B = "a.example", "b.example"


async def test_two_domains_exchange_messages_found_by_dns(lab):
    a, b = await lab.site(A), await lab.site(B)
    assert (await a.message(b)).status == 200
    assert (await b.message(a)).status == 200
    assert b.agent.received["MESSAGE"] == a.agent.received["MESSAGE"] == 1


async def test_the_way_back_is_the_connection_that_is_there(lab):
    a, b = await lab.site(A), await lab.site(B)
    for _ in range(3):
        assert (await a.message(b)).status == 200
    assert len(a.flows) == len(b.flows) == 1
    [flow] = a.flows
    assert flow.outbound
    assert (flow.peer.name, flow.peer.discovered) == ("b.example (discovered)", True)
