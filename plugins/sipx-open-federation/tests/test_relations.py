"""What there is with partners, between proxies that run: book, limits, connections, keepalive."""

from __future__ import annotations

import trio
from sipx_open_federation import connections
from sipx_open_federation.partners_control import PartnerMethods
from sipx_open_federation.partners_state import ForgetParams, PartnersParams
from sipx_open_federation.relations import PartnerOverLimit

A, B, C = "a.example", "b.example", "c.example"
SLOW = {"messages_per_second": 1, "burst": 2}


def known(site, domain):
    return site.plugin.relations.book.entry(domain.encode())


def listed(site, **params):
    methods = PartnerMethods(site.plugin.relations, site.plugin._proxy)
    return methods.list_partners(PartnersParams(**params))


async def changed(site, **settings):
    table = site.proxy._configured.tables["open-federation"]
    await site.proxy.reload(**{"open-federation": {**table, **settings}})


def flows_to(site, domain):
    return site.plugin.relations.flows(domain.encode())


# ---------------------------------------------------------------- the book


async def test_both_sides_write_down_whom_they_met_and_how(lab):
    a, b = await lab.site(A), await lab.site(B)
    assert (await a.message(b)).status == 200
    out, come_in = known(a, B), known(b, A)
    assert (out.messages_in, out.messages_out, out.first_in) == (0, 1, 0.0)
    assert (come_in.messages_in, come_in.messages_out, come_in.first_out) == (1, 0, 0.0)
    for entry, name in ((out, B), (come_in, A)):
        assert (entry.profile, entry.identity) == ("rfc5922", name)
        assert entry.subject
        assert entry.not_after > entry.last > 0.0
    assert (await b.message(a)).status == 200
    assert (out.messages_in, out.messages_out) == (1, 1)


async def test_who_proves_nothing_is_not_in_the_book(lab):
    a, b = await lab.site(A), await lab.site(B, names=["elsewhere.example"])
    assert (await b.message(a)).status == 403
    assert (await a.message(b)).status == 502
    assert len(a.plugin.relations.book) == 0
    assert known(b, A).messages_out == 1


async def test_a_partner_that_is_blocked_now_is_refused_and_counted(lab):
    a, b = await lab.site(A), await lab.site(B)
    await a.message(b)
    await changed(b, deny=[A])
    assert (await a.message(b)).status == 403
    assert known(b, A).refused == 1
    [state] = listed(b).partners
    assert state.standing == "blocked"


async def test_partners_are_listed_with_what_is_open(lab):
    a, b, c = await lab.site(A), await lab.site(B), await lab.site(C)
    await b.message(a)
    await c.message(a)
    found = listed(a)
    assert [each.domain for each in found.partners] == [C, B]
    assert found.partners[1].flows == tuple(flow.name for flow in flows_to(a, B))
    assert listed(a, domain="B.example.").total == 1
    assert listed(a, domain="*.example", limit=1).total == 2
    assert listed(a, domain="nobody.example").total == 0
    for flow in flows_to(a, B):
        flow.close("the test says so")
    assert [each.domain for each in listed(a, connected=True).partners] == [C]


async def test_forgetting_takes_a_partner_out_until_it_comes_again(lab):
    a, b = await lab.site(A), await lab.site(B)
    await b.message(a)
    methods = PartnerMethods(a.plugin.relations, a.plugin._proxy)
    assert methods.forget(ForgetParams(domain=B), None).text == "b.example is forgotten"
    assert known(a, B) is None
    for flow in flows_to(a, B):
        flow.close("the test says so")
    await b.message(a)
    assert known(a, B).messages_in == 1


async def test_a_reload_goes_on_where_it_was(lab):
    a, b = await lab.site(A), await lab.site(B)
    await b.message(a)
    before = a.plugin
    await changed(a, burst=50)
    assert a.plugin is not before
    await b.message(a)
    assert known(a, B).messages_in == 2
    assert len(flows_to(a, B)) == 1


# ---------------------------------------------------------------- limits


async def test_a_partner_over_its_limit_is_refused_and_others_are_not(lab):
    a, b, c = await lab.site(A, **SLOW), await lab.site(B), await lab.site(C)
    answers = []
    async with trio.open_nursery() as nursery:

        async def send():
            answers.append(await b.message(a))

        for _ in range(30):
            nursery.start_soon(send)
        with trio.fail_after(5):
            assert (await c.message(a)).status == 200
    # A 503 of the next hop is passed on as 500 (RFC 3261 §16.7 item 6).
    told = [answer for answer in answers if answer.status == 500]
    assert len(told) >= 10
    assert all(b"over its limit" in answer.get(b"Warning") for answer in told)
    entry = known(a, B)
    assert entry.limited == len(told)
    assert entry.slowed >= 1
    assert known(a, C).limited == 0
    [event] = [e for _, e in a.proxy.events if isinstance(e, PartnerOverLimit)]
    assert event.domain == B


