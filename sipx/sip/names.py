"""Header field names: which there are, their short forms, and how often each may stand.

Facts, before the data structure:

* Names are case-insensitive tokens (RFC 3261 §7.3.1); nine of the headers below have a compact
  form (§7.3.3 and the RFCs that came later). A proxy keeps the spelling it received.
* White space may stand between the name and the colon (§7.3.1: "HCOLON = *( SP / HTAB ) ":" SWS").
  Parsers that disagree about it can be played against each other, so sipx removes it.
* Some headers steer who receives a message and where it ends: From, To, Call-ID, CSeq,
  Max-Forwards, Content-Length. A second one is a lie told to one of two parsers.

So: one dict from the spelling received to a small integer. A hit proves that
the name is a token and costs one look-up; a miss takes the slow way once per spelling.
"""

from __future__ import annotations

import re
from typing import Final

from sipx.sip.errors import RemoteError

OTHER: Final = 0
VIA: Final = 1
FROM: Final = 2
TO: Final = 3
CALL_ID: Final = 4
CSEQ: Final = 5
MAX_FORWARDS: Final = 6
CONTENT_LENGTH: Final = 7
ROUTE: Final = 8
RECORD_ROUTE: Final = 9
CONTACT: Final = 10
PROXY_REQUIRE: Final = 11
REQUIRE: Final = 12
SUPPORTED: Final = 13
EVENT: Final = 14
MAX_BREADTH: Final = 15
PROXY_AUTHORIZATION: Final = 16
AUTHORIZATION: Final = 17
PROXY_AUTHENTICATE: Final = 18
WWW_AUTHENTICATE: Final = 19
P_ASSERTED_IDENTITY: Final = 20
P_PREFERRED_IDENTITY: Final = 21
PRIVACY: Final = 22
REMOTE_PARTY_ID: Final = 23
MS_EDGE_TRUST: Final = 24
CONTENT_ENCODING: Final = 25
TIMESTAMP: Final = 26
RETRY_AFTER: Final = 27
SUBSCRIPTION_STATE: Final = 28
PATH: Final = 29
FOREIGN_TRUST: Final = 30
"""Headers by which the inside of some organisation marks trust; many names, one id."""

CANONICAL: Final[tuple[bytes, ...]] = (
    b"",
    b"Via",
    b"From",
    b"To",
    b"Call-ID",
    b"CSeq",
    b"Max-Forwards",
    b"Content-Length",
    b"Route",
    b"Record-Route",
    b"Contact",
    b"Proxy-Require",
    b"Require",
    b"Supported",
    b"Event",
    b"Max-Breadth",
    b"Proxy-Authorization",
    b"Authorization",
    b"Proxy-Authenticate",
    b"WWW-Authenticate",
    b"P-Asserted-Identity",
    b"P-Preferred-Identity",
    b"Privacy",
    b"Remote-Party-ID",
    b"ms-edge-proxy-message-trust",
    b"Content-Encoding",
    b"Timestamp",
    b"Retry-After",
    b"Subscription-State",
    b"Path",
    b"",
)
"""The long name of each id, indexed by it."""

COMPACT: Final[dict[bytes, bytes]] = {
    b"v": b"via",
    b"f": b"from",
    b"t": b"to",
    b"i": b"call-id",
    b"l": b"content-length",
    b"m": b"contact",
    b"k": b"supported",
    b"o": b"event",
    b"e": b"content-encoding",
    b"c": b"content-type",
    b"s": b"subject",
    b"r": b"refer-to",
    b"b": b"referred-by",
    b"u": b"allow-events",
    b"a": b"accept-contact",
    b"j": b"reject-contact",
    b"d": b"request-disposition",
    b"x": b"session-expires",
    b"y": b"identity",
    b"n": b"identity-info",
}
"""Compact forms registered with IANA, lower case."""

BORDER: Final = frozenset(
    (P_ASSERTED_IDENTITY, P_PREFERRED_IDENTITY, REMOTE_PARTY_ID, MS_EDGE_TRUST, FOREIGN_TRUST)
)
"""Ids of headers that do not cross a border of trust (RFC 3325 §5 and its relatives)."""

_FOREIGN_TRUST: Final = (b"ms-asserted-", b"ms-user-logon-data", b"p-charging-", b"x-sipx-")

CREDENTIALS: Final = frozenset((AUTHORIZATION, PROXY_AUTHORIZATION))
"""Ids of the headers that hold them (RFC 3261 §22)."""

SINGLETONS: Final[tuple[int, ...]] = (FROM, TO, CALL_ID, CSEQ, MAX_FORWARDS)
"""Headers of which a second one, even an equal one, makes a message invalid."""

_IDS: Final[dict[bytes, int]] = {name.lower(): i for i, name in enumerate(CANONICAL) if name}
_TOKEN: Final = re.compile(rb"[-A-Za-z0-9.!%*_+`'~]+\Z")
_KEPT: Final = 1024
"""Spellings remembered: enough for all honest traffic, and a bound for the other kind."""

SPELLINGS: Final[dict[bytes, int]] = {}
"""``b"Via"`` to its id: what the parser asks for every line."""


def canonical(name: bytes) -> bytes:
    """The long form of a header name in lower case: ``canonical(b"V")`` is ``b"via"``."""
    lower = name.lower()
    return COMPACT.get(lower, lower)


def name_id(name: bytes) -> int:
    """The id of a header name in any spelling, OTHER if this module has none for it."""
    lower = canonical(name)
    found = _IDS.get(lower, OTHER)
    return FOREIGN_TRUST if found == OTHER and lower.startswith(_FOREIGN_TRUST) else found


def learn(name: bytes) -> int:
    """The id for a name in a spelling not met before. Raises RemoteError when it is no token."""
    if not _TOKEN.match(name):
        raise RemoteError("Malformed header field name", fatal=True)
    found = name_id(name)
    if len(SPELLINGS) < _KEPT:
        SPELLINGS[name] = found
    return found


def _seed() -> None:
    common = (
        "Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow Allow-Events "
        "Call-Info Content-Disposition Content-Language Content-Type Date Error-Info Expires "
        "In-Reply-To MIME-Version Min-Expires Min-SE Organization Priority RAck Reason Refer-To "
        "Referred-By Replaces Reply-To RSeq Server Session-Expires SIP-ETag SIP-If-Match Subject "
        "Unsupported User-Agent Warning"
    )
    for name in (*common.encode().split(), *filter(None, CANONICAL), *COMPACT):
        for spelling in (name, name.lower(), name.upper()):
            SPELLINGS[spelling] = name_id(name)


_seed()
