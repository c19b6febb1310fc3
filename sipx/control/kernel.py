"""The methods of the kernel, and the control socket of a running proxy."""

from __future__ import annotations

import logging
import os
from collections import deque
from typing import TYPE_CHECKING, Final, cast

import trio
from pydantic import BaseModel, ConfigDict, JsonValue

from sipx.control.api import Api
from sipx.control.configuration import Configuration
from sipx.control.dns import DnsMethods
from sipx.control.dns_check import CheckMethods
from sipx.control.dns_record import RecordMethods
from sipx.control.explain import ExplainMethods
from sipx.control.flows import FlowMethods
from sipx.control.logs import LogMethods
from sipx.control.methods import Done, changing
from sipx.control.place import socket_path
from sipx.control.probe import ProbeMethods
from sipx.control.server import serve
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

    model_config = ConfigDict(frozen=True)

    plugins: tuple[PluginSummary, ...]


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
        """The plugins with their services, and what these failed with last."""
        return PluginList(plugins=plugins_of(self._kernel))

    def certificates(self) -> CertificateList:
        """The certificates with the days that are left."""
        return CertificateList(certificates=certificates_of(self._kernel))

    # ------------------------------------------------------------ start, stop, reload

    @changing
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

    @changing
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

    @changing
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

    @changing
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
    api = api_of(kernel, more)
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
