"""A ladder drawn in characters: a column for each neighbour, sipx between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from rich.text import Text

from sipx_monitor.terminal.monitor_rows import MARKS, STYLES, clean, duration

if TYPE_CHECKING:
    from sipx_monitor.traffic.ladder import Ladder, LadderStep

TIMES: Final = 11
"""Columns for the time on the left."""
NARROWEST, WIDEST = 18, 38
"""Characters between two lines of life."""
GAP: Final = 1.0
"""Seconds of silence that are shown as a line of their own."""


class Rung(NamedTuple):
    """A line of the picture; ``step`` is the number of the arrow in it, -1 without one."""

    text: Text
    step: int


def drawn(ladder: Ladder, width: int) -> list[Rung]:
    """The whole picture, in lines of ``width`` characters, or more where it cannot be narrower."""
    count = max(1, len(ladder.participants))
    space = (width - TIMES) // count
    space = max(NARROWEST, min(WIDEST, space))
    rungs = [Rung(line, -1) for line in _heads(ladder, space)]
    for number, step in enumerate(ladder.steps):
        if number and step.gap >= GAP:
            rungs.append(Rung(_silence(step.gap, count, space), -1))
        rungs.append(Rung(_arrow(step, count, space), number))
    rungs.append(Rung(Text(" " * TIMES + _lives(count, space), "bright_black"), -1))
    return rungs


def _heads(ladder: Ladder, space: int) -> list[Text]:
    names = Text(" " * TIMES, no_wrap=True)
    places = Text(" " * TIMES, no_wrap=True)
    for one in ladder.participants:
        style = "bold" if one.kind == "sipx" else ""
        names.append(_cut(clean(one.label), space - 1).center(space), style)
        # Where the label is the address already, the transport is what is left to say.
        place = clean(one.address.removesuffix(f" {one.label}")) if one.kind != "sipx" else ""
        places.append(_cut(place, space - 1).center(space), "bright_black")
    lives = Text(" " * TIMES + _lives(len(ladder.participants), space), "bright_black")
    return [names, places, lives]


def _lives(count: int, space: int) -> str:
    return "".join("│".center(space) for _ in range(count)).rstrip()


def _middle(column: int, space: int) -> int:
    """Where the line of life of a column stands: as str.center puts it."""
    return column * space + "│".center(space).index("│")


def _silence(gap: float, count: int, space: int) -> Text:
    line = _lives(count, space).replace("│", "┊")
    return Text(f"{'+' + duration(gap):>{TIMES - 1}} {line}", "bright_black", no_wrap=True)


def _arrow(step: LadderStep, count: int, space: int) -> Text:
    line = list(_lives(count, space).ljust(count * space))
    first, last = sorted((_middle(step.source, space), _middle(step.target, space)))
    room = last - first - 1
    shaft = "╌" if step.retransmission else "─"
    said = _cut(_words(step), max(1, room - 4))
    body = f" {said} ".center(room - 1, shaft)
    rightwards = step.source < step.target
    drawing = body + "▶" if rightwards else "◀" + body
    text = Text(no_wrap=True)
    text.append(f"{step.offset:>{TIMES - 2}.3f}  ", "bright_black")
    text.append("".join(line[: first + 1]), "bright_black")
    text.append(drawing, STYLES.get(step.cls, ""))
    text.append("".join(line[last:]).rstrip(), "bright_black")
    if step.marked:
        text.append(" ●", MARKS.get(step.marked, step.marked))
    if step.note:
        text.append(f" {clean(step.note)}", "bright_black")
    return text


def _words(step: LadderStep) -> str:
    return clean(step.label) + (" (SDP)" if step.sdp else "")


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
