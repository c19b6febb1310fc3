"""What a record loses before anybody may read it: credentials, bodies, control characters, length.

Nothing here trusts that whoever logs has thought of it. It is the last of several barriers.
"""

from __future__ import annotations

import copy
import logging
import re
import traceback
from typing import Final

LONGEST: Final = 8192
"""Characters of a text or of one value; the rest is cut off."""
LONGEST_TRACEBACK: Final = 65_536

_MASK: Final = "[masked]"
# A word begins after anything but a letter, or after an escaped line end in what repr() shows.
_BEGIN: Final = r"(?:(?<![a-z])|(?<=\\[nrt]))"
_HEADERS: Final = re.compile(
    r"(?im)" + _BEGIN + r"((?:proxy-)?authorization|authentication-info|(?:set-)?cookie)"
    r"([\"']?\s*[:=]\s*)(?:\\[\"']|[^\r\n])*?(?=\\r|\\n|\r|\n|\Z)"
)
_CREDENTIALS: Final = re.compile(
    r"(?i)" + _BEGIN + r"(response|nonce|cnonce|nextnonce|rspauth|password|passwd|passphrase|secret"
    r"|(?:access|refresh|id|auth|bearer)?[_-]?token|api[_-]?key)"
    # A quote that is not closed hides the rest: who breaks the grammar must not gain by it.
    r"([\"']?\s*[:=]\s*)(\\?\"[^\"]*(?:\"|\Z)|\\?'[^']*(?:'|\Z)|(?:[^\s,;\"'\\]|\\(?![rnt]))+)"
)
_BEARER: Final = re.compile(r"(?i)" + _BEGIN + r"(bearer|basic)(\s+)([a-z0-9._~+/=-]{8,})")
_USERINFO: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*:(?://)?[^\s:@/<>\"']+):[^\s@/<>\"']+@")
_KEYS: Final = re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)")
_MEDIA_KEYS: Final = re.compile(r"(?i)\b(inline:)[A-Za-z0-9+/=|:]+")
_SECRET_KEYS: Final = re.compile(
    r"(?i)authorization|password|passwd|passphrase|secret|nonce|credential|token|cookie|api_?key"
)
_BODY: Final = re.compile(r"(?s)(SIP/2\.0.*?)(\r?\n\r?\n).+")
_QUOTED_BODY: Final = re.compile(r"(SIP/2\.0.*?\\r\\n\\r\\n)(?!['\"]?\Z)[^\n]+")
_NO_BODY: Final = "[the body is not shown]"
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CONTROL_BUT_NEWLINE: Final = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def masked(text: str) -> str:
    """``text`` without credentials: Authorization headers, digest responses, nonces, passwords,
    tokens, passwords in URIs, private keys, keys of media.
    """
    text = _CREDENTIALS.sub(rf"\1\2{_MASK}", _HEADERS.sub(rf"\1\2{_MASK}", text))
    text = _USERINFO.sub(rf"\1:{_MASK}@", _BEARER.sub(rf"\1\2{_MASK}", text))
    return _MEDIA_KEYS.sub(rf"\1{_MASK}", _KEYS.sub(rf"\1{_MASK}\2", text))


def bodiless(text: str) -> str:
    """``text`` without the body of a SIP message that stands in it, as it is or as ``repr``."""
    if "SIP/2.0" not in text:
        return text
    return _BODY.sub(rf"\1\2{_NO_BODY}", _QUOTED_BODY.sub(rf"\1{_NO_BODY}", text))


def escaped(text: str) -> str:
    r"""``text`` in one line: control characters, line separators and marks that turn the
    direction of writing as ``\n``, ``\x1b``, ..."""
    return _CONTROL.sub(lambda found: _escape(found[0]), text)


def harmless(value: object) -> object:
    """A value that may be written into a log: text and bytes masked and escaped, others as text.

    Numbers, truth values and None stay what they are.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("utf-8", "backslashreplace")
    return escaped(masked(bodiless(_cut(_text(value), LONGEST))))


def cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose text is made now, as what it shows may change, without anything harmful."""
    clean = copy.copy(record)
    clean.msg = harmless(_message(record))
    clean.args = None
    clean.exc_text = _traceback(record)
    clean.exc_info = clean.stack_info = None
    for key, value in vars(record).items():
        if key not in PLAIN:
            hidden = _SECRET_KEYS.search(key) is not None
            setattr(clean, key, _MASK if hidden else harmless(value))
    if clean.exc_text:
        clean.traceback = clean.exc_text  # structlog's formatter drops exc_text
    return clean


PLAIN: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "taskName", "traceback")
)
"""What every record has; all else are its fields."""


def _message(record: logging.LogRecord) -> str:
    """The text, or that it cannot be made: who logs must not fail, and its values not leak."""
    try:
        return record.getMessage()
    except Exception as error:
        place = f"{record.filename}:{record.lineno}"
        return f"a line of {place} cannot be written ({type(error).__name__}): {record.msg}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:
        return f"[{type(value).__name__} without a text: {type(error).__name__}]"


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[:longest]} [{len(text) - longest} characters more]"


def _traceback(record: logging.LogRecord) -> str | None:
    error = record.exc_info[1] if record.exc_info else None
    if error is not None:
        return _indented("".join(traceback.format_exception(error)))
    return _indented(record.stack_info) if record.stack_info else None


def _indented(text: str) -> str:
    """Lines that cannot be taken for lines of the log: each begins with a bar."""
    short = masked(bodiless(_cut(text.rstrip(), LONGEST_TRACEBACK)))
    clean = _CONTROL_BUT_NEWLINE.sub(lambda found: _escape(found[0]), short)
    return "\n".join(f"  | {line}" for line in clean.split("\n"))
