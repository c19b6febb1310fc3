"""The captures that somebody has opened, each with an id; all who use the console see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx import ControlError
from sipx_monitor.traffic.models import CaptureSummary

if TYPE_CHECKING:
    from sipx_monitor.traffic.captures.reading import Capture

MOST: Final = 4


class Captures:
    """The opened captures. Raises ControlError where one is not there, or one too many."""

    def __init__(self) -> None:
        self._open: dict[str, Capture] = {}
        self._number = 0

    def get(self, name: str) -> Capture:
        """One by its id."""
        found = self._open.get(name)
        if found is None:
            raise ControlError("not found", f"there is no open capture {name!r}; open it again")
        return found

    def check_room(self) -> None:
        """Whether one more may be opened."""
        if len(self._open) >= MOST:
            names = ", ".join(one.name or name for name, one in self._open.items())
            raise ControlError("busy", f"{MOST} captures are open; close one of {names}")

    def add(self, capture: Capture) -> str:
        """Keep one; its id."""
        self.check_room()
        self._number += 1
        name = f"capture{self._number}"
        self._open[name] = capture
        return name

    def close(self, name: str) -> Capture:
        """Forget one."""
        found = self.get(name)
        del self._open[name]
        return found

    def summaries(self) -> tuple[CaptureSummary, ...]:
        """All of them."""
        return tuple(
            CaptureSummary(id=name, name=one.name, messages=len(one.store))
            for name, one in self._open.items()
        )
