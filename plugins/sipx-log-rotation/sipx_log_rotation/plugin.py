"""The plugin: its files, the task that looks after them, and what `sipx check logs` finds."""

from __future__ import annotations

import os
import pwd
import shutil
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from sipx import Check, Finding, Proxy, Service, Severity, TransactionRecord, hookimpl
from sipx_log_rotation.archive import Archive
from sipx_log_rotation.calendar import Days, next_midnight
from sipx_log_rotation.config import LogRotationConfig, directory_of
from sipx_log_rotation.files import LogFile
from sipx_log_rotation.handler import FileHandler
from sipx_log_rotation.transactions import line_of, lost_line

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable
    from datetime import tzinfo
    from pathlib import Path

LOOK: Final = 5.0
"""Seconds between two looks at files in trouble, and at a clock that may have been set."""
FLUSH: Final = 0.5
"""Seconds that the line of a finished request may wait."""
LAST: Final = 5.0
"""Seconds that the end of the process waits for the last of them."""
WAITING: Final = 20_000
"""Finished requests that may wait to be written; more are counted and lost."""
KIND: Final = "log file"


class LogRotation:
    """Log files: by size and number, deleted or archived daily; a log of all transactions."""

    Config = LogRotationConfig

    def __init__(self, config: LogRotationConfig, proxy: Proxy, zone: tzinfo | None = None) -> None:
        self._config = config
        self._proxy = proxy
        self._zone = zone
        self.directory = directory_of(config)
        self.handler = FileHandler(partial(self._file, "sipx"), json=config.format == "json")
        self.transactions = self._file("sipx-transactions", lost_line)
        self._logs = {"sipx.log": self.handler.file}
        self._ended: deque[TransactionRecord] = deque()
        self._left_out = 0
        self._troubles: dict[str, str] = {}
        if config.transactions or config.delete_daily:
            # Those of a time when they were written are to be deleted, too.
            self._logs["sipx-transactions.log"] = self.transactions
            self.handler.others.append(self.transactions)
        if not config.transactions:
            # Not there for the kernel either: the path of a request builds no record for nobody.
            self.transaction_ended = None  # type: ignore[assignment,method-assign]

    def _file(self, name: str, told: Callable[[int, str, float], bytes]) -> LogFile:
        config = self._config
        daily = config.delete_daily
        archive = None
        if daily and config.archive is not None:
            archive = Archive(config.archive, config.archive_keep, self._zone)
        return LogFile(
            self.directory,
            name,
            max_size=config.max_size,
            keep=config.keep,
            told=told,
            days=Days(self._zone) if daily else None,
            archive=archive,
        )

    # ------------------------------------------------------------ hooks

    @hookimpl
    def log_handlers(self) -> Iterable[logging.Handler]:
        """The one that writes ``sipx.log``; it also names and reopens that of transactions."""
        return [self.handler]

    @hookimpl
    def transaction_ended(self, record: TransactionRecord) -> None:
        """Hot: only keep it."""
        if len(self._ended) < WAITING:
            self._ended.append(record)
        else:
            self._left_out += 1

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What looks after the files, and what writes the transactions."""
        return [self.look_after, *([self.write_transactions] if self._config.transactions else [])]

    @hookimpl
    def take_over(self, old: object) -> None:
        """Requests that end while the tables change hands are written by the new instance, even if
        it writes no others."""
        if isinstance(old, LogRotation):
            self._ended = old._ended  # noqa: SLF001  # another one of this class

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """Whether log files can be written."""
        return [Check("logs", self.findings)]

    # ------------------------------------------------------------ services

    async def look_after(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Midnight, other tries, and telling what does not work, also when nothing is logged."""
        try:
            await self._look()
            task_status.started()
            while True:
                await trio.sleep(self._until_next_look())
                await self._look()
        finally:
            # Who looks next says anew what is still so; nobody does when this is switched off.
            for name in self._troubles:
                self._proxy.note_trouble(KIND, name, None)
            self._troubles.clear()

    def _until_next_look(self) -> float:
        if not self._config.delete_daily:
            return LOOK
        wall = self._proxy.wall()
        return min(LOOK, next_midnight(wall, self._zone) - wall)

    async def _look(self) -> None:
        wall = self._proxy.wall()
        if self._ended and not self._config.transactions:
            await trio.to_thread.run_sync(self._batch(), abandon_on_cancel=True)
            self.transactions.close()
        for name, file in self._logs.items():
            if file.has_to_look(wall):
                await trio.to_thread.run_sync(file.look, wall, abandon_on_cancel=True)
            trouble = file.trouble
            if trouble != self._troubles.get(name):
                self._troubles[name] = trouble
                self._proxy.note_trouble(KIND, name, trouble)

    async def write_transactions(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Write what has ended, twice a second; at the end the rest."""
        task_status.started()
        try:
            while True:
                await trio.sleep(FLUSH)
                if self._ended:
                    await trio.to_thread.run_sync(self._batch(), abandon_on_cancel=True)
        finally:
            # A disk that hangs must not keep the process from ending.
            with trio.move_on_after(LAST, shield=True):
                await trio.to_thread.run_sync(self._batch(), abandon_on_cancel=True)
            self.transactions.close()

    def _batch(self) -> Callable[[], None]:
        records = list(self._ended)
        self._ended.clear()
        left_out, self._left_out = self._left_out, 0
        wall = self._proxy.wall()
        return partial(self._write, records, wall, wall - self._proxy.now(), left_out)

    def _write(
        self, records: list[TransactionRecord], wall: float, offset: float, left_out: int
    ) -> None:
        for record in records:
            self.transactions.write(line_of(record, record.started + offset), wall)
        if left_out:
            reason = "requests ended faster than they could be written"
            self.transactions.write(lost_line(left_out, reason, wall), wall)

    # ------------------------------------------------------------ findings

    def findings(self) -> Iterable[Finding]:
        """SIPX-L001 to L003: for each directory whether it can be written, and has room."""
        config = self._config
        yield from _findings(self.directory, self._needed(), "log files")
        if config.archive is not None and not config.delete_daily:
            yield Finding(
                "SIPX-L004",
                Severity.WARNING,
                "log-rotation.archive is set, and nothing is archived without delete_daily",
                "set delete_daily = true, or take archive out",
            )
        elif config.archive is not None:
            yield from _findings(config.archive, 0, "archived log files")

    def _needed(self) -> int:
        logs = 2 if self._config.transactions else 1
        return self._config.max_size * (self._config.keep + 1) * logs


def _findings(directory: Path, needed: int, what: str) -> Iterable[Finding]:
    there = directory
    while not there.exists() and there != there.parent:
        there = there.parent
    who = _account()
    if not there.is_dir():
        yield Finding(
            "SIPX-L002",
            Severity.FAILURE,
            f"{what} cannot be written: {there} is no directory",
            "name another directory",
        )
        return
    if not os.access(there, os.W_OK | os.X_OK):
        made = "" if there == directory else f", so {directory} cannot be made"
        yield Finding(
            "SIPX-L002",
            Severity.FAILURE,
            f"{what} cannot be written: {who} may not write into {there}{made}",
            f"install -d -o {who} -m 750 {directory} (as the account that sipx runs as)",
        )
        return
    free = shutil.disk_usage(there).free
    if free < needed:
        yield Finding(
            "SIPX-L003",
            Severity.WARNING,
            f"{directory} has {_megabytes(free)} of room, and {what} may need {_megabytes(needed)}",
            "lower max_size or keep, or make room",
        )
        return
    made = "" if there == directory else ", which will be made"
    yield Finding("SIPX-L001", Severity.OK, f"{what} go to {directory}{made}")


def _account() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
