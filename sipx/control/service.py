"""The process, and what a service manager knows of it: ``service.status``."""

from __future__ import annotations

import getpass
import os
from time import monotonic
from typing import TYPE_CHECKING, Final

import psutil
import trio
from pydantic import BaseModel, ConfigDict

from sipx.status import ReloadSummary, service_of

if TYPE_CHECKING:
    from sipx.kernel import Kernel

KEPT: Final = 10.0
"""Seconds for which the service manager is not asked again."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class UnitSummary(_Frozen):
    """The unit of systemd that this process belongs to."""

    unit: str
    manager: str
    """"system", or "user" for that of one user."""
    path: str
    active: str
    sub: str
    enabled: str
    """Whether it starts with the machine: "enabled", "disabled" ..."""
    restarts: int
    result: str
    status: str
    """What the proxy has told it last."""


class ServiceStatus(_Frozen):
    """The proxy service, its process, and who looks after that."""

    state: str
    """"starting", "running", "draining" or "stopped"."""
    version: str
    pid: int
    user: str
    """The account that the process runs as."""
    since: float
    """When the process started: seconds since 1970."""
    uptime: float
    config: str
    domains: tuple[str, ...]
    memory: int
    """Bytes that the process holds."""
    cpu: float
    """Seconds of processor time since the start."""
    reload: ReloadSummary
    stop_timeout: float
    """Seconds that what is under way may take to finish when the service stops."""
    systemd: UnitSummary | None
    """None where no unit of systemd has started this process."""


class ServiceMethods:
    """The method."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._unit: UnitSummary | None = None
        self._asked: float | None = None

    async def status(self) -> ServiceStatus:
        """The proxy service and its process: state, version, since when, memory, systemd."""
        found = service_of(self._kernel)
        process = psutil.Process()
        times = process.cpu_times()
        return ServiceStatus(
            state=found.state,
            version=found.version,
            pid=found.pid,
            user=await trio.to_thread.run_sync(_user),
            since=found.started,
            uptime=found.uptime,
            config=found.config,
            domains=found.domains,
            memory=process.memory_info().rss,
            cpu=times.user + times.system,
            reload=found.reload,
            stop_timeout=self._kernel.config.service.stop_timeout,
            systemd=await self._of_systemd(),
        )

    async def _of_systemd(self) -> UnitSummary | None:
        if "INVOCATION_ID" not in os.environ:  # systemd.exec(5): it sets this for every service
            return None
        now = monotonic()
        if self._asked is None or now - self._asked > KEPT:
            self._asked = now
            self._unit = await trio.to_thread.run_sync(unit_of, os.getpid())
        return self._unit


def unit_of(pid: int) -> UnitSummary | None:
    """The unit that has this process. Asks the service manager, and waits for it."""
    from sipx.cli import systemctl

    found = systemctl.installed()
    if found is None or found[1].pid != pid:
        return None
    unit = found[1]
    return UnitSummary(
        unit=systemctl.UNIT,
        manager=unit.manager,
        path=unit.path,
        active=unit.active,
        sub=unit.sub,
        enabled=unit.enabled,
        restarts=unit.restarts,
        result=unit.result,
        status=unit.status,
    )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
