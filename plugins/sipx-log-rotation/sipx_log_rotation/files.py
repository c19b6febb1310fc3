"""One log on the disk: the file being written, and the ones before it.

``NAME.log`` is being written. When it is full it becomes ``NAME.000001.log``, the next one
``NAME.000002.log``: numbers only grow, so that nothing is written over, also after a restart or
when the clock is set back. Any failure of the disk costs lines, which are counted, and nothing
else: it is tried again every few seconds.
"""

from __future__ import annotations

import errno
import fcntl
import math
import os
import re
import stat
from contextlib import contextmanager
from threading import RLock
from typing import TYPE_CHECKING, Final

from sipx_log_rotation.calendar import Days, begin_of, day_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sipx_log_rotation.archive import Archive

RETRY: Final = 5.0
"""Seconds after a failure until the disk is tried again; lines in between are lost."""
MODE: Final = 0o640
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class LogFile:
    """``write`` a line; whatever goes wrong is in ``trouble`` and ``lost``, nothing is raised.

    ``told`` makes the line that says how many lines are missing, from their number, the reason
    and the time. ``days`` and ``archive`` are there with delete_daily only. All methods may be
    called from any thread; ``now`` is seconds since 1970.
    """

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        max_size: int,
        keep: int,
        told: Callable[[int, str, float], bytes],
        days: Days | None = None,
        archive: Archive | None = None,
    ) -> None:
        self.directory = directory
        self.path = directory / f"{name}.log"
        self.lost = 0
        """Lines lost since the log last said so."""
        self.lost_ever = 0
        self._pattern = re.compile(rf"{re.escape(name)}\.(\d{{6,}})\.log\Z")
        self._name = name
        self._max_size = max_size
        self._keep = keep
        self._told = told
        self._days = days
        self._archive = archive
        self._lock = RLock()
        self._fd: int | None = None
        self._id: tuple[int, int] | None = None
        self._size = 0
        self._half = False
        """Whether the file ends in the middle of a line."""
        self._due: list[Path] = []
        """Files of a day that is over and that wait for the archive."""
        self._over: float | None = None
        """Files last written before this time have to go: their day is over."""
        self._begun = False
        self._closed = False
        """Whether nobody writes any more; what comes late leaves no file open."""
        self._failures: dict[str, tuple[str, float]] = {}
        """What does not work, by step: the words, and when it was tried."""
        self._reason = ""

    # ------------------------------------------------------------ what is to be seen

    @property
    def trouble(self) -> str:
        """What does not work, in words; "" if all does."""
        return next((words for words, _ in self._failures.values()), "")

    def files(self) -> list[Path]:
        """The file being written, then old ones, the newest first, then the archive's."""
        archive = self._archive
        with self._lock:
            try:
                found = [self.path] if self.path.exists() else []
                found += reversed(self._old())
                return found + (archive.files(self._name) if archive is not None else [])
            except OSError:
                return []

    # ------------------------------------------------------------ writing

    def write(self, line: bytes, now: float) -> None:
        """Write a line that ends with a line end."""
        with self._lock:
            if not self._may_try("write", now):
                self._lose()
                return
            self._day(now)
            try:
                self._ready(len(line), now)
                self._put(line)
            except OSError as error:
                self._lose()
                self._failed("write", error, now)
            else:
                self._failures.pop("write", None)
            if self._closed:
                self._close()

    def look(self, now: float) -> None:
        """Do what is due although nothing is logged: the end of a day, another try."""
        with self._lock:
            if "write" in self._failures and self._may_try("write", now):
                try:
                    self._ready(0, now)
                except OSError as error:
                    self._failed("write", error, now)
                else:
                    del self._failures["write"]
            self._day(now)
            if self._closed:
                self._close()
            due = list(self._due) if self._may_try("archive", now) else []
        for path in due:
            self._to_archive(path, now)

    def has_to_look(self, now: float) -> bool:
        """Whether ``look`` would do something: it may take its time on a disk."""
        return bool(
            self._failures
            or self._due
            or self._over is not None
            or (self._days is not None and (not self._begun or self._days.would_end(now)))
        )

    def reopen(self) -> None:
        """Somebody has moved the file away: begin another one with the next line."""
        with self._lock:
            self._close()
            self._failures.clear()

    def close(self) -> None:
        """Nobody writes any more. A thread that was left behind may, and leaves no file open."""
        with self._lock:
            self._closed = True
            self.reopen()

    # ------------------------------------------------------------ the steps

    def _ready(self, size: int, now: float) -> None:
        if self._fd is None or self._was_moved():
            self._open()
        full = self._size > 0 and self._size + size > self._max_size
        if full and self._may_try("turn", now):
            try:
                with _alone(self.directory) as alone:
                    # Whoever else writes here may have ended it meanwhile, or does so now.
                    if alone and not self._was_moved():
                        self._turn()
                        self._prune()
                if self._fd is not None and self._was_moved():
                    self._close()
                self._failures.pop("turn", None)
            except OSError as error:
                # A file that is too large is better than no log.
                self._failed("turn", error, now)
            if self._fd is None:
                self._open()
        if self.lost:
            lost = self.lost
            self._put(self._told(lost, self._reason, now))
            self.lost -= lost

    def _put(self, data: bytes) -> None:
        assert self._fd is not None
        if self._half:
            data = b"\n" + data
        written = 0
        while written < len(data):
            count = os.write(self._fd, data[written:] if written else data)
            written += count
            self._size += count
            self._half = data[written - 1 : written] != b"\n"

    def _open(self) -> None:
        self._close()
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        fd = os.open(self.path, _FLAGS, MODE)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(errno.EINVAL, "is no regular file", str(self.path))
            self._half = found.st_size > 0 and os.pread(fd, 1, found.st_size - 1) != b"\n"
        except OSError:
            os.close(fd)
            raise
        self._fd = fd
        self._id = (found.st_dev, found.st_ino)
        self._size = found.st_size

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def _was_moved(self) -> bool:
        try:
            found = self.path.stat()
        except OSError:
            return True
        return (found.st_dev, found.st_ino) != self._id

    def _turn(self) -> None:
        """Give the file its number; the next line begins another one."""
        numbers = [int(found[1]) for p in self._old() if (found := self._pattern.match(p.name))]
        number = max(numbers, default=0) + 1
        self.path.rename(self.directory / f"{self._name}.{number:06d}.log")
        self._close()

    def _prune(self) -> None:
        old = self._old()
        for path in old[: max(0, len(old) - self._keep)]:
            path.unlink(missing_ok=True)
            if path in self._due:
                self._due.remove(path)

    def _old(self) -> list[Path]:
        """The files with numbers, the oldest first."""
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        found = [(int(m[1]), name) for name in names if (m := self._pattern.match(name))]
        return [self.directory / name for _, name in sorted(found)]

    # ------------------------------------------------------------ days

    def _day(self, now: float) -> None:
        """With delete_daily: at the end of a day its files go, and at the start those that were
        left from another day because nobody ran at midnight."""
        if self._days is None:
            return
        if self._days.ended(now):
            self._over = math.inf
        elif not self._begun:
            self._over = begin_of(day_of(now, self._days.zone), self._days.zone)
        self._begun = True
        if self._over is None or not self._may_try("delete", now):
            return
        try:
            self._end_day(self._over)
        except OSError as error:
            self._failed("delete", error, now)
        else:
            self._over = None
            self._failures.pop("delete", None)

    def _end_day(self, over: float) -> None:
        try:
            current = self.path.stat()
        except FileNotFoundError:
            current = None
        if current is not None and current.st_mtime < over:
            if current.st_size:
                with _alone(self.directory) as alone:
                    if not alone:
                        return
                    self._turn()
            else:
                self.path.unlink(missing_ok=True)
                self._close()
        for path in self._old():
            if path.stat().st_mtime >= over:
                continue
            if self._archive is None:
                path.unlink(missing_ok=True)
            elif path not in self._due:
                self._due.append(path)

    def _to_archive(self, path: Path, now: float) -> None:
        """Compress a file and delete it. Without the lock: this takes a while."""
        assert self._archive is not None
        try:
            self._archive.take(path)
        except OSError as error:
            # One that is gone had to make room, or somebody took it.
            if path.exists():
                with self._lock:
                    self._failed("archive", error, now)
                return
        with self._lock:
            if path in self._due:
                self._due.remove(path)
            self._failures.pop("archive", None)

    # ------------------------------------------------------------ failures

    def _may_try(self, step: str, now: float) -> bool:
        failure = self._failures.get(step)
        # A clock that was set back must not make it wait for years.
        return failure is None or not failure[1] <= now < failure[1] + RETRY

    def _failed(self, step: str, error: OSError, now: float) -> None:
        reason = _reason(error)
        if step == "write":
            self._close()
            self._reason = reason
        self._failures[step] = (f"{_STEPS[step].format(path=self.path)}: {reason}", now)

    def _lose(self) -> None:
        self.lost += 1
        self.lost_ever += 1


@contextmanager
def _alone(directory: Path) -> Iterator[bool]:
    """Whether no other process gives a file of this directory its number: two that did so at once
    would write one of them over. Where nothing can be locked, it is taken for granted.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError:
            pass
        yield True
    finally:
        os.close(fd)


_STEPS: Final = {
    "write": "{path} cannot be written, its lines are lost until it can",
    "turn": "{path} cannot be ended and goes on growing",
    "delete": "files of the day that is over, beside {path}, cannot be deleted",
    "archive": "files of the day that is over, beside {path}, cannot be archived and stay",
}


def _reason(error: OSError) -> str:
    where = f" ({error.filename})" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"
