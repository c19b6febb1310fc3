"""Answers that may have megabytes: few at a time, from when they are made until they are read.

Who asks for many and reads none of them would fill the memory, which SIP needs too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx import ControlError

if TYPE_CHECKING:
    from contextlib import ExitStack

    from sipx import Caller

LONG: Final = frozenset(
    f"monitor.{name}"
    for name in ("changes", "dialogs", "diff", "export", "ladder", "message", "messages")
)
MOST: Final = 8
FOR_VIEWERS: Final = 4
"""Who only looks leaves room for those who have to act."""
PATIENCE: Final = 10.0
"""Seconds that somebody waits for the others."""


class LongAnswers:
    """Those of one console."""

    def __init__(self) -> None:
        self._all = trio.Semaphore(MOST)
        self._viewers = trio.Semaphore(FOR_VIEWERS)

    async def room(self, held: ExitStack, method: str, caller: Caller) -> None:
        """Wait until an answer may be made; there is room for another when ``held`` is closed.

        Raises ControlError.
        """
        if method not in LONG:
            return
        with trio.move_on_after(PATIENCE) as waiting:
            for room in (self._viewers, self._all) if caller.role == "viewer" else (self._all,):
                await room.acquire()
                held.callback(room.release)
        if waiting.cancelled_caught:
            raise ControlError("busy", "others are being answered, and read slowly; try again")
