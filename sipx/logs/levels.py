"""What is written, area by area: the file's levels, and what was changed while sipx runs.

An area is the name of a logger below ``sipx``. A change with an end goes back by itself; one
without lasts until [log] in the file changes, or the process ends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT: Final = "sipx"
TRACE: Final = 5
"""The level below debug: every message that passes."""

LEVELS: Final = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
_NAMES: Final = {number: name for name, number in LEVELS.items()}


@dataclass(frozen=True, slots=True)
class AreaLevel:
    """``level`` is what counts for the area. ``by`` says where it comes from: "file", "change", or
    "" if it is that of the area above. ``left`` is how many seconds a change still lasts.
    """

    area: str
    level: str
    by: str = ""
    left: float | None = None


@dataclass(frozen=True, slots=True)
class _Change:
    level: int
    ends: float | None


def area_of(name: str) -> str:
    """The full name of an area: ``proxy`` is ``sipx.proxy``. Raises ValueError."""
    area = name if name == ROOT or name.startswith(f"{ROOT}.") else f"{ROOT}.{name}"
    parts = area.split(".")
    if not all(part and all(c.isascii() and (c.isalnum() or c in "-_") for c in part)
               for part in parts):  # fmt: skip
        raise ValueError(f"'{name}' is no area")
    return area


class Levels:
    """Sets the levels of the loggers. ``now`` is a clock that is never set back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._file: dict[str, int] = {}
        self._changes: dict[str, _Change] = {}
        self._before: dict[str, int] = {}
        self._invented: set[str] = set()
        """Areas that nobody had logged in when they were given a level."""
        # The event loop changes levels, the listener's thread ends changes.
        self._lock = Lock()

    def configure(self, level: str, areas: Mapping[str, str]) -> bool:
        """The levels of the file. False: they are the ones already in use, and all stays.

        Changes with an end stay until then; those without an end are over.
        """
        file = {ROOT: LEVELS[level], **{area_of(a): LEVELS[name] for a, name in areas.items()}}
        with self._lock:
            if file == self._file:
                return False
            self._file = file
            self._changes = {a: c for a, c in self._changes.items() if c.ends is not None}
            self._apply()
        return True

    def change(self, area: str, level: str, seconds: float | None) -> None:
        """Another level for an area, for some seconds or until further notice."""
        ends = None if seconds is None else self._now() + seconds
        with self._lock:
            self._changes[area] = _Change(LEVELS[level], ends)
            self._apply()

    def due(self) -> float | None:
        """When the next change ends."""
        ends = [c.ends for c in tuple(self._changes.values()) if c.ends is not None]
        return min(ends, default=None)

    def end_changes(self) -> tuple[str, ...]:
        """End what is over; the areas."""
        now = self._now()
        with self._lock:
            over = tuple(
                area
                for area, change in self._changes.items()
                if change.ends is not None and change.ends <= now
            )
            for area in over:
                del self._changes[area]
            if over:
                self._apply()
        return over

    def is_known(self, area: str) -> bool:
        """Whether anything logs in an area, or below it."""
        return any(
            name not in self._invented and (name == area or name.startswith(f"{area}."))
            for name in _existing()
        )

    def restore(self) -> None:
        """Leave all loggers as they were found."""
        with self._lock:
            for area, level in self._before.items():
                logging.getLogger(area).setLevel(level)
            self._before.clear()
            self._file.clear()
            self._changes.clear()

    def areas(self) -> tuple[AreaLevel, ...]:
        """Every area that exists, and those that have a level of their own; sorted."""
        now = self._now()
        with self._lock:
            file, changes = dict(self._file), dict(self._changes)
        found = []
        for area in sorted({*_existing() - self._invented, *file, *changes}):
            change = changes.get(area)
            left = None if change is None or change.ends is None else max(0.0, change.ends - now)
            by = "change" if change is not None else "file" if area in file else ""
            effective = logging.getLogger(area).getEffectiveLevel()
            found.append(AreaLevel(area, name_of(effective), by, left))
        return tuple(found)

    def _apply(self) -> None:
        wanted = {**self._file, **{area: c.level for area, c in self._changes.items()}}
        existing = _existing()
        for area, level in wanted.items():
            if area not in existing:
                self._invented.add(area)
            logger = logging.getLogger(area)
            self._before.setdefault(area, logger.level)
            if logger.level != level:
                logger.setLevel(level)
        for area, before in list(self._before.items()):
            if area not in wanted:
                logging.getLogger(area).setLevel(before)
                del self._before[area]


def _existing() -> set[str]:
    found = tuple(logging.root.manager.loggerDict.items())
    own = (n for n, it in found if n.startswith(f"{ROOT}.") and isinstance(it, logging.Logger))
    return {ROOT, *own}


def name_of(number: int) -> str:
    """The word for a level; one in between is the next lower word, ``trace`` at least."""
    fitting = [level for level in _NAMES if level <= number]
    return _NAMES[max(fitting, default=TRACE)]