async def test_an_allowed_partner_has_no_limits(lab):
    a = await lab.site(A, partner={B: {"allowed": True}}, **SLOW)
    b = await lab.site(B)
    for _ in range(12):
        assert (await b.message(a)).status == 200
    assert known(a, B).slowed == 0


async def test_a_partner_may_ask_for_so_many_users_a_day(lab):
    await lab.site(A, users_per_day=1)
    b = await lab.site(B)
    assert (await b.agent.message(f"sip:one@{A}", "x")).status == 200
    answer = await b.agent.message(f"sip:two@{A}", "x")
    assert answer.status == 500
    assert b"more than 1 different users today" in answer.get(b"Warning")
    assert (await b.agent.message(f"sip:one@{A}", "x")).status == 200


# ---------------------------------------------------------------- connections


async def test_a_subscription_keeps_the_connection_at_both_ends(lab):
    a, b = await lab.site(A), await lab.site(B)
    await a.agent.subscribe(f"sip:peer@{B}")
    now = a.proxy.kernel.clock()
    for near, far in ((a, B), (b, A)):
        [flow] = flows_to(near, far)
        assert flow.keep_until > now + 3000
        assert near.plugin.relations.connections.of(far.encode()).subscriptions == 1


async def test_both_ends_agree_on_keepalives(lab):
    a, b = await lab.site(A), await lab.site(B)
    subscription = await a.agent.subscribe(f"sip:peer@{B}")
    [flow] = flows_to(a, B)
    assert flow.ping_every == 200.0
    [other] = flows_to(b, A)
    assert other.ping_every == 0.0
    assert subscription.request.get(b"ms-keep-alive") is None
    received = await b.agent.receive("SUBSCRIBE")
    assert received.get(b"ms-keep-alive") is None


async def test_a_broken_connection_with_subscriptions_comes_back(lab, monkeypatch, eventually):
    monkeypatch.setattr(connections, "BASE_NONE", 0.05)
    a, _ = await lab.site(A), await lab.site(B)
    subscription = await a.agent.subscribe(f"sip:peer@{B}")
    [flow] = flows_to(a, B)
    flow.close("the test says so")
    await eventually(lambda: a.plugin.relations.connections.of(B.encode()).flows == 1)
    assert [each.id for each in flows_to(a, B)] == list(listed(a).partners[0].flow_ids)
    assert flows_to(a, B) != [flow]
    assert (await subscription.refresh()).status == 200
    assert (await subscription.unsubscribe()).status == 200
    assert a.plugin.relations.connections.of(B.encode()).subscriptions == 0


async def test_without_subscriptions_it_does_not(lab, monkeypatch):
    monkeypatch.setattr(connections, "BASE_NONE", 0.0)
    a, b = await lab.site(A), await lab.site(B)
    await a.message(b)
    for flow in flows_to(a, B):
        flow.close("the test says so")
    assert a.plugin.relations.connections.of(B.encode()) == (0, 0, 0, None)


async def test_with_who_is_blocked_no_connection_is_kept(lab):
    a, _ = await lab.site(A), await lab.site(B)
    await a.agent.subscribe(f"sip:peer@{B}")
    [flow] = flows_to(a, B)
    assert flow.keep_until > 0.0
    await changed(a, deny=[B])
    assert flow.keep_until == 0.0
    assert a.plugin.relations.connections.of(B.encode()).subscriptions == 0


# ---------------------------------------------------------------- the status


async def test_the_status_shows_how_many_there_are_and_those_of_now(lab):
    a, b = await lab.site(A), await lab.site(B)
    await b.message(a)
    sections = a.proxy.kernel.handle("open-federation").status().sections
    assert sections["open-federation"] == {
        "interface": "open-federation",
        "known": 1,
        "connected": 1,
        "messages_in": 1,
        "messages_out": 0,
        "slowed": 0,
        "limited": 0,
        "refused": 0,
    }
    [row] = sections["partners"]
    assert (row["domain"], row["standing"], row["flows"]) == (B, "discovered", 1)
