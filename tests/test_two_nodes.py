"""Two proxies: an edge that users log on through, and the registrar behind it (RFC 3327)."""

from __future__ import annotations

import pytest
import trio

from sipx.testing import Logon, UdpCarrier, UserAgent, register, running

EDGE, REGISTRAR, PHONE, HOME = "127.0.0.3", "127.0.0.2", "127.0.0.5", "home.example"


def listener(bind: str, role: str) -> dict[str, object]:
    return {"bind": bind, "port": 0, "protocol": "udp", "role": role}


@pytest.fixture
async def nodes(sipx_on_loopback):
    """An edge and a registrar; the edge is an account of the registrar by its address."""
    registrar = await sipx_on_loopback(
        plugins=("udp", "tcp"),
        interface={"lan": listener(REGISTRAR, "lan")},
        lan={"server": {"edge": {"addresses": [EDGE], "users": "*"}}},
        registrar={"store": "memory", "ping_interval": "0s"},
    )
    host, port = registrar.place("lan")
    edge = await sipx_on_loopback(
        plugins=("udp", "tcp"),
        interface={"lan": listener(EDGE, "lan")},
        lan={"server": {"alice": {"password": "secret", "kind": "user"}}},
        **{
            "static-routes": {
                "route": {HOME: {"server": host, "port": port, "protocol": "udp", "trusted": True}}
            }
        },
    )
    return edge, registrar


async def test_n02_a_user_of_the_edge_is_reached_by_the_path_of_its_registration(nodes, nursery):
    edge, registrar = nodes
    with trio.fail_after(20):
        phone = UserAgent(f"sip:alice@{HOME}", UdpCarrier(PHONE), proxy=edge.place("lan"))
        async with running(phone):
            phone.logon = Logon("alice", "secret")
            await register(phone, phone.uri, headers=((b"Supported", b"path"),))
            [binding] = registrar.plugin("registrar").bindings.of(b"alice@home.example")
            assert binding.owner == "edge"
            assert binding.address == EDGE
            [path] = binding.path
            assert path.startswith(b"<sip:sipx-flow.")
            # A colleague at the registrar writes to her; her own address is never dialled.
            binding.contact = b"sip:alice@192.0.2.77:5060"
            colleague = await registrar.open_peer(HOME)
            assert (await colleague.message(phone.uri, "hello")).status == 200
            assert phone.received["MESSAGE"] == 1
            # When she has gone her flow leads nowhere, and nobody else gets her requests.
            for flow in edge.kernel.flows:
                if flow.address == PHONE:
                    flow.close("gone")
            assert (await colleague.message(phone.uri, "hello")).status == 430


async def test_n02_without_path_nobody_could_reach_a_user_of_the_edge_so_it_says_so(nodes, nursery):
    edge, registrar = nodes
    with trio.fail_after(20):
        phone = UserAgent(f"sip:alice@{HOME}", UdpCarrier(PHONE), proxy=edge.place("lan"))
        async with running(phone):
            phone.logon = Logon("alice", "secret")
            answer = await phone.request("REGISTER", f"sip:{HOME}")
            assert answer.status == 421
            assert answer.get(b"Require") == b"path"
            assert len(registrar.plugin("registrar").bindings) == 0
