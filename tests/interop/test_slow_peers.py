"""Peers that dawdle, and one that never reads, cost the good ones nothing (SEC-15)."""

from __future__ import annotations

import socket
import statistics
from typing import TYPE_CHECKING

import pytest
import trio

from .programs import free_port
from .proxy import ADDRESS, RunningProxy, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

ALICE = "127.0.0.2"
BOB = "127.0.0.3"
DEAF = "127.0.0.5"
DAWDLERS = 1000
ADDRESSES = [f"127.0.1.{number}" for number in range(1, 41)]
"""Where the dawdlers come from: 25 of them each, fewer than one address may have."""
PACE = 2.0
"""Seconds between two bytes of a dawdler."""
MESSAGES = 200
GAP = 0.02
MIB = 2**20
FLOOD = 3000
BODY = b"x" * 8000


def via(call: str, number: int, sender: str) -> str:
    protocol = "UDP" if call == "good" else "TCP"
    return f"Via: SIP/2.0/{protocol} {sender};branch=z9hG4bK{call}{number}\r\n"


def message(number: int, to: str, sender: str, call: str, body: bytes = b"Hello Bob.") -> bytes:
    return (
        f"MESSAGE sip:bob@{to} SIP/2.0\r\n"
        f"{via(call, number, sender)}"
        "Max-Forwards: 70\r\n"
        f"From: <sip:alice@{ALICE}>;tag=1\r\n"
        f"To: <sip:bob@{to}>\r\n"
        f"Call-ID: {call}-{number}\r\n"
        "CSeq: 1 MESSAGE\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def answer(request: bytes) -> bytes:
    """200 with what RFC 3261 §8.2.6.2 says to copy."""
    head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    kept = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")
    lines = [line for line in head if line.lower().startswith(kept)]
    return b"\r\n".join([b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""])


class Parties:
    """Alice and Bob on UDP, somebody deaf on TCP, and the proxy between them."""

    def __init__(self, folder: Path) -> None:
        self.sockets = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
        self.deaf = socket.socket()
        self.deaf.bind((DEAF, 0))
        self.deaf.listen(16)  # and nobody ever accepts or reads
        self.alice_port, self.bob_port = free_port(ALICE), free_port(BOB)
        tables = (
            route(ALICE, ALICE, self.alice_port)
            + route(BOB, BOB, self.bob_port)
            + route(DEAF, DEAF, self.deaf.getsockname()[1], "tcp")
        )
        self.proxy = RunningProxy(folder, domain=ALICE, tables=tables)
        self.sent = 0
        self.flooded = 0
        """Messages to the deaf one that the proxy has taken."""
        self.asked = 0
        """Requests of the one who never reads."""

    async def bind(self) -> None:
        self.alice, self.bob = map(trio.socket.from_stdlib_socket, self.sockets)
        await self.alice.bind((ALICE, self.alice_port))
        await self.bob.bind((BOB, self.bob_port))

    async def bob_answers(self) -> None:
        while True:
            request, place = await self.bob.recvfrom(65535)
            await self.bob.sendto(answer(request), place)

    async def round_trips(self) -> list[float]:
        """Milliseconds from a MESSAGE of Alice's to Bob's 200, one after the other.

        There are no retransmissions: an answer that is lost or later than five seconds fails.
        """
        taken: list[float] = []
        for _ in range(MESSAGES):
            self.sent += 1
            sender = f"{ALICE}:{self.alice_port}"
            request = message(self.sent, BOB, sender, "good")
            begun = trio.current_time()
            await self.alice.sendto(request, (ADDRESS, self.proxy.ports["udp"]))
            with trio.fail_after(5):
                response = await self.alice.recv(65535)
                while f"Call-ID: good-{self.sent}\r\n".encode() not in response:
                    response = await self.alice.recv(65535)  # of the flood to the deaf one
            assert response.startswith(b"SIP/2.0 200 "), response
            taken.append((trio.current_time() - begun) * 1000)
            await trio.sleep(GAP)
        return taken

    def end(self) -> None:
        for one in (*self.sockets, self.deaf):
            one.close()
        self.proxy.end()


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    parties = Parties(tmp_path)
    yield parties
    parties.end()


class Dawdlers:
    """Clients that send a request byte by byte, and connect again when they are thrown out."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connected = 0

    async def run(self, index: int) -> None:
        text = message(index, BOB, f"{ALICE}:5060", "dawdle")
        source = ADDRESSES[index % len(ADDRESSES)]
        while True:
            with trio.socket.socket() as client:
                await client.bind((source, 0))
                try:
                    await client.connect((ADDRESS, self.port))
                    self.connected += 1
                    try:
                        for byte in text:
                            await client.send(bytes([byte]))
                            await trio.sleep(PACE)
                    finally:
                        self.connected -= 1
                except OSError:
                    await trio.sleep(PACE)


async def connected(dawdlers: Dawdlers, nursery: trio.Nursery) -> None:
    """Start all of them, a few at a time, and wait until nearly all are there at once."""
    for index in range(DAWDLERS):
        nursery.start_soon(dawdlers.run, index)
        if index % 50 == 49:
            await trio.sleep(0.05)
    with trio.fail_after(20):
        while dawdlers.connected < DAWDLERS * 0.95:
            await trio.sleep(0.05)


async def never_read(parties: Parties) -> None:
    """One connection that asks and asks, and never reads an answer, until it may not any more."""
    with trio.socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await client.bind((ALICE, 0))
        await client.connect((ADDRESS, parties.proxy.ports["tcp"]))
        try:
            while True:
                for _ in range(4):
                    parties.asked += 1
                    asked = message(parties.asked, BOB, f"{ALICE}:5060", "flood")
                    await client.send(asked.replace(b"MESSAGE", b"OPTIONS"))
                await trio.sleep(0.002)
        except OSError:
            return


async def flood_the_deaf(parties: Parties) -> None:
    """Alice has much to say to somebody whose server accepts connections and never reads."""
    with trio.socket.socket() as client:
        await client.bind((ALICE, 0))
        await client.connect((ADDRESS, parties.proxy.ports["tcp"]))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read_all, client)
            for number in range(FLOOD):
                text = message(number, DEAF, f"{ALICE}:5060", "flood", BODY)
                await trio.SocketStream(client).send_all(text)
                parties.flooded += 1
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()


async def read_all(client: trio.socket.SocketType) -> None:
    while await client.recv(65536):
        pass


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def test_a_thousand_dawdling_connections_do_not_slow_good_messages(
    parties: Parties,
) -> None:
    await parties.bind()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parties.bob_answers)
        await parties.round_trips()
        alone, memory = await parties.round_trips(), parties.proxy.memory
        dawdlers = Dawdlers(parties.proxy.ports["tcp"])
        await connected(dawdlers, nursery)
        beside = await parties.round_trips() + await parties.round_trips()
        assert dawdlers.connected > DAWDLERS * 0.8
        grown = (parties.proxy.memory - memory) / MIB
        nursery.cancel_scope.cancel()
    assert p95(beside) < max(5 * p95(alone), 25), (p95(alone), p95(beside))
    assert grown < 64, f"{DAWDLERS} connections cost {grown:.0f} MiB"


async def test_a_peer_that_never_reads_delays_nobody_and_fills_no_memory(
    parties: Parties,
) -> None:
    await parties.bind()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parties.bob_answers)
        await parties.round_trips()
        alone, memory = await parties.round_trips(), parties.proxy.memory
        async with trio.open_nursery() as bad:
            bad.start_soon(never_read, parties)
            bad.start_soon(flood_the_deaf, parties)
            beside = await parties.round_trips() + await parties.round_trips()
            bad.cancel_scope.cancel()
        after = await parties.round_trips()
        grown = (parties.proxy.memory - memory) / MIB
        nursery.cancel_scope.cancel()
    assert parties.flooded == FLOOD
    assert p95(beside) < max(5 * p95(alone), 50), (p95(alone), p95(beside))
    assert p95(after) < max(5 * p95(alone), 50), (p95(alone), p95(after))
    assert grown < 96, f"what a peer does not read cost {grown:.0f} MiB"
