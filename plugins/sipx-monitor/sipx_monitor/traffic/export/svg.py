"""A ladder as a picture: a column for each neighbour and the proxy, an arrow for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx_monitor.traffic.ladder import Ladder, LadderStep

MOST_STEPS: Final = 1000
_COLUMN: Final = 260
_MARGIN: Final = 130
_ROW: Final = 40
_TOP: Final = 110
_COLOURS: Final = {
    "request": "#0b6e99",
    "1xx": "#6b7280",
    "2xx": "#18794e",
    "3xx": "#8a5a00",
    "4xx": "#b42318",
    "5xx": "#b42318",
    "6xx": "#b42318",
}
_MARKS: Final = {
    "red": "#f8c9c4", "orange": "#fbdcb8", "yellow": "#fbf0b0", "green": "#c9ecd4",
    "blue": "#cbe3f7", "purple": "#e2d3f5", "grey": "#e5e7eb",
}  # fmt: skip
_TEXT: Final = 'font-family="system-ui, sans-serif"'


def as_svg(ladder: Ladder) -> bytes:
    """The picture. It holds no script and loads nothing."""
    return svg_of(svg_lines(ladder))


def svg_of(lines: Iterable[str]) -> bytes:
    """The picture of its lines."""
    return "\n".join((*lines, "")).encode("utf-8", "replace")


def svg_lines(ladder: Ladder) -> Iterator[str]:
    """Its lines, one by one."""
    steps = ladder.steps[:MOST_STEPS]
    columns = max(2, len(ladder.participants))
    width = 2 * _MARGIN + (columns - 1) * _COLUMN + 90
    left = len(ladder.steps) - len(steps)
    height = _TOP + len(steps) * _ROW + (60 if left else 30)
    yield from (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img">',
        f"<title>{_safe(ladder.title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _label(20, 26, ladder.title, 15, "#111827", weight="600"),
        _label(20, 46, ladder.call_id, 11, "#4b5563"),
    )
    for at, one in enumerate(ladder.participants):
        x = _x(at)
        yield from (
            _label(x, 76, one.label, 13, "#111827", anchor="middle", weight="600"),
            _label(x, 92, one.address, 11, "#4b5563", anchor="middle"),
            f'<line x1="{x}" y1="{_TOP - 10}" x2="{x}" y2="{height - 20}" stroke="#9ca3af"/>',
        )
    for at, step in enumerate(steps):
        yield from _arrow(step, _TOP + 24 + at * _ROW)
    if left:
        yield _label(20, height - 28, f"{left} more messages", 12, "#4b5563")
    yield "</svg>"


def _arrow(step: LadderStep, y: int) -> list[str]:
    begin, end = _x(step.source), _x(step.target)
    colour = _COLOURS[step.cls]
    turn = 8 if end < begin else -8
    dashes = ' stroke-dasharray="6 4"' if step.retransmission else ""
    label = step.label + (" (SDP)" if step.sdp else "")
    label += " (retransmission)" if step.retransmission else ""
    parts = []
    if step.marked in _MARKS:
        left, width = min(begin, end), abs(end - begin)
        parts.append(
            f'<rect x="{left}" y="{y - 18}" width="{width}" height="24" '
            f'fill="{_MARKS[step.marked]}"/>'
        )
    parts += [
        f'<line x1="{begin}" y1="{y}" x2="{end}" y2="{y}" stroke="{colour}" stroke-width="1.6"'
        f"{dashes}/>",
        f'<path d="M {end + turn} {y - 4} L {end} {y} L {end + turn} {y + 4}" fill="none" '
        f'stroke="{colour}" stroke-width="1.6"/>',
        _label((begin + end) // 2, y - 5, label, 12, colour, anchor="middle"),
        _label(12, y + 4, f"+{step.offset:.3f} s", 11, "#4b5563"),
    ]
    if step.note:
        parts.append(_label((begin + end) // 2, y + 13, step.note, 10, "#4b5563", anchor="middle"))
    return parts


def _x(column: int) -> int:
    return _MARGIN + 60 + column * _COLUMN


def _label(
    x: int, y: int, text: str, size: int, colour: str, *, anchor: str = "start", weight: str = "400"
) -> str:
    shown = text if len(text) <= 90 else text[:89] + "…"
    return (
        f'<text x="{x}" y="{y}" {_TEXT} font-size="{size}" font-weight="{weight}" '
        f'text-anchor="{anchor}" fill="{colour}">{_safe(shown)}</text>'
    )


def _safe(text: str) -> str:
    """Text of a peer: XML has no place for control characters and halves of pairs."""
    allowed = "".join(
        char
        if char.isprintable() and not 0xD800 <= ord(char) < 0xE000 and ord(char) not in _NOT_XML
        else "\N{REPLACEMENT CHARACTER}"
        for char in text
    )
    return escape(allowed)


_NOT_XML: Final = frozenset((0xFFFE, 0xFFFF))
