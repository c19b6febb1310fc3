"""Types of configuration values that only this plugin has."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
)

from sipx import (
    canonical_domain,
    listed,
    one_or_more,
    parse_address,
    pattern_refusal,
    refuse,
)

_TEXT: Final = {"type": "string", "minLength": 1}
_USERS: Final = (
    'a user or pattern ("alice", "*.berlin", "bob@a.example"), a list of them, '
    'or { file = "..." } with one on each line'
)
_NETWORK: Final = 'an address or a network such as "10.0.0.11" or "10.0.0.0/24"'


# ---------------------------------------------------------------- users


@dataclass(frozen=True, slots=True)
class Users:
    """Whose users an account has: patterns, and the file that they are read from, if any."""

    patterns: tuple[str, ...]
    path: Path | None = None

    def shown(self) -> str | list[str] | dict[str, str]:
        """As TOML would write it."""
        if self.path is not None:
            return {"file": str(self.path)}
        return self.patterns[0] if len(self.patterns) == 1 else list(self.patterns)


def read_users(path: Path) -> tuple[str, ...]:
    """The patterns of a file, one on each line, ``#`` begins a comment.

    Raises OSError, and ValueError with the line in words: then nothing of it is to be used.
    """
    found: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1):
        pattern = line.partition("#")[0].strip()
        if not pattern:
            continue
        if wrong := pattern_refusal(pattern):
            raise ValueError(f"line {number} of {path}: {wrong}")
        found.append(pattern)
    if not found:
        raise ValueError(f"{path} names nobody")
    return tuple(dict.fromkeys(found))


def _users(value: object, info: ValidationInfo) -> Users:
    if isinstance(value, Users):
        return value
    if isinstance(value, dict):
        return _from_file(value, info)
    patterns = listed(value, "no users are named", _USERS)
    if not patterns:
        raise refuse("an empty list names nobody", _USERS, "leave it out for all users")
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise refuse(f"{pattern!r} is no user", _USERS)
        if wrong := pattern_refusal(pattern.strip()):
            raise refuse(wrong, _USERS)
    return Users(tuple(str(pattern).strip() for pattern in patterns))


def _from_file(value: dict[str, object], info: ValidationInfo) -> Users:
    name = value.get("file")
    if set(value) != {"file"} or not isinstance(name, str) or not name:
        raise refuse("users in a table come from a file", _USERS)
    context = info.context or {}
    path = Path(context.get("base", ".")) / Path(name).expanduser()
    if context.get("offline"):
        return Users((), path)
    try:
        return Users(read_users(path), path)
    except OSError as error:
        # The service that will use the file may be allowed to read what this process is not.
        if isinstance(error, PermissionError) and context.get("elsewhere"):
            return Users((), path)
        raise refuse(f"the file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise refuse(f"the file {path} is not UTF-8 text") from error
    except ValueError as error:
        raise refuse(str(error), _USERS) from error


UsersOf = Annotated[
    Users,
    PlainValidator(_users),
    PlainSerializer(Users.shown),
    WithJsonSchema(
        {
            "anyOf": [
                _TEXT,
                {"type": "array", "items": _TEXT, "minItems": 1},
                {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {"file": _TEXT},
                    "required": ["file"],
                },
            ]
        }
    ),
]
"""``"*.berlin"``, ``["alice", "bob"]`` or ``{ file = "users.txt" }``."""


# ---------------------------------------------------------------- addresses, servers, certificates


def _networks(value: object) -> tuple[object, ...]:
    return listed(value, f"{value!r} names no network", f"{_NETWORK}, or a list of them")


def _network(value: object) -> str:
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError as error:
        hint = ""
        if "has host bits set" in str(error):
            network = ip_network(str(value), strict=False)
            hint = f'write "{network}" for the network, or the address without its length'
        raise refuse(f"{value!r} is no network", _NETWORK, hint) from None


Networks = Annotated[
    tuple[Annotated[str, BeforeValidator(_network)], ...],
    BeforeValidator(_networks),
    one_or_more(_TEXT),
]
"""Addresses and networks, one or a list."""


def _bind(value: object) -> str:
    if value == "*":
        return "*"
    address = parse_address(value) if isinstance(value, str) else None
    if address is None:
        raise refuse(
            f"{value!r} is not an IP address", 'an address of this machine, or "*" for all'
        )
    return str(address)


BindAddress = Annotated[str, BeforeValidator(_bind)]
"""An address to listen on; ``*`` for all."""


def _host(value: object) -> str:
    if isinstance(value, str):
        address = parse_address(value)
        if address is not None:
            return str(address)
        try:
            name = canonical_domain(value).decode()
        except ValueError:
            name = ""
        if name and not name.rpartition(".")[2].isdigit():
            return name
    raise refuse(f"{value!r} is no server", "an IP address or a host name, without scheme or port")


Host = Annotated[str, BeforeValidator(_host)]
"""An IP address or a host name."""


# ---------------------------------------------------------------- names


def _account_name(value: str) -> str:
    # With a dot it could be the domain of a static route, and a dialog of the one the other's.
    if not value or not all(c.isascii() and (c.isalnum() or c in "-_") for c in value):
        raise refuse(
            f"'{value}' cannot be the name of an account",
            "letters, digits, '-' and '_'",
            "a user name with other characters goes into user",
        )
    return value


def _user_name(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not text or any(c.isspace() or not c.isprintable() or c in '"\\*' for c in text):
        raise refuse(
            f"{value!r} is no user name", "text without spaces, quotes, backslashes and stars"
        )
    if len(text) > 128:
        raise refuse("the user name is longer than 128 characters")
    return text


def _realm(value: object) -> str:
    text = value if isinstance(value, str) else ""
    if not text or not text.isascii() or not text.isprintable() or '"' in text or "\\" in text:
        raise refuse(f"{value!r} is no realm", 'printable ASCII, such as "example.com"')
    return text


AccountName = Annotated[str, AfterValidator(_account_name)]
"""What an account is called in the configuration."""
UserName = Annotated[str, BeforeValidator(_user_name)]
"""What somebody logs on with."""
Realm = Annotated[str, BeforeValidator(_realm)]
"""What a client shows when it asks for the password."""
