"""Messages as they stand on the wire, for tests that need one without thinking about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.sip import Request, Response, parse_datagram

if TYPE_CHECKING:
    from collections.abc import Iterable

BRANCH = b"z9hG4bKexample"


def a_request(
    method: str = "MESSAGE",
    uri: str = "sip:bob@home.example",
    *,
    branch: bytes = BRANCH,
    sent_by: bytes = b"192.0.2.1:5060",
    via: Iterable[bytes] = (),
    from_tag: bytes = b"a",
    to_tag: bytes = b"",
    call_id: bytes = b"call@example",
    cseq: int = 1,
    headers: Iterable[bytes] = (),
    body: bytes = b"",
) -> Request:
    """A request as a peer would send it, parsed. ``via`` replaces all Via lines, whole lines."""
    name = method.encode()
    lines = [
        name + b" " + uri.encode() + b" SIP/2.0",
        *(tuple(via) or (b"Via: SIP/2.0/UDP %b;branch=%b" % (sent_by, branch),)),
        b"Max-Forwards: 70",
        b"From: <sip:alice@away.example>;tag=" + from_tag,
        b"To: <sip:bob@home.example>" + (b";tag=" + to_tag if to_tag else b""),
        b"Call-ID: " + call_id,
        b"CSeq: %d %b" % (cseq, name),
        *headers,
        b"Content-Length: %d" % len(body),
        b"",
        body,
    ]
    request = parse_datagram(b"\r\n".join(lines))
    assert isinstance(request, Request)
    return request


def an_answer(request: bytes, status: int, *, to_tag: bytes = b"b") -> Response:
    """The response that the receiver of these bytes would send, parsed."""
    received = parse_datagram(request)
    assert isinstance(received, Request)
    response = parse_datagram(received.reply(status, to_tag=to_tag).encode())
    assert isinstance(response, Response)
    return response


def gist(data: bytes) -> str | int:
    """The method of a request, the status of a response."""
    first, _, rest = data.partition(b" ")
    return int(rest[:3]) if first == b"SIP/2.0" else first.decode()
