"""``sipx plugins``: what is installed and switched on, who has which hook, and the switches."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.editing import edit_options
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from click.shell_completion import CompletionItem

    from sipx.config.document import Document


def _installed(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from sipx.cli.completion import items

    line = ctx.ensure_object(CommandLine)
    return items([info.name for info in line.registry.installed()], incomplete)


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


@plugins.command()
@click.option("--for", "duration", default="5s", metavar="TIME", help="How long: up to 20s.")
@live_options
@click.pass_obj
def times(line: CommandLine, duration: str) -> None:
    """How long plugins of the running sipx take in their hooks, measured for a moment.

    Measured are the hooks that messages and flows pass. What an answer is waited for is not in it.
    """
    from pydantic import TypeAdapter, ValidationError

    from sipx.config.values import Duration
    from sipx.control.plugin_times import MeasuredHooks, MeasureParams

    try:
        params = MeasureParams(seconds=TypeAdapter(Duration).validate_python(duration))
    except ValidationError:
        raise click.UsageError(f"--for {duration}: allowed is text such as 5s, up to 20s") from None
    with line.control() as client:
        line.say(f"measuring for {params.seconds:g} s")
        found = client.call("plugins.measure", params, MeasuredHooks)
    rows = [
        (
            one.plugin,
            one.hook,
            str(one.calls),
            "" if one.mean is None else f"{one.mean * 1e6:.1f}",
            f"{one.longest * 1e6:.1f}" if one.calls else "",
            f"{one.seconds / found.seconds:.2%}",
        )
        for one in found.hooks
    ]
    heads = ("plugin", "hook", "calls", "mean µs", "longest µs", "of the time")
    line.result(found.model_dump(mode="json"), line.table(heads, rows))


@plugins.command()
@click.argument("name", shell_complete=_installed)
@edit_options
@command_options
@click.pass_obj
def enable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Switch a plugin on: put it behind the others into plugins if it is not listed."""
    installed = {info.name for info in line.registry.installed()}

    def change(document: Document) -> str:
        if name not in installed:
            raise Failed(_unknown(name, installed, "installed"), ExitCode.BAD_ANSWER)
        listed = document.values().get("plugins", [])
        if name not in listed:
            place = ("plugins", len(listed)) if "plugins" in document.values() else ("plugins",)
            document.set(place, name if len(place) > 1 else [name])
        path = (name, "enabled")
        if path in document and document.get(path) is not True:
            document.set(path, True)
        return f"the plugin {name} is switched on"

    line.edit(change, dry_run=dry_run, apply=apply)


@plugins.command()
@click.argument("name", shell_complete=_installed)
@edit_options
@command_options
@click.pass_obj
def disable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Switch a plugin off; its place in plugins and its settings are kept."""

    def change(document: Document) -> str:
        listed = document.values().get("plugins", [])
        if name not in listed:
            raise Failed(_unknown(name, listed, "listed in plugins"), ExitCode.BAD_ANSWER)
        path = (name, "enabled")
        if path not in document or document.get(path) is not False:
            document.set(path, False)
        return f"the plugin {name} is switched off"

    line.edit(change, dry_run=dry_run, apply=apply)


def _unknown(name: str, known: Collection[str], what: str) -> str:
    from sipx.config.errors import did_you_mean

    there = f"these are: {', '.join(sorted(known))}" if known else "none is"
    return f"the plugin '{name}' is not {what}; {did_you_mean(name, known) or there}"


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
