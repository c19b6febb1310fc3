from __future__ import annotations

import logging
import time

import pytest
import trio

from sipx.logs import said_by, traceback_of
from sipx.sip.message import Request
from sipx.supervision import describe

LOG = logging.getLogger("sipx.test")
CHAT = b"m33t me \x1b[31mat \xff seven\r\nsec0nd line\r\n\r\nth1rd 'line'"


def quoted(message, quote):
    """What a hook does: it is given a message, and fails."""
    body = message.body
    raise ValueError(quote(body))


def failing(quote, body=CHAT):
    try:
        quoted(Request.build(b"MESSAGE", b"sip:bob@example.com", (), body), quote)
    except ValueError as error:
        return error


QUOTES = [
    lambda body: f"cannot read {body!r}",
    lambda body: f"cannot read {body.decode('utf-8', 'replace')}",
    lambda body: f"cannot read {body.decode('utf-8', 'backslashreplace')!r}",
    lambda body: f"cannot read {body.decode('latin-1')}",
    lambda body: f"bad lines {body.splitlines()}",
    lambda body: "bad line " + body.splitlines()[1].decode(),
]


@pytest.mark.parametrize("quote", QUOTES)
def test_sec_18_an_exception_that_quotes_a_message_does_not_show_its_body(logged, quote):
    error = failing(quote)
    stream, started = logged()
    with started:
        LOG.error("plugin failed: %s", error, exc_info=error)
        try:
            raise RuntimeError("later") from error
        except RuntimeError:
            LOG.exception("behind another")
        LOG.error("in a group", exc_info=ExceptionGroup("several", [error]))
    shown = stream.getvalue() + said_by(error) + traceback_of(error)
    for piece in ("m33t", "seven", "sec0nd", "th1rd"):
        assert piece not in shown
    assert "[the body is not shown]" in said_by(error)
    assert "ValueError" in said_by(error)
    assert all("quoted" in entry["exception"] for entry in stream.entries())


async def test_sec_18_a_body_that_a_service_was_handed_as_bytes_is_not_shown():
    async def watch(pieces):
        for piece in pieces:
            raise OSError(f"cannot store {piece!r} for {b'bob@example.com'!r}")

    with pytest.raises(ExceptionGroup) as raised:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch, [CHAT])
    said = describe(raised.value).replace('"', "'")
    assert said == "OSError: cannot store b'[the body is not shown]' for b'bob@example.com'"


def test_objects_that_cannot_even_be_asked_for_their_class_harm_nobody():
    class Odd:
        @property
        def __class__(self):
            raise RuntimeError("outside of its context")

    def fails(odd, several):
        raise ValueError("it failed")

    with pytest.raises(ValueError, match="failed") as raised:
        fails(Odd(), [Odd()])
    assert said_by(raised.value) == "ValueError: it failed"


def test_a_short_body_is_hidden_without_hurting_other_words():
    assert said_by(failing(lambda body: f"this is {body.decode()}", b"hi")) == (
        "ValueError: this is [the body is not shown]"
    )


def test_what_an_exception_says_of_itself_is_shown_without_secrets_and_in_one_line():
    assert said_by(OSError("no disk\npassword=s3cr3t")) == ("OSError: no disk\\npassword=[masked]")
    assert said_by(KeyError()) == "KeyError"


def test_a_body_of_many_lines_takes_no_long_time():
    body = b"\r\n".join(b"line %d" % number for number in range(6000))
    error = failing(lambda body: "cannot read " + body.decode(), body)
    began = time.process_time()
    assert "line 17" not in said_by(error)
    assert time.process_time() - began < 2.0


def test_a_body_that_is_longer_than_a_line_of_the_log_is_found_before_that_is_cut_off():
    shown = said_by(failing(lambda body: "cannot read " + body.decode(), b"chat" * 20_000))
    assert shown == "ValueError: cannot read [the body is not shown]"


def test_a_traceback_too_long_to_be_looked_through_has_its_frames_only(logged):
    body = b"\r\n".join(b"line %d" % number for number in range(6000))
    stream, started = logged()
    with started:
        LOG.error("failed", exc_info=failing(lambda body: "cannot read " + body.decode(), body))
    [entry] = stream.entries()
    assert "line 17" not in entry["exception"]
    assert "quoted" in entry["exception"]
