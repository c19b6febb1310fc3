"""``sipx plugins``: what is installed, what is switched on, and who has which hook."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from sipx.cli.command_line import CommandLine, command_options

if TYPE_CHECKING:
    from collections.abc import Iterable


@click.group()
def plugins() -> None:
    """What is installed, what is switched on, who has which hook."""


@plugins.command("list")
@command_options
@click.pass_obj
def list_(line: CommandLine) -> None:
    """All installed plugins, and those that are listed without being installed."""
    from sipx.plugin import PluginInfo

    listed, off = _listed(line)
    installed = line.registry.installed()
    have = {info.name for info in installed}
    missing = [PluginInfo(name, "", "") for name in listed if name not in have]
    found: list[dict[str, Any]] = [
        {
            "name": info.name,
            "distribution": info.distribution or None,
            "version": info.version or None,
            "installed": info.name in have,
            "listed": info.name in listed,
            "enabled": info.name in listed and info.name not in off,
        }
        for info in (*installed, *missing)
    ]
    order = {name: number for number, name in enumerate(listed)}
    found.sort(key=lambda plugin: (order.get(plugin["name"], len(order)), plugin["name"]))
    rows = [(p["name"], p["version"] or "-", p["distribution"] or "-", _state(p)) for p in found]
    line.result(
        {"plugins": found}, line.table(("plugin", "version", "distribution", "state"), rows)
    )


def _state(plugin: dict[str, Any]) -> str:
    if not plugin["installed"]:
        return "listed, not installed"
    if not plugin["listed"]:
        return "not listed"
    return "on" if plugin["enabled"] else "off"


@plugins.command("hooks")
@command_options
@click.pass_obj
def hooks(line: CommandLine) -> None:
    """Every hook, what it is for, and the plugins that have it, in the order of asking.

    The plugins are those that the configuration file lists and does not switch off; without a
    file all that are installed.
    """
    from sipx import hookspecs
    from sipx.registry import hooks_of, specifications

    listed, off = _listed(line)
    names: Iterable[str] = [name for name in listed if name not in off]
    if not listed:
        names = sorted({info.name for info in line.registry.installed()})
    classes, problems = line.registry.examine(list(names))
    for problem in problems:
        line.say(str(problem))
    have = {name: {hook.hook for hook in hooks_of(cls)} for name, cls in classes.items()}
    found = [
        {
            "hook": hook,
            "arguments": list(arguments),
            "help": (inspect.getdoc(getattr(hookspecs, hook)) or "").partition("\n")[0],
            "plugins": [name for name, theirs in have.items() if hook in theirs],
        }
        for hook, arguments in specifications().items()
    ]
    text: list[str] = []
    for item in found:
        text.append(click.style(f"{item['hook']}({', '.join(item['arguments'])})", bold=True))
        text += [f"  {item['help']}", f"  {', '.join(item['plugins']) or '-'}"]
    line.result({"hooks": found}, text)


def _listed(line: CommandLine) -> tuple[list[str], set[str]]:
    """The plugins of the configuration file, and those of them that are switched off.

    Read as it is written: the file need not be valid for that.
    """
    values = line.configured()
    named = values.get("plugins")
    listed = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    tables = {name: values.get(name) for name in listed}
    off = {
        name
        for name, table in tables.items()
        if isinstance(table, dict) and table.get("enabled") is False
    }
    return listed, off
