"""What does not leave this machine."""

from __future__ import annotations

from time import process_time

import pytest
from sipx_hep.privacy import shown

HEAD = (
    b"MESSAGE sip:bob@b.example SIP/2.0\r\n"
    b"To: <sip:bob:hunter2@b.example>\r\n"
    b'Proxy-Authorization: Digest username="a", response="0123456789abcdef"\r\n'
    b"Subject: \xe4\xff\r\n"
    b"Content-Type: %b\r\n"
    b"Content-Length: 5\r\n\r\n"
)


@pytest.mark.parametrize(
    ("bodies", "media", "kept"),
    [
        ("all", b"text/plain", True),
        ("sdp", b"text/plain", False),
        ("sdp", b"application/sdp", True),
        ("sdp", b"Application/SDP;charset=utf-8", True),
        ("sdp", b"application/sdp-x", False),
        ("none", b"application/sdp", False),
    ],
)
def test_bodies(bodies, media, kept):
    found = shown(HEAD % media + b"hello", bodies, mask=False)
    assert found == HEAD % media + (b"hello" if kept else b"")


def test_a_compact_content_type():
    data = b"INVITE sip:b SIP/2.0\r\nc: application/sdp\r\n\r\nv=0"
    assert shown(data, "sdp", mask=False) == data


def test_a_body_without_a_type_is_none_of_a_call():
    assert shown(b"INVITE sip:b SIP/2.0\r\n\r\nv=0", "sdp", mask=False).endswith(b"\r\n\r\n")


def test_credentials_are_masked_and_every_other_byte_stands():
    found = shown(HEAD % b"text/plain" + b"hello \xe4\xff", "all", mask=True)
    assert b"hunter2" not in found
    assert b"0123456789abcdef" not in found
    assert b"Proxy-Authorization: [masked]\r\nSubject: \xe4\xff\r\n" in found
    assert found.endswith(b"\r\n\r\nhello \xe4\xff")


def test_keys_of_media_and_passwords_in_bodies_are_masked():
    body = b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0a2V5\r\n"
    assert b"c2Vj" not in shown(HEAD % b"application/sdp" + body, "sdp", mask=True)
    assert b"hunter3" not in shown(HEAD % b"text/plain" + b"password=hunter3", "all", mask=True)


@pytest.mark.parametrize("line", [b"\n", b"\r", b"\r\n"])
@pytest.mark.parametrize("before", [b"", b"\r\n\r\n", b"\n\n"])
def test_malformed_messages_keep_nothing_else(line, before):
    data = before + (HEAD % b"text/plain").replace(b"\r\n", line) + b"hello"
    found = shown(data, "none", mask=True)
    assert b"hello" not in found
    assert b"hunter2" not in found
    assert b"Subject" in found


def test_no_message_takes_long():
    begun = process_time()
    shown(b"MESSAGE sip:b SIP/2.0\r\nX: " + b":" * 60_000 + b"\r\n\r\n", "all", mask=True)
    assert process_time() - begun < 0.25
