"""The head of a message: cut into lines, cleaned, and recognised again.

The careful way looks at every line. But a peer's program writes message after message in one
shape: the same names in the same order. A shape that was met often enough becomes one regular
expression for the whole head. What it matches, the careful way would have read the same; what it
does not match is read the careful way.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sipx.sip import names
from sipx.sip.errors import RemoteError
from sipx.sip.layout import Layout, layout_of
from sipx.sip.names import SPELLINGS

MAX_START_LINE: Final = 8 * 1024
MAX_HEAD: Final = 64 * 1024
MAX_HEADER_LINES: Final = 256
MAX_VIAS: Final = 70
MAX_ROUTES: Final = 20
MAX_BODY: Final = 256 * 1024
MAX_CONTENT_LENGTH_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be (SEC-06); sizes in bytes. The TOML table [limits] sets them."""

    start_line: int = MAX_START_LINE
    head: int = MAX_HEAD
    header_lines: int = MAX_HEADER_LINES
    vias: int = MAX_VIAS
    routes: int = MAX_ROUTES
    body: int = MAX_BODY


DEFAULT_LIMITS: Final = Limits()

# Deleting CR and LF as well as all that is forbidden leaves a head shorter by exactly two bytes
# per line when it is clean: one pass over the bytes finds every control character and every bare
# CR or LF. HTAB is the one control character that may stand (as white space).
FORBIDDEN: Final = bytes(c for c in range(32) if c != 9) + b"\x7f"
_EMPTY_LINE: Final = b"\r\n\r\n"

_TEXT: Final = rb"[^\x00-\x08\x0a-\x1f\x7f]*"
_LEARN_AFTER: Final = 32
"""A layout is made a shape when it was met this often; most hostile ones never are."""
_MOST_SHAPES: Final = 256
_MOST_LINES: Final = 40
_KEY: Final = 11
"""``SIP/2.0 200`` or the method: what tells a peer's shapes apart before they are tried."""


class Shape:
    """The names of a head in one spelling and order, and what matches it."""

    __slots__ = ("layout", "match")

    def __init__(self, spelled: tuple[bytes, ...], layout: Layout) -> None:
        lines = b"".join(rb"\r\n(" + re.escape(name) + b":" + _TEXT + b")" for name in spelled)
        self.match = re.compile(b"(" + _TEXT + b")" + lines + rb"\r\n\r\n").match
        self.layout = layout


Shapes = dict[bytes, Shape]
"""What was learned from one peer: the beginning of the start line to a shape."""

_SHAPES: Final[dict[tuple[bytes, ...], Shape]] = {}


def _learn(key: bytes, lines: list[bytes], layout: Layout, shapes: Shapes) -> None:
    spelled = tuple(line.partition(b":")[0] for line in lines)
    shape = _SHAPES.get(spelled)
    if shape is None:
        if len(_SHAPES) >= _MOST_SHAPES or len(spelled) > _MOST_LINES:
            return
        shape = _SHAPES[spelled] = Shape(spelled, layout)
    if len(shapes) < 16:
        shapes[key] = shape


def read_head(
    data: bytes, at: int, limits: Limits, shapes: Shapes, searched: int = 0
) -> tuple[bytes, list[bytes], Layout, int]:
    """The head that begins at ``at``: start line, header lines, Layout, and where the body begins.

    The last is -1 when the empty line is not there yet; ``searched`` tells that it does not begin
    before that offset. Raises RemoteError.
    """
    key = data[at : at + _KEY]
    shape = shapes.get(key)
    if shape is not None:
        match = shape.match(data, at)
        if match is not None and match.end() - at <= limits.start_line:
            lines = list(match.groups())
            return lines.pop(0), lines, shape.layout, match.end()
    end = data.find(_EMPTY_LINE, at if at > searched else searched)
    if end < 0:
        return b"", [], layout_of(()), -1
    if end - at > limits.head:
        raise RemoteError("Message head too large", 513, fatal=True)
    head = data[at:end]
    lines = head.split(b"\r\n")
    start = lines.pop(0)
    if len(head.translate(None, FORBIDDEN)) + 2 * len(lines) != len(head):
        raise RemoteError("Control character or bare line break in the message head", fatal=True)
    known = SPELLINGS.get
    # A line without a colon has no id and takes the slow way, where it is refused.
    ids = [known(parts[0]) if (parts := line.partition(b":"))[1] else None for line in lines]
    if None in ids:
        lines, unusual = _read_unusual_lines(lines, limits)
        layout = layout_of(unusual)
    else:
        layout = layout_of(tuple(ids))  # type: ignore[arg-type]  # None was ruled out above
    if len(lines) > limits.header_lines:
        raise RemoteError("Too many header fields")
    if len(start) > limits.start_line:
        raise RemoteError("Request-URI too long", 414)
    layout.met += 1
    if layout.met % _LEARN_AFTER == 0:
        _learn(key, lines, layout, shapes)
    return start, lines, layout, end + 4


def _read_unusual_lines(lines: list[bytes], limits: Limits) -> tuple[list[bytes], tuple[int, ...]]:
    """The slow way: unfold lines, remove white space before colons, learn new names."""
    plain: list[bytes] = []
    folded: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if not plain:
                raise RemoteError("White space before the first header field", fatal=True)
            folded.append(line.strip(b" \t"))
            continue
        if folded:
            plain[-1] = b" ".join((plain[-1].rstrip(b" \t"), *folded))
            folded.clear()
        plain.append(line)
        if len(plain) > limits.header_lines:
            raise RemoteError("Too many header fields")
    if folded:
        plain[-1] = b" ".join((plain[-1].rstrip(b" \t"), *folded))
    ids: list[int] = []
    for i, line in enumerate(plain):
        name, colon, value = line.partition(b":")
        if not colon:
            raise RemoteError("Header field without a colon", fatal=True)
        if name.endswith((b" ", b"\t")):
            name = name.rstrip(b" \t")
            plain[i] = name + colon + value
        known = SPELLINGS.get(name)
        ids.append(names.learn(name) if known is None else known)
    return plain, tuple(ids)
