"""A real kernel for one test, and the peers that talk to it."""

from __future__ import annotations

import random
import time
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import tomlkit
import trio

from sipx.config.load import load
from sipx.config.model import KERNEL_KEYS
from sipx.domains import DomainSet, canonical_domain
from sipx.interfaces import LAN_SIDE
from sipx.kernel import Kernel
from sipx.plugin import Accept, Config, NextHop, Sender, Target, Targets, hookimpl
from sipx.registry import GROUP, Registry
from sipx.sip.uri import cached_uri
from sipx.testing.carriers import TcpCarrier, UdpCarrier
from sipx.testing.network import MemoryTcpCarrier, MemoryUdpCarrier, Network
from sipx.testing.peer import UserAgent
from sipx.trust import SenderKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipx.config.load import Settings
    from sipx.flows import Flow
    from sipx.plugin import Proxy, Verdict
    from sipx.reload import Plan
    from sipx.sip import Request
    from sipx.testing.carriers import Place

PEERS: Final = "testing-peers"
"""The plugin that lets peers of a test in and leads requests to them; it is asked last."""
ADDRESS: Final = "127.0.0.1"
EPOCH: Final = 1_800_000_000.0
"""Where the wall clock of a kernel in memory begins; it goes with trio's clock.

On real sockets it is the real one: OpenSSL asks no other when it looks at certificates.
"""
_IN_MEMORY: Final = {
    "udp": "sipx.testing.memory:MemoryUdpPlugin",
    "tcp": "sipx.testing.memory:MemoryTcpPlugin",
}


class PeersConfig(Config):
    """The TOML table ``[testing-peers]``."""


class Peers:
    """Trusts the peers of a test by their address, and leads the requests of a domain to them."""

    Config = PeersConfig

    def __init__(self, config: PeersConfig, proxy: Proxy) -> None:
        self._own = proxy.domains
        self._targets: dict[bytes, Targets] = {}
        self._sources: dict[str, dict[bytes, Sender]] = {}

    def add(self, domain: bytes, transport: str, place: Place) -> None:
        """A peer that serves ``domain``."""
        bind = LAN_SIDE if domain in self._own else None
        hop = NextHop(place[0], place[1], transport, bind)
        target = Target(hops=(hop,), trusted=True, name=domain.decode())
        self._targets[domain] = Targets(((target,),))
        kind = SenderKind.UC_SERVER if domain in self._own else SenderKind.PARTNER
        sender = Sender(kind, domain.decode(), DomainSet([domain.decode()]), trusted=True)
        self._sources.setdefault(place[0], {})[domain] = sender

    @hookimpl
    def take_over(self, old: Peers) -> None:
        """The peers stay when the proxy serves other domains."""
        self._targets, self._sources = old._targets, old._sources

    @hookimpl
    def authenticate_request(self, request: Request, flow: Flow) -> Verdict | None:
        """Who comes from a peer's address is that peer; the kernel then checks From."""
        senders = self._sources.get(flow.address)
        if not senders:
            return None
        claimed = request.from_domain
        return Accept(senders.get(claimed) or next(iter(senders.values())))

    @hookimpl
    def determine_targets(self, request: Request, sender: Sender) -> Targets | None:
        """The peer of the Request-URI's domain."""
        return self._targets.get(cached_uri(request.uri).host)


class Configured(NamedTuple):
    """What a proxy under test was asked to run with."""

    directory: Path
    domains: Sequence[str]
    plugins: Sequence[str]
    in_memory: bool
    tables: Mapping[str, Mapping[str, Any]]

    def settings(self) -> Settings:
        """Write the file and read it. Raises ConfigError."""
        return settings_for(
            self.directory,
            domains=self.domains,
            plugins=self.plugins,
            in_memory=self.in_memory,
            tables=self.tables,
        )


