"""A TOML file as text, as values, and with the place of everything in it.

tomllib of the standard library decides what is TOML and what the values are. tomlkit, which keeps
every byte, is used through a subclass of its parser that notes where keys and values stand. That
leans on a few private methods of tomlkit (``PRIVATE``); when they change, documents are still
read, without positions, and are not edited.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.parser import Parser

from sipx.config.errors import ConfigError, Problem
from sipx.errors import SipxError

if TYPE_CHECKING:
    from tomlkit.items import Item, Key

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables and numbers of list items."""

PRIVATE: Final = ("_parse_key", "_parse_key_value", "_parse_table", "_parse_value", "_parse_array")


@dataclass(slots=True)
class Places:
    """Offsets into the text: of keys and headers, each as often as it is written, and of values.

    ``implied`` are tables that have no header: ``a`` and ``a.b`` in ``[a.b.c]``.
    """

    keys: dict[KeyPath, list[int]] = field(default_factory=dict)
    headers: dict[KeyPath, list[int]] = field(default_factory=dict)
    implied: dict[KeyPath, list[int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)


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
        if not self._items:
            self._path = self._table
        self._items.append(-1)
        try:
            return super()._parse_key_value(*args, **options)
        finally:
            self._items.pop()
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


def _places_of(text: str) -> Places:
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


class Document:
    """A TOML file. Raises ConfigError when the text is not TOML."""

    def __init__(self, text: str, path: Path) -> None:
        self.path = path
        self._take(text)

    @classmethod
    def read(cls, path: Path) -> Document:
        """The document in a file. Raises ConfigError, also when it cannot be read."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(
                [Problem(str(path), None, None, "", f"cannot be read: {error.strerror}")]
            ) from error
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            wrong = f"the byte 0x{data[error.start]:02x} is not UTF-8"
            allowed = "allowed: TOML files are UTF-8 text"
            raise ConfigError([Problem(str(path), line, column, "", wrong, allowed)]) from error
        return cls(text, path)

    @classmethod
    def from_text(cls, text: str, path: Path | str = "sipx.toml") -> Document:
        """A document that need not be on the disk; ``path`` is what problems call it."""
        return cls(text, Path(path))

    @property
    def text(self) -> str:
        """The document as it is to be written."""
        return self._text

    def values(self) -> dict[str, Any]:
        """What the document says, as plain values. The caller must not change them."""
        return self._values

    def position(self, path: KeyPath) -> tuple[int, int] | None:
        """(line, column), from 1, of the key or table header at ``path``; None if not known."""
        for places in (self._places.headers, self._places.keys, self._places.implied):
            if path in places:
                return self._line_column(places[path][0])
        return self.value_position(path) if path and isinstance(path[-1], int) else None

    def value_position(self, path: KeyPath) -> tuple[int, int] | None:
        """(line, column), from 1, of the value at ``path``; None if not known or a table."""
        span = self._places.values.get(path)
        return None if span is None else self._line_column(span[0])

    def set(self, path: KeyPath, value: object) -> None:
        """Replace one value that is there; every other byte stays.

        Raises KeyError when there is no such value, ConfigError when ``value`` does not fit into
        TOML there, SipxError when this tomlkit tells no positions.
        """
        if not self._places.values and self._values:
            raise SipxError(
                f"{self.path} cannot be edited: the installed tomlkit tells no positions; "
                "edit the file by hand"
            )
        start, end = self._places.values[path]
        self._take(self._text[:start] + tomlkit.item(value).as_string() + self._text[end:])

    def _take(self, text: str) -> None:
        starts = [0, *(found.end() for found in re.finditer("\n", text))]
        places = _places_of(text)
        try:
            values = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([_syntax_problem(str(self.path), text, starts, places, error)]) from (
                error
            )
        self._text, self._starts, self._places, self._values = text, starts, places, values

    def _line_column(self, offset: int) -> tuple[int, int]:
        return _line_column(self._starts, offset)


def _line_column(starts: list[int], offset: int) -> tuple[int, int]:
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def _syntax_problem(
    file: str, text: str, starts: list[int], places: Places, error: tomllib.TOMLDecodeError
) -> Problem:
    """tomllib's complaint in our form, with the name of what is given twice."""
    found = _AT.search(str(error))
    said = _AT.sub("", str(error))
    if found is None or found[1] is None:
        line, column = _line_column(starts, len(text.rstrip()))
    else:
        line, column = int(found[1]), int(found[2])
    if "twice" in said or "overwrite" in said or "Duplicate" in said:
        twice = _given_twice(file, starts, places, line)
        if twice is not None:
            return twice
    wrong = "not TOML: " + said[:1].lower() + said[1:]
    return Problem(file, line, column, "", wrong)


def _given_twice(file: str, starts: list[int], places: Places, line: int) -> Problem | None:
    """The problem of the last key or table up to ``line`` that was there before."""
    found: Problem | None = None
    last = -1
    for what, kinds in (("table", places.headers), ("key", places.keys)):
        for path, offsets in kinds.items():
            for offset in offsets[1:]:
                at, column = _line_column(starts, offset)
                if at > line or offset < last:
                    continue
                last = offset
                wrong = (
                    f"the {what} '{path[-1]}' is given twice, "
                    f"first on line {_line_column(starts, offsets[0])[0]}"
                )
                allowed = f"allowed: one {what} of this name"
                hint = "join the two" if what == "table" else "remove one of the two"
                found = Problem(file, at, column, dotted(path), wrong, allowed, hint)
    return found


_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


def dotted(path: KeyPath) -> str:
    """A path as TOML writes it: ``static-routes.route."partner.example".server[1]``."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            name = part if _BARE.match(part) else '"' + part.replace('"', '\\"') + '"'
            written += f".{name}" if written else name
    return written
