"""The log: what is masked, how a line looks, and the queue that keeps writing off the SIP path.

Whoever logs hands a record to a bounded queue and goes on; one thread writes it to stderr and to
the handlers of plugins. Before it enters the queue a record is made harmless: control characters
are escaped, so that no value can begin a line of its own, and credentials are masked. When nobody
takes the lines away, lines are lost and counted, and SIP goes on.
"""

from __future__ import annotations

import copy
import logging
import queue
import re
import traceback
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from types import TracebackType

TRACE: Final = 5
"""The level below debug: every message that passes."""
QUEUE_SIZE: Final = 10_000
"""Lines that may wait to be written."""

_LEVELS: Final = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
    "trace": TRACE,
}
# A word begins after anything but a letter, or after an escaped line end in what repr() shows.
_BEGIN: Final = r"(?:(?<![a-z])|(?<=\\[nrt]))"
_HEADERS: Final = re.compile(
    r"(?im)" + _BEGIN + r"((?:proxy-)?authorization|authentication-info)([\"']?\s*[:=]\s*)"
    r"(?:\\[\"']|[^\r\n])*?(?=\\r|\\n|\r|\n|\Z)"
)
_CREDENTIALS: Final = re.compile(
    r"(?i)" + _BEGIN + r"(response|nonce|cnonce|nextnonce|rspauth|password|passwd|secret)"
    r"([\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?:[^\s,;\"'\\]|\\(?![rnt]))+)"
)
_MASK: Final = "[masked]"
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_CONTROL_BUT_NEWLINE: Final = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET_KEYS: Final = re.compile(r"(?i)authorization|password|passwd|secret|nonce|credential")


def masked(text: str) -> str:
    """``text`` without credentials: Authorization headers, digest responses, nonces, passwords."""
    return _CREDENTIALS.sub(rf"\1\2{_MASK}", _HEADERS.sub(rf"\1\2{_MASK}", text))


def escaped(text: str) -> str:
    r"""``text`` in one line: control characters and line separators as ``\n``, ``\x1b``, ..."""
    return _CONTROL.sub(lambda found: _escape(found[0]), text)


def harmless(value: object) -> object:
    """A value that may be written into a log: text and bytes masked and escaped, others as text.

    Numbers, truth values and None stay what they are.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("utf-8", "backslashreplace")
    return escaped(masked(str(value)))


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


# ---------------------------------------------------------------- onto the queue


class Queueing(QueueHandler):
    """Puts harmless copies of records into a bounded queue; a full queue loses lines.

    ``lost`` counts the lines lost since the last one that was taken.
    """

    def __init__(self, waiting: queue.Queue[logging.LogRecord]) -> None:
        super().__init__(waiting)
        self.lost = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy whose text is made now, as what it shows may change, without anything harmful."""
        clean = copy.copy(record)
        clean.msg = harmless(record.getMessage())
        clean.args = None
        clean.exc_text = _traceback(record)
        clean.exc_info = clean.stack_info = None
        for key, value in vars(record).items():
            if key not in _PLAIN:
                hidden = _SECRET_KEYS.search(key) is not None
                setattr(clean, key, _MASK if hidden else harmless(value))
        if clean.exc_text:
            clean.traceback = clean.exc_text  # structlog's formatter drops exc_text
        return clean

    def enqueue(self, record: logging.LogRecord) -> None:
        """Never wait: what finds no place is counted, and told as soon as there is room."""
        try:
            if self.lost:
                self.queue.put_nowait(self._told())
                self.lost = 0
            self.queue.put_nowait(record)
        except queue.Full:
            self.lost += 1

    def _told(self) -> logging.LogRecord:
        text = f"{self.lost} log lines were lost: they came faster than they could be written"
        return logging.LogRecord("sipx.logs", logging.WARNING, __file__, 0, text, None, None)


_PLAIN: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "taskName")
)


def _traceback(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        return _indented("".join(traceback.format_exception(error)))
    return _indented(record.stack_info) if record.stack_info else None


def _indented(text: str) -> str:
    """Lines that cannot be taken for lines of the log: each begins with a bar."""
    clean = _CONTROL_BUT_NEWLINE.sub(lambda found: _escape(found[0]), masked(text).rstrip())
    return "\n".join(f"  | {line}" for line in clean.split("\n"))


# ---------------------------------------------------------------- from the queue to a line


def formatter(*, json: bool, color: bool = False) -> logging.Formatter:
    """A formatter for handlers that get records from the queue: text lines or JSON lines."""
    final: Any
    if json:
        final = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        final = structlog.dev.ConsoleRenderer(
            colors=color, pad_event_to=0, exception_formatter=structlog.dev.plain_traceback
        )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
        ],
        processors=[
            _time_and_exception,
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            final,
        ],
    )


def _time_and_exception(
    logger: object, name: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The time at which it was logged, not written; and the traceback that was made then."""
    record: logging.LogRecord = event["_record"]
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    event["timestamp"] = when.replace("+00:00", "Z")
    traced = event.pop("traceback", None)
    if traced:
        event["exception"] = traced
    return event


class Logs:
    """The log of the process, between ``with`` and its end.

    ``level`` is that of the table [log]. Text goes to a terminal, JSON lines to anything else;
    ``color`` only matters for text.
    """

    def __init__(self, level: str, stream: TextIO, *, text: bool, color: bool) -> None:
        self._level = _LEVELS[level]
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter(json=not text, color=color))
        waiting: queue.Queue[logging.LogRecord] = queue.Queue(QUEUE_SIZE)
        self._queueing = Queueing(waiting)
        self._listener = QueueListener(waiting, handler, respect_handler_level=True)
        self._before: tuple[int, bool] = (logging.NOTSET, True)

    def add(self, handlers: Iterable[logging.Handler]) -> None:
        """Write to these, too: what the hook ``log_handlers`` brings. One without a formatter
        gets JSON lines."""
        for handler in handlers:
            if handler.formatter is None:
                handler.setFormatter(formatter(json=True))
            self._listener.handlers = (*self._listener.handlers, handler)

    def __enter__(self) -> Logs:
        logging.addLevelName(TRACE, "TRACE")
        logger = logging.getLogger("sipx")
        self._before = (logger.level, logger.propagate)
        logger.setLevel(self._level)
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
        logger = logging.getLogger("sipx")
        logger.removeHandler(self._queueing)
        logger.level, logger.propagate = self._before
        self._listener.stop()
        for handler in self._listener.handlers:
            handler.flush()
