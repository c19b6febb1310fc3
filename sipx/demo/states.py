"""The states of the UC servers, as the registrar of the show reports them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

REGISTRAR: Final = "registrar"
PATIENCE: Final = 10.0
"""Seconds after which a state is not waited for any more; the ledger then finds out why."""


class States:
    """Watches the kernel. ``say`` shows a line; those that the log tells are not shown twice."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._states: dict[str, str] = {}
        self._changed = trio.Event()

    def note(self, plugin: str, event: object) -> None:
        """A plugin reports something."""
        after = getattr(event, "after", None)
        if plugin != REGISTRAR or not isinstance(after, str):
            return
        name, before = (str(getattr(event, key, "")) for key in ("name", "before"))
        self._states[name] = after
        if after == "up" and before != "never seen":
            self._say(f"{name} is up, was {before}: {getattr(event, 'why', '')}")
        self._changed.set()
        self._changed = trio.Event()

    async def becomes(self, server: str, state: str) -> None:
        """Wait until a server is in a state, but not for ever."""
        with trio.move_on_after(PATIENCE):
            while self._states.get(server) != state:
                await self._changed.wait()
