"""A UC server dies under load and comes back; sipx dies and comes back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
import trio

from .cable import Cable
from .partner_load import PartnerLoad, Sent
from .programs import free_port, program
from .raw_client import NothingHeardError, RawClient
from .site import DOMAIN, PARTNER_ADDRESS, Site
from .two_servers import ADDRESSES, accounts, two_servers, uc_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

RATE = 200
"""Messages a second."""
ONLY = {
    "berlin": [f"load-b{number}" for number in range(4)],
    "munich": [f"load-m{number}" for number in range(4)],
}
SHARED = {
    "berlin": [f"load-s{number}" for number in range(4)],
    "munich": [f"load-s{number}" for number in range(4, 8)],
}
ANYWHERE = [f"load-s{number}" for number in range(8, 28)]
"""Nobody registers them: any of both servers may serve them."""
TABLES = """
[lan]

[registrar]
ping_interval = "1s"
ping_timeout = "1s"
slow_start = "2s"
retry_after = "7s"
"""
USERS = accounts(
    {"berlin": ["load-b*", "load-s*"], "munich": ["load-m*", "load-s*"]},
)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """sipx and both servers, all users registered."""
    program("kamailio")
    running = Site(tmp_path, TABLES + USERS, partner=(free_port(PARTNER_ADDRESS), "tcp"))
    yield running
    running.end()


def shown(messages: list[Sent]) -> str:
    """For the message of a failed assertion."""
    return "\n".join(str(one) for one in messages[:20])


@pytest.mark.parametrize(("dying", "other"), [("berlin", "munich"), ("munich", "berlin")])
def test_a_server_that_dies_under_load_costs_no_message_another_could_take(
    site: Site, dying: str, other: str
) -> None:
    servers = {name: uc_server(site, name, ONLY[name] + SHARED[name]) for name in ONLY}
    for server in servers.values():
        server.wait_registered()
    shared = SHARED[dying] + SHARED[other] + ANYWHERE
    load = PartnerLoad(site.wan("tcp"), [*ONLY[dying], *ONLY[other], *shared], RATE)
    load.start()
    load.wait_more(2 * RATE)
    killed = time.monotonic()
    servers[dying].kill()
    gone = time.monotonic()
    load.wait(lambda: time.monotonic() > gone + 2, "two seconds")
    load.wait_more(2 * RATE)
    again = time.monotonic()
    servers[dying].start()
    servers[dying].wait_registered()

    def is_served_by_it(users: list[str]) -> bool:
        last = load.sent[-2 * RATE :]
        return any(one.served_by == dying and one.user in users for one in last)

    load.wait(lambda: is_served_by_it(ANYWHERE), "its share of those anybody may serve")
    load.wait(lambda: is_served_by_it(SHARED[dying]), "its registered users")
    back = time.monotonic()
    load.wait_more(2 * RATE)
    load.stop()
    for server in servers.values():
        server.end()

    # Each message has one final answer, never two.
    assert not [one for one in load.sent if len(one.statuses) != 1]
    others = [one for one in load.sent if one.user not in ONLY[dying]]
    # None was lost that had another target, whatever was on its way when the server died.
    assert {one.status for one in others} == {200}, shown([o for o in others if o.status != 200])
    before = load.since(0, killed)
    assert {one.served_by for one in before if one.user in SHARED[dying]} == {dying}
    for user in ANYWHERE:
        assert len({one.served_by for one in before if one.user == user}) == 1, user
    assert {one.served_by for one in before if one.user in ANYWHERE} == set(servers)

    # Two seconds after the loss of the connection all is as it will be.
    slow = [one for one in others if one.at >= gone and one.answered_at > one.at + 2]
    assert not slow, shown(slow)
    down = load.since(gone + 2, again)
    assert {one.served_by for one in down if one.user in shared} == {other}
    lonely = [one for one in down if one.user in ONLY[dying]]
    assert {(one.status, one.retry_after) for one in lonely} == {(480, "7")}, shown(lonely)

    # It is back, and has its share.
    after = load.since(back)
    assert {one.status for one in after} == {200}, shown([o for o in after if o.status != 200])
    assert {one.served_by for one in after if one.user in ONLY[dying]} == {dying}
    assert {one.served_by for one in after if one.user in ONLY[other]} == {other}
    assert {one.served_by for one in after if one.user in ANYWHERE} == set(servers)


def test_a_connection_that_is_lost_is_made_again(site: Site) -> None:
    """The server is well and does not know: it registers again in ten minutes at the earliest."""
    cable = Cable("127.0.0.30", site.lan["tcp"], ADDRESSES["berlin"])
    berlin = uc_server(site, "berlin", ONLY["berlin"] + SHARED["berlin"], sipx=cable.place)
    berlin.wait_registered()
    load = PartnerLoad(site.wan("tcp"), ONLY["berlin"], RATE // 4)
    load.start()
    load.wait_more(RATE // 4)
    assert cable.cut() == 1
    lost = time.monotonic()
    load.wait(lambda: time.monotonic() > lost + 2, "two seconds")
    again = time.monotonic()
    load.wait_more(RATE // 2)
    site.wait_for(lambda: site.servers()["berlin"]["state"] == "up", "berlin is up again")
    load.stop()
    berlin.end()
    assert {tuple(one.statuses) for one in load.since(again)} == {(200,)}, shown(load.since(again))
    assert {len(one.statuses) for one in load.sent} == {1}


PEOPLE = {"berlin": ["ada"], "munich": ["bob"]}


async def test_after_kill_9_the_bindings_are_there_and_users_are_reached(tmp_path: Path) -> None:
    program("kamailio")
    async with two_servers(tmp_path, PEOPLE, TABLES + accounts(PEOPLE)) as world:
        site = world.site
        before = site.registrations()
        site.proxy.kill()
        await trio.to_thread.run_sync(site.proxy.start)
        world.eve.proxy = site.wan("udp")
        kept = ("user", "owner", "contact")
        assert [[row[key] for key in kept] for row in site.registrations()] == [
            [row[key] for key in kept] for row in before
        ]
        # Nobody has registered anew: the way to them is that of their bindings.
        for user, agent in world.agents.items():
            uri = f"sip:{user}@{DOMAIN}"
            assert (await world.eve.message(uri, "still there?")).status == 200
            call = await world.eve.call(uri)
            assert (await call.hangup()).status == 200
            subscription = await world.eve.subscribe(uri)
            assert (await subscription.unsubscribe()).status == 200
            assert agent.received["MESSAGE"] == 1
        # And between them: a connection that was made anew is challenged and goes on.
        ada, bob = world.agents["ada"], world.agents["bob"]
        assert (await ada.message(bob.uri, "me too")).status == 200
        assert (await bob.message(ada.uri, "so am I")).status == 200


FLOOD = 2000
CUT = 700
"""After so many 200s the proxy is killed, with further ones under way."""


def test_no_binding_that_was_acknowledged_is_lost_by_kill_9(tmp_path: Path) -> None:
    tables = """
