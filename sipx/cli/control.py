"""``sipx control``: the control API itself, for scripts and for those who write a face for it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from sipx.cli.command_line import CommandLine, json_text
from sipx.cli.live import live_options
from sipx.cli.tables import table, terminal_width

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from sipx.control.client import Client


@click.group()
def control() -> None:
    """The control API: its methods, their schema, calling them."""


@control.command()
@live_options
@click.pass_obj
def methods(line: CommandLine) -> None:
    """The methods of the running service, those of its plugins too.

    * stands behind those that change something, ~ behind streams.
    """
    from sipx.control.api import MethodList

    with line.control() as client:
        found = client.call("control.methods", None, MethodList)
    rows = [
        (m.name + "*" * m.changing + "~" * m.stream, m.plugin or "-", m.help) for m in found.methods
    ]
    heads = ("method", "plugin", "")
    line.result(found.model_dump(mode="json"), table(heads, rows, terminal_width()))


@control.command()
@live_options
@click.pass_obj
def schema(line: CommandLine) -> None:
    """The JSON schema of all methods, as an OpenRPC document.

    It is that of the running service with its plugins; where none runs, without theirs.
    """
    client = line.reachable_control()
    if client is None:
        from sipx.control.kernel import described

        line.say("no service runs: the methods of plugins are not among these")
        found = described().schema()
    else:
        from sipx.control.api import SchemaResult

        with client:
            found = client.call("control.schema", None, SchemaResult).document
    line.result(found, json_text(found, indent=2))


def _method_names(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    from sipx.cli.completion import items

    client = ctx.ensure_object(CommandLine).reachable_control()
    if client is None:
        return []
    with client:
        listed = client.call_json("control.methods")["methods"]
    return items((method["name"] for method in listed), incomplete)


@control.command()
@click.argument("name", shell_complete=_method_names)
@click.argument("params", metavar="[JSON]", required=False)
@live_options
@click.pass_obj
def call(line: CommandLine, name: str, params: str | None) -> None:
    """Call a method and print its result as JSON; of a stream one event per line, until Ctrl-C.

    JSON are the parameters, an object or a list; - reads them from stdin.
    """
    given = _parameters(params)
    with line.control() as client:
        if _is_stream(client, name):
            _print_events(client, name, given)
            return
        found = client.call_json(name, given)
    line.result(found, json_text(found, indent=2))


def _parameters(text: str | None) -> Any:
    if text is None:
        return None
    try:
        found = json.loads(sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise click.UsageError(f"the parameters are not JSON: {error}") from error
    if not isinstance(found, (dict, list)):
        raise click.UsageError("the parameters are an object or a list")
    return found


def _is_stream(client: Client, name: str) -> bool:
    listed = client.call_json("control.methods")["methods"]
    return any(method["name"] == name and method["stream"] for method in listed)


def _print_events(client: Client, name: str, params: Any) -> None:
    try:
        for event in client.stream_json(name, params):
            click.echo(json_text(event))
            sys.stdout.flush()
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None
