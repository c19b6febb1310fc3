"""Requests and responses: the lines as they came, and views of them that are made on demand.

A message is its start line, its header lines (unfolded, without CRLF, spelling and order as
received: RFC 3261 §7.3.1 "a proxy MUST NOT reorder") and its body, all bytes. What is never
asked for is never parsed, and what is not edited leaves exactly as it came.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from sipx.sip import names
from sipx.sip.errors import LocalError, RemoteError
from sipx.sip.headers import CSeq, NameAddr, Via, digits, split_list
from sipx.sip.layout import Layout, layout_of
from sipx.sip.uri import SipUri, cached_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_TAG: Final = re.compile(rb";[ \t]*tag[ \t]*=", re.IGNORECASE)

REASONS: Final[dict[int, bytes]] = {
    100: b"Trying",
    180: b"Ringing",
    181: b"Call Is Being Forwarded",
    182: b"Queued",
    183: b"Session Progress",
    200: b"OK",
    202: b"Accepted",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Moved Temporarily",
    400: b"Bad Request",
    401: b"Unauthorized",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    412: b"Conditional Request Failed",
    413: b"Request Entity Too Large",
    414: b"Request-URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Unsupported URI Scheme",
    420: b"Bad Extension",
    421: b"Extension Required",
    423: b"Interval Too Brief",
    430: b"Flow Failed",
    439: b"First Hop Lacks Outbound Support",
    440: b"Max-Breadth Exceeded",
    480: b"Temporarily Unavailable",
    481: b"Call/Transaction Does Not Exist",
    482: b"Loop Detected",
    483: b"Too Many Hops",
    484: b"Address Incomplete",
    485: b"Ambiguous",
    486: b"Busy Here",
    487: b"Request Terminated",
    488: b"Not Acceptable Here",
    489: b"Bad Event",
    500: b"Server Internal Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Server Time-out",
    505: b"Version Not Supported",
    513: b"Message Too Large",
    600: b"Busy Everywhere",
    603: b"Decline",
    604: b"Does Not Exist Anywhere",
    606: b"Not Acceptable",
}
"""Reason phrases of the codes in use (RFC 3261 §21 and the RFCs that added codes)."""


class Message:
    """What requests and responses share. ``lines[i]`` is ``b"Name: value"``."""

    __slots__ = ("body", "layout", "lines", "start")

    start: bytes
    lines: list[bytes]
    layout: Layout
    body: bytes

    def get(self, name: bytes) -> bytes | None:
        """The value of the first header line called ``name``, in any spelling; else None."""
        for i in self._find(name):
            return _value(self.lines[i])
        return None

    def get_all(self, name: bytes) -> list[bytes]:
        """The values of all header lines called ``name``, one item per line, in order."""
        return [_value(self.lines[i]) for i in self._find(name)]

    def get_list(self, name: bytes) -> list[bytes]:
        """The elements of a header whose lines are comma lists (RFC 3261 §7.3.1), in order.

        Raises RemoteError for an unfinished quote or an empty element.
        """
        return [element for value in self.get_all(name) for element in split_list(value)]

    def remove(self, name: bytes) -> int:
        """Take away all header lines called ``name``; returns how many there were."""
        gone = self._find(name)
        for i in reversed(gone):
            self._splice(i, i + 1)
        return len(gone)

    def add(self, name: bytes, value: bytes) -> None:
        """Append a header line at the end."""
        self._splice(len(self.lines), len(self.lines), name, value)

    def add_first(self, name: bytes, value: bytes) -> None:
        """Put a header line before all others: where Via, Route and Record-Route go."""
        self._splice(0, 0, name, value)

    def replace(self, name: bytes, value: bytes) -> None:
        """Write ``value`` into the first line called ``name`` and drop the others of the name."""
        found = self._find(name)
        if not found:
            self.add(name, value)
            return
        for i in reversed(found[1:]):
            self._splice(i, i + 1)
        self._splice(found[0], found[0] + 1, name, value)

    def drop_line(self, i: int) -> None:
        """Take away header line ``i``."""
        self._splice(i, i + 1)

    def _find(self, name: bytes) -> list[int]:
        known = names.name_id(name)
        candidates = self.layout.all(known)
        if known not in (names.OTHER, names.FOREIGN_TRUST):
            return candidates
        wanted = names.canonical(name)
        return [
            i
            for i in candidates
            if names.canonical(self.lines[i][: self.lines[i].find(b":")]) == wanted
        ]

    def _splice(self, start: int, end: int, name: bytes = b"", value: bytes = b"") -> None:
        """Replace the lines from start to end by at most one new line."""
        ids = self.layout.ids
        if name:
            if b"\r" in value or b"\n" in value or b"\0" in value:
                raise LocalError("a header value cannot hold CR, LF or NUL")
            known = names.SPELLINGS.get(name)
            new = (names.learn(name) if known is None else known,)
            self.lines[start:end] = [name + b": " + value]
            self.layout = layout_of(ids[:start] + new + ids[end:])
        else:
            del self.lines[start:end]
            self.layout = layout_of(ids[:start] + ids[end:])

    @property
    def vias(self) -> list[Via]:
        """All Via values, topmost first."""
        return [Via.parse(value) for value in self.get_list(b"Via")]

    @property
    def from_(self) -> NameAddr:
        """The From header (RFC 3261 §20.20)."""
        return NameAddr.parse(_value(self.lines[self.layout.from_]))

    @property
    def to(self) -> NameAddr:
        """The To header (RFC 3261 §20.39)."""
        return NameAddr.parse(_value(self.lines[self.layout.to]))

    @property
    def call_id(self) -> bytes:
        """The Call-ID (RFC 3261 §20.8)."""
        return _value(self.lines[self.layout.call_id])

    @property
    def cseq(self) -> CSeq:
        """The CSeq (RFC 3261 §20.16)."""
        return CSeq.parse(_value(self.lines[self.layout.cseq]))

    def encode(self) -> bytes:
        """The message as it goes onto the wire, Content-Length as it stands."""
        return b"\r\n".join([self.start, *self.lines, b"", self.body])


class Request(Message):
    """A request; ``uri`` is the Request-URI as received."""

    __slots__ = ("branch", "cseq_number", "from_domain", "method", "sent_by", "uri")

    method: bytes
    uri: bytes
    branch: bytes
    sent_by: bytes
    cseq_number: bytes
    from_domain: bytes
    """The canonical host of the From URI, empty where it has none (tel:)."""

    @classmethod
    def build(
        cls,
        method: bytes,
        uri: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes = b"",
    ) -> Request:
        """A new request. Raises LocalError or RemoteError for what could not be sent."""
        request = cls()
        request.start = method + b" " + uri + b" SIP/2.0"
        request.method = method
        request.uri = uri
        request.branch = request.sent_by = request.cseq_number = request.from_domain = b""
        _fill(request, headers, body)
        if request.layout.from_ >= 0:
            request.from_domain = address_host(request.lines[request.layout.from_])
        return request

    @property
    def request_uri(self) -> SipUri:
        """The Request-URI; raises RemoteError 416 for a scheme other than sip and sips."""
        return cached_uri(self.uri)

    @property
    def to_domain(self) -> bytes:
        """The canonical host of the To URI, empty where it has none (tel:)."""
        return address_host(self.lines[self.layout.to])

    @property
    def routes(self) -> list[NameAddr]:
        """The Route set, topmost first."""
        return [NameAddr.parse(value) for value in self.get_list(b"Route")]

    def copy(self) -> Request:
        """A copy whose lines can be edited on their own (RFC 3261 §16.6 item 1)."""
        copy = Request()
        copy.start = self.start
        copy.method = self.method
        copy.uri = self.uri
        copy.branch = self.branch
        copy.sent_by = self.sent_by
        copy.cseq_number = self.cseq_number
        copy.from_domain = self.from_domain
        copy.lines = self.lines.copy()
        copy.layout = self.layout
        copy.body = self.body
        return copy

    def set_uri(self, uri: bytes) -> None:
        """Change the Request-URI (RFC 3261 §16.6 item 2)."""
        self.uri = uri
        self.start = self.method + b" " + uri + b" SIP/2.0"

    def reply(
        self,
        status: int,
        reason: bytes = b"",
        headers: Sequence[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        to_tag: bytes = b"",
    ) -> Response:
        """A response to this request, as RFC 3261 §8.2.6 makes it.

        The To tag is derived from the request, so that a retransmission gets the same one
        (§8.2.7), unless ``to_tag`` is given. A 100 gets none and copies Timestamp (§8.2.6.1).
        """
        layout, lines = self.layout, self.lines
        response = Response()
        response.status = status
        response.start = b"SIP/2.0 %d " % status + (reason or REASONS.get(status, b"Unknown"))
        own = [lines[i] for i in layout.all(names.VIA)]
        ids = [names.VIA] * len(own)
        to = lines[layout.to]
        if status > 100 and not has_tag(to):
            to += b";tag=" + (to_tag or self.derived_tag())
        own += [lines[layout.from_], to, lines[layout.call_id], lines[layout.cseq]]
        ids += [names.FROM, names.TO, names.CALL_ID, names.CSEQ]
        if status == 100 and (stamp := layout.find(names.TIMESTAMP)) >= 0:
            own.append(lines[stamp])
            ids.append(names.TIMESTAMP)
        own.append(b"Content-Length: %d" % len(body))
        ids.append(names.CONTENT_LENGTH)
        response.lines = own
        response.layout = layout_of(tuple(ids))
        response.body = body
        for name, value in headers:
            response.add(name, value)
        return response

    def derived_tag(self) -> bytes:
        """A tag that depends on the request alone: equal for its retransmissions."""
        layout, lines = self.layout, self.lines
        seed = b"\0".join(
            (lines[layout.via], lines[layout.from_], lines[layout.call_id], lines[layout.cseq])
        )
        return blake2b(seed, digest_size=8).hexdigest().encode()


class Response(Message):
    """A response; ``status`` is its code, 100 to 699."""

    __slots__ = ("branch", "cseq_method", "sent_by", "status")

    status: int
    branch: bytes
    sent_by: bytes
    cseq_method: bytes

    @property
    def reason(self) -> bytes:
        """The reason phrase."""
        return self.start[12:]

    def remove_top_via(self) -> None:
        """Take away the topmost Via value (RFC 3261 §16.7 item 3)."""
        i = self.layout.via
        line = self.lines[i]
        if b"," in line:
            rest = split_list(_value(line))[1:]
            if rest:
                self.lines[i] = b"Via: " + b", ".join(rest)
                return
        del self.lines[i]
        self.layout = self.layout.without_top_via()


def _value(line: bytes) -> bytes:
    return line[line.find(b":") + 1 :].strip(b" \t")


def _fill(message: Message, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    message.lines = []
    message.layout = layout_of(())
    message.body = body
    for name, value in headers:
        message.add(name, value)
    if message.layout.content_length < 0:
        message.add(b"Content-Length", b"%d" % len(body))


_TAG_ONLY: Final = re.compile(rb">;tag=[-A-Za-z0-9.!%*_+`'~]+\Z")
_HOSTS: Final[dict[bytes, bytes]] = {}
_HOPS: Final[dict[bytes, tuple[int, bytes]]] = {}
_KEPT: Final = 16384


def address_host(line: bytes) -> bytes:
    """The canonical host of the URI in a From or To line; empty for tel: and the like.

    Remembered by what stands before the closing bracket, where that alone decides (quotes
    balanced, no escapes), and used where nothing but a tag follows. Raises RemoteError.
    """
    end = line.find(b">")
    key = line[:end]
    found = _HOSTS.get(key)
    if found is None or (end + 1 != len(line) and not _TAG_ONLY.match(line, end)):
        address = NameAddr.parse(_value(line))
        try:
            found = cached_uri(address.uri).host
        except RemoteError as error:
            if error.status != 416:
                raise
            found = b""
        if (
            end > 0
            and key.endswith(b"<" + address.uri)
            and key.count(b'"') % 2 == 0
            and b"\\" not in key
        ):
            if len(_HOSTS) >= _KEPT:
                _HOSTS.clear()
            _HOSTS[key] = found
    return found


def max_forwards(line: bytes) -> tuple[int, bytes]:
    """The hops left by a Max-Forwards line, and the line to forward (RFC 3261 §16.6 item 3).

    Raises RemoteError: "an integer in the range 0-255" (§20.22).
    """
    found = _HOPS.get(line)
    if found is None:
        hops = digits(_value(line), 255)
        found = (hops, b"Max-Forwards: %d" % (hops - 1))
        if len(_HOPS) >= 1024:
            _HOPS.clear()
        _HOPS[line] = found
    return found


def has_tag(line: bytes) -> bool:
    """Whether a From or To line carries a tag; looks behind the address only."""
    return _TAG.search(line, line.rfind(b">") + 1) is not None
