"""The plugin in a proxy whose time a test makes."""

from __future__ import annotations

import json
import logging
import os
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import trio
from pydantic import ValidationError
from sipx_log_rotation import LogRotation, LogRotationConfig
from sipx_log_rotation import plugin as plugin_module
from sipx_log_rotation.config import directory_of

from sipx import Severity
from sipx.testing.contract import check_plugin
from sipx.testing.proxy import EPOCH


def config(**table):
    return LogRotationConfig.model_validate(table, context={"base": "/", "offline": True})


def test_the_contract(tmp_path):
    check_plugin(
        "log-rotation",
        **{"log-rotation": {"directory": tmp_path, "delete_daily": True, "transactions": True}},
    )


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"max_size": 10}, "max_size"),
        ({"max_size": "20 apples"}, "max_size"),
        ({"keep": -1}, "keep"),
        ({"archive_keep": 0}, "archive_keep"),
        ({"format": "xml"}, "format"),
        ({"directory": ""}, "directory"),
    ],
)
def test_what_is_no_right_value_is_refused(table, key):
    with pytest.raises(ValidationError, match=key):
        config(**table)


def test_without_a_directory_it_is_the_one_of_systemd_or_the_usual_one(monkeypatch, tmp_path):
    monkeypatch.setenv("LOGS_DIRECTORY", "/var/log/one:/var/log/two")
    assert str(directory_of(config())) == "/var/log/one"
    assert str(directory_of(config(directory="/elsewhere"))) == "/elsewhere"
    monkeypatch.delenv("LOGS_DIRECTORY")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert str(directory_of(config())) == "/var/log/sipx"
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert directory_of(config()) == tmp_path / "sipx/log"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert directory_of(config()) == tmp_path / ".local/state/sipx/log"


# ---------------------------------------------------------------- in a proxy


def record(text, wall):
    made = logging.LogRecord("sipx.test", logging.INFO, "", 0, text, None, None)
    made.created = wall
    return made


async def until(condition):
    """Threads do the work on the disk: let them, however the clock jumps meanwhile."""
    patience = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < patience
        await trio.sleep(1)


@pytest.fixture
def minute_to_midnight(monkeypatch):
    """A machine in a zone where the wall clock of a proxy under test begins at 23:59."""
    local = datetime.fromtimestamp(EPOCH, UTC)
    ahead = 24 * 60 - 1 - (local.hour * 60 + local.minute)
    monkeypatch.setenv("TZ", f"LAB-{ahead // 60}:{ahead % 60:02}")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_files_go_at_midnight_by_the_clock_of_the_wall(
    minute_to_midnight, sipx_proxy, autojump_clock, tmp_path
):
    # How late it is now is not known: no virtual clock waits for the threads of the start.
    table = {"directory": tmp_path / "logs", "delete_daily": True}
    proxy = await sipx_proxy(**{"log-rotation": table})
    [handler] = proxy.plugin("log-rotation").log_handlers()
    handler.handle(record("a line", proxy.kernel.certificates.wall()))
    assert [path.name for path in handler.files()] == ["sipx.log"]
    await until(lambda: handler.files() == [])


async def test_what_does_not_work_stands_in_the_status_until_it_works(
    sipx_proxy, autojump_clock, tmp_path, caplog
):
    (tmp_path / "logs").write_text("no directory")
    proxy = await sipx_proxy(**{"log-rotation": {"directory": tmp_path / "logs"}})
    [handler] = proxy.plugin("log-rotation").log_handlers()
    handler.handle(record("lost", proxy.kernel.certificates.wall()))
    await until(lambda: proxy.kernel.troubles.of("log file", "sipx.log") is not None)
    trouble = proxy.kernel.troubles.of("log file", "sipx.log")
    assert "cannot be written, its lines are lost until it can" in trouble.text
    said = [r for r in caplog.records if "cannot be written" in r.getMessage()]
    assert len(said) == 1
    (tmp_path / "logs").unlink()
    await until(lambda: proxy.kernel.troubles.of("log file", "sipx.log") is None)
    await until((tmp_path / "logs/sipx.log").exists)
    assert "1 log line was lost" in (tmp_path / "logs/sipx.log").read_text()


