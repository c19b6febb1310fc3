"""Timers of RFC 3261 §17 (Table 4) and its successors, and the queues that run them.

All lengths of time are few and known, so a timer is an entry at the end of a queue for its
length: starting one is an append, and one tick looks only at the heads of the queues. Nothing is
ever cancelled; who is no longer interested when its turn comes does nothing (its state table has
no row for the event).

A timer that nearly always comes to nothing, such as a timeout of 32 seconds, knows its transaction
by key and not as an object: what has ended in the meantime is gone from the table and from memory.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

T1: Final = 0.5
T2: Final = 4.0
T4: Final = 5.0
TICK: Final = 0.05
"""How often a driver should call ``Timers.tick``, in seconds."""


@dataclass(frozen=True, slots=True)
class TimerSettings:
    """Seconds for each timer, by the letters of the RFCs.

    A and E (and G) start at ``t1`` and double, E and G up to ``t2``; B, F, H, L, M and (on UDP)
    J are 64 times ``t1``; D is "at least 32 seconds"; I and K are ``t4`` on UDP and zero on
    streams; C is more than three minutes (§16.6 item 11). ``trying`` is the 200 ms after which
    an INVITE gets a 100 (§17.2.1); ``late_trying`` the time from which a request other than
    INVITE must get one (RFC 4320 §4.1: when Timer E has reached T2).
    """

    t1: float = T1
    t2: float = T2
    t4: float = T4
    c: float = 185.0
    d: float = 32.5
    trying: float = 0.2

    timeout: float = field(init=False)
    """Timers B, F, H, J, L and M: 64*T1."""
    late_trying: float = field(init=False)
    """0.5 + 1 + 2 s with the default T1: Timer E is T2 from then on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeout", 64 * self.t1)
        object.__setattr__(self, "late_trying", 7 * self.t1)


class Timed(Protocol):
    """What can stand in a timer queue."""

    def due(self, event: int, now: float) -> None:
        """The time has come."""
        ...


_Question = tuple[float, list[bytes], "Mapping[bytes, Timed | bytes]", int]


class Timers:
    """Queues of timers, one per length; ``now`` is set by the driver once per batch."""

    __slots__ = ("_asked", "_buckets", "_queues", "now")

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._queues: dict[float, deque[tuple[float, Timed, int]]] = {}
        self._asked: dict[float, deque[_Question]] = {}
        self._buckets: dict[float, deque[tuple[float, list[bytes], dict[bytes, object]]]] = {}

    def start(self, delay: float, who: Timed, event: int) -> None:
        """Call ``who.due(event, now)`` in ``delay`` seconds."""
        try:
            queue = self._queues[delay]
        except KeyError:
            queue = self._queues[delay] = deque()
        queue.append((self.now + delay, who, event))

    def ask_later(
        self, delay: float, key: bytes, table: Mapping[bytes, Timed | bytes], event: int
    ) -> None:
        """Call ``table[key].due(event, now)`` in ``delay`` seconds, if a timed thing is there then.

        The keys of one batch share an entry: ``now`` is the same for all of them.
        """
        due = self.now + delay
        queue = self._asked.get(delay)
        if queue is None:
            queue = self._asked[delay] = deque()
        elif queue:
            last = queue[-1]
            if last[0] == due and last[2] is table and last[3] == event:
                last[1].append(key)
                return
        queue.append((due, [key], table, event))

    def forget_later(self, delay: float, key: bytes, table: dict[bytes, object]) -> None:
        """Drop ``key`` from ``table`` in ``delay`` seconds; a quarter second shares one entry."""
        buckets = self._buckets.get(delay)
        if buckets is None:
            buckets = self._buckets[delay] = deque()
        due = self.now + delay
        if buckets and due <= buckets[-1][0] and buckets[-1][2] is table:
            buckets[-1][1].append(key)
        else:
            buckets.append((due + 0.25, [key], table))

    def tick(self, now: float) -> None:
        """Fire all that is due, in the order in which it was started within each length."""
        self.now = now
        for queue in list(self._queues.values()):
            while queue and queue[0][0] <= now:
                _, who, event = queue.popleft()
                who.due(event, now)
        for asked in list(self._asked.values()):
            while asked and asked[0][0] <= now:
                _, keys, mapping, event = asked.popleft()
                for key in keys:
                    found = mapping.get(key)
                    if found is not None and not isinstance(found, bytes):
                        found.due(event, now)
        for buckets in self._buckets.values():
            while buckets and buckets[0][0] <= now:
                _, keys, table = buckets.popleft()
                for key in keys:
                    table.pop(key, None)

    def clear(self) -> None:
        """Forget everything that was to come."""
        self._queues.clear()
        self._asked.clear()
        self._buckets.clear()

    def pending(self) -> int:
        """How many timers are queued that may still call somebody."""
        questions = (question for queue in self._asked.values() for question in queue)
        asked = [mapping.get(key) for _, keys, mapping, _ in questions for key in keys]
        waiting = [one for one in asked if one is not None and not isinstance(one, bytes)]
        return len(waiting) + sum(map(len, self._queues.values()))
