"""How many different users a partner asks for: who tries names one by one is stopped (SEC-22)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

DAY: Final = 86_400.0
PARTNERS: Final = 1024
"""Partners that are remembered; beyond it the one that has not asked for longest is forgotten."""


@dataclass(slots=True)
class _Day:
    """What one partner has asked for since ``since``, a time of the kernel's clock."""

    since: float
    users: set[int] = field(default_factory=set)
    told: bool = False


class Enquiries:
    """``most`` different users for each partner and day, 0 for no bound; ``now`` is the kernel's
    clock. ``told(partner, seconds)`` hears once a day of a partner that asks for more, and for how
    many seconds that is refused.

    Users that do not exist count like those that do: it is their names that are looked for. Whom
    a partner has asked for once it may go on asking for.
    """

    def __init__(
        self, most: int, now: Callable[[], float], told: Callable[[str, float], None]
    ) -> None:
        self._most = most
        self._now = now
        self._told = told
        self._days: OrderedDict[str, _Day] = OrderedDict()

    def take_over(self, old: Enquiries) -> None:
        """Go on counting where another one was."""
        self._days = old._days

    def wait(self, partner: str, aor: bytes) -> float:
        """0 where the partner may ask for this user; else in how many seconds it may."""
        if not self._most:
            return 0.0
        now = self._now()
        day = self._days.get(partner)
        if day is None or now - day.since >= DAY:
            self._days.pop(partner, None)
            day = self._days[partner] = _Day(now)
            if len(self._days) > PARTNERS:
                self._days.popitem(last=False)
        user = hash(aor)
        if user in day.users:
            return 0.0
        self._days.move_to_end(partner)
        if len(day.users) < self._most:
            day.users.add(user)
            return 0.0
        left = day.since + DAY - now
        if not day.told:
            day.told = True
            self._told(partner, left)
        return left
