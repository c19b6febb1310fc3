"""``sipx config``: the configuration file, looked at and changed safely."""

from __future__ import annotations

import copy

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.config_edit import edit_
from sipx.cli.config_file import find
from sipx.cli.config_history import diff, history, undo
from sipx.cli.config_show import get, show
from sipx.cli.config_values import set_, unset
from sipx.cli.editing import Change, colored, commit, config_file_of, edit_options
from sipx.cli.exits import ExitCode, Failed


@click.group()
def config() -> None:
    """The configuration: show, set, edit, check, compare, undo."""


for command in (get, set_, unset, show, edit_, diff, history, undo):
    config.add_command(command)


@config.command()
@command_options
@click.pass_obj
def check(line: CommandLine) -> None:
    """Whether the file is valid, and nothing else.

    Like `sipx check config`, without looking at the plugins. The exit code is 0 when it is, and 3
    when it is not.
    """
    from sipx.cli.check import tell_config

    raise click.exceptions.Exit(tell_config(line, line.config_path()))


@config.command()
@command_options
@click.pass_obj
def path(line: CommandLine) -> None:
    """Which file is used, and why that one."""
    chosen = find(line.config)
    if chosen is None:
        line.config_path()  # raises, with the places that were looked at
        return
    data = {"path": str(chosen.path.absolute()), "by": chosen.by, "exists": chosen.path.exists()}
    line.result(data, str(chosen.path.absolute()))
    line.say(f"chosen by {chosen.by}" + ("" if data["exists"] else "; it does not exist"))


@config.command()
@command_options
@click.pass_obj
def schema(line: CommandLine) -> None:
    """A JSON schema of the file, for editors.

    They complete and check TOML with it. It has the tables of all plugins that are installed. Write
    it beside the file, and `#:schema ./sipx.schema.json` into the first line of that.
    """
    from sipx.config import json_schema

    names = [info.name for info in line.registry.installed()]
    classes, problems = line.registry.examine(list(dict.fromkeys(names)))
    for problem in problems:
        line.say(str(problem))
    line.json = True
    line.result(json_schema(classes), "")


@config.command()
@click.option("--check", "only_check", is_flag=True, help="Write nothing; exit code 1 if it would.")
@edit_options
@command_options
@click.pass_obj
def fmt(line: CommandLine, only_check: bool, dry_run: bool, apply: bool) -> None:
    """Put the spacing of the file in order.

    That is blanks, blank lines and line ends. Keys, comments and their order stay as they are.
    """
    from sipx.config import ConfigError
    from sipx.config.spacing import spaced

    file = config_file_of(line)
    try:
        document = file.read()
    except ConfigError as error:
        raise Failed(str(error), ExitCode.CONFIGURATION) from error
    before = copy.copy(document)
    spaced(document)
    if only_check:
        from sipx.config.difference import difference

        names = (str(file.path), f"{file.path} (new)")
        lines = difference(before, document, line.registry, names)
        done = before.text == document.text
        text = [f"{file.path} is in order"] if done else colored(lines)
        line.result({"in_order": done, "diff": lines}, text)
        raise click.exceptions.Exit(ExitCode.DONE if done else ExitCode.BAD_ANSWER)
    said = "the spacing is in order"
    commit(line, file, Change(document, before, said), dry_run=dry_run, apply=apply)
