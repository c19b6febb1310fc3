"""What does not leave this machine: credentials, and the bodies that are not wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipx import masked

if TYPE_CHECKING:
    from sipx_hep.config import Bodies

_END_OF_HEAD: Final = re.compile(rb"(?<=[^\r\n])(?:\r\n\r\n|\r?\n\r?\n|\r\r)")
"""Malformed messages too have bodies. Blank lines before the first line end nothing."""
_TYPE: Final = re.compile(rb"(?im)^(?:content-type|c)[ \t]*:[ \t]*([^\s;]+)")
_SDP: Final = b"application/sdp"


def shown(data: bytes, bodies: Bodies, *, mask: bool) -> bytes:
    """A message as the collector may see it. Its Content-Length stands as it was sent."""
    end = _END_OF_HEAD.search(data)
    if end is not None and end.end() < len(data) and not _wanted(data[: end.start()], bodies):
        data = data[: end.end()]
    return masked(data) if mask else data


def _wanted(head: bytes, bodies: Bodies) -> bool:
    if bodies != "sdp":
        return bodies == "all"
    found = _TYPE.search(head)
    return found is not None and found[1].lower() == _SDP
