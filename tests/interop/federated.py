"""Domains in open federation: they know nothing of each other but what the DNS says.

``home.example`` is served by `sipx run`: a certificate, a name server, and no route at all.
``away.example`` is served by another one, or by Kamailio as its edge.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio

from sipx.control.client import Client
from sipx.testing import Authority, Logon, TcpCarrier, UdpCarrier, UserAgent, register, running

from .kamailio import TlsKamailio
from .name_servers import NameServers, host, srv
from .programs import free_port
from .proxy import RunningProxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

HOME, AWAY, THIRD = "home.example", "away.example", "third.example"
EDGES = {HOME: "127.0.0.21", AWAY: "127.0.0.22", THIRD: "127.0.0.23"}
ADA, BOB = "127.0.0.3", "127.0.0.5"
PLUGINS = ("udp", "tcp", "tls", "lan", "registrar", "open-federation")
PASSWORD = "Horse, battery and staple"
_TABLES = """
[interface.lan]
bind = "{address}"
port = {lan}
protocol = "tcp"
role = "lan"

[interface.federation]
bind = "{address}"
port = {port}
protocol = "mtls"
certificate = "own"

[certificate.own]
cert_file = "{certificate}"
key_file = "{key}"

[trust]
ca = "{ca}"
networks = ["127.0.0.0/8"]

[dns]
servers = ["{dns}"]
timeout = "2s"

[lan.server.uc]
password = "{password}"

[registrar]
store = "memory"

[open-federation]
interface = "federation"
ports = {ports}
"""


class Site:
    """sipx of one domain, with a certificate for ``sip.DOMAIN``; its users log on to ``lan``."""

    def __init__(self, net: Net, domain: str) -> None:
        folder = net.folder / domain
        folder.mkdir()
        self.domain = domain
        self.address = EDGES[domain]
        self.port = net.ports[domain]
        self.lan = (self.address, free_port(self.address))
        issued = net.authorities[domain].leaf(dns=[f"sip.{domain}"])
        certificate, key = issued.write(folder, "own")
        tables = _TABLES.format(
            address=self.address,
            lan=self.lan[1],
            port=self.port,
            certificate=certificate,
            key=key,
            ca=net.trusted,
            dns=net.dns.server,
            password=PASSWORD,
            ports=net.allowed,
        )
        self.folder = folder
        self.proxy = RunningProxy(
            folder, domain=domain, tables=tables, plugins=PLUGINS, level="info"
        )

    # ------------------------------------------------------------ what an operator sees

    def call(self, method: str, **parameters: Any) -> Any:
        """A method of its control socket."""
        with Client(self.folder / "control.sock") as client:
            return client.call_json(method, parameters)

    def flows(self) -> list[dict[str, Any]]:
        """The connections to and from other domains."""
        found: list[dict[str, Any]] = self.call("flows.list", interface="federation")["flows"]
        return found

    def log(self) -> str:
        """All it has written."""
        return self.proxy.process.log.read_text(errors="replace")

    def end(self) -> None:
        """End it."""
        self.proxy.end()


class Net:
    """The DNS, an authority for each domain, and who is reached there.

    ``ada`` is the user of home.example, ``bob`` that of away.example. All authorities are
    believed by everybody; ``dns`` has the records of all three domains. SRV records may name the
    edges of these, and ``ports``.
    """

    def __init__(self, folder: Path, ports: Sequence[int] = ()) -> None:
        self.folder = folder
        self.authorities = {domain: Authority(f"CA of {domain}") for domain in EDGES}
        self.trusted = folder / "authorities.pem"
        self.trusted.write_bytes(b"".join(one.pem for one in self.authorities.values()))
        self.ports = {domain: free_port(address) for domain, address in EDGES.items()}
        self.allowed = [*self.ports.values(), *ports]
        self.dns = NameServers(folder, {domain: self.records(domain) for domain in EDGES})
        self.sites: dict[str, Site] = {}
        self.kamailios: list[TlsKamailio] = []
        self.ada: UserAgent
        self.bob: UserAgent

    @property
    def home(self) -> Site:
        """sipx of home.example."""
        return self.sites[HOME]

    def records(self, domain: str) -> list[str]:
        """What stands in the zone of a domain as long as nothing happens to it."""
        name = f"sip.{domain}"
        return [srv(domain, name, self.ports[domain]), host(name, EDGES[domain])]

    def start_site(self, domain: str) -> Site:
        """sipx of a domain."""
        site = self.sites[domain] = Site(self, domain)
        return site

    def start_kamailio(
        self, *, name: str = f"sip.{AWAY}", address: str = EDGES[AWAY], port: int = 0
    ) -> TlsKamailio:
        """An edge of away.example; it demands certificates of those who connect.

        Kamailio cannot look for the record of open federation: where home.example is stands in
        its dialplan. sipx has nothing of the kind.
        """
        found = TlsKamailio(
            self.folder / f"kamailio-{len(self.kamailios) + 1}",
            identity=self.authorities[AWAY].leaf(dns=[name]),
            ca=self.trusted,
            domain=AWAY,
            callee=self.bob.place,
            sipx=(EDGES[HOME], self.ports[HOME]),
            address=address,
            tls_port=port,
        )
        self.kamailios.append(found)
        return found

    def end(self) -> None:
        """End all of its programs."""
        for kamailio in self.kamailios:
            kamailio.end()
        for site in self.sites.values():
            site.end()
        self.dns.end()


@asynccontextmanager
async def federation(folder: Path, other: str, *, ports: Sequence[int] = ()) -> AsyncIterator[Net]:
    """home.example is sipx, away.example is ``other``: "sipx" or "kamailio".

    ``ports`` may stand in SRV records, beyond those of the domains' edges.
    """
    net = await trio.to_thread.run_sync(Net, folder, ports)
    try:
        await trio.to_thread.run_sync(net.start_site, HOME)
        async with AsyncExitStack() as stack:
            net.ada = await stack.enter_async_context(logged_on(net.home, "ada", ADA))
            if other == "sipx":
                away = await trio.to_thread.run_sync(net.start_site, AWAY)
                net.bob = await stack.enter_async_context(logged_on(away, "bob", BOB))
            else:
                net.bob = UserAgent(f"sip:bob@{AWAY}", UdpCarrier(BOB))
                await stack.enter_async_context(running(net.bob))
                kamailio = await trio.to_thread.run_sync(
                    lambda: net.start_kamailio(port=net.ports[AWAY])
                )
                net.bob.proxy = kamailio.place
            yield net
    finally:
        net.end()


@asynccontextmanager
async def logged_on(site: Site, name: str, address: str) -> AsyncIterator[UserAgent]:
    """A UC server of a site, logged on, that has registered one user."""
    agent = UserAgent(f"sip:{name}@{site.domain}", TcpCarrier(address), proxy=site.lan)
    agent.logon = Logon("uc", PASSWORD)
    async with running(agent):
        await register(agent, agent.uri)
        yield agent
