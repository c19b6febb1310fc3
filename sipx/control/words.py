"""What stands in messages and events, as the control API shows it: escaped, without credentials."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from sipx.escaping import escaped
from sipx.logs import masked

if TYPE_CHECKING:
    from pydantic import JsonValue

LONGEST: Final = 2000
"""Characters of one text."""


def shown(value: bytes) -> str:
    """What stands in a message, escaped, without credentials, and not endlessly long."""
    text = escaped(masked(value[:LONGEST].decode("utf-8", "backslashreplace")))
    return text + "..." if len(value) > LONGEST else text


def plain(value: object) -> JsonValue:
    """Any event as JSON: frozen dataclasses and models by their fields, the rest as text."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, bytes):
        return shown(value)
    if isinstance(value, str):
        return escaped(masked(value))
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in _fields(value)}
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = sorted(value, key=str) if isinstance(value, (set, frozenset)) else value
        return [plain(item) for item in items]
    return escaped(masked(str(value)))


def _fields(value: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(value)
