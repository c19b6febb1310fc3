"""What waits for one client: in turn, in bounds, counted where it is lost."""

from __future__ import annotations

import json

import trio
from sipx_monitor.web import outbox as module
from sipx_monitor.web.outbox import AT_ONCE, BATCH_PAUSE, BYTES, ITEMS, STATE_PAUSE, Outbox


def made(count: int, first: int = 1, size: int = 0):
    return [(first + i, json.dumps("x" * size).encode()) for i in range(count)]


class Written:
    """What was written, and when."""

    def __init__(self) -> None:
        self.frames: list[dict] = []
        self.times: list[float] = []

    async def __call__(self, frame: bytes) -> None:
        self.frames.append(json.loads(frame))
        self.times.append(trio.current_time())


async def test_answers_go_before_events(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    box.events(1, 2, made(2))
    box.answer(b'{"id":1}')
    nursery.start_soon(box.run)
    await trio.sleep(1)
    assert written.frames == [
        {"id": 1},
        {
            "topic": "events",
            "subscription": 1,
            "seq": 2,
            "batch": ["", ""],
            "dropped": 0,
            "gap": False,
        },
    ]


async def test_batches_are_twenty_a_second(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    nursery.start_soon(box.run)
    for number in range(100):
        box.events(1, number + 1, made(1, number + 1))
        await trio.sleep(0.01)
    await trio.sleep(1)
    assert sum(len(frame["batch"]) for frame in written.frames) == 100
    assert len(written.frames) <= 1 / BATCH_PAUSE + 2


async def test_a_large_batch_is_several_frames_each_with_its_number(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    box.events(1, 2000, made(AT_ONCE + 100, 1001))
    nursery.start_soon(box.run)
    await trio.sleep(1)
    assert [(frame["seq"], len(frame["batch"])) for frame in written.frames] == [
        (1000 + AT_ONCE, AT_ONCE),
        (2000, 100),
    ]
    assert written.times[0] == written.times[1]


async def test_the_oldest_are_lost_and_counted(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    box.events(1, ITEMS + 7, made(ITEMS + 7), dropped=3)
    nursery.start_soon(box.run)
    await trio.sleep(5)
    assert sum(frame["dropped"] for frame in written.frames) == 10
    assert sum(len(frame["batch"]) for frame in written.frames) == ITEMS


async def test_bytes_are_bounded_over_all_subscriptions():
    box = Outbox(Written())
    for number in (1, 2):
        box.open("events", number, state=False)
        box.events(number, 100, made(100, size=BYTES // 80))
    waiting = sum(len(shown) for slot in box._slots.values() for _, shown in slot.items)
    assert waiting == box._bytes <= BYTES
    box.close(1)
    box.close(2)
    assert box._bytes == 0


async def test_of_a_state_the_newest_waits_and_comes_twice_a_second(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("status", 1, state=True)
    nursery.start_soon(box.run)
    for number in range(30):
        box.state(1, number, b"%d" % number)
        await trio.sleep(0.1)
    await trio.sleep(1)
    assert len(written.frames) <= 3 / STATE_PAUSE + 1
    assert written.frames[-1] == {"topic": "status", "subscription": 1, "seq": 29, "state": 29}


async def test_a_gap_is_told_without_events(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    box.events(1, 9, (), gap=True)
    nursery.start_soon(box.run)
    await trio.sleep(1)
    (frame,) = written.frames
    assert (frame["gap"], frame["batch"], frame["seq"]) == (True, [], 9)


async def test_what_is_closed_is_not_written(nursery, autojump_clock):
    written = Written()
    box = Outbox(written)
    box.open("events", 1, state=False)
    box.events(1, 1, made(1))
    box.close(1)
    box.events(1, 2, made(1))
    box.state(1, 1, b"1")
    nursery.start_soon(box.run)
    await trio.sleep(1)
    assert written.frames == []
    assert module.AT_ONCE < ITEMS
