from __future__ import annotations

import logging
import threading

from sipx.logs import Queueing, queueing

LOG = logging.getLogger("sipx.test")


def test_what_a_line_shows_is_fixed_when_it_is_logged(logged):
    stream, started = logged()
    changing = ["before"]
    with started:
        LOG.info("it was %s", changing)
        changing[0] = "after"
    assert stream.entries()[0]["event"] == "it was ['before']"


class Blocking(logging.Handler):
    """A handler on a disk that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.blocked = threading.Event()
        self.go_on = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.blocked.set()
        self.go_on.wait()


def test_a_handler_that_blocks_does_not_block_who_logs(logged, monkeypatch):
    monkeypatch.setattr(queueing, "QUEUE_SIZE", 10)
    handler = Blocking()
    stream, started = logged()
    with started:
        started.add([handler])
        LOG.info("the first")
        handler.blocked.wait()
        for number in range(100):
            LOG.info("line %d", number)
        [queue] = [h for h in logging.getLogger("sipx").handlers if isinstance(h, Queueing)]
        assert queue.lost == started.lost == 90
        handler.go_on.set()
        while queue.queue.qsize() > 5:
            threading.Event().wait(0.001)
        LOG.info("the last")
    events = stream.events()
    assert "90 log lines were lost: they came faster than they could be written" in events
    assert events[-1] == "the last"
    assert started.lost == 90
    assert queue.lost == 0


def test_a_line_whose_values_do_not_fit_is_told_without_them(logged, capfd):
    stream, started = logged()
    with started:
        LOG.info("%d of them", "password=s3cr3t")
        LOG.info("next")
    first, second = stream.events()
    assert "cannot be written (TypeError): %d of them" in first
    assert "test_queueing.py" in first
    assert second == "next"
    assert "s3cr3t" not in stream.getvalue() + "".join(capfd.readouterr())


def test_a_value_that_has_no_text_costs_no_line(logged):
    class Broken:
        def __str__(self) -> str:
            raise ValueError("password=s3cr3t")

    stream, started = logged()
    with started:
        LOG.info("a line", extra={"peer": Broken()})
    [entry] = stream.entries()
    assert entry["peer"] == "[Broken without a text: ValueError]"
