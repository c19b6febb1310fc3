"""What changes while it runs: passwords, accounts, files with users; what is shown of it."""

from __future__ import annotations

import os
import threading

import pytest
import trio
from sipx_lan import LoggedOff, user_files
from sipx_lan.control import Unban

from sipx import Caller, ControlError
from sipx.sip import digest

LAN = {"bind": "127.0.0.1", "port": 5070}
BERLIN = {"password": "b", "users": "*.berlin"}
LEIPZIG = {"password": "l"}


async def reload(site, **lan):
    await site.proxy.reload(lan={**LAN, **lan})


@pytest.fixture
async def two(start_site, autojump_clock):
    """Two servers that have logged on: the site, berlin and leipzig."""
    site = await start_site(user=None, password=None, server={"berlin": BERLIN, "leipzig": LEIPZIG})
    clients = [
        site.client(user="berlin", password="b"),
        site.client(user="leipzig", password="l"),
    ]
    for client in clients:
        assert (await client.register()).status == 200
    return site, *clients


def plain(client, sender="sip:leipzig@home.example"):
    return client.agent.new("MESSAGE", "sip:peer@away.example", sender=sender)


@pytest.mark.parametrize(
    "leipzig",
    [
        {"password": "another"},
        {"password": "l", "addresses": "10.0.0.0/8"},
        {"password": "l", "user": "lpz"},
        {"password": "l", "kind": "user"},
        {"password": "l", "enabled": False},
        None,
    ],
)
async def test_what_proves_an_account_counts_at_once(two, leipzig):
    site, berlin, server = two
    flow = site.flow_of(server)
    servers = {"berlin": BERLIN} | ({} if leipzig is None else {"leipzig": leipzig})
    await reload(site, server=servers)
    assert (flow.account, flow.account_until) == ("", 0.0)
    assert [event.account for event in site.events(LoggedOff)] == ["leipzig"]
    assert (await server.agent.send(plain(server))).status == 407
    # Whoever has not changed notices nothing.
    other = plain(berlin, "sip:a.berlin@home.example")
    assert (await berlin.agent.send(other)).status == 200


async def test_a_new_password_is_good_at_once(two):
    site, _, server = two
    await reload(site, server={"berlin": BERLIN, "leipzig": {"password": "another"}})
    server.password = "another"
    assert (await server.message(sender="sip:leipzig@home.example")).status == 200


async def test_what_proves_nothing_may_change_without_anybodys_notice(two):
    site, _, server = two
    changed = {"password": "l", "weight": 5, "comment": "x", "users": "*"}
    await reload(site, server={"berlin": BERLIN, "leipzig": changed})
    assert (await server.agent.send(plain(server))).status == 200
    assert site.events(LoggedOff) == []


async def test_a_password_in_another_place_is_no_other_password(two, tmp_path):
    site, _, server = two
    (tmp_path / "secret").write_text("l\n")
    moved = {"password": {"file": str(tmp_path / "secret")}}
    await reload(site, server={"berlin": BERLIN, "leipzig": moved})
    assert (await server.agent.send(plain(server))).status == 200


async def test_a_reload_that_fails_changes_nothing(two):
    site, _, server = two
    with pytest.raises(Exception, match="has no password"):
        await site.proxy.reload(lan={**LAN, "bind": "*", "server": {"leipzig": {}}})
    assert (await server.agent.send(plain(server))).status == 200


async def test_switched_off_and_on_again_nobody_is_logged_on(two):
    site, _, server = two
    servers = {"berlin": BERLIN, "leipzig": LEIPZIG}
    interface = {"bind": "127.0.0.1", "port": 5070, "protocol": "tcp", "role": "lan"}
    assert server is not None
    await site.proxy.reload(lan={"enabled": False, "server": servers})
    await site.proxy.reload(lan={"server": servers}, interface={"near": interface})
    again = site.client(user="leipzig", password="l", interface="near")
    assert (await again.agent.send(plain(again))).status == 407


async def test_challenges_counts_and_bans_outlive_a_reload(start_site, autojump_clock):
    site = await start_site(ban_after=3)
    server, attacker = site.client(), site.client(password="wrong")
    for _ in range(3):
        await attacker.message()
    request = server.agent.new("MESSAGE", "sip:peer@away.example", sender="sip:a@home.example")
    asked = await server.agent.send(request)
    first, second = server.answer(request, asked), server.answer(request, asked)
    assert (await server.agent.send(first)).status == 200
    await reload(site, user="ucserver", password="correct horse", ban_after=5)
    assert (await server.agent.send(second)).status == 200
    replayed = await server.agent.send(first.copy())
    assert digest.Challenge.parse(replayed.get(b"Proxy-Authenticate")).stale
    now = site.proxy.kernel.clock()
    assert site.judge.bans.banned(attacker.agent.place[0], now)
    assert [account.name for account in site.proxy.plugin("lan").accounts()] == [
        f"ucserver@{server.agent.place[0]}"
    ]


