"""Changes to a TOML text as splices: what is cut out where, and what is put there.

Nothing here looks at what comes out; ``Document`` reads the new text and compares.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.config.notation import dotted, key_text, toml_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sipx.config.places import KeyPath, Pair, Places

_COMMENT: Final = re.compile(r"[ \t]*#")
_BLANK: Final = re.compile(r"[ \t]*\r?\n?\Z")
_DIRECTIVE: Final = re.compile(r"[ \t]*#[:!]")
"""``#:schema ...`` for editors: belongs to the file and to no table."""


class Splice(NamedTuple):
    """``text`` takes the place of what stands from ``start`` to ``end``."""

    start: int
    end: int
    text: str


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with all splices, none of which overlap."""
    for splice in sorted(splices, reverse=True):
        text = text[: splice.start] + splice.text + text[splice.end :]
    return text


class Edits:
    """Splices for one text. Raises KeyError for what is not there, ValueError for nonsense."""

    def __init__(self, text: str, places: Places) -> None:
        self._text = text
        self._places = places
        self._starts = [0, *(found.end() for found in re.finditer("\n", text))]
        newline = text.find("\n")
        self._newline = "\r\n" if newline > 0 and text[newline - 1] == "\r" else "\n"
        self._headers = sorted(
            (offset, path) for path, offsets in places.headers.items() for offset in offsets
        )
        self._pairs = sorted(
            (pair.start, path) for path, pair in places.pairs.items() if not pair.inline
        )

    # ------------------------------------------------------------ values

    def replace(self, path: KeyPath, value: object) -> list[Splice]:
        """Another value in the place of one that is written out."""
        start, end = self._places.values[path]
        return [Splice(start, end, toml_value(value))]

    def insert(self, path: KeyPath, value: object) -> list[Splice]:
        """A key, or a list's next item, that is not there yet."""
        for length in range(len(path) - 1, 0, -1):
            above, rest = path[:length], path[length:]
            if above in self._places.values:
                return self._insert_inside(above, rest, value)
        names = _names(path)
        for length in range(len(path) - 1, 0, -1):
            pair = self._last_dotted(path[:length])
            if pair is not None:
                written = f"{dotted(path[len(pair.table) :])} = {toml_value(value)}"
                return [self._line_after(pair.end, self._indent(pair.start) + written)]
        table = path[:-1]
        if table and table not in self._places.headers:
            return self.add_table(table, {names[-1]: value})
        return [self._new_key(table, names[-1], value)]

    def remove(self, path: KeyPath) -> list[Splice]:
        """A key with its line, an item of a list, or an entry of ``{ ... }``."""
        if isinstance(path[-1], int):
            return self._remove_item(path)
        pair = self._places.pairs[path]
        if pair.inline:
            return self._remove_entry(pair)
        return [Splice(self._line_start(pair.start), self._line_end(pair.end), "")]

    # ------------------------------------------------------------ tables

    def add_table(
        self, path: KeyPath, values: Mapping[str, object], comment: str = ""
    ) -> list[Splice]:
        """A table with a header, near its like, else at the end."""
        _names(path)
        lines = [f"# {line}".rstrip() for line in comment.splitlines()]
        lines.append(f"[{dotted(path)}]")
        lines += [f"{key_text(key)} = {toml_value(value)}" for key, value in values.items()]
        block = "".join(line + self._newline for line in lines)
        below = [offset for offset, header in self._headers if header[: len(path)] == path]
        if below:  # [a.b] is there and [a] comes: in front of it
            at = self._glue(below[0])
            return [Splice(at, at, block + self._newline)]
        for length in range(len(path) - 1, 0, -1):
            near = [offset for offset, header in self._headers if header[:length] == path[:length]]
            if near:
                return self._block_after(self._block_end(near[-1]), block)
        return self._block_after(len(self._text), block)

    def remove_table(self, path: KeyPath) -> list[Splice]:
        """A table and those below it: headers, bodies, and the comments right above a header."""
        splices = [
            self._cut(self._glue(offset), self._block_end(offset))
            for offset, header in self._headers
            if header[: len(path)] == path
        ]
        for start, pair_path in self._pairs:
            pair = self._places.pairs[pair_path]
            if pair_path[: len(path)] == path and len(pair.table) < len(path):
                splices.append(Splice(self._line_start(start), self._line_end(pair.end), ""))
        if splices:
            return _joined(splices)
        entries = [
            pair
            for pair_path, pair in self._places.pairs.items()
            if pair.inline and pair_path[: len(path)] == path and len(pair.table) < len(path)
        ]
        if not entries:
            raise KeyError(dotted(path))
        if len(entries) > 1:
            raise ValueError(f"{dotted(path)} is written in pieces: remove its keys one by one")
        return self._remove_entry(entries[0])

    # ------------------------------------------------------------ lines and blocks

    def _line_start(self, offset: int) -> int:
        return self._starts[bisect_right(self._starts, offset) - 1]

    def _line_end(self, offset: int) -> int:
        """Behind the line end of the line that ``offset`` is in."""
        found = self._text.find("\n", offset)
        return len(self._text) if found < 0 else found + 1

    def _indent(self, offset: int) -> str:
        return self._text[self._line_start(offset) : offset]

    def _line_at(self, start: int) -> str:
        return self._text[start : self._line_end(start)]

    def _last_content(self, before: int, after: int = 0) -> int:
        """The end of the last key or header that begins before an offset, 0 without one."""
        ends = [after]
        ends += [self._line_end(self._places.pairs[p].end) for s, p in self._pairs if s < before]
        ends += [self._line_end(offset) for offset, _ in self._headers if offset < before]
        return max(ends)

    def _glue(self, header: int) -> int:
        """Where a header's block begins: at the comments right above it."""
        start = self._line_start(header)
        floor = self._last_content(start)
        while start > floor:
            above = self._line_start(start - 1)
            line = self._line_at(above)
            if above < floor or not _COMMENT.match(line) or _DIRECTIVE.match(line):
                break
            start = above
        return start

    def _next_header(self, header: int) -> int | None:
        return next((offset for offset, _ in self._headers if offset > header), None)

    def _block_end(self, header: int) -> int:
        """Where a header's block ends: behind its last key and the comments right below that."""
        following = self._next_header(header)
        limit = len(self._text) if following is None else self._glue(following)
        end = self._last_content(limit, self._line_end(header))
        while end < limit and _COMMENT.match(self._line_at(end)):
            end = self._line_end(end)
        return end

    def _cut(self, start: int, end: int) -> Splice:
        """A block, and the blank lines that separated it from what follows or, at the end, from
        what stands before."""
        while end < len(self._text) and _BLANK.match(self._line_at(end)):
            end = self._line_end(end)
        while end == len(self._text) and start > 0:
            above = self._line_start(start - 1)
            if not _BLANK.match(self._text[above:start]):
                break
            start = above
        return Splice(start, end, "")

    def _block_after(self, at: int, block: str) -> list[Splice]:
        """A block at a place, with one blank line to either side of it."""
        before = self._text[:at]
        if before and not before.endswith("\n"):
            # The text has no line end at its end, and keeps that.
            return [Splice(at, at, self._newline * 2 + block.removesuffix(self._newline))]
        blank = not before or before.endswith(("\n\n", "\n\r\n"))
        lead = "" if blank else self._newline
        tail = "" if at == len(self._text) or _BLANK.match(self._line_at(at)) else self._newline
        return [Splice(at, at, lead + block + tail)]

    def _line_after(self, offset: int, line: str) -> Splice:
        """A line of its own below the line that an offset is in."""
        at = self._line_end(offset)
        if at and self._text[at - 1] != "\n":
            return Splice(at, at, self._newline + line)
        return Splice(at, at, line + self._newline)

    # ------------------------------------------------------------ keys of tables

    def _last_dotted(self, path: KeyPath) -> Pair | None:
        """The last of the keys that make a table by dots: ``tls.version = "1.2"``."""
        found = None
        for _, pair_path in self._pairs:
            pair = self._places.pairs[pair_path]
            if pair_path[: len(path)] == path and len(pair.table) < len(path) < len(pair_path):
                found = pair
        return found

    def _new_key(self, table: KeyPath, key: str, value: object) -> Splice:
        """A line at the end of a table's keys, or below the comment that shows the key."""
        line = f"{key_text(key)} = {toml_value(value)}"
        own = [
            self._places.pairs[path]
            for _, path in self._pairs
            if self._places.pairs[path].table == table
        ]
        header = self._places.headers[table][0] if table else None
        begin = 0 if header is None else self._line_end(header)
        following = self._next_header(-1 if header is None else header)
        limit = len(self._text) if following is None else self._glue(following)
        shown = self._commented(key, begin, limit)
        if shown is not None:
            return self._line_after(shown, line)
        if own:
            return self._line_after(own[-1].end, self._indent(own[-1].start) + line)
        if header is not None:
            return self._line_after(header, line)
        if not self._text[:limit].strip():
            tail = self._newline if following is not None else ""
            return Splice(limit, limit, line + self._newline + tail)
        if following is None:
            return self._block_after(limit, line + self._newline)[0]
        return Splice(limit, limit, line + self._newline * 2)

    def _commented(self, key: str, begin: int, limit: int) -> int | None:
        """The line between two offsets that shows a key behind a ``#``: ``#port = 5060``."""
        shown = re.compile(rf"[ \t]*#[ \t]?{re.escape(key_text(key))}[ \t]*=")
        inside = [
            (self._places.pairs[path].start, self._places.pairs[path].end)
            for start, path in self._pairs
            if begin <= start < limit
        ]
        while begin < limit:
            if shown.match(self._line_at(begin)) and not any(s < begin < e for s, e in inside):
                return begin
            begin = self._line_end(begin)
        return None

    # ------------------------------------------------------------ inside of [ ] and { }

    def _insert_inside(self, above: KeyPath, rest: KeyPath, value: object) -> list[Splice]:
        start, end = self._places.values[above]
        opening = self._text[start]
        if opening == "[" and isinstance(rest[0], int):
            count = self._item_count(above)
            if rest != (count,):
                there = f"{dotted(above)} has {count} {'item' if count == 1 else 'items'}"
                adds = f"{dotted((*above, count))} adds one"
                raise KeyError(f"there is no {dotted(above + rest)}: {there}, {adds}")
            return self._append(above, value)
        if opening != "{":
            raise ValueError(f"{dotted(above)} is a value and has no key '{rest[0]}'")
        _names(rest)
        written = f"{dotted(rest)} = {toml_value(value)}"
        entries = self._entries(above)
        if not entries:
            return [Splice(start, end, f"{{ {written} }}")]
        return [Splice(entries[-1].end, entries[-1].end, f", {written}")]

    def _entries(self, table: KeyPath) -> list[Pair]:
        """What stands directly in a ``{ ... }``, in order."""
        found = [
            pair for pair in self._places.pairs.values() if pair.inline and pair.table == table
        ]
        return sorted(found, key=lambda pair: pair.start)

    def _remove_entry(self, pair: Pair) -> list[Splice]:
        entries = self._entries(pair.table)
        number = entries.index(pair)
        if number > 0:
            return [Splice(entries[number - 1].end, pair.end, "")]
        if len(entries) > 1:
            return [Splice(pair.start, entries[1].start, "")]
        return [Splice(*self._places.values[pair.table], "{}")]

    def _item_count(self, path: KeyPath) -> int:
        count = 0
        while (*path, count) in self._places.values:
            count += 1
        return count

    def _append(self, path: KeyPath, value: object) -> list[Splice]:
        """A list's next item: on a line of its own where the last one has one."""
        start, end = self._places.values[path]
        count = self._item_count(path)
        written = toml_value(value)
        if not count:
            hollow = not self._text[start + 1 : end - 1].strip()
            return [Splice(start, end, f"[{written}]") if hollow else _at(start + 1, written)]
        first, last = self._places.values[(*path, count - 1)]
        comma = self._comma(last, end)
        indent = self._indent(first)
        if indent.strip():  # something stands before it on its line
            if comma is None:
                return [_at(last, f", {written}")]
            return [_at(comma + 1, f" {written},")]
        stop = self._line_end(last if comma is None else comma)
        stop = min(stop, end - 1)
        line = f"{indent}{written},{self._newline}"
        if self._text[stop - 1] != "\n":  # the bracket closes on the same line
            return [_at(last, f",{self._newline}{indent}{written}")]
        return [_at(stop, line)] if comma is not None else [_at(last, ","), _at(stop, line)]

    def _comma(self, begin: int, end: int) -> int | None:
        """The comma behind an item, past blanks and comments."""
        while begin < end:
            char = self._text[begin]
            if char == ",":
                return begin
            if char == "#":
                begin = self._line_end(begin)
            elif char in " \t\r\n":
                begin += 1
            else:
                return None
        return None

    def _remove_item(self, path: KeyPath) -> list[Splice]:
        outer, number = path[:-1], path[-1]
        assert isinstance(number, int)
        first, last = self._places.values[path]
        _, end = self._places.values[outer]
        comma = self._comma(last, end)
        behind = last if comma is None else comma + 1
        rest = self._text[behind : min(self._line_end(behind), end - 1)]
        if not self._indent(first).strip() and (not rest.strip() or _COMMENT.match(rest)):
            return [Splice(self._line_start(first), behind + len(rest), "")]
        following = self._places.values.get((*outer, number + 1))
        if following is not None and not self._text[behind : following[0]].strip(" \t"):
            return [Splice(first, following[0], "")]
        before = self._places.values.get((*outer, number - 1)) if number else None
        if before is not None and "#" not in self._text[before[1] : first]:
            return [Splice(before[1], last, "")]
        return [Splice(first, behind, "")]


def _at(offset: int, text: str) -> Splice:
    return Splice(offset, offset, text)


def _names(path: KeyPath) -> tuple[str, ...]:
    """A path of keys alone. Raises ValueError for one with a number."""
    for part in path:
        if isinstance(part, int):
            raise ValueError(f"{dotted(path)}: there is no list with {part + 1} items")
    return tuple(map(str, path))


def _joined(splices: list[Splice]) -> list[Splice]:
    """Cuts that touch or overlap, as one."""
    found: list[Splice] = []
    for cut in sorted(splices):
        if found and cut.start <= found[-1].end:
            found[-1] = Splice(found[-1].start, max(found[-1].end, cut.end), "")
        else:
            found.append(cut)
    return found
