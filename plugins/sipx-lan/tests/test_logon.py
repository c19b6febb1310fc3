"""A UC server logs on, and what its logon is worth: rows 15, 16, 20 and 23 of docs/trust.md."""

from __future__ import annotations

import pytest
import trio
from sipx_lan import LoggedOff, LoggedOn, LogonRefused

from sipx import SenderKind
from sipx.sip import digest
from sipx.testing import Dialog


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_server_logs_on_with_a_password_and_is_not_asked_again(
    start_site, autojump_clock, transport
):
    site = await start_site(protocol=transport)
    server = site.client(transport=transport)
    assert (await server.register()).status == 200
    [sender] = site.registrar.senders
    assert (sender.kind, sender.trusted) == (SenderKind.UC_SERVER, True)
    assert sender.row == {"tcp": 20, "udp": 23}[transport]
    assert sender.account.name == sender.name == f"ucserver@{server.agent.place[0]}"
    assert sender.account.logon == b"ucserver"
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    assert (await server.agent.send(request)).status == 200
    assert site.away.received["MESSAGE"] == 1


async def test_without_a_live_registration_each_request_is_challenged(start_site, autojump_clock):
    site = await start_site()
    server = site.client()
    assert (await server.register(expires=0)).status == 200
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    response = await server.agent.send(request)
    assert response.status == 407
    assert (await server.agent.send(server.answer(request, response))).status == 200


async def test_the_challenges_are_sha_256_then_sha_512_256(start_site, autojump_clock):
    site = await start_site()
    server = site.client()
    request = server.agent.new("REGISTER", "sip:home.example", sender="sip:ucserver@home.example")
    response = await server.agent.send(request)
    offered = [digest.Challenge.parse(v) for v in response.get_all(b"WWW-Authenticate")]
    assert [challenge.algorithm for challenge in offered] == [b"SHA-256", b"SHA-512-256"]
    assert {challenge.realm for challenge in offered} == {b"home.example"}
    assert {challenge.stale for challenge in offered} == {False}


@pytest.mark.parametrize("algorithm", digest.PREFERRED)
async def test_each_algorithm_that_is_offered_will_do(start_site, autojump_clock, algorithm):
    site = await start_site()
    assert (await site.client().register(algorithms=[algorithm])).status == 200


async def test_wrong_is_asked_again_and_the_third_time_refused(start_site, autojump_clock):
    site = await start_site()
    server = site.client(password="wrong")
    statuses = [(await server.message()).status for _ in range(4)]
    assert statuses == [407, 407, 403, 403]
    assert [event.failures for event in site.events(LogonRefused)] == [1, 2, 3, 4]
    assert site.away.received["MESSAGE"] == 0
    server.password = "correct horse"
    assert (await server.message()).status == 200


async def test_a_right_password_makes_the_count_begin_anew(start_site, autojump_clock):
    site = await start_site()
    server = site.client()
    statuses = []
    for password in ("wrong", "wrong", "correct horse", "wrong", "wrong", "wrong"):
        statuses.append((await server.message(password=password)).status)
    assert statuses == [407, 407, 200, 407, 407, 403]


async def test_a_user_name_counts_in_any_case_and_with_its_domain(start_site, autojump_clock):
    site = await start_site()
    for name in ("UCServer", "ucserver@home.example"):
        assert (await site.client().register(user=name)).status == 200


async def test_where_nobody_logs_on_nobody_is_asked(start_site, autojump_clock):
    site = await start_site()
    for interface, transport in (("udp", "udp"), ("tcp", "tcp")):
        stranger = site.client(transport=transport, interface=interface)
        response = await stranger.message()
        assert response.status == 403
        assert not response.get_all(b"Proxy-Authenticate")


async def test_an_account_is_one_for_each_address_with_the_shared_user(start_site, autojump_clock):
    site = await start_site()
    servers = [site.client() for _ in range(3)]
    for server in servers:
        assert (await server.register()).status == 200
    names = [account.name for account in site.proxy.plugin("lan").accounts()]
    assert names == [f"ucserver@{server.agent.place[0]}" for server in servers]


async def test_logging_on_and_off_is_told(start_site, autojump_clock):
    site = await start_site(server={"berlin": {"password": "b"}})
    one = site.client(user="berlin", password="b")
    two = site.client(user="berlin", password="b")
    await one.register()
    await two.register()
    here, there = one.agent.place[0], two.agent.place[0]
    told = site.events(LoggedOn)
    assert [(event.account, event.address, event.how) for event in told] == [
        ("berlin", here, "password"),
        ("berlin", there, "password"),
    ]
    assert [event.elsewhere for event in told] == [(), (here,)]
    flow = site.flow_of(one)
    assert flow.account == "berlin"
    flow.close("gone")
    [event] = site.events(LoggedOff)
    assert (event.account, event.address, event.reason) == ("berlin", here, "gone")


async def test_a_server_that_went_away_comes_back_on_another_connection(
    start_site, autojump_clock, caplog
):
    caplog.set_level("INFO", "sipx.plugin.lan")
    site = await start_site()
    server = site.client()
    host = server.agent.place[0]
    await server.register()
    site.flow_of(server).close("the peer has closed it")
    await trio.sleep(1)  # until it has noticed; the clock jumps
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    asked = await server.agent.send(request)
    assert asked.status == 407  # what the old connection had proven is gone with it
    assert (await server.register()).status == 200
    assert [event.account for event in site.events(LoggedOn)] == [f"ucserver@{host}"] * 2
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" from ")[0].partition(": ")[0] for line in said] == [
        f"ucserver@{host} logged on",
        f"ucserver@{host} is not logged on any more",
        f"ucserver@{host} logged on",
    ]


