"""What the schema of a file says to forms."""

from __future__ import annotations

from typing import Any

import pytest

from sipx.config.schema import json_schema
from sipx.registry import Registry


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    registry = Registry()
    names = ["lan", "open-federation", "static-routes", "stun", "log-rotation"]
    classes, problems = registry.examine(names)
    assert problems == ()
    return json_schema(classes)


def at(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """The schema of a key, through tables and tables by name (``*``)."""
    found = schema
    for part in key.split("/"):
        while "properties" not in found and "additionalProperties" not in found:
            given = found.get("$ref") or next(
                one["$ref"] for one in found["anyOf"] if "$ref" in one
            )
            found = schema["$defs"][given.rpartition("/")[2]]
        found = found["additionalProperties"] if part == "*" else found["properties"][part]
    return found


@pytest.mark.parametrize(
    ("key", "hints"),
    [
        ("wan/certificate", {"widget": "certificate"}),
        ("interface/*/certificate", {"widget": "certificate"}),
        ("interface/*/bind", {"widget": "address", "applies": "rebind"}),
        ("interface/*/port", {"applies": "rebind"}),
        ("interface/*/protocol", {"applies": "rebind"}),
        ("certificate/*/key_file", {"widget": "file"}),
        ("certificate/*/pkcs12_password", {"widget": "secret"}),
        ("certificate/*/warn_before", {"widget": "duration"}),
        ("limits/body", {"widget": "size"}),
        ("domains", {"widget": "domain"}),
        ("service/control_socket", {"widget": "file", "applies": "restart"}),
        ("lan/password", {"widget": "secret"}),
        ("lan/bind", {"widget": "address", "applies": "rebind"}),
        ("open-federation/interface", {"widget": "interface"}),
        ("open-federation/certificate", {"widget": "certificate"}),
        ("static-routes/route/*/bind", {"widget": "address"}),
        ("stun/interval", {"widget": "duration"}),
        ("log-rotation/max_size", {"widget": "size"}),
    ],
)
def test_keys_say_how_they_are_asked_for(schema, key, hints):
    assert at(schema, key).get("x-sipx", {}) == hints


@pytest.mark.parametrize(
    "key", ["interface", "certificate", "static-routes/route/*/port", "plugins"]
)
def test_others_say_nothing(schema, key):
    assert "x-sipx" not in at(schema, key)
