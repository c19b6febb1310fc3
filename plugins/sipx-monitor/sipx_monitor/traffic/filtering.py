"""The control method for those who type a filter: whether it is right, and what could come next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from sipx_monitor.traffic.filters.errors import FilterError
from sipx_monitor.traffic.filters.fields import FIELDS
from sipx_monitor.traffic.filters.suggesting import suggest
from sipx_monitor.traffic.models import FROZEN, LONGEST_FILTER, CaptureParams
from sipx_monitor.traffic.traffic import sees_bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx import Caller
    from sipx_monitor.traffic.store import Store
    from sipx_monitor.traffic.traffic import Traffic

_LOOKED_AT: Final = 300
"""The last messages, of which values are suggested."""
_MOST_VALUES: Final = 12


class FilterParams(CaptureParams):
    """What is typed."""

    filter: str = Field(max_length=LONGEST_FILTER)
    caret: int | None = Field(None, ge=0)
    """Where the next character would come; without it, at the end."""


class FilterField(BaseModel):
    """A field of the language."""

    model_config = FROZEN

    name: str
    help: str
    values: tuple[str, ...]
    """Those that are known beforehand."""
    example: str


class FilterSuggestion(BaseModel):
    """A text that could stand in the place of the characters from ``start`` to ``end``."""

    model_config = FROZEN

    text: str
    help: str
    start: int
    end: int


class FilterAnswer(BaseModel):
    """What is said of a filter."""

    model_config = FROZEN

    valid: bool
    error: str = ""
    position: int | None = None
    """The character, counted from 0, where the error is."""
    fields: tuple[FilterField, ...]
    suggestions: tuple[FilterSuggestion, ...]


class FilterMethods:
    """``monitor.filter``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """By name."""
        return {"monitor.filter": self.filter}

    async def filter(self, params: FilterParams, caller: Caller) -> FilterAnswer:
        """Whether a filter is right, what is wrong where, and what could come next."""
        store = await self._traffic.store(params.capture)
        error, position = "", None
        found: list[FilterSuggestion] = []
        try:
            self._traffic.filter(params.filter, bodies=sees_bodies(caller))
        except FilterError as wrong:
            error, position = wrong.text, wrong.position
            if wrong.meant:
                end = position + len(_name_at(params.filter, position))
                found.append(
                    FilterSuggestion(text=wrong.meant, help=wrong.text, start=position, end=end)
                )
        caret = len(params.filter) if params.caret is None else params.caret
        found += [
            FilterSuggestion(text=one.text, help=one.help, start=one.start, end=one.end)
            for one in suggest(params.filter, caret, _seen(store))
        ]
        return FilterAnswer(
            valid=not error,
            error=error,
            position=position,
            fields=tuple(
                FilterField(
                    name=field.name, help=field.help, values=field.values, example=field.example
                )
                for field in FIELDS
            ),
            suggestions=tuple(found),
        )


def _name_at(text: str, position: int) -> str:
    end = position
    while end < len(text) and (text[end].isalnum() or text[end] in "_-."):
        end += 1
    return text[position:end]


def _seen(store: Store) -> dict[str, list[str]]:
    """Values that the last messages have."""
    found: dict[str, dict[str, None]] = {}
    for message in store.between(store.last - _LOOKED_AT, store.last):
        for name, value in (
            ("method", message.method),
            ("iface", message.way.interface),
            ("proto", message.way.transport),
            ("partner", message.peer),
            *(("domain", domain) for domain in message.domains),
            ("src", message.source),
            ("dst", message.target),
            ("ip", message.way.remote),
        ):
            values = found.setdefault(name, {})
            if value and len(values) < _MOST_VALUES:
                values[value] = None
    return {name: list(values) for name, values in found.items()}
