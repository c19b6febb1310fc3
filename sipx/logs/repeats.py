"""Repeated lines are summed: the first ones are written, the rest becomes one line.

A line is the same if its area, its level, its text and its traceback are; the line that sums up
has the fields of the last one. What traces messages is never summed: there each line counts.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx.logs.levels import TRACE

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterator

WINDOW: Final = 60.0
"""Seconds from the first of several equal lines to the line that sums them up."""
WRITTEN: Final = 3
"""How many of them are written as they are."""
MOST: Final = 512
"""Different lines that are remembered; beyond that the oldest is summed up early."""

_Key = tuple[str, int, str, str | None]


@dataclass(slots=True)
class _Seen:
    began: float
    times: int
    last: logging.LogRecord


class Repeats:
    """What has been logged in the last minute. Times are seconds of the caller's clock."""

    def __init__(self) -> None:
        self._seen: OrderedDict[_Key, _Seen] = OrderedDict()
        self._summing: set[_Key] = set()

    def take(self, record: logging.LogRecord, now: float) -> Iterator[logging.LogRecord]:
        """What is to be written now that ``record`` has come."""
        yield from self.due(now)
        if record.levelno <= TRACE:
            yield record
            return
        key = (record.name, record.levelno, str(record.msg), record.exc_text)
        seen = self._seen.get(key)
        if seen is None:
            if len(self._seen) >= MOST:
                yield from self._end(next(iter(self._seen)), now)
            self._seen[key] = _Seen(now, 1, record)
            yield record
            return
        seen.times += 1
        seen.last = record
        if seen.times <= WRITTEN:
            yield record
        else:
            self._summing.add(key)

    def due(self, now: float) -> Iterator[logging.LogRecord]:
        """The sums whose time has come."""
        while self._seen:
            key, seen = next(iter(self._seen.items()))
            if now - seen.began < WINDOW:
                return
            yield from self._end(key, now)

    def next_due(self) -> float | None:
        """When the next sum has to be written; None while nothing is being summed."""
        return min((self._seen[key].began + WINDOW for key in self._summing), default=None)

    def flush(self, now: float) -> Iterator[logging.LogRecord]:
        """All sums, at the end."""
        for key in tuple(self._seen):
            yield from self._end(key, now)

    def _end(self, key: _Key, now: float) -> Iterator[logging.LogRecord]:
        seen = self._seen.pop(key)
        self._summing.discard(key)
        more = seen.times - WRITTEN
        if more <= 0:
            return
        seconds = max(1, round(now - seen.began))
        summed = copy.copy(seen.last)
        times = "once" if more == 1 else f"{more} times"
        summed.msg = f"repeated {times} in the last {seconds} s: {seen.last.msg}"
        summed.repeated = more
        yield summed