[lan]
[lan.server.berlin]
password = "pw"
users = ["user*"]
[registrar]
register_rate = 100000
"""
    site = Site(tmp_path, tables, level="warning")
    with RawClient(site.lan["tcp"], address=ADDRESSES["berlin"]) as client:
        acknowledged = registered_until_killed(site, client)
    site.proxy.start()
    there = {row["user"].partition("@")[0] for row in site.registrations()}
    assert acknowledged <= there, acknowledged - there
    site.end()


def registered_until_killed(site: Site, client: RawClient) -> set[str]:
    """The users whose REGISTER was answered 200 before the proxy was no more."""
    assert client.register_with("user", "berlin", "pw").status == 200
    texts = [client.register(f"user{number}") for number in range(FLOOD)]
    client.send("".join(texts[:100]))
    acknowledged: set[str] = {"user"}
    sent = 100
    try:
        while True:
            response = client.hear()
            assert response.status == 200, response.start
            acknowledged.add(response.to.uri.decode().removeprefix("sip:").partition("@")[0])
            if len(acknowledged) == CUT:
                site.proxy.kill()
            elif sent < FLOOD:
                client.send(texts[sent])
                sent += 1
    except (NothingHeardError, ConnectionError):
        assert len(acknowledged) >= CUT
    return acknowledged
