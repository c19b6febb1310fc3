"""``ms-keep-alive``: how servers of Microsoft agree on what keeps a connection open ([MS-CONMGMT]).

Whoever sends a request may ask ("UAC"); the response says ("UAS") which mechanism there is, and
after how many seconds of silence the connection is closed. The mechanism spoken here is "hop-hop",
an empty line on the connection, as in RFC 5626 §4.4.1. The header is about one connection, so
none of them passes this proxy: what a partner says is taken out, and what is said to it is ours.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from sipx import SenderKind

if TYPE_CHECKING:
    from sipx import Branch, Flow, Target
    from sipx.sip import Message, Request, Response

HEADER: Final = b"ms-keep-alive"
ASKS: Final = b"UAC;hop-hop=yes"
ASKING: Final = (b"SUBSCRIBE", b"INVITE")
"""Methods that we ask with: those whose dialogs outlive the request."""
TIMEOUT: Final = 300
"""Seconds of silence that a partner is offered, where connections live long enough."""
GRACE: Final = 32.0
"""Seconds beyond the offer, "at least a SIP transaction timeout" ([MS-CONMGMT] 3.4.2)."""
SHORTEST: Final = 2.0
LONGEST: Final = 86_400.0
"""Seconds between two keepalives that a partner may ask for."""

_VALUE: Final = re.compile(rb"\s*(UAC|UAS)\s*((?:;[^;]*)*)\Z", re.IGNORECASE)


def said(message: Message) -> tuple[bytes, dict[bytes, bytes]] | None:
    """The role and the parameters in lower case; None without the header, with one that is
    malformed, or with several: it "MUST NOT appear more than once" ([MS-CONMGMT] 2.2.1).
    """
    values = message.get_all(HEADER)
    if len(values) != 1:
        return None
    match = _VALUE.match(values[0])
    if match is None:
        return None
    pairs = (each.partition(b"=") for each in match[2].lower().split(b";")[1:])
    return match[1].lower(), {name.strip(): value.strip() for name, _, value in pairs}


class KeepAlive:
    """``idle``: seconds without traffic after which a connection is closed here."""

    def __init__(self, idle: float) -> None:
        timeout = min(float(TIMEOUT), idle - GRACE if idle > 2 * GRACE else idle / 2)
        self.answer = b"UAS; tcp=no; hop-hop=yes; end-end=no; timeout=%d" % max(timeout, 1)
        """What a partner that asks is told."""

    def on_forward(self, request: Request, target: Target) -> None:
        """Hot, the hook ``forward_request``: only the next connection is meant."""
        request.remove(HEADER)
        partner = target.partner
        if partner is not None and partner.discovered and request.method in ASKING:
            request.add(HEADER, ASKS)

    def on_response(self, response: Response, branch: Branch) -> None:
        """Hot, the hook ``process_response``: do what a partner has said, say what it has asked."""
        partner = branch.target.partner
        if partner is not None and partner.discovered:
            told = said(response)
            if told is not None:
                agree(cast("Flow", branch.flow), told)
            response.remove(HEADER)
            return
        context = branch.context
        if response.status < 200 or context.sender.kind is not SenderKind.DISCOVERED:
            return
        asked = said(context.request)
        response.remove(HEADER)
        if asked is not None and asked[0] == b"uac" and asked[1].get(b"hop-hop") == b"yes":
            response.add(HEADER, self.answer)


def agree(flow: Flow, told: tuple[bytes, dict[bytes, bytes]]) -> None:
    """Send keepalives after two thirds of the time that the other end said ([MS-CONMGMT] 3.4.2)."""
    role, parameters = told
    timeout = parameters.get(b"timeout", b"")
    if role != b"uas" or parameters.get(b"hop-hop") != b"yes":
        return
    if not timeout.isdigit() or len(timeout) > 9 or not int(timeout):
        return
    flow.ping_every = min(max(int(timeout) * 2 / 3, SHORTEST), LONGEST)
