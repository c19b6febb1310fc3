"""``sipx stop``: the running process ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from sipx.cli.command_line import CommandLine


@click.command()
@click.option("--now", is_flag=True, help="Do not wait for what is under way.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 86_400),
    default=120.0,
    show_default=True,
    help="Seconds that its end is waited for.",
)
@live_options
@click.pass_obj
def stop(line: CommandLine, now: bool, timeout: float) -> None:
    """End the running process, and wait until it has ended.

    What is under way may finish within service.stop_timeout. A service manager that was told to
    keep sipx running starts it again: then stop it there.
    """
    with line.control() as client:
        pid = client.pid
        client.call_json("process.stop", {"now": now})
        if not client.wait_for_end(timeout):
            raise Failed(
                f"the process {pid} has not ended within {timeout:g} s; --now ends it at once",
                ExitCode.BAD_ANSWER,
            )
    line.result({"stopped": True, "pid": pid}, f"the process {pid} has ended")
