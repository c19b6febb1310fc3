"""The subcommands that plugins bring (hook ``commands``).

A command must be listed where there is no configuration yet, or a broken one. So the hook is asked
of an instance that was never initialised; what a command needs it gets when it runs. And because
importing all plugins takes longer than a help page may, their names and short helps are kept in a
cache that lasts as long as no installed plugin changes.
"""

from __future__ import annotations

import json
import os
import tempfile
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import EntryPoint

    from sipx.cli.command_line import CommandLine

GROUP: Final = "sipx"


class Listed(NamedTuple):
    """One plugin command as the help shows it."""

    plugin: str
    name: str
    help: str


def plugin_names(line: CommandLine) -> list[str]:
    """The plugins of the configuration file in use; without one all that are installed."""
    installed = sorted({entry.name for entry in entry_points(group=GROUP)})
    named = line.configured().get("plugins")
    if not isinstance(named, list):
        return installed
    return [name for name in named if isinstance(name, str) and name in installed]


def listing(line: CommandLine) -> list[Listed]:
    """The plugin commands, for help and completion. Never raises for a broken plugin."""
    if line.plugin_commands is None:
        line.plugin_commands = _listing(line)
    return line.plugin_commands


def _listing(line: CommandLine) -> list[Listed]:
    names = plugin_names(line)
    state = _fingerprint(names)
    known = _read_cache()
    if known.get("state") == state:
        try:
            return [Listed(*map(str, item)) for item in known["commands"]]
        except (KeyError, TypeError):
            pass  # a damaged cache is written anew
    complete = True
    found: list[Listed] = []
    for name in names:
        commands = _commands_of(line, name)
        complete = complete and commands is not None
        found += [
            Listed(name, str(command.name), command.get_short_help_str(limit=60))
            for command in commands or ()
        ]
    if complete:
        _write_cache({"state": state, "commands": found})
    return found


def find(line: CommandLine, name: str) -> click.Command | None:
    """The command of this name, or None."""
    for listed in listing(line):
        if listed.name == name:
            for command in _commands_of(line, listed.plugin) or ():
                if command.name == name:
                    return command
    return None


def _commands_of(line: CommandLine, plugin: str) -> list[click.Command] | None:
    """The commands of one plugin; None, and a word on stderr, when it is broken."""
    from sipx.registry import hooks_of

    classes, problems = line.registry.examine([plugin])
    for problem in problems:
        line.say(f"no commands of a plugin: {problem}")
    found: list[click.Command] = []
    for cls in classes.values():
        for hook in hooks_of(cls):
            if hook.hook != "commands":
                continue
            try:
                given = list(getattr(cls.__new__(cls), hook.method)())
            except Exception as error:  # whatever it is, the help must appear
                line.say(
                    f"no commands of plugin '{plugin}': {type(error).__name__}: {error} "
                    "(the hook `commands` is asked before the plugin is configured)"
                )
                return None
            found += [command for command in given if isinstance(command, click.Command)]
    return None if problems else found


# ---------------------------------------------------------------- the cache


def _fingerprint(names: Sequence[str]) -> list[list[str]]:
    """What the commands depend on: the plugins, their versions, and their source's times."""
    entries = {entry.name: entry for entry in entry_points(group=GROUP)}
    return [[name, *_identity(entries[name])] for name in names]


def _identity(entry: EntryPoint) -> Iterator[str]:
    yield entry.value
    yield entry.dist.version if entry.dist is not None else ""
    # find_spec of a top-level name looks at the disk and imports nothing.
    spec = find_spec(entry.module.partition(".")[0])
    if spec is None or spec.origin is None:
        return
    source = Path(spec.origin)
    files = sorted(source.parent.rglob("*.py")) if source.name == "__init__.py" else [source]
    yield str(source)
    yield str(max((file.stat().st_mtime_ns for file in files), default=0))


def _cache_file() -> Path:
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return base / "sipx" / "commands.json"


def _read_cache() -> dict[str, Any]:
    try:
        known = json.loads(_cache_file().read_text(encoding="utf-8"))
    except (OSError, ValueError, RuntimeError):
        return {}
    return known if isinstance(known, dict) else {}


def _write_cache(content: dict[str, Any]) -> None:
    """Keep a listing; where nothing can be written the next help is slower, and that is all."""
    try:
        path = _cache_file()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=path.parent, prefix=path.name, delete=False, encoding="utf-8"
        ) as file:
            json.dump(content, file)
        Path(file.name).replace(path)
    except (OSError, RuntimeError):
        return
