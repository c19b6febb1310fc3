"""The proxy of the demonstration, made as any other from a configuration file, and its run."""

from __future__ import annotations

import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import trio

from sipx.certificates.authority import PrivateAuthority
from sipx.config import load
from sipx.demo.ledger import Ledger
from sipx.demo.observer import Observer
from sipx.demo.people import HOME, PARTNER
from sipx.demo.scenario import Scenario, beat
from sipx.demo.server import Server
from sipx.errors import StartError
from sipx.interfaces import Status
from sipx.kernel import Kernel
from sipx.testing.carriers import UdpCarrier
from sipx.testing.tls_carrier import TlsCarrier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from sipx.demo.view import View
    from sipx.journal import JournalStatistics
    from sipx.registry import Registry
    from sipx.testing.carriers import Carrier

ADDRESS: Final = "127.0.0.1"
GRACE: Final = 5.0
"""Seconds that what was sent may take to arrive once the show is over."""

_CONFIGURATION: Final = """\
# The configuration of `sipx demo`: one domain of our own, one partner, all on this machine.
config_version = 1
domains = ["{home}"]
plugins = ["udp", "tls", "static-routes"]

[interface.near]                              # towards our own UC server
bind = "{address}"
port = 0                                      # 0 takes a free port
protocol = "udp"

[interface.far]                               # towards the partner: both sides show who they are
bind = "{address}"
port = 0
protocol = "mtls"
certificate = "own"

[certificate.own]                             # made for this show; `sipx cert` makes yours
cert_file = "tls/proxy.crt"
key_file = "tls/proxy.key"

[static-routes.route."{home}"]          # our own domain: its UC server
server = "{address}"
port = {home_port}
protocol = "udp"
trusted = true

[static-routes.route."{partner}"]       # the partner's server
server = "{address}"
port = {partner_port}
protocol = "mtls"
ca = "tls/ca.crt"                             # the one authority that vouches for this partner

[log]
level = "warning"

[service]
state_dir = "state"                           # beside this file, in a temporary directory
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it came out: the book of the servers, and the counts of the proxy."""

    ledger: Ledger
    counts: JournalStatistics
    seconds: float
    interrupted: bool


def configuration(servers: Mapping[str, Server]) -> str:
    """The text of the proxy's configuration file, for servers that listen."""
    return _CONFIGURATION.format(
        address=ADDRESS,
        home=HOME,
        partner=PARTNER,
        home_port=servers[HOME].place[1],
        partner_port=servers[PARTNER].place[1],
    )


@asynccontextmanager
async def two_servers(
    directory: Path, ledger: Ledger, *, ring: float
) -> AsyncIterator[dict[str, Server]]:
    """The servers of both domains, listening on free ports. Raises StartError.

    ``directory`` gets the certificates of the partner and of the proxy.
    """
    files = make_certificates(directory)
    carriers: dict[str, Carrier] = {
        HOME: UdpCarrier(ADDRESS),
        PARTNER: TlsCarrier(ADDRESS, 0, **files),
    }
    servers = {
        domain: Server(domain, carrier, ledger, ring=ring) for domain, carrier in carriers.items()
    }
    async with trio.open_nursery() as nursery:
        for server in servers.values():
            try:
                await nursery.start(server.serve)
            except* OSError as errors:
                raise StartError(
                    f"no server can listen on {ADDRESS}: {errors.exceptions[0]}"
                ) from None
        yield servers
        nursery.cancel_scope.cancel()


def make_certificates(directory: Path) -> dict[str, Path]:
    """An authority, the proxy's certificate and the partner's; the partner's files."""
    folder = directory / "tls"
    folder.mkdir()
    now = datetime.now(UTC)
    authority = PrivateAuthority.create("sipx demo CA", now, days=1)
    (folder / "ca.crt").write_bytes(authority.cert_pem)
    for name, domain in (("proxy", HOME), ("partner", PARTNER)):
        leaf = authority.issue([domain], now, days=1)
        (folder / f"{name}.crt").write_bytes(leaf.cert_pem)
        key = folder / f"{name}.key"
        key.touch(mode=0o600)
        key.write_bytes(leaf.key_pem)
    return {
        "cert_file": folder / "partner.crt",
        "key_file": folder / "partner.key",
        "ca": folder / "ca.crt",
    }


def kernel_for(text: str, directory: Path, registry: Registry) -> Kernel:
    """A proxy as ``sipx run`` makes it. Raises ConfigError, PluginError, StartError."""
    path = directory / "sipx.toml"
    path.write_text(text, encoding="utf-8")
    return Kernel(load(path, registry), registry)


async def configuration_now(registry: Registry) -> str:
    """A configuration with ports that are free now, loaded once to see that it is valid."""
    with TemporaryDirectory(prefix="sipx-demo-") as directory:
        where = Path(directory)
        async with two_servers(where, Ledger(), ring=0.0) as servers:
            text = configuration(servers)
            kernel_for(text, where, registry)
            return text


async def play(registry: Registry, view: View | None, *, seconds: float, rate: float) -> Ended:
    """The whole show. ``view`` None shows nothing. Raises ConfigError, PluginError, StartError.

    The first INT or TERM ends it early, in order; the second raises KeyboardInterrupt.
    """
    ledger = Ledger()
    observer = Observer(trio.current_time, time.time)
    started = trio.current_time()
    with TemporaryDirectory(prefix="sipx-demo-") as directory:
        where = Path(directory)
        async with two_servers(where, ledger, ring=beat(seconds)) as servers:
            kernel = kernel_for(configuration(servers), where, registry)
            kernel.hooks.register("demo", observer)
            async with trio.open_nursery() as nursery:
                await nursery.start(kernel.run)
                _introduce(kernel, servers)
                scenario = Scenario(servers, seconds=seconds, rate=rate)
                ends = _Ends(scenario, view)
                await nursery.start(ends.listen)
                if view is not None:
                    await nursery.start(view.show, observer, ledger)
                await scenario.run()
                with trio.move_on_after(GRACE):
                    await ledger.settled()
                nursery.cancel_scope.cancel()
    duration = trio.current_time() - started
    return Ended(ledger, kernel.journal.statistics(), duration, ends.asked)


def _introduce(kernel: Kernel, servers: Mapping[str, Server]) -> None:
    """Tell each server where the proxy listens for its transport. Raises StartError."""
    for server in servers.values():
        for interface in kernel.interfaces.all:
            if interface.transport.via != server.carrier.via:
                continue
            if interface.status is not Status.LISTENING or interface.address is None:
                raise StartError(
                    f"the proxy cannot listen on {interface.bind} ({interface.protocol}): "
                    f"{interface.reason}"
                )
            server.proxy = interface.address


class _Ends:
    """Ctrl-C: once for the end in order, twice for now."""

    def __init__(self, scenario: Scenario, view: View | None) -> None:
        self.asked = False
        self._scenario = scenario
        self._view = view

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.asked:
                    raise KeyboardInterrupt
                self.asked = True
                if self._view is not None:
                    self._view.say("ending: what is under way comes to its end", "bold")
                self._scenario.stop()
