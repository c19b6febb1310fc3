"""The store "memory": the table of bindings itself, which ends with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from sipx import Binding, BindingChange
    from sipx_registrar.bindings import Bindings


class MemoryStore:
    """Writes are there at once, and nobody waits for them."""

    name = "memory"

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings

    async def open(self) -> None:
        """There is nothing to open."""
        await trio.lowlevel.checkpoint()

    async def load(self) -> AsyncIterator[Sequence[Binding]]:
        """What the table holds."""
        for place in tuple(self._bindings.places()):
            await trio.lowlevel.checkpoint()
            yield self._bindings.of(place)

    async def write(self, changes: Sequence[BindingChange]) -> None:
        """Change the table."""
        await trio.lowlevel.checkpoint()
        self._bindings.apply(changes)

    async def close(self) -> None:
        """There is nothing to close."""
        await trio.lowlevel.checkpoint()
