"""The log by the control API."""

from __future__ import annotations

import base64
import io
import logging
import threading
from pathlib import Path

import pytest
import trio

from sipx.config.model import LogConfig
from sipx.control.errors import ControlError
from sipx.control.logs import LevelParams, LinesParams, LogMethods, ReadParams
from sipx.control.methods import Method
from sipx.logs import Logs

LOG = logging.getLogger("sipx.test")


@pytest.fixture
def logs():
    with Logs(LogConfig(level="debug"), io.StringIO(), terminal=False, color=False) as begun:
        yield begun


@pytest.fixture
def methods(logs):
    return LogMethods(logs)


def written(logs):
    """Wait for the thread."""
    done = threading.Event()
    logs.in_turn(done.set)
    assert done.wait(30)


def test_they_are_methods_of_the_control_api(methods):
    described = {name: Method.of(name, f) for name, f in methods.methods().items()}
    assert all(method.help for method in described.values())
    assert {name for name, method in described.items() if method.stream} == {"log.follow"}
    assert {name for name, method in described.items() if method.changing} == {
        "log.level",
        "log.read",
        "log.reopen",
    }


def test_a_level_is_changed_and_listed(methods):
    changed = methods.level(LevelParams(area="test", level="trace", seconds=600))
    assert (changed.area, changed.level, changed.by, changed.known) == (
        "sipx.test",
        "trace",
        "change",
        True,
    )
    assert changed.left == pytest.approx(600, abs=5)
    listed = {one.area: one for one in methods.levels().levels}
    assert listed["sipx.test"].level == "trace"
    assert (listed["sipx"].level, listed["sipx"].by) == ("debug", "file")


def test_an_area_that_nobody_logs_in_is_taken_and_said_to_be_unknown(methods):
    for _ in range(2):
        assert not methods.level(LevelParams(area="prxoy", level="debug")).known
    logging.getLogger("sipx.made-later.below")
    assert methods.level(LevelParams(area="made-later", level="debug")).known


@pytest.mark.parametrize("area", ["", "a b", "a..b"])
async def test_what_is_no_area_is_refused(methods, area):
    with pytest.raises(ControlError, match="is no area") as caught:
        methods.level(LevelParams(area=area, level="debug"))
    assert caught.value.kind == "params"
    with pytest.raises(ControlError, match="is no area"):
        await methods.recent(LinesParams(area=area))


async def test_the_last_lines_are_chosen_by_level_area_and_text(logs, methods):
    LOG.info("refused one", extra={"call_id": "one"})
    LOG.warning("refused two", extra={"call_id": "two"})
    logging.getLogger("sipx.other").warning("refused three")
    written(logs)
    found = await methods.recent(LinesParams(level="warning", area="test", grep="REFUSED"))
    [line] = found.lines
    assert (line.text, line.level, line.area) == ("refused two", "warning", "sipx.test")
    assert line.fields == {"call_id": "two"}
    assert found.lost == 0
    assert (await methods.recent(LinesParams(count=0))).lines == ()


async def test_who_follows_gets_the_last_lines_and_each_that_comes_once(logs, methods):
    for number in range(5):
        LOG.info("line %d", number)
    written(logs)
    got = []
    following = methods.follow(LinesParams(count=2, area="test"))
    with trio.fail_after(30):
        async for line in following:
            got.append(line.text)
            if len(got) == 2:
                LOG.info("new")
            if len(got) == 3:
                break
        await following.aclose()
    assert got == ["line 3", "line 4", "new"]
    assert logs._recent._followers == ()


class WithFiles(logging.NullHandler):
    def __init__(self, paths):
        super().__init__()
        self.paths = paths
        self.reopened = threading.Event()

    def files(self):
        return self.paths

    def reopen(self):
        self.reopened.set()


async def test_a_file_is_read_part_by_part(logs, methods, tmp_path):
    path = tmp_path / "sipx.log"
    path.write_text("0123456789")
    logs.add([WithFiles([path])])
    part = await methods.read(ReadParams(path=str(path), offset=2, limit=5))
    assert base64.b64decode(part.data_base64) == b"23456"
    assert (part.size, part.offset, part.end) == (10, 2, False)
    part = await methods.read(ReadParams(path=str(path), offset=7))
    assert (base64.b64decode(part.data_base64), part.end) == (b"789", True)
    part = await methods.read(ReadParams(path=str(path), offset=70))
    assert (part.data_base64, part.end) == ("", True)


async def test_no_other_file_is_read(logs, methods, tmp_path):
    (tmp_path / "secret").write_text("secret")
    logs.add([WithFiles([tmp_path / "sipx.log"])])
    for path in (
        tmp_path / "secret",
        tmp_path / "x" / ".." / "sipx.log",
        "/etc/passwd",
        "sipx.log",
    ):
        with pytest.raises(ControlError, match="is no log file of this process"):
            await methods.read(ReadParams(path=str(path)))
    with pytest.raises(ControlError, match="cannot be read"):
        await methods.read(ReadParams(path=str(tmp_path / "sipx.log")))


async def test_files_are_listed_with_their_size(logs, methods, tmp_path):
    (tmp_path / "sipx.log").write_text("line\n")
    logs.add([WithFiles([tmp_path / "sipx.log", Path("/gone.log")])])
    [file] = (await methods.files()).files
    assert (file.path, file.size) == (str(tmp_path / "sipx.log"), 5)
    assert file.modified == (tmp_path / "sipx.log").stat().st_mtime


def test_files_are_opened_anew(logs, methods):
    assert methods.reopen().text == "no log file is written"
    handler = WithFiles([])
    logs.add([handler])
    assert methods.reopen().text == "log files are opened anew"
    assert handler.reopened.wait(30)
