"""``sipx config set`` and ``unset``: one value."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.config_keys import complete_key, not_there, path_of, value_of
from sipx.cli.editing import edit, edit_options
from sipx.config.hiding import secrets_in
from sipx.config.notation import dotted, toml_value
from sipx.config.values import HIDDEN

if TYPE_CHECKING:
    from sipx.config.document import Document, KeyPath


@click.command("set")
@click.argument("key", shell_complete=complete_key)
@click.argument("value")
@edit_options
@command_options
@click.pass_obj
def set_(line: CommandLine, key: str, value: str, dry_run: bool, apply: bool) -> None:
    """Set one value; all else stays as it is.

    VALUE is read as TOML (5061, true, ["a", "b"]), and as text where it is none or the key wants
    text; - reads it from stdin, where no list of processes shows a secret. A key that is not there
    yet is put at the end of its table. KEY[0] is an item of a list; the number behind the last one
    adds one.
    """
    given = sys.stdin.readline().rstrip("\r\n") if value == "-" else value

    def change(document: Document) -> str:
        path = path_of(key, document)
        wanted = value_of(given, path, document, line.registry)
        document.set(path, wanted)
        secret = _is_secret(document, path, line)
        return f"{dotted(path)} = {toml_value(HIDDEN if secret else wanted)}"

    edit(line, change, dry_run=dry_run, apply=apply)


@click.command()
@click.argument("key", shell_complete=complete_key)
@edit_options
@command_options
@click.pass_obj
def unset(line: CommandLine, key: str, dry_run: bool, apply: bool) -> None:
    """Take out a key, or a whole table.

    What is not in the file has its default. A key goes with its line, and comments above it stay. A
    table goes with all below it, and with the comments right above its header.
    """

    def change(document: Document) -> str:
        path = path_of(key, document)
        if path not in document:
            raise KeyError(not_there(path, document, line.registry))
        if document.value_span(path) is None:
            document.remove_table(path)
            return f"the table {dotted(path)} is removed"
        document.unset(path)
        return f"{dotted(path)} is removed"

    edit(line, change, dry_run=dry_run, apply=apply)


def _is_secret(document: Document, path: KeyPath, line: CommandLine) -> bool:
    """Whether a secret is written out at this place, around it or in it."""
    found = secrets_in(document.values(), line.registry)
    return any(each[: len(path)] == path or path[: len(each)] == each for each in found)
