"""A TOML file as text, as values, with the place of everything in it, and its edits.

tomllib of the standard library decides what is TOML and what the values are; ``places`` tells where
they stand. An edit changes the text in place. Before it counts, the new text is read again and
compared: exactly the wanted change, and nothing else, or the document stays as it was.
"""

from __future__ import annotations

import copy
import hashlib
import re
import tomllib
from bisect import bisect_right
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sipx.config.edits import Edits, Splice, spliced
from sipx.config.errors import ConfigError, Problem
from sipx.config.notation import dotted
from sipx.config.places import KeyPath, Places, places_of
from sipx.errors import SipxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Document", "KeyPath", "dotted"]


def etag_of(data: bytes) -> str:
    """A word that is the same for the same content only."""
    return hashlib.sha256(data).hexdigest()[:32]


_MARK: Final = b"\xef\xbb\xbf"
"""The byte order mark that editors of Windows write before a text."""


class _Content:
    """One text and what it says. Raises TOMLDecodeError.

    Where things stand takes longer to find out than all else, and is only wanted for edits and for
    problems.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.values: Final = tomllib.loads(text)

    @cached_property
    def starts(self) -> list[int]:
        """Where each line begins."""
        return _starts(self.text)

    @cached_property
    def places(self) -> Places:
        """Where everything stands."""
        return places_of(self.text)


class Document:
    """A TOML file. Raises ConfigError when the text is not TOML."""

    def __init__(self, text: str, path: Path, *, marked: bool = False, etag: str = "") -> None:
        self.path = path
        self.etag = etag
        """What it was read from, edited or not since: a word that changes with the file."""
        self._marked = marked
        self._content: _Content
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
        return cls.from_bytes(data, path)

    @classmethod
    def from_bytes(cls, data: bytes, path: Path) -> Document:
        """The document in the bytes of a file. Raises ConfigError."""
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = error.start - data.rfind(b"\n", 0, error.start)
            wrong = f"the byte 0x{data[error.start]:02x} is not UTF-8"
            allowed = "allowed: TOML files are UTF-8 text"
            raise ConfigError([Problem(str(path), line, column, "", wrong, allowed)]) from error
        return cls(text, path, marked=data.startswith(_MARK), etag=etag_of(data))

    @classmethod
    def from_text(cls, text: str, path: Path | str = "sipx.toml") -> Document:
        """A document that need not be on the disk; ``path`` is what problems call it."""
        return cls(text, Path(path))

    @classmethod
    def replacing(cls, data: bytes, path: Path) -> Document:
        """An empty document that may be written over a file with these bytes."""
        return cls("", path, etag=etag_of(data))

    @property
    def text(self) -> str:
        """The document as it is to be written."""
        return self._content.text

    @property
    def _places(self) -> Places:
        return self._content.places

    def encoded(self) -> bytes:
        """The document as the bytes of a file, with the byte order mark if it had one."""
        return (_MARK if self._marked else b"") + self.text.encode()

    def values(self) -> dict[str, Any]:
        """What the document says, as plain values. The caller must not change them."""
        return self._content.values

    def get(self, path: KeyPath) -> Any:
        """The value at a path. Raises KeyError."""
        here: Any = self._content.values
        for part in path:
            try:
                here = here[part]
            except (LookupError, TypeError):
                raise KeyError(dotted(path)) from None
        return here

    def __contains__(self, path: KeyPath) -> bool:
        try:
            self.get(path)
        except KeyError:
            return False
        return True

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

    def value_span(self, path: KeyPath) -> tuple[int, int] | None:
        """Where in the text a value stands; None if not known or a table with a header."""
        return self._places.values.get(path)

    def lines(self) -> list[tuple[int, int, int]]:
        """Of each key that has a line of its own: where it begins, its value, and the end of that.

        In the order of the text, as offsets into it.
        """
        return sorted(
            (pair.start, self._places.values[path][0], pair.end)
            for path, pair in self._places.pairs.items()
            if not pair.inline
        )

    # ------------------------------------------------------------ edits

    def set(self, path: KeyPath, value: object) -> None:
        """Replace one value, or put in one that is missing, with its table if need be.

        The number behind a list's last item adds one. Raises KeyError for a number beyond that
        and for a table with a header, ConfigError when ``value`` does not fit into TOML there,
        SipxError when this tomlkit tells no positions. A value that is there already stays as it is
        written, ``0x0`` or ``'text'``.
        """
        self._editable(path)
        if path in self._places.values and _same(self.get(path), value):
            return
        wanted = copy.deepcopy(self._content.values)
        if path in self._places.values:
            splices = self._splices(path, lambda edits: edits.replace(path, value))
        elif path in self:
            raise KeyError(f"{dotted(path)} is a table: set its keys, or remove it")
        else:
            splices = self._splices(path, lambda edits: edits.insert(path, value))
        self._edit(path, splices, _with(wanted, path, value))

    def unset(self, path: KeyPath) -> None:
        """Take away one key with its line, or one item of a list. Comments above it stay.

        Raises KeyError when it is not there, or is a table (``remove_table``).
        """
        self._editable(path)
        if path not in self:
            raise KeyError(dotted(path))
        if path not in self._places.values:
            raise KeyError(f"{dotted(path)} is a table")
        splices = self._splices(path, lambda edits: edits.remove(path))
        self._edit(path, splices, _without(copy.deepcopy(self._content.values), path), leaving=True)

    def add_table(self, path: KeyPath, values: Mapping[str, object], comment: str = "") -> None:
        """A new table, with a comment above its header, behind the others of its kind."""
        self._editable(path)
        if path in self and not self._only_implied(path):
            raise self._refusal(path, "is there already")
        wanted = copy.deepcopy(self._content.values)
        if self._inside(path):
            splices = self._splices(path, lambda edits: edits.insert(path, dict(values)))
        else:
            splices = self._splices(path, lambda edits: edits.add_table(path, values, comment))
        for key in values:
            if (*path, key) in self:
                raise self._refusal((*path, key), "is there already")
        merged = {**self.get(path), **values} if path in self else dict(values)
        self._edit(path, splices, _with(wanted, path, merged))

    def remove_table(self, path: KeyPath) -> None:
        """Take away a table and all below it, with the comments right above their headers.

        Raises KeyError when there is none.
        """
        self._editable(path)
        if not isinstance(self.get(path), dict):
            raise KeyError(f"{dotted(path)} is no table")
        splices = self._splices(path, lambda edits: edits.remove_table(path))
        self._edit(path, splices, _without(copy.deepcopy(self._content.values), path), leaving=True)

    def replace(self, data: bytes) -> None:
        """Other bytes in place of the whole file. Raises ConfigError, and stays as it was."""
        self._take(Document.from_bytes(data, self.path).text)
        self._marked = data.startswith(_MARK)

    def retype(self, text: str) -> None:
        """Another text that says the same. Raises ConfigError, and stays as it was."""
        self._take(text)

    def _only_implied(self, path: KeyPath) -> bool:
        """Whether a table has no header and no key of its own."""
        written = path in self._places.headers or path in self._places.values
        below = (p for p, pair in self._places.pairs.items() if len(pair.table) < len(path))
        return not written and not any(p[: len(path)] == path for p in below)

    def _inside(self, path: KeyPath) -> bool:
        """Whether a table can have no header: one above it is ``{ ... }`` or made by dots."""
        for length in range(1, len(path)):
            above = path[:length]
            if above in self._places.values:
                return True
            if any(
                p[:length] == above and len(pair.table) < length < len(p)
                for p, pair in self._places.pairs.items()
            ):
                return True
        return False

    def _editable(self, path: KeyPath) -> None:
        if not path:
            raise KeyError("the file as a whole is no key")
        if not (self._places.values or self._places.headers) and self._content.values:
            raise SipxError(
                f"{self.path} cannot be edited: the installed tomlkit tells no positions; "
                "edit the file by hand"
            )
        here: Any = self._content.values
        for length, part in enumerate(path):
            if isinstance(here, list):
                above = path[:length]
                if above not in self._places.values:
                    wrong = f"[[{dotted(above)}]] is an array of tables; edit the file by hand"
                    raise self._refusal(path, wrong)
                if isinstance(part, str):
                    wrong = f"{dotted(above)} is a list and has no key '{part}'"
                    raise self._refusal(path, wrong)
            try:
                here = here[part]
            except (LookupError, TypeError):
                return

    def _splices(self, path: KeyPath, make: Callable[[Edits], list[Splice]]) -> list[Splice]:
        try:
            return make(Edits(self.text, self._places))
        except ValueError as error:
            raise self._refusal(path, str(error)) from None

    def _edit(
        self,
        path: KeyPath,
        splices: Iterable[Splice],
        wanted: dict[str, Any],
        *,
        leaving: bool = False,
    ) -> None:
        """Take the new text if it says exactly what is wanted.

        A table that has no header goes with its last key: of what is ``leaving``, empty tables
        above do not count.
        """
        before = self._content
        try:
            self._take(spliced(before.text, splices))
        except ConfigError as error:
            why = "; ".join(problem.wrong for problem in error.problems)
            raise self._refusal(path, f"after this change the file would be {why}") from error
        found = self._content.values
        if leaving:
            found, wanted = _pruned(found, path), _pruned(wanted, path)
        if not _same(found, wanted):
            self._content = before
            raise self._refusal(
                path, "this cannot be changed without changing more; edit the file by hand"
            )

    def _refusal(self, path: KeyPath, wrong: str) -> ConfigError:
        line, column = self.position(path) or (None, None)
        return ConfigError([Problem(str(self.path), line, column, dotted(path), wrong)])

    def _take(self, text: str) -> None:
        try:
            self._content = _Content(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError([_syntax_problem(str(self.path), text, error)]) from error

    def _line_column(self, offset: int) -> tuple[int, int]:
        return _line_column(self._content.starts, offset)


# ---------------------------------------------------------------- comparing values


def _with(values: dict[str, Any], path: KeyPath, value: object) -> dict[str, Any]:
    here: Any = values
    for part in path[:-1]:
        here = here[part] if isinstance(part, int) else here.setdefault(part, {})
    if isinstance(here, list) and path[-1] == len(here):
        here.append(value)
    else:
        here[path[-1]] = value
    return values


def _without(values: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    here: Any = values
    for part in path[:-1]:
        here = here[part]
    del here[path[-1]]
    return values


def _pruned(values: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """Without the tables above a path that are empty."""
    values = copy.deepcopy(values)
    for length in range(len(path) - 1, 0, -1):
        here: Any = values
        for part in path[: length - 1]:
            here = here.get(part) if isinstance(here, dict) else None
        if isinstance(here, dict) and here.get(path[length - 1]) == {}:
            del here[path[length - 1]]
    return values


def _same(one: Any, other: Any) -> bool:
    """Whether two values are written alike: 1 is not true, 1.0 is not 1, nan is nan."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def _starts(text: str) -> list[int]:
    return [0, *(found.end() for found in re.finditer("\n", text))]


def _line_column(starts: list[int], offset: int) -> tuple[int, int]:
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1


_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)\Z")


def _syntax_problem(file: str, text: str, error: tomllib.TOMLDecodeError) -> Problem:
    """tomllib's complaint in our form, with the name of what is given twice."""
    starts = _starts(text)
    found = _AT.search(str(error))
    said = _AT.sub("", str(error))
    if found is None or found[1] is None:
        line, column = _line_column(starts, len(text.rstrip()))
    else:
        line, column = int(found[1]), int(found[2])
    if "twice" in said or "overwrite" in said or "Duplicate" in said:
        twice = _given_twice(file, starts, places_of(text), line)
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
