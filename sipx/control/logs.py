"""The methods of the log: levels, lines, files."""

from __future__ import annotations

from base64 import b64encode
from os import SEEK_END
from typing import TYPE_CHECKING, Any, Final, Literal

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.control.errors import ControlError
from sipx.control.methods import Done, changing
from sipx.logs import KEPT, ROOT, AreaLevel, Line, Wanted, area_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    from sipx.logs import Logs

LONGEST_CHANGE: Final = 7 * 86400.0
"""Seconds that a level may be changed for; who wants more writes it into the file."""
LONGEST_TEXT: Final = 200
LONGEST_READ: Final = 1 << 20
"""Bytes of the largest part of a file that is read at once."""

Level = Literal["error", "warning", "info", "debug", "trace"]
_FROZEN: Final = ConfigDict(frozen=True, use_attribute_docstrings=True)


class LevelState(BaseModel):
    """An area and its level."""

    model_config = _FROZEN

    area: str
    level: str
    """What is written in it, and below it."""
    by: str = ""
    """"file" or "change" where the area has a level of its own, else it is that above."""
    left: float | None = None
    """Seconds until a change ends."""
    known: bool = True
    """Whether anything logs in this area: a misspelt one would do nothing."""

    @classmethod
    def of(cls, found: AreaLevel, *, known: bool = True) -> LevelState:
        """The level of an area as it is shown."""
        return cls(area=found.area, level=found.level, by=found.by, left=found.left, known=known)


class LevelList(BaseModel):
    """All areas."""

    model_config = _FROZEN

    levels: tuple[LevelState, ...]


class LevelParams(BaseModel):
    """Another level for an area."""

    model_config = _FROZEN

    area: str
    """Such as "sipx.proxy" or "proxy"; "sipx" for all."""
    level: Level
    seconds: float | None = Field(None, gt=0, le=LONGEST_CHANGE)
    """How long; without it until [log] in the file changes, or the process ends."""


class LogLine(BaseModel):
    """A line of the log."""

    model_config = _FROZEN

    time: float
    """Seconds since 1970."""
    level: str
    area: str
    text: str
    fields: dict[str, Any] = {}
    """What it is about: call_id, transaction, interface, peer and others."""
    traceback: str = ""

    @classmethod
    def of(cls, line: Line) -> LogLine:
        """A line as it is sent."""
        return cls(
            time=line.time,
            level=line.level,
            area=line.area,
            text=line.text,
            fields=dict(line.fields),
            traceback=line.traceback,
        )


class LinesParams(BaseModel):
    """Which lines."""

    model_config = _FROZEN

    count: int = Field(100, ge=0, le=KEPT)
    """How many of the last ones."""
    level: Level = "trace"
    """The least important level."""
    area: str = ROOT
    """What is in this area or below it."""
    grep: str = Field("", max_length=LONGEST_TEXT)
    """A text that is anywhere in the line; upper and lower case are the same. No pattern."""


class LogLines(BaseModel):
    """The last lines, oldest first."""

    model_config = _FROZEN

    lines: tuple[LogLine, ...]
    lost: int
    """Lines lost since the start, because they came faster than they could be written."""


class LogFileState(BaseModel):
    """A file that a handler writes or has written."""

    model_config = _FROZEN

    path: str
    size: int
    modified: float
    """Seconds since 1970."""


class LogFileList(BaseModel):
    """All of them, for each handler the one being written first."""

    model_config = _FROZEN

    files: tuple[LogFileState, ...]


class ReadParams(BaseModel):
    """Which part of which file."""

    model_config = _FROZEN

    path: str = Field(max_length=4096)
    """One that ``log.files`` lists."""
    offset: int = Field(0, ge=0)
    limit: int = Field(LONGEST_READ, ge=1, le=LONGEST_READ)
    """Bytes."""


class LogPart(BaseModel):
    """A part of a log file."""

    model_config = _FROZEN

    path: str
    size: int
    """Bytes of the whole file now."""
    offset: int
    data_base64: str
    end: bool
    """Whether nothing comes behind it now."""


class LogMethods:
    """What can be asked of the log, and what it can be told."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "log.levels": self.levels,
            "log.level": self.level,
            "log.recent": self.recent,
            "log.follow": self.follow,
            "log.files": self.files,
            "log.read": self.read,
            "log.reopen": self.reopen,
        }

    def levels(self) -> LevelList:
        """The areas of the log, their levels, and where each comes from."""
        return LevelList(levels=tuple(LevelState.of(found) for found in self._logs.levels()))

    @changing("operator")
    def level(self, params: LevelParams) -> LevelState:
        """Change the level of an area now; with ``seconds`` it goes back by itself."""
        area = _area(params.area)
        known = self._logs.is_known(area)
        return LevelState.of(self._logs.set_level(area, params.level, params.seconds), known=known)

    async def recent(self, params: LinesParams) -> LogLines:
        """The last lines, of those that are kept in memory."""
        lines = await trio.to_thread.run_sync(
            self._logs.recent, params.count, _wanted(params), abandon_on_cancel=True
        )
        return LogLines(lines=tuple(LogLine.of(line) for line in lines), lost=self._logs.lost)

    async def follow(self, params: LinesParams) -> AsyncIterator[LogLine]:
        """The last lines, then each that comes. Who is too slow misses lines, and is told."""
        follower = self._logs.follow(_wanted(params))
        try:
            await trio.to_thread.run_sync(follower.begin, params.count)
            async for line in follower:
                yield LogLine.of(line)
        finally:
            follower.leave()

    async def files(self) -> LogFileList:
        """The files that the log is written to."""
        return LogFileList(
            files=await trio.to_thread.run_sync(self._stated, abandon_on_cancel=True)
        )

    def _stated(self) -> tuple[LogFileState, ...]:
        return tuple(state for path in self._logs.files() if (state := _state(path)) is not None)

    @changing("operator")
    async def read(self, params: ReadParams) -> LogPart:
        """A part of a file that the log is written to."""
        return await trio.to_thread.run_sync(self._read, params, abandon_on_cancel=True)

    def _read(self, params: ReadParams) -> LogPart:
        # Compared, and never opened as it was given: nothing but log files is read.
        path = next((one for one in self._logs.files() if str(one) == params.path), None)
        if path is None:
            shown = params.path[:LONGEST_TEXT]
            text = f"{shown!r} is no log file of this process; log.files lists them"
            raise ControlError("not found", text)
        try:
            with path.open("rb") as file:
                size = file.seek(0, SEEK_END)
                file.seek(min(params.offset, size))
                data = file.read(params.limit)
        except OSError as error:
            raise ControlError("failed", f"{path} cannot be read: {error.strerror}") from error
        return LogPart(
            path=str(path),
            size=size,
            offset=params.offset,
            data_base64=b64encode(data).decode(),
            end=params.offset + len(data) >= size,
        )

    @changing("operator")
    def reopen(self) -> Done:
        """Log files were moved away: begin others. SIGUSR1 does the same."""
        count = self._logs.reopen()
        if not count:
            return Done(text="no log file is written")
        return Done(text="log files are opened anew")


def _wanted(params: LinesParams) -> Wanted:
    return Wanted(level=params.level, area=_area(params.area), text=params.grep)


def _area(name: str) -> str:
    try:
        return area_of(name)
    except ValueError as error:
        raise ControlError("params", f"{error}; `sipx log level` lists the areas") from error


def _state(path: Path) -> LogFileState | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return LogFileState(path=str(path), size=found.st_size, modified=found.st_mtime)
