"""The last lines, and those who follow: ``sipx log``, ``sipx log -f`` and the console."""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

from sipx.logs.levels import LEVELS, ROOT, name_of
from sipx.logs.masking import PLAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

KEPT: Final = 2000
"""Lines that are kept in memory."""
KEPT_LONGER: Final = 500
"""Lines from info on that are kept when those have gone: a trace goes through them in seconds."""
FOLLOWING: Final = 1000
"""Lines that may wait for one who follows; beyond that they are lost to him and counted."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the log. ``time`` is seconds since 1970."""

    time: float
    level: str
    area: str
    text: str
    fields: Mapping[str, object]
    traceback: str = ""

    @classmethod
    def of(cls, record: logging.LogRecord) -> Line:
        """The line that a record from the queue makes."""
        fields = {key: value for key, value in vars(record).items() if key not in PLAIN}
        return cls(
            record.created,
            name_of(record.levelno),
            record.name,
            str(record.msg),
            fields,
            record.exc_text or "",
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines are asked for: from a level on, in an area, with a text anywhere in them.

    The text is looked for as it is, whatever the case: no pattern, whose cost nobody could bound.
    """

    level: str = "trace"
    area: str = ROOT
    text: str = ""

    def __contains__(self, record: object) -> bool:
        assert isinstance(record, logging.LogRecord)
        if record.levelno < LEVELS[self.level]:
            return False
        if record.name != self.area and not record.name.startswith(f"{self.area}."):
            return False
        sought = self.text.casefold()
        if not sought or sought in str(record.msg).casefold():
            return True
        # An empty field is no match, and the name of a field is: --grep call_id= finds those.
        return (
            any(
                sought in f"{key}={value}".casefold()
                for key, value in vars(record).items()
                if key not in PLAIN
            )
            or sought in (record.exc_text or "").casefold()
        )


class Follower:
    """One who follows: an async iterator over lines. Use it with ``with``; it belongs to trio.

    Who does not keep up loses lines: ``lost`` counts them, and a line in their place says so.
    """

    def __init__(self, recent: Recent, wanted: Wanted) -> None:
        import trio

        self.wanted = wanted
        self.lost = 0
        self._recent = recent
        self._waiting: deque[logging.LogRecord] = deque()
        self._missed = 0
        self._over = False
        self._token = trio.lowlevel.current_trio_token()
        self._woken = trio.Event()

    def put(self, record: logging.LogRecord) -> None:
        """From the listener's thread: never waits."""
        if record not in self.wanted:
            return
        if len(self._waiting) >= FOLLOWING:
            self.lost += 1
            self._missed += 1
            return
        self._waiting.append(record)
        self._wake()

    def end(self) -> None:
        """From any thread: no more lines come."""
        self._over = True
        self._wake()

    def _wake(self) -> None:
        import trio

        try:
            self._token.run_sync_soon(self._awake, idempotent=True)
        except trio.RunFinishedError:
            self._recent.leave(self)

    def _awake(self) -> None:
        self._woken.set()

    def __aiter__(self) -> Follower:
        return self

    async def __anext__(self) -> Line:
        import trio

        while not self._waiting and not self._missed:
            if self._over:
                raise StopAsyncIteration
            await self._woken.wait()
            self._woken = trio.Event()
        if self._waiting:
            return Line.of(self._waiting.popleft())
        missed, self._missed = self._missed, 0
        return Line.of(_missed(missed))

    def begin(self, count: int = 0) -> None:
        """Follow, beginning with the last ``count`` lines; may be called in a thread."""
        self._recent.join(self, count)

    def leave(self) -> None:
        """Follow no longer."""
        self._recent.leave(self)

    def __enter__(self) -> Follower:
        self.begin()
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()


class Recent:
    """The last lines in memory, and who follows."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept: deque[logging.LogRecord] = deque(maxlen=kept)
        self._longer: deque[logging.LogRecord] = deque(maxlen=KEPT_LONGER)
        self._followers: tuple[Follower, ...] = ()
        self._lock = Lock()

    def add(self, record: logging.LogRecord) -> None:
        """A line that has been written."""
        with self._lock:
            if len(self._kept) == self._kept.maxlen and self._kept[0].levelno >= logging.INFO:
                self._longer.append(self._kept[0])
            self._kept.append(record)
            followers = self._followers
        for follower in followers:
            follower.put(record)

    def last(self, count: int, wanted: Wanted) -> tuple[Line, ...]:
        """The last ``count`` lines of those that are wanted, oldest first."""
        with self._lock:
            kept = (*self._longer, *self._kept)
        return tuple(Line.of(record) for record in _last(kept, count, wanted))

    def join(self, follower: Follower, count: int = 0) -> None:
        """One more follows, and gets the last ``count`` lines first: none twice, none left out."""
        with self._lock:
            for record in _last((*self._longer, *self._kept), count, follower.wanted)[-FOLLOWING:]:
                follower.put(record)
            self._followers = (*self._followers, follower)

    def leave(self, follower: Follower) -> None:
        """One less."""
        with self._lock:
            self._followers = tuple(one for one in self._followers if one is not follower)

    def end(self) -> None:
        """The log ends, and with it all following."""
        for follower in self._followers:
            follower.end()

    def __len__(self) -> int:
        return len(self._kept)


def _last(
    kept: tuple[logging.LogRecord, ...], count: int, wanted: Wanted
) -> list[logging.LogRecord]:
    found: list[logging.LogRecord] = []
    for record in reversed(kept):
        if len(found) >= count:
            break
        if record in wanted:
            found.append(record)
    return found[::-1]


def _missed(count: int) -> logging.LogRecord:
    lines = "1 line was" if count == 1 else f"{count} lines were"
    text = f"{lines} left out here: they came faster than they were read"
    return logging.LogRecord("sipx.logs", logging.WARNING, __file__, 0, text, None, None)
