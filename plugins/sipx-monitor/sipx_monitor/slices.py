"""Work in slices: SIP never waits for more than one of them, whoever else has work as well."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from types import TracebackType

LONGEST: Final = 0.00015
"""Seconds of work without a pause: what forwarding one message takes."""
_TURN: Final = trio.Lock()
"""Who works. All that is ready runs before the network is looked at again, so what several tasks
do there one behind the other is one long slice to SIP.
"""


class Slices:
    """Within ``async with`` it is this task's turn; ``next`` gives it away when it was long
    enough. Nothing else may be awaited in there.
    """

    def __init__(self) -> None:
        self._ends = 0.0
        self._ours = False

    async def __aenter__(self) -> Slices:
        await self._begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    async def next(self) -> None:
        """A piece of the work is done."""
        if perf_counter() >= self._ends:
            self._end()
            await self._begin()

    async def _begin(self) -> None:
        await _TURN.acquire()
        self._ours = True
        self._ends = perf_counter() + LONGEST

    def _end(self) -> None:
        if self._ours:
            self._ours = False
            _TURN.release()
