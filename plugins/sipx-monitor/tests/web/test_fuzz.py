"""Whatever comes to the port of the console: the console answers the next one, and SIP goes on."""

from __future__ import annotations

import json
import logging
import random
import struct

import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sipx_monitor.web.server import Server

HOST = b"127.0.0.1:8061"
UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: " + HOST + b"\r\nOrigin: http://" + HOST + b"\r\n"
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: sipx.v1\r\n"
)
SEEDS = (
    b"GET / HTTP/1.1\r\nHost: " + HOST + b"\r\nCookie: a=b\r\n\r\n",
    b"GET /console/../../etc/passwd HTTP/1.1\r\nHost: " + HOST + b"\r\n\r\n",
    b"POST /session HTTP/1.1\r\nHost: " + HOST + b"\r\nContent-Type: application/json\r\n"
    b'Content-Length: 13\r\n\r\n{"token":"x"}',
    b"POST /api/status HTTP/1.1\r\nHost: " + HOST + b"\r\nTransfer-Encoding: chunked\r\n"
    b"Authorization: Bearer sipx_x\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    UPGRADE + b"\r\n\x81\x85\x01\x02\x03\x04abcde",
    b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bKx\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(40),
)
TOKENS = (
    b"\r\n", b"\n", b"\x00", b" ", b":", b"\r\n\r\n", b"Content-Length: 99\r\n", b"%00", b"%ff",
    b"Transfer-Encoding: chunked\r\n", b"Upgrade: websocket\r\n", b"Connection: Upgrade\r\n",
    b"ffffffffffffffff\r\n", b"Expect: 100-continue\r\n", b"\xff" * 9, b"x" * 9000,
)  # fmt: skip


def mutated(rng: random.Random, data: bytes) -> bytes:
    """A few changes such as a careless or a hostile client makes."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randint(0, len(data))
        what = rng.randrange(6)
        if what == 0:
            data = data[:at] + rng.choice(TOKENS) + data[at:]
        elif what == 1:
            data = data[:at] + data[min(len(data), at + rng.randint(1, 20)) :]
        elif what == 2 and data:
            at = min(at, len(data) - 1)
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif what == 3:
            data = data[:at]
        elif what == 4:
            data = data + rng.choice(SEEDS)
        else:
            data = data[:at] + data[at : at + 30] * rng.randint(1, 5) + data[at:]
    return data


def frames(rng: random.Random) -> bytes:
    """Frames of a websocket, right and wrong."""
    found = b""
    for _ in range(rng.randint(1, 5)):
        payload = rng.choice(
            [
                b"",
                rng.randbytes(rng.randint(0, 200)),
                b'{"id":1,"method":"subscribe","params":{"topic":"status"}}',
                b'{"id":1,"method":"status","params":{"x":' + b"[" * 2000,
                json.dumps({"id": [1], "method": "\ud800"}).encode(),
            ]
        )
        first = rng.choice(
            [0x81, 0x82, 0x01, 0x00, 0x80, 0x88, 0x89, 0x8A, 0xF1, rng.randrange(256)]
        )
        length = len(payload) if rng.random() < 0.8 else rng.randrange(1 << 16)
        mask = rng.randbytes(4)
        size = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack("!H", length)
        masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        found += bytes([first]) + size + mask + masked
    return found if rng.random() < 0.9 else found + rng.randbytes(20)


async def throw(console, data: bytes) -> None:
    stream = console.connect()
    try:
        await stream.send_all(data)
        await trio.testing.wait_all_tasks_blocked()
        await stream.send_eof()
        await trio.testing.wait_all_tasks_blocked()
        await stream.aclose()
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # it was ended at once


async def agrees(agent, request) -> None:
    agent.reply(request, 200)


async def works(console) -> None:
    assert (await console.ask("GET", "/livez")).status == 200


async def test_hundreds_of_broken_requests(start_console, caplog):
    caplog.set_level(logging.ERROR)
    console = await start_console()
    home = console.proxy.peer("home.example")
    partner = console.proxy.peer("partner.example")
    partner.on("MESSAGE", agrees)
    cookie = (await console.log_on()).encode()
    rng = random.Random(8061)
    for number in range(800):
        if number % 3:
            data = mutated(rng, rng.choice(SEEDS))
        else:
            data = UPGRADE + b"Cookie: " + cookie + b"\r\n\r\n" + frames(rng)
        await throw(console, data)
        if number % 100 == 0:
            response = await home.request("MESSAGE", "sip:bob@partner.example")
            assert response.status == 200
    await works(console)
    assert not [record for record in caplog.records if record.name == "sipx.plugin.monitor"]


async def test_a_fault_of_ours_costs_one_connection(console, caplog, monkeypatch):
    async def broken(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(Server, "_handle", broken)
        assert await console.raw(SEEDS[0]) == b""
    assert "internal error with a connection of the console" in caplog.text
    await works(console)


@settings(max_examples=30, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.lists(st.one_of(st.binary(max_size=200), st.sampled_from(SEEDS + TOKENS))))
def test_bytes_of_any_kind(tmp_path_factory, data):
    """The parser alone, with everything that h11 has to say about it."""
    from sipx_monitor.web.http import HttpConnection, requests
    from sipx_monitor.web.messages import Response
    from sipx_monitor.web.streams import ClientStream

    async def answer(request, connection):
        request.query  # noqa: B018  # it was read
        await connection.body(100)
        return Response(200, b"ok")

    async def main():
        ours, theirs = trio.testing.memory_stream_pair()
        connection = HttpConnection(ClientStream(theirs), "127.0.0.1", tls=False)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(requests, connection, answer)
            for part in data:
                await ours.send_all(part)
            await ours.send_eof()
        await theirs.aclose()
        said = b""
        while more := await ours.receive_some(65536):
            said += more
        assert all(part[:1] in b"12345" for part in said.split(b"HTTP/1.1 ")[1:])

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
