"""What the commands of ``sipx cert`` share: names, folders, and files written whole or not."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipx.cli import config_file
from sipx.cli.exits import ExitCode
from sipx.pem_files import FOLDER, Written, replace_all, stem_problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sipx.certificates.authority import Leaf
    from sipx.cli.command_line import CommandLine
    from sipx.cli.exits import Failed

FORCE = click.option("--force", is_flag=True, help="Write over files that are there.")
OUT = click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    help="Where the files go; without it `tls` beside the configuration file.",
)
NEW_DAYS = click.option(
    "--days",
    type=click.IntRange(1, 36500),
    default=398,
    show_default=True,
    help="How long it is valid.",
)


# ---------------------------------------------------------------- failures


def refused(line: CommandLine, error: OSError, what: str = "") -> Failed:
    """A failure of the file system, or a CertificateError: 5 for what is not permitted, else 1."""
    from sipx.certificates import CertificateError

    cause = error.__cause__ if isinstance(error, CertificateError) else error
    code = ExitCode.NOT_PERMITTED if isinstance(cause, PermissionError) else ExitCode.BAD_ANSWER
    if isinstance(error, CertificateError):
        return line.failed(str(error), code)
    return line.failed(f"{what}: {error.strerror or error}", code)


@contextlib.contextmanager
def on_disk(line: CommandLine, what: str) -> Iterator[None]:
    """What the file system refuses ends the command with ``what`` and the reason."""
    try:
        yield
    except OSError as error:
        raise refused(line, error, what) from None


# ---------------------------------------------------------------- names


def domains(line: CommandLine, given: Sequence[str]) -> list[str]:
    """The domains of a certificate in canonical form. Exit code 2 for what is none."""
    from sipx.certificates.authority import proper_domain

    try:
        return list(dict.fromkeys(proper_domain(one) for one in given))
    except ValueError as error:
        raise line.failed(str(error), ExitCode.WRONG_USE) from None


def checked_stem(line: CommandLine, stem: str, remedy: str) -> str:
    """What files are called: no path, and not like the authority's. Exit code 2."""
    wrong = stem_problem(stem)
    if wrong:
        raise line.failed(f"{wrong}; {remedy}", ExitCode.WRONG_USE)
    return stem


# ---------------------------------------------------------------- folders and files


def directory(line: CommandLine, given: Path | None, *, make: bool = True) -> Path:
    """Where files go, absolute: ``tls`` beside the configuration file, made if need be."""
    found = config_file.find(line.config)
    folder = given or (Path() if found is None else found.path.parent) / FOLDER
    folder = folder.absolute()
    if make:
        with on_disk(line, f"the folder {folder} cannot be made"):
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise line.failed(f"{folder} is a file, and a folder is wanted") from None
    return folder


def write(line: CommandLine, *files: Written, force: bool) -> None:
    """Write all files or none; what is there stays unless it is forced. Exit codes 1 and 5."""
    for one in files:
        with on_disk(line, f"{one.path} cannot be looked at"):
            there = one.path.exists()
        if there and not force:
            raise line.failed(f"{one.path} is there already; --force writes over it")
        if there and one.path.is_dir():
            raise line.failed(f"{one.path} is a directory; choose another name")
    try:
        replace_all(*files)
    except OSError as error:
        raise refused(line, error, f"{error.filename} cannot be written") from None


def store(
    line: CommandLine, folder: Path, stem: str, leaf: Leaf, *, force: bool
) -> tuple[Path, Path]:
    """Write a certificate with its chain, and its key."""
    certificate, key = folder / f"{stem}.crt", folder / f"{stem}.key"
    files = (Written(certificate, leaf.cert_pem), Written(key, leaf.key_pem, secret=True))
    write(line, *files, force=force)
    return certificate, key


# ---------------------------------------------------------------- what is said


def table(name: str, certificate: Path, key: Path) -> list[str]:
    """The lines for the configuration file."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)
    return [
        f"[certificate.{safe}]",
        f"cert_file = {quoted(str(certificate.absolute()))}",
        f"key_file = {quoted(str(key.absolute()))}",
    ]


def quoted(text: str) -> str:
    """Text as a TOML string."""
    import tomlkit

    return tomlkit.item(text).as_string()


def warn_of_end(line: CommandLine, ends: datetime, days: int, now: datetime) -> None:
    """Say on stderr that a certificate does not live as long as it was asked to."""
    from datetime import timedelta

    if ends < now + timedelta(days=days):
        line.say(
            f"it is valid until {ends:%Y-%m-%d} only, not for {days} days: then the authority ends"
        )