class ProxyUnderTest:
    """A running kernel. ``events`` are what plugins reported, as (plugin, event).

    ``network`` is None on real sockets.
    """

    def __init__(
        self,
        kernel: Kernel,
        nursery: trio.Nursery,
        network: Network | None,
        configured: Configured,
    ) -> None:
        self.kernel = kernel
        self.network = network
        self._configured = configured
        self.events: list[tuple[str, object]] = []
        self.ended = trio.Event()
        self._nursery = nursery
        self._addresses = 0
        kernel.watchers.append(self._note)

    def _note(self, plugin: str, event: object) -> None:
        if plugin:
            self.events.append((plugin, event))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """The kernel's life."""
        await self.kernel.run(task_status=task_status)
        self.ended.set()

    async def stop(self) -> None:
        """Stop as ``sipx run`` does on SIGTERM, and wait for the end."""
        self.kernel.stop()
        await self.ended.wait()

    async def reload(
        self,
        *,
        domains: Sequence[str] | None = None,
        plugins: Sequence[str] | None = None,
        **tables: Mapping[str, Any] | None,
    ) -> Plan:
        """Change the configuration file and reload, as ``sipx reload`` does.

        A table that is given replaces the one of its name; None takes it away. Raises ConfigError
        and ReloadError: then the old configuration runs on.
        """
        before = self._configured
        changed = {**before.tables, **tables}
        wanted = before._replace(
            domains=before.domains if domains is None else domains,
            plugins=before.plugins if plugins is None else plugins,
            tables={name: table for name, table in changed.items() if table is not None},
        )
        plan = await self.kernel.reload(wanted.settings())
        self._configured = wanted
        return plan

    def plugin(self, name: str) -> Any:
        """The running instance of a plugin. Raises KeyError."""
        return self.kernel.hooks.plugins()[name]

    def place(self, interface: str) -> Place:
        """The address and port an interface is bound to. Raises KeyError."""
        found = self.kernel.interfaces.named(interface)
        if found.address is None:
            raise KeyError(f"{interface} is not listening: {found.reason}")
        return found.address

    def peer(
        self,
        domain: str,
        *,
        transport: str = "udp",
        routed: bool = True,
        answers: bool = True,
        user: str = "peer",
        port: int = 5060,
    ) -> UserAgent:
        """A user agent on the network in memory: the first is at 127.0.1.1, the next 127.0.1.2 ...

        It serves ``domain``: a route leads there, and its requests are trusted, unless ``routed``
        is False. ``answers=False`` leaves all requests to ``receive`` and ``reply``.
        """
        if self.network is None:
            raise TypeError("on real sockets: await proxy.open_peer(...)")
        self._addresses += 1
        place = (f"127.0.1.{self._addresses}", port)
        carrier: MemoryUdpCarrier | MemoryTcpCarrier
        if transport == "udp":
            carrier = MemoryUdpCarrier(self.network, place)
        else:
            carrier = MemoryTcpCarrier(self.network, place)
        agent = UserAgent(f"sip:{user}@{domain}", carrier, answers=answers, seed=self._addresses)
        self._nursery.start_soon(agent.serve)
        self._introduce(agent, domain, transport, routed=routed)
        return agent

    async def open_peer(
        self,
        domain: str,
        *,
        transport: str = "udp",
        routed: bool = True,
        answers: bool = True,
        user: str = "peer",
    ) -> UserAgent:
        """The same over a real socket on a free port of 127.0.0.1."""
        carrier = UdpCarrier(ADDRESS) if transport == "udp" else TcpCarrier(ADDRESS)
        agent = UserAgent(f"sip:{user}@{domain}", carrier, answers=answers)
        await self._nursery.start(agent.serve)
        self._introduce(agent, domain, transport, routed=routed)
        return agent

    def _introduce(self, agent: UserAgent, domain: str, transport: str, *, routed: bool) -> None:
        for interface in self.kernel.interfaces.listening():
            if interface.protocol == transport:
                agent.proxy = interface.address
                break
        if routed:
            self.plugin(PEERS).add(canonical_domain(domain), transport, agent.place)


async def start_proxy(
    nursery: trio.Nursery,
    directory: Path,
    *,
    domains: Sequence[str] = ("home.example",),
    plugins: Sequence[str] = (),
    in_memory: bool = True,
    tables: Mapping[str, Mapping[str, Any]],
) -> ProxyUnderTest:
    """Start a kernel in ``nursery``; files and state go into ``directory``.

    ``tables`` are the tables of the configuration file; those that are not the kernel's own name
    the plugins to run, after ``plugins`` and in the order given. Raises what ``sipx run`` would:
    ConfigError, PluginError, StartError.
    """
    configured = Configured(directory, domains, plugins, in_memory, tables)
    settings = configured.settings()
    kernel = Kernel(
        settings,
        _registry(in_memory=in_memory),
        clock=trio.current_time,
        wall=_wall_in_memory if in_memory else time.time,
        rng=random.Random(1),
        forgive=False,
    )
    network: Network | None = None
    if in_memory:
        network = Network()
        for name in _IN_MEMORY:
            kernel.hooks.plugins()[name].transport.network = network  # type: ignore[attr-defined]  # ours
    proxy = ProxyUnderTest(kernel, nursery, network, configured)
    await nursery.start(proxy.run)
    return proxy


def settings_for(
    directory: Path,
    *,
    domains: Sequence[str],
    plugins: Sequence[str],
    in_memory: bool,
    tables: Mapping[str, Mapping[str, Any]],
) -> Settings:
    """Write ``sipx.toml`` as ``start_proxy`` wants it, and read it. Raises ConfigError."""
    transports = [name for name in _IN_MEMORY if in_memory or _is_installed(name)]
    named = [*plugins, *(name for name in tables if name not in KERNEL_KEYS)]
    port = 5060 if in_memory else 0
    values: dict[str, Any] = {
        "config_version": 1,
        "domains": list(domains),
        "plugins": list(dict.fromkeys([*transports, *named, PEERS])),
        "interface": {
            name: {"bind": ADDRESS, "port": port, "protocol": name} for name in transports
        },
        **tables,
    }
    state = {"state_dir": str(directory / "state")}
    values["service"] = {**state, **tables.get("service", {})}
    path = directory / "sipx.toml"
    path.write_text(tomlkit.dumps(_plain(values)))
    return load(path, _registry(in_memory=in_memory), addresses=_any_loopback(values))


def _wall_in_memory() -> float:
    return EPOCH + trio.current_time()


def _is_installed(plugin: str) -> bool:
    return bool(entry_points(group=GROUP, name=plugin))


def _registry(*, in_memory: bool) -> Registry:
    """What is installed here, the peers, and in memory our transports for the real ones."""
    ours = {PEERS: "sipx.testing.proxy:Peers", **(_IN_MEMORY if in_memory else {})}
    installed = [entry for entry in entry_points(group=GROUP) if entry.name not in ours]
    return Registry([*installed, *(EntryPoint(name, at, GROUP) for name, at in ours.items())])


def _any_loopback(values: Mapping[str, Any]) -> partial[frozenset[str]]:
    """Every address that an interface names counts as one of this machine."""
    binds = (table.get("bind", "") for table in values["interface"].values())
    return partial(frozenset, (*binds, ADDRESS, "::1"))


def _plain(value: Any) -> Any:
    """The same for tomlkit: paths as text."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
