"""What is wrong with a filter, and where."""

from __future__ import annotations


class FilterError(ValueError):
    """A filter that cannot be understood. ``position`` counts characters from 0; ``meant`` is what
    may have been meant there, "" where nothing is like it.
    """

    def __init__(self, position: int, text: str, meant: str = "") -> None:
        super().__init__(f"{text} (at character {position + 1})")
        self.position = position
        self.text = text
        self.meant = meant
