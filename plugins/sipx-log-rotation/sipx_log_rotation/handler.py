"""Lines of the log into a file."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sipx import log_formatter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipx_log_rotation.files import LogFile


class FileHandler(logging.Handler):
    """Writes what comes off the queue, in the thread of the log. Never raises, never logs."""

    def __init__(
        self, make: Callable[[Callable[[int, str, float], bytes]], LogFile], *, json: bool
    ) -> None:
        super().__init__()
        self.setFormatter(log_formatter(json=json))
        self.file = make(self._told)
        self.others: list[LogFile] = []
        """Files of other logs, to be listed and opened anew with this one."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, or several where it has a traceback."""
        self.file.write(self._line(record), record.created)

    def files(self) -> list[Path]:
        """The file being written, then the old ones."""
        return [path for file in (self.file, *self.others) for path in file.files()]

    def reopen(self) -> None:
        """The files have been moved away."""
        for file in (self.file, *self.others):
            file.reopen()

    def close(self) -> None:
        """No more lines come."""
        self.file.close()
        super().close()

    def _line(self, record: logging.LogRecord) -> bytes:
        return self.format(record).encode("utf-8", "backslashreplace") + b"\n"

    def _told(self, lost: int, reason: str, now: float) -> bytes:
        lines = "1 log line was" if lost == 1 else f"{lost} log lines were"
        text = f"{lines} lost: {reason}"
        name = "sipx.plugin.log-rotation"
        record = logging.LogRecord(name, logging.WARNING, __file__, 0, text, None, None)
        record.created = now
        record.lost = lost
        return self._line(record)
