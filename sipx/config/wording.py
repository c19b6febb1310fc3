"""What pydantic found wrong, said in our words: what is wrong, what is allowed, what was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, get_args

from pydantic import BaseModel

from sipx.config.errors import did_you_mean
from sipx.config.secrets import holds_secret
from sipx.config.values import HIDDEN, REFUSED, kind, show

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

    from sipx.config.document import KeyPath


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that a model refuses. ``path`` is inside its table; ``at_key`` tells whether the
    key is to be pointed at (else the value)."""

    path: KeyPath
    wrong: str
    allowed: str = ""
    hint: str = ""
    at_key: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    complaint: Complaint
    branch: bool  # one of several alternatives refused it


def complaints(
    model: type[BaseModel], errors: list[ErrorDetails], values: Mapping[str, Any]
) -> list[Complaint]:
    """The complaints of ``model`` about ``values``, one for each place."""
    found = [_worded(model, error, values) for error in errors]
    return _one_each(found)


def _one_each(found: list[_Found]) -> list[Complaint]:
    """The alternatives of a union refuse separately: keep the deepest, join what they allow."""
    kept: dict[tuple[KeyPath, bool], Complaint] = {}
    for item in found:
        path, key = item.complaint.path, (item.complaint.path, item.complaint.at_key)
        deeper = any(
            other.branch and len(other.complaint.path) > len(path)
            for other in found
            if other.complaint.path[: len(path)] == path
        )
        if item.branch and deeper:
            continue
        before = kept.get(key)
        if before is None:
            kept[key] = item.complaint
        elif item.branch:
            kept[key] = _joined(before, item.complaint)
    return list(kept.values())


def _joined(one: Complaint, other: Complaint) -> Complaint:
    allowed = [one.allowed]
    more = other.allowed.removeprefix("allowed: ")
    if more and more not in one.allowed:
        allowed.append(more)
    text = " or ".join(part for part in allowed if part)
    hint = one.hint or other.hint
    return Complaint(one.path, one.wrong, text, hint, one.at_key)


def _worded(model: type[BaseModel], error: ErrorDetails, values: Mapping[str, Any]) -> _Found:
    kind_ = error["type"]
    path, branch = _document_path(error["loc"], values, kind_)
    context = error.get("ctx", {})
    if kind_ == "extra_forbidden":
        return _Found(_unknown_key(model, error["loc"], path), branch)
    if kind_ == "missing":
        field = _field(model, error["loc"])
        help_ = (field.description or "").partition("\n")[0] if field else ""
        return _Found(Complaint(path, "is missing", "", help_, at_key=True), branch)
    hidden = _of_a_secret(model, error["loc"])
    wrong, allowed, hint = _value(error, context, _field(model, error["loc"]), hidden=hidden)
    at_key = error["loc"][-1:] == ("[key]",) or not path
    return _Found(Complaint(path, wrong, allowed, hint, at_key), branch)


def _of_a_secret(model: type[BaseModel], loc: tuple[int | str, ...]) -> bool:
    """Whether a value stands where a secret may: it must not be told."""
    fields = [_field(model, loc[:length]) for length in range(len(loc), 0, -1)]
    nearest = next((field for field in fields if field is not None), None)
    return nearest is not None and holds_secret(nearest.annotation)


def _document_path(
    loc: tuple[int | str, ...], values: Mapping[str, Any], error_type: str
) -> tuple[KeyPath, bool]:
    """pydantic's location without the names of alternatives, and whether there were any."""
    path: list[int | str] = []
    here: Any = values
    branch = False
    last = len(loc) - 1
    for number, part in enumerate(loc):
        inside = (isinstance(here, Mapping) and part in here) or (
            isinstance(here, list) and isinstance(part, int) and part < len(here)
        )
        if inside:
            path.append(part)
            here = here[part]
        elif number == last and error_type == "missing":
            path.append(part)
        elif part != "[key]":
            branch = True
    return tuple(path), branch


def is_written(model: type[BaseModel], error: ErrorDetails, values: Mapping[str, Any]) -> bool:
    """Whether an error is about something in the document and not about a default."""
    here: Any = values
    for number, part in enumerate(error["loc"]):
        if isinstance(here, Mapping) and part in here:
            here = here[part]
        elif isinstance(here, Mapping) and _field(model, error["loc"][: number + 1]) is not None:
            return error["type"] == "missing"
    return True


# ---------------------------------------------------------------- the words of one error