# ---------------------------------------------------------------- files with users


async def test_a_file_of_users_is_read_again_when_it_changes(start_site, autojump_clock, tmp_path):
    path = tmp_path / "berlin.users"
    path.write_text("anna\n")
    site = await start_site(server={"berlin": {"password": "b", "users": {"file": str(path)}}})
    client = site.client(user="berlin", password="b")
    [account] = [a for a in site.proxy.plugin("lan").accounts() if a.name == "berlin"]

    async def may(user):
        return (await client.message(sender=f"sip:{user}@home.example")).status == 200

    assert (await may("anna"), await may("bert")) == (True, False)
    path.write_text("bert\nberta\n")
    await trio.sleep(6)
    assert (await may("anna"), await may("bert")) == (False, True)
    assert account.may_serve(b"berta@home.example")

    path.write_text("carl\nd*e*f*g\n")
    await trio.sleep(6)
    assert (await may("carl"), await may("bert")) == (False, True)
    proxy = site.proxy.plugin("lan")._proxy
    assert "line 2" in proxy.trouble("users", "berlin")
    path.unlink()
    await trio.sleep(6)
    assert "cannot be read" in proxy.trouble("users", "berlin")
    path.write_text("carl\n")
    os.utime(path, ns=(1, 1))
    await trio.sleep(6)
    assert await may("carl")
    assert proxy.trouble("users", "berlin") == ""


async def test_a_long_file_is_read_where_nobody_waits_for_it(start_site, tmp_path, monkeypatch):
    path = tmp_path / "berlin.users"
    path.write_text("anna\n")
    site = await start_site(server={"berlin": {"password": "b", "users": {"file": str(path)}}})
    plugin = site.proxy.plugin("lan")
    [account] = [a for a in plugin.accounts() if a.name == "berlin"]
    threads = []
    read = user_files.read_users
    monkeypatch.setattr(
        user_files, "read_users", lambda path: threads.append(threading.get_ident()) or read(path)
    )
    for text, elsewhere in (("bert\n", False), ("".join(f"u{n}\n" for n in range(20_000)), True)):
        path.write_text(text)
        await plugin._files.look()
        assert account.may_serve(text.split()[-1].encode() + b"@home.example")
        assert (threads[-1] != threading.get_ident()) is elsewhere
    assert not account.may_serve(b"anna@home.example")


# ---------------------------------------------------------------- what is shown


async def test_the_status_tells_accounts_and_bans_and_no_secret(two):
    site, berlin, _ = two
    for _ in range(10):
        site.judge.bans.failed("192.0.2.9", b"x", site.proxy.kernel.clock())
    sections = site.proxy.plugin("lan").status_sections()
    first, second = sections["accounts"]
    assert (first.name, first.kind, first.users, first.proof) == (
        "berlin",
        "server",
        "*.berlin",
        "password",
    )
    assert (first.registered, second.users) == (True, "all")
    assert first.logged_on == (site.flow_of(berlin).name,)
    [ban] = sections["bans"]
    assert (ban.source, ban.until - ban.since, ban.failures) == ("192.0.2.9", 600.0, 10)
    assert "'b'" not in repr(sections)


async def test_of_very_many_accounts_the_status_shows_the_servers_first(start_site, autojump_clock):
    users = {f"u{number}": {"password": "x", "kind": "user"} for number in range(150)}
    site = await start_site(server={**users, "berlin": BERLIN})
    plugin = site.proxy.plugin("lan")
    states = plugin.status_sections()["accounts"]
    assert (len(states), states[0].name) == (100, "berlin")
    assert len(plugin.control_methods()["lan.accounts"]().accounts) == 151


async def test_the_control_api_lists_and_ends_bans(two):

    site, *_ = two
    methods = site.proxy.plugin("lan").control_methods()
    now = site.proxy.kernel.clock()
    for source in ("192.0.2.9", "192.0.2.10"):
        for _ in range(10):
            site.judge.bans.failed(source, b"x", now)
    assert [ban.source for ban in methods["lan.bans"]().bans] == ["192.0.2.9", "192.0.2.10"]
    caller = Caller("ada")
    done = methods["lan.unban"](Unban(source="192.0.2.9"), caller)
    assert done.text == "not banned any more: 192.0.2.9"
    with pytest.raises(ControlError, match=r"192\.0\.2\.9 is not banned"):
        methods["lan.unban"](Unban(source="192.0.2.9"), caller)
    methods["lan.unban"](Unban(), caller)
    assert methods["lan.bans"]().bans == ()
    assert [account.name for account in methods["lan.accounts"]().accounts] == ["berlin", "leipzig"]
