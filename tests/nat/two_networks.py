"""home.example behind a NAT, away.example outside; they find each other by the DNS outside.

home.example is `sipx run` at 10.99.1.2, its UC server at 10.99.1.3 beside it. away.example is
at 203.0.113.10: `sipx run` as well, Kamailio, or "wire": a user agent that speaks mutual TLS
itself, so that a test sees what leaves the NAT.
"""

from __future__ import annotations

import json
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import trio
from trio.testing import wait_all_tasks_blocked

from sipx.control.client import Client
from sipx.testing import (
    Authority,
    Logon,
    TcpCarrier,
    TlsCarrier,
    UdpCarrier,
    UserAgent,
    register,
    running,
)
from tests.interop.kamailio import TlsKamailio
from tests.interop.name_servers import NameServers, host, srv
from tests.interop.proxy import RunningProxy

from .inside import At, at, namespaces
from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC, Lab
from .servers import start_stund, wait_ready

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from sipx.testing.carriers import Place

    from .lab import Space

HOME, AWAY = "home.example", "away.example"
UC: Final = "10.99.1.3"
"""The UC server of home.example."""
LAN, WAN = 5060, 5061
PASSWORD: Final = "Horse, battery and staple"
PLUGINS: Final = ("udp", "tcp", "tls", "lan", "registrar", "open-federation")
INTERFACES: Final = """
[interface.lan]
bind = "{address}"
port = {lan}
protocol = "tcp"
role = "lan"

[interface.federation]
bind = "{address}"
port = {wan}
protocol = "mtls"
certificate = "own"
"""
_TABLES: Final = """
[certificate.own]
cert_file = "{certificate}"
key_file = "{key}"

[trust]
ca = "{ca}"

[dns]
servers = ["{dns}"]
timeout = "2s"

[lan.server.uc]
password = "{password}"

[registrar]
store = "memory"

[open-federation]
interface = "federation"
"""


class Counters:
    """How many packets passed a namespace; ``rules`` are nft matches by the names of counters."""

    def __init__(self, space: Space, hook: str, rules: Mapping[str, str]) -> None:
        self._space = space
        # Before any NAT of the same hook.
        chain = f"type filter hook {hook} priority -300; policy accept;"
        text = "add table ip watch\n" + "".join(f"add counter ip watch {one}\n" for one in rules)
        text += f"add chain ip watch seen {{ {chain} }}\n"
        for name, match in rules.items():
            text += f"add rule ip watch seen {match} counter name {name}\n"
        space.call(["nft", "-f", "-"], text)

    def __getitem__(self, name: str) -> int:
        """Packets so far."""
        found = json.loads(self._space.call(["nft", "-j", "list", "counter", "ip", "watch", name]))
        return next(int(one["counter"]["packets"]) for one in found["nftables"] if "counter" in one)


def new_connections(lab: Lab, address: str = PUBLIC, port: int = WAN) -> Counters:
    """``["opened"]``: how often somebody outside asked for a connection to a public address."""
    syn = "tcp flags & (syn | ack) == syn"
    match = f"iifname wan0 ip daddr {address} tcp dport {port} {syn}"
    return Counters(lab.router, "prerouting", {"opened": match})


def forward(lab: Lab, address: str, port: int, *, to: int = WAN, is_new: bool = False) -> None:
    """One more port of a public address that leads to a port of sipx inside.

    ``is_new``: the router does not have this address yet.
    """
    if is_new:
        lab.router.call(["ip", "addr", "add", f"{address}/24", "dev", "wan0"])
    lab.router.call(
        ["nft", "-f", "-"],
        f"""\
        add table ip more
        add chain ip more arriving {{ type nat hook prerouting priority -110; policy accept; }}
        add rule ip more arriving ip daddr {address} tcp dport {port} dnat to {INSIDE}:{to}
        """,
    )


async def cut(lab: Lab) -> None:
    """End all connections between inside and outside; both ends know it when this returns."""
    for space, there in ((lab.inside, f"{OUTSIDE}/29"), (lab.outside, f"{PUBLIC}/29")):
        space.call(["ss", "-KtnH", "state", "connected", "dst", there])
        with trio.fail_after(10):
            while space.call(["ss", "-tnH", "state", "established", "dst", there]):
                await trio.sleep(0.02)
    # Those of this process have read what has come.
    await wait_all_tasks_blocked(0.001)


