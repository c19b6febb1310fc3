"""The difference of two messages, header by header."""

from __future__ import annotations

from collections import Counter
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from sipx_monitor.traffic.filters.fields import COMPACT
from sipx_monitor.traffic.head import shown
from sipx_monitor.traffic.showing import readable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipx_monitor.traffic.message import Message

Op = Literal["same", "changed", "added", "removed", "moved"]
START: Final = "(first line)"
BODY: Final = "(body)"
MOST_LINES: Final = 1000
"""Lines of a head, and of a body, that are compared."""
MOST_PAIRS: Final = 50_000
"""Equal lines of both sides, each with each: whoever repeats one line a thousand times would keep
the search for the best fit busy for hours.
"""


class Change(NamedTuple):
    """One line of both messages; ``a`` or ``b`` is "" where it is not there."""

    op: Op
    name: str
    a: str
    b: str


def diff(a: Message, b: Message, *, bodies: bool = True) -> list[Change]:
    """The lines of both, in the order of ``b``; those only in ``a`` stand where they were."""
    first = shown(a.head.partition(b"\r\n")[0]), shown(b.head.partition(b"\r\n")[0])
    found = [Change("same" if first[0] == first[1] else "changed", START, *first)]
    found += _headers(
        [shown(line) for line in a.lines()[:MOST_LINES]],
        [shown(line) for line in b.lines()[:MOST_LINES]],
    )
    if bodies and (a.body or b.body):
        before = readable(a.body).split("\n")[:MOST_LINES]
        after = readable(b.body).split("\n")[:MOST_LINES]
        found += [change._replace(name=BODY) for change in _pair(before, after, lambda _: BODY)]
    return found


def name_of(line: str) -> str:
    """The name of a header line, written out and in small letters."""
    name = line.partition(":")[0].strip().lower()
    return COMPACT.get(name, name)


def _headers(a: list[str], b: list[str]) -> list[Change]:
    """What stands in both, but elsewhere, has moved."""
    found = _pair(a, b, name_of)
    gone = {change.a: i for i, change in enumerate(found) if change.op == "removed"}
    taken: set[int] = set()
    for i, change in enumerate(found):
        at = gone.get(change.b) if change.op == "added" else None
        if at is not None and at not in taken:
            taken.add(at)
            found[i] = Change("moved", change.name, change.b, change.b)
    return [change for i, change in enumerate(found) if i not in taken]


def _pair(a: list[str], b: list[str], key: Callable[[str], str]) -> list[Change]:
    found: list[Change] = []
    for op, a1, a2, b1, b2 in _parts(a, b):
        if op == "equal":
            found += [Change("same", _shown_name(line), line, line) for line in a[a1:a2]]
            continue
        left = a[a1:a2]
        for line in b[b1:b2]:
            wanted = key(line)
            same = next((i for i, old in enumerate(left) if key(old) == wanted), None)
            if same is None:
                found.append(Change("added", _shown_name(line), "", line))
                continue
            found += [Change("removed", _shown_name(old), old, "") for old in left[:same]]
            kind: Op = "same" if left[same] == line else "changed"
            found.append(Change(kind, _shown_name(line), left[same], line))
            del left[: same + 1]
        found += [Change("removed", _shown_name(old), old, "") for old in left]
    return found


def _parts(a: list[str], b: list[str]) -> Sequence[tuple[str, int, int, int, int]]:
    """Which part became which; all became all where it would take too long to find out."""
    times = Counter(b)
    if sum(times[line] for line in a) > MOST_PAIRS:
        return [("replace", 0, len(a), 0, len(b))]
    return SequenceMatcher(None, a, b, autojunk=False).get_opcodes()


def _shown_name(line: str) -> str:
    return line.partition(":")[0].strip()
