"""HTTP over real sockets: what is answered, what is cut off, and that nothing ends the server."""

from __future__ import annotations

import logging
import random
import socket
import struct

import h11
import pytest
import trio
import trio.testing
from sipx_metrics import server as module
from sipx_metrics.pages import Page, plain
from sipx_metrics.server import HEAD_TIMEOUT, IDLE_TIMEOUT, MAX_CONNECTIONS, MAX_HEAD, Server

LOG = logging.LoggerAdapter(logging.getLogger("sipx.plugin.metrics"), {})
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
BODY = b"hello\n"


def hello(method: bytes, target: bytes, accept: str) -> Page:
    """What the tests ask for."""
    if target == b"/fault":
        raise ZeroDivisionError("secret")
    if target == b"/large":
        return Page(200, "text/plain", b"x" * (16 << 20))
    if target == b"/accept":
        return plain(200, accept)
    if method not in (b"GET", b"HEAD"):
        return plain(405, "no", ("Allow", "GET, HEAD"))
    return Page(200, "text/plain", BODY)


class Place:
    """A server on a free port of this machine."""

    def __init__(self, server, address):
        self.server = server
        self.address = address

    async def connect(self):
        return await trio.open_tcp_stream(*self.address)

    async def says(self, *parts: bytes) -> bytes:
        """Everything that comes back until the server closes the connection."""
        async with await self.connect() as stream:
            for part in parts:
                await stream.send_all(part)
                await trio.testing.wait_all_tasks_blocked()
            await stream.send_eof()
            return await all_of(stream)

    async def works(self):
        """An honest request is answered."""
        assert status(await self.says(GET)) == 200


@pytest.fixture
async def place(nursery):
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(hello, LOG)
    nursery.start_soon(server.serve, listener)
    return Place(server, listener.socket.getsockname()[:2])


async def all_of(stream) -> bytes:
    found = b""
    with trio.fail_after(20):
        while data := await stream.receive_some(65536):
            found += data
    return found


