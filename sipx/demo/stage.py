"""The stage: two proxies, each made as any other from a configuration file, and their run."""

from __future__ import annotations

import signal
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import trio

from sipx.config import load
from sipx.control.server import serve
from sipx.demo import console
from sipx.demo.configuration import configuration
from sipx.demo.directory import Directory
from sipx.demo.ledger import Ledger
from sipx.demo.narrator import Narrator, listen_all
from sipx.demo.observer import Observer
from sipx.demo.outage import Outage
from sipx.demo.papers import make_papers
from sipx.demo.people import DOMAINS, FIRST, HOME, PEOPLE, SERVERS, STAND_INS, STRANGER
from sipx.demo.scenario import Scenario, beat
from sipx.demo.servers import Servers
from sipx.demo.states import States
from sipx.demo.stranger import Stranger
from sipx.demo.zone import record, zone
from sipx.errors import StartError
from sipx.interfaces import Status
from sipx.kernel import Kernel
from sipx.testing.dns import DnsServer, dns_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sipx.demo.papers import Papers
    from sipx.demo.stranger import Refusal
    from sipx.demo.view import View
    from sipx.journal import JournalStatistics
    from sipx.registry import Registry
    from sipx.testing.carriers import Place

GRACE: Final = 5.0
"""Seconds that what was sent may take to arrive once the show is over."""
LAN: Final = "lan"
FEDERATION: Final = "open-federation"
"""The interfaces of a proxy: where its servers log on, and where the others connect to."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How it came out: the book of the servers, and the counts of the proxies, by domain.

    ``refusal`` is what became of the stranger; None when the show ended before.
    """

    ledger: Ledger
    counts: dict[str, JournalStatistics]
    refusal: Refusal | None
    seconds: float
    interrupted: bool


class Stage:
    """What stands before anything happens: certificates, a DNS server, UC servers that listen."""

    def __init__(
        self, directory: Path, registry: Registry, dns: DnsServer, servers: Servers
    ) -> None:
        self.directory = directory
        self.dns = dns
        self.servers = servers
        self.kernels: dict[str, Kernel] = {}
        self.registry = registry
        tls = directory / "tls"
        tls.mkdir()
        self.papers: dict[str, Papers] = make_papers(tls)

    def text_of(self, domain: str) -> str:
        """The configuration file of a domain's proxy; the one at home may have the console."""
        watched = domain == HOME and console.is_installed(self.registry)
        return configuration(domain, self.dns.server, console=watched)

    def make_proxy(self, domain: str) -> Kernel:
        """A proxy as ``sipx run`` makes it. Raises ConfigError, PluginError, StartError."""
        path = self.directory / domain / "sipx.toml"
        path.parent.mkdir()
        path.write_text(self.text_of(domain), encoding="utf-8")
        kernel = self.kernels[domain] = Kernel(load(path, self.registry), self.registry)
        return kernel

    def open(self) -> dict[str, Place]:
        """The proxies listen: the servers and the DNS are told where. Raises StartError.

        Returns where others connect to, by domain.
        """
        found = {domain: _listening(kernel) for domain, kernel in self.kernels.items()}
        self.servers.proxies = {domain: places[LAN] for domain, places in found.items()}
        doors = {domain: places[FEDERATION] for domain, places in found.items()}
        self.dns.load(zone(doors))
        return doors


@asynccontextmanager
async def stage_for(registry: Registry, *, ring: float) -> AsyncIterator[Stage]:
    """A stage in a temporary directory, with servers on free ports. Raises StartError."""
    people = Directory(PEOPLE, STAND_INS)
    with TemporaryDirectory(prefix="sipx-demo-") as directory:
        async with trio.open_nursery() as nursery:
            servers = Servers(nursery, Ledger(people), people, ring=ring)
            for name in SERVERS:
                await servers.listen(name)
            async with dns_server() as dns:
                yield Stage(Path(directory), registry, dns, servers)
            nursery.cancel_scope.cancel()


