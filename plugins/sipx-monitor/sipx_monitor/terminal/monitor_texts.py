"""What the live view shows to be read: a message, a difference, a decision, the keys."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.text import Text

from sipx_monitor.terminal.monitor_rows import clean
from sipx_monitor.terminal.monitor_views import MOVES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx_monitor.traffic.models import MessageText

HELP: Final = "keys"
_COLUMN: Final = re.compile(r"  +(?=\S)")
_OF_A_MESSAGE: Final = ("c changes", "w why", "y copy", "Esc back", "? keys")
_OF_NONE: Final = ("Esc back", "q end")
_NEAR: Final = 40
"""Columns that begin further right are none."""


class TextView:
    """Lines to read. ``prose``: they are folded between words."""

    def __init__(
        self,
        title: str,
        lines: Iterable[Text],
        seq: int | None = None,
        *,
        prose: bool = False,
        call_id: str = "",
    ) -> None:
        self.title = title
        self.hints: tuple[str, ...] = _OF_A_MESSAGE if seq is not None else _OF_NONE
        self.seq = seq
        self.call_id = call_id
        self._lines = list(lines)
        self._fold = _between_words if prose else _anywhere
        self._top = 0
        self._height = 1

    @classmethod
    def of(cls, message: MessageText) -> TextView:
        """A message as it stood on the wire."""
        found = []
        for line in message.head:
            if line.part == "start":
                found.append(Text(clean(line.text), "bold"))
            else:
                name, colon, value = line.text.partition(":")
                found.append(Text.assemble((clean(name), "cyan"), colon, clean(value)))
        if message.body:
            found.append(Text())
            found += [Text(clean(line)) for line in message.body.split("\n")]
        if message.body_note:
            found += [Text(), Text(message.body_note, "yellow")]
        one = message.message
        title = f"message {one.seq}, {one.direction}, {one.source} → {one.target}"
        return cls(title, found, one.seq, call_id=one.call_id)

    def lines(self, width: int, height: int) -> list[Text]:
        """Folded to the width."""
        self._height = height
        folded: list[Text] = []
        for line in self._lines:
            folded += self._fold(line, width)
        self._top = max(0, min(self._top, len(folded) - height))
        return folded[self._top : self._top + height]

    def expire(self) -> None:
        """Nothing can be asked about its message."""
        self.seq = 0 if self.seq is not None else None

    def move(self, key: str) -> bool:
        """Scroll."""
        page = max(1, self._height - 1)
        step = {**MOVES, "pgup": -page, "pgdn": page, "space": page}.get(key)
        if step is not None:
            self._top = max(0, self._top + step)
        elif key in ("home", "g"):
            self._top = 0
        elif key in ("end", "G"):
            self._top = len(self._lines) * 10
        else:
            return False
        return True


def _anywhere(line: Text, width: int) -> list[Text]:
    """A line of a message in pieces of a width."""
    if len(line) <= width:
        return [line]
    return [line[at : at + width] for at in range(0, len(line), width)]


def _between_words(line: Text, width: int) -> list[Text]:
    """A sentence in pieces of a width, each below the beginning of its last column."""
    found: list[Text] = []
    indent = _indent(line.plain) if _indent(line.plain) < width // 2 else 0
    while len(line) > width:
        at = line.plain.rfind(" ", indent + 1, width + 1)
        at = width if at < 0 else at
        found.append(line[:at])
        line = Text(" " * indent) + line[at + 1 if line.plain[at] == " " else at :]
    return [*found, line]


def _indent(text: str) -> int:
    """Where the last column begins: behind the last run of spaces, if that is near."""
    return max((found.end() for found in _COLUMN.finditer(text) if found.end() < _NEAR), default=0)


KEYS: Final = (
    ("j k  arrows", "down, up; below the last message the list follows again"),
    ("PgUp PgDn", "a page"),
    ("g G  Home End", "first, last"),
    ("Enter", "in a list: the ladder of the dialog; in a ladder: the message"),
    ("t", "the text of the message"),
    ("c", "what sipx changed in the message on its way"),
    ("w", "why the request went where it went"),
    ("Space  d", "pick two messages, and see how they differ"),
    ("m", "mark the message, in the next colour"),
    ("y  Y", "copy the text of the message, its Call-ID (OSC 52)"),
    ("e  F2", "save the dialog, or what the filter wants, as pcapng here"),
    ("/  F3  F7", "the filter: Enter takes it, Esc leaves it"),
    ("p", "hold the view and count, go on"),
    ("x  F5", "empty the list"),
    ("Tab", "messages or dialogs"),
    ("Esc", "back"),
    ("q  Ctrl-C", "end"),
)


def help_view() -> TextView:
    """The keys."""
    lines = [Text.assemble((f"{keys:<15}", "bold"), does) for keys, does in KEYS]
    return TextView(HELP, lines, prose=True)
