"""When a found address is used: two runs have to agree. No clock, no I/O.

A server may be wrong, or somebody may answer in its place; and a router with two lines shows now
the one and now the other. So an address that is not the one in use, the very first too, is only a
*candidate* until the next run that is answered finds the same. Until then the one before stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONFIRM_AFTER: Final = 3.0
"""Seconds between a run that found a candidate and the one that is to confirm it."""
CONFIRMATIONS: Final = 3
"""Runs that follow at once where each finds another address; then it is waited as always."""


@dataclass(slots=True)
class Agreement:
    """What is used for one address of ours. Empty text: nothing yet.

    ``unsteady``: answered runs one after the other that found a candidate no other confirmed.
    """

    used: str = ""
    candidate: str = ""
    unsteady: int = 0

    def heard(self, public: str) -> bool:
        """A run was answered, and found ``public``; True if that is used from now on."""
        if public == self.used:
            self.candidate, self.unsteady = "", 0
            return False
        if public == self.candidate:
            self.used, self.candidate, self.unsteady = public, "", 0
            return True
        if self.candidate:
            self.unsteady += 1
        self.candidate = public
        return False

    @property
    def open(self) -> bool:
        """Whether another run is needed to know what is right."""
        return bool(self.candidate)