class Running:
    """`sipx run` in a namespace."""

    def __init__(self, proxy: RunningProxy, space: Space) -> None:
        self.proxy = proxy
        self.space = space
        self.text = proxy.file.read_text()

    def call(self, method: str, **parameters: Any) -> Any:
        """A method of its control socket."""
        with Client(self.proxy.folder / "control.sock") as client:
            return client.call_json(method, parameters)

    def reload(self, *changes: tuple[str, str]) -> Any:
        """Other words in its file, from now on; the plan of the reload."""
        for before, now in changes:
            assert before in self.text, before
            self.text = self.text.replace(before, now)
        self.proxy.file.write_text(self.text)
        return self.call("reload")

    def public(self) -> dict[str, Any]:
        """What it knows of its public address."""
        found: dict[str, Any] = self.call("status")["public"]
        return found

    def advertised(self, interface: str = "federation") -> str:
        """What stands in messages in the place of an interface's own address."""
        found = self.call("status")["interfaces"]
        return next(str(one["advertised"]) for one in found if one["name"] == interface)

    async def restart(self) -> None:
        """Stop it, and start it again with what it has kept; its peers know it."""
        self.proxy.end()
        await wait_all_tasks_blocked(0.001)
        with at(self.space):
            self.proxy.start()

    async def sipx(self, *argv: str) -> str:
        """A command of sipx on its configuration that succeeds; what it wrote to stdout."""
        command = ["ip", "netns", "exec", self.space.name, sys.executable, "-m", "sipx", *argv]
        command += ["--config", str(self.proxy.file)]
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False
        )
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stderr.decode()}"
        return done.stdout.decode()

    def flows(self, interface: str = "") -> list[dict[str, Any]]:
        """Its connections."""
        found: list[dict[str, Any]] = self.call("flows.list", interface=interface)["flows"]
        return found

    async def wait_for(self, true: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Until something is so; what sipx has said is in the message if it never is."""
        with trio.move_on_after(seconds):
            while not true():
                await trio.sleep(0.02)
            return
        raise AssertionError(f"{what}: not within {seconds} s\n{self.proxy.said}")

    def end(self) -> None:
        """End it."""
        self.proxy.end()


class Site(Running):
    """The edge of one domain: UC servers log on to ``lan``, partners connect to port 5061."""

    def __init__(
        self,
        net: Net,
        domain: str,
        space: Space,
        address: str,
        *,
        tables: str = "",
        interfaces: str = INTERFACES,
        plugins: tuple[str, ...] = PLUGINS,
    ) -> None:
        folder = net.folder / domain
        folder.mkdir()
        self.domain = domain
        self.lan = (address, LAN)
        issued = net.authorities[domain].leaf(dns=[f"sip.{domain}"])
        certificate, key = issued.write(folder, "own")
        text = _TABLES.format(
            certificate=certificate,
            key=key,
            ca=net.trusted,
            dns=net.dns.server,
            password=PASSWORD,
        )
        with at(space):
            proxy = RunningProxy(
                folder,
                domain=domain,
                interfaces=interfaces.format(address=address, lan=LAN, wan=WAN),
                tables=text + tables,
                plugins=plugins,
                level="info",
            )
        super().__init__(proxy, space)


class Net:
    """The two networks, and who is reached in them: ``ada`` at home, ``bob`` away."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.folder = folder
        self.authorities = {domain: Authority(f"CA of {domain}") for domain in (HOME, AWAY)}
        self.trusted = folder / "authorities.pem"
        self.trusted.write_bytes(b"".join(one.pem for one in self.authorities.values()))
        lab.inside.call(["ip", "addr", "add", f"{UC}/24", "dev", "lan0"])
        zones = {
            HOME: [srv(HOME, f"sip.{HOME}", WAN), host(f"sip.{HOME}", PUBLIC)],
            AWAY: [srv(AWAY, f"sip.{AWAY}", WAN), host(f"sip.{AWAY}", OUTSIDE)],
        }
        with at(lab.outside):
            self.dns = NameServers(folder, zones, OUTSIDE)
        self._programs: list[Any] = [self.dns]
        self.home: Site
        self.away: Site
        self.ada: UserAgent
        self.bob: UserAgent

    def start(self, domain: str, **how: Any) -> Site:
        """sipx of a domain."""
        space, address = {
            HOME: (self.lab.inside, INSIDE),
            AWAY: (self.lab.outside, OUTSIDE),
        }[domain]
        site = Site(self, domain, space, address, **how)
        self._programs.append(site)
        return site

    def start_kamailio(self) -> TlsKamailio:
        """Kamailio as the edge of away.example; where home.example is stands in its dialplan."""
        with at(self.lab.outside):
            found = TlsKamailio(
                self.folder / "kamailio",
                identity=self.authorities[AWAY].leaf(dns=[f"sip.{AWAY}"]),
                ca=self.trusted,
                domain=AWAY,
                callee=self.bob.place,
                sipx=(PUBLIC, WAN),
                address=OUTSIDE,
                tls_port=WAN,
            )
        self._programs.append(found)
        return found

    def wire(self) -> UserAgent:
        """bob, who speaks mutual TLS with home.example himself."""
        identity = self.authorities[AWAY].leaf(dns=[f"sip.{AWAY}"])
        certificate, key = identity.write(self.folder, "wire")
        carrier = TlsCarrier(OUTSIDE, WAN, cert_file=certificate, key_file=key, ca=self.trusted)
        return UserAgent(f"sip:bob@{AWAY}", At(self.lab.outside, carrier), proxy=(PUBLIC, WAN))

    def move(self, domain: str, address: str) -> None:
        """The DNS says of the edge of a domain that it is at another address.

        It is as if the TTL of what it has said before were over.
        """
        name = f"sip.{domain}"
        with at(self.lab.outside):
            self.dns.publish(domain, srv(domain, name, WAN), host(name, address))
            self.dns.wait_known(name, address, "A")
        for one in self._programs:
            if isinstance(one, Site):
                one.call("dns.flush")

    def end(self) -> None:
        """End all of its programs."""
        for one in reversed(self._programs):
            one.end()


@asynccontextmanager
async def two_networks(
    folder: Path,
    other: str,
    tables: str,
    *,
    kind: str = "port-restricted-cone",
    stun: bool = False,
    **how: Any,
) -> AsyncIterator[Net]:
    """All of it; ``other`` is "sipx", "kamailio" or "wire", ``tables`` are more of home.example.

    ``stun``: there is a STUN server outside.
    """
    with Lab(kind, forward=(WAN,)) as lab:
        async with namespaces(), AsyncExitStack() as stack:
            net = Net(lab, folder)
            stack.callback(net.end)
            if stun:
                wait_ready(lab, start_stund(lab, folder / "stund"))
            net.home = net.start(HOME, tables=tables, **how)
            net.ada = await stack.enter_async_context(
                logged_on(net.home, "ada", At(lab.inside, TcpCarrier(UC)))
            )
            if other == "sipx":
                net.away = net.start(AWAY)
                net.bob = await stack.enter_async_context(
                    logged_on(net.away, "bob", At(lab.outside, TcpCarrier(OUTSIDE_2)))
                )
            elif other == "wire":
                net.bob = await stack.enter_async_context(running(net.wire()))
            else:
                net.bob = UserAgent(f"sip:bob@{AWAY}", At(lab.outside, UdpCarrier(OUTSIDE_2)))
                await stack.enter_async_context(running(net.bob))
                net.bob.proxy = net.start_kamailio().place
            yield net


@asynccontextmanager
async def logged_on(
    site: Site, name: str, carrier: At, *, place: Place | None = None, account: str = "uc"
) -> AsyncIterator[UserAgent]:
    """A UC server of a site that has registered one user; it believes sipx at ``place``."""
    agent = UserAgent(f"sip:{name}@{site.domain}", carrier, proxy=place or site.lan)
    agent.logon = Logon(account, PASSWORD)
    async with running(agent):
        with trio.fail_after(30):
            await register(agent, agent.uri)
        yield agent
