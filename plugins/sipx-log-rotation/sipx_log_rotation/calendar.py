"""Days by the wall clock, whatever it does: daylight saving, jumps, a machine that slept."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, tzinfo


def day_of(wall: float, zone: tzinfo | None = None) -> date:
    """The local date. Without ``zone`` that of the machine."""
    return datetime.fromtimestamp(wall, zone).date()


def begin_of(day: date, zone: tzinfo | None = None) -> float:
    """When a day begins. Where the clock skips midnight, or the whole day, when it skips."""
    # PEP 495: of a time that does not exist, fold=0 means the offset before the gap, which leads
    # to the moment of the change; of one that exists twice it means the first.
    return datetime.combine(day, time.min, zone).timestamp()


def next_midnight(wall: float, zone: tzinfo | None = None) -> float:
    """The next moment at which a day begins."""
    day = day_of(wall, zone)
    # Where the clock is set back over a midnight, that of tomorrow may be over already.
    while (midnight := begin_of(day, zone)) <= wall:
        day += timedelta(days=1)
    return midnight


class Days:
    """Tells once for each day that it is over."""

    def __init__(self, zone: tzinfo | None = None) -> None:
        self.zone = zone
        self._begin = 0.0
        self._end: float | None = None

    def would_end(self, wall: float) -> bool:
        """Whether there is something to ask."""
        return self._end is None or not self._begin <= wall < self._end

    def ended(self, wall: float) -> bool:
        """Whether midnight has passed since the last time of asking.

        A clock that is set back ends no day: the one that it is now ends when it is over.
        """
        if not self.would_end(wall):
            return False
        ended = self._end is not None and wall >= self._end
        self._begin = min(begin_of(day_of(wall, self.zone), self.zone), wall)
        self._end = next_midnight(wall, self.zone)
        return ended