async def test_a_request_is_answered_while_the_disk_refuses_everything(
    sipx_proxy, autojump_clock, tmp_path
):
    (tmp_path / "logs").write_text("no directory")
    table = {"directory": tmp_path / "logs", "transactions": True}
    proxy = await sipx_proxy(**{"log-rotation": table})
    home = proxy.peer("home.example")
    away = proxy.peer("away.example")
    for _ in range(3):
        assert (await home.request("MESSAGE", away.uri)).status == 200
        await trio.sleep(1)


async def test_each_finished_request_leaves_a_line(sipx_proxy, autojump_clock, tmp_path):
    table = {"directory": tmp_path / "logs", "transactions": True}
    proxy = await sipx_proxy(**{"log-rotation": table})
    home, away = proxy.peer("home.example"), proxy.peer("away.example")
    await home.request("MESSAGE", away.uri)
    await home.request("MESSAGE", "sip:nobody@nowhere.example")
    file = tmp_path / "logs/sipx-transactions.log"
    await until(lambda: file.exists() and file.read_bytes().count(b"\n") == 2)
    first, second = [json.loads(line) for line in file.read_text().splitlines()]
    assert (first["method"], first["status"]) == ("MESSAGE", 200)
    assert first["source"].startswith("127.0.1.1:")
    assert first["destination"].startswith("127.0.1.2:")
    assert first["client_transaction"].startswith("z9hG4bK")
    assert first["timestamp"].startswith("2027-01-15T08:00:0")
    assert (second["status"], second["destination"]) == (403, "")
    [handler] = proxy.plugin("log-rotation").log_handlers()
    assert file in handler.files()


async def test_the_last_requests_are_written_when_the_proxy_stops(
    sipx_proxy, autojump_clock, tmp_path, monkeypatch
):
    monkeypatch.setattr(plugin_module, "FLUSH", 3600.0)
    table = {"directory": tmp_path / "logs", "transactions": True}
    proxy = await sipx_proxy(**{"log-rotation": table})
    home = proxy.peer("home.example")
    await home.request("MESSAGE", "sip:nobody@nowhere.example")
    file = tmp_path / "logs/sipx-transactions.log"
    assert not file.exists()
    await proxy.stop()
    await until(lambda: file.exists() and file.read_bytes().count(b"\n") == 1)


async def test_without_transactions_no_record_is_made_for_them(
    sipx_proxy, autojump_clock, tmp_path
):
    proxy = await sipx_proxy(**{"log-rotation": {"directory": tmp_path}})
    assert proxy.kernel.hooks.transaction_ended == ()


async def test_more_requests_than_can_be_written_are_counted(
    sipx_proxy, autojump_clock, tmp_path, monkeypatch
):
    monkeypatch.setattr(plugin_module, "WAITING", 2)
    monkeypatch.setattr(plugin_module, "FLUSH", 60.0)
    table = {"directory": tmp_path / "logs", "transactions": True}
    proxy = await sipx_proxy(**{"log-rotation": table})
    home = proxy.peer("home.example")
    for _ in range(5):
        await home.request("MESSAGE", "sip:nobody@nowhere.example")
    file = tmp_path / "logs/sipx-transactions.log"
    await until(lambda: file.exists() and file.read_bytes().count(b"\n") == 3)
    assert json.loads(file.read_text().splitlines()[-1])["lost"] == 3


def test_what_ended_while_tables_change_hands_is_not_lost(tmp_path):
    old = LogRotation(config(directory=tmp_path / "one", transactions=True), SimpleNamespace())
    new = LogRotation(config(directory=tmp_path / "two", transactions=True), SimpleNamespace())
    new.take_over(old)
    old.transaction_ended("a record")
    assert list(new._ended) == ["a record"]