async def one(stream, request=GET):
    """Send a request and read its response, leaving the connection open."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    connection.send(h11.EndOfMessage())
    await stream.send_all(request)
    with trio.fail_after(20):
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(4096))
            elif isinstance(event, h11.Response):
                found = event
            elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
                return found


def status(answer: bytes) -> int:
    head = answer.split(None, 2)
    assert head[0] == b"HTTP/1.1", answer
    return int(head[1])


def header(answer: bytes, name: bytes) -> bytes | None:
    for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        key, _, value = line.partition(b": ")
        if key.lower() == name:
            return value
    return None


# ---------------------------------------------------------------- what is answered


async def test_a_get_is_answered_with_length_and_type(place):
    answer = await place.says(GET)
    assert status(answer) == 200
    assert answer.endswith(b"\r\n\r\n" + BODY)
    assert header(answer, b"content-length") == b"6"
    assert header(answer, b"content-type") == b"text/plain"
    assert header(answer, b"cache-control") == b"no-store"


async def test_a_head_gets_the_head_of_the_answer_only(place):
    answer = await place.says(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert status(answer) == 200
    assert header(answer, b"content-length") == b"6"
    assert answer.endswith(b"\r\n\r\n")


async def test_one_connection_carries_many_requests(place):
    async with await place.connect() as stream:
        for _ in range(5):
            assert (await one(stream)).status_code == 200
        assert place.server.connections == 1


async def test_requests_that_come_together_are_answered_in_order(place):
    answer = await place.says(GET + GET.replace(b" / ", b" /accept ") + GET)
    assert answer.count(b"HTTP/1.1 200 OK") == 3


async def test_connection_close_is_done_as_asked(place):
    async with await place.connect() as stream:
        await stream.send_all(GET[:-2] + b"Connection: close\r\n\r\n")
        answer = await all_of(stream)
    assert header(answer, b"connection") == b"close"


async def test_http_1_0_is_answered_and_closed(place):
    async with await place.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        assert status(await all_of(stream)) == 200


async def test_what_is_accepted_is_passed_on_from_all_its_lines(place):
    request = b"GET /accept HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\nAccept: */*\r\n\r\n"
    assert (await place.says(request)).endswith(b"text/plain, */*")


async def test_a_body_that_came_along_is_overlooked(place):
    request = b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
    assert (await place.says(request + GET)).count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize("length", [b"Content-Length: 99999", b"Transfer-Encoding: chunked"])
async def test_a_body_that_is_still_to_come_makes_the_answer_the_last_one(place, length):
    request = b"POST / HTTP/1.1\r\nHost: a\r\n" + length + b"\r\n\r\n"
    async with await place.connect() as stream:
        await stream.send_all(request)
        answer = await all_of(stream)
    assert status(answer) == 405
    assert header(answer, b"connection") == b"close"
    assert header(answer, b"allow") == b"GET, HEAD"


async def test_an_answer_is_read_although_the_body_was_not(place):
    """Closing with unread bytes would reset the connection and take the answer away."""
    async with await place.connect() as stream:
        await stream.send_all(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000\r\n\r\n" + b"x" * 20000
        )
        assert status(await all_of(stream)) == 405


async def test_an_expectation_is_not_waited_for(place):
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    async with await place.connect() as stream:
        await stream.send_all(request)
        assert status(await all_of(stream)) == 405


async def test_what_cannot_be_gathered_is_a_500_without_the_reason_and_life_goes_on(place, caplog):
    async with await place.connect() as stream:
        assert (await one(stream, GET.replace(b" / ", b" /fault "))).status_code == 500
        assert (await one(stream)).status_code == 200
    answer = await place.says(GET.replace(b" / ", b" /fault "))
    assert b"secret" not in answer
    assert "ZeroDivisionError" in caplog.text


# ---------------------------------------------------------------- what is nonsense

UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
NONSENSE = {
    "nothing": b"",
    "line breaks": b"\r\n\r\n\r\n",
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "SIP": b"OPTIONS sip:a SIP/2.0\r\nVia: SIP/2.0/TCP a\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "a bad length": b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a bad chunk": b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/9": b"GET / HTTP/9.9\r\nHost: a\r\n\r\n",
    "half a request": GET[:-3],
    "zeros": b"\0" * 4000,
    "bytes after an upgrade": UPGRADE + b"\x81\x00",
    "bytes after CONNECT": b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n\x05\x01",
    "a folded header": b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n",
    "no path": b"GET http://[::1/ HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_answered_or_cut_off_and_never_harms(place, data, caplog):
    answer = await place.says(data)
    assert not answer or status(answer) in (200, 400, 405, 501, 505)
    await place.works()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_two_bytes_after_an_upgrade_neither_spin_nor_end_the_server(place, caplog):
    """They are taken for the next request, which they are not."""
    answer = await place.says(UPGRADE, b"\x81", b"\x00")
    assert status(answer) == 200, "the upgrade is declined by an answer"
    assert answer.count(b"HTTP/1.1") <= 2
    await place.works()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_head_that_is_too_large_is_refused(place):
    async with await place.connect() as stream:
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * (2 * MAX_HEAD))
        assert status(await all_of(stream)) == 431


@pytest.mark.parametrize("seed", range(4))
async def test_fuzz_no_bytes_whatever_end_the_server(place, seed, caplog):
    chance = random.Random(seed)
    seeds = [GET, UPGRADE, *NONSENSE.values()]
    for _ in range(150):
        data = bytearray(chance.choice(seeds) + chance.choice(seeds))
        for _ in range(chance.randrange(6)):
            at = chance.randrange(len(data) + 1)
            match chance.randrange(4):
                case 0:
                    data[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del data[at : at + chance.randrange(20)]
                case 2:
                    data[at:at] = chance.randbytes(chance.randrange(8))
                case 3:
                    data[at:at] = chance.choice((b"\r\n", b"\r\n\r\n", b":", b" ", b"\0"))
        cut = chance.randrange(len(data) + 1)
        async with await place.connect() as stream:
            try:
                await stream.send_all(bytes(data[:cut]))
                await stream.send_all(bytes(data[cut:]))
                if chance.random() < 0.3:
                    # The other way to leave: a reset, in the middle of whatever is under way.
                    linger = struct.pack("ii", 1, 0)
                    stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    continue
                await stream.send_eof()
                await all_of(stream)
            except trio.BrokenResourceError:
                continue
    await place.works()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# ---------------------------------------------------------------- who is slow


async def test_half_a_request_is_not_waited_for_for_ever(place, mock_clock):
    async with await place.connect() as stream:
        for byte in (b"G", b"E"):
            await stream.send_all(byte)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(HEAD_TIMEOUT * 0.6)
        assert await all_of(stream) == b"", "bytes that drip do not buy time"


async def test_who_says_nothing_is_cut_off_sooner_at_first_than_between_requests(place, mock_clock):
    async with await place.connect() as silent, await place.connect() as regular:
        assert (await one(regular)).status_code == 200
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(HEAD_TIMEOUT + 1)
        assert await all_of(silent) == b""
        assert (await one(regular)).status_code == 200
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(IDLE_TIMEOUT + 1)
        assert await all_of(regular) == b""


async def test_who_does_not_read_is_cut_off(place, mock_clock):
    async with await place.connect() as deaf:
        await deaf.send_all(GET.replace(b" / ", b" /large "))
        await trio.testing.wait_all_tasks_blocked()
        assert place.server.connections == 1
        mock_clock.jump(module.WRITE_TIMEOUT + 1)
        await trio.testing.wait_all_tasks_blocked()
        assert place.server.connections == 0


async def test_of_too_many_connections_the_oldest_is_ended_and_new_ones_are_served(place):
    async with trio.open_nursery() as nursery:
        streams = []
        for _ in range(MAX_CONNECTIONS + 8):
            streams.append(await place.connect())
            await trio.testing.wait_all_tasks_blocked()
        assert place.server.connections == MAX_CONNECTIONS
        for stream in streams[:8]:
            nursery.start_soon(all_of, stream)
        await place.works()
    for stream in streams:
        await trio.aclose_forcefully(stream)


async def test_the_end_of_the_server_ends_its_connections():
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        address = listener.socket.getsockname()
        nursery.start_soon(Server(hello, LOG).serve, listener)
        stream = await trio.open_tcp_stream(*address)
        assert (await one(stream)).status_code == 200
        nursery.cancel_scope.cancel()
    assert await all_of(stream) == b""
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream(*address)
    await stream.aclose()
