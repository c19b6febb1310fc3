"""The fields of a line: the same four names wherever a message, a flow or an interface is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.sip.errors import RemoteError

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.sip.message import Message


def about(flow: Flow | None = None, message: Message | None = None) -> dict[str, str]:
    """``extra`` for a line: ``call_id``, ``transaction`` (the branch of the topmost Via),
    ``interface`` and ``peer`` (the name of the flow). Only for a line that is really written.
    """
    found: dict[str, str] = {}
    if message is not None:
        found["call_id"] = _text(message.call_id)
        found["transaction"] = _text(_branch(message))
    if flow is not None:
        found["interface"] = flow.interface.name
        found["peer"] = flow.name
    return {name: value for name, value in found.items() if value}


def _branch(message: Message) -> bytes | None:
    """That of the topmost Via as it is now: what the parser noted may be from before a hop."""
    try:
        return message.vias[0].branch
    except (AttributeError, IndexError, RemoteError):
        return None


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "backslashreplace")
