"""``sipx``: the list of commands. Their modules are imported when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode, Failed, failure_of, is_closed_pipe, unwritable

if TYPE_CHECKING:
    from collections.abc import Iterable


class Place(NamedTuple):
    """Where a command is, and its line in the help, which is the first of its docstring."""

    module: str
    help: str


COMMANDS: Final = {
    "demo": Place("sipx.cli.demo", "Show two domains in open federation, all on this machine."),
    "init": Place("sipx.cli.init", "Write a commented configuration file to begin with."),
    "check": Place("sipx.cli.check", "Look for what is wrong before a partner does."),
    "run": Place("sipx.cli.run", "Run the proxy in the foreground."),
    "status": Place("sipx.cli.status", "What the running service does, and what is wrong with it."),
    "transactions": Place("sipx.cli.transactions", "The running transactions, or one of them."),
    "flows": Place("sipx.cli.flows", "The open flows, or one of them."),
    "log": Place("sipx.cli.log", "The log of the running service: lines, levels, files."),
    "reload": Place(
        "sipx.cli.reload", "Let the running service take up its configuration file as it is now."
    ),
    "stop": Place("sipx.cli.stop", "End the running process, and wait until it has ended."),
    "service": Place(
        "sipx.cli.service", "Start and stop the proxy; install it as a service of the system."
    ),
    "config": Place("sipx.cli.config", "The configuration: show, set, edit, check, compare, undo."),
    "interfaces": Place(
        "sipx.cli.interfaces", "The network interfaces: list, add, change, remove."
    ),
    "plugins": Place(
        "sipx.cli.plugins", "What is installed, what is switched on, who has which hook."
    ),
    "cert": Place("sipx.cli.cert", "Certificates: list, show, request, import, an authority."),
    "dns": Place(
        "sipx.cli.dns", "The records that partners find us by, and how the proxy resolves."
    ),
    "probe": Place(
        "sipx.cli.probe", "Send OPTIONS to URI the way a message would go, and explain the answer."
    ),
    "control": Place(
        "sipx.cli.control", "The control API: its methods, their schema, calling them."
    ),
    "version": Place("sipx.cli.version", "The version of sipx, and of what it runs on."),
    "completion": Place("sipx.cli.completion", "Print the completion script for a shell."),
    "help": Place("sipx.cli.help", "Show the help of a command, or a page of the documentation."),
}
"""In the order in which a newcomer needs them. Each module has a command of its own name."""


class Root(click.Group):
    """Own commands by the table above, then those of plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands; the plugins' behind the own ones."""
        return [*COMMANDS, *(listed.name for listed in self._of_plugins(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now."""
        place = COMMANDS.get(cmd_name)
        if place is not None:
            command: click.Command = getattr(import_module(place.module), cmd_name)
            return command
        from sipx.cli import plugin_commands

        return plugin_commands.find(ctx.ensure_object(CommandLine), cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of the first argument; of an unknown one, which was meant."""
        name = args[0]
        if not name.startswith("-") and not ctx.resilient_parsing:
            command = self.get_command(ctx, name)
            if command is None:
                from sipx.config.errors import did_you_mean

                meant = did_you_mean(name, self.list_commands(ctx)) or _unlisted(ctx, name)
                ctx.fail(f"there is no command '{name}'" + (f"; {meant}" if meant else ""))
            return name, command, args[1:]
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The own commands, and in a section of their own those of plugins."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])
        listed = self._of_plugins(ctx)
        if listed:
            with formatter.section("Plugin commands"):
                formatter.write_dl([(c.name, f"{c.help} ({c.plugin})") for c in listed])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; every way to fail ends in words and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            raise Failed("interrupted", ExitCode.INTERRUPTED) from None
        except (Exception, BaseExceptionGroup) as error:
            if is_closed_pipe(error):
                raise
            raise failure_of(error) from error

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run the command line; help that cannot be written out is told in words, too."""
        try:
            return super().main(*args, **extra)
        except OSError as error:
            if error.filename is not None or is_closed_pipe(error):
                raise
            said = unwritable(error)
            said.show()
            raise SystemExit(said.exit_code) from error

    def _of_plugins(self, ctx: click.Context) -> Iterable[Any]:
        from sipx.cli import plugin_commands

        own = set(COMMANDS)
        return [
            c for c in plugin_commands.listing(ctx.ensure_object(CommandLine)) if c.name not in own
        ]


def _unlisted(ctx: click.Context, name: str) -> str:
    """Which plugins may bring a command; they are not listed, and so not asked."""
    from sipx.cli import plugin_commands

    line = ctx.ensure_object(CommandLine)
    listed = plugin_commands.plugin_names(line)
    there = [each.name for each in line.registry.installed() if each.name not in listed]
    there = [each for each in there if name in each] or there
    if not there:
        return ""
    return (
        f"commands of plugins that are not listed are not known: {', '.join(there)}; "
        f"`sipx plugins enable {there[0] if len(there) == 1 else 'NAME'}` lists one"
    )


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version

        click.echo(f"sipx {version('sipx-proxy')}")
        ctx.exit()


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    help="Show the version and exit.",
)
@command_options
def sipx() -> None:
    """A SIP federation proxy.

    Results go to stdout, everything else to stderr. Every command takes --json.
    """
