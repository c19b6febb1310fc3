"""``sipx run``: the kernel under trio, its signals, and what is said when it has started."""

from __future__ import annotations

import errno
import gc
import logging
import os
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli.command_line import CommandLine, command_options, stderr_is_terminal
from sipx.cli.exits import ExitCode, Failed, failure_of

if TYPE_CHECKING:
    import trio

    from sipx.config.load import Settings
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel
    from sipx.logs import Logs

log = logging.getLogger("sipx.run")

GC_THRESHOLD: Final = (500_000, 50, 100)
"""Allocations until the collector looks at the youngest objects, and how rarely at older ones."""


@click.command()
@command_options
@click.pass_obj
def run(line: CommandLine) -> None:
    """Run the proxy in the foreground.

    TERM and INT (Ctrl-C) let what is under way finish, within service.stop_timeout, and end with
    exit code 0; a second one ends at once. The log goes to stderr; with --json the start summary
    is one document on stdout. Where no interface at all can listen, nothing is started: exit
    code 6, or 5 where only the right to do it is missing. Where some can, the others are tried
    again and again.
    """
    settings = line.settings(aloud=True)
    import trio

    from sipx.logs import Logs

    logs = Logs(
        settings.kernel.log,
        sys.stderr,
        terminal=stderr_is_terminal(),
        color=line.wants_color(sys.stderr),
    )
    with logs:
        try:
            trio.run(partial(_serve, line, settings, logs))
        except Failed:
            raise
        except (Exception, BaseExceptionGroup) as error:
            raise failure_of(error) from error


async def _serve(line: CommandLine, settings: Settings, logs: Logs) -> None:
    """From the first plugin to the last transaction. Raises Failed."""
    import warnings

    import trio
    from cryptography.utils import CryptographyDeprecationWarning

    from sipx.control.kernel import serve_control
    from sipx.control.logs import LogMethods
    from sipx.kernel import Kernel

    # What is odd about a stranger's certificate is no line for our stderr.
    warnings.simplefilter("ignore", CryptographyDeprecationWarning)
    kernel = Kernel(settings, line.registry)
    logs.attach(kernel)
    ends = _Ends(kernel)
    async with trio.open_nursery() as nursery:
        ends.scope = nursery.cancel_scope
        await nursery.start(ends.listen)
        await nursery.start(serve_control, kernel, LogMethods(logs).methods())
        await nursery.start(ends.run_kernel)
        failure = _nothing_listens(kernel)
        if failure is None:
            _tell_start(line, settings, kernel)
            settle_memory()
        else:
            ends.failure = failure
            nursery.cancel_scope.cancel()
    if ends.failure is not None:
        raise ends.failure


class _Ends:
    """How the process comes to its end: the kernel stops, or a signal wants it to."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.failure: Failed | None = None
        self.scope: trio.CancelScope | None = None

    async def run_kernel(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Run the kernel; when it has ended, all is over."""
        await self.kernel.run(task_status=task_status)
        self._end()

    async def listen(self, *, task_status: trio.TaskStatus[None]) -> None:
        """The first TERM or INT drains, the second ends at once."""
        import trio

        asked = False
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if asked:
                    interrupted = number == signal.SIGINT
                    code = ExitCode.INTERRUPTED if interrupted else ExitCode.TERMINATED
                    self.failure = Failed("ended before everything was finished", code)
                    self._end()
                    return
                asked = True
                log.info("stopping: what is under way may finish; a second signal ends at once")
                self.kernel.stop()

    def _end(self) -> None:
        assert self.scope is not None
        self.scope.cancel()


def _nothing_listens(kernel: Kernel) -> Failed | None:
    """Why the process is of no use: none of its interfaces listens."""
    enabled = [interface for interface in kernel.interfaces.all if interface.enabled]
    if kernel.interfaces.listening():
        return None
    if not enabled:
        return Failed(
            "no interface is switched on: add an [interface.NAME] or set enabled = true",
            ExitCode.NOT_STARTED,
        )
    words = [
        f"interface {i.name}: cannot listen on {i.bind} port {i.port} ({i.protocol}): {i.reason}"
        for i in enabled
    ]
    denied = {os.strerror(errno.EACCES), os.strerror(errno.EPERM)}
    if all(interface.reason in denied for interface in enabled):
        words.append(
            "ports below 1024 need a right: take a higher port, or give the process "
            "CAP_NET_BIND_SERVICE"
        )
        return Failed("\n".join(words), ExitCode.NOT_PERMITTED)
    certificates = _for_a_certificate(kernel, enabled)
    advice = []
    if certificates:
        advice.append("`sipx check certs` tells what is wrong with the certificates")
    if len(certificates) < len(enabled):
        advice.append("`sipx check ports` tells who has the addresses")
    words.append(f"no interface can listen; {'; '.join(advice)}")
    return Failed("\n".join(words), ExitCode.NOT_STARTED)


def _for_a_certificate(kernel: Kernel, failed: list[Interface]) -> list[Interface]:
    """Those whose reason is a certificate, or the authorities of [trust], that cannot be used."""
    errors = [state.error for state in kernel.certificates.states() if state.error is not None]
    errors += [error for _, error in kernel.certificates.trust_errors()]
    return [i for i in failed if any(error.text in i.reason for error in errors)]


def settle_memory() -> None:
    """What is there after the start stays: the collector need not look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


# ---------------------------------------------------------------- the start summary


def _tell_start(line: CommandLine, settings: Settings, kernel: Kernel) -> None:
    """Say what runs now: JSON on stdout; else on stderr for people, or as a line of the log."""
    found = summary(settings, kernel)
    if line.json:
        line.result(found, "")
        sys.stdout.flush()
        return
    if not stderr_is_terminal():
        log.info("started", extra=_in_words(found))
        return
    rows = [
        (
            i["name"],
            i["status"],
            i["protocol"],
            f"{i['address'] or i['bind']} port {i['port']}",
            i["reason"],
        )
        for i in found["interfaces"]
    ]
    for text in (
        f"domains: {', '.join(found['domains'])}",
        f"plugins: {', '.join(found['plugins']) or 'none'}",
        *line.table(("interface", "status", "protocol", "address", ""), rows),
    ):
        line.say(text)


def _in_words(found: dict[str, Any]) -> dict[str, str]:
    """The summary as the fields of a log line."""
    interfaces = (
        f"{i['name']} {i['status']} {i['protocol']} {i['address'] or i['bind']} port {i['port']}"
        + (f" ({i['reason']})" if i["reason"] else "")
        for i in found["interfaces"]
    )
    return {
        "domains": ", ".join(found["domains"]),
        "plugins": ", ".join(found["plugins"]),
        "interfaces": "; ".join(interfaces),
    }


def summary(settings: Settings, kernel: Kernel) -> dict[str, Any]:
    """What runs: the file, the domains, the plugins, and each interface with its status."""
    return {
        "config": str(settings.path.absolute()),
        "pid": os.getpid(),
        "domains": list(settings.kernel.domains),
        "plugins": list(kernel.hooks.plugins()),
        "interfaces": [
            {
                "name": interface.name,
                "protocol": interface.protocol,
                "role": interface.role,
                "bind": interface.bind,
                "status": interface.status.value,
                "reason": interface.reason,
                "address": interface.address[0] if interface.address else None,
                "port": interface.address[1] if interface.address else interface.port,
            }
            for interface in kernel.interfaces.all
        ],
    }
