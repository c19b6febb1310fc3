"""A filter as a tree.

filter = and *( "or" and )
and    = not *( [ "and" ] not )
not    = *( "!" / "-" / "not" ) ( "(" filter ")" / term )
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.filters.errors import FilterError
from sipx_monitor.traffic.filters.lexing import Lexer

if TYPE_CHECKING:
    from sipx_monitor.traffic.filters.lexing import Token, Value

LONGEST: Final = 4000
MOST_TERMS: Final = 200
DEEPEST: Final = 50

SHORTS: Final[dict[str, str]] = {
    "m": "method", "c": "code", "d": "domain", "h": "header", "b": "body", "src": "src",
    "dst": "dst", "u": "uri",
}  # fmt: skip
"""What is written ``~m INVITE`` and means ``method:INVITE``."""
FLAGS: Final = ("marked", "e", "q", "s")
"""What is written ``~marked`` and needs no value."""
_TAKES_VALUE: Final = {**dict.fromkeys(SHORTS, True), **dict.fromkeys(FLAGS, False)}


@dataclass(frozen=True, slots=True)
class Term:
    """``field operator value``; without a field, text that is looked for anywhere; a flag has no
    value.
    """

    field: str
    operator: str
    value: Value | None
    position: int


@dataclass(frozen=True, slots=True)
class Not:
    """What must not be so."""

    item: Node


@dataclass(frozen=True, slots=True)
class All:
    """What must all be so."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """What one of must be so."""

    items: tuple[Node, ...]


Node = Term | Not | All | AnyOf


def parse(text: str) -> Node | None:
    """The tree of a filter; None for an empty one. Raises FilterError."""
    if len(text) > LONGEST:
        raise FilterError(LONGEST, f"a filter has at most {LONGEST} characters")
    parser = _Parser(Lexer(text, _TAKES_VALUE).tokens())
    return parser.whole()


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0
        self._terms = 0

    def whole(self) -> Node | None:
        if self._here.kind == "end":
            return None
        node = self._any()
        if self._here.kind == ")":
            raise FilterError(self._here.position, "no bracket is open here; take ')' away")
        return node

    @property
    def _here(self) -> Token:
        return self._tokens[self._at]

    def _any(self) -> Node:
        items = [self._all()]
        while self._here.kind == "or":
            self._at += 1
            items.append(self._all())
        return items[0] if len(items) == 1 else AnyOf(tuple(items))

    def _all(self) -> Node:
        items = [self._not()]
        while True:
            if self._here.kind == "and":
                self._at += 1
            elif self._here.kind not in ("term", "(", "not"):
                break
            items.append(self._not())
        return items[0] if len(items) == 1 else All(tuple(items))

    def _not(self) -> Node:
        turned = False
        while self._here.kind == "not":
            self._at += 1
            turned = not turned
        node = self._one()
        return Not(node) if turned else node

    def _one(self) -> Node:
        token = self._here
        if token.kind == "(":
            return self._bracket(token)
        if token.kind != "term":
            raise FilterError(token.position, _missing(token))
        self._at += 1
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise FilterError(token.position, f"a filter has at most {MOST_TERMS} terms")
        field = SHORTS.get(token.field, f"~{token.field}") if token.short else token.field
        return Term(field, token.operator, token.value, token.position)

    def _bracket(self, opened: Token) -> Node:
        self._depth += 1
        if self._depth > DEEPEST:
            raise FilterError(opened.position, f"brackets stand at most {DEEPEST} deep")
        self._at += 1
        node = self._any()
        if self._here.kind != ")":
            raise FilterError(opened.position, "this bracket is not closed; add ')'")
        self._at += 1
        self._depth -= 1
        return node


def _missing(token: Token) -> str:
    if token.kind == "end":
        return "something is missing at the end"
    return f"something is missing before '{token.kind}'"
