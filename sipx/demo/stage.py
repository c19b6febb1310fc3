"""The proxy of the demonstration, made as any other from a configuration file, and its run."""

from __future__ import annotations

import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import trio

from sipx.certificates.authority import PrivateAuthority
from sipx.config import load
from sipx.demo.directory import Directory
from sipx.demo.ledger import Ledger
from sipx.demo.observer import Observer
from sipx.demo.outage import Outage
from sipx.demo.people import BERLIN, HOME, MUNICH, PARTNER, PEOPLE, STAND_INS
from sipx.demo.scenario import Scenario, beat
from sipx.demo.servers import PASSWORDS, Servers
from sipx.demo.states import States
from sipx.errors import StartError
from sipx.interfaces import Status
from sipx.kernel import Kernel
from sipx.testing.carriers import TcpCarrier
from sipx.testing.tls_carrier import TlsCarrier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sipx.demo.servers import MakeCarrier
    from sipx.demo.view import View
    from sipx.journal import JournalStatistics
    from sipx.registry import Registry
    from sipx.testing.carriers import Place

ADDRESS: Final = "127.0.0.1"
GRACE: Final = 5.0
"""Seconds that what was sent may take to arrive once the show is over."""

_CONFIGURATION: Final = """\
# The configuration of `sipx demo`: one domain of our own with two UC servers, one partner, all on
# this machine.
config_version = 1
domains = ["{home}"]
plugins = ["tcp", "tls", "lan", "registrar", "static-routes"]

[lan]                                         # where our own UC servers log on
bind = "{address}"
port = 0                                      # 0 takes a free one
protocol = "tcp"

[lan.server.berlin]
password = "{berlin}"
users = ["alice", "bob"]                      # whom it may register and serve

[lan.server.munich]
password = "{munich}"
users = ["bob", "carol"]                      # bob has two servers, carol one

[registrar]
store = "memory"                              # "sqlite" outlives a restart of sipx
ping_interval = "2s"                          # so often a server is asked whether it is there
ping_timeout = "2s"
up_after = 1                                  # this is a short show

[interface.far]                               # towards the partner: both sides show who they are
bind = "{address}"
port = 0
protocol = "mtls"
certificate = "own"

[certificate.own]                             # made for this show; `sipx cert` makes yours
cert_file = "tls/proxy.crt"
key_file = "tls/proxy.key"

[static-routes.route."{partner}"]       # the partner's server
server = "{address}"
port = {partner_port}
protocol = "mtls"
ca = "tls/ca.crt"                             # the one authority that vouches for this partner

[log]
level = "error"                               # that a server stops is part of the show

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


def configuration(servers: Servers) -> str:
    """The text of the proxy's configuration file, for servers that listen."""
    return _CONFIGURATION.format(
        address=ADDRESS,
        home=HOME,
        partner=PARTNER,
        partner_port=servers.places[PARTNER][1],
        **PASSWORDS,
    )


@asynccontextmanager
async def three_servers(directory: Path, *, ring: float) -> AsyncIterator[Servers]:
    """The servers of both domains, listening on free ports. Raises StartError.

    ``directory`` gets the certificates of the partner and of the proxy.
    """
    files = make_certificates(directory)
    carriers: dict[str, MakeCarrier] = {
        BERLIN: partial(TcpCarrier, ADDRESS),
        MUNICH: partial(TcpCarrier, ADDRESS),
        PARTNER: lambda port: TlsCarrier(ADDRESS, port, **files),
    }
    people = Directory(PEOPLE, STAND_INS)
    async with trio.open_nursery() as nursery:
        servers = Servers(nursery, Ledger(people), people, carriers, ring=ring)
        for name in carriers:
            await servers.listen(name)
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
        async with three_servers(where, ring=0.0) as servers:
            text = configuration(servers)
            kernel_for(text, where, registry)
            return text


async def play(registry: Registry, view: View | None, *, seconds: float, rate: float) -> Ended:
    """The whole show. ``view`` None shows nothing. Raises ConfigError, PluginError, StartError.

    The first INT or TERM ends it early, in order; the second raises KeyboardInterrupt.
    """
    observer = Observer(trio.current_time, time.time)
    started = trio.current_time()
    with TemporaryDirectory(prefix="sipx-demo-") as directory:
        where = Path(directory)
        async with three_servers(where, ring=beat(seconds)) as servers:
            ledger = servers.ledger
            kernel = kernel_for(configuration(servers), where, registry)
            kernel.hooks.register("demo", observer)
            async with trio.open_nursery() as nursery:
                await nursery.start(kernel.run)
                servers.proxies = _listening(kernel)
                scenario = Scenario(servers, seconds=seconds, rate=rate)
                ends = _Ends(scenario, view)
                states = States(ends.say)
                kernel.watchers.append(states.note)
                await nursery.start(ends.listen)
                if view is not None:
                    await nursery.start(view.show, observer, ledger)
                for name in (BERLIN, MUNICH, PARTNER):
                    await servers.log_on(name)
                outage = Outage(scenario, observer, states, ends.say)
                await scenario.run(outage.run)
                with trio.move_on_after(GRACE):
                    await ledger.settled()
                nursery.cancel_scope.cancel()
    duration = trio.current_time() - started
    return Ended(ledger, kernel.journal.statistics(), duration, ends.asked)


def _listening(kernel: Kernel) -> dict[bytes, Place]:
    """Where the proxy listens, by what stands in Via. Raises StartError."""
    places = {}
    for interface in kernel.interfaces.all:
        if interface.status is not Status.LISTENING or interface.address is None:
            raise StartError(
                f"the proxy cannot listen on {interface.bind} ({interface.protocol}): "
                f"{interface.reason}"
            )
        places[interface.transport.via] = interface.address
    return places


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
                self.say("ending: what is under way comes to its end")
                self._scenario.stop()

    def say(self, text: str) -> None:
        """A line between the messages, where they are shown."""
        if self._view is not None:
            self._view.say(text, "bold")
