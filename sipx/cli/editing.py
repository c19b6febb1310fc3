"""Changing the configuration file from the command line: the one way that all commands take.

Read, change, check, show or write, and tell the running sipx. If that cannot take it up, the file
is what it was before.
"""

from __future__ import annotations

import contextlib
import copy
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import socket_option
from sipx.config.difference import difference
from sipx.config.document import Document
from sipx.config.errors import ConfigError
from sipx.config.file import ConfigFile, ConflictError
from sipx.errors import SipxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.config.history import Version
    from sipx.control.client import Client
    from sipx.reload import Plan

F = TypeVar("F", bound="Callable[..., Any]")

ATTEMPTS: Final = 10
"""How often a change is made on a file that others change at the same time."""


class Conflict(Failed):
    """Somebody else has changed the file meanwhile; nothing is written."""


class Change(NamedTuple):
    """A document that is to be written, what the file says now (None: no TOML), and why."""

    document: Document
    before: Document | None
    said: str
    restored: int | None = None


def edit_options(function: F) -> F:
    """Give a command ``--dry-run`` and ``--no-apply``, as ``dry_run`` and ``apply``, and
    ``--socket``.
    """
    function = socket_option(function)
    function = click.option(
        "--apply/--no-apply",
        default=True,
        help="Whether a sipx that runs on this file takes the change up at once.",
    )(function)
    return click.option(
        "--dry-run", is_flag=True, help="Show the change as a diff, and write nothing."
    )(function)


def edit(
    line: CommandLine,
    change: Callable[[Document], str],
    *,
    dry_run: bool = False,
    apply: bool = True,
) -> None:
    """Change the configuration file. ``change`` edits the document and says what it did.

    What it says is shown, and kept in the history: no secret may be in it. Ends the command when
    the change makes no sense (1), makes no valid configuration (3) or cannot be written (1, 5).
    """
    file = config_file_of(line)
    for left in range(ATTEMPTS - 1, -1, -1):
        made = _changed(file, change)
        try:
            commit(line, file, made, dry_run=dry_run, apply=apply)
        except Conflict:
            # One value of a file is changed, not the file: that is made again on what is there now.
            if not left:
                raise
        else:
            return


def _changed(file: ConfigFile, change: Callable[[Document], str]) -> Change:
    try:
        document = file.read()
    except ConfigError as error:
        raise Failed(str(error), ExitCode.CONFIGURATION) from error
    before = copy.copy(document)
    try:
        said = change(document)
    except KeyError as error:
        raise Failed(f"{file.path}: {error.args[0]}", ExitCode.BAD_ANSWER) from error
    except ConfigError as error:
        raise Failed(f"nothing is written:\n{error}", ExitCode.BAD_ANSWER) from error
    return Change(document, before, said)


def commit(
    line: CommandLine, file: ConfigFile, change: Change, *, dry_run: bool, apply: bool
) -> None:
    """Check and write a document, and tell what came of it."""
    document, before = change.document, change.before
    if before is not None and before.encoded() == document.encoded():
        data = {"changed": False, "what": change.said, "file": str(file.path)}
        line.result(data, f"nothing to change: {change.said}")
        return
    try:
        file.check(document)
    except ConfigError as error:
        raise Failed(
            f"nothing is written, as the file would not be valid:\n{error}", ExitCode.CONFIGURATION
        ) from error
    if dry_run:
        shown = _difference(line, file.path, change)
        data = {"changed": True, "dry_run": True, "what": change.said, "diff": shown}
        line.result(data, colored(shown))
        return
    # Asked for before: the change may lead to another socket.
    client = line.reachable_control() if apply else None
    with client or contextlib.nullcontext():
        version = _written(file, document, change.said, change.restored)
        if file.unkept:
            line.say(f"the history is not kept: {file.unkept}")
        plan = None if client is None else _applied(line, client, file, change, version)
    data = {
        "changed": True,
        "dry_run": False,
        "what": change.said,
        "file": str(file.path),
        "version": version.number or None,
        "applied": plan is not None,
        "plan": None if plan is None else plan.model_dump(),
    }
    # One that runs may be somebody else's, so that this account cannot tell it.
    later = "start or reload" if line.control_path().exists() else "start"
    line.result(data, _told(file, change.said, plan, later))


def _told(file: ConfigFile, said: str, plan: Plan | None, later: str) -> Iterator[str]:
    yield said
    if plan is None:
        yield f"{file.path} is written; it counts from the next {later}"
        return
    yield f"{file.path} is written, and the running sipx uses it"
    if plan.restart:
        yield f"only after a restart of the process: {', '.join(plan.restart)}"


