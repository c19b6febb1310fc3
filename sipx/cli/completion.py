"""``sipx completion``, and what completes from the configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem, get_completion_class

from sipx.cli.command_line import CommandLine, command_options

if TYPE_CHECKING:
    from collections.abc import Iterable

SHELLS: Final = ("bash", "zsh", "fish")
_INSTALL: Final = {
    "bash": "sipx completion bash > ~/.local/share/bash-completion/completions/sipx",
    "zsh": "sipx completion zsh > a file named _sipx in a directory of $fpath",
    "fish": "sipx completion fish > ~/.config/fish/completions/sipx.fish",
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
@command_options
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script for a shell.

    Domains of routes and names of interfaces complete from the configuration file in use.
    """
    line = ctx.ensure_object(CommandLine)
    found = get_completion_class(shell)
    assert found is not None
    script = found(ctx.find_root().command, {}, "sipx", "_SIPX_COMPLETE").source()
    line.result({"shell": shell, "script": script, "install": _INSTALL[shell]}, script)


def interface_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The tables [interface.NAME] of the file in use."""
    tables = ctx.ensure_object(CommandLine).configured().get("interface")
    return items(tables if isinstance(tables, dict) else (), incomplete)


def items(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """The words that begin with what was typed."""
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]
