from __future__ import annotations

import logging

import pytest
import trio

from sipx.logs import TRACE, Wanted, recent
from sipx.logs.recent import Follower, Line, Recent


def _record(text="text", level=logging.INFO, area="sipx.test", **fields):
    record = logging.LogRecord(area, level, __file__, 1, text, None, None)
    vars(record).update(fields)
    return record


def test_the_last_lines_are_kept_and_no_more():
    kept = Recent(3)
    for number in range(10):
        kept.add(_record(f"line {number}", logging.DEBUG))
    assert len(kept) == 3
    assert [line.text for line in kept.last(10, Wanted())] == ["line 7", "line 8", "line 9"]
    assert [line.text for line in kept.last(1, Wanted())] == ["line 9"]


def test_what_happened_is_kept_longer_than_a_trace(monkeypatch):
    monkeypatch.setattr(recent, "KEPT_LONGER", 3)
    kept = Recent(5)
    for number in range(5):
        kept.add(_record(f"event {number}"))
        for _ in range(100):
            kept.add(_record("message", TRACE))
    events = kept.last(10, Wanted(level="info"))
    assert [line.text for line in events] == ["event 2", "event 3", "event 4"]
    assert [line.text for line in kept.last(7, Wanted())] == [
        "event 3",
        "event 4",
        *["message"] * 5,
    ]


def test_a_line_has_level_area_fields_and_traceback():
    record = _record("it failed", logging.ERROR, call_id="one", peer="udp:192.0.2.1:5060")
    record.exc_text = "  | boom"
    line = Line.of(record)
    assert (line.level, line.area, line.text) == ("error", "sipx.test", "it failed")
    assert line.fields == {"call_id": "one", "peer": "udp:192.0.2.1:5060"}
    assert line.traceback == "  | boom"
    assert line.time == record.created


@pytest.mark.parametrize(
    ("wanted", "is_wanted"),
    [
        (Wanted(), True),
        (Wanted(level="info"), True),
        (Wanted(level="warning"), False),
        (Wanted(area="sipx.test"), True),
        (Wanted(area="sipx.te"), False),
        (Wanted(area="sipx.test.below"), False),
        (Wanted(text="REFUSED"), True),
        (Wanted(text="call 4711"), True),
        (Wanted(text="call_id="), True),
        (Wanted(text="boom"), True),
        (Wanted(text=".*"), False),
        (Wanted(text="nothing"), False),
    ],
)
def test_lines_are_chosen_by_level_area_and_text(wanted, is_wanted):
    record = _record("refused MESSAGE", call_id="Call 4711")
    record.exc_text = "  | Boom"
    assert (record in wanted) is is_wanted


def test_no_text_is_a_pattern_whose_cost_nobody_can_bound():
    assert _record("a" * 5000) not in Wanted(text="(a+)+$!")


async def test_who_follows_gets_the_lines_from_now_on():
    kept = Recent()
    kept.add(_record("before"))
    got = []
    with Follower(kept, Wanted(text="wanted")) as follower:
        kept.add(_record("wanted 1"))
        kept.add(_record("other"))
        # From the thread of the log, as it really is.
        await trio.to_thread.run_sync(kept.add, _record("wanted 2"))
        async for line in follower:
            got.append(line.text)
            if len(got) == 2:
                break
    assert got == ["wanted 1", "wanted 2"]


async def test_who_follows_waits_for_a_line(nursery):
    kept = Recent()
    got = trio.Event()

    async def read(follower, *, task_status):
        with follower:
            task_status.started()
            async for line in follower:
                assert line.text == "at last"
                got.set()

    await nursery.start(read, Follower(kept, Wanted()))
    await trio.testing.wait_all_tasks_blocked()
    assert not got.is_set()
    await trio.to_thread.run_sync(kept.add, _record("at last"))
    await got.wait()
    nursery.cancel_scope.cancel()


async def test_who_does_not_keep_up_loses_lines_and_is_told(monkeypatch):
    monkeypatch.setattr(recent, "FOLLOWING", 10)
    kept = Recent()
    with Follower(kept, Wanted()) as follower:
        for number in range(25):
            kept.add(_record(f"line {number}"))
        assert follower.lost == 15
        kept.end()
        got = [line.text async for line in follower]
    assert got[:10] == [f"line {number}" for number in range(10)]
    assert got[10] == "15 lines were left out here: they came faster than they were read"
    assert len(got) == 11
    assert len(kept.last(100, Wanted())) == 25


async def test_following_ends_with_the_log():
    kept = Recent()
    with Follower(kept, Wanted()) as follower:
        kept.end()
        assert [line async for line in follower] == []
    kept.add(_record())
    assert kept._followers == ()


def test_a_follower_whose_trio_is_over_is_forgotten():
    kept = Recent()

    async def leave_it() -> None:
        kept.join(Follower(kept, Wanted()))

    trio.run(leave_it)
    kept.add(_record())
    assert kept._followers == ()
