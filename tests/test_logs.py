from __future__ import annotations

import io
import json
import logging
import threading
from typing import Any

import pytest

from sipx import logs
from sipx.logs import Logs, Queueing, escaped, harmless, masked

LOG = logging.getLogger("sipx.test")


class Stream(io.StringIO):
    """What a log writes."""

    def entries(self) -> list[dict[str, Any]]:
        """The JSON lines."""
        return [json.loads(line) for line in self.getvalue().splitlines()]


def _logged(*, level: str = "info", text: bool = False) -> tuple[Stream, Logs]:
    stream = Stream()
    return stream, Logs(level, stream, text=text, color=False)


def test_a_json_line_has_time_level_logger_text_and_extras():
    stream, started = _logged()
    with started:
        LOG.warning("interface %s: %d", "near", 7, extra={"interface": "near", "port": 7})
    [entry] = stream.entries()
    assert entry["event"] == "interface near: 7"
    assert (entry["level"], entry["logger"]) == ("warning", "sipx.test")
    assert (entry["interface"], entry["port"]) == ("near", 7)
    assert entry["timestamp"].endswith("Z")


def test_a_text_line_is_for_people():
    stream, started = _logged(text=True)
    with started:
        LOG.error("it failed", extra={"peer": "192.0.2.1"})
    [line] = stream.getvalue().splitlines()
    assert "[error" in line
    assert "it failed" in line
    assert "peer=192.0.2.1" in line


@pytest.mark.parametrize(
    ("level", "written"),
    [("error", 1), ("warning", 2), ("info", 3), ("debug", 4), ("trace", 5)],
)
def test_the_level_of_the_configuration_decides_what_is_written(level, written):
    stream, started = _logged(level=level)
    with started:
        for number in (logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG, logs.TRACE):
            LOG.log(number, "x")
    assert len(stream.entries()) == written


def test_the_logger_is_left_as_it_was():
    logger = logging.getLogger("sipx")
    before = (logger.level, logger.propagate, list(logger.handlers))
    _, started = _logged(level="trace")
    with started:
        pass
    assert (logger.level, logger.propagate, logger.handlers) == before


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\x1b[2J", "\x85", "\u2028"])
def test_sec_18_a_value_cannot_make_a_line_of_its_own(text, between):
    value = f"a{between}FAKE"
    stream, started = _logged(text=text)
    with started:
        LOG.info("From %s", value, extra={"peer": value})
        LOG.info("raw %s", value.encode())
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert not any(line.startswith("FAKE") for line in lines)
    assert "\x1b" not in stream.getvalue()


def test_sec_18_a_traceback_cannot_look_like_a_line_of_the_log():
    stream, started = _logged(text=True)
    with started:
        try:
            raise ValueError("first\n2026-01-01 [info] FAKE\x1b[2J")
        except ValueError:
            LOG.exception("it failed")
    first, *rest = stream.getvalue().splitlines()
    assert "it failed" in first
    assert any("FAKE" in line for line in rest)
    assert all(line.startswith("  | ") for line in rest)
    assert "\x1b" not in stream.getvalue()


SECRETS = [
    'Authorization: Digest username="bob", response="s3cr3t", nonce="n0nce"',
    "Proxy-Authorization: Digest s3cr3t",
    "proxy-authorization:\tBasic s3cr3t==",
    "{'Authorization': 'Digest s3cr3t'}",
    'WWW-Authenticate: Digest realm="x", nonce="s3cr3t"',
    'Authentication-Info: nextnonce="s3cr3t"',
    "password = s3cr3t",
    'password="s3cr3t and more"',
    "{'password': 's3cr3t'}",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_sec_18_credentials_are_masked(secret):
    assert "s3cr3t" not in masked(secret)
    assert "n0nce" not in masked(secret)
    assert "[masked]" in masked(secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_sec_18_credentials_in_a_whole_message_are_masked_and_the_rest_is_shown(secret):
    message = f"MESSAGE sip:b@example.com SIP/2.0\r\n{secret}\r\nCall-ID: shown\r\n\r\n".encode()
    stream, started = _logged()
    with started:
        LOG.info("message %r", message)
        LOG.info("message", extra={"raw": message})
    assert "s3cr3t" not in stream.getvalue()
    assert stream.getvalue().count("Call-ID: shown") == 2


def test_sec_18_credentials_in_a_traceback_and_in_secret_fields_are_masked():
    stream, started = _logged()
    with started:
        try:
            raise ValueError("password=s3cr3t")
        except ValueError:
            LOG.exception("it failed", extra={"password": "s3cr3t"})
    [entry] = stream.entries()
    assert "s3cr3t" not in stream.getvalue()
    assert entry["password"] == "[masked]"
    assert "ValueError" in entry["exception"]


@pytest.mark.parametrize(
    "text", ["sip:bob@example.com", "the response was late", "CSeq: 1 MESSAGE"]
)
def test_what_is_no_secret_stays(text):
    assert masked(text) == escaped(text) == text


def test_numbers_stay_numbers_and_all_else_becomes_text():
    assert harmless(7) == 7
    assert harmless(None) is None
    assert harmless(b"a\xff\n") == "a\\xff\\n"
    assert harmless(["a"]) == "['a']"


def test_what_a_line_shows_is_fixed_when_it_is_logged():
    stream, started = _logged()
    changing = ["before"]
    with started:
        LOG.info("it was %s", changing)
        changing[0] = "after"
    assert stream.entries()[0]["event"] == "it was ['before']"


def test_the_handlers_of_plugins_get_harmless_records():
    got: list[logging.LogRecord] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            got.append(record)

    _, started = _logged()
    handler = Keeping(level=logging.WARNING)
    with started:
        started.add([handler])
        LOG.warning("password=%s\nnext", "s3cr3t")
        LOG.info("below its level")
    assert [record.getMessage() for record in got] == ["password=[masked]\\nnext"]
    assert handler.formatter is not None


def test_a_handler_that_blocks_does_not_block_who_logs(monkeypatch):
    monkeypatch.setattr(logs, "QUEUE_SIZE", 10)
    go_on = threading.Event()
    blocked = threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            go_on.wait()

    stream, started = _logged()
    with started:
        started.add([Blocking()])
        LOG.info("the first")
        blocked.wait()
        for number in range(100):
            LOG.info("line %d", number)
        [queueing] = [h for h in logging.getLogger("sipx").handlers if isinstance(h, Queueing)]
        assert queueing.lost == 90
        go_on.set()
        while queueing.queue.qsize() > 5:
            threading.Event().wait(0.001)
        LOG.info("the last")
    events = [entry["event"] for entry in stream.entries()]
    assert "90 log lines were lost: they came faster than they could be written" in events
    assert events[-1] == "the last"
