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
    words = _editor()
    copy = _Copy(file.path.read_bytes())
    try:
        _edited(line, file, document, copy, words)
        if not copy.changed():
            line.result(
                {"changed": False, "what": "edited", "file": str(file.path)},
                f"you changed nothing; {file.path} is as it was",
            )
            return
        before = _before(copy.original, file)
        change = Change(document, before, f"edited with {Path(words[0]).name}")
        commit(line, file, change, dry_run=dry_run, apply=apply)
        copy.wanted = False
    finally:
        if copy.wanted and copy.changed():
            line.say(f"what you wrote is kept in {copy.path}")
        else:
            copy.path.unlink(missing_ok=True)


class _Copy:
    """What is edited in the place of the file, for its owner alone.

    What somebody wrote is ``wanted`` until it is in the file: however the command ends, it is kept.
    """

    def __init__(self, data: bytes) -> None:
        handle, name = tempfile.mkstemp(prefix="sipx-", suffix=".toml")  # mode 0600
        self.path = Path(name)
        self.original = data
        self.wanted = True
        with os.fdopen(handle, "wb") as opened:
            opened.write(data)

    def read(self) -> bytes:
        """What the editor has left. Raises Failed."""
        try:
            return self.path.read_bytes()
        except OSError as error:
            said = f"the editor has left no file {self.path}; nothing is written"
            raise Failed(said, ExitCode.BAD_ANSWER) from error

    def changed(self) -> bool:
        """Whether there is something that is not in the file."""
        return self.path.exists() and self.read() != self.original


def _edited(
    line: CommandLine, file: ConfigFile, document: Document, copy: _Copy, words: list[str]
) -> None:
    """Let somebody edit the copy until the document is one that may be written. Raises Failed."""
    while True:
        _run([*words, str(copy.path)])
        data = copy.read()
        if data == copy.original:
            return
        problems = _problems(file, document, data)
        if problems is None:
            return
        for problem in problems.splitlines():
            line.say(problem)
        if not command_line.stdin_is_terminal() or not click.confirm(
            "Edit it again?", default=True, err=True
        ):
            raise Failed(f"{file.path} is as it was", ExitCode.CONFIGURATION)


def _editor() -> list[str]:
    for variable in ("VISUAL", "EDITOR"):
        given = os.environ.get(variable, "")
        try:
            words = shlex.split(given)
        except ValueError as error:
            said = f"${variable} is no command: {given}: {str(error).lower()}"
            raise Failed(said, ExitCode.WRONG_USE) from error
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
        how = f"with exit code {code}" if code > 0 else f"by signal {-code}"
        raise Failed(f"{words[0]} ended {how}; nothing is written", ExitCode.BAD_ANSWER)


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
