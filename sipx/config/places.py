"""Where things stand in the text of a TOML file.

tomlkit, which keeps every byte, is used through a subclass of its parser that notes where keys and
values stand. That leans on a few private methods of tomlkit (``PRIVATE``); when they change,
documents are still read, without positions, and are not edited.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tomlkit.exceptions import TOMLKitError
from tomlkit.parser import Parser

if TYPE_CHECKING:
    from tomlkit.items import Item, Key

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables and numbers of list items."""

PRIVATE: Final = ("_parse_key", "_parse_key_value", "_parse_table", "_parse_value", "_parse_array")


class Pair(NamedTuple):
    """``key = value``: from the first byte of the key to the last of the value.

    ``table`` is the table whose body it stands in; ``inline`` when that is written ``{ ... }``.
    """

    table: KeyPath
    start: int
    end: int
    inline: bool


@dataclass(slots=True)
class Places:
    """Offsets into the text: of keys and headers, each as often as it is written, and of values.

    ``implied`` are tables that have no header: ``a`` and ``a.b`` in ``[a.b.c]``.
    """

    keys: dict[KeyPath, list[int]] = field(default_factory=dict)
    headers: dict[KeyPath, list[int]] = field(default_factory=dict)
    implied: dict[KeyPath, list[int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    pairs: dict[KeyPath, Pair] = field(default_factory=dict)


class _PlacingParser(Parser):
    """tomlkit's parser, noting the offset of every key and the span of every value."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.places = Places()
        self._reading = ""  # what the next key is: "header", "pair", or "" when only peeked at
        self._table: KeyPath = ()
        self._path: KeyPath = ()
        self._items: list[int] = []  # per open list: the number of its next item; -1 outside

    def _parse_table(self, *args: Any, **options: Any) -> Any:
        self._reading = "header"
        return super()._parse_table(*args, **options)

    def _parse_key_value(self, *args: Any, **options: Any) -> Any:
        outer = self._path
        self._reading = "pair"
        inline = bool(self._items)
        if not inline:
            self._path = self._table
        table = self._path
        self._items.append(-1)
        try:
            return super()._parse_key_value(*args, **options)
        finally:
            self._items.pop()
            self._note_pair(table, inline)
            self._path = outer

    def _parse_key(self) -> Key:
        reading, self._reading = self._reading, ""
        offset = self._idx
        key = super()._parse_key()
        parts = tuple(part.key for part in key)
        if reading == "header":
            self._table = self._note(self.places.headers, (), parts, offset)
        elif reading == "pair":
            self._path = self._note(self.places.keys, self._path, parts, offset)
        return key

    def _note(
        self, places: dict[KeyPath, list[int]], above: KeyPath, parts: KeyPath, offset: int
    ) -> KeyPath:
        for length in range(1, len(parts)):
            self.places.implied.setdefault(above + parts[:length], [offset])
        path = above + parts
        places.setdefault(path, []).append(offset)
        return path

    def _note_pair(self, table: KeyPath, inline: bool) -> None:
        keys, span = self.places.keys.get(self._path), self.places.values.get(self._path)
        if keys and span:
            self.places.pairs[self._path] = Pair(table, keys[-1], span[1], inline)

    def _parse_value(self) -> Item:
        outer = self._path
        number = self._items[-1]
        if number >= 0:
            self._path = (*outer, number)
        start = self._idx
        try:
            item = super()._parse_value()
            self.places.values[self._path] = (start, self._idx)
        finally:
            self._path = outer
        if number >= 0:
            self._items[-1] = number + 1
        return item

    def _parse_array(self) -> Any:
        self._items.append(0)
        try:
            return super()._parse_array()
        finally:
            self._items.pop()


def places_of(text: str) -> Places:
    """Where things stand in ``text``, as far as tomlkit can read it."""
    if not all(hasattr(Parser, name) for name in PRIVATE):
        return Places()
    try:
        parser = _PlacingParser(text)
    except (TOMLKitError, AttributeError, TypeError):
        return Places()
    try:
        parser.parse()
    except TOMLKitError:
        return parser.places  # up to where it got: enough to find a key that is given twice
    except (AttributeError, TypeError, IndexError):
        return Places()
    return parser.places