def _difference(line: CommandLine, path: Path, change: Change) -> list[str]:
    if change.before is None:
        return [f"{path} was no TOML before: there is nothing to compare with"]
    return difference(change.before, change.document, line.registry, (str(path), f"{path} (new)"))


def colored(lines: list[str]) -> Iterator[str]:
    """A unified diff in the usual colours."""
    colors = {"+": "green", "-": "red", "@": "cyan"}
    for line in lines:
        heading = line.startswith(("+++ ", "--- "))
        yield click.style(line, bold=True) if heading else click.style(line, colors.get(line[:1]))


# ---------------------------------------------------------------- the file


def config_file_of(line: CommandLine) -> ConfigFile:
    """The configuration file in use, with its history."""
    path = line.config_path()
    return ConfigFile(path, state_dir_of(path), line.registry, author())


def state_dir_of(path: Path) -> Path:
    """The state directory that a file names, as far as it can be read, else the usual one."""
    import tomllib

    from sipx import state

    configured = None
    try:
        service = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("service")
        named = service.get("state_dir") if isinstance(service, dict) else None
        if isinstance(named, str) and named:
            configured = path.absolute().parent / Path(named).expanduser()
    except (OSError, ValueError):
        pass  # the same mistake is told where the file is read
    return state.state_directory(configured)


def author() -> str:
    """Who sits there: behind sudo the user that called it."""
    behind = os.environ.get("SUDO_USER", "")
    if os.geteuid() == 0 and behind:
        return behind
    return account()


def account() -> str:
    """The account that this process has."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return f"uid {os.geteuid()}"


def _written(file: ConfigFile, document: Document, why: str, restored: int | None) -> Version:
    try:
        return file.write(document, why, restored=restored)
    except ConflictError as error:
        raise Conflict(str(error), ExitCode.BAD_ANSWER) from error
    except OSError as error:
        said = f"{file.path} cannot be written, and is as it was: {error.strerror}"
        if not isinstance(error, PermissionError):
            raise Failed(said, ExitCode.BAD_ANSWER) from error
        folder = file.path.resolve().parent
        raise Failed(
            f"{said}; {account()} needs the right to write the file and the directory {folder}",
            ExitCode.NOT_PERMITTED,
        ) from error


# ---------------------------------------------------------------- the running service


def running_status(line: CommandLine, path: Path) -> dict[str, Any] | None:
    """The status of the sipx that runs on a configuration file; None where none does."""
    client = line.reachable_control()
    if client is None:
        return None
    with client:
        try:
            return _status(client, path)
        except SipxError as error:
            line.say(f"the running sipx does not tell its status: {error}")
            return None


def _status(client: Client, path: Path) -> dict[str, Any] | None:
    """Raises SipxError."""
    status: dict[str, Any] = client.call_json("status")
    used = status["service"]["config"]
    return status if os.path.realpath(used) == os.path.realpath(path) else None


def _applied(
    line: CommandLine, client: Client, file: ConfigFile, change: Change, version: Version
) -> Plan | None:
    """What the running service did with the file; None when it did not get so far."""
    from sipx.cli.reload import TIMEOUT
    from sipx.control.client import Unreachable
    from sipx.reload import Plan

    try:
        if _status(client, file.path) is None:
            line.say(f"the sipx that runs (pid {client.pid}) uses another file")
            return None
        return client.call("reload", None, Plan, timeout=TIMEOUT)
    except Unreachable as error:
        line.say(f"the running sipx did not take it up: {error}")
        return None
    except SipxError as error:
        raise _taken_back(file, change, version, str(error)) from error
    except KeyboardInterrupt:
        raise Failed(
            f"interrupted; {file.path} is written, and `sipx config diff` tells whether the "
            "running sipx uses it",
            ExitCode.INTERRUPTED,
        ) from None


def _taken_back(file: ConfigFile, change: Change, version: Version, why: str) -> Failed:
    """The file as it was, since the running service could not take it up."""
    said = f"the running sipx cannot use this, and goes on as before:\n{why}"
    if change.before is None:
        return Failed(f"{said}\n{file.path} is left as you wrote it", ExitCode.BAD_ANSWER)
    old = Document.replacing(change.document.encoded(), file.path)
    old.replace(change.before.encoded())
    try:
        file.write(
            old,
            f"taken back: {change.said}",
            restored=version.number - 1 if version.number > 1 else None,
        )
    except (SipxError, OSError) as error:
        return Failed(f"{said}\n{file.path} could not be set back: {error}", ExitCode.BAD_ANSWER)
    return Failed(f"{said}\n{file.path} is as it was", ExitCode.BAD_ANSWER)
