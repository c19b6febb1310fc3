"""What the commands have in common that ask a running service."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sipx.cli.command_line import CommandLine, command_options

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def _set_socket(ctx: click.Context, param: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.ensure_object(CommandLine).socket = value


def live_options(function: F) -> F:
    """Give a command ``--socket`` and the options of every command."""
    return socket_option(command_options(function))


def socket_option(function: F) -> F:
    """Give a command ``--socket``."""
    option = click.option(
        "--socket",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        callback=_set_socket,
        expose_value=False,
        help="The control socket of the service.",
    )
    return option(function)


def lasting(seconds: float | None) -> str:
    """A length of time in two units at most, one where that says it all; "" for none."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} days {hours} h"


def moment(seconds: float) -> str:
    """Seconds since 1970 as date and time of where this runs."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
