from __future__ import annotations

import io
import logging
import threading
from pathlib import Path

import pytest
import trio

from sipx.config.model import LogConfig
from sipx.logs import TRACE, Logs, Wanted

LOG = logging.getLogger("sipx.test")


def _written(logs: Logs) -> None:
    """Wait until the thread has come as far as now."""
    done = threading.Event()
    logs.in_turn(done.set)
    assert done.wait(30)


@pytest.mark.parametrize(
    ("level", "written"),
    [("error", 1), ("warning", 2), ("info", 3), ("debug", 4), ("trace", 5)],
)
def test_the_level_of_the_configuration_decides_what_is_written(logged, level, written):
    stream, started = logged(level=level)
    with started:
        for number in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, TRACE):
            LOG.log(number, "x")
    assert len(stream.entries()) == written


def test_the_logger_is_left_as_it_was(logged):
    logger = logging.getLogger("sipx")
    before = (logger.level, logger.propagate, list(logger.handlers))
    _, started = logged(level="trace", levels={"test": "debug"})
    with started:
        pass
    assert (logger.level, logger.propagate, logger.handlers) == before
    assert LOG.level == logging.NOTSET


@pytest.mark.parametrize(
    ("form", "terminal", "is_text"),
    [
        ("auto", True, True),
        ("auto", False, False),
        ("text", False, True),
        ("json", True, False),
    ],
)
def test_the_format_is_text_on_a_terminal_unless_the_file_says_otherwise(form, terminal, is_text):
    stream = io.StringIO()
    with Logs(LogConfig(format=form), stream, terminal=terminal, color=False):
        LOG.info("hello")
    assert stream.getvalue().startswith("{") is not is_text


def test_the_handlers_of_plugins_get_harmless_records(logged, keeping):
    _, started = logged()
    keeping.setLevel(logging.WARNING)
    with started:
        started.add([keeping])
        LOG.warning("password=%s\nnext", "s3cr3t")
        LOG.info("below its level")
    assert keeping.texts() == ["password=[masked]\\nnext"]
    assert keeping.formatter is not None


def test_areas_have_levels_of_their_own(logged):
    stream, logs = logged(level="error", levels={"test": "debug", "sipx.quiet": "error"})
    with logs:
        LOG.debug("shown")
        logging.getLogger("sipx.quiet").warning("hidden")
        logging.getLogger("sipx.other").warning("hidden")
    assert stream.events() == ["shown"]


def test_a_level_is_changed_while_it_runs_and_goes_back_although_nothing_is_logged(logged, clock):
    stream, logs = logged()
    changed: list[int] = []
    with logs:
        logs.on_levels = lambda: changed.append(LOG.getEffectiveLevel())
        assert logs.set_level("test", "trace", 600).left == 600
        LOG.debug("seen")
        clock.seconds += 600
        logs._listener.wake()
        _written(logs)
        _written(logs)
        assert not LOG.isEnabledFor(logging.DEBUG)
        LOG.debug("not seen")
    assert changed == [TRACE, logging.INFO]
    assert stream.events() == [
        "level of sipx.test is now trace for 600 s",
        "seen",
        "level of sipx.test is what it was before",
    ]


@pytest.mark.parametrize(("area", "level"), [("a b", "debug"), ("test", "loud")])
def test_what_is_no_area_or_no_level_is_refused(logged, area, level):
    _, logs = logged()
    with logs, pytest.raises(ValueError, match="is no"):
        logs.set_level(area, level)


def test_another_table_changes_levels_and_format(logged):
    stream, logs = logged()
    with logs:
        LOG.info("as JSON")
        logs.reconfigure(LogConfig(level="debug", format="text"))
        _written(logs)
        LOG.debug("as text")
    first, second = stream.getvalue().splitlines()
    assert first.startswith("{")
    assert "as text" in second
    assert not second.startswith("{")


def test_the_last_lines_can_be_asked_for(logged):
    _, logs = logged()
    with logs:
        for number in range(5):
            LOG.warning("line %d", number, extra={"peer": "password=s3cr3t"})
        _written(logs)
        lines = logs.recent(2, Wanted(level="warning", text="line"))
    assert [line.text for line in lines] == ["line 3", "line 4"]
    assert lines[0].fields == {"peer": "password=[masked]"}


async def test_a_line_reaches_who_follows(logged):
    _, logs = logged()
    with logs, logs.follow(Wanted(level="warning")) as follower:
        LOG.info("no")
        LOG.warning("yes")
        with trio.fail_after(30):
            async for line in follower:
                assert line.text == "yes"
                break


def test_files_that_were_moved_away_are_opened_anew(logged, tmp_path):
    class Reopening(logging.FileHandler):
        def reopen(self) -> None:
            self.close()
            self.stream = self._open()

    path = tmp_path / "own.log"
    _, logs = logged()
    with logs:
        logs.add([Reopening(path), logging.NullHandler()])
        LOG.info("before")
        _written(logs)
        path.rename(tmp_path / "moved.log")
        LOG.info("between")
        assert logs.reopen() == 1
        LOG.info("after")
    assert [line.split('"event":')[0] for line in path.read_text().splitlines()] != []
    assert "after" in path.read_text()
    assert "between" not in path.read_text()
    moved = (tmp_path / "moved.log").read_text()
    assert "before" in moved
    assert "between" in moved


def test_the_files_of_handlers_are_listed_and_those_without_files_are_not_asked(logged, keeping):
    class WithFiles(logging.NullHandler):
        def files(self):
            return [Path("/a/new.log"), Path("/a/old.log")]

    _, logs = logged()
    with logs:
        logs.add([keeping, WithFiles()])
        assert logs.files() == (Path("/a/new.log"), Path("/a/old.log"))


def test_handlers_that_are_not_used_any_more_are_closed_behind_their_lines(logged, keeping):
    closed: list[list[str]] = []

    class Old(type(keeping)):
        def close(self) -> None:
            closed.append(self.texts())
            super().close()

    old = Old()
    _, logs = logged()
    with logs:
        logs.use([old])
        LOG.info("for the old one")
        _written(logs)
        logs.use([keeping])
        LOG.info("for the new one")
        _written(logs)
        assert closed == [["for the old one"]]
    assert keeping.texts() == ["for the new one"]
