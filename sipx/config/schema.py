"""A JSON schema of the whole configuration file, for editors that complete and check TOML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field, create_model
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from sipx.config.hints import give_hints
from sipx.config.model import AT_START, KernelConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import core_schema


class Tolerant(GenerateJsonSchema):
    """Types and defaults that JSON cannot describe are left open instead of refused."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012  # as above it

    def handle_invalid_for_json_schema(
        self, schema: core_schema.CoreSchema, error_info: str
    ) -> JsonSchemaValue:
        """Anything."""
        return {}


def json_schema(plugins: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a file in which these plugins (classes, by name) may have tables."""
    fields: dict[str, Any] = {
        name.replace("-", "_"): (
            cls.Config | None,
            Field(default=None, alias=name, description=(cls.__doc__ or "").partition("\n")[0]),
        )
        for name, cls in plugins.items()
    }
    whole = create_model("SipxConfiguration", __base__=KernelConfig, **fields)
    whole.__doc__ = "The configuration of a sipx proxy."
    schema = whole.model_json_schema(schema_generator=Tolerant)
    for name in plugins:
        table = schema["properties"][name]
        table.pop("default", None)
        table["anyOf"] = [choice for choice in table["anyOf"] if choice != {"type": "null"}]
    give_hints(schema, AT_START)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "sipx configuration",
    }
