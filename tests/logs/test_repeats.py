from __future__ import annotations

import logging

from sipx.logs import TRACE, repeats
from sipx.logs.repeats import MOST, WINDOW, Repeats

LOG = logging.getLogger("sipx.test")


def _record(text, level=logging.INFO, traceback=None, **fields):
    record = logging.LogRecord("sipx.test", level, __file__, 1, text, None, None)
    record.exc_text = traceback
    vars(record).update(fields)
    return record


def _texts(records):
    return [record.getMessage() for record in records]


def test_the_first_lines_are_written_and_the_others_summed_when_a_minute_is_over():
    summing = Repeats()
    written = [text for n in range(315) for text in _texts(summing.take(_record("x"), 0.1 * n))]
    assert written == ["x"] * 3
    assert list(summing.due(WINDOW - 0.1)) == []
    [summed] = summing.due(WINDOW)
    assert summed.getMessage() == "repeated 312 times in the last 60 s: x"
    assert (summed.repeated, summed.levelno, summed.name) == (312, logging.INFO, "sipx.test")
    assert list(summing.due(2 * WINDOW)) == []


def test_a_line_that_comes_late_brings_the_sum_with_it_in_the_right_order():
    summing = Repeats()
    for _ in range(5):
        list(summing.take(_record("x"), 0.0))
    assert _texts(summing.take(_record("y"), 200.0)) == [
        "repeated 2 times in the last 200 s: x",
        "y",
    ]


def test_after_a_sum_the_same_line_is_written_again():
    summing = Repeats()
    for _ in range(4):
        list(summing.take(_record("x"), 0.0))
    assert _texts(summing.take(_record("x"), WINDOW)) == ["repeated once in the last 60 s: x", "x"]


def test_what_did_not_repeat_leaves_no_sum():
    summing = Repeats()
    for _ in range(3):
        assert _texts(summing.take(_record("x"), 0.0)) == ["x"]
    assert summing.next_due() is None
    assert list(summing.flush(10.0)) == []


def test_lines_differ_by_level_area_text_and_traceback():
    summing = Repeats()
    one = _record("x")
    other = _record("x")
    other.name = "sipx.other"
    different = [
        one, other, _record("y"), _record("x", logging.ERROR), _record("x", traceback="boom"),
    ]  # fmt: skip
    for _ in range(4):
        for record in different:
            list(summing.take(record, 0.0))
    assert len(list(summing.flush(1.0))) == 5


def test_the_sum_has_the_fields_of_the_last_line():
    summing = Repeats()
    for number in range(6):
        list(summing.take(_record("x", call_id=f"call {number}"), 0.0))
    [summed] = summing.flush(2.0)
    assert summed.call_id == "call 5"


def test_traced_messages_are_never_summed():
    summing = Repeats()
    written = [r for _ in range(50) for r in summing.take(_record("x", TRACE), 0.0)]
    assert len(written) == 50


def test_ever_new_lines_do_not_grow_the_memory_and_lose_nothing():
    summing = Repeats()
    written = []
    for number in range(3 * MOST):
        for _ in range(4):
            written += summing.take(_record(f"line {number}"), 1.0)
    assert len(summing._seen) == MOST
    assert len(summing._summing) == MOST
    written += summing.flush(2.0)
    assert sum(getattr(record, "repeated", 1) for record in written) == 3 * MOST * 4


def test_next_due_is_a_minute_after_the_first_of_the_lines_that_are_summed():
    summing = Repeats()
    list(summing.take(_record("once"), 5.0))
    for _ in range(4):
        list(summing.take(_record("often"), 7.0))
    assert summing.next_due() == 7.0 + WINDOW


def test_in_the_log_a_sum_comes_when_its_time_has_come_although_nothing_is_logged(
    logged, clock, monkeypatch
):
    monkeypatch.setattr(repeats, "WRITTEN", 1)
    stream, logs = logged()
    with logs:
        for _ in range(10):
            LOG.info("again")
        while not logs.recent(1) or logs._listener._repeats.next_due() is None:
            pass
        clock.seconds += WINDOW
        logs._listener.wake()
        while len(logs.recent(10)) < 2:
            pass
        assert stream.events()[0] == "again"
        [last] = logs.recent(1)
    assert last.text.startswith("repeated ")
    assert sum(entry.get("repeated", 1) for entry in stream.entries()) == 10


def test_in_the_log_sums_are_flushed_at_the_end(logged):
    stream, logs = logged()
    with logs:
        for _ in range(10):
            LOG.info("again")
    assert stream.events() == ["again"] * 3 + ["repeated 7 times in the last 1 s: again"]
