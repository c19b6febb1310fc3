"""JSON-RPC 2.0, as bytes: one document per line (https://www.jsonrpc.org/specification).

No I/O. What is read is checked here; what is written is one line, whatever is in it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sipx.control.errors import ControlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel

LONGEST_LINE: Final = 1 << 20
"""Bytes of the longest request, with its end of line."""
LARGEST_BATCH: Final = 100
DEEPEST: Final = 64
"""Levels of lists and objects within each other: more is nonsense."""

Id = str | int | float | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request. A notification has no id and gets no answer, not even an error (§4.1)."""

    method: str
    params: object
    id: Id
    notification: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is no request; it is answered, with its id where that could be read (§5)."""

    id: Id
    error: ControlError


def read(line: bytes) -> tuple[list[Call | Wrong], bool]:
    """The requests in a line, and whether they are a batch (§6)."""
    try:
        value = json.loads(line.decode("utf-8"), parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        return [_unread(f"this is not UTF-8: {error.reason} at byte {error.start}")], False
    except RecursionError:
        return [_unread("this is nested too deeply")], False
    except ValueError as error:
        return [_unread(f"this is not JSON: {error}")], False
    if _deeper(value, DEEPEST):
        return [_unread(f"this is nested too deeply: {DEEPEST} levels are allowed")], False
    if not isinstance(value, list):
        return [_request(value)], False
    if not value:
        return [Wrong(None, ControlError("request", "a batch holds at least one request"))], False
    if len(value) > LARGEST_BATCH:
        text = f"a batch holds at most {LARGEST_BATCH} requests, not {len(value)}"
        return [Wrong(None, ControlError("request", text))], False
    return [_request(each) for each in value], True


def _unread(text: str) -> Wrong:
    return Wrong(None, ControlError("parse", text))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _deeper(value: object, levels: int) -> bool:
    """Whether there are more levels of lists and objects."""
    if not isinstance(value, (dict, list)):
        return False
    if not levels:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_deeper(each, levels - 1) for each in inner)


def _request(value: object) -> Call | Wrong:
    if not isinstance(value, dict):
        return Wrong(None, ControlError("request", "a request is an object"))
    given = value.get("id")
    known: Id = given if _is_id(given) else None
    wrong = _wrong_with(value, known is given)
    if wrong:
        return Wrong(known, ControlError("request", wrong))
    return Call(value["method"], value.get("params"), known, "id" not in value)


def _is_id(value: object) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)  # 1e999 is JSON, and infinite: it could not be written back
    return value is None or (isinstance(value, (str, int)) and not isinstance(value, bool))


def _wrong_with(value: Mapping[str, Any], good_id: bool) -> str:
    if value.get("jsonrpc") != "2.0":
        return 'a request has "jsonrpc": "2.0"'
    if not isinstance(value.get("method"), str):
        return 'a request has a "method", which is text'
    if "params" in value and not isinstance(value["params"], (dict, list)):
        return '"params" is an object or an array'
    return "" if good_id else '"id" is text, a number or null'


# ---------------------------------------------------------------- what is written


def result(id_: Id, answer: BaseModel) -> bytes:
    """A response (§5), without the end of line."""
    head = _dumped({"jsonrpc": "2.0", "id": id_})
    return head[:-1] + b',"result":' + answer.model_dump_json().encode() + b"}"


def subscribed(id_: Id, subscription: int) -> bytes:
    """The response to a stream: what its events will be known by."""
    return _dumped({"jsonrpc": "2.0", "id": id_, "result": {"subscription": subscription}})


def failure(id_: Id, error: ControlError) -> bytes:
    """An error (§5.1)."""
    told = error.as_object().model_dump(mode="json")
    return _dumped({"jsonrpc": "2.0", "id": id_, "error": told})


def event(subscription: int, shown: bytes, dropped: int) -> bytes:
    """A notification with an event, which is JSON already. ``dropped`` were lost before it."""
    lost = b',"dropped":%d' % dropped if dropped else b""
    return (
        b'{"jsonrpc":"2.0","method":"subscription","params":{"subscription":%d,"event":%b%b}}'
        % (subscription, shown, lost)
    )


def end(subscription: int, error: ControlError | None, dropped: int) -> bytes:
    """The notification that a stream has ended, and why where it should not have."""
    told = None if error is None else error.as_object().model_dump(mode="json")
    params: dict[str, Any] = {"subscription": subscription, "end": {"error": told}}
    if dropped:
        params["dropped"] = dropped
    return _dumped({"jsonrpc": "2.0", "method": "subscription", "params": params})


def _dumped(value: object) -> bytes:
    # Escaped to ASCII: no byte of it can do anything to a terminal.
    return json.dumps(value, separators=(",", ":")).encode()
