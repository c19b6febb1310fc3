"""From a record that comes off the queue to a line: text for people, JSON for machines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logging
    from collections.abc import MutableMapping


def log_formatter(*, json: bool, color: bool = False) -> logging.Formatter:
    """A formatter for handlers that get records from the queue: text lines or JSON lines."""
    import structlog

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
    event["timestamp"] = timestamp(record.created)
    traced = event.pop("traceback", None)
    if traced:
        event["exception"] = traced
    return event


def timestamp(seconds: float) -> str:
    """``2026-11-25T21:30:00.123Z``."""
    when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return when.replace("+00:00", "Z")
