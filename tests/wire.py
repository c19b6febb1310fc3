"""Parties that speak raw bytes with a proxy on a network in memory: text in, text out."""

from __future__ import annotations

import itertools
import math
import re

import pytest
import trio

from sipx.testing.proxy import PEERS

PROXY = ("127.0.0.1", 5060)
HOME, AWAY = "127.0.1.1", "127.0.1.2"
_CALLS = itertools.count(1)
_LENGTH = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*:[ \t]*([0-9]+)", re.IGNORECASE)


def crlf(text: str) -> bytes:
    """A message written with plain line ends."""
    return text.replace("\n", "\r\n").encode("latin-1")


def message(
    method="MESSAGE",
    uri="sip:bob@home.example",
    *,
    via,
    sender="sip:alice@away.example",
    to=None,
    tag="1",
    call_id=None,
    cseq=1,
    branch=None,
    max_forwards="Max-Forwards: 70",
    extra=(),
    body="",
    length=True,
):
    """A request as bytes; ``via`` is "UDP 192.0.2.1:5060", ``extra`` further header lines, ``body``
    stays as it is.
    """
    number = next(_CALLS)
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{via};branch={branch or f'z9hG4bK-t{number}'}",
        max_forwards,
        f"From: <{sender}>;tag={tag}",
        f"To: {to or f'<{uri}>'}",
        f"Call-ID: {call_id or f'call-{number}'}",
        f"CSeq: {cseq} {method}",
        *extra,
        f"Content-Length: {len(body)}" if length else "",
    ]
    return crlf("\n".join([line for line in lines if line] + ["", ""])) + body.encode("latin-1")


def answer(request, status=200, *, tag="b", extra=(), body="", length=True):
    """A response to a request in bytes: its Vias, From, To with a tag, Call-ID and CSeq."""
    copied = [
        line
        for line in head(request)[1:]
        if line.partition(":")[0].lower()
        in ("via", "from", "to", "call-id", "cseq", "record-route", "v", "f", "t", "i")
    ]
    copied = [
        f"{line};tag={tag}"
        if line.lower().startswith(("to:", "t:")) and ";tag=" not in line and status > 100
        else line
        for line in copied
    ]
    size = [f"Content-Length: {len(body)}"] if length else []
    lines = [f"SIP/2.0 {status} Because", *copied, *extra, *size, "", ""]
    return crlf("\n".join(lines)) + body.encode("latin-1")


def head(data):
    """The start line and the header lines."""
    return data.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")


def body(data):
    """What stands behind the head."""
    return data.partition(b"\r\n\r\n")[2]


def start(data):
    """The start line."""
    return head(data)[0]


def status(data):
    """The code of a response."""
    assert data.startswith(b"SIP/2.0 "), start(data)
    return int(data[8:11])


def values(data, name):
    """The values of all lines called ``name`` in this spelling, in order."""
    pairs = (line.partition(":") for line in head(data)[1:])
    return [value.strip() for found, _, value in pairs if found.lower() == name.lower()]


def value(data, name):
    """The value of the only line called ``name``."""
    (found,) = values(data, name)
    return found


class Party:
    """What both kinds share: expecting and not expecting."""

    def __init__(self, proxy, address, port):
        self.proxy = proxy
        self.place = (address, port)
        self.via = f"{self.kind} {address}:{port}"
        self._in, self._inbox = trio.open_memory_channel[bytes](math.inf)

    async def receive(self, seconds=40):
        """The next message in bytes; fails when none comes."""
        try:
            with trio.fail_after(seconds):
                return await self._inbox.receive()
        except trio.TooSlowError:
            pytest.fail(f"nothing came to {self.via} in {seconds} s")

    async def silence(self, seconds=5):
        """Nothing comes for some time."""
        with trio.move_on_after(seconds):
            data = await self._inbox.receive()
            pytest.fail(f"unexpected at {self.via}: {data.decode('latin-1')}")

    async def ask(self, data):
        """Send, and return what comes back."""
        await self.send(data)
        return await self.receive()

    def request(self, method="MESSAGE", uri="sip:bob@home.example", **how):
        """A request of this party; see ``message``."""
        return message(method, uri, **{"via": self.via, **how})


class UdpParty(Party):
    """A datagram socket."""

    kind = "UDP"

    def __init__(self, proxy, address, port=5060):
        super().__init__(proxy, address, port)
        self.sources = []
        arriving = proxy.network.bind(self.place)

        async def read():
            async for data, source in arriving:
                self.sources.append(source)
                self._in.send_nowait(data)

        proxy._nursery.start_soon(read)

    async def send(self, data, to=PROXY):
        """One datagram."""
        self.proxy.network.datagram(data, self.place, to)


class TcpParty(Party):
    """A listening socket and connections; ``stream`` is the one used last."""

    kind = "TCP"

    def __init__(self, proxy, address, port=5060):
        super().__init__(proxy, address, port)
        self.stream = None
        self.accepted = 0
        self.ended = trio.Event()
        self.raw = b""
        proxy.network.listen(self.place, self._accept)

    def _accept(self, stream, peer):
        self.accepted += 1
        self.proxy._nursery.start_soon(self._read, stream)

    def connect(self):
        """A new connection to the proxy, used from now on."""
        self.stream = self.proxy.network.connect(self.place[0], PROXY)
        self.ended = trio.Event()
        self.proxy._nursery.start_soon(self._read, self.stream)
        return self.stream

    async def _read(self, stream):
        ended, buffer = self.ended, b""
        while True:
            try:
                data = bytes(await stream.receive_some())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                data = b""
            if not data:
                break
            self.stream = stream
            self.raw += data
            buffer += data
            while (whole := self._cut(buffer)) > 0:
                if buffer[:whole].strip():
                    self._in.send_nowait(buffer[:whole])
                buffer = buffer[whole:]
        if self.stream is stream:
            self.stream = None
        ended.set()

    @staticmethod
    def _cut(buffer):
        if buffer.startswith(b"\r\n"):
            return 2
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return 0
        found = _LENGTH.search(buffer, 0, end + 2)
        size = end + 4 + (int(found[1]) if found else 0)
        return size if len(buffer) >= size else 0

    async def send(self, data):
        """Bytes on the connection used last, or on a new one."""
        await (self.stream or self.connect()).send_all(data)

    async def closed(self, seconds=5):
        """The proxy ends the connection."""
        with trio.fail_after(seconds):
            await self.ended.wait()


KINDS = {"udp": UdpParty, "tcp": TcpParty}


def party(proxy, address, transport="udp", domain=None, port=5060):
    """A party; one with a domain is trusted by its address and served by a route."""
    made = KINDS[transport](proxy, address, port)
    if domain:
        proxy.plugin(PEERS).add(domain.encode(), transport, made.place)
    return made


async def two(sipx_proxy, home="udp", away="udp", **tables):
    """A proxy, the UC server of home.example and the partner away.example."""
    proxy = await sipx_proxy(**tables)
    return (
        proxy,
        party(proxy, HOME, home, "home.example"),
        party(proxy, AWAY, away, "away.example"),
    )
