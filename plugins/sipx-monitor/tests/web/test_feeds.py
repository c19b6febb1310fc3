"""States that fail and come back, streams that end, and what a feed costs."""

from __future__ import annotations

import json
import logging

import pytest
import trio
from pydantic import BaseModel
from sipx_monitor.web.feeds import FEEDS, KEPT, Feeds
from sipx_monitor.web.topics import StateTopic, StreamTopic

from sipx import Caller, ControlError

LOG = logging.LoggerAdapter(logging.getLogger("sipx.plugin.monitor"), {})
CALLER = Caller("anna", role="viewer")
STATE = StateTopic("status", "status")
STREAM = StreamTopic("events", "events")


class Value(BaseModel):
    number: int


class Control:
    """A control API of two methods."""

    def __init__(self) -> None:
        self.value: int | Exception = 1
        self.calls = 0
        self.takes = 0.0
        self.stuck: trio.Event | None = None
        self.send, self.receive = trio.open_memory_channel[object](10_000)

    async def call(self, name, params, caller):
        self.calls += 1
        await trio.sleep(self.takes)
        if self.stuck is not None:
            with trio.CancelScope(shield=True):  # as a thread is, which nobody can end
                await self.stuck.wait()
        if isinstance(self.value, Exception):
            raise self.value
        return Value(number=self.value)

    async def events(self, name, params, caller):
        if caller.user == "console":
            await trio.sleep_forever()
        async for value in self.receive:
            if isinstance(value, Exception):
                raise value
            yield Value(number=value)


class Taker:
    def __init__(self) -> None:
        self.states: list = []
        self.errors: list = []
        self.events: list = []
        self.gaps = 0

    def take_state(self, seq, shown):
        self.states.append((seq, json.loads(shown)["number"]))

    def take_error(self, seq, shown):
        self.errors.append(json.loads(shown)["code"])

    def take_events(self, seq, items, *, dropped, gap):
        self.events += [(number, json.loads(shown)["number"]) for number, shown in items]
        self.gaps += gap


@pytest.fixture
async def lab(nursery):
    control = Control()
    feeds = Feeds(control, {}, LOG)
    await nursery.start(feeds.run)
    return control, feeds


async def test_a_state_that_fails_says_so_once_and_comes_back(lab, autojump_clock):
    control, feeds = lab
    taker = Taker()
    feed = await feeds.state(STATE, {}, CALLER)
    feed.add(taker, None)
    control.value = ControlError("not now", "it restarts")
    await trio.sleep(5)
    control.value = 1
    await trio.sleep(5)
    assert taker.states == [(1, 1), (3, 1)]
    assert taker.errors == ["not now"]


async def test_who_comes_while_a_state_fails_is_told_why(lab, autojump_clock):
    control, feeds = lab
    (await feeds.state(STATE, {}, CALLER)).add(Taker(), None)
    control.value = ControlError("not now", "it restarts")
    await trio.sleep(5)
    late = Taker()
    (await feeds.state(STATE, {}, CALLER)).add(late, None)
    await trio.sleep(5)
    assert late.errors == ["not now"]
    control.value = 1
    await trio.sleep(5)
    assert late.states == [(3, 1)]


async def test_who_comes_while_a_feed_ends_gets_another(lab, autojump_clock):
    control, feeds = lab
    old = await feeds.state(STATE, {}, CALLER)
    control.stuck = trio.Event()
    while not feeds._feeds[feeds._key("status", {}, CALLER)][1].cancel_called:
        await trio.sleep(0.1)
    stuck, control.stuck, control.value = control.stuck, None, 2
    taker = Taker()
    try:
        new = await feeds.state(STATE, {}, CALLER)
        new.add(taker, None)
    finally:
        stuck.set()
    assert new is not old
    control.value = 3
    await trio.sleep(5)
    assert taker.states == [(1, 2), (2, 3)]
    assert await feeds.state(STATE, {}, CALLER) is new


async def test_a_state_that_fails_at_first_is_an_answer(lab):
    control, feeds = lab
    control.value = ControlError("params", "no")
    with pytest.raises(ControlError):
        await feeds.state(STATE, {}, CALLER)
    assert not feeds._feeds


async def test_what_takes_long_is_looked_at_less_often(lab, autojump_clock):
    control, feeds = lab
    control.takes = 0.5
    (await feeds.state(STATE, {}, CALLER)).add(Taker(), None)
    before = control.calls
    await trio.sleep(105)
    assert control.calls - before <= 11


async def test_roles_do_not_share(lab):
    _, feeds = lab
    one = await feeds.state(STATE, {}, CALLER)
    assert await feeds.state(STATE, {}, Caller("bob", role="viewer")) is one
    assert await feeds.state(STATE, {}, Caller("anna", role="admin")) is not one
    assert await feeds.state(STATE, {"limit": 1}, CALLER) is not one


async def test_a_fault_of_ours_costs_a_feed(lab, autojump_clock, caplog):
    control, feeds = lab
    taker = Taker()
    feed = await feeds.state(STATE, {}, CALLER)
    feed.add(taker, None)
    control.value = ZeroDivisionError("secret")
    await trio.sleep(5)
    assert taker.errors == ["internal"]
    assert "internal error while status was watched" in caplog.text
    control.value = 2
    again = await feeds.state(STATE, {}, CALLER)
    assert again is not feed


async def test_a_stream_that_fails_says_so(lab, autojump_clock):
    control, feeds = lab
    taker = Taker()
    feeds.stream(STREAM, {}, CALLER).add(taker, None)
    control.send.send_nowait(1)
    control.send.send_nowait(ControlError("failed", "it ended"))
    await trio.sleep(1)
    assert taker.errors == ["failed"]


async def test_so_many_events_are_kept_for_who_comes_back(lab, autojump_clock):
    control, feeds = lab
    feed = feeds.stream(STREAM, {}, CALLER)
    begun = feed.add(Taker(), None)
    for number in range(KEPT + 10):
        control.send.send_nowait(number)
    await trio.sleep(2)
    late, early = Taker(), Taker()
    feed.add(late, begun + 10)
    feed.add(early, begun + 9)
    assert late.events == [(begun + n + 1, n) for n in range(10, KEPT + 10)]
    assert (late.gaps, early.gaps) == (0, 1)
    assert early.events == late.events


async def test_feeds_are_bounded_and_viewers_leave_half_of_them_to_others(lab):
    _, feeds = lab
    for number in range(FEEDS // 2):
        feeds.stream(STREAM, {"n": number}, CALLER)
    with pytest.raises(ControlError, match="watched already"):
        feeds.stream(STREAM, {"n": -1}, CALLER)
    admin = Caller("eva", role="admin")
    for number in range(FEEDS // 2):
        feeds.stream(STREAM, {"n": number}, admin)
    with pytest.raises(ControlError, match="watched already"):
        feeds.stream(STREAM, {"n": -1}, admin)
