"""The log of the process: levels, the queue, the thread, stderr, and the handlers of plugins."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

from sipx.logs import queueing
from sipx.logs.levels import LEVELS, ROOT, TRACE, AreaLevel, Levels, area_of
from sipx.logs.lines import log_formatter
from sipx.logs.listener import Listener
from sipx.logs.queueing import Queueing
from sipx.logs.recent import Follower, Line, Recent, Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType

    from sipx.config.model import LogConfig
    from sipx.kernel import Kernel

log = logging.getLogger("sipx.logs")


class Logs:
    """The log of the process, between ``with`` and its end.

    ``config`` is the table [log]. With its format "auto" text goes to a ``terminal``, JSON lines
    to anything else; ``color`` only matters for text. ``now`` is a clock that is never set back.
    """

    def __init__(
        self,
        config: LogConfig,
        stream: TextIO,
        *,
        terminal: bool,
        color: bool,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._terminal = terminal
        self._color = color
        self._stderr = logging.StreamHandler(stream)
        self._added: tuple[logging.Handler, ...] = ()
        self._plugins: tuple[logging.Handler, ...] = ()
        self._levels = Levels(now)
        self._recent = Recent()
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(queueing.QUEUE_SIZE)
        self._queueing = Queueing(waiting)
        self._listener = Listener(
            waiting, (self._stderr,), self._recent, now=now, also=self._end_changes
        )
        self._propagated = True
        self.stuck = False
        """Whether, at the end, stderr or a handler took no line: its lock is never free again."""
        self.on_levels: Callable[[], None] | None = None
        """Called whenever levels have changed, from whichever thread changed them."""
        self._format()

    # ------------------------------------------------------------ levels

    def levels(self) -> tuple[AreaLevel, ...]:
        """Every area there is, and its level."""
        return self._levels.areas()

    def is_known(self, area: str) -> bool:
        """Whether anything logs in an area, or below it: a misspelt one would do nothing."""
        return self._levels.is_known(area)

    def set_level(self, area: str, level: str, seconds: float | None = None) -> AreaLevel:
        """Change the level of an area now, for some seconds or until [log] changes.

        Raises ValueError for what is no area or no level. An area need not exist yet.
        """
        name = area_of(area)
        if level not in LEVELS:
            raise ValueError(f"'{level}' is no level; there are {', '.join(LEVELS)}")
        self._levels.change(name, level, seconds)
        # In its own level, or it would not be seen where that is `error`.
        log.warning("level of %s is now %s%s", name, level, _lasting(seconds))
        self._levels_changed()
        self._listener.wake()
        return next(found for found in self.levels() if found.area == name)

    def reconfigure(self, config: LogConfig) -> None:
        """Another table [log]. If its levels are others, changes without an end are over."""
        self._config = config
        if self._levels.configure(config.level, config.levels):
            self._levels_changed()
        self._listener.order(self._format)

    def _end_changes(self) -> float | None:
        over = self._levels.end_changes()
        for area in over:
            log.warning("level of %s is what it was before", area)
        if over:
            self._levels_changed()
        return self._levels.due()

    def _levels_changed(self) -> None:
        if self.on_levels is not None:
            self.on_levels()

    def _format(self) -> None:
        text = self._config.format == "text" or (self._config.format == "auto" and self._terminal)
        self._stderr.setFormatter(log_formatter(json=not text, color=self._color))

    def attach(self, kernel: Kernel) -> None:
        """Write to the handlers of its plugins, now and after each reload; its trace goes with the
        levels, and its status tells what was lost. Call it under trio."""
        import trio

        token, own = trio.lowlevel.current_trio_token(), threading.get_ident()

        def levels_changed() -> None:
            # A change that ends is noticed in the thread of the log, and hooks belong to trio.
            if threading.get_ident() == own:
                kernel.journal.levels_changed()
                return
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(kernel.journal.levels_changed)

        def taken_up(_: object = None) -> None:
            self.reconfigure(kernel.config.log)
            self.use(kernel.hooks.log_handlers())

        self.on_levels = levels_changed
        kernel.lost_lines = lambda: self.lost
        kernel.after_reload.append(taken_up)
        taken_up()

    # ------------------------------------------------------------ handlers

    def add(self, handlers: Iterable[logging.Handler]) -> None:
        """Write to these, too, until the end. One without a formatter gets JSON lines."""
        self._added = tuple(dict.fromkeys((*self._added, *map(_formatting, handlers))))
        self._listen_with()

    def use(self, handlers: Iterable[logging.Handler]) -> None:
        """Write to these, which the hook ``log_handlers`` brings, and no longer to those that it
        brought before: these are closed."""
        old = self._plugins
        self._plugins = tuple(dict.fromkeys(map(_formatting, handlers)))
        self._listen_with()
        gone = [handler for handler in old if handler not in self._handlers()]
        if gone:
            self._listener.order(lambda: _close(gone))

    def _handlers(self) -> tuple[logging.Handler, ...]:
        return (*self._added, *self._plugins)

    def _listen_with(self) -> None:
        self._listener.handlers = (self._stderr, *self._handlers())

    def reopen(self) -> int:
        """Files were moved away: handlers with a method ``reopen`` open theirs anew, behind the
        lines that wait now. How many there are."""
        reopening = [f for h in self._handlers() if callable(f := getattr(h, "reopen", None))]
        for function in reopening:
            self._listener.order(function)
        return len(reopening)

    def files(self) -> tuple[Path, ...]:
        """The files that handlers say they have written; may ask the disk."""
        from sipx.plugin import LogFiles

        given = (handler for handler in self._handlers() if isinstance(handler, LogFiles))
        return tuple(dict.fromkeys(path for handler in given for path in handler.files()))

    # ------------------------------------------------------------ lines

    @property
    def lost(self) -> int:
        """Lines that were lost since the start, because the queue was full."""
        return self._queueing.lost_ever

    def recent(self, count: int, wanted: Wanted | None = None) -> tuple[Line, ...]:
        """The last lines that were written, oldest first."""
        return self._recent.last(count, wanted or Wanted())

    def follow(self, wanted: Wanted | None = None) -> Follower:
        """Lines from now on, for ``with`` and ``async for``; only under trio."""
        return Follower(self._recent, wanted or Wanted())

    def in_turn(self, function: Callable[[], None]) -> None:
        """Call ``function`` in the thread of the log, when the lines that wait now are written."""
        self._listener.order(function)

    # ------------------------------------------------------------ life

    def __enter__(self) -> Logs:
        logging.addLevelName(TRACE, "TRACE")
        logger = logging.getLogger(ROOT)
        self._propagated = logger.propagate
        self._levels.configure(self._config.level, self._config.levels)
        logger.propagate = False
        logger.addHandler(self._queueing)
        self._listener.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        logger = logging.getLogger(ROOT)
        logger.removeHandler(self._queueing)
        logger.propagate = self._propagated
        self._levels.restore()
        self.stuck = not self._listener.stop()
        self._recent.end()
        if not self.stuck:
            self._stderr.flush()
            _close(self._handlers())


def _formatting(handler: logging.Handler) -> logging.Handler:
    if handler.formatter is None:
        handler.setFormatter(log_formatter(json=True))
    return handler


def _close(handlers: Iterable[logging.Handler]) -> None:
    for handler in handlers:
        handler.flush()
        handler.close()


def _lasting(seconds: float | None) -> str:
    return "" if seconds is None else f" for {seconds:g} s"
