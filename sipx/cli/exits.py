"""How a command ends: exit codes, and the way from an exception to words and a code."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import time
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from collections.abc import Iterator


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    BAD_ANSWER = 1
    WRONG_USE = 2
    CONFIGURATION = 3
    UNREACHABLE = 4
    NOT_PERMITTED = 5
    NOT_STARTED = 6
    INTERNAL = 70
    TRY_LATER = 75
    INTERRUPTED = 130
    TERMINATED = 143


MEANINGS: Final = {
    ExitCode.DONE: "done; of `sipx run`: a clean end",
    ExitCode.BAD_ANSWER: (
        "did its work, and the answer is bad: failed checks, a request that would be refused, a "
        "proxy that is stopped"
    ),
    ExitCode.WRONG_USE: "wrong use of the command line",
    ExitCode.CONFIGURATION: "the configuration is not valid, cannot be read, or is not there",
    ExitCode.UNREACHABLE: (
        "nobody answers: there is no running sipx, or `sipx cert show HOST:PORT` cannot reach it"
    ),
    ExitCode.NOT_PERMITTED: (
        "not permitted: a file that may not be read or written, a control socket of others, a port "
        "below 1024"
    ),
    ExitCode.NOT_STARTED: (
        "could not start: no interface can listen, or no plugin brings the protocol of one"
    ),
    ExitCode.INTERNAL: "internal error; the path of the report is printed",
    ExitCode.TRY_LATER: "try again later: a name server failed, or no STUN server answered in time",
    ExitCode.INTERRUPTED: "ended by a second INT before everything was finished",
    ExitCode.TERMINATED: "ended by a second TERM before everything was finished",
}
"""For the reference pages."""


class Failed(click.ClickException):
    """A command ends with words on stderr and an exit code."""

    def __init__(self, message: str, code: ExitCode) -> None:
        super().__init__(message)
        self.exit_code = code  # type: ignore[misc]  # click takes it from the instance as well

    def show(self, file: object = None) -> None:
        """One line each for several things that are wrong, after the name of the program."""
        label = click.style("sipx:", fg="red", bold=True)
        for line in self.message.splitlines() or [""]:
            # The context that knew it has gone by now.
            click.echo(f"{label} {line}", err=True, color=self.show_color)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions in an exception group, at any depth; the exception itself if it is none."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def failure_of(error: BaseException) -> Failed:
    """The failure that an exception means to the user; a bug leaves a report behind."""
    from sipx.config.errors import ConfigError
    from sipx.errors import PluginError, SipxError

    found = list(leaves(error))
    for one in found:
        if isinstance(one, Failed):
            return one
    words = "\n".join(dict.fromkeys(str(one) for one in found))
    if found and all(isinstance(one, (ConfigError, PluginError)) for one in found):
        return Failed(words, ExitCode.CONFIGURATION)
    if found and all(isinstance(one, SipxError) for one in found):
        return Failed(words, ExitCode.NOT_STARTED)
    if found and all(isinstance(one, KeyboardInterrupt) for one in found):
        return Failed("interrupted", ExitCode.INTERRUPTED)
    return _bug(error, found)


def _bug(error: BaseException, found: list[BaseException]) -> Failed:
    from sipx.logs import said_by

    first = next((one for one in found if not isinstance(one, KeyboardInterrupt)), error)
    said = f"internal error: {said_by(first)}"
    report = _report(error)
    try:
        place = _written(report)
    except OSError as failure:
        click.echo(report, err=True)
        return Failed(
            f"{said}\nthe report above could not be written: {failure.strerror}", ExitCode.INTERNAL
        )
    return Failed(f"{said}\na report was written to {place}", ExitCode.INTERNAL)


def _report(error: BaseException) -> str:
    from sipx.cli.version import versions
    from sipx.logs import masked, traceback_of

    found = versions()
    lines = [
        f"sipx internal error, {time.strftime('%Y-%m-%d %H:%M:%S %z')}",
        "",
        *(f"{name}: {version}" for name, version in found.items()),
        f"command: {' '.join(sys.argv[1:2])}",
        "",
        traceback_of(error),
    ]
    return masked("\n".join(line.rstrip("\n") for line in lines)) + "\n"


def _written(report: str) -> Path:
    """Write a report that only its owner can read; where nothing else may be written, in /tmp."""
    from sipx.state import state_directory

    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-"
    directory = state_directory(None) / "reports"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        return _file(report, name, directory)
    except OSError:
        return _file(report, f"sipx-{name}", None)


def _file(report: str, name: str, directory: Path | None) -> Path:
    handle, path = tempfile.mkstemp(prefix=name, suffix=".txt", dir=directory)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(report)
    return Path(path)


def unwritable(error: OSError) -> Failed:
    """The failure of stdout, as where it leads to a file on a full disk."""
    return Failed(f"the answer cannot be written: {error.strerror}", ExitCode.BAD_ANSWER)


def is_closed_pipe(error: BaseException) -> bool:
    """Whether the reader of our output went away: no failure of ours."""
    return isinstance(error, OSError) and error.errno == errno.EPIPE
