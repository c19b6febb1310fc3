"""Values that tables of peers share: one or a list of them, files of authorities, pins of keys."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, WithJsonSchema

from sipx.config.values import LocalPath, refuse

_TEXT: Final = {"type": "string", "minLength": 1}


def one_or_more(item: dict[str, Any], least: int = 0) -> WithJsonSchema:
    """For editors: one value, or a list."""
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item, "minItems": least}]})


def listed(value: object, wrong: str, allowed: str) -> tuple[object, ...]:
    """What is given once or as a list. Strict validation takes a tuple only."""
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise refuse(wrong, allowed)
    return tuple(value)


def _files(value: object) -> tuple[object, ...]:
    return listed(value, "no file is named", "a path, or a list of paths")


Files = Annotated[tuple[LocalPath, ...], BeforeValidator(_files), one_or_more(_TEXT)]
"""One file or directory, or a list of them."""


def _pins(value: object) -> tuple[object, ...]:
    return listed(value, "no pin is given", "a list of SHA-256 hashes of public keys")


def _pin(value: object) -> str:
    """SHA-256 of a public key, as hex with or without colons, or as base64 behind "sha256/"."""
    text = value if isinstance(value, str) else ""
    try:
        if text.startswith("sha256/"):
            raw = base64.b64decode(text.removeprefix("sha256/"), validate=True)
        else:
            raw = bytes.fromhex(text.replace(":", ""))
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != 32:
        raise refuse(
            f"{value!r} is no SHA-256 hash of a public key",
            '64 hex digits, as "sipx cert show" prints them in pins = [...]; or sha256/ and base64',
        )
    return raw.hex()


Pins = Annotated[
    tuple[Annotated[str, BeforeValidator(_pin)], ...], BeforeValidator(_pins), one_or_more(_TEXT)
]
"""SHA-256 hashes of public keys."""