async def test_what_ended_while_they_were_switched_off_is_written(
    sipx_proxy, autojump_clock, tmp_path
):
    proxy = await sipx_proxy(
        **{"log-rotation": {"directory": tmp_path / "one", "transactions": True}}
    )
    old = proxy.plugin("log-rotation")
    new = LogRotation(config(directory=tmp_path / "two"), SimpleNamespace(**names(proxy)))
    new.take_over(old)
    old._ended.clear()
    await proxy.peer("home.example").request("MESSAGE", "sip:nobody@nowhere.example")
    await new._look()
    assert (tmp_path / "two/sipx-transactions.log").read_text().count("\n") == 1


def names(proxy):
    return {"wall": proxy.kernel.wall, "now": proxy.kernel.clock, "note_trouble": lambda *_: None}


async def test_its_trouble_leaves_the_status_with_it(tmp_path, nursery):
    said = []
    proxy = SimpleNamespace(wall=time.time, note_trouble=lambda *words: said.append(words))
    (tmp_path / "logs").write_text("no directory")
    plugin = LogRotation(config(directory=tmp_path / "logs"), proxy)
    plugin.handler.handle(record("lost", time.time()))
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as own:
            await own.start(plugin.look_after)
            scope.cancel()
    assert said[0][:2] == ("log file", "sipx.log")
    assert "cannot be written" in said[0][2]
    assert said[1:] == [("log file", "sipx.log", None)]


async def test_transactions_of_a_time_when_they_were_written_go_at_midnight_too(
    minute_to_midnight, sipx_proxy, autojump_clock, tmp_path
):
    (tmp_path / "logs").mkdir()
    left = tmp_path / "logs/sipx-transactions.000001.log"
    left.write_text("who called whom\n")
    os.utime(left, (EPOCH, EPOCH))
    await sipx_proxy(**{"log-rotation": {"directory": tmp_path / "logs", "delete_daily": True}})
    await until(lambda: not left.exists())


# ---------------------------------------------------------------- sipx check logs


def findings(**table):
    [check] = LogRotation(config(**table), SimpleNamespace()).checks()
    assert check.area == "logs"
    return list(check.run())


def codes(found):
    return [(finding.code, finding.severity) for finding in found]


def test_a_directory_that_can_be_written_or_made_is_fine(tmp_path):
    assert codes(findings(directory=tmp_path)) == [("SIPX-L001", Severity.OK)]
    [finding] = findings(directory=tmp_path / "a/b")
    assert (finding.code, finding.severity) == ("SIPX-L001", Severity.OK)
    assert "which will be made" in finding.text
    assert not (tmp_path / "a").exists()


def test_a_directory_that_is_none_is_a_failure(tmp_path):
    (tmp_path / "file").write_text("")
    [finding] = findings(directory=tmp_path / "file/logs")
    assert (finding.code, finding.severity) == ("SIPX-L002", Severity.FAILURE)
    assert "is no directory" in finding.text


def test_a_directory_that_may_not_be_written_is_a_failure_with_the_account(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    [finding] = findings(directory=tmp_path / "logs")
    assert finding.code == "SIPX-L002"
    assert f"so {tmp_path}/logs cannot be made" in finding.text
    assert "install -d" in finding.remedy


def test_too_little_room_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin_module.shutil, "disk_usage", lambda p: SimpleNamespace(free=10**6))
    [finding] = findings(directory=tmp_path, max_size="20MB", keep=10)
    assert (finding.code, finding.severity) == ("SIPX-L003", Severity.WARNING)
    assert "1 MB of room" in finding.text
    assert "220 MB" in finding.text


def test_an_archive_is_looked_at_and_needs_daily_deletion(tmp_path):
    found = findings(directory=tmp_path, archive=tmp_path / "archive")
    assert codes(found) == [("SIPX-L001", Severity.OK), ("SIPX-L004", Severity.WARNING)]
    found = findings(directory=tmp_path, archive=tmp_path / "archive", delete_daily=True)
    assert codes(found) == [("SIPX-L001", Severity.OK)] * 2
