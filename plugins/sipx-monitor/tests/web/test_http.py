"""HTTP itself: what is cut off, what ends a connection, and that nothing ends the server."""

from __future__ import annotations

import h11
import pytest
import trio
import trio.testing
from sipx_monitor import slices
from sipx_monitor.web.http import BODY_PATIENCE, HEAD_TIMEOUT, IDLE_TIMEOUT, MAX_HEAD, PIECES
from sipx_monitor.web.server import HANDSHAKE_TIMEOUT
from sipx_monitor.web.streams import CHUNK, PATIENCE, ClientStream

HOST = b"127.0.0.1:8061"
GET = b"GET /livez HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n"


def statuses(said: bytes) -> list[int]:
    return [int(part[:3]) for part in said.split(b"HTTP/1.1 ")[1:]]


async def test_several_requests_at_once_are_answered_in_turn(console):
    assert statuses(await console.raw(GET * 3)) == [200, 200, 200]


async def test_a_head_is_as_its_answer_without_the_body(console):
    answer = await console.ask("HEAD", "/livez")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "3")


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost : b\r\n\r\n",
        b"POST /session HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /session HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST /session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * (2 * MAX_HEAD) + b"\r\n\r\n",
        b"\x00" * 4096,
        b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
    ],
)
async def test_what_is_no_request_is_refused_and_ends_the_connection(console, data):
    said = await console.raw(data)
    assert all(400 <= status < 506 for status in statuses(said))
    if said:
        head = said.partition(b"\r\n\r\n")[0]
        assert b"\r\nX-Content-Type-Options: nosniff" in head
        assert b"\r\nContent-Security-Policy: default-src 'none'" in head
        assert b"\r\nCache-Control: no-store" in head
        assert head.count(b"\r\nX-Frame-Options: DENY") == 1
    assert (await console.ask("GET", "/livez")).status == 200


async def test_a_body_with_two_lengths_ends_the_connection(console):
    """RFC 9112, 6.1: what one server takes for its end is to another the next request."""
    head = b"GET /livez HTTP/1.1\r\nHost: " + HOST + b"\r\n"
    lengths = b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
    said = await console.raw(head + lengths + b"0\r\n\r\n" + GET)
    assert statuses(said) == [400]


