"""Configurations as they may be shown: secrets that are written out are not.

What is a secret is known from the models. Where no model is, such as in the table of a plugin that
is not listed, everything may be one; so may what stands under an unknown key beside known secrets.
In other tables names such as ``password`` decide.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin

from pydantic import BaseModel

from sipx.config.model import KernelConfig
from sipx.config.secrets import PLACES, Secret, holds_secret
from sipx.config.values import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sipx.config.document import Document
    from sipx.config.places import KeyPath
    from sipx.registry import Registry

_LISTS: Final = (list, tuple, set, frozenset)
CHANGED: Final = f"{HIDDEN} (another)"
"""What is shown in the place of a secret that a change replaces."""
_NAMED: Final = re.compile(r"pass(word|wd|phrase|code)?\b|secret|token|credential|\bpin\b", re.I)
_COMMENTED: Final = re.compile(
    r"^(?P<key>[ \t]*#[ \t]*[\w.\"'-]+[ \t]*=[ \t]*)(?P<value>[^\s{].*?)(?=\r?$)", re.M
)


def secrets_in(values: Mapping[str, Any], registry: Registry) -> frozenset[KeyPath]:
    """The places in a configuration, valid or not, where a secret is written out."""
    listed = values.get("plugins")
    names = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    classes, _ = registry.examine(names)
    found: list[KeyPath] = []
    for key, value in values.items():
        if key in classes:
            found += _in_model(classes[key].Config, value, (key,))
        elif key in KernelConfig.model_fields:
            found += _in_type(KernelConfig.model_fields[key].annotation, value, (key,))
        else:
            found += _written_out(value, (key,))
    return frozenset(found)


def hidden_values(values: Mapping[str, Any], secrets: Iterable[KeyPath]) -> dict[str, Any]:
    """A copy of the values without the secrets."""
    return {key: _hidden(value, (key,), frozenset(secrets)) for key, value in values.items()}


def hidden_text(
    document: Document, secrets: Iterable[KeyPath], changed: Iterable[KeyPath] = ()
) -> str:
    """The text of a document without the secrets; ``changed`` ones are marked as such.

    Keys with such names that are behind a ``#`` are hidden as well.
    """
    text = document.text
    others = frozenset(changed)
    spans = [(document.value_span(path), path) for path in secrets]
    for span, path in sorted((span, path) for span, path in spans if span is not None)[::-1]:
        shown = CHANGED if path in others else HIDDEN
        text = f'{text[: span[0]]}"{shown}"{text[span[1] :]}'
    return _COMMENTED.sub(_commented, text)


def restore_hidden(document: Document, known: Mapping[KeyPath, Any]) -> None:
    """Put secrets back where a text that was shown has stars in their place."""
    for path, secret in known.items():
        if path in document and document.get(path) == HIDDEN:
            document.set(path, secret)


def _commented(found: re.Match[str]) -> str:
    return f'{found["key"]}"{HIDDEN}"' if _NAMED.search(found["key"]) else found[0]


# ---------------------------------------------------------------- looking for them


def _in_model(model: type[BaseModel], value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Below a table of this model."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, inner in value.items() if isinstance(value, dict) else ():
        if key in fields:
            yield from _in_type(fields[key].annotation, inner, (*path, key))
        elif _knows_secrets(model):
            yield from _written_out(inner, (*path, key))
        else:
            yield from _by_name(inner, (*path, key))


@cache
def _knows_secrets(model: type[BaseModel]) -> bool:
    """Whether a table of this model, or one below it, can hold a secret."""
    waiting, seen = [model], {model}
    while waiting:
        for field in waiting.pop().model_fields.values():
            if holds_secret(field.annotation):
                return True
            more = set(_models(field.annotation)) - seen
            seen |= more
            waiting += more
    return False


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _in_type(annotation: Any, value: Any, path: KeyPath) -> Iterator[KeyPath]:
    if annotation is Secret:
        yield from _written_out(value, path)
        return
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _in_model(annotation, value, path)
        return
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is dict and isinstance(value, dict):
        for key, item in value.items():
            yield from _in_type(inner[1], item, (*path, key))
    elif origin in _LISTS and isinstance(value, list):
        for number, item in enumerate(value):
            yield from _in_any(inner, item, (*path, number))
    else:
        yield from _in_any(inner, value, path)


def _in_any(annotations: Iterable[Any], value: Any, path: KeyPath) -> Iterator[KeyPath]:
    for annotation in annotations:
        yield from _in_type(annotation, value, path)


def _written_out(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Everything in a secret's place but where it is kept, and true and false."""
    if isinstance(value, dict):
        kept = len(value) == 1 and isinstance(next(iter(value.values())), str)
        for key, inner in value.items():
            if not (kept and key in PLACES):
                yield from _written_out(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _written_out(inner, (*path, number))
    elif not isinstance(value, bool):
        yield path


def _by_name(value: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Below a key that no model knows."""
    if _NAMED.search(str(path[-1])) and not str(path[-1]).endswith("_file"):
        yield from _written_out(value, path)
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _by_name(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, (dict, list)):
                yield from _by_name(inner, (*path, number))


def _hidden(value: Any, path: KeyPath, secrets: frozenset[KeyPath]) -> Any:
    if path in secrets:
        return HIDDEN
    if isinstance(value, dict):
        return {key: _hidden(inner, (*path, key), secrets) for key, inner in value.items()}
    if isinstance(value, list):
        return [_hidden(inner, (*path, number), secrets) for number, inner in enumerate(value)]
    return value
