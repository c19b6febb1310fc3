"""What is wrong with a configuration: where, what is allowed instead, and what was meant."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipx.errors import SipxError

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a configuration file.

    ``file`` is the path as it was given; ``line`` and ``column`` count from 1 and are None when
    the place is not known. ``key`` is dotted as in TOML, empty for the file as a whole.
    ``wrong``, ``allowed`` and ``hint`` are clauses of one sentence; the last two may be empty.
    """

    file: str
    line: int | None
    column: int | None
    key: str
    wrong: str
    allowed: str = ""
    hint: str = ""

    def __str__(self) -> str:
        place = self.file
        if self.line is not None:
            place += f":{self.line}"
            if self.column is not None:
                place += f":{self.column}"
        said = "; ".join(part for part in (self.wrong, self.allowed, self.hint) if part)
        return f"{place}: {self.key}: {said}" if self.key else f"{place}: {said}"


class ConfigError(SipxError):
    """A configuration cannot be used; ``problems`` are all that were found, in file order."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems, key=_place))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def _place(problem: Problem) -> tuple[int, int]:
    return (problem.line or 0, problem.column or 0)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``did you mean 'port'?`` when a known word is close to ``word``, else an empty text."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[near[0]]}'?" if near else ""
