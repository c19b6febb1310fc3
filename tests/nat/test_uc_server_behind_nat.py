"""A UC server behind a NAT logs on to a sipx outside, and is reached over its connection only.

Nothing is forwarded to it. What it registers is its own address in the network behind the NAT, and
outside there is a route to that network: whoever wants to send there can, and would be counted.
"""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import trio
from sipx_stun.codec import COOKIE, Address, binding_request, decode
from trio.testing import wait_all_tasks_blocked

from sipx.testing import (
    Authority,
    Logon,
    TcpCarrier,
    TlsCarrier,
    UdpCarrier,
    UserAgent,
    register,
    running,
)
from tests.interop.proxy import RunningProxy, route
from tests.interop.uc_server import UcServer

from .dialogs import Dialogs
from .inside import At, at, namespaces
from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC, Lab
from .two_networks import AWAY, HOME, PASSWORD, Counters, Running, cut

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sipx.testing.carriers import Carrier

pytestmark = pytest.mark.nat

PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
ANOTHER = "203.0.113.2"
NETWORK = "10.99.1.0/24"
USERS = "10.99.1.3"
"""Where the users of a UC server of others are, beside it."""
_INTERFACES = """
[interface.federation]
bind = "{address}"
port = 5071
protocol = "mtls"
certificate = "own"
"""
_LAN = """
[interface.lan-{protocol}]
bind = "{address}"
port = {port}
protocol = "{protocol}"
role = "lan"
"""
_TABLES = """
[certificate.own]
cert_file = "{certificate}"
key_file = "{key}"

[wan]
certificate = "own"

[trust]
ca = "{ca}"

[lan.server.uc]
password = "{password}"
allow_md5 = "only"
addresses = ["{public}", "{another}"]

[registrar]
store = "memory"
ping_interval = "{ping}"
"""


class Net:
    """sipx outside for home.example, ``ada`` inside, and ``bob`` at a partner outside."""

    def __init__(self, lab: Lab, folder: Path, ping: str) -> None:
        self.lab = lab
        self.folder = folder
        self.authority = Authority("The CA of all")
        self.ca = self.authority.write(folder)
        lab.outside.call(["ip", "route", "add", NETWORK, "via", PUBLIC])
        self.dialled = Counters(lab.outside, "output", {"inside": f"ip daddr {NETWORK}"})
        self.opened = Counters(lab.inside, "input", {"syn": "tcp flags & (syn | ack) == syn"})
        certificate, key = self.authority.leaf(dns=[f"sip.{HOME}"]).write(folder, "own")
        tables = _TABLES.format(
            certificate=certificate,
            key=key,
            ca=self.ca,
            password=PASSWORD,
            public=PUBLIC,
            another=ANOTHER,
            ping=ping,
        )
        interfaces = _INTERFACES.format(address=OUTSIDE)
        for protocol, port in PORTS.items():
            interfaces += _LAN.format(address=OUTSIDE, protocol=protocol, port=port)
        with at(lab.outside):
            proxy = RunningProxy(
                folder,
                domain=HOME,
                interfaces=interfaces,
                tables=tables + route(AWAY, OUTSIDE_2, 5061, "mtls"),
                plugins=("udp", "tcp", "tls", "lan", "registrar", "static-routes", "stun"),
                level="info",
            )
        self.sipx = Running(proxy, lab.outside)
        self.ada: UserAgent
        self.bob: UserAgent

    def of_inside(self) -> list[dict[str, Any]]:
        """The flows to and from the NAT."""
        flows: list[dict[str, Any]] = self.sipx.call("flows.list")["flows"]
        return [flow for flow in flows if flow["address"] in (PUBLIC, ANOTHER)]

    def agent(self, uri: str, space: Any, address: str, protocol: str, port: int = 0) -> UserAgent:
        """A user agent in a namespace."""
        carrier: Carrier
        if protocol == "udp":
            carrier = UdpCarrier(address, port)
        elif protocol == "tcp":
            carrier = TcpCarrier(address, port)
        else:
            name = uri.partition("@")[2]
            own = self.authority.leaf(dns=[name]).write(self.folder, name)
            carrier = TlsCarrier(address, port, cert_file=own[0], key_file=own[1], ca=self.ca)
        return UserAgent(uri, At(space, carrier))

    def router_moves(self) -> None:
        """The NAT gets another public address, and has forgotten all it knew."""
        self.lab.change_public(ANOTHER)
        self.lab.outside.call(["ip", "route", "replace", NETWORK, "via", ANOTHER])

    def check_untouched(self) -> None:
        """Nothing was ever sent where the Contacts lead to."""
        assert self.dialled["inside"] == 0
        assert self.opened["syn"] == 0


