"""JSON lines as the export writes them, read again."""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from typing import TYPE_CHECKING, Any, Final

from sipx_monitor.traffic.captures.errors import CaptureError
from sipx_monitor.traffic.export.plain import VERSION
from sipx_monitor.traffic.message import Seen, Way

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINE: Final = 4 << 20


def is_jsonl(data: bytes) -> bool:
    """Whether it begins like one."""
    return data.lstrip()[:1] == b"{"


def jsonl_messages(data: bytes) -> Iterator[Seen | None]:
    """The messages of a file; None for each line that is none, so that whoever reads it can let
    others run. Raises CaptureError that names the line.
    """
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip():
            yield None
            continue
        if len(line) > MOST_LINE:
            raise CaptureError(f"line {number} is longer than {MOST_LINE >> 20} MiB")
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise CaptureError(f"line {number} is no JSON: {error}; the file is damaged") from None
        if not isinstance(found, dict):
            raise CaptureError(f"line {number} is no JSON object; this was not written by sipx")
        if "sipx_capture" in found:
            if found["sipx_capture"] != VERSION:
                raise CaptureError(
                    f"it was written by a later sipx (version {found['sipx_capture']!r} of the "
                    "format); update this one"
                )
            yield None
            continue
        try:
            yield _seen(found)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise CaptureError(
                f"line {number} is no message as sipx writes one: {_reason(error)}"
            ) from None


def _seen(found: dict[str, Any]) -> Seen:
    head = _content(found, "head")
    start, *lines = head.split(b"\r\n")
    wall = found["time"]
    if not isinstance(wall, (int, float)) or not math.isfinite(wall) or not 0 <= wall < 1e11:
        raise ValueError("time is not seconds since 1970")
    body = b""
    if "content" in found or "content_base64" in found:
        body = _content(found, "content")
    return Seen(
        float(wall),
        float(wall),
        _text(found, "direction") != "out",
        Way(
            _text(found, "interface"),
            _text(found, "transport"),
            _text(found, "local"),
            _text(found, "remote"),
            found.get("tls") is True,
        ),
        _text(found, "peer"),
        start,
        lines,
        body,
        _text(found, "fault"),
        _text(found, "note"),
        _text(found, "marked"),
        _text(found, "body") == "dropped",
    )


def _content(found: dict[str, Any], name: str) -> bytes:
    if f"{name}_base64" in found:
        return base64.b64decode(found[f"{name}_base64"], validate=True)
    value = found[name]
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return value.encode("utf-8", "surrogatepass")


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name, "")
    if not isinstance(value, str):
        raise TypeError(f"{name} is no text")
    return "".join(char if char.isprintable() else " " for char in value[:2000])


def _reason(error: Exception) -> str:
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
