"""Tables that fit a terminal, of cells that can do nothing to it."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Final

from sipx.escaping import escaped

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

GAP: Final = 2
NARROWEST: Final = 8
"""A column is not cut below this."""


def terminal_width() -> int | None:
    """The width that stdout has; None where nothing needs to be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    width: int | None = None,
    *,
    right: Sequence[str] = (),
) -> list[str]:
    """Lines of a table. A column is as wide as its widest cell; where the table is wider than
    ``width``, the widest columns are cut. The columns ``right`` are numbers.
    """
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    if width is not None:
        _shrink(widths, [len(head) for head in heads], width)
    return list(_lines([list(heads), *cells], widths, [head in right for head in heads]))


def _shrink(widths: list[int], least: list[int], width: int) -> None:
    while sum(widths) + GAP * (len(widths) - 1) > width:
        wide = [n for n in range(len(widths)) if widths[n] > max(NARROWEST, least[n])]
        if not wide:
            return
        widths[max(wide, key=widths.__getitem__)] -= 1


def _lines(rows: list[list[str]], widths: list[int], right: list[bool]) -> Iterator[str]:
    for row in rows:
        cells = []
        for cell, width, is_right in zip(row, widths, right, strict=True):
            shown = cell if len(cell) <= width else cell[: width - 1] + "…"
            cells.append(shown.rjust(width) if is_right else shown.ljust(width))
        yield (" " * GAP).join(cells).rstrip()


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """Lines of names and values; what is empty is left out."""
    kept = [(name, escaped(str(value))) for name, value in pairs if value not in ("", None, ())]
    wide = max((len(name) for name, _ in kept), default=0)
    return [f"{name.ljust(wide)}  {value}" for name, value in kept]
