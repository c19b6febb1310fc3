"""What a JSON schema says beyond JSON Schema, for forms: the keyword ``x-sipx``.

``widget`` says what a text stands for (certificate, interface, address, file, domain, secret,
duration, size), ``applies`` what another value needs: "rebind" closes a listener and opens it
anew, so that its connections end; "restart" is another start of the process. Without it a value
counts as soon as the file is taken up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

KEYWORD: Final = "x-sipx"
_BY_NAME: Final = {
    "bind": "address",
    "certificate": "certificate",
    "client_certificate": "certificate",
    "interface": "interface",
}
_OF_LISTENER: Final = ("bind", "port", "protocol", "role", "eku_policy")


@dataclass(frozen=True, slots=True)
class Widget:
    """Stands in the ``Annotated`` of a type whose values a form asks for in a way of their own."""

    name: str

    def __get_pydantic_json_schema__(
        self, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The schema of the type, with the hint."""
        return {**handler(core_schema), KEYWORD: {"widget": self.name}}


def give_hints(schema: dict[str, Any], at_start: tuple[str, ...]) -> None:
    """Put the hints of a whole file where forms look for them: at each key of each table.

    ``at_start`` are dotted keys that only another start of the process takes up.
    """
    tables = [schema, *schema.get("$defs", {}).values()]
    for table in tables:
        properties = table.get("properties", {})
        for key, value in properties.items():
            widget = next(_widgets(value), None) or _by_name(key, value)
            if widget:
                value.setdefault(KEYWORD, {})["widget"] = widget
        if _listens(properties):
            for key in _OF_LISTENER:
                if key in properties:
                    properties[key].setdefault(KEYWORD, {})["applies"] = "rebind"
    for dotted in at_start:
        name, _, key = dotted.partition(".")
        table = _table(schema, schema["properties"][name])
        table["properties"][key].setdefault(KEYWORD, {})["applies"] = "restart"


def _widgets(schema: dict[str, Any]) -> Iterator[str]:
    """Those of a value, of what it may be as well, and of what its list holds."""
    if "widget" in schema.get(KEYWORD, {}):
        yield schema[KEYWORD]["widget"]
    for choice in (*schema.get("anyOf", ()), *schema.get("allOf", ())):
        yield from _widgets(choice)
    if isinstance(schema.get("items"), dict):
        yield from _widgets(schema["items"])


def _by_name(key: str, schema: dict[str, Any]) -> str:
    kinds = {choice.get("type") for choice in (schema, *schema.get("anyOf", ()))}
    return _BY_NAME.get(key, "") if "string" in kinds else ""


def _listens(properties: dict[str, Any]) -> bool:
    """Whether a table is of a listener: the ports of others begin at 1."""
    port = properties.get("port", {})
    choices = (port, *port.get("anyOf", ()))
    return "bind" in properties and any(choice.get("minimum") == 0 for choice in choices)


def _table(schema: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    reference = value.get("$ref") or value["allOf"][0]["$ref"]
    found: dict[str, Any] = schema["$defs"][reference.rpartition("/")[2]]
    return found
