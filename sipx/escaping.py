"""Text of others, as it may be shown: it cannot do anything to a terminal, or begin a line."""

from __future__ import annotations

import re
from typing import Final

_CONTROL: Final = "\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
"""Control characters, line separators, and what turns the direction of writing around."""
_ANY: Final = re.compile(f"[{_CONTROL}]")
_BUT_NEWLINE: Final = re.compile(f"(?!\n)[{_CONTROL}]")


def escaped(text: str, *, lines: bool = False) -> str:
    r"""``text`` in one line, control characters as ``\x1b``; with ``lines`` line ends stay."""
    return (_BUT_NEWLINE if lines else _ANY).sub(_escape, text)


def json_safe(text: str) -> str:
    r"""JSON with its control characters as ``\u009b``: the same value, harmless to print."""
    return _BUT_NEWLINE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _escape(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
