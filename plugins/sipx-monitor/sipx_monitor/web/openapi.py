"""The HTTP API as OpenAPI 3.1 describes it, made from the schema of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipx_monitor.web.api import INNER
from sipx_monitor.web.messages import STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATUS_TEXTS: Final = {
    400: "the parameters do not fit",
    401: "nobody is logged on, or the token does not work",
    403: "the role does not allow it",
    404: "there is no such method, or no such thing",
    409: "the configuration is not right, or it is not possible now",
    413: "the body is too large",
    429: "too much at once; try again",
    500: "it failed",
    503: "it is not available now",
}


_GOES_ON: Final = {"description": "it goes on, and ends the console meanwhile; `status` tells more"}


def document(schema: Mapping[str, Any], root_path: str) -> dict[str, Any]:
    """An OpenAPI document of all methods."""
    return {
        "openapi": "3.1.0",
        "info": {
            **schema["info"],
            "title": "sipx HTTP API",
            "description": "Every method of the control API is a path. POST takes its parameters "
            "as JSON; GET takes them as a query, for methods that change nothing. A stream "
            "answers with one JSON object per line until somebody ends it.",
        },
        "servers": [{"url": root_path or "/"}],
        "security": [{"bearer": []}, {"cookie": []}],
        "paths": {
            f"/api/{method['name']}": _path(method)
            for method in schema["methods"]
            if method["name"] not in INNER
        },
        "components": {
            "schemas": {**schema["components"]["schemas"], "Error": _ERROR},
            "responses": {str(status): _error(text) for status, text in _STATUS_TEXTS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "sipx_session"},
            },
        },
    }


_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "text", "problems"],
            "properties": {
                "code": {
                    "type": "string",
                    "description": f"such as {', '.join(sorted(STATUSES))}",
                },
                "text": {"type": "string", "description": "what went wrong, for people"},
                "problems": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}


def _error(text: str) -> dict[str, Any]:
    ref = {"$ref": "#/components/schemas/Error"}
    return {"description": text, "content": {"application/json": {"schema": ref}}}


def _path(method: Mapping[str, Any]) -> dict[str, Any]:
    name: str = method["name"]
    common: dict[str, Any] = {
        "summary": method["summary"],
        "description": method["description"],
        "tags": [name.partition(".")[0]],
        "x-role": method.get("x-role", "viewer"),
        "responses": {
            "200": _answer(method),
            **({"202": _GOES_ON} if method.get("x-changing") else {}),
            **{
                str(status): {"$ref": f"#/components/responses/{status}"}
                for status in _STATUS_TEXTS
            },
        },
    }
    post = {**common, "operationId": name}
    if "x-params" in method:
        content = {"application/json": {"schema": method["x-params"]}}
        required = any(param["required"] for param in method["params"])
        post["requestBody"] = {"required": required, "content": content}
    found = {"post": post}
    if not method.get("x-changing"):
        parameters = [
            {
                "name": param["name"],
                "in": "query",
                "required": param["required"],
                "schema": param["schema"],
            }
            for param in method["params"]
        ]
        found["get"] = {**common, "operationId": f"{name}.get", "parameters": parameters}
    return found


def _answer(method: Mapping[str, Any]) -> dict[str, Any]:
    if "x-event" in method:
        return {
            "description": "one event per line, until somebody ends it",
            "content": {"application/x-ndjson": {"schema": method["x-event"]}},
        }
    schema = method["result"]["schema"]
    return {"description": "the result", "content": {"application/json": {"schema": schema}}}
