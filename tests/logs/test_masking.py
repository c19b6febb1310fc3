from __future__ import annotations

import logging
import time

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
    'password="s3cr3t and no end',
    'Digest username="bob", response="s3cr3t',
    "sip:bob:s3cr3t@example.com",
    "<sips:bob:s3cr3t;x=y@example.com>",
    "uri=sip:bob:s3cr3t@example.com;maddr=sip:ann:s3cr3t@192.0.2.1",
    "sip:bob:it's-s3cr3t@example.com",
    "sip:bob:at@s3cr3t@example.com",
    'sip:bob:quote"s3cr3t@example.com',
    "uri:sip:bob:s3cr3t@example.com",
    "['sip:a@example.com','sip:bob:s3cr3t@example.com']",
    "https://bob:s3cr3t@example.com/path",
    "access_token=s3cr3t",
    "token: s3cr3t",
    "{'refresh-token': 's3cr3t'}",
    "api_key=s3cr3t",
    "X-API-Key: s3cr3t",
    "Bearer s3cr3t.with.parts",
    "Cookie: session=s3cr3t; other=s3cr3t",
    "Set-Cookie: session=s3cr3t",
    "passphrase = 's3cr3t'",
    "client_secret=s3cr3t",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:s3cr3t|2^20",
    "a=key-mgmt:mikey s3cr3t==",
    "a=ice-pwd:s3cr3t",
    "k=clear:s3cr3t and more",
    "k=base64:s3cr3t",
    "password=\xe0s3cr3t",
    "password=s3\xa0s3cr3t",
    "sip:bob:\xa0s3cr3t@example.com",
    "-----BEGIN RSA PRIVATE KEY-----\ns3cr3t\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\ns3cr3t and no end",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_sec_18_credentials_are_masked(secret):
    assert "s3cr3t" not in masked(secret)
    assert "n0nce" not in masked(secret)
    assert "[masked]" in masked(secret)


@pytest.mark.parametrize("secret", SECRETS)
def test_sec_18_credentials_in_a_whole_message_are_masked_and_the_rest_is_shown(logged, secret):
    message = f"MESSAGE sip:b@example.com SIP/2.0\r\nCall-ID: shown\r\n{secret}\r\n\r\n".encode()
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
    "text",
    [
        "sip:bob@example.com",
        "the response was late",
        "CSeq: 1 MESSAGE",
        "udp:192.0.2.1:5060",
        "tcp:[2001:db8::1]:5060",
        "a84b4c76e66710@pc33.atlanta.example",
        "a:b:c@host",
        "sip:bob@example.com:5060;transport=tcp",
        "sip:bob@example.com:5060;x=a@example.com",
        "sip:[2001:db8::1]:5060;x=a@example.com",
        "from sip:example.com:5060 to bob@example.com",
        "SIP/2.0 200 OK",
        "sip:a@b:5060",
        "a:b c:d@e",
        "sip:a@[::1]:5060",
        "k=prompt",
        "risk=clear:sky",
        "a=key-mgmt:mikey",
    ],
)
def test_what_is_no_secret_stays(text):
    assert masked(text) == escaped(text) == text


def test_bytes_are_masked_as_text_is_and_stay_bytes():
    head = b'Authorization: Digest response="6629fae4"\r\nSubject: \xff\r\n'
    assert masked(head) == b"Authorization: [masked]\r\nSubject: \xff\r\n"


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_sec_18_bytes_of_a_message_lose_the_same_and_nothing_else(secret, encoding):
    before, after = b"INVITE sip:b SIP/2.0\r\nSubject: \xe0\xff\xa0\r\n", b"\r\n\r\n\x00\x85\xa0"
    found = masked(before + secret.encode(encoding) + after)
    assert b"s3cr3t" not in found
    assert found.startswith(before)
    if "no end" not in secret and secret.count('"') % 2 == 0:
        assert found.endswith(after)


