"""Lines of the log in a file: their form, and that nothing harmful and no loop is in them."""

from __future__ import annotations

import json
import logging
import os
import stat
from functools import partial

import pytest
from sipx_log_rotation.files import RETRY, LogFile
from sipx_log_rotation.handler import FileHandler

from sipx.testing import LogUnderTest

LOG = logging.getLogger("sipx.test")


def handler(directory, *, as_json=True):
    return FileHandler(
        lambda told: LogFile(directory, "sipx", max_size=100_000, keep=3, told=told), json=as_json
    )


class Log(LogUnderTest):
    """The log of a process, with a file."""

    def __init__(self, directory, *, as_json=True):
        self.handler = handler(directory, as_json=as_json)
        self.path = self.handler.file.path
        super().__init__(self.handler)


@pytest.fixture
def begun(tmp_path):
    return partial(Log, tmp_path / "logs")


def test_lines_are_json_with_their_fields(begun):
    with begun() as log:
        LOG.info("refused", extra={"call_id": "one", "peer": "udp:192.0.2.1:5060"})
    [entry] = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert (entry["event"], entry["logger"], entry["level"]) == ("refused", "sipx.test", "info")
    assert (entry["call_id"], entry["peer"]) == ("one", "udp:192.0.2.1:5060")


def test_lines_are_text_for_people(begun):
    with begun(as_json=False) as log:
        LOG.info("refused", extra={"call_id": "one"})
    [line] = log.path.read_text().splitlines()
    assert "refused" in line
    assert "call_id=one" in line
    assert "\x1b" not in line


@pytest.mark.parametrize("as_json", [True, False])
def test_sec18_no_secret_no_body_and_no_control_character_reaches_the_file(begun, as_json):
    message = (
        b"MESSAGE sip:bob:s3cr3t-a@example.com SIP/2.0\r\nCall-ID: one\r\n"
        b'Authorization: Digest username="b", response="s3cr3t-b"\r\n\r\ns3cr3t-c'
    )
    with begun(as_json=as_json) as log:
        LOG.info("got %r", message)
        LOG.info("got %s", message.decode(), extra={"token": "s3cr3t-d", "raw": message})
        LOG.info("a\nb\x1b[2J\u2028c\x85d\u202ee")
        try:
            raise ValueError(message)
        except ValueError:
            LOG.exception("failed")
    text = log.path.read_text()
    assert "s3cr3t" not in text
    assert "Call-ID: one" in text
    assert not any(each in text for each in "\x1b\u2028\x85\u202e\r")


def test_sigusr1_after_logrotate_moved_the_file(begun, tmp_path):
    with begun() as log:
        LOG.info("before")
        log.written()
        log.path.rename(tmp_path / "moved")
        assert log.logs.reopen() == 1
        LOG.info("after")
    assert "before" in (tmp_path / "moved").read_text()
    assert "after" in log.path.read_text()
    assert "before" not in log.path.read_text()


def test_its_files_are_listed(begun):
    with begun() as log:
        LOG.info("one")
        log.written()
        assert log.logs.files() == (log.path,)


def test_a_full_disk_is_no_reason_for_further_lines(begun, monkeypatch):
    """What the handler has to say goes nowhere near the log, or it would come back for ever."""
    calls = []

    def full(fd, data):
        calls.append(data)
        raise OSError(28, "No space left on device")

    with begun() as log:
        monkeypatch.setattr("sipx_log_rotation.files.os.write", full)
        for number in range(200):
            LOG.info("line %d", number)
        log.written()
        assert log.logs.recent(1)[0].text == "line 199"
        assert log.handler.file.lost == 200
        assert len(calls) == 1
        monkeypatch.undo()
        record = logging.LogRecord("sipx.test", 20, "", 0, "at last", None, None)
        record.created += RETRY
        log.handler.handle(record)
    first, second = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert first["event"] == "200 log lines were lost: no space left on device"
    assert (first["lost"], first["level"]) == (200, "warning")
    assert second["event"] == "at last"
    assert first["timestamp"] == second["timestamp"]


def test_the_file_is_not_for_everybody(begun):
    before = os.umask(0)
    try:
        with begun() as log:
            LOG.info("one")
    finally:
        os.umask(before)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o640
