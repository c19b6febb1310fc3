"""Looking through what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx_monitor.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.store import Store

    Wanted = Callable[[Message], bool]


async def newest(
    store: Store, wanted: Wanted, limit: int, *, after: int = 0, before: int | None = None
) -> tuple[list[Message], bool]:
    """The last messages that are wanted, in order, and whether these are all."""
    found: list[Message] = []
    seq = store.last if before is None else min(before - 1, store.last)
    async with Slices() as slices:
        while seq >= store.first and seq > after:
            message = store.get(seq)
            if message is not None and wanted(message):
                if len(found) == limit:
                    return found[::-1], False
                found.append(message)
            seq -= 1
            await slices.next()
    return found[::-1], True


async def oldest(
    store: Store, wanted: Wanted, limit: int, *, after: int, before: int | None = None
) -> tuple[list[Message], bool]:
    """The first messages behind a number that are wanted, in order, and whether these are all."""
    found: list[Message] = []
    last = store.last if before is None else min(before - 1, store.last)
    seq = max(after + 1, store.first)
    async with Slices() as slices:
        while seq <= last:
            message = store.get(seq)
            if message is not None and wanted(message):
                if len(found) == limit:
                    return found, False
                found.append(message)
            seq += 1
            await slices.next()
    return found, True
