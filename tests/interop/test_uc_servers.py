"""Two Kamailios log on to sipx, one over TCP and one over TLS, and share one domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import Call

from .programs import program
from .site import DOMAIN, PARTNER, Site
from .two_servers import accounts, two_servers, uc_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .two_servers import World

pytestmark = pytest.mark.interop

USERS = {"berlin": ["ada", "anna"], "munich": ["bob", "ben"]}
BANS = """
[lan]
max_failures = 3
ban_after = 4
ban_time = "10m"

[registrar]
"""
TABLES = BANS + accounts(USERS)
PAIRS = [("berlin", "munich"), ("munich", "berlin")]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    program("kamailio")
    with trio.fail_after(120):
        async with two_servers(tmp_path, USERS, TABLES) as both:
            yield both


async def test_all_users_are_registered_each_with_its_server(world: World) -> None:
    owners = {row["user"].partition("@")[0]: row["owner"] for row in world.site.registrations()}
    assert owners == {user: server for server, own in USERS.items() for user in own}
    servers = world.site.servers()
    assert {name: row["state"] for name, row in servers.items()} == dict.fromkeys(USERS, "up")
    assert {name: row["users"] for name, row in servers.items()} == dict.fromkeys(USERS, 2)


async def test_a_partner_reaches_each_user_at_its_server(world: World) -> None:
    for user, agent in world.agents.items():
        text = f"hello {user}"
        assert (await world.eve.message(f"sip:{user}@{DOMAIN}", text)).status == 200
        with trio.fail_after(10):
            assert (await agent.receive("MESSAGE")).body == text.encode()
        subscription = await world.eve.subscribe(f"sip:{user}@{DOMAIN}")
        assert (await subscription.refresh()).status == 200
        assert (await subscription.unsubscribe()).status == 200
        assert agent.received["SUBSCRIBE"] == 3
    assert {agent.received["MESSAGE"] for agent in world.agents.values()} == {1}


@pytest.mark.parametrize(("near", "far"), PAIRS, ids=["tcp-to-tls", "tls-to-tcp"])
async def test_users_of_both_servers_exchange_presence_messages_and_calls(
    world: World, near: str, far: str
) -> None:
    watcher, whom = world.of(near), world.of(far)
    subscription = await watcher.subscribe(whom.uri)
    assert subscription.state == b"active"
    assert (await subscription.refresh()).status == 200
    assert (await watcher.message(whom.uri, "are you there?")).status == 200
    assert (await whom.message(watcher.uri, "I am")).status == 200
    call = await watcher.call(whom.uri)
    assert (await call.hangup()).status == 200
    await watcher.call(whom.uri)
    called = next(one for one in whom.dialogs.values() if isinstance(one, Call))
    assert (await called.hangup()).status == 200
    assert (await subscription.unsubscribe()).status == 200
    assert (await watcher.message(f"sip:nobody@{DOMAIN}", "hello?")).status == 404


async def test_users_of_both_reach_the_partner_who_is_told_who_they_are(world: World) -> None:
    for server in world.servers:
        agent = world.of(server)
        assert (await agent.message(f"sip:eve@{PARTNER}", "from outside")).status == 200
        request = await world.eve.receive("MESSAGE")
        assert request.from_.uri == agent.uri.encode()
        subscription = await agent.subscribe(f"sip:eve@{PARTNER}")
        assert (await subscription.unsubscribe()).status == 200


async def test_a_server_may_speak_only_for_its_users(world: World) -> None:
    ada = world.of("berlin")
    answer = await ada.message(f"sip:ben@{DOMAIN}", "trust me", sender=f"sip:bob@{DOMAIN}")
    assert answer.status == 403
    assert world.agents["ben"].received["MESSAGE"] == 0


def test_a_wrong_password_is_challenged_then_refused_then_banned(tmp_path: Path) -> None:
    program("kamailio")
    site = Site(tmp_path, TABLES)
    wrong = uc_server(site, "munich", USERS["munich"], password="Isar and Danube")
    site.wait_logged("wrong", "munich", "127.0.0.11")
    site.wait_logged("REGISTER", "127.0.0.11", "403")
    site.wait_logged("banned", "127.0.0.11")
    right = uc_server(site, "berlin", USERS["berlin"])
    right.wait_registered()
    assert not wrong.registered()
    assert "Isar" not in site.log()
    wrong.end()
    right.end()
    site.end()
