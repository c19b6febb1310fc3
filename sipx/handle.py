"""The kernel as a plugin holds it: sipx.plugin.Proxy, and nothing else."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sipx import hookspecs
from sipx.errors import PluginError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sipx.accounts import Account
    from sipx.config.model import KernelConfig
    from sipx.flows import Flow, FlowTable
    from sipx.kernel import Kernel
    from sipx.locations import LocationStore
    from sipx.plugin import ConsolePanel, ControlApi, Target
    from sipx.resolver import Resolver
    from sipx.sip.message import Request, Response
    from sipx.status import ProxyStatus
    from sipx.tls import Tls


class PluginHandle:
    """One plugin's view of the kernel."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        self._kernel = kernel
        self._name = name
        self.log: logging.LoggerAdapter[Any] = logging.LoggerAdapter(
            logging.getLogger(f"sipx.plugin.{name}"), {"plugin": name}
        )

    @property
    def config(self) -> KernelConfig:
        """The kernel's tables, read only."""
        return self._kernel.config

    @property
    def domains(self) -> frozenset[bytes]:
        """The presence domains served here."""
        return self._kernel.domains

    @property
    def flows(self) -> FlowTable:
        """The table of flows."""
        return self._kernel.flows

    @property
    def resolver(self) -> Resolver:
        """The kernel's resolver."""
        return self._kernel.resolver

    @property
    def tls(self) -> Tls:
        """TLS with the kernel's certificates."""
        return self._kernel.tls

    @property
    def control(self) -> ControlApi:
        """The control API of this proxy."""
        from sipx.control.inside import InsideApi

        return InsideApi(self._kernel)

    @property
    def random(self) -> random.Random:
        """The kernel's source of randomness."""
        return self._kernel.rng

    @property
    def state_dir(self) -> Path:
        """A directory of this plugin's own. Raises OSError when it cannot be made."""
        directory = self._kernel.state_directory / "plugins" / self._name
        if self._kernel.makes_directories:
            directory.mkdir(parents=True, exist_ok=True)
        return directory

    def now(self) -> float:
        """Seconds of the kernel's clock."""
        return self._kernel.clock()

    def status(self) -> ProxyStatus:
        """What runs now."""
        from sipx.status import status_of

        return status_of(self._kernel)

    def accounts(self) -> tuple[Account, ...]:
        """Who may log on."""
        return self._kernel.hooks.accounts()

    def location_store(self) -> LocationStore | None:
        """The store of the first plugin that has one."""
        return self._kernel.hooks.location_store()

    def trouble(self, kind: str, name: str) -> str:
        """What does not work now, or ""."""
        found = self._kernel.troubles.of(kind, name)
        return "" if found is None else found.text

    def wall(self) -> float:
        """Seconds since 1970, by the kernel's wall clock."""
        return self._kernel.wall()

    def note_trouble(self, kind: str, name: str, text: str | None) -> None:
        """What does not work; "" says that it works again, None that nobody needs it any more."""
        self._kernel.troubles.note(kind, name, text, owner=self._name)

    def note_public_addresses(self, found: Mapping[str, str]) -> None:
        """What the world sees in the place of our addresses, by the bind of interfaces."""
        self._kernel.advertising.note(self._name, found)

    def in_dialog(self, request: Request, name: str) -> bool:
        """Whether a request is within a dialog that the peer ``name`` is one end of."""
        return self._kernel.proxy.routing.within(request, name)

    def report(self, event: object) -> None:
        """Hand an event to those who watch."""
        self._kernel.report(self._name, event)

    @contextmanager
    def watch(self, observer: object) -> Iterator[None]:
        """Within the block the hooks of an observer are asked; see sipx.plugin.Proxy."""
        from sipx.registry import PluginProblem, hook_problems

        wrong = [
            str(PluginProblem(self._name, *said))
            for said in hook_problems(type(observer), hookspecs.OBSERVERS)
        ]
        if wrong:
            raise PluginError("\n".join(wrong))
        with self._kernel.hooks.watched(self._name, observer):
            yield

    def console_panels(self) -> Mapping[str, tuple[ConsolePanel, ...]]:
        """What plugins add to the console, by plugin."""
        return self._kernel.hooks.console_panels()

    async def send_request(self, request: Request, target: Target) -> Response:
        """Send a request of our own; see sipx.plugin.Proxy."""
        return await self._kernel.user_agent.send_request(request, target)

    async def open_flow(self, target: Target) -> Flow:
        """The flow to a target; see sipx.plugin.Proxy."""
        return await self._kernel.user_agent.open_flow(target)
