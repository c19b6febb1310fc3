"""RFC 3261 §18.4: what ICMP says of a datagram reaches the transaction at once."""

from __future__ import annotations

import socket
import sys

import pytest
import trio

from sipx.testing import UdpCarrier, UserAgent, running

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="error queues of datagram sockets are Linux's (ip(7))"
)


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


HOME = {"server": "127.0.0.1", "port": 9, "protocol": "udp", "trusted": True}
"""Makes the machine itself the UC server of home.example."""


def routes(**more):
    return {"static-routes": {"route": {"home.example": HOME} | more}}


async def test_p17_a_server_that_has_gone_is_an_answer_of_500_within_a_moment(sipx_on_loopback):
    gone = HOME | {"port": free_port()}
    proxy = await sipx_on_loopback(
        plugins=["udp", "tcp", "static-routes"], **routes(**{"gone.example": gone})
    )
    alice = await proxy.open_peer("home.example")
    with trio.fail_after(5):
        response = await alice.request("MESSAGE", "sip:bob@gone.example")
    assert response.status == 500
    assert b"transport failed" in (response.get(b"Warning") or b"")


async def test_d03_the_next_server_of_the_list_answers_instead(sipx_on_loopback):
    async with running(UserAgent("sip:bob@partner.example", UdpCarrier())) as bob:
        listed = HOME | {"server": ["127.0.0.9", "127.0.0.1"], "port": bob.place[1]}
        proxy = await sipx_on_loopback(
            plugins=["udp", "tcp", "static-routes"], **routes(**{"partner.example": listed})
        )
        alice = await proxy.open_peer("home.example")
        for sent in (1, 2):
            with trio.fail_after(5):
                response = await alice.request("MESSAGE", "sip:bob@partner.example")
            assert response.status == 200
            assert bob.received["MESSAGE"] == sent
