"""A request of HTTP as it is handled here, and what it is answered with."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from sipx import ControlError

TEXT: Final = "text/plain; charset=utf-8"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
QUERY: Final = 100
"""Parameters of a query at most."""
STATUSES: Final = {
    "parse": 400,
    "request": 400,
    "params": 400,
    "method": 404,
    "not found": 404,
    "forbidden": 403,
    "unauthenticated": 401,
    "configuration": 409,
    "not now": 409,
    "reload": 409,
    "start": 409,
    "busy": 429,
    "too many": 429,
    "too large": 413,
    "unavailable": 503,
}
"""Which status of HTTP says what a kind of error of the control API says; the others are 500."""


@dataclass(slots=True)
class Request:
    """One request. ``path`` is decoded and without the query and the root path; names of headers
    are lower case, the values of several with one name are joined.
    """

    method: str
    target: str
    headers: dict[str, str]
    address: str
    """Who sent it: what is at the other end, or what a trusted proxy says is behind it."""
    tls: bool
    """Whether it was protected on its way."""
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    held: ExitStack = field(default_factory=ExitStack)
    """What is given back when the answer was read."""

    def __post_init__(self) -> None:
        path, _, query = self.target.partition("?")
        self.path = unquote(path, errors="replace")
        try:
            found = parse_qsl(query, keep_blank_values=True, max_num_fields=QUERY, separator="&")
        except ValueError:
            raise Refused(400, f"a query has at most {QUERY} parameters") from None
        self.query = dict(found)

    def header(self, name: str) -> str:
        """The value of a header, "" without it."""
        return self.headers.get(name, "")

    def cookie(self, name: str) -> str:
        """The value of a cookie, "" without it."""
        for part in self.header("cookie").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""


@dataclass(slots=True)
class Response:
    """One answer: a body, or ``lines`` that come one by one."""

    status: int = 200
    body: bytes = b""
    content_type: str = TEXT
    headers: list[tuple[str, str]] = field(default_factory=list)
    lines: AsyncGenerator[bytes, None] | None = None
    until: Callable[[], Awaitable[None]] | None = None
    """As long as the lines may be seen; raises Refused, which becomes the last of them."""


class Refused(Exception):  # noqa: N818  # an answer, not an error of ours
    """The request is answered with this, and nothing more is done."""

    def __init__(self, status: int, text: str, kind: str = "", **headers: str) -> None:
        super().__init__(text)
        self.status = status
        self.kind = kind or _KINDS.get(status, "request")
        self.text = text
        self.headers = [(name.replace("_", "-").title(), value) for name, value in headers.items()]

    def object(self) -> dict[str, Any]:
        """As HTTP and the websocket show it."""
        return error_object(self.kind, self.text)

    def response(self) -> Response:
        """As it is sent."""
        found = error_response(self.status, self.kind, self.text)
        found.headers += self.headers
        return found


_KINDS: Final = {
    401: "unauthenticated",
    403: "forbidden",
    404: "not found",
    413: "too large",
    429: "too many",
    503: "unavailable",
}

OUR_FAULT: Final = "this failed; the log has the traceback"
"""What is said of an internal error."""


def json_response(value: object, status: int = 200) -> Response:
    """An object as JSON, in ASCII: an error may quote what no UTF-8 can say."""
    return Response(status, json.dumps(value).encode(), JSON)


def error_response(
    status: int, kind: str, text: str, problems: list[dict[str, Any]] | None = None
) -> Response:
    """An error, in the words of the control API."""
    return json_response({"error": error_object(kind, text, problems)}, status)


def error_object(
    kind: str, text: str, problems: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """An error as HTTP and the websocket show it."""
    return {"code": kind, "text": text, "problems": problems or []}


def control_object(error: ControlError) -> dict[str, Any]:
    """An error of the control API as HTTP and the websocket show it."""
    return error_object(error.kind, error.text, [one.model_dump() for one in error.problems])


def control_response(error: ControlError) -> Response:
    """An error of the control API over HTTP."""
    return json_response({"error": control_object(error)}, STATUSES.get(error.kind, 500))
