"""The generated part of docs/control.md: every method with its models, from the code.

``make docs`` writes it anew; a test compares.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipx.control.kernel import described

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).parents[2] / "docs" / "control.md"
BEGIN, END = "<!-- methods: begin -->", "<!-- methods: end -->"


def generated() -> str:
    """What stands between the two marks."""
    schema = described().schema()
    models = schema["components"]["schemas"]
    lines = [BEGIN, ""]
    for method in schema["methods"]:
        lines += _method(method, models)
    lines += ["## Models", ""]
    for name in sorted(models):
        lines += _model(name, models[name])
    return "\n".join([*lines, END])


def _method(method: dict[str, Any], models: dict[str, Any]) -> Iterator[str]:
    stream = method.get("x-event")
    gives = _type(stream or method["result"]["schema"])
    role = {"viewer": "", "operator": " For operators.", "admin": " For admins."}[method["x-role"]]
    changes = " Who calls it is written into the log." if method.get("x-changing") else ""
    said = f"a stream of {gives}" if stream else gives
    yield f"### {method['name']}"
    yield ""
    yield _words(method["description"])
    yield ""
    yield f"Result: {said}.{role}{changes}"
    yield ""
    if method["params"]:
        fields = models[method["x-params"]["$ref"].rpartition("/")[2]]
        yield "| parameter | type | default | meaning |"
        yield "| --- | --- | --- | --- |"
        for name, inner in fields["properties"].items():
            required = name in fields.get("required", ())
            default = "required" if required else f"`{_json(inner.get('default'))}`"
            yield f"| `{name}` | {_type(inner)} | {default} | {_words(inner.get('description'))} |"
        yield ""


def _model(name: str, model: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    yield _words(model.get("description"))
    yield ""
    if model.get("properties"):
        yield "| field | type | meaning |"
        yield "| --- | --- | --- |"
        for field, inner in model["properties"].items():
            yield f"| `{field}` | {_type(inner)} | {_words(inner.get('description'))} |"
        yield ""


def _words(text: str | None) -> str:
    """A docstring in one line of Markdown."""
    said = " ".join((text or "").split()).replace("``", "`").replace("|", "\\|")
    return said.replace("[certificate.NAME]", "`[certificate.NAME]`").replace(
        "[trust]", "`[trust]`"
    )


def _json(value: object) -> str:
    return json.dumps(value)


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " or ".join(f'"{one}"' for one in schema["enum"])
    kind = schema.get("type", "any JSON")
    if kind == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    if schema.get("format") == "date-time":
        return "time"
    return str(kind)


def written(text: str, made: str) -> str:
    """The page with what was made between its marks."""
    head, _, rest = text.partition(BEGIN)
    return head + made + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), generated()), encoding="utf-8")
    sys.stdout.write(f"{PAGE} is written\n")
