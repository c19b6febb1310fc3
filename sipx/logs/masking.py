"""What a record loses before anybody may read it: credentials, bodies, control characters, length.

Nothing here trusts that whoever logs has thought of it. It is the last of several barriers.
"""

from __future__ import annotations

import copy
import logging
import re
import traceback
from typing import Final, overload

from sipx.logs.bodies import NO_BODY, bodies_near, without_bodies

LONGEST: Final = 4096
"""Characters of a text; the rest is cut off."""
LONGEST_FIELD: Final = 1024
LONGEST_TRACEBACK: Final = 65_536

_MASK: Final = "[masked]"
# A word begins after anything but a letter, or after an escaped line end in what repr() shows.
_BEGIN: Final = r"(?:(?<![a-z])|(?<=\\[nrt]))"
# Whitespace is that of ASCII: a byte that is part of a letter ends no password.
_HEADERS: Final = re.compile(
    r"(?aim)" + _BEGIN + r"((?:proxy-)?authorization|authentication-info|(?:set-)?cookie)"
    r"([\"']?\s*[:=]\s*)(?:\\[\"']|[^\r\n])*?(?=\\r|\\n|\r|\n|\Z)"
)
_CREDENTIALS: Final = re.compile(
    r"(?ai)" + _BEGIN + r"(response|nonce|cnonce|nextnonce|rspauth|password|passwd|passphrase"
    r"|secret|ice-pwd|(?:access|refresh|id|auth|bearer)?[_-]?token|api[_-]?key)"
    # A quote that is not closed hides the rest: who breaks the grammar must not gain by it.
    r"([\"']?\s*[:=]\s*)(\\?\"[^\"]*(?:\"|\Z)|\\?'[^']*(?:'|\Z)|(?:[^\s,;\"'\\]|\\(?![rnt]))+)"
)
_BEARER: Final = re.compile(r"(?ai)" + _BEGIN + r"(bearer|basic)(\s+)([a-z0-9._~+/=-]{8,})")
_WORD: Final = re.compile(r"(?a)[^\s<>]+")
_SCHEME: Final = re.compile(r"(?ai)(?:sips?|https?|wss?|ldaps?|ftp):(?://)?")
# The rest of a word with two colons; behind one with a password stands an "@". It is taken whole:
# anybody may send words of colons, which must not be looked at from each of them.
_COLONS: Final = re.compile(r"(?a):[^\s<>@:]*+:[^\s<>@]*+")
_KEYS: Final = re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END|\Z)")
_MEDIA_KEYS: Final = re.compile(
    r"(?ai)\b(inline:|key-mgmt:\s?\w+\s)[a-z0-9+/=|:]+"  # RFC 4568 §9.2, RFC 4567 §3
    # RFC 4566 §5.12, at the beginning of a line
    r"|(?:(?<![^\r\n])|(?<=\\[rn]))(k=(?:clear|base64|uri):)(?:\\(?![rn])|[^\r\n\\])+"
)
_RULES: Final = (
    (("authorization", "authentication-info", "cookie"), _HEADERS, rf"\1\2{_MASK}"),
    (
        ("response", "nonce", "rspauth", "passw", "passphrase", "secret", "pwd", "token", "api"),
        _CREDENTIALS,
        rf"\1\2{_MASK}",
    ),
    (("bearer", "basic"), _BEARER, rf"\1\2{_MASK}"),
    (("private key",), _KEYS, rf"\1{_MASK}\2"),
    (("inline:", "key-mgmt:", "k="), _MEDIA_KEYS, rf"\1\2{_MASK}"),
)
"""What to look for, what is then replaced, and by what."""
_SECRET_KEYS: Final = re.compile(
    r"(?i)authorization|password|passwd|passphrase|secret|nonce|credential|token|cookie|api_?key"
)
_SIP: Final = re.compile(r"(?i)SIP/2\.0")
_BLANK_LINE: Final = re.compile(r"\r?\n\r?\n")
# In what repr() shows, once or again. It begins where no backslash stands before it: a run of them
# is looked at once.
_QUOTED_BLANK_LINE: Final = re.compile(r"(?<!\\)(?:\\++r)?\\++n(?:\\++r)?\\++n")
_ESCAPES: Final = {
    number: chr(number).encode("unicode_escape").decode("ascii")
    for number in (
        *range(0x20), *range(0x7F, 0xA0), 0x61C, 0x200E, 0x200F,
        *range(0x2028, 0x202F), *range(0x2066, 0x206A),
    )
}  # fmt: skip
"""Control characters, line separators, and marks that turn the direction of writing."""
_ESCAPES_IN_LINES: Final = {number: to for number, to in _ESCAPES.items() if number != ord("\n")}


@overload
def masked(text: str, *, cut: bool = False) -> str: ...


@overload
def masked(text: bytes, *, cut: bool = False) -> bytes: ...


def masked(text: str | bytes, *, cut: bool = False) -> str | bytes:
    """``text`` without credentials: Authorization headers, digest responses, nonces, passwords,
    tokens, passwords in URIs, private keys, keys of media. All that shows or passes on messages
    of others calls this and nothing else. It takes time in proportion to what it is given, and
    little where nothing is to be masked; of bytes every other one stays as it is.

    ``cut``: there was more of it, so that its last word may be a part of one.
    """
    if isinstance(text, bytes):
        # One character for each byte, whatever stands there.
        return masked(text.decode("latin-1"), cut=cut).encode("latin-1")
    lowered = text.lower()
    for words, pattern, instead in _RULES:
        # Few texts have any of these words; to look for a word costs next to nothing.
        for word in words:
            if word in lowered:
                text = pattern.sub(instead, text)
                break
    if cut or any(text.startswith("@", found.end()) for found in _COLONS.finditer(text)):
        ends = len(text) if cut else -1
        text = _WORD.sub(lambda word: _without_passwords(word[0], word.end() == ends), text)
    return text


