"""What waits to be written to one client: answers, and the events of its streams, in bounds."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

import trio

from sipx.control import rpc

if TYPE_CHECKING:
    from sipx.control.errors import ControlError

EVENTS: Final = 1000
"""Events that may wait for one client; beyond that the oldest is dropped and counted."""
EVENT_BYTES: Final = 1 << 20
"""Bytes of events that may wait for one client."""
WRITE_TIMEOUT: Final = 60.0
"""Seconds that a client may take to read what is written to it."""


class Outbox:
    """One client's. ``run`` writes; the others only say what."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._answers: deque[tuple[bytes, trio.Event]] = deque()
        self._events: deque[tuple[int, bytes]] = deque()
        self._bytes = 0
        self._ends: deque[tuple[int, ControlError | None]] = deque()
        self._dropped: Counter[int] = Counter()
        self._something = trio.Event()

    async def answer(self, line: bytes) -> None:
        """Write a response, before all events that wait, and come back when that is done."""
        done = trio.Event()
        self._answers.append((line, done))
        self._something.set()
        await done.wait()

    def event(self, subscription: int, shown: bytes) -> None:
        """Write an event, which is JSON already, when the client reads."""
        self._events.append((subscription, shown))
        self._bytes += len(shown)
        while len(self._events) > EVENTS or self._bytes > EVENT_BYTES:
            whose, lost = self._events.popleft()
            self._bytes -= len(lost)
            self._dropped[whose] += 1
        self._something.set()

    def end(self, subscription: int, error: ControlError | None) -> None:
        """Say that a stream has ended, behind its last event."""
        self._ends.append((subscription, error))
        self._something.set()

    def forget(self, subscription: int) -> None:
        """Drop what waits of a stream that nobody wants any more."""
        kept = [one for one in self._events if one[0] != subscription]
        self._events = deque(kept)
        self._bytes = sum(len(shown) for _, shown in kept)
        self._dropped.pop(subscription, None)

    async def run(self) -> None:
        """Write until cancelled. Raises BrokenResourceError for a client that does not read."""
        while True:
            await self._something.wait()
            self._something = trio.Event()
            while self._answers or self._events or self._ends:
                await self._next()

    async def _next(self) -> None:
        if self._answers:
            line, done = self._answers.popleft()
            await self._write(line)
            done.set()
        elif self._events:
            subscription, shown = self._events.popleft()
            self._bytes -= len(shown)
            await self._write(rpc.event(subscription, shown, self._dropped.pop(subscription, 0)))
        else:
            subscription, error = self._ends.popleft()
            await self._write(rpc.end(subscription, error, self._dropped.pop(subscription, 0)))

    async def _write(self, line: bytes) -> None:
        with trio.move_on_after(WRITE_TIMEOUT):
            await self._stream.send_all(line + b"\n")
            return
        raise trio.BrokenResourceError("the client does not read")
