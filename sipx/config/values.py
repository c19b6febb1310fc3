"""Types of configuration values that pydantic does not bring; plugins use them too."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

from sipx.config.hints import Widget

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

REFUSED: Final = "sipx"
"""The type of the pydantic errors that ``refuse`` makes."""


HIDDEN: Final = "**********"
"""What is shown in the place of a secret."""


def refuse(wrong: str, allowed: str = "", hint: str = "") -> PydanticCustomError:
    """The exception for a validator that knows what would have been right."""
    context = {"wrong": wrong, "allowed": f"allowed: {allowed}" if allowed else "", "hint": hint}
    return PydanticCustomError(REFUSED, "{wrong}", context)


def show(value: object) -> str:
    """A value as a problem quotes it: short, in the spelling of TOML where that is short."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 else f"'{value[:57]}...'"
    return str(value)


def base_of(info: ValidationInfo) -> Path:
    """The directory that relative paths start from: that of the configuration file."""
    return Path((info.context or {}).get("base", "."))


def offline(info: ValidationInfo) -> bool:
    """Whether the file is only read, not used: nothing outside it is looked at."""
    return bool((info.context or {}).get("offline", False))


def elsewhere(info: ValidationInfo) -> bool:
    """Whether the file is checked for a service that has another environment and other rights.

    Variables, credentials and files that cannot be seen from here are then no mistake.
    """
    return bool((info.context or {}).get("elsewhere", False))


# ---------------------------------------------------------------- durations and sizes

_DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_DURATION: Final = re.compile(rf"(?:{_DURATION_PART.pattern})+\Z")
_DURATION_ALLOWED: Final = 'seconds as a number, or text such as "500ms", "30s", "15m", "1h", "21d"'

_SIZE_UNITS: Final = {
    "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30,
}  # fmt: skip
_SIZE: Final = re.compile(r"(\d{1,12})\s?(B|kB|KB|MB|GB|KiB|MiB|GiB)\Z")
_SIZE_ALLOWED: Final = 'bytes as a whole number, or text such as "64KiB", "20MB", "1GiB"'


def _duration(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value <= 10**9:
            raise refuse(f"{value} is not a duration", _DURATION_ALLOWED)
        return float(value)
    if not isinstance(value, str) or not _DURATION.match(value):
        raise refuse(f"{show(value)} is not a duration", _DURATION_ALLOWED)
    parts = _DURATION_PART.findall(value)
    return float(sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts))


def _size(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _SIZE.match(value) if isinstance(value, str) else None
    if found is None:
        raise refuse(f"{show(value)} is not a size", _SIZE_ALLOWED)
    return int(found[1]) * _SIZE_UNITS[found[2]]


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$"},
            ]
        }
    ),
    Widget("duration"),
]
"""Seconds: a number, or text such as "500ms", "30s", "1h30m"."""

Size = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0},
                {"type": "string", "pattern": r"^\d+ ?(B|kB|KB|MB|GB|KiB|MiB|GiB)$"},
            ]
        }
    ),
    Widget("size"),
]
"""Bytes: a whole number, or text such as "64KiB", "20MB"."""


def is_duration(field: FieldInfo) -> bool:
    """Whether the field of a model is a ``Duration``."""
    return any(getattr(item, "func", None) is _duration for item in field.metadata)


def duration_text(seconds: float) -> str:
    """A duration as people write it: "21d", "1h", "90s", "500ms"."""
    for unit in ("d", "h", "m", "s", "ms"):
        count = round(seconds / _DURATION_UNITS[unit], 6)
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    return f"{seconds:g}s"


# ---------------------------------------------------------------- ports and addresses


def _port(value: object, lowest: int) -> int:
    allowed = f"{lowest} to 65535"
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(f"{show(value)} is {kind(value)}", f"a whole number, {allowed}")
    if value > 65535:
        raise refuse(f"{value} is more than 65535", allowed)
    if value < lowest:
        raise refuse(f"{value} is less than {lowest}", allowed)
    return value


def kind(value: object) -> str:
    """What sort of value this is, in words."""
    for types, words in _KINDS:
        if isinstance(value, types):
            return words
    return "a date or time"


