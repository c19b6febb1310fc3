"""What waits to be written to one websocket: answers, states and batches, in bounds.

A client that does not read loses the oldest events, which are counted; of a state only the newest
waits. Nobody else waits for it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

ITEMS: Final = 5000
"""Events of one subscription that wait at most."""
BYTES: Final = 2 << 20
"""Bytes of events that wait at most, of all subscriptions of a client."""
AT_ONCE: Final = 500
"""Events in one frame at most."""
BATCH_PAUSE: Final = 0.05
"""Seconds between two frames of one subscription with events."""
STATE_PAUSE: Final = 0.5
"""Seconds between two frames of one subscription with a state."""

Item = tuple[int, bytes]
"""An event: its number, and itself as JSON."""


@dataclass(slots=True)
class Slot:
    """What waits of one subscription."""

    topic: str
    subscription: int
    pause: float
    items: deque[Item] = field(default_factory=deque)
    state: bytes | None = None
    """The state, or the end, ready to be put into its frame; None: nothing new."""
    seq: int = 0
    """The number of the state, or of the last event."""
    dropped: int = 0
    gap: bool = False
    due: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether there is something to be written."""
        return bool(self.items) or self.state is not None or self.gap


class Outbox:
    """One client's. ``run`` writes; the others only say what."""

    def __init__(self, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._write = write
        self._answers: deque[tuple[bytes, trio.Event]] = deque()
        self._slots: dict[int, Slot] = {}
        self._bytes = 0
        self._something = trio.Event()

    def answer(self, frame: bytes) -> trio.Event:
        """Write a frame before all events; what is returned is set when that is done. Whoever
        answers waits for it, so that answers that are not read do not pile up.
        """
        written = trio.Event()
        self._answers.append((frame, written))
        self._something.set()
        return written

    def open(self, topic: str, subscription: int, *, state: bool) -> None:
        """A subscription begins."""
        pause = STATE_PAUSE if state else BATCH_PAUSE
        self._slots[subscription] = Slot(topic, subscription, pause)

    def close(self, subscription: int) -> None:
        """Nothing of it is written any more."""
        slot = self._slots.pop(subscription, None)
        if slot is not None:
            self._bytes -= sum(len(shown) for _, shown in slot.items)

    def state(self, subscription: int, seq: int, shown: bytes, key: bytes = b"state") -> None:
        """The state, which is JSON already; what waits of an older one is forgotten."""
        slot = self._slots.get(subscription)
        if slot is not None:
            slot.seq, slot.state = seq, b'"' + key + b'":' + shown
            self._something.set()

    def events(
        self,
        subscription: int,
        seq: int,
        items: Iterable[Item],
        *,
        dropped: int = 0,
        gap: bool = False,
    ) -> None:
        """Events; ``seq`` is what there is now. Beyond the bounds the oldest are dropped and
        counted.
        """
        slot = self._slots.get(subscription)
        if slot is None:
            return
        slot.seq = seq
        slot.dropped += dropped
        slot.gap = slot.gap or gap
        for item in items:
            slot.items.append(item)
            self._bytes += len(item[1])
        while slot.items and (len(slot.items) > ITEMS or self._bytes > BYTES):
            self._bytes -= len(slot.items.popleft()[1])
            slot.dropped += 1
        self._something.set()

    async def run(self) -> None:
        """Write until cancelled. Raises what writing raises."""
        while True:
            self._something = trio.Event()
            while self._answers:
                frame, written = self._answers.popleft()
                await self._write(frame)
                written.set()
            now = trio.current_time()
            waiting = [slot for slot in self._slots.values() if slot.waits]
            ready = [slot for slot in waiting if slot.due <= now]
            if not ready:
                next_due = min((slot.due for slot in waiting), default=float("inf"))
                with trio.move_on_at(next_due):
                    await self._something.wait()
                continue
            for slot in ready:
                if slot.waits and slot.subscription in self._slots:
                    slot.due = now + slot.pause
                    await self._write(self._frame(slot))

    def _frame(self, slot: Slot) -> bytes:
        head = b'{"topic":"%s","subscription":%d,' % (slot.topic.encode(), slot.subscription)
        if slot.state is not None:
            state, slot.state = slot.state, None
            return head + b'"seq":%d,%s}' % (slot.seq, state)
        count = min(len(slot.items), AT_ONCE)
        items = [slot.items.popleft() for _ in range(count)]
        self._bytes -= sum(len(shown) for _, shown in items)
        seq = slot.seq
        if slot.items:
            slot.due = 0.0  # the rest follows at once
            seq = items[-1][0]
        dropped, slot.dropped = slot.dropped, 0
        gap, slot.gap = slot.gap, False
        return head + b'"seq":%d,"batch":[%s],"dropped":%d,"gap":%s}' % (
            seq,
            b",".join(shown for _, shown in items),
            dropped,
            b"true" if gap else b"false",
        )
