"""What waits for the collector."""

from __future__ import annotations

import trio
from sipx_hep.outbox import OVERHEAD, Outbox, Traced


def message(name, size=100):
    return Traced(0.0, None, False, name, b"x" * size)


def test_the_oldest_make_room_and_are_counted():
    box = Outbox(3 * (100 + OVERHEAD))
    for name in (b"a", b"b", b"c", b"d", b"e"):
        box.put(message(name))
    assert (len(box), box.lost) == (3, 2)
    assert [one.call_id for one in box.take(2)] == [b"c", b"d"]
    box.put(message(b"f"))
    assert [one.call_id for one in box.take(9)] == [b"e", b"f"]
    assert box.lost == 2


def test_one_that_is_larger_than_all_is_lost():
    box = Outbox(1000)
    box.put(message(b"a", 2000))
    assert (len(box), box.lost) == (0, 1)
    box.put(message(b"b"))
    assert len(box) == 1


def test_a_reload_loses_nothing():
    old, new = Outbox(10_000), Outbox(10_000)
    old.put(message(b"a"))
    old.lost = 3
    new.take_over(old)
    assert (len(old), len(new), new.lost) == (0, 1, 3)


async def test_whoever_waits_wakes_at_the_first(autojump_clock):
    box = Outbox(10_000)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(box.filled)
        await trio.testing.wait_all_tasks_blocked()
        box.put(message(b"a"))
    await box.filled()