async def configuration_now(registry: Registry) -> str:
    """The file of the proxy at home, loaded once to see that it is valid."""
    async with stage_for(registry, ring=0.0) as stage:
        stage.make_proxy(HOME)
        return stage.text_of(HOME)


async def play(
    registry: Registry,
    view: View | None,
    *,
    seconds: float,
    rate: float,
    browser: bool = False,
) -> Ended:
    """The whole show. ``view`` None shows nothing. Raises ConfigError, PluginError, StartError.

    ``browser``: the console is opened in one, if it is installed. The first INT or TERM ends the
    show early, in order; the second raises KeyboardInterrupt.
    """
    observer = Observer(trio.current_time, time.time)
    started = trio.current_time()
    async with stage_for(registry, ring=beat(seconds)) as stage:
        scenario = Scenario(stage.servers, seconds=seconds, rate=rate)
        ends = _Ends(scenario, view)
        narrators = [Narrator(domain, ends.say) for domain in DOMAINS]
        for domain, narrator in zip(DOMAINS, narrators, strict=True):
            kernel = stage.make_proxy(domain)
            kernel.hooks.register("demo", observer)
            kernel.hooks.register("narrator", narrator)
        async with trio.open_nursery() as nursery:
            for kernel in stage.kernels.values():
                await nursery.start(kernel.run)
            doors = stage.open()
            if view is not None and console.is_installed(registry):
                await _show_console(stage.kernels[HOME], view, browser=browser)
                await _show_terminal(stage, view, nursery)
            states = States(ends.say)
            stage.kernels[HOME].watchers.append(states.note)
            await nursery.start(ends.listen)
            async with trio.open_nursery() as audience:
                if view is not None:
                    await audience.start(view.show, observer, stage.servers.ledger)
                for domain, (_, port) in doors.items():
                    ends.say(f"DNS: {record(domain, port)}")
                listen_all(narrators, stage.dns, nursery)
                for name in SERVERS:
                    await stage.servers.log_on(name)
                await scenario.message(*FIRST)
                outage = Outage(scenario, observer, states, ends.say)
                stranger = Stranger(
                    stage.papers[STRANGER], doors[HOME], stage.servers.ledger, ends.say
                )
                await scenario.run(outage.run, partial(stranger.run, scenario))
                with trio.move_on_after(GRACE):
                    await stage.servers.ledger.settled()
                # Connections that end with the stage are no part of the show.
                audience.cancel_scope.cancel()
            nursery.cancel_scope.cancel()
        counts = {domain: k.journal.statistics() for domain, k in stage.kernels.items()}
    duration = trio.current_time() - started
    return Ended(stage.servers.ledger, counts, stranger.refusal, duration, ends.asked)


async def _show_console(kernel: Kernel, view: View, *, browser: bool) -> None:
    """Tell where the traffic can be watched; the show goes on without it as well."""
    url, why = await console.link_to(kernel)
    if not url:
        view.say(f"there is no console: {why}", "yellow")
        return
    view.link(url)
    if browser and not await console.open_browser(url):
        view.say("no browser was found; open the link in one")


async def _show_terminal(stage: Stage, view: View, nursery: trio.Nursery) -> None:
    """A control socket, and how the traffic is watched over it."""
    try:
        # Not where the configuration would have it: a service may run on this machine.
        path = await nursery.start(serve, stage.kernels[HOME].api, stage.directory / "sipx.sock")
    except StartError as error:
        view.say(f"there is no control socket: {error}", "yellow")
    else:
        view.command(f"sipx monitor --socket {path}")


def _listening(kernel: Kernel) -> dict[str, Place]:
    """Where a proxy listens, by interface. Raises StartError."""
    places = {}
    for interface in kernel.interfaces.all:
        if interface.status is not Status.LISTENING or interface.address is None:
            raise StartError(
                f"the proxy cannot listen on {interface.bind} ({interface.protocol}): "
                f"{interface.reason}"
            )
        places[interface.name] = interface.address
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
