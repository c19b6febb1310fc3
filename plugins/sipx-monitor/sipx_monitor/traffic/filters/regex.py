"""Regular expressions that take linear time, whatever somebody writes.

Python's own can be made to run for hours by one line, and nothing can stop them meanwhile; they
would run within the process that carries calls. These are turned into an automaton (Thompson's
construction, its states determined as they are met), so that each character is looked at once.
Upper and lower case are the same; ``^`` and ``$`` are the ends of a line.

    either = row *( "|" row )
    row    = *( one [ "*" / "+" / "?" / "{" m [ "," [ n ] ] "}" ] )
    one    = "(" either ")" / "[" class "]" / "." / "^" / "$" / "\" escape / character
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple, NoReturn

from sipx_monitor.traffic.filters.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Callable

    Test = Callable[[str], bool]

MOST_STATES: Final = 200
"""Of a pattern: so much is looked at for a character that is met in a new place."""
MOST_TOGETHER: Final = 400
"""Of all patterns of a filter: what is remembered of them grows with it."""
MOST_WORK: Final = 60_000
"""States that all patterns of a filter follow for the first time in one message, and CHEAP
characters: some hundredths of a second.
"""
CHEAP: Final = 8
"""Characters that take as long as a state: they lead where they led before."""
MOST_COUNT: Final = 50
_MOST_KNOWN: Final = 100
_MOST_MET: Final = 10_000
"""What is remembered of a pattern: where one can be in it, and which characters were met there."""
_SPECIAL: Final = frozenset(r"\.[](){}*+?|^$")
_LINE_END: Final = "\r\n"
_CHARACTERS: Final = {"t": "\t", "n": "\n", "r": "\r"}


class Effort:
    """What the patterns of one filter take together: ``states``, and ``work`` for one message."""

    __slots__ = ("states", "work")

    def __init__(self) -> None:
        self.states = self.work = 0


def compile_regex(pattern: str, position: int, effort: Effort) -> Test:
    """What tells whether the pattern is somewhere in a text. ``position`` is where it begins in
    the filter, its first slash. Raises FilterError.
    """
    lowered = pattern.lower()
    if _SPECIAL.isdisjoint(pattern):
        return lambda text: lowered in text.lower()
    parsed = _Parser(pattern, position + 1).whole()
    effort.states += len(parsed.states)
    if effort.states > MOST_TOGETHER:
        raise FilterError(position, "the regular expressions of this filter are too large together")
    return _Automaton(parsed, position, effort).search


# ---------------------------------------------------------------- the pattern as states


class _State(NamedTuple):
    """``test`` tells which character leads on; ``anchor`` is "^" or "$" where none does, and ""
    where all of ``to`` are reached without one.
    """

    test: Test | None
    anchor: str
    to: list[int]


class _Piece(NamedTuple):
    """A part of a pattern: where it begins, and the states that lead to what follows."""

    begin: int
    ends: list[list[int]]


class _Parser:
    def __init__(self, pattern: str, position: int) -> None:
        self._pattern = pattern
        self._position = position
        self._at = 0
        self._depth = 0
        self.states: list[_State] = []
        self.begin = 0
        self.end = 0

    def whole(self) -> _Parser:
        """Read all of it."""
        piece = self._either()
        if self._at < len(self._pattern):
            self._wrong("there is no bracket to close")
        self.end = self._state()
        self._join(piece, self.end)
        self.begin = piece.begin
        return self

    def _either(self) -> _Piece:
        rows = [self._row()]
        while self._here == "|":
            self._at += 1
            rows.append(self._row())
        if len(rows) == 1:
            return rows[0]
        begin = self._state(to=[row.begin for row in rows])
        return _Piece(begin, [end for row in rows for end in row.ends])

    def _row(self) -> _Piece:
        whole: _Piece | None = None
        while self._here not in ("", "|", ")"):
            piece = self._repeated()
            if whole is None:
                whole = piece
            else:
                self._join(whole, piece.begin)
                whole = _Piece(whole.begin, piece.ends)
        if whole is None:
            nothing = self._state()
            return _Piece(nothing, [self.states[nothing].to])
        return whole

    def _repeated(self) -> _Piece:
        begin = self._at
        piece = self._one()
        end = self._at
        least, most = self._count()
        if (least, most) == (1, 1):
            return piece
        # Each repetition is a copy of its own: the text of the part is read again.
        after = self._at
        first = self._state()
        whole = _Piece(first, [self.states[first].to])
        open_ends: list[list[int]] = []
        copies = max(least, 1) if most is None else most
        for number in range(copies):
            if number:
                self._at = begin
                piece = self._one()
                assert self._at == end
            if number >= least:
                skip = self._state()
                open_ends.append(self.states[skip].to)
                self._join(whole, skip)
                self.states[skip].to.append(piece.begin)
            else:
                self._join(whole, piece.begin)
            whole = _Piece(first, piece.ends)
        if most is None:
            again = self._state(to=[piece.begin])
            self._join(whole, again)
            whole = _Piece(first, [self.states[again].to])
        self._at = after
        return _Piece(first, whole.ends + open_ends)

    def _count(self) -> tuple[int, int | None]:
        found = re.compile(r"([*+?])|\{(\d{1,4})(?:(,)(\d{1,4})?)?\}").match(
            self._pattern, self._at
        )
        if found is None:
            return 1, 1
        least: int
        most: int | None
        if found[1]:
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[found[1]]
        else:
            least = int(found[2])
            most = (int(found[4]) if found[4] else None) if found[3] else least
            if (
                least > MOST_COUNT
                or (most or 0) > MOST_COUNT
                or (most is not None and most < least)
            ):
                self._wrong(f"write a count from 0 to {MOST_COUNT}, the smaller one first")
        self._at = found.end()
        if self._here == "?":  # as little as possible finds the same texts
            self._at += 1
        elif self._here in ("*", "+"):
            self._wrong("there is nothing to repeat")
        return least, most

    def _one(self) -> _Piece:
        char = self._here
        if char == "(":
            return self._group()
        if char in ("*", "+", "?"):
            self._wrong("there is nothing to repeat")
        self._at += 1
        if char in ("^", "$"):
            return self._leaf(anchor=char)
        if char == ".":
            return self._leaf(lambda one: one not in _LINE_END)
        if char == "[":
            return self._leaf(self._class())
        if char == "\\":
            return self._leaf(self._escape())
        wanted = char.lower()
        return self._leaf(lambda one: one == wanted)

    def _group(self) -> _Piece:
        opened = self._at
        self._depth += 1
        self._at += 1
        if self._pattern.startswith("?:", self._at):
            self._at += 2
        elif self._here == "?":
            self._wrong("look-around and the like are not known here")
        if self._depth > 20:
            self._wrong("brackets stand too deep")
        piece = self._either()
        if self._here != ")":
            self._at = opened
            self._wrong("this bracket is not closed")
        self._at += 1
        self._depth -= 1
        return piece

    def _escape(self) -> Test:
        char = self._here
        self._at += 1
        if not char:
            self._wrong("nothing stands behind the backslash")
        if char in "dDwWsS":
            kind = _KINDS[char.lower()]
            return kind if char.islower() else lambda one: not kind(one)
        if char.isalnum() and char not in _CHARACTERS:
            self._at -= 1
            self._wrong(f"'\\{char}' is not known here")
        wanted = _CHARACTERS.get(char, char).lower()
        return lambda one: one == wanted

    def _class(self) -> Test:
        opened = self._at - 1
        turned = self._here == "^"
        self._at += turned
        tests: list[Test] = []
        spans: list[tuple[str, str]] = []
        first = True
        while self._here != "]" or first:
            first = False
            char = self._here
            self._at += 1
            if not char:
                self._at = opened
                self._wrong("this '[' is not closed")
            if char == "\\":
                if self._here in _KINDS or self._here.lower() in _KINDS:
                    tests.append(self._escape())
                    continue
                char = _CHARACTERS.get(self._here, self._here)
                self._at += 1
            last = char
            if self._here == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                last = self._pattern[self._at + 1]
                self._at += 2
                if last == "\\":
                    last = self._here
                    self._at += 1
                if last < char:
                    self._wrong("the range ends before it begins")
            spans.append((char, last))
        self._at += 1

        def within(one: str) -> bool:
            upper = one.upper()
            return any(a <= one <= b or a <= upper <= b for a, b in spans) or any(
                test(one) for test in tests
            )

        return (lambda one: not within(one)) if turned else within

    # ------------------------------------------------------------ below

    @property
    def _here(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _leaf(self, test: Test | None = None, anchor: str = "") -> _Piece:
        state = self._state(test, anchor)
        return _Piece(state, [self.states[state].to])

    def _state(
        self, test: Test | None = None, anchor: str = "", to: list[int] | None = None
    ) -> int:
        if len(self.states) >= MOST_STATES:
            self._wrong("the regular expression is too large")
        self.states.append(_State(test, anchor, to if to is not None else []))
        return len(self.states) - 1

    def _join(self, piece: _Piece, to: int) -> None:
        for end in piece.ends:
            end.append(to)

    def _wrong(self, text: str) -> NoReturn:
        raise FilterError(self._position + min(self._at, len(self._pattern)), text)


_KINDS: Final[dict[str, Test]] = {
    "d": str.isdecimal,
    "w": lambda one: one.isalnum() or one == "_",
    "s": str.isspace,
}


# ---------------------------------------------------------------- the states at work


class _Known:
    """Where one can be in the pattern at once, and where each character leads from there.

    ``begin``: a line begins here. If it ends here too, ``$^`` is what it is.
    """

    __slots__ = ("begin", "found", "found_at_end", "items", "next")

    def __init__(
        self, items: frozenset[int], *, begin: bool, found: bool, found_at_end: bool
    ) -> None:
        self.items = items
        self.begin = begin
        self.found = found
        self.found_at_end = found_at_end
        self.next: dict[str, _Known] = {}


class _Automaton:
    def __init__(self, parsed: _Parser, position: int, effort: Effort) -> None:
        self._position = position
        self._effort = effort
        self._states = parsed.states
        self._begin = parsed.begin
        self._end = parsed.end
        self._known: dict[tuple[frozenset[int], bool], _Known] = {}
        self._met = 0

    def search(self, text: str) -> bool:
        """Whether the pattern is somewhere in a text. Raises FilterError where that takes long."""
        self._worked(len(text) // CHEAP)
        here = self._at(frozenset((self._begin,)), begin=True)
        for char in text.lower():
            if here.found:
                return True
            there = here.next.get(char)
            here = self._step(here, char) if there is None else there
        return here.found or here.found_at_end

    def _step(self, here: _Known, char: str) -> _Known:
        items = here.items
        self._worked(len(items))
        if char in _LINE_END:
            items = self._reached(items, begin=here.begin, end=True)
            if self._end in items:
                here.next[char] = self._known_as(frozenset((self._end,)), begin=False)
                return here.next[char]
        moved = {self._begin}
        for item in items:
            state = self._states[item]
            if state.test is not None and state.test(char):
                moved.update(state.to)
        self._met += 1
        if len(self._known) > _MOST_KNOWN or self._met > _MOST_MET:
            self._known.clear()
            self._met = 0
        there = here.next[char] = self._at(frozenset(moved), begin=char == "\n")
        return there

    def _worked(self, much: int) -> None:
        self._effort.work += much
        if self._effort.work > MOST_WORK:
            raise FilterError(
                self._position, "this regular expression takes too long; write a simpler one"
            )

    def _at(self, items: frozenset[int], *, begin: bool) -> _Known:
        return self._known_as(self._reached(items, begin=begin, end=False), begin=begin)

    def _known_as(self, items: frozenset[int], *, begin: bool) -> _Known:
        known = self._known.get((items, begin))
        if known is None:
            at_end = self._end in self._reached(items, begin=begin, end=True)
            found = self._end in items
            known = _Known(items, begin=begin, found=found, found_at_end=at_end)
            self._known[items, begin] = known
        return known

    def _reached(self, items: frozenset[int], *, begin: bool, end: bool) -> frozenset[int]:
        """All states that are reached without a character."""
        found = set(items)
        waiting = list(items)
        while waiting:
            state = self._states[waiting.pop()]
            if state.test is not None:
                continue
            if (state.anchor == "^" and not begin) or (state.anchor == "$" and not end):
                continue
            for to in state.to:
                if to not in found:
                    found.add(to)
                    waiting.append(to)
        return frozenset(found)
