"""What is different between two texts of a configuration, without showing a secret."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from sipx.config.hiding import hidden_text, secrets_in
from sipx.config.notation import dotted

if TYPE_CHECKING:
    from sipx.config.document import Document
    from sipx.config.places import KeyPath
    from sipx.registry import Registry


def difference(
    old: Document, new: Document, registry: Registry, names: tuple[str, str]
) -> list[str]:
    """A unified diff, [] when the texts are the same; ``names`` are what they are called.

    A secret that is another is shown as such in the new text.
    """
    before, after = secrets_in(old.values(), registry), secrets_in(new.values(), registry)
    other = [path for path in after if path in old and old.get(path) != new.get(path)]
    return text_difference(hidden_text(old, before), hidden_text(new, after, other), names)


def text_difference(old: str, new: str, names: tuple[str, str]) -> list[str]:
    """A unified diff of two texts that may be shown."""
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), *names, n=2, lineterm="", fromfiledate="", tofiledate=""
    )
    return list(lines)


def changed_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """The keys whose values are not the same, as TOML writes them; of tables the keys in them."""
    return [dotted(path) for path in _changed(old, new, ())]


def _changed(old: Any, new: Any, path: KeyPath) -> list[KeyPath]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys((*old, *new))
        return [
            found for key in keys for found in _changed(old.get(key), new.get(key), (*path, key))
        ]
    return [path] if old != new or type(old) is not type(new) else []
