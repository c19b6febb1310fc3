"""What could come next in a filter that somebody types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx_monitor.traffic.filters.fields import BY_NAME, FIELDS, OTHER_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_WORD: Final = re.compile(r"[^\s()|&!]*\Z")
_TERM: Final = re.compile(r"-?([A-Za-z][\w.-]*)(:|>=|<=|!=|=|>|<)(.*)\Z", re.DOTALL)
MOST: Final = 12


class Suggestion(NamedTuple):
    """``text`` in the place of what stands from ``start`` to ``end``."""

    text: str
    help: str
    start: int
    end: int


def suggest(text: str, caret: int, seen: Mapping[str, Iterable[str]]) -> list[Suggestion]:
    """What may stand at the caret. ``seen`` are values that there are, by field."""
    caret = max(0, min(caret, len(text)))
    word = _WORD.search(text, 0, caret)
    assert word is not None
    start, typed = word.start(), word[0]
    term = _TERM.match(typed)
    if term is not None:
        return _values(term, start, caret, seen)
    minus = typed.startswith("-")
    wanted = typed[minus:].lower()
    if wanted.startswith("~"):
        return []
    fields = [field for field in FIELDS if field.name.lower().startswith(wanted)]
    if wanted:
        fields += [
            field for field in FIELDS if wanted in field.name.lower() and field not in fields
        ]
    found = [
        Suggestion(
            "header." if field.name == "header.NAME" else f"{field.name}:",
            field.help,
            start + minus,
            caret,
        )
        for field in fields
    ]
    return found[:MOST]


def _values(
    term: re.Match[str], start: int, caret: int, seen: Mapping[str, Iterable[str]]
) -> list[Suggestion]:
    name = term[1].lower()
    field = BY_NAME.get(OTHER_NAMES.get(name, name))
    if field is None:
        return []
    typed = term[3].rpartition(",")[2].lower()
    begin = caret - len(typed)
    values = list(dict.fromkeys((*seen.get(field.name, ()), *field.values)))
    return [
        Suggestion(_quoted(value), field.help, begin, caret)
        for value in values
        if value.lower().startswith(typed) and value.lower() != typed
    ][:MOST]


def _quoted(value: str) -> str:
    return f'"{value}"' if re.search(r"[\s()|&\",*]", value) else value
