"""Secret values: written out, or kept in a file, in the environment or by systemd; never shown."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic_core import CoreSchema, core_schema

from sipx.config.errors import did_you_mean
from sipx.config.hints import KEYWORD
from sipx.config.values import HIDDEN, base_of, elsewhere, offline, refuse

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
    from pydantic.json_schema import JsonSchemaValue

ALLOWED: Final = '"...", { file = "..." }, { env = "..." } or { credential = "..." }'
PLACES: Final = ("file", "env", "credential")
"""The keys of a table that says where a secret is kept."""
CREDENTIALS: Final = "CREDENTIALS_DIRECTORY"
"""The variable in which systemd names the directory of a service's credentials."""
_INLINE: Final = "the configuration file"


class Secret:
    """A password or key. ``reveal()`` gives it; printing, dumping and comparing never do.

    In TOML: ``"text"``, ``{ file = "relative/to/the/configuration" }`` (one line end at its end is
    not part of the secret), ``{ env = "NAME" }`` or ``{ credential = "NAME" }`` (LoadCredential= of
    systemd). ``source`` says which, for people.
    """

    __slots__ = ("_value", "path", "source")

    def __init__(self, value: str, source: str = _INLINE, path: Path | None = None) -> None:
        self._value = value
        self.source = source
        self.path = path
        """The file it was read from, if it was."""

    @property
    def inline(self) -> bool:
        """Whether it is written out in the configuration file."""
        return self.source == _INLINE

    def reveal(self) -> str:
        """The secret itself."""
        return self._value

    def current(self) -> str:
        """The secret as its file holds it now, for files that are renewed. Raises OSError."""
        if self.path is None:
            return self._value
        return _text_of(self.path).removesuffix("\n").removesuffix("\r")

    def __repr__(self) -> str:
        return f"Secret('{HIDDEN}')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    @classmethod
    def __get_pydantic_core_schema__(
        cls, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            _secret,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda _: HIDDEN),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        one = {"additionalProperties": False, "type": "object"}
        text = {"type": "string"}
        return {
            KEYWORD: {"widget": "secret"},
            "anyOf": [
                {"type": "string", "minLength": 1},
                {**one, "properties": {"file": text}, "required": ["file"]},
                {**one, "properties": {"env": text}, "required": ["env"]},
                {**one, "properties": {"credential": text}, "required": ["credential"]},
            ],
        }


def holds_secret(annotation: Any) -> bool:
    """Whether a secret may stand in a value of this type: itself, or in its lists and tables."""
    if annotation is Secret:
        return True
    return any(holds_secret(inner) for inner in get_args(annotation))


def _secret(value: object, info: ValidationInfo) -> Secret:
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret(_filled(value, "the secret is empty"))
    if not isinstance(value, dict):
        raise refuse("not a secret", ALLOWED)
    for key in value:
        if key not in PLACES:
            raise refuse(f"unknown key '{key}'", ALLOWED, did_you_mean(key, PLACES))
    if len(value) != 1:
        raise refuse(f"a secret comes from one place, this one from {len(value)}", ALLOWED)
    ((kind, name),) = value.items()
    if not isinstance(name, str) or not name:
        raise refuse(f"'{kind}' must be text that is not empty", ALLOWED)
    if offline(info):
        return Secret("", f"{kind} {name}")
    if kind == "file":
        return _from_file(base_of(info) / name, f"file {name}", info)
    if kind == "env":
        return _from_environment(name, info)
    return _from_credential(name, info)


def _text_of(path: Path) -> str:
    """Text as editors write it: those of Windows put a byte order mark before it."""
    return path.read_text(encoding="utf-8-sig")


def _from_file(path: Path, source: str, info: ValidationInfo) -> Secret:
    try:
        text = _text_of(path)
    except OSError as error:
        if isinstance(error, PermissionError) and elsewhere(info):
            return Secret("", source, path)
        raise refuse(f"the file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise refuse(f"the file {path} is not UTF-8 text") from error
    value = text.removesuffix("\n").removesuffix("\r")
    return Secret(_filled(value, f"the file {path} is empty"), source, path)


def _from_environment(name: str, info: ValidationInfo) -> Secret:
    value = os.environ.get(name)
    if value is None:
        if elsewhere(info):
            return Secret("", f"env {name}")
        raise refuse(f"the environment variable {name} is not set")
    return Secret(_filled(value, f"the environment variable {name} is empty"), f"env {name}")


def _from_credential(name: str, info: ValidationInfo) -> Secret:
    """What systemd hands to a service: a file of this name in a directory of the service's own."""
    if "/" in name or name in (".", ".."):
        raise refuse(f"'{name}' is no name of a credential", "a name without '/'")
    directory = os.environ.get(CREDENTIALS)
    path = Path(directory or "") / name
    if elsewhere(info) and (not directory or not path.exists()):
        return Secret("", f"credential {name}")
    remedy = f"LoadCredential={name}:/path/of/the/file in the unit"
    if not directory:
        raise refuse(
            f"there is no credential {name}: systemd hands it to a service, ${CREDENTIALS} is not "
            "set here",
            "",
            remedy,
        )
    if not path.exists():
        raise refuse(f"there is no credential {name} in {directory}", "", remedy)
    return _from_file(path, f"credential {name}", info)


def _filled(value: str, otherwise: str) -> str:
    if not value:
        raise refuse(otherwise)
    return value
