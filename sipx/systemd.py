"""What a service manager is told: sd_notify(3) without a library, and the watchdog.

One datagram to the socket of ``$NOTIFY_SOCKET`` is all there is to it. Without the variable
nothing is sent, and nothing that goes wrong with the socket hurts the proxy.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Final

import trio

from sipx.interfaces import Status
from sipx.sip.timers import TICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from sipx.config.model import KernelConfig
    from sipx.flows import FlowTable
    from sipx.interfaces import Interfaces
    from sipx.sip.timers import Timers

    class Core(Protocol):
        """What is asked of the kernel."""

        config: KernelConfig
        interfaces: Interfaces
        flows: FlowTable
        timers: Timers

        @property
        def state(self) -> str:
            """``starting``, ``running``, ``draining`` or ``stopped``."""
            ...

        @property
        def ending(self) -> bool:
            """Whether the process is to end."""
            ...


log = logging.getLogger("sipx.run")

LOOK: Final = 2.0
"""Seconds between two looks at what STATUS= says."""
MARGIN: Final = 10.0
"""Seconds beyond ``service.stop_timeout`` that the end may take: closing files and connections."""
UNSENT: Final = 16
"""Datagrams that are kept while the manager does not take any."""


class Notifier:
    """The way to the service manager.

    ``environment`` is that of the process: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    ``monotonic`` gives nanoseconds of CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        *,
        monotonic: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._monotonic = monotonic
        self._unsent: deque[bytes] = deque(maxlen=UNSENT)
        self._told = False
        self._stopping = False
        self.watchdog = _watchdog(environment) if self else 0.0
        """Seconds within which the manager wants to hear of us; 0: it does not watch."""

    def __bool__(self) -> bool:
        """Whether somebody listens."""
        return self._address is not None

    def ready(self, status: str) -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it, whatever came of it.

        Without MONOTONIC_USEC in the same datagram the manager cannot tell this reload from one
        before, and waits until it gives up.
        """
        self._send("RELOADING=1", f"MONOTONIC_USEC={self._monotonic() // 1000}")

    def stopping(self, stop_timeout: float) -> None:
        """The end has begun; it may take as long as the configuration says, whatever the unit does.

        Said once.
        """
        if not self._stopping:
            self._stopping = True
            usec = _microseconds(stop_timeout + MARGIN)
            self._send("STOPPING=1", f"EXTEND_TIMEOUT_USEC={usec}")

    def extend_timeout(self, seconds: float) -> None:
        """What is under way (start, reload, stop) takes so much longer."""
        self._send(f"EXTEND_TIMEOUT_USEC={_microseconds(seconds)}")

    def status(self, text: str) -> None:
        """One line for people: what ``systemctl status`` shows."""
        self._send(_status(text))

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def flush(self) -> None:
        """Send what the manager had no room for."""
        if self._unsent:
            self._send()

    def _send(self, *fields: str) -> None:
        if self._address is None:
            return
        if fields:
            self._unsent.append("\n".join(fields).encode())
        try:
            # Asked for each time: the manager may have been started again with a new socket.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as end:
                while self._unsent:
                    end.sendto(self._unsent[0], self._address)
                    self._unsent.popleft()
        except BlockingIOError:
            return  # kept until the next one, or `flush`
        except OSError as error:
            self._unsent.clear()
            if not self._told:
                self._told = True
                log.warning("the service manager cannot be told anything: %s", error)


def _address(given: str) -> str | bytes | None:
    """The address of the socket: a path, or with ``@`` one in the abstract namespace."""
    if given.startswith("@"):
        return b"\0" + os.fsencode(given[1:])
    return given if given.startswith("/") else None


def _watchdog(environment: Mapping[str, str]) -> float:
    """WATCHDOG_USEC in seconds, if it is meant for this process; else 0."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(0, int(environment.get("WATCHDOG_USEC", "0"))) / 1e6
    except ValueError:
        return 0.0


def _status(text: str) -> str:
    return "STATUS=" + " ".join(text.split())


def _microseconds(seconds: float) -> int:
    return round(seconds * 1e6)


# ---------------------------------------------------------------- what is told all the time


def in_one_line(core: Core) -> str:
    """The proxy in one line: its state, its interfaces, how many flows it has."""
    enabled = [interface for interface in core.interfaces.all if interface.enabled]
    failed = [i.name for i in enabled if i.status is Status.FAILED]
    said = f"{core.state}: {len(core.interfaces.listening())} of {len(enabled)} interfaces listen"
    if failed:
        said += f" (failed: {', '.join(failed)})"
    return f"{said}, {len(core.flows)} flows"


async def keep_telling(notifier: Notifier, core: Core) -> None:
    """Renew STATUS= when it changes, and feed the watchdog. Lasts until it is cancelled."""
    if not notifier:
        return
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_status, notifier, core)
        if notifier.watchdog:
            nursery.start_soon(_feed, notifier, core)


async def _keep_status(notifier: Notifier, core: Core) -> None:
    said = ""
    while True:
        now = in_one_line(core)
        if now != said:
            said = now
            notifier.status(now)
        if core.ending:
            notifier.stopping(core.config.service.stop_timeout)
        notifier.flush()
        await trio.sleep(LOOK)


async def _feed(notifier: Notifier, core: Core) -> None:
    """At half the interval, and only after the core has made its next step.

    That one is waited for instead of asking when the last one was: after a pause of the whole
    process this task may be the first to run again.
    """
    while True:
        await _step(core)
        notifier.alive()
        await trio.sleep(notifier.watchdog / 2)


async def _step(core: Core) -> None:
    """Until the timers of the core have moved on; a proxy that is stopped has none that could."""
    before = core.timers.now
    while core.state in ("running", "draining") and core.timers.now == before:  # noqa: ASYNC110
        await trio.sleep(TICK)
