"""Steps in words, without a proxy."""

from __future__ import annotations

from sipx.decision_words import (
    LONGEST,
    answered,
    by,
    hop_data,
    origin_of,
    place,
    text_of,
    why_of,
)
from sipx.resolver import Hop
from sipx.sip import Request


def reply(status, *headers):
    request = Request.build(
        b"MESSAGE",
        b"sip:bob@home.example",
        (
            (b"Via", b"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx"),
            (b"From", b"<sip:alice@away.example>;tag=1"),
            (b"To", b"<sip:bob@home.example>"),
            (b"Call-ID", b"c"),
            (b"CSeq", b"1 MESSAGE"),
        ),
    )
    return request.reply(status, headers=headers)


def test_who_says_so():
    assert by("", 0) == ""
    assert by("lan", 0) == " (plugin lan)"
    assert by("", 7) == " (row 7 of docs/trust.md)"
    assert by("lan", 7) == " (plugin lan, row 7 of docs/trust.md)"


def test_a_hop_by_its_name_and_its_address():
    hop = Hop("192.0.2.7", 5061, "tls", "sip.partner.example")
    assert place(hop) == "sip.partner.example (tls:192.0.2.7:5061)"
    assert place(Hop("192.0.2.7", 5061, "tls", "192.0.2.7")) == "tls:192.0.2.7:5061"
    assert hop_data(hop)["name"] == "sip.partner.example"


def test_what_a_peer_has_written_is_escaped_masked_and_cut():
    assert text_of(b"sip:bob:s3cr3t@home.example") == "sip:bob:[masked]@home.example"
    assert text_of(b"\x1b[1m") == "\\x1b[1m"
    assert len(text_of(b"x" * 5000)) == LONGEST


def test_why_we_have_refused():
    assert why_of(reply(403, (b"Warning", b'399 sipx "relaying denied"'))) == "relaying denied"
    assert why_of(reply(403)) == ""


def test_what_goes_back():
    response = reply(404, (b"Warning", b'399 sipx "no route"'))
    text, data = answered(response, origin_of(response, None))
    assert text == "404 Not Found of the proxy itself goes back: no route"
    assert data["own"]
    assert answered(None, None)[1]["status"] == 0
