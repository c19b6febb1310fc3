"""The transport over real sockets of this machine."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace

import pytest
import trio
from sipx_udp import IDLE, UdpConfig, UdpListener, UdpTransport

from sipx import Interface, Status
from sipx.testing import UdpCarrier, UserAgent


def options(at, number=1, rport=";rport", host="127.0.0.1"):
    """A question to the proxy itself."""
    lines = (
        f"OPTIONS sip:{at[0]}:{at[1]} SIP/2.0",
        f"Via: SIP/2.0/UDP {host}:9{rport};branch=z9hG4bK-{number}",
        "Max-Forwards: 70",
        "From: <sip:probe@away.example>;tag=1",
        f"To: <sip:{at[0]}>",
        f"Call-ID: {number}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def client(address="127.0.0.1"):
    """A bound datagram socket."""
    sock = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    await sock.bind((address, 0))
    return sock


async def test_a_message_and_its_response_pass_between_two_sockets(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    home = await proxy.open_peer("home.example")
    away = await proxy.open_peer("away.example")
    with trio.fail_after(10):
        assert (await away.message("sip:bob@home.example", "hello")).status == 200
        assert (await home.message("sip:alice@away.example", "hello")).status == 200
    assert (home.received["MESSAGE"], away.received["MESSAGE"]) == (1, 1)


async def test_t01_twenty_kilobytes_pass_where_tcp_is_refused(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    home = await proxy.open_peer("home.example")
    away = await proxy.open_peer("away.example")
    with trio.fail_after(10):
        assert (await away.message("sip:bob@home.example", 20_000 * "x")).status == 200
        assert len((await home.receive("MESSAGE")).body) == 20_000


async def test_a_burst_is_answered_whole_and_from_the_port_that_was_asked(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("udp")
    with await client() as sock, trio.fail_after(10):
        for number in range(300):
            await sock.sendto(options(at, number), at)
        seen = set()
        while len(seen) < 300:
            data, source = await sock.recvfrom(65535)
            assert data.startswith(b"SIP/2.0 200 ")
            assert source == at
            assert b";rport=%d;" % sock.getsockname()[1] in data
            seen.add(data.partition(b"Call-ID: ")[2].partition(b"\r\n")[0])


async def test_without_rport_the_answer_goes_to_the_port_of_the_via(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("udp")
    with await client() as asking, await client() as listening, trio.fail_after(10):
        port = listening.getsockname()[1]
        await asking.sendto(options(at, rport="").replace(b":9;", b":%d;" % port), at)
        data, source = await listening.recvfrom(65535)
        assert data.startswith(b"SIP/2.0 200 ")
        assert source == at


@pytest.mark.parametrize("noise", [b"", b"\r\n\r\n", b"\0" * 4, b"\xff" * 1400, b"GET / HTTP/1.1"])
async def test_noise_is_not_answered_and_harms_nobody(sipx_on_loopback, noise):
    proxy = await sipx_on_loopback()
    at = proxy.place("udp")
    with await client() as sock, trio.fail_after(10):
        await sock.sendto(noise, at)
        await sock.sendto(options(at), at)
        data, _ = await sock.recvfrom(65535)
        assert data.startswith(b"SIP/2.0 200 ")


async def test_a_closed_port_does_not_stop_the_socket(sipx_on_loopback):
    routes = {"dead.example": {"server": "127.0.0.77", "port": 9, "trusted": True}}
    proxy = await sipx_on_loopback(**{"static-routes": {"route": routes}})
    home = await proxy.open_peer("home.example")
    await proxy.open_peer("away.example")
    with trio.fail_after(10):
        await home.ask(home.new("MESSAGE", "sip:nobody@dead.example"))
        assert (await home.message("sip:alice@away.example", "hello")).status == 200


async def test_ipv6_is_spoken_as_well(sipx_on_loopback, nursery):
    interfaces = {"six": {"bind": "::1", "port": 0, "protocol": "udp"}}
    proxy = await sipx_on_loopback(interface=interfaces)
    agent = UserAgent("sip:x@away.example", UdpCarrier("::1"), proxy=proxy.place("six"))
    await nursery.start(agent.serve)
    with trio.fail_after(10):
        reply = await agent.request("OPTIONS", f"sip:[::1]:{proxy.place('six')[1]}")
    assert reply.status == 200


async def test_the_address_silent_for_longest_makes_room(sipx_on_loopback):
    proxy = await sipx_on_loopback(udp={"max_peers": 3})
    at = proxy.place("udp")
    places = []
    with trio.fail_after(10):
        for number in range(5):
            with await client() as sock:
                places.append(sock.getsockname()[1])
                await sock.sendto(options(at, number), at)
                assert (await sock.recvfrom(65535))[0].startswith(b"SIP/2.0 200 ")
    assert [flow.port for flow in proxy.kernel.flows] == places[2:]


async def test_who_has_logged_on_is_not_pushed_out_by_strangers(sipx_on_loopback):
    proxy = await sipx_on_loopback(udp={"max_peers": 3})
    at = proxy.place("udp")
    with trio.fail_after(10):
        for number in range(8):
            with await client() as sock:
                await sock.sendto(options(at, number), at)
                await sock.recvfrom(65535)
            if number < 2:
                list(proxy.kernel.flows)[-1].account = f"server {number}"
    assert [flow.account for flow in proxy.kernel.flows] == ["server 0", "server 1", ""]


async def test_with_nobody_else_whoever_logged_on_first_makes_room(sipx_on_loopback):
    proxy = await sipx_on_loopback(udp={"max_peers": 2})
    at = proxy.place("udp")
    with trio.fail_after(10):
        for number in range(3):
            with await client() as sock:
                await sock.sendto(options(at, number), at)
                await sock.recvfrom(65535)
            list(proxy.kernel.flows)[-1].account = f"server {number}"
    assert [flow.account for flow in proxy.kernel.flows] == ["server 1", "server 2"]


async def test_a_silent_address_is_forgotten(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("udp")
    with await client() as sock, trio.fail_after(10):
        await sock.sendto(options(at), at)
        await sock.recvfrom(65535)
        (flow,) = proxy.kernel.flows
        assert flow.overdue(flow.last_in + IDLE - 1) is None
        assert flow.overdue(flow.last_in + IDLE + 1) == "idle"
        flow.close("idle")
        assert not flow.send(b"too late")
        assert not len(proxy.kernel.flows)
        await sock.sendto(options(at, 2), at)
        assert (await sock.recvfrom(65535))[0].startswith(b"SIP/2.0 200 ")


async def test_a_port_in_use_is_told_and_stops_nobody_else(sipx_on_loopback):
    taken = (await sipx_on_loopback()).place("udp")
    interfaces = {
        "taken": {"bind": taken[0], "port": taken[1], "protocol": "udp"},
        "free": {"bind": "127.0.0.1", "port": 0, "protocol": "udp"},
    }
    proxy = await sipx_on_loopback(interface=interfaces)
    failed = proxy.kernel.interfaces.named("taken")
    assert (failed.status, failed.reason) == (Status.FAILED, "Address already in use")
    at = proxy.place("free")
    with await client() as sock, trio.fail_after(10):
        await sock.sendto(options(at), at)
        assert (await sock.recvfrom(65535))[0].startswith(b"SIP/2.0 200 ")


async def test_the_port_is_free_again_after_the_stop(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("udp")
    with trio.fail_after(10):
        await proxy.stop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(at)


# ---------------------------------------------------------------- what a network does not show


class FakeSocket:
    """Takes datagrams as long as it has no error."""

    def __init__(self, error=None):
        self.error = error
        self.sent = []

    def sendto(self, data, to):
        if self.error is not None:
            raise self.error
        self.sent.append((data, to))

    def recvmsg(self, size, space, flags):
        raise BlockingIOError


def listener(sock):
    """A listener with a receiver that only notes what is closed."""
    closed = []
    receiver = SimpleNamespace(
        now=lambda: 1.0,
        opened=lambda flow: None,
        closed=lambda flow, reason: closed.append((flow.port, reason)),
        flush_later=lambda write: None,
    )
    interface = Interface("udp", "127.0.0.1", 5060, UdpTransport(UdpConfig()))
    return UdpListener(interface, receiver, sock, 10), closed


def test_what_a_batch_sends_leaves_together_and_in_order():
    sock = FakeSocket()
    made, _ = listener(sock)
    first, second = made.flow(("127.0.0.2", 1)), made.flow(("127.0.0.2", 2))
    for data, flow in ((b"a", first), (b"b", second), (b"c", first)):
        assert flow.send(data)
    assert sock.sent == []
    made.flush()
    assert sock.sent == [(b"a", first.to), (b"b", second.to), (b"c", first.to)]
    made.flush()
    assert len(sock.sent) == 3


def test_a_full_buffer_loses_datagrams_and_counts_them():
    made, closed = listener(FakeSocket(BlockingIOError()))
    made.flow(("127.0.0.2", 1)).send(b"a")
    made.flush()
    assert (made.lost, closed) == (1, [])


def test_an_address_that_cannot_be_reached_closes_its_flow():
    error = OSError(errno.ENETUNREACH, "Network is unreachable")
    made, closed = listener(FakeSocket(error))
    flow = made.flow(("192.0.2.1", 1))
    flow.send(b"a")
    made.flush()
    assert closed == [(1, "Network is unreachable")]
    assert flow.closed
    assert not flow.send(b"b")
