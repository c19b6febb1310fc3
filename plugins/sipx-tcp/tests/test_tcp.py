"""The transport over real sockets of this machine."""

from __future__ import annotations

import socket

import pytest
import trio

from sipx import Status
from sipx.testing import TcpCarrier, UserAgent


def options(at, number=1, more=""):
    """A question to the proxy itself; ``more`` makes its answer longer."""
    host = f"[{at[0]}]" if ":" in at[0] else at[0]
    lines = (
        f"OPTIONS sip:{host}:{at[1]} SIP/2.0",
        f"Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK-{number}",
        "Max-Forwards: 70",
        "From: <sip:probe@away.example>;tag=1",
        "To: <sip:probe@away.example>",
        f"Call-ID: {number}{more}",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


async def read_until(stream, wanted, times=1):
    """Read until ``wanted`` has come so often; what came."""
    data = b""
    with trio.fail_after(20):
        while data.count(wanted) < times:
            piece = await stream.receive_some()
            assert piece, "the connection ended"
            data += piece
    return data


async def ended(stream):
    """Read until the other side has ended the connection; what came."""
    data = b""
    with trio.fail_after(20):
        while True:
            try:
                piece = await stream.receive_some()
            except trio.BrokenResourceError:
                return data
            if not piece:
                return data
            data += piece


async def test_messages_pass_both_ways_over_one_connection(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    home = await proxy.open_peer("home.example", transport="tcp")
    away = await proxy.open_peer("away.example", transport="tcp")
    with trio.fail_after(10):
        for _ in range(3):
            assert (await away.message("sip:bob@home.example", "hello")).status == 200
            assert (await away.message("sip:bob@home.example", 200_000 * "x")).status == 200
    assert home.received["MESSAGE"] == 6
    assert proxy.kernel.flows.connections() == 2
    assert sorted(flow.outbound for flow in proxy.kernel.flows) == [False, True]


@pytest.mark.parametrize("cut", [1, 100])
async def test_pieces_are_put_together(sipx_on_loopback, cut):
    at = (proxy := await sipx_on_loopback()).place("tcp")
    data = b"".join(options(at, number) for number in range(5))
    async with await trio.open_tcp_stream(*at) as stream:
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), cut):
            await stream.send_all(data[start : start + cut])
        await read_until(stream, b"SIP/2.0 200 ", 5)
    assert proxy.kernel.journal.statistics().by_status() == {200: 5}


async def test_many_requests_at_once_are_answered_in_their_order(sipx_on_loopback):
    at = (await sipx_on_loopback()).place("tcp")
    async with await trio.open_tcp_stream(*at) as stream:
        await stream.send_all(b"".join(options(at, number) for number in range(500)))
        data = await read_until(stream, b"SIP/2.0 200 ", 500)
    numbers = [part.partition(b"\r\n")[0] for part in data.split(b"Call-ID: ")[1:]]
    assert numbers == [b"%d" % number for number in range(500)][: len(numbers)]
    assert len(numbers) >= 499


async def test_sec15_a_peer_that_does_not_read_is_cut_off(sipx_on_loopback):
    proxy = await sipx_on_loopback(limits={"write_queue": "64KiB", "head": "64KiB"})
    at = proxy.place("tcp")
    home = await proxy.open_peer("home.example", transport="tcp")
    away = await proxy.open_peer("away.example", transport="tcp")
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(at)
    replies = []

    async def flood(stream):
        for number in range(100_000):
            await stream.send_all(options(at, number, 20_000 * "x"))
            if number % 50 == 0:
                replies.append((await away.message("sip:bob@home.example", "hello")).status)

    async with trio.SocketStream(sock) as stream:
        with trio.fail_after(60), pytest.raises(trio.BrokenResourceError):
            await flood(stream)
    assert proxy.kernel.flows.connections() == 2
    assert replies == [200] * home.received["MESSAGE"]


async def test_a_slow_reader_gets_all_of_it(sipx_on_loopback):
    at = (await sipx_on_loopback()).place("tcp")
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await sock.connect(at)
    count = 40
    async with trio.SocketStream(sock) as stream:
        await stream.send_all(b"".join(options(at, n, 20_000 * "x") for n in range(count)))
        data = await read_until(stream, b"x\r\nCSeq: 1 OPTIONS\r\n", count)
    assert data.count(b"SIP/2.0 200 ") == count
    assert data.count(20_000 * b"x") == count


