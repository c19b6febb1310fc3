from __future__ import annotations

import logging

import pytest

from sipx.logs import escaped, harmless, masked

LOG = logging.getLogger("sipx.test")


@pytest.mark.parametrize("text", [True, False])
@pytest.mark.parametrize("between", ["\n", "\r\n", "\x1b[2J", "\x85", "\u2028"])
def test_sec_18_a_value_cannot_make_a_line_of_its_own(logged, text, between):
    value = f"a{between}FAKE"
    stream, started = logged(text=text)
    with started:
        LOG.info("From %s", value, extra={"peer": value})
        LOG.info("raw %s", value.encode())
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert not any(line.startswith("FAKE") for line in lines)
    assert "\x1b" not in stream.getvalue()


def test_sec_18_a_traceback_cannot_look_like_a_line_of_the_log(logged):
    stream, started = logged(text=True)
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
def test_sec_18_credentials_in_a_whole_message_are_masked_and_the_rest_is_shown(logged, secret):
    message = f"MESSAGE sip:b@example.com SIP/2.0\r\n{secret}\r\nCall-ID: shown\r\n\r\n".encode()
    stream, started = logged()
    with started:
        LOG.info("message %r", message)
        LOG.info("message", extra={"raw": message})
    assert "s3cr3t" not in stream.getvalue()
    assert stream.getvalue().count("Call-ID: shown") == 2


def test_sec_18_credentials_in_a_traceback_and_in_secret_fields_are_masked(logged):
    stream, started = logged()
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
