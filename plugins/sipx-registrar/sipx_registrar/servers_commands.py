"""``sipx servers``: the UC servers of the running proxy, and what they are to do."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from sipx import CommandLine, lasting, live_options, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx_registrar.servers_state import ServerList, ServerState

WATCH = "sipx_registrar.watch"
INTERVAL = 1.0
"""Seconds between two looks of --watch."""


class _Servers(click.Group):
    """A group whose first word may also be the name of a server: that is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


def _names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The servers of the configuration file in use."""
    table = ctx.ensure_object(CommandLine).configured().get("lan")
    servers = table.get("server") if isinstance(table, dict) else None
    names = list(servers) if isinstance(servers, dict) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _watch_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--watch", is_flag=True, help="Show it again every second, until Ctrl-C.")(
        function
    )


@click.group(cls=_Servers, invoke_without_command=True, subcommand_metavar="[NAME | COMMAND ...]")
@_watch_option
@live_options
@click.pass_context
def servers(ctx: click.Context, watch: bool) -> None:
    """The UC servers: their states, drain, resume, disconnect.

    Without a command all UC servers of the running proxy are listed: state, since when, address,
    users, weight, pings, share of the requests of the last minute. With the NAME of one all that
    is known of it is shown. States: "never seen" since the start, "up", "suspect" (others are
    preferred), "down", "draining" and "maintenance" (what an operator wants).
    """
    ctx.meta[WATCH] = watch
    if ctx.invoked_subcommand is None:
        _show(ctx.ensure_object(CommandLine), "", watch=watch)


@servers.command()
@click.argument("name", shell_complete=_names)
@_watch_option
@live_options
@click.pass_context
def show(ctx: click.Context, name: str, watch: bool) -> None:
    """All that is known of one server."""
    _show(ctx.ensure_object(CommandLine), name, watch=watch or ctx.meta[WATCH])


@servers.command()
@click.argument("name", shell_complete=_names)
@live_options
@click.pass_obj
def drain(line: CommandLine, name: str) -> None:
    """Give a server no users and conversations that others may serve.

    What is under way goes on. That stays so over a restart, until `sipx servers resume`.
    """
    _command(line, "registrar.drain", name, "takes no new users and conversations")


@servers.command()
@click.argument("name", shell_complete=_names)
@live_options
@click.pass_obj
def resume(line: CommandLine, name: str) -> None:
    """Let a server serve again that was drained or disconnected."""
    _command(line, "registrar.resume", name, "may serve again")


@servers.command()
@click.argument("name", shell_complete=_names)
@live_options
@click.pass_obj
def disconnect(line: CommandLine, name: str) -> None:
    """Close a server's connections, and keep it out until `resume`.

    Its REGISTERs are answered 503 with Retry-After. Users whom only this server serves cannot be
    reached. That stays so over a restart.
    """
    _command(line, "registrar.disconnect", name, "is disconnected, and kept out")


def _command(line: CommandLine, method: str, name: str, said: str) -> None:
    from sipx_registrar.servers_state import ServerParams, ServerState

    with line.control() as client, line.needs("registrar"):
        found = client.call(method, ServerParams(name=name), ServerState)
    state = "in maintenance" if found.state == "maintenance" else found.state
    line.result(found.model_dump(mode="json"), f"{found.name} {said}; it is {state}")


# ---------------------------------------------------------------- showing


def _show(line: CommandLine, name: str, *, watch: bool) -> None:
    if not watch:
        found = _ask(line, name)
        data = found.model_dump(mode="json")
        line.result(data["servers"][0] if name else data, _lines(found, name))
        return
    if not line.json and not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal, or --json")
    try:
        while True:
            found = _ask(line, name)
            if line.json:
                click.echo(json.dumps(found.model_dump(mode="json")))
                sys.stdout.flush()
            else:
                click.clear()
                click.echo("\n".join(_lines(found, name)))
            time.sleep(INTERVAL)
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None


def _ask(line: CommandLine, name: str) -> ServerList:
    from sipx_registrar.servers_state import ServerList, ServersParams

    with line.control() as client, line.needs("registrar"):
        return client.call("registrar.servers", ServersParams(name=name), ServerList)


def _lines(found: ServerList, name: str) -> Iterator[str]:
    if name:
        yield from _shown(found.servers[0])
        return
    if not found.servers:
        yield "there is no UC server: the plugin lan knows their accounts, [lan.server.NAME]"
        return
    yield from CommandLine.table(
        ("name", "state", "since", "address", "flow", "users", "weight", "pings", "share"),
        [
            (
                one.name,
                one.state,
                lasting(one.lasting),
                one.address or "-",
                one.flow or "-",
                str(one.users),
                _weight(one),
                f"{one.pongs}/{one.pings}",
                f"{one.share:.0%}",
            )
            for one in found.servers
        ],
    )
    for one in found.servers:
        if one.state != "up":
            yield f"{one.name}: {one.reason}"


def _shown(one: ServerState) -> Iterator[str]:
    color = "green" if one.state == "up" else "red" if one.state == "down" else "yellow"
    yield f"{click.style(one.name, bold=True)}: {click.style(one.state, fg=color)}, {one.reason}"
    health = "" if one.health == one.state else one.health
    everybody = "everybody" if one.serves is None else ", ".join(one.serves) or "nobody"
    took = "" if one.round_trip is None else f", the last one after {one.round_trip * 1000:.0f} ms"
    pairs = [
        ("health", health),
        ("since", f"{moment(one.since)}, for {lasting(one.lasting)}"),
        ("address", one.address),
        ("sipx connects to", one.connects_to),
        ("users registered", str(one.users)),
        ("serves", everybody),
        ("weight", _weight(one)),
        ("share", f"{one.share:.0%} of the requests of the last minute, {one.requests} in all"),
        ("pings", f"{one.pings}, {one.pongs} answered{took}"),
        ("failures", str(one.failures)),
    ]
    width = max(len(key) for key, _ in pairs)
    yield from (f"  {key.ljust(width)}  {value}" for key, value in pairs if value)
    for number, way in enumerate(one.flows):
        what = ["new requests go here"] if number == 0 else ["for dialogs that use it"]
        what.append("opened by sipx" if way.outbound else "opened by the server")
        if way.logon:
            what.append("logged on")
        if way.expires is not None:
            what.append(f"until {moment(way.expires)}")
        yield f"  flow {way.id}: {way.flow}, {', '.join(what)}"


def _weight(one: ServerState) -> str:
    if one.weight_now == one.weight:
        return str(one.weight)
    return f"{one.weight} (now {one.weight_now:g})"
