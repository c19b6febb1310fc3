"""A thousand TLS handshakes that stall leave a good peer's messages undelayed (SEC-15)."""

from __future__ import annotations

import socket
import ssl
import statistics
from typing import TYPE_CHECKING

import pytest
import trio

from sipx.testing import Authority

from .programs import free_port
from .proxy import ADDRESS, RunningProxy, route

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.interop

HOME, PARTNER = "127.0.0.3", "away.example"
STALLED = 1000
ADDRESSES = [f"127.0.1.{number}" for number in range(1, 41)]
"""Where they come from: 25 of them each, fewer than one address may have."""
MESSAGES = 200
GAP = 0.02

TABLES = """
[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "mtls"
certificate = "own"

[certificate.own]
cert_file = "{folder}/own.crt"
key_file = "{folder}/own.key"

[static-routes.route."away.example"]
server = "127.0.0.9"
protocol = "mtls"
ca = "{folder}/ca.crt"
"""


class Parties:
    """A partner over mutual TLS, a UC server on UDP, and the proxy between them."""

    def __init__(self, folder: Path) -> None:
        ca = Authority()
        ca.write(folder)
        ca.leaf(dns=["home.example"]).write(folder, "own")
        ca.leaf(dns=[PARTNER]).write(folder, "peer")
        self.folder = folder
        self.socket = socket.socket(type=socket.SOCK_DGRAM)
        self.port = free_port(HOME)
        self.proxy = RunningProxy(
            folder,
            domain="home.example",
            tables=route("home.example", HOME, self.port) + TABLES.format(folder=folder),
            plugins=("udp", "tcp", "tls", "static-routes"),
        )
        self.sent = 0

    async def answers(self) -> None:
        server = trio.socket.from_stdlib_socket(self.socket)
        await server.bind((HOME, self.port))
        while True:
            request, place = await server.recvfrom(65535)
            head = request.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            kept = (b"via:", b"from:", b"to:", b"call-id:", b"cseq:")
            lines = [line for line in head if line.lower().startswith(kept)]
            answer = [b"SIP/2.0 200 OK", *lines, b"Content-Length: 0", b"", b""]
            await server.sendto(b"\r\n".join(answer), place)

    async def connect(self) -> trio.SSLStream[trio.SocketStream]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.folder / "ca.crt")
        context.load_cert_chain(self.folder / "peer.crt", self.folder / "peer.key")
        stream = await trio.open_tcp_stream(ADDRESS, self.proxy.ports["mtls"])
        return trio.SSLStream(stream, context)

    async def round_trips(self, stream: trio.SSLStream[trio.SocketStream]) -> list[float]:
        """Milliseconds from a MESSAGE to its 200, one after the other."""
        taken: list[float] = []
        for _ in range(MESSAGES):
            self.sent += 1
            begun = trio.current_time()
            await stream.send_all(
                (
                    "MESSAGE sip:ada@home.example SIP/2.0\r\n"
                    f"Via: SIP/2.0/TLS 127.0.0.9:5061;branch=z9hG4bK{self.sent}\r\n"
                    "Max-Forwards: 70\r\n"
                    f"From: <sip:bob@{PARTNER}>;tag=1\r\n"
                    "To: <sip:ada@home.example>\r\n"
                    f"Call-ID: {self.sent}\r\nCSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
                ).encode()
            )
            answer = b""
            with trio.fail_after(5):
                while not answer.endswith(b"\r\n\r\n"):
                    answer += await stream.receive_some()
            assert answer.startswith(b"SIP/2.0 200 "), answer
            taken.append((trio.current_time() - begun) * 1000)
            await trio.sleep(GAP)
        return taken


@pytest.fixture
def parties(tmp_path: Path) -> Iterator[Parties]:
    parties = Parties(tmp_path)
    yield parties
    parties.socket.close()
    parties.proxy.end()


class Stalled:
    """Clients that begin a handshake and say no more; thrown out, they come again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.connected = 0
        self.thrown_out = 0

    async def run(self, index: int) -> None:
        while True:
            with trio.socket.socket() as client:
                await client.bind((ADDRESSES[index % len(ADDRESSES)], 0))
                await client.connect((ADDRESS, self.port))
                self.connected += 1
                try:
                    await client.send(b"\x16\x03\x01\x02\x00\x01")  # a ClientHello begins
                    while await client.recv(100):
                        pass
                    self.thrown_out += 1
                except OSError:
                    self.thrown_out += 1
                finally:
                    self.connected -= 1


def p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


async def test_a_thousand_stalled_handshakes_delay_nobody(parties: Parties) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parties.answers)
        stream = await parties.connect()
        await parties.round_trips(stream)
        alone = await parties.round_trips(stream)
        stalled = Stalled(parties.proxy.ports["mtls"])
        for index in range(STALLED):
            nursery.start_soon(stalled.run, index)
            if index % 50 == 49:
                await trio.sleep(0.05)
        beside = await parties.round_trips(stream) + await parties.round_trips(stream)
        assert stalled.connected > STALLED * 0.8
        assert stalled.thrown_out > STALLED * 0.5, "the deadline of a handshake ends them"
        # And a new good peer still gets in.
        another = await parties.connect()
        await parties.round_trips(another)
        for one in (stream, another):
            await trio.aclose_forcefully(one)
        nursery.cancel_scope.cancel()
    assert p95(beside) < max(5 * p95(alone), 25), (p95(alone), p95(beside))
