"""A log that writes into memory, by a clock that a test moves."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from sipx.config.model import LogConfig
from sipx.logs import Logs

if TYPE_CHECKING:
    from collections.abc import Callable


class Stream(io.StringIO):
    """What a log writes."""

    def entries(self) -> list[dict[str, Any]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def events(self) -> list[str]:
        """Their texts."""
        return [entry["event"] for entry in self.entries()]


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


@dataclass
class Keeping(logging.Handler):
    """A handler that keeps what it gets."""

    got: list[logging.LogRecord] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    __hash__ = logging.Handler.__hash__

    def emit(self, record: logging.LogRecord) -> None:
        self.got.append(record)

    def texts(self) -> list[str]:
        return [record.getMessage() for record in self.got]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeping() -> Keeping:
    return Keeping()


@pytest.fixture
def logged(clock: Clock) -> Callable[..., tuple[Stream, Logs]]:
    """``stream, logs = logged(level="debug")``: not begun yet."""

    def make(*, text: bool = False, **table: Any) -> tuple[Stream, Logs]:
        stream = Stream()
        config = LogConfig.model_validate({"format": "text" if text else "json", **table})
        return stream, Logs(config, stream, terminal=False, color=False, now=clock)

    return make