@asynccontextmanager
async def outside(
    folder: Path, kind: str = "linux-masquerade", ping: str = "30s"
) -> AsyncIterator[Net]:
    """sipx and the partner run."""
    with Lab(kind) as lab:
        async with namespaces(), AsyncExitStack() as stack:
            net = Net(lab, folder, ping)
            stack.callback(net.sipx.end)
            bob = net.agent(f"sip:bob@{AWAY}", lab.outside, OUTSIDE_2, "tls", 5061)
            bob.proxy = (OUTSIDE, 5071)
            net.bob = await stack.enter_async_context(running(bob))
            yield net


@asynccontextmanager
async def uc_server(net: Net, protocol: str) -> AsyncIterator[UserAgent]:
    """ada's UC server, which is no more than she herself, has logged on."""
    ada = net.agent(f"sip:ada@{HOME}", net.lab.inside, INSIDE, protocol)
    ada.proxy = (OUTSIDE, PORTS[protocol])
    ada.logon = Logon("uc", PASSWORD)
    async with running(ada):
        net.ada = ada
        await register(ada, ada.uri)
        yield ada


async def test_who_dials_what_it_registered_would_get_there_and_be_counted(tmp_path: Path) -> None:
    async with outside(tmp_path) as net, uc_server(net, "tcp") as ada:
        net.check_untouched()
        stranger = net.agent(f"sip:eve@{AWAY}", net.lab.outside, OUTSIDE, "tcp")
        async with running(stranger):
            assert (await stranger.request("OPTIONS", ada.contact.decode())).status == 200
        assert net.dialled["inside"] > 0
        assert net.opened["syn"] == 1


@pytest.mark.parametrize("protocol", ["tcp", "tls", "udp"])
async def test_it_is_reached_over_its_own_flow(tmp_path: Path, protocol: str) -> None:
    async with outside(tmp_path) as net, uc_server(net, protocol) as ada:
        assert INSIDE.encode() in ada.contact
        for sender, receiver in ((ada, net.bob), (net.bob, ada)):
            assert (await sender.message(receiver.uri, "hello")).status == 200
        dialogs = await Dialogs.begin(net)
        await dialogs.go_on()
        [flow] = net.of_inside()
        assert (flow["protocol"], flow["outbound"]) == (protocol, False)
        await dialogs.end()
        net.check_untouched()


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
async def test_after_a_cut_it_is_480_until_it_logs_on_again(tmp_path: Path, protocol: str) -> None:
    async with outside(tmp_path) as net, uc_server(net, protocol) as ada:
        dialogs = await Dialogs.begin(net)
        [(_, notifier), (subscription, _)] = dialogs.subscriptions
        await cut(net.lab)
        await net.sipx.wait_for(lambda: not net.of_inside(), "the end of the connection")
        refused = await net.bob.message(ada.uri, "are you there?")
        assert refused.status == 480
        assert refused.get(b"Retry-After") is not None
        # Within dialogs as well, and whichever side began them.
        assert (await subscription.refresh()).status in (430, 480)
        assert (await notifier.notify(b"gone")).status in (430, 480)
        net.check_untouched()
        await register(ada, ada.uri)
        assert (await net.bob.message(ada.uri, "welcome back")).status == 200
        await dialogs.go_on()
        await dialogs.end()
        assert [flow["outbound"] for flow in net.of_inside()] == [False]
        net.check_untouched()