async def test_t04_broken_framing_is_answered_and_closed(sipx_on_loopback):
    at = (await sipx_on_loopback()).place("tcp")
    async with await trio.open_tcp_stream(*at) as stream:
        await stream.send_all(options(at).replace(b"Content-Length: 0", b"Content-Length: 0x1"))
        assert (await ended(stream)).startswith(b"SIP/2.0 400 ")


async def test_t06_a_ping_is_answered(sipx_on_loopback):
    at = (await sipx_on_loopback()).place("tcp")
    async with await trio.open_tcp_stream(*at) as stream:
        await stream.send_all(b"\r\n\r\n")
        assert await read_until(stream, b"\r\n") == b"\r\n"


async def test_p17_a_request_whose_connection_breaks_is_answered_at_once(sipx_on_loopback):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    proxy = await sipx_on_loopback()
    away = await proxy.open_peer("away.example", transport="tcp")
    proxy.plugin("testing-peers").add(b"home.example", "tcp", ("127.0.0.1", port))
    async with listeners[0] as listener, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def take_and_close():
            stream = await listener.accept()
            assert (await stream.receive_some()).startswith(b"MESSAGE ")
            await stream.aclose()

        with trio.fail_after(10):
            reply = await away.message("sip:bob@home.example", "hello")
        assert reply.status == 500
        assert b"transport failed" in reply.get(b"Warning")


async def test_d03_a_port_nobody_listens_at_is_answered_500(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    away = await proxy.open_peer("away.example", transport="tcp")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        proxy.plugin("testing-peers").add(b"home.example", "tcp", closed.getsockname())
        with trio.fail_after(10):
            reply = await away.message("sip:bob@home.example", "hello")
    assert reply.status == 500
    assert b"Connection refused" in reply.get(b"Warning")


async def test_sec15_one_address_gets_so_many_connections(sipx_on_loopback):
    proxy = await sipx_on_loopback(limits={"max_connections_per_address": 2})
    at = proxy.place("tcp")
    first, second = await trio.open_tcp_stream(*at), await trio.open_tcp_stream(*at)
    async with first, second:
        for stream in (first, second):
            await stream.send_all(options(at))
            await read_until(stream, b"SIP/2.0 200 ")
        async with await trio.open_tcp_stream(*at) as third:
            assert await ended(third) == b""
        await first.aclose()
        with trio.fail_after(10):
            while proxy.kernel.flows.connections() > 1:
                await trio.lowlevel.checkpoint()
        async with await trio.open_tcp_stream(*at) as fourth:
            await fourth.send_all(options(at, 4))
            await read_until(fourth, b"SIP/2.0 200 ")


async def test_a_connection_that_its_peer_ends_is_forgotten(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("tcp")
    for reset in (False, True):
        stream = await trio.open_tcp_stream(*at)
        await stream.send_all(options(at))
        await read_until(stream, b"SIP/2.0 200 ")
        assert proxy.kernel.flows.connections() == 1
        if reset:
            linger = b"\1\0\0\0\0\0\0\0"
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        await stream.aclose()
        with trio.fail_after(10):
            while proxy.kernel.flows.connections():
                await trio.lowlevel.checkpoint()


async def test_ipv6_is_spoken_as_well(sipx_on_loopback, nursery):
    interfaces = {"six": {"bind": "::1", "port": 0, "protocol": "tcp"}}
    proxy = await sipx_on_loopback(interface=interfaces)
    agent = UserAgent("sip:x@away.example", TcpCarrier("::1"), proxy=proxy.place("six"))
    await nursery.start(agent.serve)
    with trio.fail_after(10):
        reply = await agent.request("OPTIONS", f"sip:[::1]:{proxy.place('six')[1]}")
    assert reply.status == 200


async def test_a_port_in_use_is_told(sipx_on_loopback):
    taken = (await sipx_on_loopback()).place("tcp")
    interfaces = {"taken": {"bind": taken[0], "port": taken[1], "protocol": "tcp"}}
    proxy = await sipx_on_loopback(interface=interfaces)
    failed = proxy.kernel.interfaces.named("taken")
    assert (failed.status, failed.reason) == (Status.FAILED, "Address already in use")


async def test_the_stop_ends_all_connections_and_frees_the_port(sipx_on_loopback):
    proxy = await sipx_on_loopback()
    at = proxy.place("tcp")
    async with await trio.open_tcp_stream(*at) as stream:
        await stream.send_all(options(at))
        await read_until(stream, b"SIP/2.0 200 ")
        with trio.fail_after(10):
            await proxy.stop()
        await ended(stream)
    for listener in await trio.open_tcp_listeners(at[1], host=at[0]):
        await listener.aclose()
