"""The signals of ``sipx run``: TERM and INT end it, HUP reloads, USR1 opens the log files anew."""

from __future__ import annotations

import logging
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from sipx.cli.exits import ExitCode, Failed
from sipx.errors import SipxError
from sipx.systemd import in_one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.kernel import Kernel
    from sipx.logs import Logs
    from sipx.systemd import Notifier

log = logging.getLogger("sipx.run")


class Signals:
    """What the process does when it gets one.

    ``terminal`` tells whether somebody reads stderr there, now; ``say`` writes to it.
    """

    def __init__(
        self,
        kernel: Kernel,
        logs: Logs,
        notifier: Notifier,
        *,
        terminal: Callable[[], bool],
        say: Callable[[str], None],
    ) -> None:
        self.failure: Failed | None = None
        """How the process ends, if it is not 0."""
        self._kernel = kernel
        self._logs = logs
        self._notifier = notifier
        self._terminal = terminal
        self._had_terminal = terminal()
        self._say = say
        self._stopping = False
        self._reload = trio.Event()

    async def listen(self, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]) -> None:
        """Do what signals want; a second one that wants the end cancels ``scope``."""
        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
        with trio.open_signal_receiver(*wanted) as signals:
            task_status.started()
            async for number in signals:
                self._take(signal.Signals(number), scope)

    def _take(self, number: signal.Signals, scope: trio.CancelScope) -> None:
        if number is signal.SIGUSR1:
            log.info("log files are opened anew: %d", self._logs.reopen())
        elif number is signal.SIGHUP and not self._hung_up():
            self._reload.set()
        elif self._stopping:
            interrupted = number is signal.SIGINT
            code = ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED
            self.failure = Failed("ended before everything was finished", code)
            scope.cancel()
        else:
            self._stop(number)

    def _hung_up(self) -> bool:
        """Whether HUP has its oldest meaning: the terminal has gone that this was started on."""
        return self._had_terminal and not self._terminal()

    def _stop(self, number: signal.Signals) -> None:
        self._stopping = True
        timeout = self._kernel.config.service.stop_timeout
        self._notifier.stopping(timeout)
        log.info(
            "stopping: what is under way may finish, at most %g s; a second signal ends at once",
            timeout,
        )
        if number is signal.SIGINT and self._terminal():
            self._say(
                f"stopping: what is under way may finish, at most {timeout:g} s; Ctrl-C again "
                "ends at once"
            )
        self._kernel.stop()

    # ------------------------------------------------------------ reload

    async def keep_reloading(self) -> None:
        """One after the other; all that ask while one is under way get one together after it."""
        while True:
            await self._reload.wait()
            self._reload = trio.Event()
            if not self._stopping:
                await self._reload_once()

    async def _reload_once(self) -> None:
        """The file, checked, and applied; whatever is wrong with it, the old one runs on."""
        kernel = self._kernel
        self._notifier.reloading()
        # Why it failed stands in the status and in the log.
        with suppress(SipxError):
            await kernel.reload()
        self._notifier.ready(in_one_line(kernel))
