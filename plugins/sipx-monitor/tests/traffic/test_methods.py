"""Lists, pages, streams and marks, as they are asked for."""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing

import pytest
import trio
from sipx_monitor import slices
from sipx_monitor.traffic import methods
from sipx_monitor.traffic.live import TICK
from sipx_monitor.traffic.methods import MOST_IN_BATCH
from sipx_monitor.traffic.showing import Shower
from sipx_monitor.traffic.tap import MOST

from sipx import ControlError


def seqs(found):
    """The numbers of messages."""
    return [message.seq for message in getattr(found, "messages", None) or found.batch]


async def test_pages_go_back_from_the_newest_and_on_from_any(ask):
    for number in range(5):
        ask.recorder.call(number)
    last = await ask("messages", limit=10)
    assert (seqs(last), last.complete, last.matched) == (list(range(36, 46)), False, 10)
    before = await ask("messages", limit=10, before=36)
    assert seqs(before) == list(range(26, 36))
    after = await ask("messages", limit=3, after=36)
    assert (seqs(after), after.complete) == ([37, 38, 39], False)
    between = await ask("messages", after=3, before=6)
    assert (seqs(between), between.complete) == ([4, 5], True)
    whole = await ask("messages", filter="method:ACK dir:in")
    assert (seqs(whole), whole.complete, whole.first, whole.last) == (
        [8, 17, 26, 35, 44], True, 1, 45,
    )  # fmt: skip


async def test_a_wrong_filter_is_a_wrong_parameter(ask):
    with pytest.raises(ControlError, match=r"filter: there is no field 'methd'; did you mean"):
        await ask("messages", filter="methd:x")


async def test_summaries_say_what_is_known(ask):
    ask.recorder.call()
    first, *_, last = (await ask("messages", filter="seq:1 or seq:7")).messages
    assert first.domain == last.domain == "far.example"
    assert (first.source, first.target, first.local) == (
        "192.0.2.7:5060", "10.0.0.1:5060", "10.0.0.1:5060",
    )  # fmt: skip
    assert (first.sdp, first.body, first.body_type) == (True, "kept", "application/sdp")
    assert last.rtt == pytest.approx(0.06)
    assert first.dialog == last.dialog
    assert first.transaction == last.transaction


async def test_a_message_is_shown_line_by_line(ask, lines):
    ask.recorder.call()
    found = await ask("message", seq=1)
    assert found.head[0].part == "start"
    assert found.head[1].name == "Via"
    assert found.head[1].value.startswith("SIP/2.0/UDP ua.example")
    assert found.text.startswith("INVITE sip:bob@far.example SIP/2.0\nVia: ")
    assert found.body.startswith("v=0\n")
    assert found.twin == 3
    shown = await ask("message", role="viewer", seq=1)
    assert (shown.body, shown.message.body) == ("", "dropped")
    assert shown.body_note == "bodies are not shown to viewers; ask for the role operator"
    assert "m=audio" not in shown.text
    ask.recorder.add(lines.request("MESSAGE"), body=b"a chat")
    chat = await ask("message", seq=10)
    assert chat.body_note == (
        'the body (text/plain) was not recorded: monitor.capture_bodies is "sdp"'
    )


async def test_bodies_that_are_no_text_are_shown_escaped(ask, lines):
    ask.recorder.store.bodies = "all"
    ask.recorder.add(lines.request("MESSAGE"), body=b"a\x1b[31m\r\nb\tc\xff\0")
    assert (await ask("message", seq=1)).body == "a\\x1b[31m\nb\tc\\xff\\x00"


async def test_marks_are_set_and_taken_away(ask):
    ask.recorder.call()
    assert (await ask("mark", seqs=[1, 2], colour="red", note="look")).text == (
        "2 messages marked red"
    )
    assert seqs(await ask("messages", filter="marked:red note:look")) == [1, 2]
    assert (await ask("mark", seqs=[1], colour="")).text == "1 message no longer marked"
    assert seqs(await ask("messages", filter="~marked")) == [2]
    with pytest.raises(ControlError, match="none of these messages is kept any more"):
        await ask("mark", seqs=[99])


def test_what_changes_something_needs_an_operator(ask):
    roles = {name: method.role for name, method in ask._methods.items()}
    changing = {name.removeprefix("monitor.") for name, role in roles.items() if role != "viewer"}
    assert changing == {"mark", "clear", "record"}
    assert {roles[f"monitor.{name}"] for name in changing} == {"operator"}


# ---------------------------------------------------------------- following


async def tell(running, lines, count=1):
    """Messages through the tap, as the kernel would hand them on."""
    for _ in range(count):
        running.number = getattr(running, "number", 0) + 1
        name = f"n{running.number}"
        running.recorder.add(lines.request("MESSAGE", branch=name, call=name))
    running.traffic.live.news.set()
    running.traffic.live.news = trio.Event()


