"""Two Kamailios as UC servers of one domain, their users, and a federation partner."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import trio

from sipx.testing import UdpCarrier, UserAgent

from .programs import free_port
from .site import DOMAIN, PARTNER, PARTNER_ADDRESS, Site
from .uc_server import UcServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

BERLIN, MUNICH = "127.0.0.10", "127.0.0.11"
PASSWORDS = {"berlin": "Spree and Havel", "munich": "Isar, and Wuerm"}
ADDRESSES = {"berlin": BERLIN, "munich": MUNICH}
PROTOCOLS = {"berlin": "tcp", "munich": "tls"}
# Kamailio's uac module knows MD5 only, and looks at nothing but the first challenge.
_ACCOUNT = """
[lan.server.{name}]
password = "{password}"
users = {users}
addresses = ["{address}"]
allow_md5 = "only"
"""


# Over TLS it proves itself by a certificate too; by that sipx knows it when it has to call back.
_CERTIFICATE = 'certificate = "{name}.{domain}"\n'


def accounts(users: dict[str, list[str]]) -> str:
    """The tables of both servers; ``users`` are the patterns of each."""
    tables = ""
    for name, patterns in users.items():
        tables += _ACCOUNT.format(
            name=name, password=PASSWORDS[name], users=patterns, address=ADDRESSES[name]
        )
        if PROTOCOLS[name] == "tls":
            tables += _CERTIFICATE.format(name=name, domain=DOMAIN)
    return tables


def uc_server(
    site: Site,
    name: str,
    users: Sequence[str],
    *,
    password: str = "",
    sipx: tuple[str, int] | None = None,
) -> UcServer:
    """Start one of them: berlin logs on over TCP, munich over TLS; ``sipx`` is where to."""
    protocol = PROTOCOLS[name]
    secure = protocol == "tls"
    return UcServer(
        site.folder,
        name,
        address=ADDRESSES[name],
        protocol=protocol,
        sipx=sipx or site.lan[protocol],
        domain=DOMAIN,
        account=name,
        password=password or PASSWORDS[name],
        users=users,
        identity=site.authority.leaf(dns=[f"{name}.{DOMAIN}"]) if secure else None,
        ca=site.ca if secure else None,
    )


class World:
    """Two UC servers, one user agent for each of their users, and eve at the partner."""

    def __init__(self, site: Site, servers: dict[str, UcServer]) -> None:
        self.site = site
        self.servers = servers
        self.agents: dict[str, UserAgent] = {}
        self.eve: UserAgent

    def of(self, server: str) -> UserAgent:
        """The first user of a server."""
        return self.agents[self.servers[server].users[0]]


@asynccontextmanager
async def two_servers(
    folder: Path, users: Mapping[str, Sequence[str]], tables: str
) -> AsyncIterator[World]:
    """All of it runs, and all users are registered at their servers and by them at sipx."""
    partner_port = free_port(PARTNER_ADDRESS)
    async with trio.open_nursery() as nursery:
        eve = UserAgent(f"sip:eve@{PARTNER}", UdpCarrier(PARTNER_ADDRESS, partner_port))
        await nursery.start(eve.serve)
        site = await trio.to_thread.run_sync(
            lambda: Site(folder, tables, partner=(partner_port, "udp"))
        )
        servers = {}
        for name, own in users.items():
            servers[name] = await trio.to_thread.run_sync(uc_server, site, name, own)
        world = World(site, servers)
        world.eve = eve
        eve.proxy = site.wan("udp")
        for server in servers.values():
            for user in server.users:
                agent = UserAgent(f"sip:{user}@{DOMAIN}", UdpCarrier("127.0.0.3"))
                agent.proxy = server.place
                await nursery.start(agent.serve)
                contact = (b"Contact", b"<" + agent.contact + b">")
                answer = await agent.request("REGISTER", agent.uri, headers=(contact,))
                assert answer.status == 200, answer.start
                world.agents[user] = agent
        for server in servers.values():
            await trio.to_thread.run_sync(server.wait_registered)
        try:
            yield world
        finally:
            nursery.cancel_scope.cancel()
            for server in servers.values():
                server.end()
            site.end()
