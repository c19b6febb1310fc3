"""``sipx config history``, ``undo`` and ``diff``: what the file was, and what it would be."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.editing import Change, colored, commit, config_file_of, edit_options
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options
from sipx.config.difference import difference, text_difference
from sipx.config.errors import ConfigError
from sipx.config.hiding import hidden_text, secrets_in

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.config.document import Document
    from sipx.config.file import ConfigFile
    from sipx.config.history import Version


@click.command()
@command_options
@click.pass_obj
def history(line: CommandLine) -> None:
    """The last 20 versions: when, by whom, what.

    A version is the file after a change; the one with a star is what it is now. `sipx config diff
    N` compares with one of them, `sipx config undo N` goes back to it.
    """
    file = config_file_of(line)
    versions = _versions(file)
    now = versions[-1].number if versions else 0
    data = [{**version.model_dump(), "current": version.number == now} for version in versions]
    if not versions:
        line.result({"versions": data}, "there is no history yet: nothing was changed with sipx")
        return
    rows = [
        (
            f"{version.number}{'*' if version.number == now else ''}",
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(version.time)),
            version.author or "-",
            version.why,
        )
        for version in versions
    ]
    line.result({"versions": data}, line.table(("version", "when", "who", "what"), rows))


def _versions(file: ConfigFile) -> list[Version]:
    try:
        return file.history()
    except OSError as error:
        code = ExitCode.NOT_PERMITTED if isinstance(error, PermissionError) else ExitCode.BAD_ANSWER
        raise Failed(f"the history cannot be read: {error.filename}: {error.strerror}", code) from (
            error
        )


@click.command()
@click.argument("version", type=click.IntRange(min=1), required=False)
@edit_options
@command_options
@click.pass_obj
def undo(line: CommandLine, version: int | None, dry_run: bool, apply: bool) -> None:
    """Go back to the version before, or to VERSION.

    Once more goes further back. An undo is a version of its own: `sipx config undo N` with the
    number of what was undone takes it back.
    """
    file = config_file_of(line)
    before = _now(file)
    versions = _versions(file)
    try:
        back = file.undo(version)
    except LookupError as error:
        raise Failed(str(error.args[0]), ExitCode.BAD_ANSWER) from error
    except ConfigError as error:
        raise Failed(f"that version cannot be used:\n{error}", ExitCode.CONFIGURATION) from error
    change = Change(back.document, before, back.said, back.restored)
    commit(line, file, change, dry_run=dry_run, apply=apply)
    if version is None and versions and not dry_run:
        line.say(f"`sipx config undo {versions[-1].number}` takes this back")


def _now(file: ConfigFile) -> Document | None:
    try:
        return file.read()
    except ConfigError:
        return None


@click.command()
@click.argument("version", type=click.IntRange(min=1), required=False)
@live_options
@click.pass_obj
def diff(line: CommandLine, version: int | None) -> None:
    """Compare the file with what runs, or VERSION.

    What is new in the file is marked with +. The exit code is 0 without a difference, 1 with one,
    and 4 when no sipx runs.
    """
    file = config_file_of(line)
    try:
        document = file.read()
    except ConfigError as error:
        raise Failed(str(error), ExitCode.CONFIGURATION) from error
    lines = _running(line, document) if version is None else _older(line, file, document, version)
    text: Iterator[str] | list[str] = colored(lines) if lines else ["there is no difference"]
    line.result({"different": bool(lines), "diff": lines}, text)
    raise click.exceptions.Exit(ExitCode.BAD_ANSWER if lines else ExitCode.DONE)


def _older(line: CommandLine, file: ConfigFile, document: Document, version: int) -> list[str]:
    try:
        old = file.version(version)
    except KeyError as error:
        raise Failed(f"version {version} is not kept", ExitCode.BAD_ANSWER) from error
    except ConfigError as error:
        raise Failed(f"version {version} is no TOML:\n{error}", ExitCode.BAD_ANSWER) from error
    return difference(old, document, line.registry, (f"version {version}", str(file.path)))


def _running(line: CommandLine, document: Document) -> list[str]:
    from sipx.control.configuration import RunningConfiguration

    with line.control() as client:
        running = client.call("config.running", None, RunningConfiguration)
        if running.file != str(document.path.resolve()):
            line.say(f"the sipx that runs (pid {client.pid}) uses {running.file}")
    shown = hidden_text(document, secrets_in(document.values(), line.registry))
    names = (f"running, from {running.file}", str(document.path))
    lines = text_difference(running.text, shown, names)
    lines += [f"# another secret: {key}" for key in running.other_secrets]
    return lines
