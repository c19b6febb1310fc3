"""A line for each finished request, with the fields of the SIP common log format (RFC 6872).

RFC 6872 logs each message; here one line has what it says about the request and about its final
response. The form is JSON lines, not the indexed text of RFC 6873: everything reads it.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sipx import harmless

if TYPE_CHECKING:
    from sipx import TransactionRecord


def line_of(record: TransactionRecord, started: float) -> bytes:
    """The line of a request that came in at ``started``, seconds since 1970."""
    transport, _, source = record.server.partition(":")
    destination = record.client.partition(":")[2]
    fields = {
        "timestamp": timestamp(started),
        "duration": round(max(0.0, record.ended - record.started), 6),
        "method": _text(record.method),
        "cseq": _number(record.cseq),
        "status": record.status,
        "uri": _text(record.uri),
        "from": _text(record.from_uri),
        "from_tag": _text(record.from_tag),
        "to": _text(record.to_uri),
        "to_tag": _text(record.to_tag),
        "call_id": _text(record.call_id),
        "transport": transport,
        "source": source,
        "destination_transport": record.client.partition(":")[0],
        "destination": destination,
        "server_transaction": _text(record.server_transaction),
        "client_transaction": _text(record.client_transaction),
        "interface": record.interface,
        "sender": record.sender,
        "branches": record.branches,
    }
    return _line(fields)


def lost_line(lost: int, reason: str, now: float) -> bytes:
    """The line that stands in the place of lines that are missing."""
    return _line({"timestamp": timestamp(now), "lost": lost, "reason": reason})


def timestamp(seconds: float) -> str:
    """``2026-11-25T21:30:00.123Z``."""
    when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return when.replace("+00:00", "Z")


def _line(fields: dict[str, object]) -> bytes:
    # ASCII only: no character of a message can end a line or turn its direction.
    return json.dumps(fields, separators=(",", ":")).encode("ascii") + b"\n"


def _text(value: bytes) -> str:
    return str(harmless(value))


def _number(value: bytes) -> int | str:
    return int(value) if value.isdigit() else _text(value)
