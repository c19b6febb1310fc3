"""The hooks together: interfaces, reloads, blocked domains and routes, Microsoft's methods."""

from __future__ import annotations

import logging

import pytest

from sipx.testing import Authority, check_plugin

from .conftest import said

A, B = "a.example", "b.example"


@pytest.fixture
async def both(lab):
    return await lab.site(A), await lab.site(B)


def federation(site, **changes):
    """The table of a site with changes, for a reload."""
    table = dict(site.proxy._configured.tables["open-federation"])
    return {"open-federation": {**table, **changes}}


async def test_presence_lives_in_both_directions(both):
    a, b = both
    for near, far in ((a, b), (b, a)):
        subscription = await near.agent.subscribe(f"sip:peer@{far.domain}")
        await subscription.next_notify()
        assert (await subscription.refresh()).status == 200
        assert (await subscription.unsubscribe()).status == 200


async def test_an_interface_of_the_file_may_be_used(lab):
    near = {
        "near": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"},
        "far": {"bind": "127.0.0.31", "port": 0, "protocol": "mtls", "certificate": "main"},
    }
    a = await lab.site(A, tables={"interface": near}, interface="far")
    b = await lab.site(B)
    names = [interface.name for interface in a.proxy.kernel.interfaces.all]
    assert names == ["near", "far"]
    assert (await a.message(b)).status == 200
    [flow] = a.flows
    assert flow.interface.name == "far"


async def test_a_reload_goes_on_where_the_old_one_was(lab, both, caplog):
    caplog.set_level(logging.INFO)
    a, b = both
    assert (await a.message(b)).status == 200
    await b.proxy.reload(**federation(b, deny=["c.example"]))
    assert (await a.message(b)).status == 200
    assert len(b.flows) == 1
    told = [r for r in caplog.records if "proven by profile" in r.getMessage()]
    assert len(told) == 1


async def test_a_reload_that_blocks_is_felt_at_once(both):
    a, b = both
    assert (await a.message(b)).status == 200
    await b.proxy.reload(**federation(b, deny=[A]))
    response = await a.message(b)
    assert response.status == 403
    assert "the From domain is blocked; a.example" in said(response)
    await b.proxy.reload(**federation(b, deny=[]))
    assert (await a.message(b)).status == 200


async def test_a_reload_that_takes_out_of_allow_is_felt_within_dialogs(both):
    a, _ = both
    subscription = await a.agent.subscribe(f"sip:peer@{B}")
    await subscription.next_notify()
    await a.proxy.reload(**federation(a, allow=["c.example"]))
    for _ in range(2):
        response = await subscription.refresh()
        assert (response.status, "b.example is not in allow" in said(response)) == (403, True)
    await a.proxy.reload(**federation(a, allow=[B]))
    assert (await subscription.refresh()).status == 200


async def test_a_reload_with_other_profiles_judges_anew(lab):
    a, b = await lab.site(A, names=["sip.a.example"]), await lab.site(B)
    assert (await a.message(b)).status == 200
    await b.proxy.reload(**federation(b, profiles=["rfc5922"]))
    assert (await a.message(b)).status == 403


async def test_switched_off_it_is_gone_in_both_directions(both, eventually):
    a, b = both
    assert (await a.message(b)).status == 200
    await a.proxy.reload(**federation(a, enabled=False))
    response = await a.message(b)
    assert (response.status, "federation off" in said(response)) == (403, True)
    await eventually(lambda: not a.flows)


async def test_a_target_that_moves_is_followed_when_the_answer_expires(lab, both):
    a, b = both
    assert (await a.message(b)).status == 200
    moved = await lab.site("moved.example", names=[B])
    lab.publish(b, address=moved.bind, port=moved.port)
    assert (await a.message(b)).status == 200
    assert b.agent.received["MESSAGE"] == 2
    lab.forget()
    # The new place serves another domain: that it was asked is seen by its answer.
    assert (await a.message(b)).status in (403, 404)


async def test_blocked_counts_more_than_a_static_route(lab):
    route = {B: {"server": "127.0.0.9", "port": 5999, "protocol": "tcp"}}
    a = await lab.site(A, plugins=("tls",), tables={"static-routes": {"route": route}}, deny=[B])
    response = await a.agent.message(f"sip:peer@{B}", "hello")
    assert response.status == 403
    assert "the domain is blocked; b.example" in said(response)


async def test_not_in_allow_counts_for_discovery_only(lab):
    a = await lab.site(A, allow=["c.example"])
    peer = await a.proxy.open_peer(B)  # a route of its own leads there
    assert (await a.agent.message(f"sip:peer@{B}", "hello")).status == 200
    assert peer.received["MESSAGE"] == 1


@pytest.mark.parametrize("benotify", [True, False])
async def test_benotify_is_an_option(lab, benotify, eventually):
    a, b = await lab.site(A), await lab.site(B, benotify=benotify)
    await a.proxy.reload(**federation(a, benotify=True))
    assert (await a.message(b)).status == 200
    tag = [(b"Proxy-Require", b"ms-benotify")]
    request = a.agent.new("BENOTIFY", f"sip:peer@{B}", headers=tag)
    await a.agent.send_ack(request)  # a request without a transaction
    if benotify:
        await eventually(lambda: b.agent.received["BENOTIFY"] == 1)
    else:
        response = await a.agent.request("SUBSCRIBE", f"sip:peer@{B}", headers=tag)
        assert response.status == 420
        assert response.get(b"Unsupported") == b"ms-benotify"
        assert not b.agent.received["BENOTIFY"]


async def test_the_way_that_a_message_would_go_can_be_opened(both):
    """What checks and probes do: the targets of a discovery are targets like all others."""
    a, _ = both
    found = await a.plugin.discovery.discover(B.encode())
    [[target]] = found.targets.groups
    flow = await a.plugin._proxy.open_flow(target)
    assert flow.peer.name == "b.example (discovered)"


def test_the_contract(lab_tables):
    check_plugin("open-federation", **lab_tables)


@pytest.fixture
def lab_tables(tmp_path):
    cert, key = Authority("Lab CA").leaf(dns=["home.example"]).write(tmp_path, "own")
    return {
        "tls": {},
        "certificate": {"main": {"cert_file": cert, "key_file": key}},
        "open-federation": {"certificate": "main", "bind": "127.0.0.1", "port": 0},
    }
