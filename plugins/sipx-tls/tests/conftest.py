"""A proxy with certificates over real sockets, and peers that use Python's own ssl module."""

from __future__ import annotations

import ssl

import pytest
import trio

from sipx.sip import StreamParser
from sipx.testing import Authority, UdpCarrier, UserAgent

HOME, AWAY, OTHER = "home.example", "away.example", "other.example"


class Lab:
    """A proxy for home.example with a UC server by UDP; its partners have certificates."""

    def __init__(self, directory, start, nursery):
        self.directory = directory
        self.start = start
        self.nursery = nursery
        self.ca = Authority("Lab CA")
        self.ca.write(directory)
        self.home = UserAgent(f"sip:ada@{HOME}", UdpCarrier("127.0.0.3"))
        self.proxy = None
        self.streams = []

    def files(self, name, *domains, issuer=None, **more):
        issued = (issuer or self.ca).leaf(dns=domains, **more)
        return issued.write(self.directory, name)

    async def run(self, *, protocol="mtls", routes=None, interface=None, **tables):
        """Start it all; ``routes`` are the partners' by domain."""
        await self.nursery.start(self.home.serve)
        own = dict(zip(("cert_file", "key_file"), self.files("own", f"sip.{HOME}"), strict=True))
        near = {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}
        far = {"bind": "127.0.0.1", "port": 0, "protocol": protocol, "certificate": "own"}
        uc = {"server": "127.0.0.3", "port": self.home.place[1], "trusted": True}
        if routes is None:
            routes = {AWAY: {"server": "127.0.0.9", "protocol": protocol}}
        self.proxy = await self.start(
            domains=[HOME],
            plugins=["tls"],
            interface={"near": near, "far": {**far, **(interface or {})}},
            certificate={"own": own},
            trust={"ca": str(self.directory / "ca.crt"), **tables.pop("trust", {})},
            **{"static-routes": {"route": {HOME: uc, **routes}}},
            **tables,
        )
        self.home.proxy = self.proxy.place("near")
        return self.proxy

    def context(self, name="", *, server=False):
        purpose = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
        context = ssl.SSLContext(purpose)
        context.check_hostname = False
        context.load_verify_locations(self.directory / "ca.crt")
        context.verify_mode = ssl.CERT_REQUIRED
        if name:
            context.load_cert_chain(self.directory / f"{name}.crt", self.directory / f"{name}.key")
        return context

    async def connect(self, name="", source=("127.0.0.1", 0)):
        """A connection to the proxy that shows this certificate."""
        sock = trio.socket.socket()
        await sock.bind(source)
        await sock.connect(self.proxy.place("far"))
        stream = self.kept(trio.SocketStream(sock))
        return Peer(trio.SSLStream(stream, self.context(name)))

    def peer_on(self, stream):
        """Raw SIP over a stream whose handshake has begun."""
        return Peer(stream)

    def kept(self, stream):
        """A stream that is closed when the test ends."""
        self.streams.append(stream)
        return stream

    async def clear(self):
        """A connection to the proxy without TLS."""
        return self.kept(await trio.open_tcp_stream(*self.proxy.place("far")))

    def trouble(self, kind="interface", name="far"):
        found = self.proxy.kernel.troubles.of(kind, name)
        return "" if found is None else found.text


class Peer:
    """One end of a connection that speaks raw SIP."""

    def __init__(self, stream):
        self.stream = stream
        self.parser = StreamParser()
        self.waiting = []
        self.count = 0

    async def send(self, method="MESSAGE", sender=AWAY, to=HOME, via="127.0.0.1:5061", extra=()):
        self.count += 1
        lines = (
            f"{method} sip:ada@{to} SIP/2.0",
            f"Via: SIP/2.0/TLS {via};branch=z9hG4bK-{id(self)}-{self.count}",
            "Max-Forwards: 70",
            f"From: <sip:bob@{sender}>;tag=1",
            f"To: <sip:ada@{to}>",
            f"Call-ID: {id(self)}-{self.count}",
            f"CSeq: 1 {method}",
            *extra,
            "Content-Length: 0",
            "",
            "",
        )
        await self.stream.send_all("\r\n".join(lines).encode())

    async def next(self):
        """The next message. Raises what the stream does."""
        with trio.fail_after(10):
            while not self.waiting:
                piece = await self.stream.receive_some()
                if not piece:
                    raise trio.BrokenResourceError("ended")
                self.waiting += self.parser.feed(bytes(piece))
        return self.waiting.pop(0)

    async def answer(self, request, status=200):
        await self.stream.send_all(request.reply(status).encode())

    async def status(self, **what):
        """Send a request; the status of its answer, or why there is none."""
        try:
            await self.send(**what)
            return (await self.next()).status
        except (trio.BrokenResourceError, ssl.SSLError) as error:
            cause = error.__cause__
            return "alert" if isinstance(cause or error, ssl.SSLError) else "closed"


@pytest.fixture
async def lab(tmp_path, sipx_on_loopback, nursery):
    made = Lab(tmp_path, sipx_on_loopback, nursery)
    yield made
    for stream in made.streams:
        await trio.aclose_forcefully(stream)
