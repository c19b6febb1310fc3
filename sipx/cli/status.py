"""``sipx status``: what the running service does, and what is wrong with it."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sipx.cli.command_line import CommandLine, json_text
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.live import Live

    from sipx.control.client import Client
    from sipx.status import ProxyStatus


@click.command()
@click.option("--watch", is_flag=True, help="Show it again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    help="Seconds between two looks of --watch.",
)
@click.option("--quiet", is_flag=True, help="Nothing but the exit code.")
@live_options
@click.pass_obj
def status(line: CommandLine, watch: bool, interval: float, quiet: bool) -> None:
    """What the running service does, and what is wrong with it.

    Service, interfaces, flows, transactions, plugins, certificates, what plugins add (such as
    routes), messages and refusals by reason, then every problem with its remedy. The exit code is
    0 when nothing is wrong, 1 when something is, 4 when no service runs. --watch draws it anew on
    a terminal; with --json it writes one document per line.
    """
    if watch and quiet:
        raise click.UsageError("--watch and --quiet exclude each other")
    if watch:
        with _until_interrupted():
            _stream(line, interval) if line.json else _draw(line, interval)
        return
    with line.control() as client:
        found = _ask(client)
    if not quiet:
        from sipx.cli.status_text import status_lines
        from sipx.cli.tables import terminal_width

        line.result(found.model_dump(mode="json"), status_lines(found, terminal_width()))
    raise click.exceptions.Exit(ExitCode.DONE if found.healthy else ExitCode.BAD_ANSWER)


def _ask(client: Client) -> ProxyStatus:
    from sipx.status import ProxyStatus

    return client.call("status", None, ProxyStatus)


# ---------------------------------------------------------------- --watch


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C is the way to end it, and no failure."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(ExitCode.DONE) from None


def _stream(line: CommandLine, interval: float) -> None:
    """One document per line, until the service goes: exit code 4 then."""
    with line.control() as client:
        while True:
            click.echo(json_text(_ask(client).model_dump(mode="json")))
            sys.stdout.flush()
            time.sleep(interval)


def _draw(line: CommandLine, interval: float) -> None:
    """Drawn anew again and again; a service that goes is waited for."""
    from rich.console import Console
    from rich.live import Live

    if not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal, or --json")
    console = Console(highlight=False)
    with line.control() as client:
        _ask(client)  # without a service from the start there is nothing to watch
    with Live(console=console, auto_refresh=False, screen=True) as live:
        while True:
            try:
                with line.control() as client:
                    while True:
                        _show(live, _ask(client), console.width)
                        time.sleep(interval)
            except Failed as failure:
                if failure.exit_code != ExitCode.UNREACHABLE:
                    raise
                _tell(live, failure.message)
                time.sleep(max(interval, 1.0))


def _show(live: Live, found: ProxyStatus, width: int) -> None:
    from rich.text import Text

    from sipx.cli.status_text import status_lines

    text = Text("\n").join(Text.from_ansi(line) for line in status_lines(found, width))
    text.no_wrap, text.overflow = True, "ellipsis"
    live.update(text, refresh=True)


def _tell(live: Live, message: str) -> None:
    from rich.text import Text

    live.update(Text(f"{message}\n\ntrying again; Ctrl-C ends"), refresh=True)
