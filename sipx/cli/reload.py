"""``sipx reload``: the running service takes up its configuration file as it is now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options
from sipx.escaping import escaped

if TYPE_CHECKING:
    from sipx.cli.command_line import CommandLine
    from sipx.control.errors import ControlError

TIMEOUT: Final = 120.0
"""Seconds that a reload may take: listeners drain, certificates and names are looked up."""
_RUNS_ON: Final = "the old configuration runs on"


@click.command()
@click.option("--plan", is_flag=True, help="Only tell what a reload would do.")
@live_options
@click.pass_obj
def reload(line: CommandLine, plan: bool) -> None:
    """Let the running service take up its configuration file as it is now.

    It tells what has changed. When the file is not valid (exit code 3), or the service cannot take
    it up (1), everything stays as it was, and every problem is told with its line.
    """
    from sipx.control.errors import ControlError
    from sipx.reload import Plan

    with line.control() as client:
        try:
            method = "reload.plan" if plan else "reload"
            found = client.call(method, None, Plan, timeout=TIMEOUT)
        except ControlError as error:
            raise _failed(error) from error
    lines = found.lines() or ["nothing is different"]
    done = {"reloaded": not plan, "plan": found.model_dump(mode="json")}
    line.result(done, [escaped(text) for text in lines])


def _failed(error: ControlError) -> Failed:
    code = ExitCode.CONFIGURATION if error.kind == "configuration" else ExitCode.BAD_ANSWER
    return Failed(f"{escaped(error.text, lines=True)}\nnot reloaded; {_RUNS_ON}", code)
