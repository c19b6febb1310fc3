"""``sipx log`` as the operator sees it."""

from __future__ import annotations

import io
import json
import logging
import threading
from functools import partial

import pytest
import trio

from sipx.cli.exits import ExitCode
from sipx.config.model import LogConfig
from sipx.control.kernel import serve_control
from sipx.control.logs import LogMethods
from sipx.logs import Logs

LOG = logging.getLogger("sipx.test")


class Service:
    """A proxy with a log and a control socket, and commands that are run beside it."""

    def __init__(self, logs, line):
        self.logs = logs
        self._line = line

    async def __call__(self, *words):
        return await trio.to_thread.run_sync(partial(self._line, *words))

    def written(self):
        done = threading.Event()
        self.logs.in_turn(done.set)
        assert done.wait(30)


@pytest.fixture
async def service(scene, nursery, home, line, monkeypatch):
    stage = await scene()
    monkeypatch.setenv("SIPX_SOCKET", str(home / "control.sock"))
    with Logs(LogConfig(), io.StringIO(), terminal=False, color=False) as logs:
        logs.attach(stage.kernel)
        await nursery.start(serve_control, stage.kernel, LogMethods(logs).methods())
        yield Service(logs, line)


async def test_the_last_lines(service):
    LOG.warning("it failed", extra={"call_id": "one"})
    service.written()
    found = await service("log", "--area", "test")
    assert found.exit_code == 0
    [line] = found.stdout.splitlines()
    assert line.endswith(" warning sipx.test: it failed call_id=one")


async def test_the_last_lines_as_json(service):
    LOG.warning("it failed", extra={"call_id": "one"})
    service.written()
    found = json.loads((await service("log", "--area", "test", "--json")).stdout)
    [line] = found["lines"]
    assert (line["text"], line["fields"], found["lost"]) == ("it failed", {"call_id": "one"}, 0)


async def test_lines_are_chosen(service):
    for number in range(5):
        LOG.warning("line %d", number)
    LOG.error("line of an error")
    service.written()
    found = await service("log", "-n", "2", "--grep", "LINE", "--level", "error")
    assert len(found.stdout.splitlines()) == 1
    found = await service("log", "-n", "2", "--area", "test")
    assert len(found.stdout.splitlines()) == 2
    found = await service("log", "--grep", "nowhere to be found")
    assert found.stdout == "no such line is kept\n"


async def test_a_traceback_is_below_its_line(service):
    try:
        raise ValueError("boom\x1b[2J")
    except ValueError:
        LOG.exception("failed")
    service.written()
    first, *rest = (await service("log", "--area", "test")).stdout.splitlines()
    assert first.endswith("sipx.test: failed")
    assert any("ValueError: boom" in line for line in rest)
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in "".join(rest)


async def test_who_follows_sees_the_lines_that_come_until_the_service_ends(service, nursery):
    LOG.warning("before")
    service.written()
    found = []

    async def follow(*, task_status):
        task_status.started()
        found.append(await service("log", "-f", "-n", "1", "--area", "test", "--json"))

    await nursery.start(follow)
    with trio.fail_after(30):
        while not service.logs._recent._followers:
            await trio.sleep(0.01)
        LOG.warning("after")
        service.written()
        service.logs._recent.end()
        while not found:
            await trio.sleep(0.01)
    texts = [json.loads(line)["text"] for line in found[0].stdout.splitlines()]
    assert texts == ["before", "after"]


async def test_a_level_is_changed_for_a_time(service):
    found = await service("log", "level", "test", "debug", "--for", "10m")
    assert found.exit_code == 0
    assert found.stdout.startswith("sipx.test: debug, for ")
    assert LOG.isEnabledFor(logging.DEBUG)
    listed = (await service("log", "level")).stdout
    [line] = [line for line in listed.splitlines() if line.startswith("sipx.test ")]
    assert line.split()[1:4] == ["debug", "a", "change,"]
    assert line.endswith(" left")


async def test_an_area_that_nobody_logs_in_is_said_to_be_unknown(service):
    found = await service("log", "level", "prxoy-cli", "debug")
    assert found.exit_code == 0
    assert "nothing has logged in sipx.prxoy-cli yet" in found.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("level", "a b", "debug"), ExitCode.BAD_ANSWER, "'a b' is no area"),
        (("level", "proxy"), ExitCode.WRONG_USE, "which level for proxy?"),
        (("level", "proxy", "loud"), ExitCode.WRONG_USE, "loud"),
        (("level", "proxy", "debug", "--for", "soon"), ExitCode.WRONG_USE, "'soon' is not taken"),
        (("level", "proxy", "debug", "--for", "8d"), ExitCode.WRONG_USE, "up to 7d"),
        (("--level", "loud"), ExitCode.WRONG_USE, "loud"),
        (("-n", "5000"), ExitCode.WRONG_USE, "5000"),
    ],
)
async def test_what_is_not_right_is_told(service, words, code, said):
    found = await service("log", *words)
    assert found.exit_code == code
    assert said in found.stderr


async def test_files_are_listed(service, tmp_path):
    assert (await service("log", "files")).stdout == "no log file is written\n"

    class WithFiles(logging.NullHandler):
        def files(self):
            return [tmp_path / "sipx.log"]

    (tmp_path / "sipx.log").write_text("x" * 1234)
    service.logs.add([WithFiles()])
    _, line = (await service("log", "files")).stdout.splitlines()
    assert line.split()[:2] == [str(tmp_path / "sipx.log"), "1,234"]


@pytest.mark.parametrize("words", [(), ("level",), ("files",), ("-f",)])
def test_without_a_service_it_is_unreachable(line, home, monkeypatch, words):
    monkeypatch.setenv("SIPX_SOCKET", str(home / "nobody.sock"))
    assert line("log", *words).exit_code == ExitCode.UNREACHABLE
