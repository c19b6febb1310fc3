"""From bytes to messages: one strict grammar for framing, for datagrams and for streams.

What two parsers could read differently is refused (SEC-04, SEC-05): lines end in CRLF and in
nothing else, no control character stands in a head, a name is a token, the headers that steer
a message stand once, Content-Length is digits. What the rules allow but parsers often get wrong
is accepted and leaves in its plain form: folded lines are unfolded (RFC 3261 §7.3.1), white
space before a colon is removed.

Values are not looked at here, except the few that decide about framing and matching: the
topmost Via, CSeq, Content-Length.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, TypeVar

from sipx.sip import names
from sipx.sip.errors import RemoteError
from sipx.sip.head import (
    DEFAULT_LIMITS,
    FORBIDDEN,
    MAX_BODY,
    MAX_CONTENT_LENGTH_DIGITS,
    MAX_HEAD,
    MAX_HEADER_LINES,
    MAX_ROUTES,
    MAX_START_LINE,
    MAX_VIAS,
    Limits,
    Shapes,
    read_head,
)
from sipx.sip.headers import Via, split_list
from sipx.sip.layout import Layout, layout_of
from sipx.sip.message import REASONS, Message, Request, Response, address_host, has_tag

T = TypeVar("T")


class KeepAlive(Enum):
    """What stands between messages on a stream (RFC 5626 §4.4.1)."""

    PING = "double CRLF: to be answered with one CRLF"
    PONG = "single CRLF"


_METHOD: Final = re.compile(rb"[-A-Za-z0-9.!%*_+`'~]+\Z")
_STATUS: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ")
_VERSION: Final = re.compile(rb"SIP/[0-9]+\.[0-9]+\Z", re.IGNORECASE)
_PLAIN: Final = re.compile(rb"([-A-Za-z0-9.!%*_+`'~]+)(?:;received=[0-9]+(?:\.[0-9]+){3})?\Z")
"""What may follow a start of a Via that was seen before: a branch, and what a server adds."""
_FEW: Final = 8
_MANY: Final = 900
"""A head of fewer lines and bytes has no more Vias than the limit, however they stand."""
_OPEN: Final = re.compile(rb'[",]|received', re.IGNORECASE)
_EMPTY_LINE: Final = b"\r\n\r\n"


class SentBy:
    """The part of a Via before its parameters, parsed once per spelling.

    ``key`` is the sent-by in one canonical form with a separator at each end, for the keys of
    RFC 3261 §17.2.3; ``transport`` is upper case; ``host`` is lower case.
    """

    __slots__ = ("host", "key", "port", "transport")

    def __init__(self, via: Via) -> None:
        self.transport = via.transport
        self.host = via.host
        self.port = via.port
        self.key = b" %b:%d " % (via.host, via.port or 0)


_VIAS: Final[dict[bytes, SentBy]] = {}
_CSEQS: Final[dict[bytes, tuple[bytes, bytes]]] = {}
_LENGTHS: Final[dict[bytes, int]] = {}
_KEPT: Final = 8192
"""What stands in few spellings is parsed once per spelling; each memo has this bound."""


def _remember(memo: dict[bytes, T], key: bytes, value: T) -> None:
    if len(memo) >= _KEPT:
        memo.clear()
    memo[key] = value


def read_via(line: bytes) -> tuple[SentBy, bytes]:
    """The SentBy and the branch (empty when there is none) of the first value of a Via line."""
    start, found, rest = line.partition(b";branch=")
    sent_by = _VIAS.get(start)
    if sent_by is not None:
        if rest.isalnum():
            return sent_by, rest
        plain = _PLAIN.match(rest)
        if plain is not None:
            return sent_by, plain[1]
    return _read_via_slowly(line, start, found)


def _read_via_slowly(line: bytes, start: bytes, found: bytes) -> tuple[SentBy, bytes]:
    value = split_list(line[line.find(b":") + 1 :])[0]
    via = Via.parse(value)
    sent_by = SentBy(via)
    if found and via.branch is not None and not _OPEN.search(start):
        # Nothing is open at the end of ``start``, so it means the same in every line.
        _remember(_VIAS, start, sent_by)
    return sent_by, via.branch or b""


def _read_cseq(line: bytes) -> tuple[bytes, bytes]:
    """Number and method of a CSeq line; the method is a token. Raises RemoteError."""
    found = _CSEQS.get(line)
    if found is None:
        parts = line[line.find(b":") + 1 :].split()
        if len(parts) != 2 or not parts[0].isdigit() or len(parts[0]) > 10:
            raise RemoteError("Malformed CSeq")
        if int(parts[0]) >= 1 << 31 or not _METHOD.match(parts[1]):
            raise RemoteError("Malformed CSeq")
        found = (parts[0], parts[1])
        _remember(_CSEQS, line, found)
    return found


def _read_length(line: bytes) -> int:
    """The number in a Content-Length line. Raises RemoteError."""
    found = _LENGTHS.get(line)
    if found is None:
        text = line[line.find(b":") + 1 :].strip(b" \t")
        if not text.isdigit() or len(text) > MAX_CONTENT_LENGTH_DIGITS:
            raise RemoteError("Malformed Content-Length", fatal=True)
        found = int(text)
        if found >= 1 << 31:
            # Honest messages are not that long; 2**32 + 32 is somebody counting on 32 bits.
            raise RemoteError("Malformed Content-Length", fatal=True)
        _remember(_LENGTHS, line, found)
    return found


def _content_length(lines: list[bytes], layout: Layout, limits: Limits) -> int:
    """The Content-Length, -1 when there is none. Raises RemoteError."""
    i = layout.content_length
    if i < 0:
        return -1
    length = _read_length(lines[i])
    if layout.lengths > 1:
        _drop_equal_content_lengths(lines, layout, length)
    if length > limits.body:
        raise RemoteError("Message body too large", 513)
    return length


def _drop_equal_content_lengths(lines: list[bytes], layout: Layout, length: int) -> None:
    """Two equal Content-Lengths are let pass once; anything else is an attempt at smuggling."""
    where = layout.all(names.CONTENT_LENGTH)
    if len(where) > 2 or _read_length(lines[where[1]]) != length:
        raise RemoteError("Conflicting Content-Length header fields", fatal=True)


def make_message(
    start: bytes, lines: list[bytes], layout: Layout, body: bytes, limits: Limits, size: int
) -> Request | Response:
    """A message from a head of ``size`` bytes that was read, and its body. Raises RemoteError."""
    if layout.lengths == 2:
        last = layout.all(names.CONTENT_LENGTH)[1]
        del lines[last]
        layout = layout_of(layout.ids[:last] + layout.ids[last + 1 :])
    if layout.twice:
        raise RemoteError(f"More than one {names.CANONICAL[layout.twice].decode()} header field")
    if not layout.complete:
        raise RemoteError("Missing mandatory header field")
    if layout.vias > _FEW or size > _MANY or limits.vias < MAX_VIAS:
        _count(lines, layout, (names.VIA,), limits.vias)
    if layout.routes:
        _count(lines, layout, (names.ROUTE,), limits.routes)
        _count(lines, layout, (names.RECORD_ROUTE,), limits.routes)
    cseq = _read_cseq(lines[layout.cseq])
    sent_by, branch = read_via(lines[layout.via])
    if start.startswith(b"SIP/") or start[:4].upper() == b"SIP/":
        start = start[:8].upper() + start[8:]
        status = _STATUS.match(start)
        if status is None:
            raise RemoteError("Malformed status line")
        response = Response()
        response.start = start
        response.lines = lines
        response.layout = layout
        response.body = body
        response.status = int(status[1])
        response.branch = branch
        response.sent_by = sent_by.key
        response.cseq_method = cseq[1]
        return response
    parts = start.split(b" ")
    if len(parts) != 3 or parts[2] != b"SIP/2.0" or not parts[1]:
        # RFC 3261 §7.1: "The SIP-Version string is case-insensitive, but implementations MUST
        # send upper-case."
        if len(parts) != 3 or parts[2].upper() != b"SIP/2.0" or not parts[1]:
            raise _bad_start_line(parts)
        start = start[:-7] + b"SIP/2.0"
    method = parts[0]
    if method != cseq[1]:
        raise RemoteError("CSeq method does not match the request method")
    request = Request()
    request.start = start
    request.lines = lines
    request.layout = layout
    request.body = body
    request.method = method
    request.uri = parts[1]
    request.branch = branch
    request.sent_by = sent_by.key
    request.cseq_number = cseq[0]
    request.from_domain = address_host(lines[layout.from_])
    address_host(lines[layout.to])
    return request


def _count(lines: list[bytes], layout: Layout, headers: tuple[int, ...], most: int) -> None:
    """SEC-06: no more than ``most`` values of a header, however they stand in lines."""
    for header in headers:
        values = 0
        for i in layout.all(header):
            values += 1 if b"," not in lines[i] else len(split_list(lines[i]))
        if values > most:
            raise RemoteError(f"Too many {names.CANONICAL[header].decode()} header fields")


def _bad_start_line(parts: list[bytes]) -> RemoteError:
    if _VERSION.match(parts[-1]) and len(parts) == 3:
        return RemoteError("Version Not Supported", 505)
    return RemoteError("Malformed request line")


def parse_datagram(
    data: bytes, limits: Limits = DEFAULT_LIMITS, shapes: Shapes | None = None
) -> Request | Response:
    """The message in one datagram; ``shapes`` is what was learned from the same peer before.

    RFC 3261 §18.3: bytes beyond Content-Length are discarded, a body that is shorter is an
    error; without a Content-Length the body ends with the datagram. Raises RemoteError, with its
    ``reply`` set where the sender can be told.
    """
    end = len(data)
    try:
        start, lines, layout, end = read_head(data, 0, limits, {} if shapes is None else shapes)
        if end < 0:
            raise RemoteError("No empty line after the message head", fatal=True)
        body = data[end:]
        length = _content_length(lines, layout, limits)
        if length != len(body):
            if length > len(body):
                raise RemoteError("Body shorter than Content-Length")
            if length >= 0:
                body = body[:length]
            elif len(body) > limits.body:
                raise RemoteError("Message body too large", 513)
        return make_message(start, lines, layout, body, limits, end)
    except RemoteError as error:
        error.reply = error_reply(data, error)
        raise


class StreamParser:
    """Cuts a stream into messages; the same result for every way the bytes are cut.

    ``failed`` is True after a RemoteError: nothing that follows on this stream can be trusted.
    ``waiting_for`` says what an unfinished message lacks: "" (nothing begun), "head" or "body".
    """

    __slots__ = ("_blank", "_buffer", "_head", "_limits", "_searched", "_shapes", "failed")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = b""
        self._searched = 0
        self._blank = 0
        self._head: tuple[bytes, list[bytes], Layout, int, int] | None = None
        self._shapes: Shapes = {}
        self.failed = False

    @property
    def waiting_for(self) -> str:
        """What is missing of the message that has begun."""
        if self._head is not None:
            return "body"
        return "head" if self._buffer else ""

    def pong_taken(self) -> None:
        """The single CRLF that came last answered a ping of ours, so no ping begins with it."""
        self._blank = 0

    def feed(self, data: bytes) -> list[Request | Response | KeepAlive | RemoteError]:
        """The messages that are complete with ``data``; an error is the last item, if any."""
        out: list[Request | Response | KeepAlive | RemoteError] = []
        if self.failed:
            return out
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        try:
            while at < end:
                if self._head is None:
                    first = buffer[at]
                    if first == 13 or first == 10:
                        if end - at < 2 and first == 13:
                            break
                        at = self._skip_blank(buffer, at, out)
                        continue
                    stop = self._read_head(buffer, at)
                    if stop < 0:
                        break
                    at = stop
                assert self._head is not None
                start, lines, layout, length, size = self._head
                if end - at < length:
                    break
                body = buffer[at : at + length]
                at += length
                self._head = None
                try:
                    out.append(make_message(start, lines, layout, body, self._limits, size))
                except RemoteError as error:
                    # The framing held, so the stream goes on behind this one message.
                    error.reply = error_reply(b"\r\n".join((start, *lines)), error)
                    out.append(error)
        except RemoteError as error:
            self.failed = True
            error.fatal = True
            # Only a head that is there as a whole is answered: the same for every cut.
            stop = buffer.find(_EMPTY_LINE, at, at + self._limits.head + len(_EMPTY_LINE))
            if stop >= 0 and buffer[at] not in b"\r\n":
                error.reply = error_reply(buffer[at:stop], error)
            out.append(error)
            self._buffer = b""
            return out
        self._buffer = buffer[at:]
        return out

    def _read_head(self, buffer: bytes, at: int) -> int:
        """Read the head at ``at``; where it ends, -1 when it is not complete."""
        limits = self._limits
        start, lines, layout, stop = read_head(buffer, at, limits, self._shapes, self._searched)
        if stop < 0:
            if len(buffer) - at > limits.head:
                raise RemoteError("Message head too large", 513, fatal=True)
            self._searched = max(0, len(buffer) - at - 3)
            return stop
        self._searched = self._blank = 0
        length = _content_length(lines, layout, limits)
        if length < 0:
            # RFC 3261 §18.3: on a stream "the Content-Length header field indicates the size".
            raise RemoteError("Content-Length is required on a stream", fatal=True)
        self._head = (start, lines, layout, length, stop - at)
        return stop

    def _skip_blank(
        self, buffer: bytes, at: int, out: list[Request | Response | KeepAlive | RemoteError]
    ) -> int:
        """RFC 3261 §7.5: CRLF before a start line is ignored; RFC 5626 §4.4.1 gives it a use."""
        if buffer[at : at + 2] != b"\r\n":
            raise RemoteError("Bare line break before the start line", fatal=True)
        self._blank += 1
        out.append(KeepAlive.PONG if self._blank % 2 else KeepAlive.PING)
        return at + 2


def error_reply(head: bytes, error: RemoteError) -> bytes | None:
    """The answer to a request that could not be parsed, if enough of it is usable.

    RFC 3261 §8.2.6.2 needs Via, From, To, Call-ID and CSeq; ACK is never answered, and neither
    is a response. Nothing of the request is repeated but these lines, and only clean ones.
    """
    lines = head.partition(_EMPTY_LINE)[0].split(b"\r\n", MAX_HEADER_LINES)
    start = lines.pop(0)
    if start.startswith(b"ACK ") or start[:4].upper() == b"SIP/":
        return None
    vias: list[bytes] = []
    single: dict[int, bytes] = {}
    unfolded: list[bytes] = []
    for line in lines[:MAX_HEADER_LINES]:
        if line[:1] in (b" ", b"\t") and unfolded:
            unfolded[-1] += b" " + line.strip(b" \t")
        else:
            unfolded.append(line)
    for line in unfolded:
        colon = line.find(b":")
        known = names.name_id(line[:colon].rstrip(b" \t")) if colon > 0 else names.OTHER
        if known in (names.VIA, names.FROM, names.TO, names.CALL_ID, names.CSEQ):
            if len(line.translate(None, FORBIDDEN)) != len(line):
                return None
            plain = names.CANONICAL[known] + b":" + line[colon + 1 :]
            if known == names.VIA:
                vias.append(plain)
            else:
                single.setdefault(known, plain)
    if not vias or sum(1 + via.count(b",") for via in vias) > MAX_VIAS or len(single) < 4:
        return None
    try:
        read_via(vias[0])
    except RemoteError:
        return None
    to = single[names.TO]
    if not has_tag(to):
        to += b";tag=sipx-malformed"
    reason = error.reason.encode() if error.status == 400 else REASONS[error.status]
    return b"\r\n".join(
        [
            b"SIP/2.0 %d %b" % (error.status, reason),
            *vias,
            single[names.FROM],
            to,
            single[names.CALL_ID],
            single[names.CSEQ],
            b"Content-Length: 0",
            b"",
            b"",
        ]
    )


__all__ = [
    "DEFAULT_LIMITS",
    "MAX_BODY",
    "MAX_HEAD",
    "MAX_HEADER_LINES",
    "MAX_ROUTES",
    "MAX_START_LINE",
    "MAX_VIAS",
    "KeepAlive",
    "Limits",
    "Message",
    "SentBy",
    "StreamParser",
    "parse_datagram",
    "read_via",
]
