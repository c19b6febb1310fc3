"""Clients that answer challenges, and a registrar that knows no more than that somebody came."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sipx import Config, hookimpl
from sipx.sip import digest

HOME = "home.example"
SECRET = "correct horse"


class Registrar:
    """Answers REGISTER, and lets the registration authorise its flow for an hour."""

    Config = Config

    def __init__(self, proxy):
        self._now = proxy.kernel.clock
        self.senders = []

    @hookimpl
    def serve_request(self, request, sender, flow):
        if request.method != b"REGISTER":
            return None
        self.senders.append(sender)
        expires = int(request.get(b"Expires") or b"3600")
        flow.account_until = self._now() + expires if expires else 0.0
        return request.reply(200)


@dataclass
class Client:
    """A user agent that logs on. ``counts`` are the nonce counts, by nonce."""

    agent: object
    user: str
    password: str
    counts: dict[bytes, int] = field(default_factory=dict)

    def answer(self, request, challenged, *, user=None, password=None, algorithms=None, nc=None):
        """The request again, with credentials for the challenges of a response."""
        registers = request.method == b"REGISTER"
        offered = challenged.get_all(b"WWW-Authenticate" if registers else b"Proxy-Authenticate")
        nonce = digest.Challenge.parse(offered[0]).nonce
        self.counts[nonce] = nc or self.counts.get(nonce, 0) + 1
        value = digest.answer(
            offered,
            (user or self.user).encode(),
            (password or self.password).encode(),
            request.method,
            request.uri,
            b"cnonce",
            self.counts[nonce],
            algorithms=algorithms or digest.KNOWN,
        )
        assert value is not None, offered
        again = request.copy()
        name = b"Authorization" if registers else b"Proxy-Authorization"
        again.remove(name)
        again.replace(b"CSeq", b"%d %b" % (request.cseq.number + 1, request.method))
        again.add(name, value)
        return again

    async def send(self, method, to, *, sender=None, headers=(), **answering):
        """A request, and once more with credentials if it is challenged; the last response."""
        request = self.agent.new(method, to, sender=sender, headers=headers)
        response = await self.agent.send(request)
        if response.status not in (401, 407):
            return response
        return await self.agent.send(self.answer(request, response, **answering))

    async def register(self, *, expires=3600, **answering):
        """The logon of the server itself."""
        aor = f"sip:{self.user}@{HOME}"
        contact = b"<" + self.agent.contact + b">"
        headers = ((b"Contact", contact), (b"Expires", b"%d" % expires))
        request = self.agent.new("REGISTER", f"sip:{HOME}", sender=aor, headers=headers)
        request.replace(b"To", b"<" + aor.encode() + b">")
        response = await self.agent.send(request)
        if response.status != 401:
            return response
        return await self.agent.send(self.answer(request, response, **answering))

    async def message(self, to="sip:peer@away.example", sender="sip:alice@home.example", **more):
        return await self.send("MESSAGE", to, sender=sender, **more)


@dataclass
class Site:
    """A proxy with the plugin, a partner whom everybody may write to, and clients."""

    proxy: object
    away: object
    registrar: Registrar

    def client(self, *, transport="tcp", user="ucserver", password=SECRET, interface="lan"):
        agent = self.proxy.peer(HOME, transport=transport, routed=False)
        agent.proxy = self.proxy.place(interface)
        return Client(agent, user, password)

    @property
    def judge(self):
        return self.proxy.plugin("lan").judge

    def events(self, kind):
        return [event for plugin, event in self.proxy.events if isinstance(event, kind)]

    def flow_of(self, client):
        """The one flow of a client."""
        host = client.agent.place[0]
        [flow] = [flow for flow in self.proxy.kernel.flows if flow.address == host]
        return flow


@pytest.fixture
def client_of():
    """``client_of(agent, user, password)``: another account on the connection of an agent."""
    return Client


@pytest.fixture
def registrar():
    """``registrar(proxy)``: a plugin that answers REGISTER."""
    return Registrar


@pytest.fixture
def start_site(sipx_proxy):
    """``await start_site(protocol="udp", server={...})``: the table [lan], with its listener."""

    async def start(*, tables=None, registrar=True, **lan):
        settings = {"bind": "127.0.0.1", "port": 5070, "user": "ucserver", "password": SECRET}
        settings |= lan
        table = {key: value for key, value in settings.items() if value is not None}
        proxy = await sipx_proxy(**{**(tables or {}), "lan": table})
        stub = Registrar(proxy)
        if registrar:
            proxy.kernel.hooks.register("stub-registrar", stub)
        return Site(proxy, proxy.peer("away.example"), stub)

    return start