@pytest.mark.parametrize("behind", [b"ab", b"\x00\x00", b"\r\n", b"GET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("logged_on", [True, False])
async def test_an_upgrade_with_bytes_behind_its_head(console, behind, logged_on):
    """Two such bytes end other servers, and everything that runs beside them."""
    cookie = await console.log_on() if logged_on else "x=y"
    said = await console.raw(
        b"GET /ws HTTP/1.1\r\nHost: " + HOST + b"\r\nOrigin: http://" + HOST + b"\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: sipx.v1\r\nCookie: " + cookie.encode() + b"\r\n\r\n" + behind
    )
    assert said.startswith(b"HTTP/1.1 101 " if logged_on else b"HTTP/1.1 401 ")
    assert (await console.ask("GET", "/livez")).status == 200


async def test_an_upgrade_byte_by_byte(console):
    cookie = await console.log_on()
    data = (
        b"GET /ws HTTP/1.1\r\nHost: " + HOST + b"\r\nOrigin: http://" + HOST + b"\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: sipx.v1\r\nCookie: " + cookie.encode() + b"\r\n\r\n"
    )
    said = await console.raw(*(data[i : i + 1] for i in range(len(data))))
    assert said.startswith(b"HTTP/1.1 101 ")
    assert b'"topic": "hello"' in said


async def test_an_upgrade_behind_another_request(console):
    cookie = await console.log_on()
    said = await console.raw(
        GET + b"GET /ws HTTP/1.1\r\nHost: " + HOST + b"\r\nOrigin: http://" + HOST + b"\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: sipx.v1\r\nCookie: " + cookie.encode() + b"\r\n\r\n"
    )
    assert statuses(said) == [200, 101]
    assert b'"topic": "hello"' in said


@pytest.mark.parametrize(
    "wrong",
    [
        b"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
    ],
)
async def test_an_upgrade_that_makes_no_sense(console, autojump_clock, wrong):
    cookie = await console.log_on()
    await console.raw(
        b"GET /ws HTTP/1.1\r\nHost: " + HOST + b"\r\nOrigin: http://" + HOST + b"\r\n"
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: sipx.v1\r\n"
        + wrong
        + b"Cookie: "
        + cookie.encode()
        + b"\r\n\r\n"
    )
    assert (await console.ask("GET", "/livez")).status == 200
    await trio.sleep(HANDSHAKE_TIMEOUT + 1)
    assert console.plugin.server.connections == (0, 0)


# ---------------------------------------------------------------- time


async def test_a_request_that_does_not_come_whole_in_time(console, autojump_clock):
    stream = console.connect()
    await stream.send_all(b"GET /livez HTTP/1.1\r\n")
    began = trio.current_time()
    assert await stream.receive_some(1) == b""
    assert trio.current_time() - began == pytest.approx(HEAD_TIMEOUT, abs=0.1)


async def test_a_connection_that_asks_nothing_more(console, autojump_clock):
    stream = console.connect()
    await stream.send_all(GET)
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/livez", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    while not isinstance(event := client.next_event(), h11.EndOfMessage):
        if event is h11.NEED_DATA:
            client.receive_data(await stream.receive_some(4096))
    began = trio.current_time()
    assert await stream.receive_some(1) == b""
    assert trio.current_time() - began == pytest.approx(IDLE_TIMEOUT, abs=0.1)


async def test_a_body_that_does_not_come(console, autojump_clock):
    stream = console.connect()
    await stream.send_all(
        b"POST /session HTTP/1.1\r\nHost: " + HOST + b"\r\nContent-Length: 10\r\n\r\n{"
    )
    began = trio.current_time()
    said = b""
    while data := await stream.receive_some(4096):
        said += data
    assert statuses(said) == [408]
    assert BODY_PATIENCE <= trio.current_time() - began < BODY_PATIENCE + 3


async def test_who_waits_with_the_body_is_told_to_go_on(console):
    stream = console.connect()
    await stream.send_all(
        b"POST /session HTTP/1.1\r\nHost: " + HOST + b"\r\nContent-Length: 2\r\n"
        b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
    )
    assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 100 ")
    await stream.send_all(b"{}")
    assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 400 ")


# ---------------------------------------------------------------- its stream


class Reader:
    """A client that takes some bytes, then none."""

    def __init__(self, takes: int) -> None:
        self.left = takes

    async def send_all(self, data) -> None:
        if self.left < len(data):
            await trio.sleep_forever()
        self.left -= len(data)
        await trio.sleep(PATIENCE - 1)


async def test_a_client_that_gets_on_is_waited_for_and_another_is_not(autojump_clock):
    stream = ClientStream(Reader(3 * CHUNK))
    began = trio.current_time()
    await stream.send_all(b"x" * 3 * CHUNK)
    assert trio.current_time() - began == 3 * (PATIENCE - 1)
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):
        await stream.send_all(b"x")
    assert trio.current_time() - began == PATIENCE


async def test_what_is_put_back_comes_first():
    ours, theirs = trio.testing.memory_stream_pair()
    stream = ClientStream(ours)
    stream.push_back(b"cd")
    stream.push_back(b"ab")
    assert await stream.receive_some(3) == b"abc"
    await theirs.send_all(b"ef")
    assert [await stream.receive_some(8), await stream.receive_some(8)] == [b"d", b"ef"]


def chunked(target: bytes, chunks: int) -> bytes:
    return (
        b"POST " + target + b" HTTP/1.1\r\nHost: " + HOST + b"\r\n"
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n \r\n" * chunks
        + b"0\r\n\r\n"
    )


async def test_a_body_of_tiny_chunks_does_not_keep_others_waiting(console, nursery, monkeypatch):
    """Thousands of them come in one packet, from whoever reaches the port."""
    monkeypatch.setattr(slices, "LONGEST", 0.0)
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    stream = console.connect()
    await stream.send_all(chunked(b"/session", 5000))
    nursery.start_soon(others)
    said = await stream.receive_some(65536)
    assert statuses(said) == [400]
    assert turns > 5000


async def test_many_chunks_that_nobody_wants_are_not_looked_through(console):
    assert statuses(await console.raw(chunked(b"/", 3) + GET)) == [405, 200]
    assert statuses(await console.raw(chunked(b"/", PIECES) + GET)) == [405]


async def test_a_head_that_comes_whole_is_too_long_as_well(console):
    head = GET[:-2] + b"X: " + b"x" * (MAX_HEAD + 4096) + b"\r\n\r\n"
    assert statuses(await console.raw(head)) == [431]
