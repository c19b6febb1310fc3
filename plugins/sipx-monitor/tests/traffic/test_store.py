"""The ring: bounded by count and by bytes, bodies kept or not, credentials never."""

from __future__ import annotations

import gc
import tracemalloc
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sipx_monitor.traffic.head import Head, split_message
from sipx_monitor.traffic.message import Seen
from sipx_monitor.traffic.store import Store


def test_the_oldest_go_when_there_are_too_many(recorder, lines):
    store = recorder.store
    store.most_messages = 10
    for number in range(25):
        recorder.add(lines.request("MESSAGE", call=f"c{number}", branch=f"b{number}"))
    assert (len(store), store.first, store.last) == (10, 16, 25)
    assert store.get(15) is None
    assert [message.seq for message in store.between(1, 99)] == list(range(16, 26))
    assert len(store.dialogs) == len(store.transactions) == 10


def test_the_oldest_go_when_they_are_too_large(recorder, lines):
    store = recorder.store
    store.most_bytes = 52_000
    for number in range(20):
        recorder.add(lines.request("MESSAGE", branch=f"b{number}"), body=b"x" * 10_000)
    assert len(store) == 4
    assert store.bytes == sum(message.cost for message in store.between(1, 99)) <= 52_000
    recorder.add(lines.request("MESSAGE", branch="huge"), body=b"x" * 100_000)
    assert len(store) == 1  # the newest is kept, however large


def test_smaller_bounds_hold_from_the_next_message_on(recorder, lines):
    recorder.call()
    recorder.store.resize(3, 10_000_000, "none")
    recorder.add(lines.request("MESSAGE"), body=b"hello")
    assert [message.body_state for message in recorder.store.between(1, 99)] == [
        "none", "none", "dropped",
    ]  # fmt: skip


def test_memory_is_what_it_says():
    """What a message is counted with is not less than what it costs."""
    from .conftest import Recorder, request

    recorder = Recorder(Store(100_000, 1 << 30, "all"))
    lines = {number: request("MESSAGE", branch=f"b{number}", call=f"c{number}")
             for number in range(2000)}  # fmt: skip
    recorder.add(request())
    gc.collect()
    tracemalloc.start()
    for number in range(2000):
        recorder.add(lines[number], body=b"x%d" % number * 50)
    gc.collect()
    # What others of this process keep meanwhile is not of messages.
    ours = [tracemalloc.Filter(True, f"*/{name}/*") for name in ("sipx", "sipx_monitor", "traffic")]
    kept = tracemalloc.take_snapshot().filter_traces(ours)
    tracemalloc.stop()
    now = sum(trace.size for trace in kept.traces)
    assert now < recorder.store.bytes
    assert now > recorder.store.bytes * 0.5


@pytest.mark.parametrize(
    ("bodies", "body", "state"),
    [
        ("none", b"v=0\r\n", "dropped"),
        ("sdp", b"v=0\r\n", "kept"),
        ("sdp", b"a chat", "dropped"),
        ("all", b"a chat", "kept"),
        ("all", b"", "none"),
    ],
)
def test_bodies_are_kept_as_the_configuration_says(recorder, lines, bodies, body, state):
    recorder.store.bodies = bodies
    message = recorder.add(lines.request("MESSAGE"), body=body)
    assert (message.body_state, bool(message.body)) == (state, state == "kept")
    assert message.size > len(body) + 100
    assert message.sdp is (body[:3] == b"v=0")


@pytest.mark.parametrize(
    "secret",
    [
        'Authorization: Digest username="bob", response="s3cr3t"',
        'proxy-authorization : Digest nonce="s3cr3t"',
        'WWW-Authenticate: Digest realm="x", nonce="s3cr3t"',
        "Authorization: Basic s3cr3ts3cr3t",
        "Contact: <sip:bob:s3cr3t@home.example>",
        "X-Token: s3cr3t",
        "Cookie: s3cr3t",
    ],
)
def test_credentials_are_kept_nowhere(recorder, lines, secret):
    message = recorder.add(lines.request("REGISTER", headers=(secret,)))
    assert b"s3cr3t" not in message.head
    assert b"[masked]" in message.head


