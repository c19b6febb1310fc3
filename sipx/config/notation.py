"""Paths and values as TOML writes them, and back."""

from __future__ import annotations

import re
import tomllib
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipx.config.places import KeyPath

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+\Z")
_PART: Final = re.compile(
    r"""\s*(?:(?P<bare>[^\s.\[\]"'=#]+)|(?P<basic>"(?:[^"\\]|\\.)*")|(?P<literal>'[^']*'))\s*"""
)
_INDEX: Final = re.compile(r"\[(\d{1,6})\]")
_ESCAPES: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def key_text(name: str) -> str:
    """One key: bare where that is allowed, else in quotes."""
    return name if _BARE.match(name) else text_value(name)


def dotted(path: KeyPath) -> str:
    """A path as TOML writes it: ``static-routes.route."partner.example".server[1]``."""
    written = ""
    for part in path:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            written += f".{key_text(part)}" if written else key_text(part)
    return written


def parse_path(text: str) -> KeyPath:
    """The path that ``dotted`` writes so. Raises ValueError."""
    path: list[str | int] = []
    at = 0
    while True:
        found = _PART.match(text, at)
        if found is None:
            raise ValueError(
                f"'{text}' is no key: such as wan.public_port, plugins[0], a.\"b.c\".d"
            )
        path.append(_named(found))
        at = found.end()
        while index := _INDEX.match(text, at):
            path.append(int(index[1]))
            at = index.end()
        if at == len(text):
            return tuple(path)
        if text[at] != ".":
            raise ValueError(f"'{text}' is no key: '{text[at]}' is not expected there")
        at += 1


def _named(found: re.Match[str]) -> str:
    if found["bare"] is not None:
        return found["bare"]
    quoted = found["basic"] or found["literal"]
    try:
        return str(tomllib.loads(f"name = {quoted}")["name"])
    except tomllib.TOMLDecodeError:
        raise ValueError(f"{quoted} is no key") from None


def text_value(text: str) -> str:
    """Text in double quotes."""
    written = []
    for char in text:
        if char in '"\\':
            written.append("\\" + char)
        elif char < " " or char == "\x7f":
            written.append(_ESCAPES.get(char) or f"\\u{ord(char):04X}")
        else:
            written.append(char)
    return '"' + "".join(written) + '"'


def toml_value(value: object) -> str:
    """A value on one line; tables are written ``{ ... }``. Raises ValueError for what TOML has not.

    Raises ValueError also for a number that TOML cannot be sure to keep (beyond 64 bits).
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        if any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("the text holds bytes that are not UTF-8")
        return text_value(value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"{value} is a larger number than TOML has")
        return str(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, dict):
        return _inline(value)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    raise ValueError(f"TOML has no {type(value).__name__}")


def _float(value: float) -> str:
    written = repr(value)
    return written if any(c in written for c in ".einf") else f"{written}.0"


def _inline(value: Mapping[str, Any]) -> str:
    inner = ", ".join(f"{key_text(key)} = {toml_value(item)}" for key, item in value.items())
    return f"{{ {inner} }}" if inner else "{}"


def parse_value(text: str) -> Any:
    """The value that TOML means by ``text``. Raises ValueError when it means none."""
    if "\n" in text.strip() and not text.lstrip().startswith(("[", '"""', "'''")):
        raise ValueError("more than one line")
    try:
        found = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError as error:
        raise ValueError(str(error)) from None
    if found.keys() != {"value"}:
        raise ValueError("more than one value")
    return found["value"]
