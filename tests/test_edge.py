"""The torture corpus through a running proxy: what the manifest says, and life goes on."""

from __future__ import annotations

import pytest
import trio

from sipx.domains import DomainSet
from sipx.plugin import Accept, Sender, hookimpl
from sipx.sip import names
from sipx.sip.message import Request
from sipx.trust import SenderKind

from .torture.corpus import CORPUS, messages, read_datagram, read_stream
from .wire import AWAY, HOME, KINDS, PROXY, answer, status

EDITED = {
    names.VIA,
    names.MAX_FORWARDS,
    names.MAX_BREADTH,
    names.RECORD_ROUTE,
    names.CONTENT_LENGTH,
    *names.BORDER,
}
LONGEST = 3000
"""Bytes of a message that is sent byte by byte."""


class Insiders:
    """Everybody is a UC server that may use any From domain."""

    @hookimpl(tryfirst=True)
    def authenticate_request(self, request, flow):
        return Accept(Sender(SenderKind.UC_SERVER, "inside", DomainSet(["*"]), trusted=True))


class Scene:
    """A proxy between a party at HOME that sends anything and all domains at AWAY."""

    def __init__(self, proxy, transport):
        self.sender = KINDS[transport](proxy, HOME)
        self.forwarded = []
        self.answered = []
        pass_on = proxy.network.datagram

        def datagram(data, source, to):
            if to[0] == AWAY:
                self.forwarded.append(data)
            elif to[0] == HOME:
                self.answered.append(data)
            else:
                pass_on(data, source, to)

        proxy.network.datagram = datagram
        self.proxy = proxy
        self.transport = transport

    async def send(self, data, piece=None):
        """Send in one go, or in pieces as long as the connection lives."""
        if self.transport == "udp":
            self.proxy.network.datagram(data, self.sender.place, PROXY)
        else:
            stream = self.sender.stream or self.sender.connect()
            for at in range(0, len(data), piece or len(data)):
                try:
                    await stream.send_all(data[at : at + (piece or len(data))])
                except trio.BrokenResourceError:
                    break
        await trio.sleep(0.12)

    def finals(self):
        """The final responses that came back."""
        came = self.answered
        if self.transport == "tcp":
            while True:
                try:
                    came.append(self.sender._inbox.receive_nowait())
                except trio.WouldBlock:
                    break
        return [data for data in came if status(data) >= 200]

    def reply(self, code):
        """AWAY answers what it got last."""
        network = self.proxy.network
        network.datagram(answer(self.forwarded[-1], code), (AWAY, 5060), PROXY)

    async def relays(self):
        """An honest message still passes, and its response."""
        self.forwarded.clear()
        self.answered.clear()
        await self.send(self.sender.request(uri="sip:bob@any.example"))
        assert len(self.forwarded) == 1
        self.reply(299)
        await trio.sleep(0.1)
        assert [status(data) for data in self.finals()][-1:] == [299]


async def scene(sipx_proxy, transport):
    """The proxy of the manifest's ``policy``: any From, any domain."""
    routes = {"*": {"server": AWAY, "protocol": "udp", "trusted": False}}
    proxy = await sipx_proxy(**{"static-routes": {"route": routes}})
    proxy.kernel.hooks.unregister("testing-peers")
    static = proxy.kernel.hooks.unregister("static-routes")
    proxy.kernel.hooks.register("insiders", Insiders())
    proxy.kernel.hooks.register("static-routes", static)
    return Scene(proxy, transport)


def same_but_for_edits(case, forwarded):
    """All lines a proxy has no business with, in their order, and the body, are equal."""
    read = read_datagram(case.data) if case.by_datagram else read_stream(case.data)[-1]
    (copy,) = messages([read_datagram(forwarded)])
    assert isinstance(read, Request)
    (original,) = messages([read])

    def kept(lines, ids):
        return [line for line, i in zip(lines, ids, strict=True) if i not in EDITED]

    assert copy[1:4] == original[1:4]
    assert kept(copy[5], copy[6]) == kept(original[5], original[6])
    assert not names.BORDER.intersection(copy[6])
    assert copy[7] == original[7]


async def judge(case, at, *, piece=None):
    """Send the case, see what becomes of it, and that the proxy goes on."""
    await at.send(case.data, piece)
    code = case.policy or case.code
    datagram = at.transport == "udp"
    if case.policy is None and case.action == "forward":
        assert len(at.forwarded) == 1, at.answered
        same_but_for_edits(case, at.forwarded[0])
        at.reply(299)
        await trio.sleep(0.1)
        assert [status(data) for data in at.finals()] == [299]
    elif code is not None and not (datagram and case.fatal):
        await trio.sleep(0.1)
        assert [status(data) for data in at.finals()] == [code]
        assert not at.forwarded
    else:
        await trio.sleep(5)
        assert not at.finals()
        assert not at.answered
        assert not at.forwarded
    if not datagram:
        assert at.sender.ended.is_set() == case.fatal
    await at.relays()


def named(cases):
    """As parameters, by name."""
    return [pytest.param(case, id=case.name) for case in cases]


@pytest.mark.parametrize("case", named(c for c in CORPUS if c.by_datagram))
async def test_tt1_by_udp(sipx_proxy, autojump_clock, case):
    await judge(case, await scene(sipx_proxy, "udp"))


@pytest.mark.parametrize("case", named(c for c in CORPUS if c.by_stream))
async def test_tt1_by_tcp_in_one_piece(sipx_proxy, autojump_clock, case):
    await judge(case, await scene(sipx_proxy, "tcp"))


@pytest.mark.parametrize("case", named(c for c in CORPUS if c.by_stream and len(c.data) <= LONGEST))
async def test_tt1_by_tcp_byte_by_byte(sipx_proxy, autojump_clock, case):
    await judge(case, await scene(sipx_proxy, "tcp"), piece=1)
