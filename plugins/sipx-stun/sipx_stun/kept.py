"""The file of what was found: the address that was in use survives a restart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from sipx import parse_address, replace_file
from sipx_stun.state import AddressFound, SourceShown
from sipx_stun.transaction import refusal_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE: Final = "found.json"
VERSION: Final = 1
LARGEST: Final = 100_000
"""Bytes; a file that is larger was not written here."""


class Kept(BaseModel):
    """What the file says. ``servers`` are those that were asked."""

    model_config = ConfigDict(frozen=True)

    version: int = VERSION
    servers: tuple[str, ...] = ()
    sources: tuple[SourceShown, ...] = ()
    history: tuple[AddressFound, ...] = ()


def read(directory: Path) -> Kept:
    """What was kept; nothing where there is no file yet. Raises OSError, and ValueError for a file
    that is damaged or of another version.
    """
    path = directory / FILE
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        return Kept()
    try:
        if len(data) > LARGEST:
            raise ValueError("it is too long")
        kept = Kept.model_validate_json(data)
    except ValidationError as error:
        raise ValueError(f"{path} is damaged: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    if kept.version != VERSION:
        raise ValueError(f"{path} is of version {kept.version}, this sipx writes {VERSION}")
    written = (parse_address(one.public) for one in kept.history)
    if not all(map(_usable, kept.sources)) or None in written:
        raise ValueError(f"{path} is damaged: what it keeps is no address")
    return kept


def _usable(source: SourceShown) -> bool:
    """Whether its public address, if there is one, can be advertised."""
    parsed = parse_address(source.public)
    if parsed is None:
        return not source.public
    return not refusal_of((source.public, 1), (source.public, 1))


def write(
    directory: Path,
    servers: Iterable[str],
    sources: Iterable[SourceShown],
    history: Iterable[AddressFound] = (),
) -> None:
    """Put it in the place of what was there, whole or not at all. Raises OSError."""
    kept = Kept(servers=tuple(servers), sources=tuple(sources), history=tuple(history))
    replace_file(directory / FILE, (kept.model_dump_json(indent=2) + "\n").encode())
