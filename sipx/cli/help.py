"""``sipx help``: of a command, and the pages of the documentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.command()
@click.argument("topic", nargs=-1)
@click.option("--page", is_flag=True, help="Show a page of the documentation; alone: list them.")
@command_options
@click.pass_context
def help(ctx: click.Context, topic: tuple[str, ...], page: bool) -> None:  # noqa: A001  # the command's name
    """Show the help of a command, or a page of the documentation.

    Where there are both, as with `dns`, --page shows the page.
    """
    line = ctx.ensure_object(CommandLine)
    if page and not topic:
        _list(line)
        return
    command = None if page else _command(ctx, topic)
    if command is None:
        _show(ctx, line, topic, page=page)
        return
    text = command.command.get_help(command)
    line.result({"command": command.command_path, "help": text}, text)


def _command(ctx: click.Context, topic: Sequence[str]) -> click.Context | None:
    """The command that these words name; None where there is none."""
    above = ctx.find_root()
    command = above.command
    for word in topic:
        inner = command.get_command(above, word) if isinstance(command, click.Group) else None
        if inner is None:
            return None
        above = click.Context(inner, info_name=word, parent=above)
        command = inner
    return above


def _show(ctx: click.Context, line: CommandLine, topic: Sequence[str], *, page: bool) -> None:
    from sipx.config.errors import did_you_mean
    from sipx.manual import pages, text_of

    there = [one.topic for one in pages()]
    name = " ".join(topic)
    if name in there:
        text = text_of(name)
        line.result({"topic": name, "markdown": text}, text.rstrip())
        return
    meant = did_you_mean(name, there) or "`sipx help --page` lists the pages"
    if page:
        raise line.failed(f"there is no page '{name}'; {meant}", ExitCode.WRONG_USE)
    raise click.UsageError(f"there is no command and no page '{name}'; {meant}", ctx)


def _list(line: CommandLine) -> None:
    from sipx.manual import pages

    found = pages()
    rows = [(one.topic, one.title) for one in found]
    line.result({"pages": [one._asdict() for one in found]}, line.table(("page", "title"), rows))
