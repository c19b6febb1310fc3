"""Two organisations that have configured nothing of each other: DNS and certificates are enough.

The DNS is nsd and unbound; the other organisation is sipx too, or Kamailio as the edge of its
domain, which takes nobody without a certificate.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import Notifier

from .federated import AWAY, federation

if TYPE_CHECKING:
    from pathlib import Path

    from sipx.testing import UserAgent

    from .federated import Net

pytestmark = pytest.mark.interop

OTHERS = ("sipx", "kamailio")
MEANS_TO = "there are 2 subscriptions, so it is connected to in"


def both_ways(net: Net) -> tuple[tuple[UserAgent, UserAgent], ...]:
    return (net.ada, net.bob), (net.bob, net.ada)


@pytest.mark.parametrize("other", OTHERS)
async def test_messages_pass_in_both_directions(tmp_path: Path, other: str) -> None:
    async with federation(tmp_path, other) as net:
        for sender, receiver in both_ways(net):
            for number in range(10):
                text = f"message {number}"
                assert (await sender.message(receiver.uri, text)).status == 200
                assert (await receiver.receive("MESSAGE")).body == text.encode()
        for site in net.sites.values():
            assert "static-routes" not in site.proxy.file.read_text()
        opened = [row["peer"] for row in net.home.flows() if row["outbound"]]
        assert opened == [f"{AWAY} (discovered)"]


@pytest.mark.parametrize("other", OTHERS)
async def test_a_presence_dialog_lives_and_ends(tmp_path: Path, other: str) -> None:
    """SUBSCRIBE, NOTIFY, a change of presence, refresh, end; with either side as the watcher."""
    async with federation(tmp_path, other) as net:
        for watcher, watched in both_ways(net):
            subscription = await watcher.subscribe(watched.uri)
            assert b"open" in (await subscription.next_notify()).body
            [notifier] = [one for one in watched.dialogs.values() if isinstance(one, Notifier)]
            assert (await notifier.notify(b"gone for lunch")).status == 200
            assert (await subscription.next_notify()).body == b"gone for lunch"
            assert (await subscription.refresh()).status == 200
            assert b"open" in (await subscription.next_notify()).body
            assert (await subscription.unsubscribe()).status == 200
            await subscription.next_notify()
            assert subscription.state == b"terminated"


@pytest.mark.parametrize("other", OTHERS)
async def test_presence_dialogs_of_both_directions_live_side_by_side(
    tmp_path: Path, other: str
) -> None:
    async with federation(tmp_path, other) as net:
        subscriptions = [await one.subscribe(whom.uri) for one, whom in both_ways(net)]
        for _ in range(3):
            for subscription in subscriptions:
                assert (await subscription.refresh()).status == 200
        for subscription in subscriptions:
            assert (await subscription.unsubscribe()).status == 200


async def test_dialogs_outlive_the_connections_of_an_edge_that_restarts(tmp_path: Path) -> None:
    """sipx means to connect again by itself; who has something to say does not wait for that."""
    async with federation(tmp_path, "kamailio") as net:
        subscriptions = [await one.subscribe(whom.uri) for one, whom in both_ways(net)]
        [edge] = net.kamailios
        await trio.to_thread.run_sync(edge.end)
        with trio.fail_after(30):
            while net.home.flows() or MEANS_TO not in net.home.log():
                await trio.sleep(0.05)
        await trio.to_thread.run_sync(edge.start)
        for subscription in subscriptions:
            assert (await subscription.refresh()).status == 200
            assert (await subscription.unsubscribe()).status == 200
        assert (await net.ada.message(net.bob.uri, "welcome back")).status == 200