def bodiless(text: str) -> str:
    """``text`` without the body of a SIP message that stands in it, as it is or as ``repr``."""
    found = _SIP.search(text)
    if found is None:
        return text
    blank = _BLANK_LINE.search(text, found.start())
    if blank is not None and blank.end() < len(text):
        text = text[: blank.end()] + NO_BODY
    if "\\n" in text:
        return "\n".join(map(_without_quoted_body, text.split("\n")))
    return text


def escaped(text: str) -> str:
    r"""``text`` in one line: control characters, line separators and marks that turn the
    direction of writing as ``\n``, ``\x1b``, ..."""
    # What Unicode calls printable has none of these; most text is.
    return text if text.isprintable() else text.translate(_ESCAPES)


def harmless(value: object, longest: int = LONGEST) -> object:
    """A value that may be written into a log: text and bytes masked and escaped, others as text.

    Numbers, truth values and None stay what they are. What is too long is cut off.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        value = bytes(value).decode("utf-8", "backslashreplace")
    return escaped(_short(_text(value), longest))


def cleaned(record: logging.LogRecord) -> logging.LogRecord:
    """A copy whose text is made now, as what it shows may change, without anything harmful."""
    clean = copy.copy(record)
    error = record.exc_info[1] if record.exc_info else None
    bodies = () if error is None else bodies_near(error)
    clean.msg = harmless(_without(_message(record), bodies))
    clean.args = None
    clean.exc_text = _traceback(record, error, bodies)
    clean.exc_info = clean.stack_info = None
    for key, value in vars(record).items():
        if key not in PLAIN:
            hidden = _SECRET_KEYS.search(key) is not None
            setattr(clean, key, _MASK if hidden else harmless(value, LONGEST_FIELD))
    if clean.exc_text:
        clean.traceback = clean.exc_text  # structlog's formatter drops exc_text
    return clean


def said_by(error: BaseException) -> str:
    """What an exception says, as it may be shown to an administrator: in one line, without the
    body of the message that it had to do with, and without anything else that a line may not have.
    """
    text = f"{type(error).__name__}: {_text(error)}" if _text(error) else type(error).__name__
    return str(harmless(_without(text, bodies_near(error))))


def traceback_of(error: BaseException) -> str:
    """The traceback of an exception, as it may be written into a file of its own."""
    return masked(bodiless(_traced(error, bodies_near(error))))


PLAIN: Final = frozenset(
    (*vars(logging.LogRecord("", 0, "", 0, "", None, None)), "message", "taskName", "traceback")
)
"""What every record has; all else are its fields."""


def _without_quoted_body(line: str) -> str:
    found = _SIP.search(line)
    blank = _QUOTED_BLANK_LINE.search(line, found.start()) if found is not None else None
    if blank is None or len(line) <= blank.end() + 1:
        return line
    return line[: blank.end()] + NO_BODY


def _without_passwords(word: str, cut: bool) -> str:
    """``sip:bob:password@`` without the password (RFC 3261 §19.1.1), other words as they are.

    It ends at the last ``@`` before the next URI, whatever stands between: who breaks the grammar
    must not gain by it. Done by hand: a pattern that looks for all of it can be made to need the
    square of its time.
    """
    if "@" not in word and not cut:
        return word
    begins = [found.start() for found in _SCHEME.finditer(word)]
    if not begins:
        return word
    parts = [word[: begins[0]]]
    for start, end in zip(begins, [*begins[1:], len(word)], strict=True):
        parts.append(_without_password(word[start:end], cut and end == len(word)))
    return "".join(parts)


def _without_password(uri: str, cut: bool) -> str:
    found = _SCHEME.match(uri)
    assert found is not None
    user, colon, rest = uri[found.end() :].partition(":")
    if not colon or "@" in user or user.startswith("["):
        return uri
    _, at, host = rest.rpartition("@")
    if not at and not cut:
        return uri
    return f"{found[0]}{user}:{_MASK}{at}{host if at else ''}"


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


def _short(text: str, longest: int) -> str:
    """Not more than so much of it, without bodies and credentials."""
    more = len(text) - longest
    if more <= 0:
        return masked(bodiless(text))
    return f"{masked(bodiless(text[:longest]), cut=True)} [{more} characters more]"


def _without(text: str, bodies: tuple[bytes, ...]) -> str:
    found = without_bodies(text, bodies) if bodies else text
    return "[not shown: it may quote a body]" if found is None else found


def _traceback(
    record: logging.LogRecord, error: BaseException | None, bodies: tuple[bytes, ...]
) -> str | None:
    if error is not None:
        return _indented(_traced(error, bodies))
    return _indented(record.stack_info) if record.stack_info else None


def _traced(error: BaseException, bodies: tuple[bytes, ...]) -> str:
    text = "".join(traceback.format_exception(error))
    if not bodies:
        return text
    shown = without_bodies(text, bodies)
    if shown is None:
        return "".join(traceback.format_tb(error.__traceback__)) + said_by(error)
    return shown


def _indented(text: str) -> str:
    """Lines that cannot be taken for lines of the log: each begins with a bar."""
    clean = _short(text.rstrip(), LONGEST_TRACEBACK).translate(_ESCAPES_IN_LINES)
    return "\n".join(f"  | {line}" for line in clean.split("\n"))