_TYPES: Final = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a table",
    "model": "a table",
    "model_attributes": "a table",
    "dataclass": "a table",
    "mapping": "a table",
    "path": "a path as text",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "less than {}", "at least {}"),
    "greater_than": ("gt", "not more than {}", "more than {}"),
    "less_than_equal": ("le", "more than {}", "at most {}"),
    "less_than": ("lt", "not less than {}", "less than {}"),
}
_TYPE_ERROR: Final = re.compile(r"(\w+?)_(?:type|parsing|from_float|parsing_size)\Z")


def _value(
    error: ErrorDetails, context: Mapping[str, Any], field: FieldInfo | None, *, hidden: bool
) -> tuple[str, str, str]:
    """(wrong, allowed, hint) for a value that is refused."""
    kind_, value = error["type"], error["input"]
    shown = HIDDEN if hidden else show(value)
    if kind_ == REFUSED:
        return context["wrong"], context["allowed"], context["hint"]
    if kind_ in ("value_error", "assertion_error"):
        return str(context["error"]), "", ""
    if kind_ in ("literal_error", "enum"):
        expected = str(context["expected"])
        choices = re.findall(r"'([^']*)'", expected)
        if any(choice[:1].isdigit() for choice in choices):
            # Of numbers none is "meant"; in quotes, as 1.2 is no text.
            allowed = " or ".join(f'"{choice}"' for choice in choices)
            return f"{shown} is not known here", f"allowed: {allowed}", ""
        hint = did_you_mean(value, choices) if isinstance(value, str) and not hidden else ""
        allowed = ", ".join(choices) if choices else expected
        return f"{shown} is not known here", f"allowed: {allowed}", hint
    if kind_ in _BOUNDS:
        name, too_far, otherwise = _BOUNDS[kind_]
        bound = _number(context[name])
        allowed = _range(field) or otherwise.format(bound)
        said = HIDDEN if hidden else _number(value)
        return f"{said} is {too_far.format(bound)}", f"allowed: {allowed}", ""
    typed = _TYPE_ERROR.match(kind_)
    if typed is not None and typed[1] in _TYPES:
        wanted = _TYPES[typed[1]]
        said = f"{shown} is {kind(value)}"
        if isinstance(value, (list, tuple, Mapping)):
            said = f"this is {kind(value)}"
        elif isinstance(value, bool):
            said = f"{shown} is not {wanted}"
        return said, f"allowed: {wanted}", ""
    return _other(error["msg"], shown)


def _other(message: str, shown: str) -> tuple[str, str, str]:
    """Errors without words of ours: pydantic's own sentence, without its frame."""
    for start in ("Input should be ", "Value should be ", "String should ", "List should "):
        if message.startswith(start):
            must = message.removeprefix(start)
            must = must if start.endswith("be ") else f"to {must}"
            return f"{shown} is not right", f"allowed: {must}", ""
    return message[:1].lower() + message[1:], "", ""


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(field: FieldInfo | None) -> str:
    """``1 to 10`` when a field states both ends itself."""
    low = high = None
    for item in field.metadata if field is not None else ():
        low = getattr(item, "ge", low)
        high = getattr(item, "le", high)
    return f"{_number(low)} to {_number(high)}" if low is not None and high is not None else ""


# ---------------------------------------------------------------- walking through a model


def _unknown_key(model: type[BaseModel], loc: tuple[int | str, ...], path: KeyPath) -> Complaint:
    key = str(loc[-1])
    known = sorted(
        {
            field.alias or name
            for table in _models_at(model, loc[:-1])
            for name, field in table.model_fields.items()
        }
    )
    return Complaint(
        (*path[:-1], key) if path[-1:] == (key,) else (*path, key),
        f"unknown key '{key}'",
        f"known: {', '.join(known)}",
        did_you_mean(key, known),
        at_key=True,
    )


def _field(model: type[BaseModel], loc: tuple[int | str, ...]) -> FieldInfo | None:
    """The field that a location ends in; None when it ends inside a list or an alternative."""
    if not loc:
        return None
    for table in _models_at(model, loc[:-1]):
        for name, field in table.model_fields.items():
            if (field.alias or name) == loc[-1]:
                return field
    return None


def _models_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> list[type[BaseModel]]:
    """The models that a location leads to; several when alternatives allow them."""
    tables = [model]
    for part in loc:
        fields = [
            field
            for table in tables
            for name, field in table.model_fields.items()
            if (field.alias or name) == part
        ]
        if fields:
            tables = [found for field in fields for found in _models_in(field.annotation)]
    return tables


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Every model that stands in a type: through unions, lists, dicts and Annotated."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)