async def test_who_follows_gets_what_comes_in_batches(running, lines, autojump_clock):
    await tell(running, lines, 3)
    events = running.follow(filter="method:MESSAGE")
    first = await anext(events)
    assert (seqs(first), first.seq, first.gap, first.dropped) == ([], 3, False, 0)
    assert running.traffic.live.watchers == 1
    await tell(running, lines, 2)
    begun = trio.current_time()
    assert seqs(await anext(events)) == [4, 5]
    await tell(running, lines, 1)
    assert seqs(await anext(events)) == [6]
    assert trio.current_time() - begun >= TICK  # at most so many in a second
    await events.aclose()
    assert running.traffic.live.watchers == 0


async def test_who_comes_back_resumes_or_hears_of_the_gap(running, lines, autojump_clock):
    running.traffic.live.store.most_messages = 10
    await tell(running, lines, 8)
    events = running.follow(since=5)
    batch = await anext(events)
    assert (seqs(batch), batch.gap) == ([6, 7, 8], False)
    await events.aclose()
    await tell(running, lines, 10)
    events = running.follow(since=5)
    batch = await anext(events)
    assert (seqs(batch), batch.gap) == (list(range(9, 19)), True)
    await events.aclose()
    events = running.follow(since=4711)  # of another process
    batch = await anext(events)
    assert (seqs(batch), batch.seq, batch.gap) == ([], 18, True)
    await events.aclose()


async def test_who_is_slow_hears_how_many_were_missed(running, lines, autojump_clock):
    running.traffic.live.store.most_messages = 10
    events = running.follow()
    await anext(events)
    await tell(running, lines, 50)
    batch = await anext(events)
    assert (seqs(batch), batch.dropped) == (list(range(41, 51)), 40)
    await events.aclose()


async def test_a_batch_is_bounded(running, lines, autojump_clock):
    events = running.follow()
    await anext(events)
    await tell(running, lines, MOST_IN_BATCH + 7)
    sizes = [len((await anext(events)).batch) for _ in range(2)]
    assert sizes == [MOST_IN_BATCH, 7]
    await events.aclose()


async def test_a_filter_that_wants_little_stays_silent(running, lines, autojump_clock):
    events = running.follow(filter="code:5xx")
    assert (await anext(events)).seq == 0
    await tell(running, lines, 20)
    await tell(running, lines, 20)
    with trio.move_on_after(5):
        raise AssertionError(await anext(events))
    await events.aclose()


async def test_the_tap_is_bounded(ask, lines):
    from types import SimpleNamespace

    from sipx import Direction

    tap = ask.traffic.live.tap
    message = SimpleNamespace(start=b"OPTIONS a SIP/2.0", lines=[b"Via: x"], body=b"x" * 100)
    for _ in range(MOST + 5):
        tap.message_traced(message, None, Direction.IN)
    assert (len(tap), tap.lost) == (MOST, 5)
    big = SimpleNamespace(start=b"", lines=[], body=b"x" * (40 << 20))
    tap._waiting.clear()
    tap._bytes = 0
    for _ in range(3):
        tap.message_traced(big, None, Direction.IN)
    assert (len(tap), tap.lost) == (1, 7)


async def test_others_run_while_many_messages_are_searched(ask, lines):
    ask.recorder.store.most_messages = 10_000
    for number in range(3000):
        ask.recorder.add(lines.request("MESSAGE", branch=f"b{number}", call=f"c{number}"))
    turns = 0

    async def others():
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        assert (await ask("messages", filter="nowhere")).matched == 0
        nursery.cancel_scope.cancel()
    assert turns >= 3000 // 200 - 1


async def test_a_message_of_thousands_of_lines_is_shown_while_others_run(
    ask, lines, nursery, monkeypatch
):
    monkeypatch.setattr(slices, "LONGEST", 0.0)
    message = ask.recorder.add(lines.request(headers=["X: 1"] * 5000))
    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    nursery.start_soon(others)
    found = await ask("message", seq=message.seq)
    assert len(found.head) > 5000
    assert turns > 5000


async def test_lists_are_made_one_behind_the_other(ask, monkeypatch):
    """Half made, one takes many times the memory that it takes when it is written down."""
    monkeypatch.setattr(slices, "LONGEST", 0.0)
    for number in range(5):
        ask.recorder.call(number)
    made, summary = [], Shower.summary

    def noted(shower, message, *, viewer):
        made.append(trio.lowlevel.current_task())
        return summary(shower, message, viewer=viewer)

    monkeypatch.setattr(Shower, "summary", noted)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask, "messages")
    assert len(made) == 3 * 45
    assert made == sorted(made, key=made.index)


async def test_not_everybody_may_follow_and_viewers_leave_room(ask, monkeypatch):
    """Each of them looks at every message that passes, with a filter of its own."""
    monkeypatch.setattr(methods, "MOST_FOLLOWERS", 4)
    async with AsyncExitStack() as stack:

        async def follow(role):
            events = await stack.enter_async_context(aclosing(ask.follow(role=role)))
            return await anext(events)

        for role in ("viewer", "viewer", "admin"):
            await follow(role)
        with pytest.raises(ControlError, match="3 follow the messages already"):
            await follow("viewer")
        await follow("operator")
        with pytest.raises(ControlError, match="4 follow"):
            await follow("admin")
    async with aclosing(ask.follow(role="viewer")) as events:
        await anext(events)
