"""How many answers somebody may cause who has not proven anything (docs/trust.md, row 22)."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

SOURCES: Final = 8192


class Allowance:
    """A bucket of tokens for each source: ``burst`` at once, ``rate`` more each second.

    For datagrams: their source may be forged, and whoever is there would get the answers.
    """

    def __init__(self, rate: float = 20.0, burst: float = 200.0) -> None:
        self._rate, self._burst = rate, burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, source: str, now: float) -> bool:
        """Whether this source may be answered once more."""
        left, since = self._left.pop(source, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._rate)
        allowed = left >= 1.0
        self._left[source] = (left - 1.0 if allowed else left, now)
        if len(self._left) > SOURCES:
            self._left.popitem(last=False)
        return allowed
