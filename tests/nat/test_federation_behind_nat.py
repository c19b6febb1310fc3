"""A sipx behind a NAT that federates with an organisation outside, over mutual TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sipx.testing import TcpCarrier, register

from .dialogs import (
    LAN_SIDE,
    WAN_SIDE,
    Dialogs,
    both_ways,
    lines_with,
    places,
    public,
    recorded,
    sent_by,
)
from .inside import At
from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC
from .two_networks import PASSWORD, cut, forward, logged_on, new_connections, two_networks

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nat

# The second of each is what most routers at home do.
KINDS = [("sipx", "port-restricted-cone"), ("kamailio", "linux-masquerade")]
OTHER_KINDS = [("sipx", "symmetric"), ("kamailio", "linux-masquerade-input-drop")]


@pytest.mark.parametrize(("other", "kind"), KINDS)
async def test_messages_and_dialogs_pass_in_both_directions(
    tmp_path: Path, other: str, kind: str
) -> None:
    async with two_networks(tmp_path, other, public(PUBLIC), kind=kind) as net:
        for sender, receiver in both_ways(net):
            for number in range(5):
                assert (await sender.message(receiver.uri, f"message {number}")).status == 200
                assert (await receiver.receive("MESSAGE")).body == b"message %d" % number
        dialogs = await Dialogs.begin(net)
        await dialogs.go_on()
        await dialogs.end()
        assert {flow["peer"] for flow in net.home.flows("federation")} == {
            "away.example (discovered)"
        }


@pytest.mark.parametrize(("other", "kind"), OTHER_KINDS)
async def test_dialogs_come_back_through_the_public_address_after_a_cut(
    tmp_path: Path, other: str, kind: str
) -> None:
    """The partner has to open a connection of its own to what stands in Record-Route."""
    async with two_networks(tmp_path, other, public(PUBLIC), kind=kind) as net:
        dialogs = await Dialogs.begin(net)
        counters = new_connections(net.lab)
        await cut(net.lab)
        [_, (subscription, _)] = dialogs.subscriptions
        assert (await subscription.refresh()).status == 200
        assert b"open" in (await subscription.next_notify()).body
        assert counters["opened"] == 1
        await dialogs.go_on()
        await dialogs.end()


async def test_what_is_seen_outside_is_the_public_address(tmp_path: Path) -> None:
    """The partner speaks TLS itself. RFC 5658: the second Record-Route is the other side's."""
    async with two_networks(tmp_path, "wire", public(PUBLIC)) as net:
        dialogs = await Dialogs.begin(net)
        await dialogs.go_on()
        await net.ada.message(net.bob.uri, "hello")
        await dialogs.end()
        seen = [await net.bob.receive(method) for method in ("MESSAGE", "BYE", "ACK")]
        for method in ("SUBSCRIBE", "SUBSCRIBE", "NOTIFY", "NOTIFY", "INVITE", "INVITE"):
            request = await net.bob.receive(method)
            assert recorded(request) == [WAN_SIDE, LAN_SIDE]
            seen.append(request)
        # A request of its own.
        probed = await net.home.sipx("probe", net.bob.uri)
        assert "200 OK" in probed
        seen.append(await net.bob.receive("OPTIONS"))
        # It takes part in a registration elsewhere.
        headers = ((b"Contact", b"<" + net.ada.contact + b">"), (b"Supported", b"path"))
        await net.ada.request("REGISTER", "sip:away.example", headers=headers)
        registered = await net.bob.receive("REGISTER")
        assert places(registered, b"Path") == [WAN_SIDE]
        seen.append(registered)
        for request in seen:
            assert sent_by(request)[0] == WAN_SIDE
            assert lines_with(request, INSIDE) <= {"Record-Route"}
        # Where the connections are known as what they are.
        [flow] = [flow for flow in net.home.flows("federation") if flow["outbound"]]
        assert flow["address"] == OUTSIDE


async def test_what_is_seen_inside_is_the_address_of_the_lan(tmp_path: Path) -> None:
    async with two_networks(tmp_path, "wire", public(PUBLIC)) as net:
        dialogs = await Dialogs.begin(net)
        await dialogs.go_on()
        await net.bob.message(net.ada.uri, "hello")
        await dialogs.end()
        for method in ("MESSAGE", "BYE", "ACK"):
            request = await net.ada.receive(method)
            assert sent_by(request)[0] == LAN_SIDE
            assert lines_with(request, PUBLIC) == set()
        for method in ("SUBSCRIBE", "SUBSCRIBE", "NOTIFY", "NOTIFY", "INVITE", "INVITE"):
            request = await net.ada.receive(method)
            assert sent_by(request)[0] == LAN_SIDE
            assert recorded(request) == [LAN_SIDE, WAN_SIDE]
            assert lines_with(request, PUBLIC) == {"Record-Route"}
        again = await register(net.ada, net.ada.uri)
        assert again.response is not None
        assert places(again.response, b"Service-Route") == [LAN_SIDE]
        assert lines_with(again.response, PUBLIC) == set()


# ---------------------------------------------------------------- the other way round

BRANCH_PORT = 5062
BRANCH = f"""
[interface.branch]
bind = "{INSIDE}"
port = {BRANCH_PORT}
protocol = "tcp"
role = "lan"
advertise = "{PUBLIC}:{BRANCH_PORT}"

[lan.server.branch]
password = "{PASSWORD}"
users = "carol"
"""


async def test_a_uc_server_logs_on_from_outside(tmp_path: Path) -> None:
    """Its interface shows the public address; that of the servers inside does not."""
    side = f"{PUBLIC}:{BRANCH_PORT}"
    async with two_networks(tmp_path, "wire", public(PUBLIC) + BRANCH) as net:
        forward(net.lab, PUBLIC, BRANCH_PORT, to=BRANCH_PORT)
        carrier = At(net.lab.outside, TcpCarrier(OUTSIDE_2))
        place = (PUBLIC, BRANCH_PORT)
        async with logged_on(net.home, "carol", carrier, place=place, account="branch") as carol:
            again = await register(carol, carol.uri)
            assert again.response is not None
            assert places(again.response, b"Service-Route") == [side]
            # bob is she now.
            net.bob = carol
            dialogs = await Dialogs.begin(net)
            await dialogs.go_on()
            for agent, seen in ((carol, [side, LAN_SIDE]), (net.ada, [LAN_SIDE, side])):
                request = await agent.receive("INVITE")
                assert sent_by(request)[0] == seen[0]
                assert recorded(request) == seen
            await dialogs.end()
