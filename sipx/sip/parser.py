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
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sipx.sip import names
from sipx.sip.errors import RemoteError
from sipx.sip.headers import Via, digits, split_list
from sipx.sip.layout import Layout, layout_of
from sipx.sip.message import REASONS, Message, Request, Response, has_tag
from sipx.sip.names import SPELLINGS

MAX_START_LINE: Final = 8 * 1024
MAX_HEAD: Final = 64 * 1024
MAX_HEADER_LINES: Final = 256
MAX_VIAS: Final = 70
MAX_ROUTES: Final = 20
MAX_BODY: Final = 256 * 1024
MAX_CONTENT_LENGTH_DIGITS: Final = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a message may be (SEC-06); sizes in bytes. The TOML table [limits] sets them."""

    start_line: int = MAX_START_LINE
    head: int = MAX_HEAD
    header_lines: int = MAX_HEADER_LINES
    vias: int = MAX_VIAS
    routes: int = MAX_ROUTES
    body: int = MAX_BODY


DEFAULT_LIMITS: Final = Limits()


class KeepAlive(Enum):
    """What stands between messages on a stream (RFC 5626 §4.4.1)."""

    PING = "double CRLF: to be answered with one CRLF"
    PONG = "single CRLF"


# Deleting CR and LF as well as all that is forbidden leaves a head shorter by exactly two bytes
# per line when it is clean: one pass over the bytes finds every control character and every bare
# CR or LF. HTAB is the one control character that may stand (as white space).
_FORBIDDEN: Final = bytes(c for c in range(32) if c != 9) + b"\x7f"
_METHOD: Final = re.compile(rb"[-A-Za-z0-9.!%*_+`'~]+\Z")
_STATUS: Final = re.compile(rb"SIP/2\.0 ([1-6][0-9][0-9]) ")
_VERSION: Final = re.compile(rb"SIP/[0-9]+\.[0-9]+\Z", re.IGNORECASE)
_EMPTY_LINE: Final = b"\r\n\r\n"


class SentBy:
    """The part of a Via before its parameters, parsed once per spelling.

    ``key`` is the sent-by in one canonical form with a separator at each end, for the keys of
    RFC 3261 §17.2.3; ``transport`` is upper case; ``host`` is lower case.
    """

    __slots__ = ("host", "key", "port", "transport")

    def __init__(self, value: bytes) -> None:
        via = Via.parse(value)
        self.transport = via.transport
        self.host = via.host
        self.port = via.port
        self.key = b" %b:%d " % (via.host, via.port or 0)


_SENT_BYS: Final[dict[bytes, SentBy]] = {}
_SENT_BYS_KEPT: Final = 8192


def sent_by_of(prefix: bytes) -> SentBy:
    """The SentBy for ``b" SIP/2.0/UDP host:port"``. Raises RemoteError."""
    found = _SENT_BYS.get(prefix)
    if found is None:
        found = SentBy(prefix)
        if len(_SENT_BYS) >= _SENT_BYS_KEPT:
            _SENT_BYS.clear()
        _SENT_BYS[prefix] = found
    return found


def read_via(line: bytes) -> tuple[SentBy, bytes]:
    """The SentBy and the branch (empty when there is none) of the first value of a Via line."""
    colon = line.find(b":") + 1
    if b'"' in line or b"," in line:
        return _read_via_slowly(split_list(line[colon:])[0])
    end = line.find(b";", colon)
    if end < 0:
        return sent_by_of(line[colon:]), b""
    start = line.find(b";branch=", end)
    if start < 0:
        return _read_via_slowly(line[colon:])
    stop = line.find(b";", start + 8)
    branch = line[start + 8 :] if stop < 0 else line[start + 8 : stop]
    if b" " in branch or b"\t" in branch:
        return _read_via_slowly(line[colon:])
    return sent_by_of(line[colon:end]), branch


def _read_via_slowly(value: bytes) -> tuple[SentBy, bytes]:
    via = Via.parse(value)
    return SentBy(value), via.branch or b""


def read_head(head: bytes, limits: Limits) -> tuple[bytes, list[bytes], Layout]:
    """Start line, header lines and their Layout, from the bytes before the empty line.

    Raises RemoteError.
    """
    if len(head) > limits.head:
        raise RemoteError("Message head too large", 513, fatal=True)
    lines = head.split(b"\r\n")
    start = lines.pop(0)
    if len(head.translate(None, _FORBIDDEN)) + 2 * len(lines) != len(head):
        raise RemoteError("Control character or bare line break in the message head", fatal=True)
    known = SPELLINGS.get
    ids = [known(line[: line.find(b":") + 1]) for line in lines]
    if None in ids:
        lines, unusual = _read_unusual_lines(lines, limits)
        layout = layout_of(unusual)
    else:
        layout = layout_of(tuple(ids))  # type: ignore[arg-type]  # None was ruled out above
    if len(lines) > limits.header_lines:
        raise RemoteError("Too many header fields")
    if len(start) > limits.start_line:
        raise RemoteError("Request-URI too long", 414)
    return start, lines, layout


def _read_unusual_lines(
    lines: list[bytes], limits: Limits
) -> tuple[list[bytes], tuple[int, ...]]:
    """The slow way: unfold lines, remove white space before colons, learn new names."""
    plain: list[bytes] = []
    folded: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if not plain:
                raise RemoteError("White space before the first header field", fatal=True)
            folded.append(line.strip(b" \t"))
            continue
        if folded:
            plain[-1] = b" ".join((plain[-1].rstrip(b" \t"), *folded))
            folded.clear()
        plain.append(line)
        if len(plain) > limits.header_lines:
            raise RemoteError("Too many header fields")
    if folded:
        plain[-1] = b" ".join((plain[-1].rstrip(b" \t"), *folded))
    ids: list[int] = []
    for i, line in enumerate(plain):
        colon = line.find(b":")
        if colon < 0:
            raise RemoteError("Header field without a colon", fatal=True)
        prefix = line[: colon + 1]
        if line[colon - 1 : colon] in (b" ", b"\t"):
            prefix = line[:colon].rstrip(b" \t") + b":"
            plain[i] = prefix + line[colon + 1 :]
        known = SPELLINGS.get(prefix)
        ids.append(names.learn(prefix) if known is None else known)
    return plain, tuple(ids)


def _content_length(lines: list[bytes], layout: Layout, limits: Limits) -> int:
    """The Content-Length, -1 when there is none. Raises RemoteError."""
    i = layout.content_length
    if i < 0:
        return -1
    line = lines[i]
    text = line[line.find(b":") + 1 :].strip(b" \t")
    if not text.isdigit() or len(text) > MAX_CONTENT_LENGTH_DIGITS:
        raise RemoteError("Malformed Content-Length", fatal=True)
    length = int(text)
    if layout.ids.count(names.CONTENT_LENGTH) > 1:
        _drop_equal_content_lengths(lines, layout, length)
    if length > limits.body:
        raise RemoteError("Message body too large", 513, fatal=True)
    return length


def _drop_equal_content_lengths(lines: list[bytes], layout: Layout, length: int) -> None:
    """Two equal Content-Lengths are let pass once; anything else is an attempt at smuggling."""
    where = layout.all(names.CONTENT_LENGTH)
    second = lines[where[1]]
    if len(where) > 2 or second[second.find(b":") + 1 :].strip(b" \t") != b"%d" % length:
        raise RemoteError("Conflicting Content-Length header fields", fatal=True)


def make_message(
    start: bytes, lines: list[bytes], layout: Layout, body: bytes, limits: Limits
) -> Request | Response:
    """A message from a head that was read and its body. Raises RemoteError."""
    if layout.ids.count(names.CONTENT_LENGTH) == 2:
        last = layout.all(names.CONTENT_LENGTH)[1]
        del lines[last]
        layout = layout_of(layout.ids[:last] + layout.ids[last + 1 :])
    if layout.via < 0 or layout.cseq < 0 or layout.from_ < 0 or layout.to < 0 or layout.call_id < 0:
        raise RemoteError("Missing mandatory header field")
    if layout.vias > limits.vias:
        raise RemoteError("Too many Via header fields")
    if layout.route >= 0 and len(layout.all(names.ROUTE)) > limits.routes:
        raise RemoteError("Too many Route header fields")
    line = lines[layout.cseq]
    cseq = line[line.find(b":") + 1 :].split()
    if len(cseq) != 2 or not cseq[0].isdigit() or len(cseq[0]) > 10 or int(cseq[0]) >= 1 << 31:
        raise RemoteError("Malformed CSeq")
    sent_by, branch = read_via(lines[layout.via])
    if start.startswith(b"SIP/2.0 "):
        status = _STATUS.match(start)
        if status is None:
            raise RemoteError("Malformed status line")
        response = Response.__new__(Response)
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
        raise _bad_start_line(parts)
    method = parts[0]
    if method != cseq[1]:
        raise RemoteError("CSeq method does not match the request method")
    if not _METHOD.match(method):
        raise RemoteError("Malformed method")
    request = Request.__new__(Request)
    request.start = start
    request.lines = lines
    request.layout = layout
    request.body = body
    request.method = method
    request.uri = parts[1]
    request.branch = branch
    request.sent_by = sent_by.key
    request.cseq_number = cseq[0]
    return request


def _bad_start_line(parts: list[bytes]) -> RemoteError:
    if _VERSION.match(parts[-1]) and parts[-1].upper() != b"SIP/2.0" and len(parts) == 3:
        return RemoteError("Version Not Supported", 505)
    return RemoteError("Malformed request line")


def parse_datagram(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Request | Response:
    """The message in one datagram.

    RFC 3261 §18.3: bytes beyond Content-Length are discarded, a body that is shorter is an
    error; without a Content-Length the body ends with the datagram. Raises RemoteError, with its
    ``reply`` set where the sender can be told.
    """
    end = data.find(_EMPTY_LINE)
    if end < 0:
        raise RemoteError("No empty line after the message head", fatal=True)
    head = data[:end]
    try:
        start, lines, layout = read_head(head, limits)
        body = data[end + 4 :]
        length = _content_length(lines, layout, limits)
        if length != len(body):
            if length > len(body):
                raise RemoteError("Body shorter than Content-Length")
            if length >= 0:
                body = body[:length]
            elif len(body) > limits.body:
                raise RemoteError("Message body too large", 513)
        return make_message(start, lines, layout, body, limits)
    except RemoteError as error:
        error.reply = error_reply(head, error)
        raise


class StreamParser:
    """Cuts a stream into messages; the same result for every way the bytes are cut.

    ``failed`` is True after a RemoteError: nothing that follows on this stream can be trusted.
    ``waiting_for`` says what an unfinished message lacks: "" (nothing begun), "head" or "body".
    """

    __slots__ = ("_blank", "_buffer", "_head", "_limits", "_need", "_searched", "failed")

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._buffer = b""
        self._searched = 0
        self._blank = 0
        self._need = -1
        self._head: tuple[bytes, list[bytes], Layout, bytes] | None = None
        self.failed = False

    @property
    def waiting_for(self) -> str:
        """What is missing of the message that has begun."""
        if self._head is not None:
            return "body"
        return "head" if self._buffer else ""

    def feed(self, data: bytes) -> list[Request | Response | KeepAlive | RemoteError]:
        """The messages that are complete with ``data``; an error is the last item, if any."""
        out: list[Request | Response | KeepAlive | RemoteError] = []
        if self.failed:
            return out
        buffer = self._buffer + data if self._buffer else data
        at, end = 0, len(buffer)
        head = b""
        try:
            while at < end:
                if self._head is None:
                    first = buffer[at]
                    if first == 13 or first == 10:
                        if end - at < 2 and first == 13:
                            break
                        at = self._skip_blank(buffer, at, out)
                        continue
                    stop = buffer.find(_EMPTY_LINE, max(at, self._searched))
                    if stop < 0:
                        if end - at > self._limits.head:
                            raise RemoteError("Message head too large", 513, fatal=True)
                        self._searched = max(0, end - at - 3)
                        break
                    head = buffer[at:stop]
                    self._searched = self._blank = 0
                    self._read_head(head)
                    at = stop + 4
                if end - at < self._need:
                    break
                assert self._head is not None
                start, lines, layout, head = self._head
                body = buffer[at : at + self._need]
                at += self._need
                self._head = None
                try:
                    out.append(make_message(start, lines, layout, body, self._limits))
                except RemoteError as error:
                    # The framing held, so the stream goes on behind this one message.
                    error.reply = error_reply(head, error)
                    out.append(error)
        except RemoteError as error:
            self.failed = True
            error.fatal = True
            error.reply = error_reply(head, error)
            out.append(error)
            self._buffer = b""
            return out
        self._buffer = buffer[at:]
        return out

    def _read_head(self, head: bytes) -> None:
        start, lines, layout = read_head(head, self._limits)
        length = _content_length(lines, layout, self._limits)
        if length < 0:
            # RFC 3261 §18.3: on a stream "the Content-Length header field indicates the size".
            raise RemoteError("Content-Length is required on a stream", fatal=True)
        self._head = (start, lines, layout, head)
        self._need = length

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
    lines = head.split(b"\r\n")
    start = lines.pop(0)
    if start.startswith((b"SIP/", b"ACK ")):
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
            if len(line.translate(None, _FORBIDDEN)) != len(line):
                return None
            plain = names.CANONICAL[known] + b":" + line[colon + 1 :]
            if known == names.VIA:
                vias.append(plain)
            else:
                single.setdefault(known, plain)
    if not vias or len(vias) > MAX_VIAS or len(single) < 4:
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
    "KeepAlive",
    "Limits",
    "Message",
    "SentBy",
    "StreamParser",
    "parse_datagram",
    "read_via",
]
