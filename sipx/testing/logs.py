"""The log of a process, for the handlers of a plugin: the queue, the thread, the masking."""

from __future__ import annotations

import io
import threading
from typing import TYPE_CHECKING, Final

from sipx.config.model import LogConfig
from sipx.logs import Logs

if TYPE_CHECKING:
    import logging

PATIENCE: Final = 30.0
"""Real seconds after which a thread that writes nothing has failed."""


class LogUnderTest:
    """A log with these handlers, between ``with`` and its end.

    What is logged below ``sipx`` reaches them as in ``sipx run``: masked, in a thread of its own.
    """

    def __init__(self, *handlers: logging.Handler, level: str = "trace") -> None:
        self._handlers = handlers
        self._stderr = io.StringIO()
        config = LogConfig.model_validate({"level": level, "format": "json"})
        self.logs: Logs = Logs(config, self._stderr, terminal=False, color=False)

    @property
    def stderr(self) -> str:
        """What was written to stderr so far: JSON lines."""
        return self._stderr.getvalue()

    def written(self) -> None:
        """Wait until the lines logged so far have been written."""
        done = threading.Event()
        self.logs.in_turn(done.set)
        if not done.wait(PATIENCE):
            raise AssertionError(f"a handler has not come back within {PATIENCE:g} s")

    def __enter__(self) -> LogUnderTest:
        self.logs.__enter__()
        self.logs.add(self._handlers)
        return self

    def __exit__(self, *error: object) -> None:
        self.logs.__exit__(None, None, None)