@pytest.mark.parametrize(
    "data",
    [
        b"MESSAGE sip:b@x SIP/2.0\r\nX: " + b":" * 60_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nX: " + b"sip:" * 15_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nVia:" + b" " * 60_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nVia: x" + b"/" * 60_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nFrom: " + b'"' * 60_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nTo: <" + b";tag \t" * 10_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nTo: x" + b"\r\n x" * 15_000 + b"\r\n\r\n",
        b"MESSAGE sip:b@x SIP/2.0\r\nAuthorization: " + b"nonce=" * 10_000 + b"\r\n\r\n",
    ],
)
def test_no_message_takes_long_to_be_read(make_recorder, data):
    """Messages are read where SIP runs: what a stranger sends must not hold it up."""
    recorder = make_recorder()
    way = recorder.add(("OPTIONS sip:a SIP/2.0", [])).way
    begun = process_time()
    start, lines, body, fault = split_message(data)
    recorder.store.add(Seen(0.0, 0.0, True, way, "", start, lines, body, fault))
    assert process_time() - begun < 0.25


def test_keys_of_media_are_masked(recorder, lines):
    body = b"v=0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:c2VjcmV0a2V5c2VjcmV0\r\n"
    message = recorder.add(lines.request(), body=body)
    assert b"c2VjcmV0a2V5" not in message.body
    assert b"inline:[masked]" in message.body


# ---------------------------------------------------------------- heads, readable or not


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_to_be_shown(make_recorder, data):
    start, lines, body, fault = split_message(data)
    head = Head(start, lines)
    assert head.fault or fault or head.top.sent_by
    for text in (head.method, head.call_id, head.from_uri, head.uri, head.reason, head.cseq):
        assert text == "" or text.isprintable()
    recorder = make_recorder()
    recorder.store.bodies = "all"
    way = recorder.add(("OPTIONS sip:a SIP/2.0", [])).way
    message = recorder.store.add(Seen(0.0, 0.0, True, way, "", start, lines, body, fault))
    assert message.fault


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"OPTIONS sip:a SIP/2.0\r\nVia: x\r\n", "no empty line after the head"),
        (b"OPTIONS sip:a SIP/2.0\nVia: x\n\nbody", "lines end in a bare line break"),
        (b"OPTIONS sip:a SIP/2.0\r\nnonsense\r\n\r\n", "a header line without a colon"),
    ],
)
def test_broken_lines_are_named(data, fault):
    assert split_message(data)[3] == fault


def test_folded_lines_are_one_and_blank_lines_before_are_none():
    start, lines, body, fault = split_message(b"\r\n\r\nA b SIP/2.0\r\nX: 1\r\n  2\r\n\r\nbody")
    assert (start, lines, body, fault) == (b"A b SIP/2.0", [b"X: 1 2"], b"body", "")


@pytest.mark.parametrize(
    ("value", "uri", "tag"),
    [
        (b'"A, \\"B\\" <x>;tag=no" <sip:a@b;x=1>;tag=t1', "sip:a@b;x=1", "t1"),
        (b"sip:a@b;tag=t1", "sip:a@b", "t1"),
        (b" <tel:+1> ; TAG = t1", "tel:+1", "t1"),
        (b"<sip:a@b", "sip:a@b", ""),
        (b"", "", ""),
    ],
)
def test_addresses_in_all_forms(value, uri, tag):
    head = Head(b"A b SIP/2.0", [b"f: " + value])
    assert (head.from_uri, head.from_tag) == (uri, tag)


def test_what_a_head_says():
    head = Head(
        b"SIP/2.0 486 Busy Here",
        [b"v: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bKa, SIP/2.0/UDP x;branch=z9hG4bKb",
         b"t: <sips:Bob:pw@Far.Example.:5061>;tag=2", b"i: x", b"CSEQ: 7 INVITE",
         b"c: application/SDP;charset=x", b"Subscription-State: Terminated;reason=x"],
    )  # fmt: skip
    assert (head.status, head.reason, head.method, head.cseq) == (
        486, "Busy Here", "INVITE", "7 INVITE",
    )  # fmt: skip
    assert (head.top, head.below) == (
        (b"z9hG4bKa", b"[2001:db8::1]:5060"),
        (b"z9hG4bKb", b"x"),
    )
    assert (head.domains, head.body_type, head.subscription) == (
        ("far.example",), "application/sdp", "terminated",
    )  # fmt: skip
    assert head.fault == "without a usable From"
