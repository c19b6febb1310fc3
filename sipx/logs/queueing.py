"""Onto the queue: what whoever logs has to pay for, and no more."""

from __future__ import annotations

import logging
import queue
from logging.handlers import QueueHandler
from typing import Final

from sipx.logs.masking import cleaned

QUEUE_SIZE: Final = 10_000
"""Lines that may wait to be written."""


class Queueing(QueueHandler):
    """Puts harmless copies of records into a bounded queue; a full queue loses lines.

    ``lost`` counts the lines lost since the last one that was taken, ``lost_ever`` all.
    """

    def __init__(self, waiting: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(waiting)
        self._waiting = waiting
        self.lost = 0
        self.lost_ever = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy whose text is made now, without anything harmful."""
        return cleaned(record)

    def emit(self, record: logging.LogRecord) -> None:
        """As ever; but what will find no place is not made first."""
        if self._waiting.full():
            self._lose()
        else:
            self.enqueue(self.prepare(record))

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never wait: what finds no place is counted, and told as soon as there is room."""
        try:
            if self.lost:
                self._waiting.put_nowait(self._told())
                self.lost = 0
            self._waiting.put_nowait(record)
        except queue.Full:
            self._lose()

    def _lose(self) -> None:
        self.lost += 1
        self.lost_ever += 1

    def _told(self) -> logging.LogRecord:
        lines = "1 log line was" if self.lost == 1 else f"{self.lost} log lines were"
        text = f"{lines} lost: they came faster than they could be written"
        told = logging.LogRecord("sipx.logs", logging.WARNING, __file__, 0, text, None, None)
        told.lost = self.lost
        return told
