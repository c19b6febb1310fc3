"""Messages as text for people, as CSV for tables, as JSON lines for programs."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.showing import readable

if TYPE_CHECKING:
    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.models import MessageSummary

COLUMNS: Final = (
    "seq", "time", "direction", "interface", "transport", "source", "target", "peer", "method",
    "status", "reason", "uri", "from_uri", "to_uri", "call_id", "cseq", "size", "sdp", "rtt", "leg",
    "dialog", "transaction", "twin", "retransmission", "malformed", "marked", "note",
)  # fmt: skip
_FORMULA: Final = re.compile(r"(^|;\s*)(?=[=+\-@\t\r])")
"""Where a cell may begin, and its formula: many spreadsheets divide cells at semicolons."""
VERSION: Final = 1
"""Of the JSON lines: readers refuse a later one."""


def moment(wall: float) -> str:
    """A time as ISO 8601 has it, in UTC."""
    shown = datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds")
    return shown.replace("+00:00", "Z")


def as_text(message: Message, summary: MessageSummary, *, bodies: bool) -> bytes:
    """A line about the message, then all of it."""
    marks = [
        f"#{message.seq}",
        moment(message.wall),
        message.way.transport,
        f"{message.source} -> {message.target}",
        f"{summary.direction} {message.way.interface}",
    ]
    if message.peer:
        marks.append(f"peer {message.peer}")
    if message.retransmission:
        marks.append("retransmission")
    if message.fault:
        marks.append(f"malformed: {message.fault}")
    if message.marked:
        marks.append(f"marked {message.marked}{': ' if message.note else ''}{message.note}")
    parts = [" | ".join(marks), readable(message.head), ""]
    if bodies and message.body:
        parts.append(readable(message.body).rstrip("\n"))
        parts.append("")
    elif message.body_state != "none":
        parts += [f"[the body, {message.body_type or 'of no type'}, is not here]", ""]
    return "\n".join((*parts, "")).encode()


def csv_header() -> bytes:
    """The names of the columns."""
    return _row(COLUMNS)


def as_csv(summary: MessageSummary) -> bytes:
    """One row. What a spreadsheet would take for a formula is made text (a peer wrote it)."""
    values: list[str] = []
    for name in COLUMNS:
        value = getattr(summary, name)
        if name == "time":
            value = moment(value)
        text = "" if value is None else str(value)
        values.append(_FORMULA.sub(r"\1'", text) if isinstance(value, str) else text)
    return _row(values)


def _row(values: tuple[str, ...] | list[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow(values)
    return line.getvalue().encode("utf-8", "replace")


def jsonl_header() -> bytes:
    """The first line: what this is."""
    return json.dumps({"sipx_capture": VERSION}).encode() + b"\n"


def as_jsonl(message: Message, summary: MessageSummary, *, bodies: bool) -> bytes:
    """One line: what a list shows, and the text; base64 where it is no text."""
    found = summary.model_dump()
    found.update(_content("head", message.head))
    if bodies and message.body:
        found.update(_content("content", message.body))
    found["fault"] = message.fault
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _content(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
