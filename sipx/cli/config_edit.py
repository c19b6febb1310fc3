"""``sipx config edit``: the file in an editor, checked before it counts."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipx.cli import command_line
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.editing import Change, commit, config_file_of, edit_options
from sipx.cli.exits import ExitCode, Failed
from sipx.config.document import Document
from sipx.config.errors import ConfigError

if TYPE_CHECKING:
    from sipx.config.file import ConfigFile


@click.command("edit")
@edit_options
@command_options
@click.pass_obj
def edit_(line: CommandLine, dry_run: bool, apply: bool) -> None:
    """Open the file in your editor, and check it.

    The editor is $VISUAL or $EDITOR, and what you edit is a copy. If that is not valid you can go
    on editing; else it takes the place of the file.
    """
    file = config_file_of(line)
    try:
        document = file.read_any()
    except OSError as error:
        raise Failed(f"{file.path}: {error.strerror}", ExitCode.CONFIGURATION) from error
    data = file.path.read_bytes()
    words = _editor()
    handle, name = tempfile.mkstemp(prefix="sipx-", suffix=".toml")  # mode 0600
    copy = Path(name)
    with os.fdopen(handle, "wb") as opened:
        opened.write(data)
    keep = False
    try:
        _run([*words, name])
        while copy.read_bytes() != data:
            problems = _problems(file, document, copy.read_bytes())
            if problems is None:
                break
            for problem in problems.splitlines():
                line.say(problem)
            if not command_line.stdin_is_terminal() or not click.confirm(
                "Edit it again?", default=True, err=True
            ):
                keep = True
                raise Failed(
                    f"{file.path} is as it was; what you wrote is kept in {name}",
                    ExitCode.CONFIGURATION,
                )
            _run([*words, name])
        if copy.read_bytes() == data:
            line.result(
                {"changed": False, "what": "edited", "file": str(file.path)},
                f"you changed nothing; {file.path} is as it was",
            )
            return
        said = f"edited with {Path(words[0]).name}"
        keep = True  # until it is written
        commit(
            line,
            file,
            Change(document, _before(data, file), said),
            dry_run=dry_run,
            apply=apply,
        )
        keep = False
    except Failed as failed:
        if keep and name not in failed.message:
            line.say(f"what you wrote is kept in {name}")
        raise
    finally:
        if not keep:
            copy.unlink(missing_ok=True)


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        words = shlex.split(os.environ.get(variable, ""))
        if words:
            return words
    for program in ("sensible-editor", "nano", "vim", "vi"):
        if shutil.which(program):
            return [program]
    raise Failed("there is no editor: set $EDITOR", ExitCode.WRONG_USE)


def _run(words: list[str]) -> None:
    try:
        code = subprocess.run(words, check=False).returncode  # noqa: S603  # the user's own editor
    except OSError as error:
        raise Failed(f"{words[0]} cannot be run: {error.strerror}", ExitCode.WRONG_USE) from error
    if code:
        raise Failed(
            f"{words[0]} ended with exit code {code}; nothing is written", ExitCode.BAD_ANSWER
        )


def _problems(file: ConfigFile, document: Document, data: bytes) -> str | None:
    try:
        document.replace(data)
        file.check(document)
    except ConfigError as error:
        return str(error)
    return None


def _before(data: bytes, file: ConfigFile) -> Document | None:
    try:
        return Document.from_bytes(data, file.path)
    except ConfigError:
        return None
