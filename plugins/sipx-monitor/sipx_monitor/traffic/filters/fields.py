"""The fields of the filter language: name, what it means, values, an example.

docs/monitor.md shows this table; a test compares them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FieldKind = Literal[
    "word", "text", "status", "number", "duration", "size", "address", "flag", "mark", "since"
]


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``values`` are those that are known beforehand."""

    name: str
    kind: FieldKind
    help: str
    example: str
    values: tuple[str, ...] = ()


_YES_NO: Final = ("yes", "no")
METHODS: Final = (
    "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY",
    "PUBLISH", "PRACK", "UPDATE", "INFO", "REFER",
)  # fmt: skip
COLOURS: Final = ("red", "orange", "yellow", "green", "blue", "purple", "grey")

FIELDS: Final = tuple(
    Field(*row)
    for row in (
        ("method", "word", "the method; of a response, that of its request",
         "method:INVITE", METHODS),
        ("code", "status", "the status of a response", "code:4xx",
         ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")),
        ("status", "status", "the same as code", "status>=400",
         ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")),
        ("kind", "word", "a request or a response", "kind:request", ("request", "response")),
        ("uri", "text", "the Request-URI", "uri:conference"),
        ("from", "text", "the URI in From", "from:alice"),
        ("to", "text", "the URI in To", "to:bob@*.example"),
        ("domain", "word", "the domain in From, To or the Request-URI",
         "domain:*.partner.example"),
        ("callid", "text", "the Call-ID", "callid:3848276298220188511"),
        ("branch", "text", "the branch of the topmost Via", "branch:z9hG4bK776asdhds"),
        ("cseq", "word", "the number in CSeq, or number and method", 'cseq:"2 INVITE"'),
        ("tag", "text", "the tag in From or in To", "tag:1928301774"),
        ("src", "address", "the address a message came from", "src:10.0.0.0/8"),
        ("dst", "address", "the address it went to", "dst:192.0.2.7:5061"),
        ("ip", "address", "either of both addresses", "ip:2001:db8::/32"),
        ("port", "number", "the port of either address", "port:5060-5062"),
        ("iface", "word", "the interface of the proxy", "iface:federation"),
        ("proto", "word", "the transport", "proto:udp,tcp",
         ("udp", "tcp", "tls", "mtls", "ws", "wss")),
        ("dir", "word", "into the proxy or out of it", "dir:in", ("in", "out")),
        ("leg", "number", "the neighbour of the dialog; 0 is the one it began with", "leg:0"),
        ("partner", "word", "the account, route or partner at the other end",
         "partner:partner.example"),
        ("route", "word", "the same, or where the request was sent by the decision trace",
         "route:partner.example"),
        ("trusted", "flag", "whether its sender was found trustworthy", "trusted:no", _YES_NO),
        ("tls", "flag", "whether it passed over TLS", "tls:yes", _YES_NO),
        ("sdp", "flag", "whether it carries a session description", "sdp:yes", _YES_NO),
        ("body", "text", "the body, where it is kept; not for viewers", "body:sendonly"),
        ("header.NAME", "text", "any header, in either of its forms",
         "header.P-Asserted-Identity:/alice/"),
        ("size", "size", "bytes, body and all", "size>1300"),
        ("rtt", "duration", "the time from the request to this final response", "rtt>500ms"),
        ("retrans", "flag", "whether it passed before", "retrans:yes", _YES_NO),
        ("malformed", "flag", "whether something is wrong with it", "malformed:yes", _YES_NO),
        ("marked", "mark", "marked, or marked in a colour", "marked:red", (*_YES_NO, *COLOURS)),
        ("note", "text", "the note of a mark", "note:ticket"),
        ("seq", "number", "the number of the message", "seq>=4711"),
        ("since", "since", "not older than this, or than that moment", "since:5m",
         ("1m", "5m", "1h")),
    )
)  # fmt: skip

BY_NAME: Final = {field.name: field for field in FIELDS}
OTHER_NAMES: Final = {
    "call-id": "callid", "call_id": "callid", "interface": "iface", "transport": "proto",
    "protocol": "proto", "direction": "dir", "source": "src", "target": "dst",
    "destination": "dst", "peer": "partner", "account": "partner", "addr": "ip", "host": "ip",
    "retransmission": "retrans", "time": "since",
}  # fmt: skip
"""What is understood as well."""
COMPACT: Final = {
    "i": "call-id", "m": "contact", "e": "content-encoding", "l": "content-length",
    "c": "content-type", "f": "from", "s": "subject", "k": "supported", "t": "to", "v": "via",
    "o": "event", "u": "allow-events", "r": "refer-to", "b": "referred-by", "x": "session-expires",
    "a": "accept-contact", "j": "reject-contact", "d": "request-disposition", "y": "identity",
}  # fmt: skip
"""Short forms of header names (RFC 3261 §7.3.3 and the RFCs that added some)."""
