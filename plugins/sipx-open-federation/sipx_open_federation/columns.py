"""Text for terminals: what a thing is, by title, in 80 columns."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Final

from sipx import harmless

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WIDTH: Final = 80


def titled(rows: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each title and its text, more where it is long."""
    rows = list(rows)
    width = max(len(title) for title, _ in rows)
    for title, text in rows:
        yield from wrapped(text, f"  {title.ljust(width)}  ", " " * (width + 4))


def wrapped(text: str, first: str, further: str) -> list[str]:
    """Lines of a text; no word is cut, as names and addresses are copied from there."""
    return wrap(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=further,
        break_long_words=False,
        break_on_hyphens=False,
    )


def safe(text: str) -> str:
    """Text of others, which can do nothing to a terminal."""
    return str(harmless(text))
