"""A filter as words: brackets, operators, and terms such as ``field:value``, with positions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal

from sipx_monitor.traffic.filters.errors import FilterError

Kind = Literal["(", ")", "and", "or", "not", "term", "end"]

_FIELD: Final = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)(\.[^\s:=<>!()\"'|&/]*)?(:|>=|<=|!=|=|>|<)")
_SHORT: Final = re.compile(r"~([A-Za-z]*)")
_BARE: Final = re.compile(r"[^\s()|&\"]+")
_SCHEMES: Final = frozenset(
    ("sip", "sips", "tel", "im", "pres", "urn", "http", "https", "ws", "wss")
)
_WORDS: Final[dict[str, Kind]] = {"and": "and", "or": "or", "not": "not"}


@dataclass(frozen=True, slots=True)
class Value:
    """The value of a term. ``quoted`` text means itself: no wildcard, range or list is in it."""

    text: str
    position: int
    quoted: bool = False
    regex: bool = False


@dataclass(frozen=True, slots=True)
class Token:
    """One word of a filter. A term without a ``field`` is text that is looked for anywhere.

    ``short`` terms are written ``~name``; they may come without a value.
    """

    kind: Kind
    position: int
    field: str = ""
    operator: str = ""
    value: Value | None = None
    short: bool = False


class Lexer:
    """Cuts a filter into tokens. ``shorts`` tells which ``~names`` take a value."""

    def __init__(self, text: str, shorts: dict[str, bool]) -> None:
        self._text = text
        self._at = 0
        self._shorts = shorts

    def tokens(self) -> list[Token]:
        """All of them; the last is "end". Raises FilterError."""
        found: list[Token] = []
        while True:
            token = self._next()
            found.append(token)
            if token.kind == "end":
                return found

    def _next(self) -> Token:
        self._skip()
        text, at = self._text, self._at
        if at >= len(text):
            return Token("end", at)
        char = text[at]
        if char in "()":
            self._at += 1
            return Token("(" if char == "(" else ")", at)
        if char in "|&":
            self._at += 2 if text[at : at + 2] in ("||", "&&") else 1
            return Token("or" if char == "|" else "and", at)
        if char in "!-" and not text[at + 1 : at + 2].isspace() and at + 1 < len(text):
            self._at += 1
            return Token("not", at)
        if char == "!":
            raise FilterError(at, "nothing stands behind '!'")
        if char == "~":
            return self._short(at)
        field = _FIELD.match(text, at)
        if field is not None and not self._is_text(field):
            self._at = field.end()
            name = field[1].lower() + (field[2] or "")
            return Token("term", at, name, field[3], self._value(f"'{field[0]}'"))
        value = self._value("")
        word = _WORDS.get(value.text.lower())
        if word is not None and not value.quoted and not value.regex:
            return Token(word, at)
        return Token("term", at, value=value)

    def _short(self, at: int) -> Token:
        found = _SHORT.match(self._text, at)
        assert found is not None
        name = found[1].lower()
        takes_value = self._shorts.get(name)
        if takes_value is None:
            known = " ".join(f"~{one}" for one in self._shorts)
            raise FilterError(at, f"'~{name}' is not known; there are {known}")
        self._at = found.end()
        if not takes_value:
            return Token("term", at, name, short=True)
        if self._text[self._at : self._at + 1] == ":":
            self._at += 1
        self._skip()
        return Token("term", at, name, ":", self._value(f"'~{name}'"), short=True)

    def _value(self, of: str) -> Value:
        """The value that begins here; ``of`` says what needs one."""
        text, at = self._text, self._at
        char = text[at : at + 1]
        if char == '"':
            return self._quoted(at)
        if char == "/":
            value = self._regex(at)
            if value is not None:
                return value
        found = _BARE.match(text, at)
        if found is None:
            if of:
                raise FilterError(at, f"a value is missing behind {of}")
            raise FilterError(at, f"'{char}' cannot stand here")
        self._at = found.end()
        return Value(found[0], at)

    def _quoted(self, at: int) -> Value:
        text = self._text
        chars: list[str] = []
        i = at + 1
        while i < len(text):
            if text[i] == '"':
                self._at = i + 1
                return Value("".join(chars), at, quoted=True)
            if text[i] == "\\" and text[i + 1 : i + 2] in ('"', "\\"):
                i += 1
            chars.append(text[i])
            i += 1
        raise FilterError(at, "the quotation mark is not closed")

    def _regex(self, at: int) -> Value | None:
        text = self._text
        chars: list[str] = []
        i = at + 1
        while i < len(text):
            if text[i] == "/":
                self._at = i + 1
                return Value("".join(chars), at, regex=True)
            if text[i] == "\\" and i + 1 < len(text):
                if text[i + 1] != "/":
                    chars.append("\\")
                i += 1
            chars.append(text[i])
            i += 1
        raise FilterError(at, "the regular expression is not closed with '/'")

    def _is_text(self, field: re.Match[str]) -> bool:
        """``sip:bob@example.com``, ``fe80::1`` and ``host.example:5060`` are text, no fields."""
        rest = self._text[field.end() :]
        if field[3] != ":":
            return False
        name = field[1].lower()
        if field[2]:
            return name != "header"
        return name in _SCHEMES or rest.startswith(":")

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1
