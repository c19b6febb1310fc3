"""``sipx stop``: the running process ends."""

from __future__ import annotations

import os
import select
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.client import Client


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
    with line.control() as client, _end_of(client) as ended:
        pid = client.pid
        client.call_json("process.stop", {"now": now})
        if not ended(timeout):
            raise Failed(
                f"the process {pid} has not ended within {timeout:g} s; --now ends it at once",
                ExitCode.BAD_ANSWER,
            )
    line.result({"stopped": True, "pid": pid}, f"the process {pid} has ended")


@contextmanager
def _end_of(client: Client) -> Iterator[Callable[[float], bool]]:
    """What waits for the end of the process, or of the connection where the process is not one
    that can be seen from here (another container).
    """
    try:
        process = os.pidfd_open(client.pid)
    except (AttributeError, OSError):
        yield client.wait_for_end
        return
    try:
        yield lambda timeout: bool(select.select([process], [], [], timeout)[0])
    finally:
        os.close(process)