async def test_over_tcp_it_moves_and_is_reached_there_at_once(tmp_path: Path) -> None:
    """The router gets another public address. sipx still believes in the old connection."""
    async with outside(tmp_path) as net, uc_server(net, "tcp") as ada:
        dialogs = await Dialogs.begin(net)
        net.router_moves()
        net.lab.inside.call(["ss", "-KtnH", "state", "connected", "dst", OUTSIDE])
        await wait_all_tasks_blocked(0.001)
        await register(ada, ada.uri)
        assert {flow["address"] for flow in net.of_inside()} == {PUBLIC, ANOTHER}
        assert (await net.bob.message(ada.uri, "where are you?")).status == 200
        await dialogs.go_on()
        await dialogs.end()
        net.check_untouched()


async def test_over_udp_a_keepalive_tells_it_that_it_has_moved(tmp_path: Path) -> None:
    """RFC 5626 §4.4.2 and §8: a STUN Binding request, from its SIP port to that of sipx."""
    async with outside(tmp_path) as net, uc_server(net, "udp") as ada:
        [flow] = net.of_inside()
        before = await keepalive(ada)
        assert before == (flow["address"], flow["port"])
        assert await keepalive(ada) == before
        dialogs = await Dialogs.begin(net)
        net.router_moves()
        now = await keepalive(ada)
        assert now[0] == ANOTHER
        await register(ada, ada.uri)
        assert now in {(flow["address"], flow["port"]) for flow in net.of_inside()}
        assert (await net.bob.message(ada.uri, "where are you?")).status == 200
        await dialogs.go_on()
        await dialogs.end()
        assert await keepalive(ada) == now
        net.check_untouched()


async def keepalive(agent: UserAgent) -> Address:
    """What the other end of its flow says where it is seen."""
    wire = await agent.carrier.wire_to((OUTSIDE, PORTS["udp"]))
    asked = secrets.token_bytes(12)
    wire.send(binding_request(COOKIE + asked))
    with trio.fail_after(10):
        while True:
            while agent.malformed:
                answer = decode(agent.malformed.pop())
                if answer.transaction == COOKIE + asked:
                    assert answer.mapped is not None
                    return answer.mapped
            await trio.sleep(0.01)


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
async def test_a_kamailio_behind_a_nat_goes_and_comes(tmp_path: Path, protocol: str) -> None:
    async with outside(tmp_path, "port-restricted-cone") as net:
        net.lab.inside.call(["ip", "addr", "add", f"{USERS}/24", "dev", "lan0"])
        with at(net.lab.inside):
            server = UcServer(
                tmp_path,
                "uc",
                address=INSIDE,
                protocol=protocol,
                sipx=(OUTSIDE, PORTS[protocol]),
                domain=HOME,
                account="uc",
                password=PASSWORD,
                users=["ada"],
                identity=net.authority.leaf(dns=[f"uc.{HOME}"]),
                ca=net.ca,
            )
        net.ada = net.agent(f"sip:ada@{HOME}", net.lab.inside, USERS, "udp")
        net.ada.proxy = server.place
        async with running(net.ada):
            await register(net.ada, net.ada.uri)
            server.wait_registered()
            dialogs = await Dialogs.begin(net)
            await dialogs.go_on()
            await dialogs.end()
            server.kill()
            await net.sipx.wait_for(lambda: not net.of_inside(), "the end of the connection")
            refused = await net.bob.message(net.ada.uri, "are you there?")
            assert refused.status == 480
            with at(net.lab.inside):
                server.start()
            await register(net.ada, net.ada.uri)
            server.wait_registered()
            for sender, receiver in ((net.ada, net.bob), (net.bob, net.ada)):
                assert (await sender.message(receiver.uri, "back again")).status == 200
            assert [flow["outbound"] for flow in net.of_inside()] == [False]
        server.end()
        net.check_untouched()
