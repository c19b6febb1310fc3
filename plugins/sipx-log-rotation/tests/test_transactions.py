"""The line of a finished request."""

from __future__ import annotations

import json

import pytest
from sipx_log_rotation.transactions import line_of, lost_line

from sipx import TransactionRecord


def record(**changed):
    fields = {
        "started": 10.0,
        "ended": 10.512,
        "method": b"MESSAGE",
        "uri": b"sip:bob@away.example",
        "status": 202,
        "from_uri": b"sip:ada@home.example",
        "from_tag": b"near",
        "to_uri": b"sip:bob@away.example",
        "to_tag": b"far",
        "call_id": b"a84b4c76",
        "cseq": b"5",
        "server": "udp:192.0.2.1:5060",
        "client": "mtls:[2001:db8::2]:5061",
        "sender": "home.example",
        "interface": "lan",
        "branches": 1,
        "server_transaction": b"z9hG4bKserver",
        "client_transaction": b"z9hG4bKclient",
    }
    return TransactionRecord(**{**fields, **changed})


def test_every_field_is_there():
    assert json.loads(line_of(record(), 1_800_000_000.25)) == {
        "timestamp": "2027-01-15T08:00:00.250Z",
        "duration": 0.512,
        "method": "MESSAGE",
        "cseq": 5,
        "status": 202,
        "uri": "sip:bob@away.example",
        "from": "sip:ada@home.example",
        "from_tag": "near",
        "to": "sip:bob@away.example",
        "to_tag": "far",
        "call_id": "a84b4c76",
        "transport": "udp",
        "source": "192.0.2.1:5060",
        "destination_transport": "mtls",
        "destination": "[2001:db8::2]:5061",
        "server_transaction": "z9hG4bKserver",
        "client_transaction": "z9hG4bKclient",
        "interface": "lan",
        "sender": "home.example",
        "branches": 1,
    }


def test_a_request_that_nobody_was_asked_about_has_no_destination():
    fields = json.loads(line_of(record(client="", client_transaction=b"", status=404), 0.0))
    assert (fields["destination"], fields["destination_transport"]) == ("", "")
    assert (fields["client_transaction"], fields["status"]) == ("", 404)


@pytest.mark.parametrize(
    "hostile",
    [b"a\nFAKE", b"a\r\n\r\nFAKE", b"a\x00b", b"\xff\xfe", "a\u2028b\u202e".encode(), b'a","x":"'],
)
def test_sec18_nothing_in_a_message_makes_a_line_or_a_field_of_its_own(hostile):
    line = line_of(record(call_id=hostile, from_tag=hostile, uri=b"sip:" + hostile), 0.0)
    assert line.count(b"\n") == 1
    assert line.isascii()
    fields = json.loads(line)
    assert len(fields) == 20
    assert all(c.isprintable() for c in fields["call_id"])


def test_sec18_a_password_in_a_uri_is_masked():
    line = line_of(record(uri=b"sip:bob:s3cr3t@away.example"), 0.0)
    assert b"s3cr3t" not in line
    assert json.loads(line)["uri"] == "sip:bob:[masked]@away.example"


def test_lines_that_are_missing_leave_one():
    assert json.loads(lost_line(7, "no space left on device", 1_800_000_000.0)) == {
        "timestamp": "2027-01-15T08:00:00.000Z",
        "lost": 7,
        "reason": "no space left on device",
    }
