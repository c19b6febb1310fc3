"""``sipx demo``."""

from __future__ import annotations

import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode, Failed, failure_of, leaves

if TYPE_CHECKING:
    from sipx.demo.stage import Ended


LENGTH: Final = 20.0
"""Seconds of a show, if nothing else is said."""


def _length(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    if value is not None and 0 < value < 1:
        raise click.BadParameter("at least 1, or 0 for a show without end")
    return value


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    callback=_length,
    help=f"How long it lasts; 0: until Ctrl-C. Without it {LENGTH:.0f}, or until Ctrl-C where a "
    "browser is opened.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0.1, max=100),
    default=2.0,
    show_default=True,
    help="Instant messages per second.",
)
@click.option("--no-browser", is_flag=True, help="Only print the link to the console.")
@click.option("-q", "--quiet", is_flag=True, help="Only the summary, not the traffic.")
@click.option(
    "--show-config", is_flag=True, help="Print the configuration of one of the proxies instead."
)
@command_options
@click.pass_obj
def demo(
    line: CommandLine,
    seconds: float | None,
    rate: float,
    no_browser: bool,
    quiet: bool,
    show_config: bool,
) -> None:
    """Show two domains in open federation, all on this machine.

    Two proxies run on free loopback ports, one for each domain, with the plugins tcp, tls, lan,
    registrar and open-federation. Neither is configured for the other: they find each other in a
    DNS server that runs here too, and believe each other by certificates that are made on the fly.
    UC servers log on with their passwords and register their users, two of them in one domain.
    The users subscribe to presence, write messages and call; every message is shown as it arrives.
    One of the UC servers is stopped and comes back: one of its users is served by the other
    meanwhile, one cannot be reached. A stranger with a good certificate says that he is somebody
    else, and is refused. Where the plugin monitor is installed, the web console of the first proxy
    is opened on all this, or its link is printed, and `sipx monitor` can watch it from another
    terminal. Nothing is left on disk.

    Exit code 0 only if all that was sent arrived, as it was sent, where it had to, and the proxies
    answered and refused what they had to. Ctrl-C ends the show early, with its summary. With
    --json the traffic goes to stderr.
    """
    if line.config is not None:
        raise click.UsageError("the demo has a configuration of its own; --show-config prints it")
    import trio

    from sipx.demo import stage, summary

    if show_config:
        import tomllib

        text = trio.run(stage.configuration_now, line.registry)
        line.result(tomllib.loads(text), text.rstrip("\n"))
        return
    browser = _opens_browser(line, no_browser=no_browser, quiet=quiet)
    length = seconds if seconds is not None else 0.0 if browser else LENGTH
    ended = _played(line, length, rate, quiet=quiet, browser=browser)
    if line.json:
        line.result(summary.as_data(ended), "")
    if not summary.is_complete(ended):
        raise Failed("not all that was sent was delivered", ExitCode.BAD_ANSWER)


def _opens_browser(line: CommandLine, *, no_browser: bool, quiet: bool) -> bool:
    from sipx.demo import console

    if no_browser or quiet or line.json:
        return False
    return console.is_installed(line.registry) and console.has_display(sys.stdout)


def _played(line: CommandLine, seconds: float, rate: float, *, quiet: bool, browser: bool) -> Ended:
    """The show, on stdout or, where JSON is wanted there, on stderr. Raises Failed."""
    import trio

    from sipx.demo import stage, summary
    from sipx.demo.view import View, Warnings, console_on

    stream = sys.stderr if line.json else sys.stdout
    console = console_on(stream, color=line.wants_color(stream))
    view = View(console, seconds=seconds)
    log, warnings = logging.getLogger("sipx"), Warnings(view)
    log.addHandler(warnings)
    try:
        if not quiet:
            console.print(summary.introduction())
        shown = None if quiet else view
        play = partial(stage.play, seconds=seconds, rate=rate, browser=browser)
        ended = trio.run(play, line.registry, shown)
        if not line.json:
            console.print(summary.as_text(ended))
    except BaseException as error:
        # Who reads us through a pipe has gone: rich ends the program, trio wraps that up.
        if any(isinstance(one, SystemExit) for one in leaves(error)):
            raise SystemExit(1) from None
        if isinstance(error, (Exception, BaseExceptionGroup)):
            raise failure_of(error) from error
        raise
    finally:
        log.removeHandler(warnings)
    return ended
