"""Why something is turned away, in a few fixed words: what counters and their labels are made of.

What is said to people in log, Warning header and status is free text beside them. No word here
comes from a peer, so that none can make counters grow.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

ASKED: Final = "asked to log on"
"""What a challenge is in words."""


class Refusal(StrEnum):
    """Why a request was refused by this proxy."""

    MALFORMED = "malformed"
    """It breaks the rules of SIP: 400, 416, 420, 440, 505 ..."""
    LOOP = "loop"
    """It has been here before: 482."""
    TOO_MANY_HOPS = "too-many-hops"
    """Max-Forwards has run out: 483."""
    SENDER_UNKNOWN = "sender-unknown"
    """Nobody knows who sends it: 403."""
    SENDER_REFUSED = "sender-refused"
    """A plugin knows who sends it, and refuses: 403."""
    CHALLENGED = "challenged"
    """It lacks credentials: 401, 407."""
    NOT_AUTHORISED = "not-authorised"
    """Its sender is not trustworthy, and its credentials did not help: 403."""
    FROM_DOMAIN = "from-domain"
    """Its sender may not use the domain in From: 403."""
    METHOD = "method"
    """Its method is not for senders outside: 405."""
    RELAY = "relay"
    """It would have gone from outside to outside: 403."""
    ROUTE = "route"
    """Its Route is not one that this proxy has written: 403."""
    NO_ROUTE = "no-route"
    """No route leads to its domain: 404, 403."""
    USER_UNKNOWN = "user-unknown"
    """Its domain is ours, and nobody here knows the user: 404."""
    USER_UNREACHABLE = "user-unreachable"
    """The user is known, and whoever serves it cannot be reached: 480, 430."""
    BANNED = "banned"
    """Its source gave wrong credentials too often: no answer."""
    REGISTRATION = "registration"
    """A REGISTER that the registrar refuses: 403, 423, 500 ..."""
    NO_TRANSACTION = "no-transaction"
    """A CANCEL for a request that is not under way: 481."""
    OVERLOAD = "overload"
    """Too many requests are under way or wait: 503."""
    STOPPING = "stopping"
    """The proxy is being stopped: 503."""
    PLUGIN = "plugin"
    """A plugin's own limits or lists: validate_request."""
    PLUGIN_FAULT = "plugin-fault"
    """A plugin raised: 500."""
    PLUGIN_TIMEOUT = "plugin-timeout"
    """A plugin did not answer in time: 504."""
    OTHER = "other"
    """Nothing of the above."""


class Drop(StrEnum):
    """Why something that came in was not answered and went nowhere."""

    MALFORMED = "malformed"
    """No message of SIP, or one that cannot be answered."""
    STRAY = "stray-response"
    """A response to no request of ours."""
    UNDELIVERABLE = "undeliverable-response"
    """A response whose connection has gone, and none could be opened."""
    INTERNAL_ERROR = "internal-error"
    """A bug of ours."""
    OTHER = "other"
    """Nothing of the above."""


class TurnedAway(StrEnum):
    """Why a connection was not accepted."""

    STOPPING = "stopping"
    TOO_MANY = "too-many"
    TOO_MANY_FROM_ADDRESS = "too-many-from-address"


METHODS: Final = frozenset(
    (
        b"ACK",
        b"BYE",
        b"CANCEL",
        b"INFO",
        b"INVITE",
        b"MESSAGE",
        b"NOTIFY",
        b"OPTIONS",
        b"PRACK",
        b"PUBLISH",
        b"REFER",
        b"REGISTER",
        b"SUBSCRIBE",
        b"UPDATE",
    )
)
"""The methods that have a counter of their own (all that IANA lists)."""
OTHER_METHOD: Final = b"other"
"""All other methods together: a peer can invent as many as it likes."""
