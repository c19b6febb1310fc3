"""``sipx run``: the kernel under trio, and around it what must be up first and down last."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from sipx.cli.command_line import CommandLine, command_options, stderr_is_terminal
from sipx.cli.exits import ExitCode, Failed, failure_of
from sipx.cli.summary import NO_INTERFACE, nothing_listens, tell_start

if TYPE_CHECKING:
    import trio

    from sipx.config.load import Settings
    from sipx.kernel import Kernel
    from sipx.logs import Logs

GC_THRESHOLD: Final = (500_000, 50, 100)
"""Allocations until the collector looks at the youngest objects, and how rarely at older ones."""


@click.command()
@click.option("--check-only", is_flag=True, help="Make everything ready, and start nothing.")
@command_options
@click.pass_obj
def run(line: CommandLine, check_only: bool) -> None:
    """Run the proxy in the foreground.

    TERM and INT (Ctrl-C) let what is under way finish, within service.stop_timeout, and end with
    exit code 0; a second one ends at once. HUP reads the configuration file again and applies
    it, USR1 opens log files anew. The log goes to stderr; with --json the start summary is one
    document on stdout. Where no interface at all can listen, nothing is started: exit code 6, or
    5 where only the right to do it is missing. Where some can, the others are tried again and
    again.
    """
    if check_only:
        _check_only(line)
        return
    settings = line.settings(aloud=True)
    import trio

    from sipx.logs import Logs

    logs = Logs(
        settings.kernel.log,
        sys.stderr,
        terminal=stderr_is_terminal(),
        color=line.wants_color(sys.stderr),
    )
    try:
        with logs:
            try:
                trio.run(partial(_serve, line, settings, logs))
            except Failed:
                raise
            except (Exception, BaseExceptionGroup) as error:
                raise failure_of(error) from error
    finally:
        if logs.stuck:
            _leave_stderr()


def _leave_stderr() -> None:
    """Nobody reads it, or a disk hangs: whoever waited for it at the end would never end."""
    sys.stderr = None  # as it is where there is none
    atexit.unregister(logging.shutdown)


def _check_only(line: CommandLine) -> None:
    """As far as a start comes without taking an address: the file, the plugins, the interfaces."""
    path = line.config_path()
    with line.dry_run() as dry:
        names = [interface.name for interface in dry.interfaces]
    if not names:
        raise Failed(NO_INTERFACE, ExitCode.NOT_STARTED)
    line.result(
        {"config": str(path.absolute()), "interfaces": names},
        f"{path} can be run; interfaces: {', '.join(names)}",
    )


async def _serve(line: CommandLine, settings: Settings, logs: Logs) -> None:
    """From the first plugin to the last transaction. Raises Failed."""
    import warnings

    import trio
    from cryptography.utils import CryptographyDeprecationWarning

    from sipx.cli.signals import Signals
    from sipx.control.kernel import serve_control
    from sipx.control.logs import LogMethods
    from sipx.kernel import Kernel
    from sipx.systemd import Notifier, in_one_line, keep_telling

    # What is odd about a stranger's certificate is no line for our stderr.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    notifier = Notifier()
    if notifier.watchdog:
        # The manager ends a process that hangs with ABRT: the log then says where it was.
        faulthandler.enable()
    kernel = Kernel(settings, line.registry)
    logs.attach(kernel)
    signals = Signals(kernel, logs, notifier, terminal=stderr_is_terminal, say=line.say)
    async with trio.open_nursery() as process:
        await process.start(signals.listen, process.cancel_scope)
        await process.start(serve_control, kernel, LogMethods(logs).methods())
        await process.start(_run_kernel, kernel, process.cancel_scope)
        signals.failure = None if kernel.ending else nothing_listens(kernel)
        if signals.failure is None:
            tell_start(line, settings, kernel)
            settle_memory()
            notifier.ready(in_one_line(kernel))
            process.start_soon(keep_telling, notifier, kernel)
            process.start_soon(signals.keep_reloading)
        else:
            process.cancel_scope.cancel()
    if signals.failure is not None:
        raise signals.failure


async def _run_kernel(
    kernel: Kernel, scope: trio.CancelScope, *, task_status: trio.TaskStatus[None]
) -> None:
    """Run the kernel; when it has ended, all is over."""
    await kernel.run(task_status=task_status)
    scope.cancel()


def settle_memory() -> None:
    """What is there after the start stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)
