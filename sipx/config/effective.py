"""Every setting as it counts, and where it comes from: a line of the file, or its default."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel

from sipx.config.hiding import hidden_values, secrets_in
from sipx.config.model import KernelConfig
from sipx.config.secrets import holds_secret
from sipx.config.values import duration_text, is_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

    from sipx.config.document import Document
    from sipx.config.places import KeyPath
    from sipx.registry import Registry

Models = tuple[type[BaseModel], ...]


class Setting(NamedTuple):
    """One key. ``line`` is where the file says it, None where it does not; ``value`` is None for
    a key that is not set and stands for nothing then. Secrets are hidden.
    """

    path: KeyPath
    value: Any
    line: int | None
    help: str


def settings_of(document: Document, registry: Registry) -> list[Setting]:
    """All settings of a file and of the plugins that it lists, valid or not."""
    values = document.values()
    shown = hidden_values(values, secrets_in(values, registry))
    found = list(_table(document, (KernelConfig,), shown, ()))
    for name, model in tables_of(values, registry).items():
        table = shown.pop(name, {})
        if isinstance(table, dict):
            found += _table(document, (model,), table, (name,))
        else:
            found.append(_written(document, (name,), table, ""))
    for key, value in shown.items():
        if key not in KernelConfig.model_fields:
            found += _unknown(document, (key,), value)
    return found


def tables_of(values: Mapping[str, Any], registry: Registry) -> dict[str, type[BaseModel]]:
    """The models of the listed plugins' tables, by name."""
    listed = values.get("plugins")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    classes, _ = registry.examine(list(dict.fromkeys(names)))
    return {name: cls.Config for name, cls in classes.items()}


def known_keys(path: KeyPath, values: Mapping[str, Any], registry: Registry) -> list[str]:
    """The keys that may stand in the table at a path; [] where names are free or no table is."""
    tables = tables_of(values, registry)
    if not path:
        return [*KernelConfig.model_fields, *tables]
    models: Models = (KernelConfig,)
    rest = path
    if path[0] in tables:
        models, rest = (tables[str(path[0])],), path[1:]
    while rest:
        field = _field(models, str(rest[0]))
        if field is None:
            return []
        models, named = _inner(field.annotation)
        rest = rest[1:]
        if named:
            if not rest:
                return []
            rest = rest[1:]
    return [field.alias or name for model in models for name, field in model.model_fields.items()]


def field_at(path: KeyPath, values: Mapping[str, Any], registry: Registry) -> FieldInfo | None:
    """The field of a model that a path leads to."""
    tables = tables_of(values, registry)
    models: Models = (KernelConfig,)
    rest = path
    if path and path[0] in tables:
        models, rest = (tables[str(path[0])],), path[1:]
    field = None
    while rest:
        field = _field(models, str(rest[0]))
        if field is None:
            return None
        models, named = _inner(field.annotation)
        rest = rest[2:] if named and len(rest) > 1 else rest[1:]
    return field


# ---------------------------------------------------------------- walking through tables


def _table(
    document: Document, models: Models, values: Mapping[str, Any], path: KeyPath
) -> Iterator[Setting]:
    """First the keys of a table, then the tables below it."""
    below: list[Setting] = []
    known = set()
    for model in models:
        for name, field in model.model_fields.items():
            key = field.alias or name
            known.add(key)
            here, there = (*path, key), key in values
            inner, named = _inner(field.annotation)
            if inner and named and isinstance(values.get(key, {}), dict):
                for each, table in values.get(key, {}).items():
                    if isinstance(table, dict):
                        below += _table(document, inner, table, (*here, each))
                    else:
                        below += _unknown(document, (*here, each), table)
            elif inner and isinstance(values.get(key, {}), dict):
                below += _table(document, inner, values.get(key, {}), here)
            elif there:
                yield _written(document, here, values[key], _help(field))
            else:
                yield Setting(here, _default(field), None, _help(field))
    for key, value in values.items():
        if key not in known and path:
            below += _unknown(document, (*path, key), value)
    yield from below


def _unknown(document: Document, path: KeyPath, value: Any) -> Iterator[Setting]:
    """What no model knows, as it is written."""
    if isinstance(value, dict) and document.value_span(path) is None:
        for key, inner in value.items():
            yield from _unknown(document, (*path, key), inner)
    else:
        yield _written(document, path, value, "")


def _written(document: Document, path: KeyPath, value: Any, help_: str) -> Setting:
    place = document.position(path)
    return Setting(path, value, None if place is None else place[0], help_)


def _field(models: Models, key: str) -> FieldInfo | None:
    for model in models:
        for name, field in model.model_fields.items():
            if (field.alias or name) == key:
                return field
    return None


def _inner(annotation: Any) -> tuple[Models, bool]:
    """The models of the tables in a field, and whether they are in a table by name."""
    if holds_secret(annotation):
        return (), False
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,), False
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (list, tuple, set, frozenset):
        return (), False
    found = [_inner(each) for each in (inner[1:] if origin is dict else inner)]
    models = tuple(model for each, _ in found for model in each)
    return models, bool(models) and (origin is dict or any(named for _, named in found))


def _help(field: FieldInfo) -> str:
    return " ".join((field.description or "").split())


def _default(field: FieldInfo) -> Any:
    """A default as a file would say it; None for none."""
    if field.is_required():
        return None
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return None
    return duration_text(value) if is_duration(field) else _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return str(value)
