"""``sipx init``: a configuration file to begin with."""

from __future__ import annotations

import os
from pathlib import Path

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.config_file import FILE_NAME
from sipx.cli.exits import ExitCode, Failed


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path(FILE_NAME))
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--domain", default="example.com", show_default=True, help="Your presence domain.")
@click.option(
    "--server",
    multiple=True,
    metavar="HOST",
    help="The UC server of that domain: an address or name. May be given several times.",
)
@command_options
@click.pass_obj
def init(line: CommandLine, path: Path, force: bool, domain: str, server: tuple[str, ...]) -> None:
    """Write a commented configuration file to begin with.

    PATH is a file or a directory, ./sipx.toml without it. What is written runs on this machine
    without root, listens on port 5060, and names every key with its meaning and its default.
    """
    from sipx.cli.template import template

    if path.is_dir():
        path /= FILE_NAME
    _check_arguments(domain, server)
    text = template(line.registry, domain, server)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text, force=force)
    except FileExistsError:
        raise Failed(f"{path} is there already; --force overwrites it", ExitCode.BAD_ANSWER) from (
            None
        )
    except OSError as error:
        denied = isinstance(error, PermissionError)
        code = ExitCode.NOT_PERMITTED if denied else ExitCode.BAD_ANSWER
        raise Failed(f"{path} cannot be written: {error.strerror}", code) from error
    shown = "" if path == Path(FILE_NAME) else f" --config {path}"
    steps = [
        f"edit {path}: your domains, your UC servers, your partners",
        f"sipx check{shown}",
        f"sipx run{shown}",
    ]
    line.result(
        {"path": str(path.absolute()), "domain": domain, "next": steps},
        [f"{path} is written. Next:", *(f"  {step}" for step in steps)],
    )


def _check_arguments(domain: str, servers: tuple[str, ...]) -> None:
    """What the file would be refused for is refused here."""
    from sipx.domains import canonical_domain

    for option, value in (("--domain", domain), *(("--server", server) for server in servers)):
        try:
            canonical_domain(value)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=option) from None


def _write(path: Path, text: str, *, force: bool) -> None:
    """The whole file or nothing; another's file is replaced only with ``force``."""
    if not force:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
        return
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
