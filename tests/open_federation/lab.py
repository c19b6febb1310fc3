"""A proxy in open federation on loopback, and everything around it that it has to judge.

One public authority that everybody believes, one that nobody does, a DNS server that the world
writes into, a UC server of home.example at a static route, and edges of other domains: user agents
that speak mutual TLS by Python's own ssl module.
"""

from __future__ import annotations

import ssl
from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

import trio

from sipx.control.explain import Explanation
from sipx.dry_run import DryRun
from sipx.testing import Authority, TlsCarrier, UdpCarrier, UserAgent

if TYPE_CHECKING:
    from pathlib import Path

    from sipx.testing import DnsServer, ProxyUnderTest, StartProxy

HOME, AWAY, OTHER, EVIL = "home.example", "away.example", "other.example", "evil.example"
ADA, BOB = f"sip:ada@{HOME}", f"sip:bob@{AWAY}"
SERVICE = "_sipfederationtls._tcp"
LOOPBACK = ("127.0.0.0/8",)
PLUGINS = ("udp", "tcp", "tls", "static-routes", "open-federation")


@cache
def authority(name: str = "Public CA") -> Authority:
    """One key for all tests of this process."""
    return Authority(name)


class Lab:
    """Start edges, publish them in the DNS, then ``run`` the proxy."""

    def __init__(
        self, directory: Path, start: StartProxy, nursery: trio.Nursery, dns: DnsServer
    ) -> None:
        self.directory = directory
        self.start = start
        self.nursery = nursery
        self.dns = dns
        self.patience = 10.0  # seconds for a name server: a test of a silent one asks for less
        self.ca = authority()
        self.ca_file = self.ca.write(directory)
        self.ada = UserAgent(ADA, UdpCarrier("127.0.0.3"))
        self._records: dict[str, list[str]] = defaultdict(list)
        self._files = 0
        self._edges = 8
        self._proxy: ProxyUnderTest | None = None
        self._started: dict[str, Any] = {}

    # ------------------------------------------------------------ certificates

    def files(self, *names, issuer=None, **more):
        """Paths of a certificate for these names, and of its key."""
        self._files += 1
        issued = (issuer or self.ca).leaf(dns=names, **more)
        return issued.write(self.directory, f"{self._files}")

    def chain(self, *names, issuer=None, **more):
        """What ``explain`` is shown in place of a connection."""
        issued = (issuer or self.ca).leaf(dns=names, **more)
        return (issued.certificate, *issued.chain)

    # ------------------------------------------------------------ DNS

    def publish(self, domain, target, port=5061, address=None, *, priority=1, weight=0, ttl=300):
        """An SRV record of open federation, and the address of its target."""
        at = f"{SERVICE}.{domain}."
        self._records[at].append(f"{at} {ttl} IN SRV {priority} {weight} {port} {target}.")
        if address:
            self.host(target, address, ttl=ttl)
        self.load()

    def host(self, name, address, *, ttl=300):
        """The one address of a host."""
        self._records[name] = [f"{name}. {ttl} IN A {address}"]
        self.load()

    def withdraw(self, domain):
        """Take the SRV records of a domain away."""
        self._records.pop(f"{SERVICE}.{domain}.", None)
        self.load()

    def record(self, line):
        """Any record."""
        self._records[line].append(line)
        self.load()

    def load(self):
        """Let the DNS server say what was published."""
        self.dns.load("\n".join(line for lines in self._records.values() for line in lines))

    def asked(self, domain):
        """How often the DNS was asked for the federation of a domain."""
        name = f"{SERVICE}.{domain}"
        return sum(query.name == name for query in self.dns.queries)

    # ------------------------------------------------------------ who is there

    async def edge(
        self,
        domain=AWAY,
        *names,
        user="bob",
        answers=True,
        address=None,
        port=0,
        certs=None,
        **leaf,
    ) -> UserAgent:
        """An edge with a certificate for ``names``, ``sip.DOMAIN`` if none are given."""
        self._edges += address is None
        cert, key = certs or self.files(*(names or (f"sip.{domain}",)), **leaf)
        address = address or f"127.0.0.{self._edges}"
        carrier = TlsCarrier(address, port, cert_file=cert, key_file=key, ca=self.ca_file)
        agent = UserAgent(f"sip:{user}@{domain}", carrier, answers=answers, seed=self._edges)
        await self.nursery.start(agent.serve)
        if self._proxy is not None:
            agent.proxy = self._proxy.place("federation")
        return agent

    async def published(self, domain=AWAY, *names, target="", **more) -> UserAgent:
        """The same, and its SRV record leads to it."""
        agent = await self.edge(domain, *names, **more)
        host, port = agent.place
        self.publish(domain, target or (names[0] if names else f"sip.{domain}"), port, host)
        return agent

    async def knock(self, certs=None, *, place="federation", **limits):
        """Shake hands with the proxy, showing a certificate or none; the alert that ends it.

        With TLS 1.3 a client has shaken hands before the server has seen its certificate.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.ca_file)
        for name, value in limits.items():
            setattr(context, name, value)
        if certs:
            context.load_cert_chain(*certs)
        raw = await trio.open_tcp_stream(*self.proxy.place(place))
        stream = trio.SSLStream(raw, context)
        try:
            with trio.fail_after(5):
                await stream.do_handshake()
                await stream.receive_some()
        except trio.BrokenResourceError as error:
            return str(error.__cause__)
        finally:
            await trio.aclose_forcefully(raw)
        return ""

    # ------------------------------------------------------------ the proxy

    @property
    def proxy(self) -> ProxyUnderTest:
        """The running proxy."""
        assert self._proxy is not None, "run it first"
        return self._proxy

    def tables(self, *, routes=None, trust=None, certificate=None, interface=None, **federation):
        """The configuration; ``federation`` is the table [open-federation]."""
        cert, key = certificate or self.files(f"sip.{HOME}")
        uc = {"server": "127.0.0.3", "port": self.ada.place[1], "trusted": True}
        near = {"bind": "127.0.0.1", "port": 0, "protocol": "udp"}
        far = {"bind": "127.0.0.1", "port": 0, "protocol": "mtls", "certificate": "own"}
        known = {"enabled": True, "interface": "federation", "ports": []}
        return {
            "interface": {"near": near, "federation": far, **(interface or {})},
            "certificate": {"own": {"cert_file": cert, "key_file": key}},
            "trust": {"ca": str(self.ca_file), "networks": LOOPBACK, **(trust or {})},
            "dns": {"servers": [self.dns.server], "timeout": self.patience},
            "static-routes": {"route": {HOME: uc, **(routes or {})}},
            "open-federation": {**known, **federation},
            "service": {"state_dir": str(self.directory / "state")},
        }

    async def run(
        self, *, order=PLUGINS, extra=None, domains=(HOME,), **settings
    ) -> ProxyUnderTest:
        """Start the UC server and the proxy."""
        await self.nursery.start(self.ada.serve)
        tables = {**self.tables(**settings), **(extra or {})}
        self._started = {"domains": list(domains), "plugins": list(order), **tables}
        self._proxy = await self.start(**self._started)
        self.ada.proxy = self.proxy.place("near")
        return self.proxy

    async def restart(self) -> ProxyUnderTest:
        """Stop the proxy, and start it again with its state at its places."""
        places = {name: self.proxy.place(name) for name in self._started["interface"]}
        await self.proxy.stop()
        for name, (_, port) in places.items():
            self._started["interface"][name]["port"] = port
        self._proxy = await self.start(**self._started)
        return self.proxy

    def reach(self, *agents):
        """Edges that were started before the proxy send their requests to it."""
        for agent in agents:
            agent.proxy = self.proxy.place("federation")

    async def explain(self, uri=BOB, **how) -> Explanation:
        """What ``sipx routes explain`` says of the running proxy."""
        told = await DryRun(self.proxy.kernel).explain(uri, **how)
        return Explanation.of(told, live=True)

    async def explain_from(self, sender, *names, source="127.0.0.9", to=ADA, chain=None, **how):
        """The same for a request that comes in on the federation interface with a certificate."""
        chain = chain or self.chain(*(names or (f"sip.{AWAY}",)))
        return await self.explain(
            to, from_uri=sender, source=(source, 5061), interface="federation", chain=chain, **how
        )

    def trouble(self, kind, name):
        """What the proxy says does not work."""
        found = self.proxy.kernel.troubles.of(kind, name)
        return "" if found is None else found.text

    def flows(self, protocol="mtls"):
        """The connections of one transport."""
        return [flow for flow in self.proxy.kernel.flows if flow.transport == protocol]


def why(response):
    """The sentences of its Warning header."""
    return " ".join(value.decode() for value in response.get_all(b"Warning"))
