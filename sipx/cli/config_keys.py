"""Keys and values as they are typed: which place in the file is meant, and which value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sipx.cli.command_line import CommandLine
from sipx.cli.completion import items
from sipx.config.notation import dotted, parse_path, parse_value

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from sipx.config.document import Document, KeyPath
    from sipx.registry import Registry


def path_of(text: str, document: Document) -> KeyPath:
    """The place that a key names.

    The quotes of ``route."partner.example".port`` are easily eaten by a shell. So where the file
    has no table for a word, words are joined by dots as long as that makes one that it has.
    """
    try:
        path = parse_path(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="KEY") from None
    return path if path in document else _joined(path, document.values())


def _joined(path: KeyPath, values: Any) -> KeyPath:
    found: list[str | int] = []
    rest = list(path)
    while rest:
        for count in range(1, len(rest) + 1):
            if count > 1 and not all(isinstance(part, str) for part in rest[:count]):
                return path
            word = rest[0] if count == 1 else ".".join(map(str, rest[:count]))
            if isinstance(word, str) and isinstance(values, dict) and word in values:
                break
            if isinstance(word, int) and isinstance(values, list) and word < len(values):
                break
        else:
            # Nothing there fits: what is left is new.
            return (*found, *rest)
        found.append(word)
        values = values[word]
        rest = rest[count:]
    return tuple(found)


def unknown_key(path: KeyPath, document: Document, registry: Registry) -> str:
    """The words for a key that is neither in the file nor in a model."""
    from sipx.config.effective import known_keys
    from sipx.config.errors import did_you_mean

    for length in range(len(path)):
        above, word = path[:length], str(path[length])
        known = known_keys(above, document.values(), registry)
        if above in document and isinstance(document.get(above), dict):
            known = list(dict.fromkeys([*known, *document.get(above)]))
        if word in known:
            continue
        meant = did_you_mean(word, known)
        whole = f"there is no key '{dotted(path)}'"
        if meant:
            return f"{whole}; {meant}"
        where = f" in {dotted(above)}" if above else ""
        return f"{whole}; known{where}: {', '.join(known)}" if known else whole
    return f"there is no key '{dotted(path)}'"


def not_there(path: KeyPath, document: Document, registry: Registry) -> str:
    """The words for a key that is not in the file: one with a default, or one that there is not."""
    from sipx.config.effective import settings_of

    if all(each.path != path for each in settings_of(document, registry)):
        return unknown_key(path, document, registry)
    return f"{dotted(path)} is not in the file; what counts is its default"


def value_of(text: str, path: KeyPath, document: Document, registry: Registry) -> Any:
    """What is meant by a value: TOML where it is that, and text where the key wants text.

    So ``5061``, ``true`` and ``["a", "b"]`` are what they look like, ``tcp`` is "tcp", and 1.2 for
    a key that knows "1.2" is that text.
    """
    try:
        value = parse_value(text)
    except ValueError:
        return text
    if isinstance(value, str) or not _wants_text(path, document, registry, value, text):
        return value
    return text


def _wants_text(
    path: KeyPath, document: Document, registry: Registry, value: Any, text: str
) -> bool:
    """Whether the model refuses the value and takes the text."""
    from pydantic import TypeAdapter, ValidationError

    from sipx.config.effective import field_at

    field = field_at(path, document.values(), registry)
    if field is None or isinstance(value, (list, dict)):
        return False
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    base = {"base": document.path.absolute().parent, "offline": True}
    for candidate, wanted in ((value, False), (text, True)):
        try:
            adapter.validate_python(candidate, strict=True, context=base)
        except ValidationError:
            continue
        return wanted
    return False


def complete_key(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The keys of the file in use."""
    values = ctx.ensure_object(CommandLine).configured()
    found: list[str] = []
    _gather(values, (), found)
    return items(found, incomplete)


def _gather(values: dict[str, Any], above: KeyPath, found: list[str]) -> None:
    for key, value in values.items():
        path = (*above, key)
        if isinstance(value, dict):
            _gather(value, path, found)
        else:
            found.append(dotted(path))
