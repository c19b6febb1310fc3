"""``sipx help``."""

from __future__ import annotations

import click

from sipx.cli.command_line import CommandLine, command_options


@click.command()
@click.argument("topic", nargs=-1)
@command_options
@click.pass_context
def help(ctx: click.Context, topic: tuple[str, ...]) -> None:  # noqa: A001  # the command's name
    """Show the help of a command."""
    line = ctx.ensure_object(CommandLine)
    above = ctx.find_root()
    command = above.command
    for word in topic:
        inner = command.get_command(above, word) if isinstance(command, click.Group) else None
        if inner is None:
            raise click.UsageError(f"there is no command '{' '.join(topic)}'", ctx)
        above = click.Context(inner, info_name=word, parent=above)
        command = inner
    line.result(
        {"command": above.command_path, "help": command.get_help(above)}, command.get_help(above)
    )
