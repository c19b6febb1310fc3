"""sipx.sip: the SIP protocol without I/O, clock or randomness; standard library only."""

from sipx.sip import digest, nonce
from sipx.sip.errors import LocalError, RemoteError
from sipx.sip.headers import AuthParams, CSeq, EventValue, NameAddr, Via, split_list
from sipx.sip.message import Message, Request, Response
from sipx.sip.parser import DEFAULT_LIMITS, KeepAlive, Limits, StreamParser, parse_datagram
from sipx.sip.uri import SipUri, cached_uri

__all__ = [
    "DEFAULT_LIMITS",
    "AuthParams",
    "CSeq",
    "EventValue",
    "KeepAlive",
    "Limits",
    "LocalError",
    "Message",
    "NameAddr",
    "RemoteError",
    "Request",
    "Response",
    "SipUri",
    "StreamParser",
    "Via",
    "cached_uri",
    "digest",
    "nonce",
    "parse_datagram",
    "split_list",
]
