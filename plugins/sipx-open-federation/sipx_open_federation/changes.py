"""Changes of ``[open-federation]`` in the configuration file, as the commands make them.

Each function edits a document and says what it did.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from sipx import DomainSet, canonical_domain
from sipx_open_federation.config import NAME

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import CommandLine, Document

ALLOW: Final = (NAME, "allow")
DENY: Final = (NAME, "deny")
_EVERY: Final = ("*",)
"""What ``allow`` is where the file does not say."""


# ---------------------------------------------------------------- the switch


def switch_on(document: Document) -> str:
    """ "Use open federation"."""
    path = (NAME, "enabled")
    if path in document and document.get(path) is not True:
        document.set(path, True)
    return "open federation is switched on"


def switch_off(document: Document) -> str:
    """Neither to partners nor from them; the settings are kept."""
    document.set((NAME, "enabled"), False)
    return "open federation is switched off"


# ---------------------------------------------------------------- allow and deny


def allow(line: CommandLine, document: Document, patterns: Iterable[str], *, only: bool) -> str:
    """Let these domains be found by DNS, and block them no longer; ``only``: no others."""
    wanted = [spelling(line, pattern) for pattern in patterns]
    if only:
        document.set(ALLOW, [])
    for pattern in wanted:
        _take_out(document, DENY, pattern)
        _clear(document, pattern, "blocked")
        if pattern not in _written(document, ALLOW, _EVERY):
            have = () if only else _written(document, ALLOW, _EVERY)
            if "*" not in have:
                _put_in(document, ALLOW, _EVERY, pattern)
        _still_blocked(line, document, pattern)
    said = ", ".join(wanted)
    return f"allowed: {said}, and nobody else" if only else f"allowed: {said}"


def deny(line: CommandLine, document: Document, patterns: Iterable[str]) -> str:
    """Block these domains, in both directions and by static routes as well."""
    wanted = [spelling(line, pattern) for pattern in patterns]
    for pattern in wanted:
        _clear(document, pattern, "allowed")
        if pattern not in _written(document, DENY, ()):
            _put_in(document, DENY, (), pattern)
    return f"blocked: {', '.join(wanted)}"


# ---------------------------------------------------------------- single partners


def promote(line: CommandLine, document: Document, domain: str) -> str:
    """An allowed partner: without the limits for discovered ones, and past ``allow``."""
    name = spelling(line, domain)
    _take_out(document, DENY, name)
    blocking = _blocking(document, name)
    if blocking:
        raise line.failed(
            f"deny has '{blocking}', which covers {name}; take that out first: "
            f"`sipx federation allow '{blocking}'`"
        )
    _put_key(document, name, "allowed", other="blocked")
    return f"{name} is an allowed partner: the limits for discovered ones do not apply"


def demote(line: CommandLine, document: Document, domain: str) -> str:
    """A discovered partner again."""
    name = spelling(line, domain)
    if not _clear(document, name, "allowed"):
        raise line.failed(f"{name} is no allowed partner")
    return f"{name} is a discovered partner again: its limits apply"


def block(line: CommandLine, document: Document, domain: str) -> str:
    """Nothing to a partner and nothing from it."""
    name = spelling(line, domain)
    _put_key(document, name, "blocked", other="allowed")
    return f"{name} is blocked, in both directions and by static routes as well"


def unblock(line: CommandLine, document: Document, domain: str) -> str:
    """A partner may be there again."""
    name = spelling(line, domain)
    there = _clear(document, name, "blocked")
    if not _take_out(document, DENY, name) and not there:
        blocking = _blocking(document, name)
        if blocking:
            raise line.failed(
                f"it is '{blocking}' in deny that blocks {name}: "
                f"`sipx federation allow '{blocking}'` takes that out"
            )
        raise line.failed(f"{name} is not blocked")
    _still_blocked(line, document, name)
    return f"{name} is not blocked any more"


# ---------------------------------------------------------------- the file


def spelling(line: CommandLine, pattern: str) -> str:
    """A domain or pattern in the one spelling that is compared. Raises Failed for what is none."""
    if pattern == "*":
        return pattern
    star = "*." if pattern.startswith("*.") else ""
    try:
        return star + canonical_domain(pattern.removeprefix(star)).decode()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _same(text: str, pattern: str) -> bool:
    """Whether the file means this pattern by its text."""
    star = "*." if text.startswith("*.") else ""
    try:
        return star + canonical_domain(text.removeprefix(star)).decode() == pattern
    except ValueError:
        return text == pattern


def _table(document: Document) -> dict[str, Any]:
    table = document.values().get(NAME)
    return table if isinstance(table, dict) else {}


def _written(document: Document, path: tuple[str, str], default: tuple[str, ...]) -> list[str]:
    found = _table(document).get(path[1], default)
    return [text for text in found if isinstance(text, str)]


def _put_in(
    document: Document, path: tuple[str, str], default: tuple[str, ...], pattern: str
) -> None:
    if path in document:
        document.set((*path, len(document.get(path))), pattern)
    else:
        document.set(path, [*default, pattern])


def _take_out(document: Document, path: tuple[str, str], pattern: str) -> bool:
    found = [at for at, text in enumerate(_written(document, path, ())) if _same(text, pattern)]
    for at in reversed(found):
        document.unset((*path, at))
    return bool(found)


def _partner(document: Document, name: str) -> str | None:
    """How the file writes the table of a partner, None where it has none."""
    tables = _table(document).get("partner")
    return next((text for text in tables or () if _same(text, name)), None)


def _put_key(document: Document, name: str, key: str, *, other: str) -> None:
    """Set a key of a partner's table, and take out the one that contradicts it."""
    _clear(document, name, other)
    written = _partner(document, name)
    if written is None:
        document.add_table((NAME, "partner", name), {key: True})
        return
    path = (NAME, "partner", written)
    if document.get(path).get(key) is not True:
        document.set((*path, key), True)
    if document.get(path).get("enabled") is False:
        document.unset((*path, "enabled"))


def _clear(document: Document, name: str, key: str) -> bool:
    """Take a key out of a partner's table, and the table with its last key; whether it was set."""
    written = _partner(document, name)
    if written is None:
        return False
    path = (NAME, "partner", written)
    table = document.get(path)
    if key not in table:
        return False
    if len(table) == 1:
        document.remove_table(path)
    else:
        document.unset((*path, key))
    return bool(table[key])


def _blocking(document: Document, name: str) -> str:
    """The pattern in deny that covers a domain, "" if none does."""
    if name == "*":
        return ""
    wanted = name.removeprefix("*.").encode()
    for text in _written(document, DENY, ()):
        try:
            covered = wanted in DomainSet([text])
        except ValueError:
            continue
        if covered:
            return text
    return ""


def _still_blocked(line: CommandLine, document: Document, name: str) -> None:
    blocking = _blocking(document, name)
    if blocking:
        line.say(f"{name} stays blocked: deny has '{blocking}', which covers it")
