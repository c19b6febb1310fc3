"""The corpus through the parser: what the manifest says, however the bytes are cut or broken."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING

import pytest

from sipx.sip import headers, message
from sipx.sip.errors import RemoteError
from sipx.sip.message import Message, Request, Response
from sipx.sip.parser import StreamParser, parse_datagram

from .corpus import (
    CORPUS,
    FOLDER,
    Case,
    messages,
    outcome,
    read_datagram,
    read_stream,
)

if TYPE_CHECKING:
    from collections.abc import Callable

FOLLOWING = (
    b"OPTIONS sip:bob@biloxi.example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/TCP pc33.example.com;branch=z9hG4bK-following\r\n"
    b"From: <sip:alice@example.com>;tag=1\r\nTo: <sip:bob@biloxi.example.com>\r\n"
    b"Call-ID: following\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def cases(*wanted: Callable[[Case], bool]) -> pytest.MarkDecorator:
    """Run a test for every case that all of ``wanted`` hold for."""
    chosen = [case for case in CORPUS if all(want(case) for want in wanted)]
    assert chosen
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


def ok(case: Case) -> bool:
    return case.ok


def error(case: Case) -> bool:
    return not case.ok


def by_datagram(case: Case) -> bool:
    return case.by_datagram


def by_stream(case: Case) -> bool:
    return case.by_stream


def a_request(case: Case) -> bool:
    return not case.data.upper().startswith(b"SIP/")


# ---------------------------------------------------------------- the manifest itself


def test_every_message_has_a_table_and_every_table_a_message() -> None:
    files = {path.name for path in FOLDER.joinpath("messages").iterdir()}
    assert files == {f"{case.name}.sip" for case in CORPUS}


def test_all_messages_of_both_rfcs_are_there() -> None:
    sections = {case.source for case in CORPUS}
    counts = {"3.1.1": 13, "3.1.2": 19, "3.2": 1, "3.3": 15, "3.4": 1}
    for section, count in counts.items():
        for i in range(1, count + 1):
            assert f"RFC 4475 §{section}.{i}" in sections
    for i in range(1, 11):
        assert f"RFC 5118 §4.{i}" in sections


def test_every_known_defect_that_is_a_message_is_there() -> None:
    found = {
        int(case.source.removeprefix("regression ").partition(":")[0])
        for case in CORPUS
        if case.source.startswith("regression ")
    }
    assert found == set(range(1, 27)) - {21}


@cases()
def test_a_table_says_all_that_it_must_and_nothing_that_contradicts_it(case: Case) -> None:
    assert case.over in ("any", "udp", "tcp")
    assert case.parse in ("ok", "error")
    assert case.action in ("forward", "answer", "drop")
    assert (case.code is not None) == (case.action == "answer")
    assert (case.expect is not None) == case.ok
    if not case.ok:
        assert case.status is not None
        assert case.action != "forward"
        assert case.code in (None, case.status)


# ---------------------------------------------------------------- what the parser makes of them


@cases(ok)
def test_a_valid_message_is_read_as_the_manifest_says(case: Case) -> None:
    parsed = parse_datagram(case.data.lstrip(b"\r\n"))
    assert case.expect is not None
    assert facts(parsed, set(case.expect)) == {
        name: text for name, text in case.expect.items() if name not in ("values", "line")
    }
    values = case.expect.get("values", {})
    assert not isinstance(values, str)
    for name, value in values.items():
        assert parsed.get(name.encode()) == value.encode()
    if "line" in case.expect:
        assert str(case.expect["line"]).encode() in parsed.lines


def facts(parsed: Request | Response, wanted: set[str]) -> dict[str, str]:
    """The facts that a case asks for, as text; "" is what is absent."""
    top = parsed.vias[0]
    found: dict[str, Callable[[], object]] = {
        "headers": lambda: len(parsed.lines),
        "vias": lambda: len(parsed.vias),
        "cseq": lambda: bytes(parsed.cseq),
        "call_id": lambda: parsed.call_id,
        "body": lambda: len(parsed.body),
        "branch": lambda: top.branch,
        "sent_by": lambda: top.sent_by,
        "received": lambda: top.received,
        "transports": lambda: b" ".join(via.transport for via in parsed.vias),
        "from_tag": lambda: parsed.from_.tag,
        "to_tag": lambda: parsed.to.tag,
    }
    if isinstance(parsed, Request):
        request = parsed
        found |= {
            "method": lambda: request.method,
            "uri": lambda: request.uri,
            "user": lambda: request.request_uri.user,
            "host": lambda: request.request_uri.host,
            "port": lambda: request.request_uri.port,
        }
    else:
        response = parsed
        found |= {"status": lambda: response.status, "reason": lambda: response.reason}
    return {name: text(read()) for name, read in found.items() if name in wanted}


def text(value: object) -> str:
    """A fact as the manifest writes it."""
    if isinstance(value, bytes):
        return value.decode()
    return "" if value is None else str(value)


@cases(ok)
def test_the_branch_and_sent_by_found_in_passing_are_those_of_the_topmost_via(case: Case) -> None:
    parsed = parse_datagram(case.data.lstrip(b"\r\n"))
    top = parsed.vias[0]
    assert parsed.branch == (top.branch or b"")
    assert parsed.sent_by == b" %b:%d " % (top.host, top.port or 0)


@cases(error, by_datagram)
def test_an_invalid_datagram_asks_for_the_stated_answer_or_for_none(case: Case) -> None:
    with pytest.raises(RemoteError) as caught:
        parse_datagram(case.data)
    check_error(caught.value, case)
    if not case.by_stream:
        assert caught.value.fatal == case.fatal


def check_error(found: RemoteError, case: Case) -> None:
    """Status and reply are as the manifest says, and the reply is an answer to this request."""
    assert found.status == case.status
    if case.action == "drop":
        assert found.reply is None
        return
    assert found.reply is not None
    start, *lines = check_reply(found.reply)
    assert start.startswith(b"SIP/2.0 %d " % found.status)
    sent = re.sub(rb"\r\n[ \t]+", b" ", case.data)
    for line in lines:
        name, _, value = line.partition(b":")
        if name == b"To":
            assert b"tag" in value
        elif name != b"Content-Length":
            assert value in sent


def check_reply(reply: bytes) -> list[bytes]:
    """The lines of an answer, which is framed in a way that nobody can read differently.

    It repeats Via, From, To, Call-ID and CSeq (RFC 3261 §8.2.6.2) even where one of them is what
    is wrong, so it need not be a message that the parser would accept.
    """
    head, end, body = reply.partition(b"\r\n\r\n")
    assert end
    assert body == b""
    lines = head.split(b"\r\n")
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", b"".join(lines))
    names = [line.partition(b":")[0] for line in lines[1:]]
    assert names.count(b"Via") >= 1
    assert sorted(name for name in names if name != b"Via") == [
        b"CSeq", b"Call-ID", b"Content-Length", b"From", b"To",
    ]  # fmt: skip
    return lines


@cases(ok, by_datagram, by_stream)
def test_a_stream_and_a_datagram_read_a_message_alike(case: Case) -> None:
    assert messages(read_stream(case.data)) == [outcome(parse_datagram(case.data))]


@cases(error, by_stream)
def test_an_invalid_message_on_a_stream_is_one_error(case: Case) -> None:
    parser = StreamParser()
    items = parser.feed(case.data)
    assert len(items) == 1
    found = items[0]
    assert isinstance(found, RemoteError)
    check_error(found, case)
    assert found.fatal == case.fatal
    assert parser.failed == case.fatal


@cases(by_stream)
def test_a_message_behind_is_read_unless_the_stream_cannot_be_trusted(case: Case) -> None:
    items = messages(read_stream(case.data + FOLLOWING))
    if case.fatal:
        assert len(items) == 1
    else:
        assert items[1:] == [outcome(parse_datagram(FOLLOWING))]


@cases(by_stream)
def test_a_stream_may_be_cut_at_every_byte(case: Case) -> None:
    data = case.data
    whole = [outcome(item) for item in read_stream(data)]
    for cut in range(1, len(data)):
        assert [outcome(item) for item in read_stream(data[:cut], data[cut:])] == whole, cut


@cases(by_stream)
def test_a_stream_may_come_byte_by_byte(case: Case) -> None:
    data = case.data
    whole = [outcome(item) for item in read_stream(data)]
    assert [outcome(i) for i in read_stream(*(data[i : i + 1] for i in range(len(data))))] == whole


def test_an_error_behind_a_message_is_not_answered_in_its_name() -> None:
    for broken in (b"\nGET / HTTP/1.0\r\n\r\n", b"X" * (64 * 1024 + 1)):
        items = read_stream(FOLLOWING + broken)
        assert len(items) == 2
        assert isinstance(items[1], RemoteError)
        assert items[1].reply is None


# ---------------------------------------------------------------- what leaves


@cases(ok)
def test_what_leaves_is_read_as_what_came(case: Case) -> None:
    first = parse_datagram(case.data.lstrip(b"\r\n"))
    again = parse_datagram(first.encode())
    assert outcome(again) == outcome(first)
    assert again.encode() == first.encode()


@cases(ok)
def test_what_leaves_is_canonical_for_every_reader(case: Case) -> None:
    """SEC-04: no folding, no space before a colon, no byte that ends a line for somebody else."""
    head = parse_datagram(case.data.lstrip(b"\r\n")).encode().partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", b"".join(lines))
    assert re.search(rb"(\A| )SIP/2\.0( |\Z)", lines[0])
    for line in lines[1:]:
        assert re.match(rb"[-A-Za-z0-9.!%*_+`'~]+:", line)


@cases(lambda case: case.when_read is not None)
def test_a_value_that_a_proxy_need_not_read_is_an_error_for_who_does(case: Case) -> None:
    assert case.when_read is not None
    parsed = parse_datagram(case.data)
    value = parsed.get(case.when_read.encode())
    assert value is not None
    view: Callable[[bytes], object] = headers.NameAddr.parse
    if case.when_read == "Authorization":
        view = headers.AuthParams.parse
    with pytest.raises(RemoteError) as caught:
        view(value)
    assert caught.value.status == 400


@cases(ok, a_request, lambda case: case.action == "answer" and case.code in (400, 416))
def test_what_a_proxy_must_refuse_is_refused_by_a_view_it_reads(case: Case) -> None:
    """The parser is lazy: one of the values that a proxy needs raises when it is read."""
    parsed = parse_datagram(case.data)
    assert isinstance(parsed, Request)
    if case.name == "escruri":
        assert parsed.request_uri.headers is not None
    else:
        assert refusals(parsed) == {case.code}


# ---------------------------------------------------------------- broken on purpose

VIEWS: tuple[Callable[[Message], object], ...] = (
    lambda parsed: parsed.vias,
    lambda parsed: parsed.from_.tag,
    lambda parsed: parsed.to.tag,
    lambda parsed: parsed.cseq,
    lambda parsed: parsed.call_id,
    lambda parsed: isinstance(parsed, Request) and parsed.request_uri,
    lambda parsed: isinstance(parsed, Request) and parsed.routes,
    lambda parsed: parsed.get_list(b"Proxy-Require"),
    lambda parsed: message.address_host(parsed.lines[parsed.layout.from_]),
    lambda parsed: (
        parsed.layout.max_forwards < 0
        or message.max_forwards(parsed.lines[parsed.layout.max_forwards])
    ),
)


def refusals(parsed: Message) -> set[int]:
    """The codes of all errors that the views of a message raise."""
    found = set()
    for view in VIEWS:
        try:
            view(parsed)
        except RemoteError as refusal:
            found.add(refusal.status)
    return found


def read_wholly(data: bytes) -> None:
    """Parse and read all that a proxy reads; anything but RemoteError comes through."""
    parsed = read_datagram(data)
    if isinstance(parsed, Message):
        assert all(400 <= status < 600 for status in refusals(parsed))
        parsed.encode()
        if isinstance(parsed, Request):
            parsed.reply(400).encode()
    else:
        assert isinstance(parsed, RemoteError)
        if parsed.reply is not None:
            check_reply(parsed.reply)


@cases()
def test_every_beginning_of_a_message_is_read_or_refused(case: Case) -> None:
    step = 1 + len(case.data) // 1500
    for end in range(0, len(case.data), step):
        read_wholly(case.data[:end])


@cases()
def test_a_message_with_a_wrong_byte_is_read_or_refused(case: Case) -> None:
    rng = random.Random(case.name)
    for _ in range(150):
        broken = bytearray(case.data)
        broken[rng.randrange(len(broken))] = rng.choice(b"\r\n\0\t \x7f\xff:;,=<>\"'\\@[]%/?*09aZ")
        read_wholly(bytes(broken))


@cases(by_stream)
def test_a_stream_with_a_wrong_byte_is_read_alike_wherever_it_is_cut(case: Case) -> None:
    rng = random.Random(case.name)
    for _ in range(40):
        broken = bytearray(case.data)
        broken[rng.randrange(len(broken))] = rng.choice(b'\r\n\0\t :;,=<>"0123456789')
        data = bytes(broken) + FOLLOWING
        cut = rng.randrange(len(data))
        whole = [outcome(item) for item in read_stream(data)]
        assert [outcome(item) for item in read_stream(data[:cut], data[cut:])] == whole
