"""What does not work now: one entry for each interface, partner or file, told once.

A peer that tries again every second must not fill the log with the same sentence. The sentence is
logged when it is news, kept for the status, and logged as over when the thing works again.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx.logs import harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

log = logging.getLogger("sipx.trouble")

AGAIN: Final = 3600.0
"""Seconds after which a trouble that lasts is logged once more."""
PASSES: Final = 3600.0
"""Seconds after which a stranger's failed handshake with an interface says nothing any more: no
later success would ever tell that it is over."""
MOST: Final = 1000
"""Entries kept; beyond that the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """``kind`` is "interface", "partner", "certificate" or "trust", or what a plugin calls it.
    ``since`` and ``last`` are seconds of the kernel's clock; ``times`` counts.
    """

    kind: str
    name: str
    text: str
    since: float
    last: float
    times: int
    owner: str = ""
    """The plugin that told of it, "" for the kernel."""


class Troubles:
    """The table of what is wrong, by kind and name."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._entries: OrderedDict[tuple[str, str], Trouble] = OrderedDict()
        self._logged: dict[tuple[str, str, str], float] = {}

    def note(self, kind: str, name: str, text: str | None, *, owner: str = "") -> None:
        """``text`` says in words what is wrong and what to do; "" says that it works, None that
        nobody needs it any more."""
        key = (kind, name)
        if text is None:
            self._entries.pop(key, None)
            return
        # The status shows it as well, which no masking of the log passes.
        text = str(harmless(text))
        known = self._entries.get(key)
        if not text:
            if known is not None:
                del self._entries[key]
                self._logged.pop((kind, name, known.text), None)
                log.info("%s %s works again", kind, name, extra=_fields(kind, name))
            return
        now = self._now()
        same = known is not None and known.text == text
        self._entries[key] = Trouble(
            kind,
            name,
            text,
            known.since if same and known is not None else now,
            now,
            known.times + 1 if same and known is not None else 1,
            owner,
        )
        self._entries.move_to_end(key)
        if len(self._entries) > MOST:
            self._entries.popitem(last=False)
        if now - self._logged.get((*key, text), -AGAIN) >= AGAIN:
            if len(self._logged) >= MOST:
                self._logged.clear()
            self._logged[*key, text] = now
            log.warning("%s %s: %s", kind, name, text, extra=_fields(kind, name))

    def forget(self, gone: Callable[[Trouble], bool]) -> None:
        """What these are about is not there any more: that is no news of something that works."""
        for key, trouble in tuple(self._entries.items()):
            if gone(trouble):
                del self._entries[key]
                self._logged.pop((*key, trouble.text), None)

    def of(self, kind: str, name: str) -> Trouble | None:
        """What is wrong with this one, or None."""
        return self._entries.get((kind, name))

    def __iter__(self) -> Iterator[Trouble]:
        passed = self._now() - PASSES
        self.forget(lambda trouble: trouble.kind == "interface" and trouble.last < passed)
        return iter(tuple(self._entries.values()))


def _fields(kind: str, name: str) -> dict[str, str]:
    return {"peer" if kind == "partner" else kind.replace(" ", "_"): name}
