"""SEC-19: eight times the bytes may cost eight times the time, not sixty-four times."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from sipx.sip.errors import RemoteError
from sipx.sip.message import Message, Request
from sipx.sip.parser import MAX_HEAD, StreamParser, parse_datagram

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = MAX_HEAD // 8 - 512
LARGE = SMALL * 8
FACTOR = 8 * 4
RUNS = 7

START = b"OPTIONS sip:bob@example.com SIP/2.0\r\n"
VIA = b"Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKx\r\n"
FROM = b"From: <sip:alice@example.com>;tag=1\r\n"
TO = b"To: <sip:bob@example.com>\r\n"
REST = b"Call-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n"


def head(
    extra: bytes = b"",
    *,
    start: bytes = START,
    via: bytes = VIA,
    from_: bytes = FROM,
    to: bytes = TO,
    rest: bytes = REST,
) -> bytes:
    """A request with some of its lines replaced."""
    return start + via + from_ + to + rest + extra + b"\r\n"


def fill(unit: bytes, size: int) -> bytes:
    """As many whole units as fit in a size in bytes."""
    return unit * (size // len(unit))


def uri(host: bytes = b"example.com", *, user: bytes = b"bob") -> bytes:
    """A request line."""
    return b"OPTIONS sip:" + user + b"@" + host + b" SIP/2.0\r\n"


def via(tail: bytes) -> bytes:
    """A Via line with something behind its value."""
    return VIA[:-2] + tail + b"\r\n"


def rest(old: bytes, new: bytes) -> bytes:
    """Call-ID, CSeq and Content-Length with one part of them replaced."""
    assert old in REST
    return REST.replace(old, new)


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "one long line": lambda n: head(b"Subject: " + fill(b"a", n) + b"\r\n"),
    "one long name": lambda n: head(b"X-" + fill(b"a", n) + b": x\r\n"),
    "a long line without a colon": lambda n: head(fill(b"a ", n) + b"\r\n"),
    "spaces before a colon": lambda n: head(b"Subject" + fill(b" \t", n) + b": x\r\n"),
    "spaces in Contact": lambda n: head(b"Contact: <sip:a@b>" + fill(b" ", n) + b"x\r\n"),
    "many folded lines": lambda n: head(b"Subject: x" + fill(b"\r\n a", n) + b"\r\n"),
    "many empty folded lines": lambda n: head(b"Subject: x" + fill(b"\r\n ", n) + b"\r\n"),
    "many lines": lambda n: head(fill(b"X-Y: z\r\n", n)),
    "many names": lambda n: head(b"".join(b"X-%06d: z\r\n" % i for i in range(n // 13))),
    "commas in Via": lambda n: head(via=via(fill(b",", n))),
    "values in Via": lambda n: head(via=via(fill(b",SIP/2.0/UDP a.b", n))),
    "parameters in Via": lambda n: head(via=via(fill(b";a=b", n))),
    "semicolons in Via": lambda n: head(via=via(fill(b";", n))),
    "quotes in Via": lambda n: head(via=via(b";x=" + fill(b'"', n))),
    "a long host in Via": lambda n: head(via=b"Via: SIP/2.0/UDP " + fill(b"a.", n) + b"!\r\n"),
    "hyphens in Via": lambda n: head(via=b"Via: SIP/2.0/UDP a" + fill(b"-", n) + b"\r\n"),
    "spaces in Via": lambda n: head(via=b"Via: SIP/2.0/UDP" + fill(b" ", n) + b"!\r\n"),
    "quotes in From": lambda n: head(from_=b"From: " + fill(b'"', n) + b"<sip:a@b>\r\n"),
    "escapes in From": lambda n: head(from_=b'From: "' + fill(b'\\"', n) + b" <sip:a@b>\r\n"),
    "brackets in From": lambda n: head(from_=b"From: " + fill(b"<", n) + b"\r\n"),
    "words in From": lambda n: head(from_=b"From: " + fill(b"a ", n) + b"\r\n"),
    "parameters in To": lambda n: head(to=TO[:-2] + fill(b";a=b", n) + b"\r\n"),
    "tags in To": lambda n: head(to=TO[:-2] + fill(b"; tag ", n) + b"\r\n"),
    "spaces and semicolons in To": lambda n: head(to=TO[:-2] + fill(b";  ", n) + b"\r\n"),
    "spaces in To": lambda n: head(to=TO[:-2] + b";" + fill(b" ", n) + b"x\r\n"),
    "brackets in To": lambda n: head(to=b"To: <sip:bob@b" + fill(b">", n) + b"\r\n"),
    "values in Route": lambda n: head(b"Route: <sip:a;lr>" + fill(b", <sip:a;lr>", n) + b"\r\n"),
    "open brackets in Route": lambda n: head(b"Route: " + fill(b"<", n) + b"\r\n"),
    "escapes in the Request-URI": lambda n: head(start=uri(user=fill(b"%41", n))),
    "parameters in the Request-URI": lambda n: head(start=uri(b"b" + fill(b";a", n))),
    "labels in the Request-URI": lambda n: head(start=uri(fill(b"a.", n) + b"-")),
    "digits in CSeq": lambda n: head(rest=rest(b"1 O", fill(b"1", n) + b" O")),
    "white space in CSeq": lambda n: head(rest=rest(b"1 O", b"1" + fill(b" ", n) + b"O")),
    "digits in Content-Length": lambda n: head(rest=rest(b"h: 0", b"h: " + fill(b"0", n))),
}


def read(data: bytes) -> None:
    """Parse, and read all that a proxy reads."""
    try:
        parsed = parse_datagram(data)
    except RemoteError:
        return
    for view in VIEWS:
        try:
            view(parsed)
        except RemoteError:
            continue


VIEWS: tuple[Callable[[Message], object], ...] = (
    lambda parsed: parsed.vias,
    lambda parsed: parsed.from_,
    lambda parsed: parsed.to,
    lambda parsed: parsed.cseq,
    lambda parsed: isinstance(parsed, Request) and parsed.request_uri,
    lambda parsed: isinstance(parsed, Request) and parsed.routes,
    lambda parsed: parsed.get_list(b"Contact"),
    lambda parsed: isinstance(parsed, Request) and parsed.reply(400).encode(),
    lambda parsed: parsed.encode(),
)


def cost(act: Callable[[bytes], None], data: bytes) -> int:
    """Processor time of this thread in nanoseconds, the best of some runs of four calls."""
    best = 1 << 62
    for _ in range(RUNS):
        before = time.thread_time_ns()
        for _ in range(4):
            act(data)
        best = min(best, time.thread_time_ns() - before)
    return max(best, 1)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_head_costs_time_in_proportion_to_its_size(name: str) -> None:
    make = HOSTILE[name]
    small, large = make(SMALL), make(LARGE)
    assert len(large) <= MAX_HEAD + 4
    assert cost(read, large) < FACTOR * cost(read, small)


@pytest.mark.parametrize("name", ["one long line", "many folded lines", "quotes in From"])
def test_a_head_in_small_pieces_costs_time_in_proportion_to_its_size(name: str) -> None:
    def drip(data: bytes) -> None:
        parser = StreamParser()
        for at in range(0, len(data), 128):
            parser.feed(data[at : at + 128])

    make = HOSTILE[name]
    assert cost(drip, make(LARGE)) < FACTOR * cost(drip, make(SMALL))


def test_a_body_in_small_pieces_costs_time_in_proportion_to_its_size() -> None:
    def drip(data: bytes) -> None:
        parser = StreamParser()
        for at in range(0, len(data), 256):
            parser.feed(data[at : at + 256])

    def with_body(size: int) -> bytes:
        return head(rest=rest(b"h: 0", b"h: %d" % size)) + bytes(size)

    assert cost(drip, with_body(LARGE)) < FACTOR * cost(drip, with_body(SMALL))
