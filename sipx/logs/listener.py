"""The thread that takes lines off the queue and writes them."""

from __future__ import annotations

import logging
import queue
import sys
import threading
from typing import TYPE_CHECKING, Final

from sipx.logs.repeats import Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.logs.recent import Recent

STOP_WAITS: Final = 5.0
"""Seconds that the end of the process waits for handlers to write what is left."""


class Listener:
    """Takes records and orders off ``waiting``, sums up repeated lines, and calls the handlers.

    An order is a function that has to run between two lines, in this thread. ``also`` is what
    else has to be looked after: it does what is due and says when it wants to be asked again.
    A handler that raises loses its line and is told of on stderr, once.
    """

    def __init__(
        self,
        waiting: queue.Queue[logging.LogRecord],
        handlers: Iterable[logging.Handler],
        recent: Recent,
        *,
        now: Callable[[], float],
        also: Callable[[], float | None],
    ) -> None:
        self.handlers = tuple(handlers)
        self._waiting = waiting
        self._recent = recent
        self._now = now
        self._also = also
        self._repeats = Repeats()
        self._orders: list[Callable[[], None]] = []
        self._told: set[logging.Handler] = set()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="sipx-log", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """Write what is left, and end. False: a handler blocks for longer than a moment, and the
        thread is left behind with it."""
        self._stopping = True
        self.wake()
        thread, self._thread = self._thread, None
        if thread is None:
            return True
        thread.join(STOP_WAITS)
        return not thread.is_alive()

    def order(self, function: Callable[[], None]) -> None:
        """Run ``function`` in the thread, after the lines that wait now."""
        try:
            self._waiting.put_nowait(_Order(function))
        except queue.Full:
            self._orders.append(function)

    def wake(self) -> None:
        """Look anew at when something is due."""
        self.order(_nothing)

    def look(self) -> None:
        """Do what is due now: sums of repeated lines, and what ``also`` looks after."""
        self._also()
        for record in self._repeats.due(self._now()):
            self._write(record)

    def _run(self) -> None:
        while True:
            try:
                item = self._waiting.get_nowait()
            except queue.Empty:
                if self._stopping:
                    break
                self.look()
                try:
                    item = self._waiting.get(timeout=self._patience())
                except queue.Empty:
                    continue
            self._handle(item)
        for record in self._repeats.flush(self._now()):
            self._write(record)

    def _handle(self, item: logging.LogRecord) -> None:
        while self._orders:
            self._run_order(self._orders.pop(0))
        if isinstance(item, _Order):
            self._run_order(item.function)
            return
        for record in self._repeats.take(item, self._now()):
            self._write(record)

    def _run_order(self, function: Callable[[], None]) -> None:
        try:
            function()
        except Exception as error:
            _complain(f"the log: {type(error).__name__}: {error}")

    def _patience(self) -> float | None:
        """How long nothing is due; None: for as long as nobody logs."""
        due = [when for when in (self._also(), self._repeats.next_due()) if when is not None]
        return max(0.0, min(due) - self._now()) if due else None

    def _write(self, record: logging.LogRecord) -> None:
        self._recent.add(record)
        for handler in self.handlers:
            if record.levelno < handler.level:
                continue
            try:
                handler.handle(record)
            except Exception as error:
                if handler not in self._told:
                    self._told.add(handler)
                    _complain(f"{type(handler).__name__} loses lines: {error}")


class _Order(logging.LogRecord):
    """Goes through the queue like a line, so that it keeps its place between lines."""

    def __init__(self, function: Callable[[], None]) -> None:
        super().__init__("sipx.logs", logging.NOTSET, __file__, 0, "", None, None)
        self.function = function


def _nothing() -> None:
    """To wake the thread."""


def _complain(text: str) -> None:
    """Not by the log: that would lead back here."""
    if sys.stderr is not None:
        print(f"sipx: {text}", file=sys.stderr)  # noqa: T201  # the last way out
