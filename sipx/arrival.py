"""What the transport layer owes a request on arrival: received, rport, and the way back.

RFC 3261 §18.2.1 and §18.2.2, RFC 3581 §4. Nothing here is needed when the topmost Via says
exactly what the network says; then one comparison of bytes decides.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipx.sip.headers import split_list

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.sip.message import Request

_RPORT: Final = re.compile(rb";[ \t]*rport[ \t]*(?=;|\Z)", re.IGNORECASE)
_RECEIVED: Final = re.compile(rb";[ \t]*received[ \t]*=[^;]*", re.IGNORECASE)
_ALIAS: Final = re.compile(rb";[ \t]*alias[ \t]*(?=;|\Z)", re.IGNORECASE)
DEFAULT_PORT: Final = 5060
DEFAULT_TLS_PORT: Final = 5061


def note_source(request: Request, flow: Flow) -> Flow:
    """Write down where a request really came from; returns the flow its responses go to."""
    if flow.reliable:
        if flow.may_alias:
            _note_alias(request, flow)
        if not request.sent_by.startswith(flow.plain_sent_by):
            _mark(request, flow, rport=False)
        return flow
    i = request.layout.via
    asked = b"rport" in request.lines[i].lower()
    if request.sent_by == flow.exact_sent_by and not asked:
        return flow
    rport = asked and _rport_requested(request)
    if rport or not request.sent_by.startswith(flow.plain_sent_by):
        _mark(request, flow, rport=rport)
    if rport:
        # RFC 3581 §4: "the server MUST send the response to the port in the rport parameter".
        return flow
    # RFC 3261 §18.2.2: to the source address, at the port of sent-by, 5060 without one.
    port = int(request.sent_by.rstrip().rpartition(b":")[2]) or DEFAULT_PORT
    if port == flow.port:
        return flow
    return flow.interface.transport.flow_to(flow.interface, flow.address, port) or flow


def _note_alias(request: Request, flow: Flow) -> None:
    """RFC 5923 §8: the peer offers its connection for requests to the port in its sent-by."""
    line = request.lines[request.layout.via]
    if b"alias" in line.lower() and _ALIAS.search(split_list(line)[0]) is not None:
        flow.alias(int(request.sent_by.rstrip().rpartition(b":")[2]) or DEFAULT_TLS_PORT)


def _rport_requested(request: Request) -> bool:
    line = request.lines[request.layout.via]
    return _RPORT.search(split_list(line)[0]) is not None


def _mark(request: Request, flow: Flow, *, rport: bool) -> None:
    """Add received (and the value of rport) to the topmost Via value."""
    i = request.layout.via
    first, *others = split_list(request.lines[i])
    first = _RECEIVED.sub(b"", first)
    if rport:
        first = _RPORT.sub(b";rport=%d" % flow.port, first, count=1)
    first += b";received=" + flow.address.encode()
    request.lines[i] = b", ".join((first, *others))