_KINDS: Final[tuple[tuple[type | tuple[type, ...], str], ...]] = (
    (bool, "not a number or text but true or false"),
    (int, "a whole number"),
    (float, "a number with a fraction"),
    (str, "text"),
    ((list, tuple), "a list"),
    (Mapping, "a table"),
)


def _listening_port(value: object) -> int:
    return _port(value, 0)


def _peer_port(value: object) -> int:
    return _port(value, 1)


Port = Annotated[
    int,
    BeforeValidator(_listening_port),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 65535}),
]
"""A port to listen on: 0 takes a free one."""

PeerPort = Annotated[
    int,
    BeforeValidator(_peer_port),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": 65535}),
]
"""A port of somebody else: 1 to 65535."""

_ADDRESS_ALLOWED: Final = "an IPv4 or IPv6 address, without a port"


def _address(value: object) -> str:
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass
    raise refuse(f"{show(value)} is not an IP address", _ADDRESS_ALLOWED)


IPAddress = Annotated[str, BeforeValidator(_address), Widget("address")]
"""An IPv4 or IPv6 address in its canonical spelling, IPv6 without brackets."""


def _bind(value: object) -> str:
    if value == "*":
        return "*"
    if isinstance(value, str):
        try:
            return str(ipaddress.ip_address(value))
        except ValueError:
            pass
    raise refuse(
        f"{show(value)} is not an IP address", 'an address of this machine, or "*" for all'
    )


Bind = Annotated[str, BeforeValidator(_bind), Widget("address")]
"""An address to listen on, canonical; ``*`` for all."""


class Endpoint(NamedTuple):
    """An address with a port."""

    host: str
    port: int


def _name_server(value: object) -> Endpoint:
    if isinstance(value, Endpoint):
        return value
    allowed = 'an IP address, with a port if it is not 53: "192.0.2.53", "[2001:db8::53]:5353"'
    if isinstance(value, str):
        found = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([0-9.]+):(\d{1,5})", value)
        host, port = (found[1] or found[3], found[2] or found[4]) if found else (value, None)
        try:
            number = int(port or 53)
            if 1 <= number <= 65535:
                return Endpoint(str(ipaddress.ip_address(host)), number)
        except ValueError:
            pass
    raise refuse(f"{show(value)} is not a name server", allowed)


NameServer = Annotated[Endpoint, PlainValidator(_name_server), WithJsonSchema({"type": "string"})]
"""A DNS server: an address, and a port other than 53 if need be."""


# ---------------------------------------------------------------- paths


def _local_path(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value if value.is_absolute() else base_of(info) / value
    if not isinstance(value, str) or not value or "\0" in value:
        raise refuse(f"{show(value)} is not a path", "a path, relative to the configuration file")
    return base_of(info) / Path(value).expanduser()


def _paths(value: object) -> tuple[object, ...]:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple):
        raise refuse(f"{show(value)} is {kind(value)}", "a path, or a list of paths")
    return tuple(value)


def _file_path(value: object, info: ValidationInfo) -> Path:
    path = _local_path(value, info)
    if not offline(info) and not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise refuse(f"{path} {what}", "a file that is there; paths start at the configuration")
    return path


def _directory(value: object, info: ValidationInfo) -> Path:
    path = _local_path(value, info)
    if not offline(info) and not path.is_dir():
        what = "is not a directory" if path.exists() else "does not exist"
        raise refuse(f"{path} {what}", "a directory that is there")
    return path


_TEXT: Final[dict[str, Any]] = {"type": "string", "minLength": 1}

LocalPath = Annotated[Path, PlainValidator(_local_path), WithJsonSchema(_TEXT), Widget("file")]
"""A path, relative to the configuration file; need not exist."""

LocalPaths = Annotated[
    tuple[LocalPath, ...],
    BeforeValidator(_paths),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}),
]
"""One path or a list of them, as ``LocalPath``."""

FilePath = Annotated[Path, PlainValidator(_file_path), WithJsonSchema(_TEXT), Widget("file")]
"""A file that exists, relative to the configuration file."""

DirectoryPath = Annotated[Path, PlainValidator(_directory), WithJsonSchema(_TEXT), Widget("file")]
"""A directory that exists, relative to the configuration file."""
