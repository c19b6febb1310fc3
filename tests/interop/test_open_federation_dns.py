"""The DNS changes, or fails, while sipx runs: it follows without a restart, dialogs go on."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import Notifier

from .federated import AWAY, EDGES, THIRD, federation
from .name_servers import SERVICE, host, srv
from .programs import free_port

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipx.sip import Request, Response
    from sipx.testing import Subscription

    from .federated import Net

pytestmark = pytest.mark.interop

SECOND = "127.0.0.24"
"""Where away.example goes to."""
PATIENCE = 60
"""Seconds after which a change counts as not followed."""


async def in_thread(fn: Callable[..., object], *args: object) -> None:
    """Programs of others are waited for there."""
    await trio.to_thread.run_sync(lambda: fn(*args))


class Dialogs:
    """A presence dialog in each direction, to be seen alive at any time."""

    def __init__(self, net: Net, subscriptions: list[Subscription]) -> None:
        self.net = net
        self.subscriptions = subscriptions

    @classmethod
    async def begin(cls, net: Net) -> Dialogs:
        pairs = (net.ada, net.bob), (net.bob, net.ada)
        subscriptions = [await watcher.subscribe(watched.uri) for watcher, watched in pairs]
        for subscription in subscriptions:
            await subscription.next_notify()
        return cls(net, subscriptions)

    async def alive(self) -> None:
        """A refresh, and the NOTIFY that follows it; then one that nobody has asked for."""
        for subscription in self.subscriptions:
            assert (await subscription.refresh()).status == 200
            await subscription.next_notify()
        for watched, subscription in zip(
            (self.net.bob, self.net.ada), self.subscriptions, strict=True
        ):
            [notifier] = [one for one in watched.dialogs.values() if isinstance(one, Notifier)]
            assert (await notifier.notify(b"still here")).status == 200
            assert (await subscription.next_notify()).body == b"still here"

    async def end(self) -> None:
        for subscription in self.subscriptions:
            assert (await subscription.unsubscribe()).status == 200
            await subscription.next_notify()
            assert subscription.state == b"terminated"


async def say(net: Net) -> tuple[Response, Request | None]:
    """A message to bob: its answer, and how it reached him."""
    answer = await net.ada.message(net.bob.uri, "where are you?")
    return answer, await net.bob.receive("MESSAGE") if answer.status == 200 else None


def came_by(message: Request | None, address: str, port: int) -> bool:
    """Whether a message passed the Kamailio that listens there."""
    routes = message.get_all(b"Record-Route") if message is not None else []
    return any(f"{address}:{port}".encode() in route for route in routes)


async def say_until(
    net: Net, true: Callable[[Response, Request | None], bool], meanwhile: int
) -> None:
    """Messages, one after the other, until one fares so; those before it have one status."""
    with trio.fail_after(PATIENCE):
        while True:
            answer, message = await say(net)
            if true(answer, message):
                return
            assert answer.status == meanwhile, answer.start
            await trio.sleep(0.1)


def status(wanted: int) -> Callable[[Response, Request | None], bool]:
    return lambda answer, _: answer.status == wanted


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize("what", ["target", "address"])
async def test_a_target_that_moves_is_followed_and_dialogs_go_on(tmp_path: Path, what: str) -> None:
    """To another host by another SRV record, or the same host goes to another address."""
    async with federation(tmp_path, "kamailio") as net:
        port = net.ports[AWAY]
        dialogs = await Dialogs.begin(net)
        _, message = await say(net)
        assert came_by(message, EDGES[AWAY], port)
        if what == "target":
            name = f"edge2.{AWAY}"
            new = net.ports[THIRD]
            records = [srv(AWAY, name, new), host(name, SECOND), host(f"sip.{AWAY}", EDGES[AWAY])]
        else:
            name, new = f"sip.{AWAY}", port
            records = [srv(AWAY, name, port), host(name, SECOND)]
        second = await trio.to_thread.run_sync(
            lambda: net.start_kamailio(name=name, address=SECOND, port=new)
        )
        await in_thread(net.dns.publish, AWAY, *records)

        # Until then they pass by the old one: none is lost.
        await say_until(net, lambda _, message: came_by(message, SECOND, new), 200)
        await dialogs.alive()
        # From the new place, too, and what is begun now leads there.
        net.bob.proxy = second.place
        assert (await net.bob.message(net.ada.uri, "I have moved")).status == 200
        await dialogs.alive()
        await dialogs.end()


async def test_a_record_that_is_removed_ends_messages_and_no_dialog(tmp_path: Path) -> None:
    async with federation(tmp_path, "kamailio") as net:
        dialogs = await Dialogs.begin(net)
        assert (await say(net))[0].status == 200
        await in_thread(net.dns.publish, AWAY, host(f"sip.{AWAY}", EDGES[AWAY]))
        await say_until(net, status(404), 200)
        # Its certificate is for sip.away.example; that this is its edge, the record said.
        with trio.fail_after(PATIENCE):
            while (await net.bob.message(net.ada.uri, "and now?")).status != 403:
                await trio.sleep(0.1)
        await dialogs.alive()
        await in_thread(net.dns.publish, AWAY, *net.records(AWAY))
        await say_until(net, status(200), 404)
        await dialogs.alive()
        await dialogs.end()


async def test_an_answer_holds_until_its_ttl_ends_and_no_longer(tmp_path: Path) -> None:
    """One look-up serves many messages; there is another when the answer has expired."""
    async with federation(tmp_path, "kamailio") as net:
        recursor = net.dns.recursor
        for _ in range(20):
            assert (await say(net))[0].status == 200
        assert recursor.asked("SRV") == 1
        await say_until(net, lambda *_: recursor.asked("SRV") > 1, 200)


# What stands in the zone, the status, and words of the Warning.
REFUSED = {
    "no record": ((), 404, "publishes no federation service"),
    "the record says no": ((f"{SERVICE}.{THIRD}. SRV 0 0 0 .",), 404, "(RFC 2782)"),
    "a target without address": ((srv(THIRD, f"sip.{THIRD}", 5061),), 404, "does not exist"),
    "a private address": (
        (srv(THIRD, f"sip.{THIRD}", 5061), host(f"sip.{THIRD}", "10.0.0.1")),
        403,
        "10.0.0.1",
    ),
}


@pytest.mark.parametrize("why", REFUSED)
async def test_where_a_zone_leads_nowhere_is_told(tmp_path: Path, why: str) -> None:
    records, wanted, words = REFUSED[why]
    async with federation(tmp_path, "kamailio", ports=[5061]) as net:
        await in_thread(net.dns.publish, THIRD, *records)
        answer = await net.ada.message(f"sip:eve@{THIRD}", "anybody there?")
        assert answer.status == wanted
        assert words in (answer.get(b"Warning") or b"").decode()
        # The zone of another domain is none of its business.
        assert (await say(net))[0].status == 200


@pytest.mark.parametrize("failure", ["SERVFAIL", "silence"])
async def test_dns_that_fails_is_504_and_no_lasting_harm(tmp_path: Path, failure: str) -> None:
    async with federation(tmp_path, "kamailio") as net:
        zones, recursor = net.dns.zones, net.dns.recursor
        if failure == "SERVFAIL":
            await in_thread(zones.spoil, AWAY)
            await in_thread(net.dns.wait_known, f"{SERVICE}.{AWAY}", "SERVFAIL")
        else:
            recursor.stall()
        answer, _ = await say(net)
        assert answer.status == 504
        assert SERVICE in (answer.get(b"Warning") or b"").decode()
        assert (await net.bob.message(net.ada.uri, "do you know me?")).status == 504
        if failure == "SERVFAIL":
            await in_thread(net.dns.publish, AWAY, *net.records(AWAY))
        else:
            recursor.go_on()
        await say_until(net, status(200), 504)
        dialogs = await Dialogs.begin(net)
        # Dialogs need no DNS: they go on while it fails for longer than anything is remembered.
        if failure == "SERVFAIL":
            await in_thread(zones.spoil, AWAY)
        else:
            recursor.stall()
        await say_until(net, status(504), 200)
        await dialogs.alive()
        await dialogs.end()


# ---------------------------------------------------------------- targets that are dead


class BlackHole:
    """A place where connections are neither taken nor refused: its queue of them is full."""

    def __init__(self, address: str) -> None:
        self._listener = socket.socket()
        self._listener.bind((address, 0))
        self._listener.listen(0)
        self.place: tuple[str, int] = self._listener.getsockname()[:2]
        self._waiting = [socket.socket() for _ in range(4)]
        for one in self._waiting:
            one.setblocking(False)
            one.connect_ex(self.place)

    def __enter__(self) -> BlackHole:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listener):
            one.close()


@pytest.mark.parametrize("order", [(10, 20, 30), (20, 10, 30), (10, 10, 10)], ids=str)
async def test_messages_pass_while_two_of_three_targets_are_dead(
    tmp_path: Path, order: tuple[int, int, int]
) -> None:
    """One refuses, one is a black hole. ``order``: their priorities, and that of the good one."""
    refuses = free_port("127.0.0.26")
    with BlackHole("127.0.0.27") as hole:
        async with federation(tmp_path, "kamailio", ports=[refuses, hole.place[1]]) as net:
            ports = (refuses, hole.place[1], net.ports[AWAY])
            names = (f"a.{AWAY}", f"b.{AWAY}", f"sip.{AWAY}")
            addresses = ("127.0.0.26", "127.0.0.27", EDGES[AWAY])
            records = [
                srv(AWAY, name, port, priority=priority)
                for name, port, priority in zip(names, ports, order, strict=True)
            ]
            records += [host(name, at) for name, at in zip(names, addresses, strict=True)]
            await in_thread(net.dns.publish, AWAY, *records)
            for _ in range(10):
                assert (await say(net))[0].status == 200
            # All were to be tried, and nobody has waited until the connect timeout of one.
            assert "not tried" not in net.home.log()
            assert "within 4 s" not in net.home.log()
            dialogs = await Dialogs.begin(net)
            await dialogs.alive()
            await dialogs.end()
