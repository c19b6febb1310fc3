from __future__ import annotations

import logging
import threading

from sipx.logs import listener, queueing

LOG = logging.getLogger("sipx.test")


def test_a_handler_that_raises_loses_its_lines_and_no_others_do(logged, keeping, capfd):
    class Broken(logging.Handler):
        def handle(self, record: logging.LogRecord) -> bool:
            raise OSError("no such disk")

    stream, logs = logged()
    with logs:
        logs.add([Broken(), keeping])
        for number in range(3):
            LOG.info("line %d", number)
    assert len(stream.events()) == len(keeping.texts()) == 3
    assert capfd.readouterr().err.count("Broken loses lines: no such disk") == 1


def test_an_order_that_fails_costs_no_line(logged, capfd):
    stream, logs = logged()
    with logs:
        logs.in_turn(lambda: 1 / 0)
        LOG.info("next")
    assert stream.events() == ["next"]
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_an_order_that_finds_no_place_in_the_queue_is_obeyed_all_the_same(logged, monkeypatch):
    monkeypatch.setattr(queueing, "QUEUE_SIZE", 2)
    blocked, go_on, obeyed = threading.Event(), threading.Event(), threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            go_on.wait()

    _, logs = logged()
    with logs:
        logs.add([Blocking()])
        LOG.info("one")
        blocked.wait()
        for _ in range(3):
            LOG.info("fills")
        logs.in_turn(obeyed.set)
        assert not obeyed.is_set()
        go_on.set()
        assert obeyed.wait(30)


def test_who_blocks_for_ever_does_not_keep_the_process_from_ending(logged, monkeypatch):
    monkeypatch.setattr(listener, "STOP_WAITS", 0.05)
    blocked, go_on = threading.Event(), threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            go_on.wait()

    _, logs = logged()
    with logs:
        logs.add([Blocking()])
        LOG.info("stuck")
        blocked.wait()
    go_on.set()
