"""How a message that has passed looks in one line of the terminal."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.text import Text

from sipx.demo.people import PEOPLE

if TYPE_CHECKING:
    from sipx.demo.observer import Passage

METHODS: Final = {
    "SUBSCRIBE": "blue",
    "NOTIFY": "cyan",
    "MESSAGE": "magenta",
    "INVITE": "bold yellow",
    "ACK": "yellow",
    "BYE": "yellow",
}
CODES: Final = {1: "dim", 2: "green", 3: "yellow", 4: "bold red", 5: "bold red", 6: "bold red"}
"""By the first digit."""
NOTED: Final = 100
"""Columns from which on there are thousandths of seconds, and what a message says."""
ROOMY: Final = 140
"""Columns from which on whole addresses are shown."""

_NAME: Final = max(len(person.name) for person in PEOPLE)
_ADDRESS: Final = max(len(str(person)) for person in PEOPLE)
_DOMAIN: Final = max(len(person.domain) for person in PEOPLE)
_GAP: Final = "  "


class Column(NamedTuple):
    """A column: its head, its width, and whether numbers stand in it."""

    head: str
    width: int
    right: bool = False


def columns(width: int) -> list[Column]:
    """The columns that fit into a terminal."""
    ends = _ADDRESS if width >= ROOMY else _NAME
    found = [
        Column("time", 12 if width >= NOTED else 8),
        Column("from → to", 2 * ends + 3),
        Column("message", 13),
        Column("domain", _DOMAIN),
        Column("over", 12),
        Column("answer in", 9, right=True),
    ]
    if width >= NOTED:
        rest = width - sum(len(_GAP) + column.width for column in found)
        found.append(Column("", rest))
    return found


def heads(width: int) -> Text:
    """The line above the rows."""
    cells = [Text(column.head) for column in columns(width)]
    line = _joined(cells, width)
    line.stylize("bold dim")
    return line


def row(passage: Passage, width: int) -> Text:
    """A message: time, from → to, method or code, the domain it goes to, its way, round trip."""
    roomy = width >= ROOMY
    ends = _ADDRESS if roomy else _NAME
    source, target = (
        name if roomy else name.partition("@")[0] for name in (passage.source, passage.target)
    )
    cells = [
        Text(f"{datetime.fromtimestamp(passage.at):%H:%M:%S.%f}"[: columns(width)[0].width], "dim"),
        Text.assemble(_fit(source, ends, right=True), (" → ", "dim"), target),
        _what(passage),
        Text(passage.domain),
        Text("→".join(passage.way), "dim"),
        Text(duration(passage.round_trip), "dim"),
        Text(passage.note, "italic"),
    ]
    return _joined(cells, width)


def _what(passage: Passage) -> Text:
    if not passage.status:
        return Text(passage.method, METHODS.get(passage.method, "white"))
    style = CODES.get(passage.status // 100, "bold red")
    return Text.assemble((f"{passage.status}", style), (f" {passage.method}", "dim"))


def _joined(cells: list[Text], width: int) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis")
    for number, (cell, column) in enumerate(zip(cells, columns(width), strict=False)):
        line.append(_GAP if number else "")
        line.append_text(_padded(cell, column))
    line.rstrip()
    return line


def _padded(cell: Text, column: Column) -> Text:
    cell = cell.copy()
    cell.truncate(column.width, overflow="ellipsis")
    if column.right:
        cell.pad_left(column.width - cell.cell_len)
    else:
        cell.pad_right(column.width - cell.cell_len)
    return cell


def _fit(text: str, width: int, *, right: bool) -> Text:
    return _padded(Text(text), Column("", width, right))


def duration(seconds: float | None) -> str:
    """``1.9 ms``, ``1.03 s``, or nothing for None."""
    if seconds is None:
        return ""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.99995 else f"{seconds:.2f} s"
