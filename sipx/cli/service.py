"""``sipx service``: the proxy service inside the running process, and the process in its unit.

Who answers on the control socket is asked first: that stops and starts the proxy and leaves the
process, its log and its commands alone. The service manager is for the process as a whole.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli import systemctl
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options
from sipx.cli.service_install import install, uninstall
from sipx.escaping import escaped

if TYPE_CHECKING:
    from sipx.cli.command_line import CommandLine
    from sipx.cli.systemctl import Systemctl, UnitState
    from sipx.control.client import Client
    from sipx.status import ProxyStatus

PATIENCE: Final = 86_400.0
"""Seconds that the drain of a running service may take; it says itself how long it waits."""

PROCESS = click.option("--process", is_flag=True, help="The whole process, not only the proxy.")
NOW = click.option("--now", is_flag=True, help="Do not wait for what is under way.")


@click.group()
def service() -> None:
    """Start and stop the proxy; install it as a service of the system."""


service.add_command(install)
service.add_command(uninstall)


@service.command()
@PROCESS
@live_options
@click.pass_obj
def start(line: CommandLine, process: bool) -> None:
    """Start the proxy service.

    In the running process, after `sipx service stop`; where none runs, through the service
    manager that has the unit sipx.service. Returns when every interface was tried.
    """
    with ExitStack() as stack:
        client = _client(line, stack)
        if client is not None and process:
            _tell(line, "start", f"the process {client.pid} runs already")
        elif client is not None:
            _tell(line, "start", _call(client, "service.start"))
        else:
            manager, _ = _unit(line)
            manager.tell("start", systemctl.UNIT)
            _tell(line, "start", f"{systemctl.UNIT} ({manager.name}) is started")


@service.command()
@PROCESS
@NOW
@live_options
@click.pass_obj
def stop(line: CommandLine, process: bool, now: bool) -> None:
    """Stop the proxy service, and let the process stay.

    What is under way may finish within service.stop_timeout; then no interface listens any more,
    and `sipx service start` begins again. With --process the process ends, through its service
    manager where it has one. Where no process answers, its unit is stopped.
    """
    with ExitStack() as stack:
        client = _client(line, stack)
        found = _manager_of(client) if process or client is None else None
        if client is not None and found is None:
            if process:
                text = _call(client, "process.stop", now=now)
                client.wait_for_end(PATIENCE)
            else:
                text = _call(client, "service.stop", now=now)
            _tell(line, "stop", text)
            return
        manager, _ = found or _unit(line)
        if now and client is not None:
            _call(client, "process.stop", now=True)
        manager.tell("stop", systemctl.UNIT)
        _tell(line, "stop", f"{systemctl.UNIT} ({manager.name}) is stopped")


@service.command()
@PROCESS
@NOW
@live_options
@click.pass_obj
def restart(line: CommandLine, process: bool, now: bool) -> None:
    """Stop the proxy service and start it again.

    In the running process, or with --process the process, which its service manager has to start
    again. Returns when every interface was tried. What a changed configuration needs is
    `sipx reload`.
    """
    with ExitStack() as stack:
        client = _client(line, stack)
        found = _manager_of(client) if process or client is None else None
        if client is not None and found is None:
            if process:
                raise Failed(
                    f"the process {client.pid} belongs to no service manager that could start it "
                    "again: `sipx service stop --process`, then start it as it was started",
                    ExitCode.BAD_ANSWER,
                )
            _tell(line, "restart", _call(client, "service.restart", now=now))
            return
        manager, _ = found or _unit(line)
        manager.tell("restart", systemctl.UNIT)
        _tell(line, "restart", f"{systemctl.UNIT} ({manager.name}) is started again")


@service.command()
@live_options
@click.pass_obj
def status(line: CommandLine) -> None:
    """The unit, the process, and the proxy service in it.

    Exit code 0 when the proxy runs, 1 when there is only a process, 4 when there is none.
    """
    from sipx.status import ProxyStatus

    with ExitStack() as stack:
        client = _client(line, stack)
        found = client.call("status", None, ProxyStatus) if client is not None else None
    installed = systemctl.installed()
    unit = installed[1] if installed is not None else None
    line.result(
        {
            "unit": unit._asdict() if unit is not None else None,
            "process": _process(found) if found is not None else None,
            "proxy": found.service.state if found is not None else None,
        },
        line.table(("", ""), [("unit", _unit_words(unit)), *_words(found)])[1:],
    )
    if found is None:
        raise SystemExit(ExitCode.UNREACHABLE)
    if found.service.state != "running":
        raise SystemExit(ExitCode.BAD_ANSWER)


# ---------------------------------------------------------------- who is told


def _client(line: CommandLine, stack: ExitStack) -> Client | None:
    """The running process; None where none answers. Raises Failed where it may not be asked."""
    try:
        return stack.enter_context(line.control())
    except Failed as failure:
        if failure.exit_code != ExitCode.UNREACHABLE:
            raise
        return None


def _manager_of(client: Client | None) -> tuple[Systemctl, UnitState] | None:
    """The manager whose unit runs this process, or, without one, that has a unit at all."""
    found = systemctl.installed()
    if found is None or client is None or found[1].pid == client.pid:
        return found
    return None


def _unit(line: CommandLine) -> tuple[Systemctl, UnitState]:
    """The manager that has the unit. Raises Failed."""
    found = systemctl.installed()
    if found is None:
        raise Failed(
            f"no running sipx answers on {line.control_path()}, and there is no unit "
            f"{systemctl.UNIT}: `sipx run` runs the proxy in the foreground, `sipx service "
            "install` writes a unit",
            ExitCode.UNREACHABLE,
        )
    return found


def _call(client: Client, name: str, *, now: bool | None = None) -> str:
    """A method that answers in words."""
    from sipx.control.kernel import StopParams
    from sipx.control.methods import Done

    params = StopParams(now=now) if now is not None else None
    return client.call(name, params, Done, timeout=PATIENCE).text


def _tell(line: CommandLine, verb: str, text: str) -> None:
    line.result({"command": verb, "text": text}, escaped(text))


# ---------------------------------------------------------------- the status in words


def _process(found: ProxyStatus) -> dict[str, Any]:
    said = found.service
    return {
        "pid": said.pid,
        "version": said.version,
        "config": said.config,
        "started": said.started,
        "uptime": said.uptime,
    }


def _unit_words(unit: UnitState | None) -> str:
    if unit is None:
        return f"no {systemctl.UNIT} is installed"
    said = f"{systemctl.UNIT} ({unit.manager}): {unit.active} ({unit.sub}), {unit.enabled}"
    if unit.result not in ("", "success"):
        said += f", last result: {unit.result}"
    if unit.restarts:
        said += f", started again {unit.restarts} times"
    return escaped(said)


def _words(found: ProxyStatus | None) -> list[tuple[str, str]]:
    if found is None:
        return [("process", "none answers")]
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(found.service.started))
    enabled = [one for one in found.interfaces if one.state != "off"]
    listening = sum(one.state == "listening" for one in enabled)
    said = found.service
    proxy = said.state
    if proxy != "stopped":
        proxy += f": {listening} of {len(enabled)} interfaces listen"
    process = f"{said.pid}, sipx {said.version}, since {since}, {said.config}"
    return [("process", escaped(process)), ("proxy", proxy)]
