"""Messages that hypothesis makes up: whole ones, and bytes that only look like some."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sipx.sip.errors import RemoteError
from sipx.sip.message import Request
from sipx.sip.parser import KeepAlive, parse_datagram

from .corpus import CORPUS, messages, outcome, read_datagram, read_stream

TOKEN = "abcxyzABCXYZ0189-.!%*_+`'~"
token = st.text(TOKEN, min_size=1, max_size=12).map(str.encode)
# Any text but control characters, which includes bytes above 127, quotes, commas, brackets.
value = (
    st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f"))
    .map(lambda text: text.strip().encode())
    .filter(lambda raw: len(raw) < 60)
)
white = st.text(" \t", max_size=3).map(str.encode)
fold = st.one_of(white, st.builds(lambda a, b: a + b"\r\n " + b, white, white))
spelled = st.sampled_from([bytes.upper, bytes.lower, bytes.title, bytes.swapcase])
bodies = st.binary(max_size=40)


@dataclass(frozen=True, slots=True)
class Made:
    """A valid request as bytes, and what was put into it."""

    data: bytes
    method: bytes
    uri: bytes
    extra: list[tuple[bytes, bytes]]
    body: bytes


@st.composite
def requests(draw: st.DrawFn) -> Made:
    """A request with unknown headers, its lines in any order, spelling and white space."""
    method = draw(token)
    uri = (
        b"sip:"
        + draw(st.text(TOKEN.replace("%", "").replace("`", ""), min_size=1, max_size=8)).encode()
    )
    uri += b"@example.com"
    body = draw(bodies)
    extra = [(b"X-" + name, text) for name, text in draw(st.lists(st.tuples(token, value)))]
    number = draw(st.integers(0, 2**31 - 1))
    known = [
        ((b"Via", b"v"), b"SIP/2.0/UDP pc33.example.com;branch=z9hG4bK" + draw(token)),
        ((b"From", b"f"), b"<sip:alice@example.com>;tag=" + draw(token)),
        ((b"To", b"t"), b"<" + uri + b">"),
        ((b"Call-ID", b"i"), draw(token)),
        ((b"CSeq",), b"%d " % number + method),
        ((b"Content-Length", b"l"), b"%d" % len(body)),
    ]
    lines = [(draw(spelled)(draw(st.sampled_from(names))), text) for names, text in known]
    lines = draw(st.permutations([*lines, *extra]))
    raw = [
        name + draw(white) + b":" + draw(white if not text else fold) + text for name, text in lines
    ]
    head = b"\r\n".join([method + b" " + uri + b" SIP/2.0", *raw])
    return Made(head + b"\r\n\r\n" + body, method, uri, extra, body)


FRAGMENTS = [
    *b'\r \n \0 : ; , < > " \\ 5 0'.split(b" "),
    b" ",
    b"\t",
    b"\r\n",
    b"\r\n\r\n",
    b"INVITE sip:bob@example.com SIP/2.0\r\n",
    b"SIP/2.0 200 OK\r\n",
    b"Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKx\r\n",
    b"From: <sip:alice@example.com>;tag=1\r\n",
    b"To: <sip:bob@example.com>\r\nCall-ID: x\r\n",
    b"CSeq: 1 INVITE\r\n",
    b"Content-Length: 5\r\n",
    b"l: 0\r\n",
    b"Content-Length",
    *(case.data for case in CORPUS[:60:6] if len(case.data) < 800),
]
soup = st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=6)), max_size=12).map(
    b"".join
)


@st.composite
def cut_soup(draw: st.DrawFn) -> list[bytes]:
    """Bytes that look like messages, in any number of pieces."""
    data = draw(soup)
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=5)))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


@given(requests())
def test_a_request_is_read_as_it_was_made(made: Made) -> None:
    request = parse_datagram(made.data)
    assert isinstance(request, Request)
    assert request.method == made.method
    assert request.uri == made.uri
    assert request.body == made.body
    for name in {name.lower() for name, _ in made.extra}:
        made_values = [text for n, text in made.extra if n.lower() == name]
        assert sorted(request.get_all(name)) == sorted(made_values)


@given(requests())
def test_a_request_leaves_as_it_was_read(made: Made) -> None:
    request = parse_datagram(made.data)
    again = parse_datagram(request.encode())
    assert outcome(again) == outcome(request)
    assert again.encode() == request.encode()


@settings(max_examples=30)
@given(requests())
def test_a_request_may_be_cut_at_every_byte_of_a_stream(made: Made) -> None:
    whole = [outcome(parse_datagram(made.data))]
    for cut in range(len(made.data) + 1):
        assert messages(read_stream(made.data[:cut], made.data[cut:])) == whole


@settings(max_examples=30)
@given(requests(), requests(), st.integers(0, 2000))
def test_two_requests_on_a_stream_are_two(first: Made, second: Made, cut: int) -> None:
    data = first.data + b"\r\n\r\n" + second.data
    assert messages(read_stream(data[:cut], data[cut:])) == [
        outcome(parse_datagram(first.data)),
        outcome(parse_datagram(second.data)),
    ]


@settings(max_examples=300)
@given(st.one_of(st.binary(max_size=200), soup))
def test_bytes_of_any_kind_raise_nothing_but_the_documented_error(data: bytes) -> None:
    read = read_datagram(data)
    if isinstance(read, RemoteError):
        assert 400 <= read.status < 600
        assert read.reply is None or read.reply.startswith(b"SIP/2.0 %d " % read.status)


@settings(max_examples=300)
@given(cut_soup())
def test_a_stream_of_any_kind_is_read_alike_however_it_is_cut(pieces: list[bytes]) -> None:
    items = read_stream(*pieces)
    assert [outcome(item) for item in items] == [
        outcome(item) for item in read_stream(b"".join(pieces))
    ]
    errors = [item for item in items if isinstance(item, RemoteError)]
    assert all(not error.fatal for error in errors[:-1])
    if any(error.fatal for error in errors):
        assert items[-1] is errors[-1]


@given(st.integers(0, 12))
def test_empty_lines_are_keepalives_and_nothing_else(count: int) -> None:
    items = read_stream(b"\r\n" * count)
    assert len(items) == count
    assert items.count(KeepAlive.PING) == count // 2


# ---------------------------------------------------------------- memory is not meaning

VIA = b"SIP/2.0/UDP %b.example.com;branch=z9hG4bKx"
FROM = b"<sip:alice@%b.example.com>"


def with_values(via: bytes, from_: bytes) -> bytes:
    """A request with these values of Via and From."""
    return (
        b"OPTIONS sip:bob@example.com SIP/2.0\r\nVia: " + via + b"\r\nFrom: " + from_ + b"\r\n"
        b"To: <sip:bob@example.com>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("kind", "tail"),
    [
        ("via", b";;"),
        ("via", b";branch=z9hG4bKy"),
        ("via", b";rport=99999"),
        ("via", b";ttl=256"),
        ("via", b"<>"),
        ("via", b"\\"),
        ("via", b";maddr=%"),
        ("from", b";;"),
        ("from", b";tag=1;tag=2"),
        ("from", b", <sip:mallory@example.net>"),
        ("from", b" junk"),
        ("from", b'"'),
    ],
)
def test_a_value_means_the_same_whatever_has_been_read_before(kind: str, tail: bytes) -> None:
    """What is remembered for speed must not let pass what is refused without it."""
    name = b"h" + tail.hex().encode()
    via, from_ = VIA % name, FROM % name
    good = with_values(via, from_ + b";tag=1")
    bad = with_values(via + tail, from_) if kind == "via" else with_values(via, from_ + tail)
    before = outcome(read_datagram(bad))
    assert before[0] == "error"
    assert outcome(read_datagram(good))[0] == "request"
    assert outcome(read_datagram(bad)) == before
