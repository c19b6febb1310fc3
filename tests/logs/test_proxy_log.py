"""The log of a real proxy: what never reaches a handler, and that SIP waits for none."""

from __future__ import annotations

import json
import logging
import threading

import pytest
import trio

from sipx.logs import TRACE, queueing
from sipx.testing import LogUnderTest

HOSTILE = 'Digest username="b", realm="x", nonce="s3cr3t-nonce", response="s3cr3t-response"'


def entries(log):
    return [json.loads(line) for line in log.stderr.splitlines()]


async def test_sec18_no_body_no_credential_and_no_token_reaches_any_handler(
    scene, autojump_clock, keeping
):
    with LogUnderTest(keeping, level="trace") as log:
        stage = await scene()
        home, away = stage.raw("home.example"), stage.raw("away.example")
        for name, value in (
            ("Authorization", HOSTILE),
            ("Proxy-Authorization", HOSTILE),
            ("Authorization", "Bearer s3cr3t.bearer.token"),
            ("Cookie", "session=s3cr3t-cookie"),
            ("X-Password", "password=s3cr3t-password"),
        ):
            home.ask(
                "MESSAGE",
                "sip:bob:s3cr3t-uri@away.example",
                f"{name}: {value}",
                body="s3cr3t-body",
            )
            away.answer(await away.next("MESSAGE"), 200)
            await home.next(200)
            home.ask("MESSAGE", "sip:bob:s3cr3t-uri@nowhere.example", f"{name}: {value}")
            await home.next(403)
        home.send(b"MESSAGE s3cr3t\r\nAuthorization: s3cr3t\r\n\r\ns3cr3t")
        await trio.sleep(1)
        log.written()
    assert "s3cr3t" not in log.stderr
    assert "s3cr3t" not in repr([vars(record) for record in keeping.got])
    areas = {entry["logger"] for entry in entries(log)}
    assert {"sipx.trace", "sipx.proxy"} <= areas
    assert sum(entry["logger"] == "sipx.trace" for entry in entries(log)) >= 30


async def test_sec18_what_a_peer_sends_cannot_begin_a_line(scene, autojump_clock, keeping):
    with LogUnderTest(keeping, level="trace") as log:
        stage = await scene()
        home = stage.raw("home.example")
        home.ask("MESSAGE", "sip:bob@nowhere.example", call_id="a\x1b[2J\u2028FAKE\u202e")
        await trio.sleep(1)
        home.send(b"MESSAGE sip:x\x07\x1b]0;title SIP/2.0\r\n\r\n")
        await trio.sleep(1)
        log.written()
    assert all(line.startswith("{") for line in log.stderr.splitlines())
    for each in "\x1b\x07\u2028\u202e":
        assert each not in log.stderr
        assert each not in repr([str(record.__dict__) for record in keeping.got]).replace(
            repr(each)[1:-1], ""
        )


async def test_a_log_that_nobody_takes_away_drops_with_a_counter_and_calls_go_on(
    scene, autojump_clock, monkeypatch
):
    monkeypatch.setattr(queueing, "QUEUE_SIZE", 5)
    blocked, go_on = threading.Event(), threading.Event()

    class Blocking(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            blocked.set()
            go_on.wait()

    with LogUnderTest(Blocking()) as log:
        try:
            stage = await scene(log={"level": "trace"})
            log.logs.attach(stage.kernel)
            home, away = stage.raw("home.example"), stage.raw("away.example")
            for _ in range(20):
                home.ask("MESSAGE", "sip:bob@away.example")
                away.answer(await away.next("MESSAGE"), 200)
                await home.next(200)
            assert blocked.wait(30)
            assert log.logs.lost > 20
            assert stage.kernel.lost_lines() == log.logs.lost
        finally:
            go_on.set()


async def test_messages_are_watched_only_while_the_level_says_so(scene, autojump_clock):
    with LogUnderTest(level="info") as log:
        stage = await scene()
        log.logs.attach(stage.kernel)
        hooks = stage.kernel.hooks
        assert hooks.message_traced == ()
        log.logs.set_level("trace", "trace")
        assert len(hooks.message_traced) == 1
        log.logs.set_level("trace", "info")
        assert hooks.message_traced == ()


async def test_the_trace_ends_in_the_thread_of_the_hooks(scene):
    """A change that is over is noticed by the thread of the log."""
    seen = []
    with LogUnderTest(level="info") as log:
        stage = await scene()
        stage.kernel.journal.levels_changed = lambda: seen.append(threading.get_ident())
        log.logs.attach(stage.kernel)
        log.logs.set_level("trace", "trace", 0.001)
        with trio.fail_after(30):
            while len(seen) < 2:
                await trio.sleep(0.001)
    assert set(seen) == {threading.get_ident()}


async def test_a_reload_takes_up_levels_and_handlers(sipx_proxy, tmp_path):
    table = {"directory": tmp_path / "one"}
    proxy = await sipx_proxy(**{"log-rotation": table, "log": {"level": "info"}})
    kernel = proxy.kernel
    logger = logging.getLogger("sipx.test")
    with LogUnderTest(level="info") as log:
        log.logs.attach(kernel)
        logger.debug("not yet")
        logger.info("to the first")
        path = kernel.settings.path
        text = path.read_text().replace('level = "info"', 'level = "trace"')
        path.write_text(text.replace(str(tmp_path / "one"), str(tmp_path / "two")))
        await kernel.reload(await kernel.read())
        assert logger.isEnabledFor(TRACE)
        assert len(kernel.hooks.message_traced) == 1
        logger.debug("to the second")
        log.written()
    first = (tmp_path / "one/sipx.log").read_text()
    second = (tmp_path / "two/sipx.log").read_text()
    assert "to the first" in first
    assert "to the second" in second
    assert "to the second" not in first
    assert "not yet" not in first + second


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    yield
    for name in ("sipx.trace", "sipx.test"):
        assert logging.getLogger(name).level == logging.NOTSET
