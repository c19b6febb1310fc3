"""What a response says of the server that it came from, or did not come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipx.sip import Response

_NOT_DELIVERED: Final = (502, 503, 504)


def retry_after(response: Response) -> float:
    """RFC 3261 §20.33: seconds, before a comment or parameters; 0 where none are said."""
    value = response.get(b"Retry-After") or b""
    number = value.split(b";")[0].split(b"(")[0].strip()
    return float(number) if number.isdigit() and len(number) < 7 else 0.0


def why_not_delivered(response: Response) -> str:
    """What an answer of our own, in the place of one that did not come, says; "" if nothing."""
    if response.status not in _NOT_DELIVERED:
        return ""
    said = (response.get(b"Warning") or b"").partition(b'"')[2].rstrip(b'"')
    why = said.decode("utf-8", "replace")
    return f"a request could not be delivered: {why or 'no reason is known'}"
