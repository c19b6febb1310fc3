"""JSON of a result, made in pieces: a long list must not hold up SIP while it is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from sipx_monitor.slices import Slices

if TYPE_CHECKING:
    from collections.abc import Sequence

SLICE: Final = 10
"""Members that a list has at most to be written down at once."""


async def encoded(result: BaseModel) -> bytes:
    """A result as JSON."""
    name, members = _longest(result)
    if len(members) <= SLICE:
        return result.model_dump_json().encode()
    rest = result.model_dump_json(exclude={name}).encode()
    listed = b",".join(await encoded_each(members))
    comma = b"," if rest != b"{}" else b""
    return b'%s%s"%s":[%s]}' % (rest[:-1], comma, name.encode(), listed)


async def encoded_each(members: Sequence[BaseModel]) -> list[bytes]:
    """Each of several as JSON."""
    found: list[bytes] = []
    async with Slices() as slices:
        for member in members:
            found.append(member.model_dump_json().encode())
            await slices.next()
    return found


def _longest(result: BaseModel) -> tuple[str, Sequence[Any]]:
    """The longest list of models in a result, with its name."""
    found: tuple[str, Sequence[Any]] = "", ()
    for name in type(result).model_fields:
        value = getattr(result, name)
        if (
            isinstance(value, list | tuple)
            and len(value) > len(found[1])
            and isinstance(value[0], BaseModel)
        ):
            found = name, value
    return found
