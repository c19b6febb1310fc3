"""A message in one line, and the colours of its class."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from rich.text import Text

from sipx import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx_monitor.traffic.models import DialogSummary, MessageSummary

STYLES: Final = {
    "request": "cyan",
    "1xx": "bright_black",
    "2xx": "green",
    "3xx": "magenta",
    "4xx": "yellow",
    "5xx": "red",
    "6xx": "bold red",
}
"""By class. Each message says in words what it is: colours only help to see it."""
STATES: Final = {
    "trying": "yellow",
    "ringing": "yellow",
    "established": "green",
    "answered": "green",
    "ended": "bright_black",
    "failed": "red",
}
MARKS: Final = {"orange": "dark_orange", "purple": "magenta", "grey": "bright_black"}
"""Colours of marks whose names rich does not know."""
_WIDTHS: Final = (12, 6, 3, 15, 5, 21, 21, 28, 24, 24)
_NARROWER: Final = (
    (3, 0), (4, 0), (8, 16), (9, 16), (10, 0), (5, 0), (7, 20), (6, 0), (1, 0), (8, 0),
    (9, 0),
)  # fmt: skip
"""Columns, and what is left of their widths, in the order in which they go."""
HEADS: Final = (
    "time", "#", "", "interface", "proto", "source", "target", "message", "From", "To", "",
)  # fmt: skip


def clean(text: str) -> str:
    """Text that can do nothing to a terminal."""
    return text if text.isprintable() else str(harmless(text))


def clock(seconds: float) -> str:
    """The time of day, with milliseconds, where this runs."""
    when = datetime.fromtimestamp(seconds, UTC).astimezone()
    return f"{when:%H:%M:%S}.{when.microsecond // 1000:03}"


def class_of(one: MessageSummary) -> str:
    """``request``, ``1xx`` …"""
    return f"{one.status // 100}xx" if one.status else "request"


def style_of(one: MessageSummary) -> str:
    """The colour of a message."""
    if one.malformed:
        return "bold red"
    return STYLES.get(class_of(one), "")


def label(one: MessageSummary) -> str:
    """``INVITE``, or ``180 Ringing (INVITE)``."""
    if not one.status:
        return clean(one.method) or "(empty)"
    reason = f" {clean(one.reason)}" if one.reason else ""
    return f"{one.status}{reason} ({clean(one.method)})"


def duration(seconds: float | None) -> str:
    """A short time as people read it; "" for none."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def notes(one: MessageSummary) -> str:
    """What else is to be said of it."""
    said = []
    if one.sdp:
        said.append("SDP")
    if one.retransmission:
        said.append("again")
    if one.malformed:
        said.append("malformed")
    if one.rtt is not None:
        said.append(duration(one.rtt))
    if one.marked:
        said.append(f"[{one.marked}]")
    if one.note:
        said.append(clean(one.note))
    return " ".join(said)


def cells(one: MessageSummary) -> tuple[str, ...]:
    """The columns, as HEADS names them."""
    return (
        clock(one.time),
        str(one.seq),
        one.direction,
        clean(one.interface),
        one.transport,
        one.source,
        one.target,
        label(one),
        clean(one.from_uri.removeprefix("sip:")),
        clean(one.to_uri.removeprefix("sip:")),
        notes(one),
    )


def plain(one: MessageSummary) -> str:
    """A line for whoever is no terminal: columns are padded, nothing is cut."""
    *padded, last = cells(one)
    line = " ".join(cell.ljust(width) for cell, width in zip(padded, _WIDTHS, strict=True))
    return f"{line} {last}".rstrip()


def fitted(parts: Sequence[str], widths: Sequence[int], style: str = "") -> Text:
    """A line of a table: each cell has its width, what is too long ends in an ellipsis."""
    text = Text(no_wrap=True, overflow="ellipsis", style=style)
    for cell, width in zip(parts, widths, strict=True):
        if width > 0:
            shown = cell if len(cell) <= width else cell[: width - 1] + "…"
            text.append(shown.ljust(width) + " ")
    return text


def widths_for(width: int) -> list[int]:
    """The widths of the columns where the line has ``width`` characters: what matters least goes
    first where it is narrow.
    """
    found = [12, 6, 3, 11, 5, 21, 21, 26, 22, 22, 14]
    for column, without in _NARROWER:
        if sum(found) + sum(w > 0 for w in found) <= width:
            break
        found[column] = without
    spare = width - sum(found) - sum(w > 0 for w in found)
    if spare > 0:
        if found[3]:
            found[3] += min(spare, 5)
            spare -= min(spare, 5)
        for column in (8, 9):
            found[column] += min(spare // 2, 24) if found[column] else 0
    elif spare < 0:
        found[7] = max(12, found[7] + spare)
    return found


# ---------------------------------------------------------------- dialogs

DIALOG_HEADS: Final = (
    "began",
    "kind",
    "state",
    "code",
    "messages",
    "duration",
    "From",
    "To",
    "Call-ID",
)


def dialog_cells(one: DialogSummary) -> tuple[str, ...]:
    """The columns, as DIALOG_HEADS names them."""
    return (
        clock(one.started),
        one.kind,
        one.state,
        str(one.status or ""),
        str(one.messages),
        duration(one.duration),
        clean(one.from_uri.removeprefix("sip:")),
        clean(one.to_uri.removeprefix("sip:")),
        clean(one.call_id),
    )


def dialog_style(one: DialogSummary) -> str:
    """The colour of a dialog."""
    return STATES.get(one.state, "")


def dialog_widths(rows: Iterable[tuple[str, ...]], width: int) -> list[int]:
    """As wide as the widest entries, the last columns cut to fit."""
    found = [len(head) for head in DIALOG_HEADS]
    for row in rows:
        found = [max(known, len(cell)) for known, cell in zip(found, row, strict=True)]
    for column in (8, 7, 6):
        over = sum(found) + len(found) - width
        if over > 0:
            found[column] = max(12, found[column] - over)
    if sum(found) + len(found) > width:
        # Whoever needs the Call-ID finds it in the ladder; who talks to whom comes first.
        room = width - sum(found[:6]) - 8
        found[6:] = [max(12, room - room // 2), max(12, room // 2), 0]
    return found
