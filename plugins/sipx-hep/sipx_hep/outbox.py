"""Messages that wait for the collector: bounded by bytes, the oldest are lost first."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

if TYPE_CHECKING:
    from sipx import Flow

OVERHEAD: Final = 400
"""Bytes that a message takes in memory beside its own, roughly."""


class Traced(NamedTuple):
    """A message as it passed; ``time`` is seconds since 1970."""

    time: float
    flow: Flow
    outgoing: bool
    call_id: bytes | None
    """None: it was not looked for yet."""
    data: bytes


class Outbox:
    """What the hot path puts in and one task takes out."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: deque[Traced] = deque()
        self._size = 0
        self._idle: trio.Event | None = None
        self.lost = 0
        """Messages that the collector did not get."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Traced) -> None:
        """Keep it until it is sent, or until others need its room. Never waits."""
        self._waiting.append(one)
        self._size += len(one.data) + OVERHEAD
        while self._size > self._limit and self._waiting:
            self._size -= len(self._waiting.popleft().data) + OVERHEAD
            self.lost += 1
        if self._idle is not None:
            self._idle.set()
            self._idle = None

    async def filled(self) -> None:
        """Wait until there is a message."""
        while not self._waiting:
            if self._idle is None:
                self._idle = trio.Event()
            await self._idle.wait()

    def take(self, most: int) -> list[Traced]:
        """The oldest ones, ``most`` at most."""
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._size -= sum(len(one.data) + OVERHEAD for one in taken)
        return taken

    def take_over(self, old: Outbox, *, keep: bool = True) -> None:
        """What waited before a reload, and what was counted. It is lost where nobody takes it."""
        self.lost += old.lost
        waited = old.take(len(old))
        if not keep:
            self.lost += len(waited)
            return
        for one in waited:
            self.put(one)
