"""The methods of the kernel, and the control socket of a running proxy."""

from __future__ import annotations

import logging
import os
from collections import deque
from importlib.metadata import PackageNotFoundError, metadata
from typing import TYPE_CHECKING, Final, cast

import trio
from pydantic import BaseModel, ConfigDict, JsonValue

from sipx.control.api import Api
from sipx.control.certificates import CertificateMethods
from sipx.control.checks import CheckRunMethods
from sipx.control.configuration import Configuration
from sipx.control.dns import DnsMethods
from sipx.control.dns_check import CheckMethods
from sipx.control.dns_record import RecordMethods
from sipx.control.explain import ExplainMethods
from sipx.control.flows import FlowMethods
from sipx.control.forms import FormMethods
from sipx.control.help import HelpMethods
from sipx.control.logs import LogMethods
from sipx.control.methods import Done, changing
from sipx.control.place import socket_path
from sipx.control.plugin_times import PluginTimeMethods
from sipx.control.probe import ProbeMethods
from sipx.control.server import serve
from sipx.control.service import ServiceMethods
from sipx.control.transactions import TransactionMethods
from sipx.control.words import plain
from sipx.errors import StartError
from sipx.reload import Plan  # noqa: TC001  # read when the program runs, as an annotation
from sipx.status import (
    CertificateSummary,
    InterfaceSummary,
    PluginSummary,
    ProxyStatus,
    certificates_of,
    interfaces_of,
    plugins_of,
    status_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from sipx.control.methods import Method
    from sipx.kernel import Kernel
    from sipx.logs import Logs

log = logging.getLogger("sipx.control")

EVENTS: Final = 1000
"""Events that may wait for one watcher that does not come to take them."""


class InterfaceList(BaseModel):
    """All listeners."""

    model_config = ConfigDict(frozen=True)

    interfaces: tuple[InterfaceSummary, ...]


class PluginList(BaseModel):
    """The listed plugins, in the order in which they are asked."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    plugins: tuple[PluginSummary, ...]
    hooks: dict[str, tuple[str, ...]] = {}
    """The hooks of each plugin that is switched on."""


class AvailablePlugin(BaseModel):
    """A plugin that is installed on this machine."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    distribution: str
    version: str
    listed: bool
    """Whether ``plugins`` of the file names it."""
    summary: str
    """What its distribution says of itself."""


class AvailablePlugins(BaseModel):
    """What could be listed."""

    model_config = ConfigDict(frozen=True)

    plugins: tuple[AvailablePlugin, ...]


class CertificateList(BaseModel):
    """Every [certificate.NAME]."""

    model_config = ConfigDict(frozen=True)

    certificates: tuple[CertificateSummary, ...]


class StopParams(BaseModel):
    """How to stop."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    now: bool = False
    """Do not wait for what is under way."""


class Event(BaseModel):
    """Something happened."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    time: float
    """Seconds since 1970."""
    plugin: str
    """Whose event it is, "" for the kernel's own."""
    kind: str
    """Which event: the name of its class."""
    data: JsonValue
    """Its fields."""
    dropped: int = 0
    """Events that were lost before this one, because they were not taken in time."""


def diagnosis(kernel: Kernel, *, live: bool = True) -> Mapping[str, Callable[..., object]]:
    """What can be asked about the DNS and partners, also of a kernel that does not run."""
    dns = DnsMethods(kernel, live=live)
    probe = ProbeMethods(kernel, live=live)
    return {
        "dns.cache": dns.cache,
        "dns.flush": dns.flush,
        "dns.route": dns.route,
        "dns.record": RecordMethods(kernel, live=live).record,
        "dns.check": CheckMethods(kernel, live=live).check,
        "probe": probe.probe,
        "check.partner": probe.check_partner,
    }


class KernelMethods:
    """What can be asked of a kernel, and what it can be told to do."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._transactions = TransactionMethods(kernel)
        self._flows = FlowMethods(kernel)
        self._configuration = Configuration(kernel)
        self._explain = ExplainMethods(kernel)

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "status": self.status,
            "transactions.list": self._transactions.list,
            "transactions.show": self._transactions.show,
            "flows.list": self._flows.list,
            "flows.show": self._flows.show,
            "interfaces.list": self.interfaces,
            "plugins.list": self.plugins,
            "plugins.available": self.available_plugins,
            "plugins.measure": PluginTimeMethods(self._kernel).measure,
            "certificates.list": self.certificates,
            "service.start": self.start,
            "service.stop": self.stop,
            "service.restart": self.restart,
            "process.stop": self.stop_process,
            "reload": self.reload,
            "reload.plan": self.plan,
            "events": self.events,
            "explain": self._explain.explain,
            **diagnosis(self._kernel),
            **self._configuration.methods(),
            "check.run": CheckRunMethods(self._kernel).run,
            **CertificateMethods(self._kernel, self._configuration).methods(),
            **FormMethods(self._kernel).methods(),
            **HelpMethods().methods(),
            "service.status": ServiceMethods(self._kernel).status,
        }

    # ------------------------------------------------------------ what is so

    def status(self) -> ProxyStatus:
        """What runs now: service, interfaces, flows, transactions, plugins, certificates, counts.

        ``healthy`` says whether something is wrong, ``problems`` what, and what to do about it.
        """
        return status_of(self._kernel)

    def interfaces(self) -> InterfaceList:
        """The listeners with their states."""
        return InterfaceList(interfaces=interfaces_of(self._kernel))

    def plugins(self) -> PluginList:
        """The plugins with their services, what these failed with last, and their hooks."""
        listed = plugins_of(self._kernel)
        names = {plugin.name for plugin in listed}
        hooks = self._kernel.hooks.implementations()
        return PluginList(
            plugins=listed, hooks={name: hooks[name] for name in hooks if name in names}
        )

    async def available_plugins(self) -> AvailablePlugins:
        """The plugins that are installed, listed or not; those that are not are not imported."""
        return await trio.to_thread.run_sync(self._available_plugins)

    def _available_plugins(self) -> AvailablePlugins:
        listed = self._kernel.settings.plugins
        return AvailablePlugins(
            plugins=tuple(
                AvailablePlugin(
                    name=info.name,
                    distribution=info.distribution,
                    version=info.version,
                    listed=info.name in listed,
                    summary=_summary(info.distribution),
                )
                for info in self._kernel.registry.installed()
            )
        )

    def certificates(self) -> CertificateList:
        """The certificates with the days that are left."""
        return CertificateList(certificates=certificates_of(self._kernel))

    # ------------------------------------------------------------ start, stop, reload

    @changing("operator")
    async def start(self) -> Done:
        """Start the proxy service in the running process; answers when its interfaces were tried.

        Does nothing when it runs.
        """
        was = self._kernel.state
        await self._kernel.start_proxy()
        return Done(
            text="the proxy service runs already"
            if was == "running"
            else "the proxy service has started"
        )

    @changing("operator")
    async def stop(self, params: StopParams) -> Done:
        """Stop the proxy service and let the process stay; answers when it has stopped.

        What is under way may finish within ``service.stop_timeout``, unless ``now``.
        """
        was = self._kernel.state
        await self._kernel.stop_proxy(now=params.now)
        return Done(
            text="the proxy service was stopped already"
            if was == "stopped"
            else "the proxy service has stopped"
        )

    @changing("operator")
    async def restart(self, params: StopParams) -> Done:
        """Stop the proxy service and start it again; answers when its interfaces were tried."""
        await self._kernel.stop_proxy(now=params.now)
        await self._kernel.start_proxy()
        return Done(text="the proxy service has started again")

    @changing
    def stop_process(self, params: StopParams) -> Done:
        """End the process; answers at once, and the connection ends with the process.

        What is under way may finish within ``service.stop_timeout``, unless ``now``.
        """
        self._kernel.stop(now=params.now)
        if params.now:
            return Done(text=f"the process {os.getpid()} ends now")
        wait = self._kernel.config.service.stop_timeout
        return Done(text=f"the process {os.getpid()} ends; what is under way has {wait:g} s")

    @changing("operator")
    async def reload(self) -> Plan:
        """Take up the configuration file as it is now; answers with what has changed.

        When that fails everything is as it was, and the error says what is wrong where.
        """
        return await self._kernel.reload()

    async def plan(self) -> Plan:
        """What a reload would do; nothing is changed."""
        return await self._kernel.plan(await self._kernel.read())

    # ------------------------------------------------------------ what happens

    async def events(self) -> AsyncIterator[Event]:
        """What happens: the events of plugins, interfaces, reloads, start and stop."""
        waiting: deque[tuple[float, str, object]] = deque()
        something = trio.Event()
        dropped = 0

        def note(plugin: str, event: object) -> None:
            nonlocal dropped
            waiting.append((self._kernel.wall(), plugin, event))
            if len(waiting) > EVENTS:
                waiting.popleft()
                dropped += 1
            something.set()

        watchers = self._kernel.watchers
        watchers.append(note)
        try:
            while True:
                await something.wait()
                something = trio.Event()
                while waiting:
                    when, plugin, event = waiting.popleft()
                    lost, dropped = dropped, 0
                    yield Event(
                        time=when,
                        plugin=plugin,
                        kind=type(event).__name__,
                        data=plain(event),
                        dropped=lost,
                    )
        finally:
            watchers.remove(note)


def _summary(distribution: str) -> str:
    try:
        return str(metadata(distribution)["Summary"] or "")
    except PackageNotFoundError:
        return ""


# ---------------------------------------------------------------- the control socket


def api_of(kernel: Kernel, more: Mapping[str, Callable[..., object]] | None = None) -> Api:
    """All methods of a kernel and of its plugins. Raises PluginError for one that is not right.

    ``more`` are methods of what is around the kernel, such as the log.
    """

    def fault(plugin: str, method: str, error: Exception) -> None:
        where = f"control method {method}"
        if plugin:
            kernel.journal.faulted(plugin, where, error)
        else:
            log.error("%s failed", where, exc_info=error)

    api = Api(
        {**KernelMethods(kernel).methods(), **(more or {})},
        more=lambda: kernel.hooks.control_methods(),
        fault=fault,
    )
    api.methods()
    return api


def described(more: Callable[[], Iterable[Method]] | None = None) -> Api:
    """The methods of every service, to be described and not to be called: nothing runs here.

    ``more`` are those of plugins.
    """
    kernel, logs = KernelMethods(cast("Kernel", None)), LogMethods(cast("Logs", None))
    return Api({**kernel.methods(), **logs.methods()}, more=more)


async def serve_control(
    kernel: Kernel,
    more: Mapping[str, Callable[..., object]] | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """The control socket of a running proxy, until cancelled. Raises PluginError at its start.

    Where there can be none, that is told and the proxy runs on without.
    """
    api = kernel.api
    api.add(more or {})
    api.methods()
    service = kernel.config.service
    path = socket_path(service.control_socket, kernel.config.service.state_dir)

    def trouble(text: str) -> None:
        kernel.troubles.note("control", str(path), text)

    try:
        await serve(
            api, path, service.control_group, trouble=trouble, task_status=_Ready(task_status)
        )
    except StartError as error:
        trouble(f"{error}; `sipx status` and others cannot reach this process")
        task_status.started()


class _Ready:
    """``started()`` without the path."""

    def __init__(self, task_status: trio.TaskStatus[None]) -> None:
        self._task_status = task_status

    def started(self, value: object = None) -> None:
        """Clients can come."""
        self._task_status.started()
