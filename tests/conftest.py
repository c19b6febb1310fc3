"""Distributions that exist only for one test, and proxies with peers that speak raw SIP."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from sipx.plugin import NextHop, Target, Targets, hookimpl
from sipx.sip import Request, Response, cached_uri, parse_datagram
from sipx.sip.transaction import request_within
from sipx.testing import Authority, DnsServer, dns_server
from sipx.testing.proxy import PEERS

if TYPE_CHECKING:
    from sipx.testing.peer import UserAgent
    from sipx.testing.proxy import ProxyUnderTest

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=SOURCE)``: a distribution."""
    before = set(sys.modules)

    def install_(name: str, plugins: dict[str, str], version: str = "1.0", **modules: str) -> Path:
        site = tmp_path / "site" / name
        information = site / f"{name.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        information.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        )
        entries = "".join(f"{plugin} = {place}\n" for plugin, place in plugins.items())
        information.joinpath("entry_points.txt").write_text(f"[sipx]\n{entries}")
        for module, source in modules.items():
            site.joinpath(f"{module}.py").write_text(source)
        monkeypatch.syspath_prepend(site)
        return site

    yield install_
    for module in set(sys.modules) - before:
        if str(getattr(sys.modules[module], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[module]


# ---------------------------------------------------------------- proxies under test


class RawPeer:
    """A place on the network in memory that speaks bytes: it repeats and answers nothing itself.

    ``at`` of what it has taken is in seconds of the virtual clock, in ``times``.
    """

    def __init__(self, proxy: ProxyUnderTest, domain: str, place: tuple[str, int]) -> None:
        self.domain = domain
        self.place = place
        up = proxy.kernel.interfaces.listening()
        self.towards = next(one.address for one in up if one.protocol == "udp")
        self.times: list[float] = []
        self._network = proxy.network
        self._arriving = proxy.network.bind(place)
        self._waiting: list[Request | Response] = []
        self._count = 0

    def send(self, data: bytes) -> bytes:
        """These bytes as one datagram to the proxy."""
        self._network.datagram(data, self.place, self.towards)
        return data

    def ask(
        self,
        method: str,
        uri: str,
        *headers: str,
        branch: str = "",
        to_tag: str = "",
        call_id: str = "",
        cseq: int = 1,
        sender: str = "",
        via: str = "",
        forwards: int = 70,
        body: str = "",
    ) -> bytes:
        """Send a request; returns its bytes, so that it can be sent again."""
        self._count += 1
        branch = branch or f"z9hG4bK{self.place[0]}x{self._count}"
        lines = [
            f"{method} {uri} SIP/2.0",
            via or f"Via: SIP/2.0/UDP {self.place[0]}:{self.place[1]};branch={branch}",
            f"Max-Forwards: {forwards}",
            f"From: <{sender or 'sip:user@' + self.domain}>;tag=near",
            f"To: <{uri}>" + (f";tag={to_tag}" if to_tag else ""),
            f"Call-ID: {call_id or branch}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:user@{self.place[0]}:{self.place[1]}>",
            *headers,
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        return self.send("\r\n".join(lines).encode())

    def within(self, asked: bytes, method: str, to: bytes | None = None) -> bytes:
        """Send the CANCEL or the ACK of a request that was sent (§9.1, §17.1.1.3)."""
        invite = parse_datagram(asked)
        via = invite.lines[invite.layout.via]
        return self.send(request_within(invite, via, method.encode(), to))

    def answer(
        self, request: Request, status: int, *headers: tuple[bytes, bytes], tag: bytes = b"far"
    ) -> bytes:
        """Answer a request that was received; what forms a dialog gets its Record-Route."""
        given = list(headers)
        if 100 < status < 300:
            given += [(b"Record-Route", value) for value in request.get_all(b"Record-Route")]
            given.append((b"Contact", b"<sip:far@%b:%d>" % (self.place[0].encode(), self.place[1])))
        return self.send(request.reply(status, headers=given, to_tag=tag).encode())

    def _read(self) -> None:
        while True:
            try:
                data, _ = self._arriving.receive_nowait()
            except trio.WouldBlock:
                return
            self._waiting.append(parse_datagram(data))

    async def next(self, what: str | int, within: float = 60.0) -> Any:
        """The next request of a method, or response with a status; others wait their turn."""
        with trio.fail_after(within):
            while True:
                self._read()
                for message in self._waiting:
                    if gist(message) == what:
                        self._waiting.remove(message)
                        self.times.append(trio.current_time())
                        return message
                data, _ = await self._arriving.receive()
                self._waiting.append(parse_datagram(data))

    def heard(self) -> list[str | int]:
        """What came and was not taken, as methods and statuses; it is taken now."""
        self._read()
        found = [gist(message) for message in self._waiting]
        self._waiting.clear()
        return found


def gist(message: Request | Response) -> str | int:
    """The method of a request, the status of a response."""
    return message.method.decode() if isinstance(message, Request) else message.status


class Lab:
    """A plugin whose target sets a test writes down: ``targets`` by the Request-URI's domain."""

    def __init__(self) -> None:
        self.targets: dict[bytes, Any] = {}

    @hookimpl
    def determine_targets(self, request: Request, sender: Any) -> Any:
        """What the test wrote down for this domain."""
        return self.targets.get(cached_uri(request.uri).host)


class Scene:
    """A running proxy with raw peers, and ``lab``, a plugin that is asked before all others."""

    def __init__(self, proxy: ProxyUnderTest, lab: Lab) -> None:
        self.proxy = proxy
        self.kernel = proxy.kernel
        self.lab = lab
        self._count = 0

    def raw(self, domain: str, *, routed: bool = True, address: str = "") -> RawPeer:
        """A peer on 127.0.2.1, 127.0.2.2 ...; ``routed`` as with ``ProxyUnderTest.peer``."""
        self._count += 1
        peer = RawPeer(self.proxy, domain, (address or f"127.0.2.{self._count}", 5060))
        if routed:
            self.proxy.plugin(PEERS).add(domain.encode(), "udp", peer.place)
        return peer

    def fork(self, domain: str, *groups: Sequence[RawPeer]) -> None:
        """Requests for ``domain`` go to these: in parallel within a group, group after group."""
        self.lab.targets[domain.encode()] = Targets(
            tuple(tuple(self.target(peer) for peer in group) for group in groups)
        )

    @staticmethod
    def target(
        *peers: RawPeer | UserAgent, uri: bytes | None = None, transport: str = "udp"
    ) -> Target:
        """One target with a hop for each peer."""
        hops = tuple(NextHop(peer.place[0], peer.place[1], transport) for peer in peers)
        return Target(uri=uri, hops=hops, trusted=True, name="lab")

    def states(self) -> dict[str, str]:
        """What each interface does, by its name."""
        return {interface.name: interface.state for interface in self.kernel.interfaces.all}

    @staticmethod
    async def passes(home: RawPeer, away: RawPeer) -> None:
        """One request from ``home`` and its answer."""
        home.ask("MESSAGE", "sip:bob@away.example")
        away.answer(await away.next("MESSAGE"), 200)
        await home.next(200)

    def plug(self, name: str, plugin: object) -> None:
        """Run one more plugin, asked before all others; its faults are forgiven."""
        hooks = self.kernel.hooks
        hooks._order.insert(0, name)
        hooks.register(name, plugin)

    def forgive(self) -> None:
        """From now on faults are handled as in production."""
        self.kernel.forgive = True
        self.kernel.journal.on_fault = None
        self.kernel.edge.on_bug = None


@pytest.fixture
def scene(sipx_proxy: Any) -> Callable[..., Awaitable[Scene]]:
    """``await scene(**tables)``: a proxy as of ``sipx_proxy``, with raw peers.

    The test itself has to ask for ``autojump_clock``.
    """

    async def scene_(**tables: Any) -> Scene:
        made = Scene(await sipx_proxy(**tables), Lab())
        made.plug("lab", made.lab)
        return made

    return scene_


# ---------------------------------------------------------------- domains that find each other


class Site:
    """One domain in open federation, on real sockets: its proxy, and where that listens."""

    def __init__(self, domain: str, proxy: ProxyUnderTest, bind: str) -> None:
        self.domain = domain
        self.proxy = proxy
        self.kernel = proxy.kernel
        self.bind = bind

    @property
    def port(self) -> int:
        """Where partners connect to."""
        return self.proxy.place("open-federation")[1]


class Sites:
    """Domains that are found by a DNS server of the test's own, and proven by one authority."""

    def __init__(self, directory: Path, start: Any, dns: DnsServer) -> None:
        self.directory = directory
        self.ca = Authority("Sites CA")
        self.ca_file = self.ca.write(directory)
        self.dns = dns
        self._start = start
        self._zones: dict[str, str] = {}
        self._made = 0

    def certificate(self, *names: str, issuer: Authority | None = None, **more: Any) -> Any:
        """The table [certificate.main] for these names."""
        self._made += 1
        issued = (issuer or self.ca).leaf(dns=names, **more)
        cert, key = issued.write(self.directory, f"site-{self._made}")
        return {"main": {"cert_file": str(cert), "key_file": str(key)}}

    async def site(
        self,
        domain: str,
        names: Sequence[str] = (),
        *,
        issuer: Authority | None = None,
        cert: Any = None,
        plugins: Sequence[str] = ("tls",),
        federation: Any = None,
        **tables: Any,
    ) -> Site:
        """A proxy whose certificate names sip.DOMAIN, which its SRV record leads to."""
        self._made += 1
        bind = f"127.0.0.{20 + self._made}"
        kernel = {
            "wan": {"certificate": "main"},
            "certificate": self.certificate(
                *(names or (f"sip.{domain}",)), issuer=issuer, **(cert or {})
            ),
            "trust": {"ca": str(self.ca_file), "networks": ["127.0.0.0/8"]},
            "dns": {"servers": [self.dns.server], "timeout": "10s"},
            "open-federation": {"bind": bind, "port": 0, "ports": [], **(federation or {})},
            **tables,
        }
        proxy = await self._start(domains=[domain], plugins=list(plugins), **kernel)
        made = Site(domain, proxy, bind)
        self.publish(domain, made.port, bind)
        return made

    def publish(self, domain: str, port: int, address: str, *more: str, ttl: int = 300) -> None:
        """The records of a domain, in the place of those it had."""
        self.say(
            domain,
            f"_sipfederationtls._tcp.{domain}. {ttl} IN SRV 1 0 {port} sip.{domain}.",
            f"sip.{domain}. {ttl} IN A {address}",
            *more,
        )

    def say(self, domain: str, *records: str) -> None:
        """Exactly these records for a domain."""
        self._zones[domain] = "\n".join((*records, ""))
        self.dns.load("".join(self._zones.values()))


@pytest.fixture
async def sites(tmp_path: Path, sipx_on_loopback: Any) -> AsyncIterator[Sites]:
    """``await sites.site("a.example")``: a proxy that others find by the DNS alone."""
    async with dns_server() as dns:
        yield Sites(tmp_path, sipx_on_loopback, dns)