async def test_a_server_at_two_addresses_is_warned_about(start_site, autojump_clock, caplog):
    site = await start_site(server={"berlin": {"password": "b"}})
    for _ in range(2):
        await site.client(user="berlin", password="b").register()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("berlin logged on from tcp:127.0.1.3:")
    assert line.endswith("(password) while it is logged on from 127.0.1.2")


async def test_addresses_over_udp_that_have_become_quiet_are_not_told_of(
    start_site, autojump_clock
):
    site = await start_site(protocol="udp", server={"berlin": {"password": "b"}})
    first = site.client(transport="udp", user="berlin", password="b")
    await first.register(expires=0)
    await trio.sleep(700)
    second = site.client(transport="udp", user="berlin", password="b")
    await second.register()
    assert [event.elsewhere for event in site.events(LoggedOn)] == [(), ()]
    [state] = site.proxy.plugin("lan").status_sections()["accounts"]
    assert state.logged_on == (f"udp:{second.agent.place[0]}:5060",)


async def test_two_accounts_may_share_a_connection(start_site, client_of, autojump_clock):
    site = await start_site(
        server={"a": {"password": "a", "users": "alice"}, "b": {"password": "b", "users": "bob"}}
    )
    first = site.client(user="a", password="a")
    second = client_of(first.agent, "b", "b")
    assert (await first.register()).status == 200
    flow = site.flow_of(first)
    assert (flow.account, flow.account_until > 0) == ("a", True)
    assert (await first.message(sender="sip:carol@home.example")).status == 403
    assert (await second.message(sender="sip:bob@home.example")).status == 200
    assert (flow.account, flow.account_until) == ("b", 0.0)
    assert (await first.message(sender="sip:alice@home.example")).status == 200
    assert flow.account == "a"


# ---------------------------------------------------------------- whose users


async def test_a_server_speaks_for_its_users_and_for_itself_only(start_site, autojump_clock):
    site = await start_site(server={"berlin": {"password": "b", "users": ["*.berlin", "desk"]}})
    server = site.client(user="berlin", password="b")
    statuses = {
        sender: (await server.message(sender=f"sip:{sender}")).status
        for sender in (
            "Anna.Berlin@home.example",
            "desk@home.example",
            "berlin@home.example",
            "desk@away.example",
            "bob@home.example",
        )
    }
    assert list(statuses.values()) == [200, 200, 200, 403, 403]


async def test_a_user_speaks_for_itself_only_and_is_not_trusted(start_site, autojump_clock):
    site = await start_site(server={"alice": {"password": "a", "kind": "user"}})
    alice = site.client(user="alice", password="a")
    assert (await alice.message(sender="sip:alice@home.example")).status == 200
    assert (await alice.message(sender="sip:bob@home.example")).status == 403
    await alice.register()
    [sender] = site.registrar.senders
    assert (sender.kind, sender.trusted) == (SenderKind.USER, False)
    assert sender.account.weight == 0
    assert sender.account.may_serve(b"alice@home.example")
    assert not sender.account.may_serve(b"bob@home.example")


# ---------------------------------------------------------------- where from


async def test_an_account_logs_on_from_its_addresses_only(start_site, autojump_clock):
    addresses = {"addresses": "10.0.0.0/8", "password": "b"}
    site = await start_site(server={"berlin": addresses})
    server = site.client(user="berlin", password="b")
    assert [(await server.message()).status for _ in range(3)] == [407, 407, 403]


# ---------------------------------------------------------------- dialogs


async def test_within_a_dialog_nobody_is_asked_again_on_its_flow(start_site, autojump_clock):
    site = await start_site()
    server = site.client()
    invite = server.agent.new(
        "INVITE",
        "sip:peer@away.example",
        sender="sip:alice@home.example",
        headers=((b"Contact", b"<" + server.agent.contact + b">"),),
    )
    challenged = await server.agent.send(invite)
    assert challenged.status == 407
    proven = server.answer(invite, challenged)
    answered = await server.agent.send(proven)
    assert answered.status == 200
    dialog = Dialog.of_caller(proven, answered)
    # RFC 3261 §22.1: the ACK repeats the credentials of its INVITE, which are used.
    used = ((b"Proxy-Authorization", proven.get(b"Proxy-Authorization")),)
    await server.agent.send_ack(dialog.request(b"ACK", used, cseq=dialog.local_cseq))
    assert (await site.away.receive("ACK")).get(b"Proxy-Authorization") is None
    assert (await server.agent.send(dialog.request(b"BYE"))).status == 200


async def test_the_same_dialog_on_another_flow_needs_credentials(start_site, autojump_clock):
    site = await start_site()
    server, thief = site.client(), site.client()
    assert (await thief.message()).status == 200
    contact = ((b"Contact", b"<" + server.agent.contact + b">"),)
    subscribe = server.agent.new(
        "SUBSCRIBE",
        "sip:peer@away.example",
        sender="sip:alice@home.example",
        headers=(*contact, (b"Event", b"presence"), (b"Expires", b"60")),
    )
    proven = server.answer(subscribe, await server.agent.send(subscribe))
    dialog = Dialog.of_caller(proven, await server.agent.send(proven))
    inside = dialog.request(b"SUBSCRIBE", (*contact, (b"Event", b"presence")))
    assert (await thief.agent.send(inside.copy())).status == 407
    assert (await server.agent.send(inside)).status == 200
