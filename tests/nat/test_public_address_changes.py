"""Where a site behind a NAT is seen at, and what becomes of dialogs when that changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import register

from .dialogs import LAN_SIDE, WAN_SIDE, Dialogs, both_ways, public, recorded, sent_by
from .lab import OUTSIDE, PUBLIC
from .two_networks import (
    HOME,
    INTERFACES,
    PLUGINS,
    WAN,
    cut,
    forward,
    new_connections,
    two_networks,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .two_networks import Net, Site

pytestmark = pytest.mark.nat

ANOTHER = "203.0.113.2"


async def seen_at(net: Net) -> list[str]:
    """Where the site says that it is, in a new dialog."""
    subscription = await net.ada.subscribe(net.bob.uri)
    while True:
        request = await net.bob.receive("SUBSCRIBE")
        if request.call_id == subscription.request.call_id:
            break
    assert (await subscription.unsubscribe()).status == 200
    assert sent_by(request)[0] == recorded(request)[0]
    return recorded(request)


def opened(site: Site) -> set[int]:
    """The connections to partners that a site has opened, by their numbers."""
    return {flow["id"] for flow in site.flows("federation") if flow["outbound"]}


# ---------------------------------------------------------------- a port of its own


@pytest.mark.parametrize(
    ("tables", "advertise"),
    [
        (public(PUBLIC) + "public_port = 443\n", "true"),
        ("", f'"{PUBLIC}:443"'),
        (public("192.0.2.9"), f'"{PUBLIC}:443"'),
    ],
    ids=["public_port", "advertise", "advertise-goes-before-wan"],
)
async def test_the_port_of_the_router_is_another_one(
    tmp_path: Path, tables: str, advertise: str
) -> None:
    interfaces = f"{INTERFACES}advertise = {advertise}\n"
    async with two_networks(tmp_path, "wire", tables, interfaces=interfaces) as net:
        forward(net.lab, PUBLIC, 443)
        dialogs = await Dialogs.begin(net)
        assert await seen_at(net) == [f"{PUBLIC}:443", LAN_SIDE]
        counters = new_connections(net.lab, port=443)
        await cut(net.lab)
        await dialogs.go_on()
        await dialogs.end()
        assert counters["opened"] == 1


# ---------------------------------------------------------------- another address


async def test_another_address_by_a_reload_and_dialogs_of_before_go_on(tmp_path: Path) -> None:
    """Both addresses lead here; so do they when sipx has been started again."""
    async with two_networks(tmp_path, "wire", public(PUBLIC)) as net:
        forward(net.lab, ANOTHER, WAN, is_new=True)
        dialogs = await Dialogs.begin(net)
        net.home.reload((f'"{PUBLIC}"', f'"{ANOTHER}"'))
        assert await seen_at(net) == [f"{ANOTHER}:{WAN}", LAN_SIDE]
        await dialogs.go_on()
        counters = new_connections(net.lab)
        await cut(net.lab)
        await dialogs.go_on()
        assert counters["opened"] == 1
        # The UC server stays where it is: its calls and subscriptions live on.
        await net.home.restart()
        await register(net.ada, net.ada.uri)
        await dialogs.go_on()
        assert counters["opened"] == 2
        assert await seen_at(net) == [f"{ANOTHER}:{WAN}", LAN_SIDE]
        await dialogs.end()


async def test_a_name_is_looked_up_again_and_dialogs_follow_it(tmp_path: Path) -> None:
    """The router gets another address, and the DNS says so: nobody has to change anything."""
    name = f"sip.{HOME}"
    async with two_networks(tmp_path, "sipx", public(name)) as net:
        dialogs = await Dialogs.begin(net)
        [_, (subscription, _)] = dialogs.subscriptions
        assert subscription.dialog is not None
        assert any(name.encode() in route for route in subscription.dialog.route_set)
        assert net.home.public()["addresses"] == [PUBLIC]
        net.lab.change_public(ANOTHER)
        await cut(net.lab)
        net.move(HOME, ANOTHER)
        counters = new_connections(net.lab, ANOTHER)
        assert (await subscription.refresh()).status == 200
        await subscription.next_notify()
        assert counters["opened"] == 1
        await dialogs.go_on()
        await dialogs.end()
        for sender, receiver in both_ways(net):
            assert (await sender.message(receiver.uri, "hello again")).status == 200
        # A reload looks at once, else it would be half a minute.
        net.home.reload()
        await net.home.wait_for(
            lambda: net.home.public()["addresses"] == [ANOTHER], "the new address"
        )


async def test_what_stun_finds_is_used_and_another_address_is_taken_up(tmp_path: Path) -> None:
    """Nobody outside can reach the old address any more: only the inside goes on in old dialogs."""
    tables = public("auto") + f'[stun]\nservers = ["{OUTSIDE}"]\ndetect_nat_type = false\n'
    plugins = (*PLUGINS, "stun")
    async with two_networks(tmp_path, "sipx", tables, stun=True, plugins=plugins) as net:
        await net.home.wait_for(lambda: net.home.advertised() == WAN_SIDE, "the public address")
        assert "SIPX-D001" in await net.home.sipx("check", "dns")
        dialogs = await Dialogs.begin(net)
        before = opened(net.home)
        net.lab.change_public(ANOTHER)
        net.move(HOME, ANOTHER)
        await trio.to_thread.run_sync(net.home.call, "stun.detect")
        assert net.home.advertised() == f"{ANOTHER}:{WAN}"
        # Nobody had to lose a request to find out that the router has forgotten the connection.
        await net.home.wait_for(lambda: not before & opened(net.home), "the end of the old one")
        [(subscription, _), _] = dialogs.subscriptions
        assert (await subscription.refresh()).status == 200
        counters = new_connections(net.lab, ANOTHER)
        await cut(net.lab)
        for sender, receiver in reversed(both_ways(net)):
            assert (await sender.message(receiver.uri, "hello again")).status == 200
        assert counters["opened"] == 1
        again = await Dialogs.begin(net)
        await cut(net.lab)
        await again.go_on()
        await again.end()
