"""What the answer to a probing request says of the way that it took, in sentences."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from sipx.escaping import escaped
from sipx.sip.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sipx.sip.message import Response

REACHED: Final = frozenset({404, 405, 406, 415, 420, 480, 481, 486, 488, 501})
"""Refusals that only the other end of a way that works gives."""
CLOCKS: Final = 60.0
"""Seconds by which the clocks of two machines may differ."""

_MEANS: Final = {
    400: "it found something wrong with the request itself",
    401: "it wants a user name and a password: it does not take us for a partner",
    403: "it knows who we are, and does not want this: a partner that blocks us, or whose open "
    "federation is off",
    404: "it was reached, and knows nobody of that name; the way works",
    405: "it was reached, and does not serve OPTIONS; the way works",
    406: "it was reached; the way works",
    407: "it wants a user name and a password: it does not take us for a partner",
    408: "nobody behind it answered in time",
    415: "it was reached; the way works",
    416: "it does not know the scheme of the URI",
    420: "it was reached, and wants an extension that it was not offered; the way works",
    480: "it was reached, and the user is not there now; the way works",
    481: "it was reached; the way works",
    482: "the request came back to where it had been: the records of a domain or two routes lead "
    "in a circle",
    483: "too many hops: routes lead in a circle",
    486: "it was reached, and the user is busy; the way works",
    488: "it was reached; the way works",
    500: "it failed by itself; its log says why",
    501: "it was reached, and does not know OPTIONS; the way works",
    502: "it could not go on: what is behind it was reached, and was not believed",
    503: "it is overloaded, or about to stop",
    504: "it could not go on: a name or an address behind it did not answer; often it looks for "
    "our own SRV record and does not find it",
}
_CLASSES: Final = {
    2: "it answers: the way works",
    3: "it sends us elsewhere, and a proxy does not follow that",
    4: "it was reached, and refuses",
    5: "it was reached, and failed",
    6: "it was reached, and nobody wants it",
}
_DIAGNOSTICS: Final = {
    1008: "it cannot find our domain in the DNS: `sipx dns check` looks at our SRV record",
    1010: "it does not believe the certificate of the next hop",
    1027: "it does not route this kind of request to or from federated partners",
    1034: "a server before it did not say what was wrong",
    1047: "TLS with the next hop failed: often our authority is not known there",
}
"""Numbers in ms-diagnostics of Microsoft's servers."""
_TEXT: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_NUMBER: Final = re.compile(rb"\s*(\d{1,6})\s*;")


def good_answer(status: int) -> bool:
    """Whether an answer proves that the way works, be it a refusal."""
    return 200 <= status < 300 or status in REACHED


def told_answer(response: Response, wall: float) -> Iterator[str]:
    """What it means, a sentence each; the first is about its status. ``wall`` is seconds since
    1970.
    """
    yield _MEANS.get(response.status) or _CLASSES.get(response.status // 100, "no final answer")
    for value in response.get_all(b"Warning")[:5]:
        found = _TEXT.search(value)
        if found is not None:
            yield f"its Warning says: {_shown(found[1])}"
    for value in response.get_all(b"ms-diagnostics")[:5]:
        number = _NUMBER.match(value)
        known = None if number is None else _DIAGNOSTICS.get(int(number[1]))
        yield f"its ms-diagnostics says: {_shown(value)}" + (f": {known}" if known else "")
    retry = response.get(b"Retry-After")
    if retry is not None:
        yield f"it asks to be left alone for {_shown(retry)} s"
    skew = _skew(response, wall)
    if skew is not None and abs(skew) > CLOCKS:
        which = "ahead of" if skew > 0 else "behind"
        yield (
            f"its clock is {abs(skew):.0f} s {which} ours: certificates may look expired, or not "
            "valid yet, to one of the two"
        )


def _skew(response: Response, wall: float) -> float | None:
    """By how many seconds its clock is ahead of ours, as far as it tells (RFC 3261 §20.17)."""
    value = response.get(b"Date")
    if value is None:
        return None
    try:
        said: datetime = parsedate_to_datetime(value.decode("ascii"))
    except (ValueError, TypeError):
        return None
    return said.timestamp() - wall


def header_of(response: Response, name: bytes) -> str:
    """A header as it may be shown, its lines joined; "" without."""
    return ", ".join(_shown(value) for value in response.get_all(name)[:5])


def list_of(response: Response, name: bytes) -> tuple[str, ...]:
    """The elements of a header that is a list; as one text where it is none."""
    try:
        return tuple(_shown(value) for value in response.get_list(name)[:50])
    except RemoteError:
        return (header_of(response, name),)


def _shown(value: bytes) -> str:
    return escaped(value[:300].decode("utf-8", "backslashreplace"))
