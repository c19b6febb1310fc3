"""One way to write each kind of file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from sipx_monitor.traffic.export.pcapng import PcapngWriter
from sipx_monitor.traffic.export.plain import (
    as_csv,
    as_jsonl,
    as_text,
    csv_header,
    jsonl_header,
)
from sipx_monitor.traffic.export.svg import as_svg
from sipx_monitor.traffic.ladder import ladder_of
from sipx_monitor.traffic.showing import Shower

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipx_monitor.traffic.message import Message

Format = Literal["text", "jsonl", "svg", "csv", "pcapng"]
TYPES: Final[dict[Format, tuple[str, str]]] = {
    "text": ("txt", "text/plain; charset=utf-8"),
    "jsonl": ("jsonl", "application/x-ndjson"),
    "svg": ("svg", "image/svg+xml"),
    "csv": ("csv", "text/csv; charset=utf-8"),
    "pcapng": ("pcapng", "application/x-pcapng"),
}
"""How the name of a file ends, and its media type."""


def writer_of(
    form: Format, shower: Shower, *, bodies: bool
) -> tuple[bytes, Callable[[Message], bytes]]:
    """How a file begins, and what writes a message into it. A ladder is written as a whole."""
    if form == "pcapng":
        packets = PcapngWriter(bodies=bodies)
        return packets.begin(), packets.packets

    def write(message: Message) -> bytes:
        summary = shower.summary(message, viewer=not bodies)
        if form == "csv":
            return as_csv(summary)
        if form == "jsonl":
            return as_jsonl(message, summary, bodies=bodies)
        return as_text(message, summary, bodies=bodies)

    if form == "csv":
        return csv_header(), write
    return jsonl_header() if form == "jsonl" else b"", write


def write(
    messages: Sequence[Message],
    form: Format,
    shower: Shower | None = None,
    *,
    bodies: bool = True,
    directed: bool = True,
) -> bytes:
    """A whole file at once."""
    if form == "svg":
        return as_svg(ladder_of(messages, directed=directed))
    begin, one = writer_of(form, shower or Shower((), "all"), bodies=bodies)
    return b"".join((begin, *map(one, messages)))