@pytest.mark.parametrize("word", ["sip:a:b@c", "<sip:a:b@c>", "x@sip:a:b@c", "a:b:sip:a:b@c@d"])
def test_passwords_in_uris_are_found_wherever_they_stand(word):
    for text in (word, f"x <{word}> y", f"::: {word} @"):
        assert ":b@" not in masked(text)
        assert b":b@" not in masked(text.encode())


def test_numbers_stay_numbers_and_all_else_becomes_text():
    assert harmless(7) == 7
    assert harmless(None) is None
    assert harmless(b"a\xff\n") == "a\\xff\\n"
    assert harmless(["a"]) == "['a']"


@pytest.mark.parametrize(
    "message",
    [
        "MESSAGE sip:b@example.com SIP/2.0\r\nCall-ID: shown\r\n\r\nb0dy",
        "MESSAGE sip:b@example.com SIP/2.0\nCall-ID: shown\n\nb0dy\n\nb0dy",
        "SIP/2.0 200 OK\r\nCall-ID: shown\r\n\r\nb0dy",
        repr(b"MESSAGE sip:b@example.com SIP/2.0\r\nCall-ID: shown\r\n\r\nb0dy"),
        repr("MESSAGE sip:b@example.com sip/2.0\nCall-ID: shown\n\nb0dy"),
        repr(repr(b"SIP/2.0 200 OK\r\nCall-ID: shown\r\n\r\nb0dy")),
        f"two: {b'SIP/2.0 200 OK{r}{n}Call-ID: shown{r}{n}{r}{n}b0dy'!r}",
    ],
)
def test_a_body_is_never_written_and_its_head_is(logged, message):
    message = message.replace("{r}{n}", "\\r\\n")
    stream, started = logged()
    with started:
        LOG.info("got %s", message)
        LOG.info("got", extra={"raw": message})
        LOG.info("got", extra={"raw": message.encode()})
        try:
            raise ValueError(message)
        except ValueError:
            LOG.exception("failed")
    text = stream.getvalue()
    assert "b0dy" not in text
    assert text.count("Call-ID: shown") == 4


def test_a_text_without_end_is_cut_off(logged):
    stream, started = logged()
    with started:
        LOG.info("x" * 100_000, extra={"peer": "y" * 100_000})
    [entry] = stream.entries()
    assert entry["event"].endswith("x [95904 characters more]")
    assert entry["peer"].endswith("y [98976 characters more]")


def test_sec_18_a_secret_that_is_cut_off_is_masked_all_the_same():
    for secret in ("sip:bob:" + "s3cr3t" * 1000 + "@example.com", "token=" + "s3cr3t" * 1000):
        for longest in (100, 4096):
            text = str(harmless(f"to {secret}", longest))
            assert "s3cr3t" not in text
            assert text.endswith("characters more]")


HOSTILE = [
    *("a:", "sip:a:", "SIP/2.0", "SIP/2.0\\r\\n", "password=", 'password="', "authorization:"),
    *("@", "a@:", "bearer ", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A", "inline:", "token"),
    *("\\", "\n", "'", " ", "private key -----BEGIN "),
    *("sip/2.0\\n", "sip:a:b@", "sip:a:b@,", "\\n\\r"),
]


def test_no_text_of_a_peer_takes_long_to_clean():
    """A pattern that needs the square of its time would stop all calls for seconds."""
    began = time.process_time()
    for hostile in HOSTILE:
        harmless(hostile * (4096 // len(hostile)))
    assert time.process_time() - began < 2.0


@pytest.mark.parametrize("hostile", [*HOSTILE, ":", "sip:", "k=clear:", "key-mgmt:a ", "nonce="])
def test_no_message_of_a_peer_takes_long_to_mask(hostile):
    """Messages are masked where SIP runs, as large as a datagram may be."""
    message = b"MESSAGE sip:b SIP/2.0\r\nX: " + hostile.encode() * (65_000 // len(hostile))
    began = time.process_time()
    masked(message)
    assert time.process_time() - began < 0.25
