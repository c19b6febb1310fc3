"""``sipx interfaces``: the listeners of the configuration, and what they do now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar, get_args

import click

from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.completion import interface_names
from sipx.cli.editing import config_file_of, edit, edit_options, running_status
from sipx.cli.exits import ExitCode, Failed
from sipx.cli.live import live_options
from sipx.cli.status_text import advertised
from sipx.config.errors import ConfigError, did_you_mean
from sipx.config.model import InterfaceConfig, Protocol
from sipx.config.notation import dotted, toml_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx.config.document import Document, KeyPath

F = TypeVar("F", bound="Callable[..., Any]")

TABLE: Final = "interface"
_HEADS: Final = (
    "interface", "active", "protocol", "bind", "port", "role", "certificate", "advertised",
)  # fmt: skip


@click.group()
def interfaces() -> None:
    """The network interfaces: list, add, change, remove."""


# ---------------------------------------------------------------- list and show


@interfaces.command("list")
@click.option("--available", is_flag=True, help="The addresses of this machine instead.")
@live_options
@click.pass_obj
def list_(line: CommandLine, available: bool) -> None:
    """All interfaces, and what they do now.

    The latter only while a sipx runs on this file; then those that plugins add are listed, too.
    """
    if available:
        _list_available(line)
        return
    document = _document(line)
    live = _live(line, document)
    tables = _tables(document)
    rows = [_row(name, document, live) for name in tables]
    rows += [_of_a_plugin(found) for name, found in (live or {}).items() if name not in tables]
    line.result({"interfaces": rows}, _list_lines(rows, live))


def _list_lines(
    rows: list[dict[str, Any]], live: dict[str, dict[str, Any]] | None
) -> Iterator[str]:
    if not rows:
        yield "there is no interface; `sipx interfaces add` makes one"
        return
    heads = (*_HEADS, "now") if live is not None else _HEADS
    cells = [
        (
            row["name"],
            "yes" if row["enabled"] else "no",
            _cell(row["protocol"]),
            _cell(row["bind"]),
            _cell(row["port"]),
            _cell(row["role"]),
            ", ".join(row["certificate"]) or "-",
            row["advertised"] or "-",
            _now(row["live"]),
        )
        for row in rows
    ]
    yield from CommandLine.table(heads, [each[: len(heads)] for each in cells])
    added = [row["name"] for row in rows if row["of_plugin"]]
    if added:
        yield f"added by plugins, whose own tables say how: {', '.join(added)}"


def _cell(value: object) -> str:
    return "-" if value is None else str(value)


def _now(live: dict[str, Any] | None) -> str:
    if live is None:
        return "not taken up"
    if live["address"] is not None:
        return f"{live['state']} on {live['address']} port {live['port']}, {live['flows']} flows"
    return f"{live['state']}: {live['reason']}" if live["reason"] else str(live["state"])


def _row(name: str, document: Document, live: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
    """One table as it counts: what is not in it with its default, and what it is advertised as."""
    table = _tables(document)[name]
    values = table if isinstance(table, dict) else {}
    row: dict[str, Any] = {"name": name}
    for key, field in InterfaceConfig.model_fields.items():
        default = None if field.is_required() else field.default
        row[key] = values.get(key, default)
    certificate = row["certificate"]
    row["certificate"] = [certificate] if isinstance(certificate, str) else list(certificate or ())
    row["live"] = None if live is None else live.get(name)
    row["advertised"] = _advertised(row, document)
    row["of_plugin"] = False
    return row


def _of_a_plugin(live: dict[str, Any]) -> dict[str, Any]:
    """One that no table of the file makes, as the running sipx has it."""
    return {
        "name": live["name"],
        **dict.fromkeys(InterfaceConfig.model_fields),
        "enabled": True,
        "bind": live["bind"],
        "port": live["configured_port"],
        "protocol": live["protocol"],
        "role": live["role"],
        "certificate": [],
        "live": live,
        "advertised": advertised(live.get("advertised", ""), live.get("advertises", False), own=""),
        "of_plugin": True,
    }


def _advertised(row: dict[str, Any], document: Document) -> str:
    """What stands in messages in place of its own address; "" where its own does.

    Of an interface that does not run, what the file says: "auto" stands for what is found.
    """
    live = row["live"]
    if live is not None and "advertised" in live:
        return advertised(live["advertised"], live["advertises"], own="")
    said = row["advertise"]
    if isinstance(said, str):
        return said
    wan = document.values().get("wan")
    wan = wan if isinstance(wan, dict) else {}
    if not (said and row["role"] == "wan" and wan.get("use_public_address")):
        return ""
    address = str(wan.get("public_address", "auto"))
    if address == "auto":
        return address
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{wan.get('public_port', row['port'])}"


def _list_available(line: CommandLine) -> None:
    from sipx.config.machine import device_addresses

    found = device_addresses()
    rows = [(one.device, one.address, "up" if one.up else "down") for one in found]
    line.result(
        {"addresses": [one._asdict() for one in found]},
        line.table(("device", "address", "state"), rows),
    )


@interfaces.command()
@click.argument("name", shell_complete=interface_names)
@live_options
@click.pass_obj
def show(line: CommandLine, name: str) -> None:
    """One interface, with every key.

    While a sipx runs on this file, also what it does now.
    """
    document = _document(line)
    tables = _tables(document)
    live = _live(line, document)
    if live is not None and name in live and name not in tables:
        row = _of_a_plugin(live[name])
        line.result(row, _show_lines_of_a_plugin(row))
        return
    _known(name, document)
    row = _row(name, document, live)
    line.result(row, _show_lines(row, tables[name], known=live is not None))


def _show_lines(row: dict[str, Any], table: Any, *, known: bool) -> Iterator[str]:
    yield click.style(f"[{dotted((TABLE, row['name']))}]", bold=True)
    for key in InterfaceConfig.model_fields:
        value, written = row[key], isinstance(table, dict) and key in table
        if value is None or (value == [] and not written):
            yield f"# {key} is not set"
        else:
            shown = table[key] if written else value
            yield f"{key} = {toml_value(shown)}" + ("" if written else "  # default")
    yield f"advertised: {row['advertised'] or 'its own address'}"
    if known:
        yield f"now: {_now(row['live'])}"


def _show_lines_of_a_plugin(row: dict[str, Any]) -> Iterator[str]:
    yield click.style(str(row["name"]), bold=True)
    yield "added by a plugin, whose own table says how"
    for key in ("bind", "port", "protocol", "role"):
        yield f"{key}: {row[key]}"
    yield f"advertised: {row['advertised'] or 'its own address'}"
    yield f"now: {_now(row['live'])}"


# ---------------------------------------------------------------- changing


def _properties(function: F) -> F:
    """The options that stand for the keys of a table."""
    for option in (
        click.option(
            "--no-advertise", is_flag=True, help="Its own address stands in messages, always."
        ),
        click.option(
            "--advertise",
            is_flag=False,
            flag_value="true",
            metavar="[HOST[:PORT]]",
            help="The address that stands in messages in place of its own; without HOST as [wan] "
            "says.",
        ),
        click.option("--role", type=click.Choice(["wan", "lan"]), help="Which side it is on."),
        click.option(
            "--certificate",
            multiple=True,
            metavar="NAME",
            help='The [certificate.NAME] shown to peers; may be given several times, "" for none.',
        ),
        click.option("--protocol", type=click.Choice(get_args(Protocol)), help="How it is spoken."),
        click.option("--port", type=int, help="The port to listen on; 0 takes a free one."),
        click.option("--bind", help='An address of this machine, or "*" for all.'),
    ):
        function = option(function)
    return function


def _given(
    bind: str | None,
    port: int | None,
    protocol: str | None,
    certificate: tuple[str, ...],
    role: str | None,
    advertise: str | None,
    no_advertise: bool,
) -> dict[str, Any]:
    """The keys that were named; "" stands for one that is to be taken out."""
    if advertise is not None and no_advertise:
        raise click.UsageError("--advertise and --no-advertise exclude each other")
    shown: bool | str | None = False if no_advertise else advertise
    if advertise in ("true", "false"):
        shown = advertise == "true"
    names: Any = None
    if certificate:
        names = certificate[0] if len(certificate) == 1 else list(certificate)
    values = {
        "bind": bind, "port": port, "protocol": protocol, "certificate": names, "role": role,
        "advertise": shown,
    }  # fmt: skip
    return {key: value for key, value in values.items() if value is not None}


@interfaces.command()
@click.argument("name")
@_properties
@click.option("--disabled", is_flag=True, help="Write it down, and do not switch it on.")
@edit_options
@command_options
@click.pass_obj
def add(
    line: CommandLine,
    name: str,
    bind: str | None,
    port: int | None,
    protocol: str | None,
    certificate: tuple[str, ...],
    role: str | None,
    advertise: str | None,
    no_advertise: bool,
    disabled: bool,
    dry_run: bool,
    apply: bool,
) -> None:
    """Add an interface: a table [interface.NAME]. It needs at least --port and --protocol."""
    if port is None or protocol is None:
        raise click.UsageError("a new interface needs --port and --protocol")
    given = _given(bind, port, protocol, certificate, role, advertise, no_advertise)
    values = {key: value for key, value in given.items() if value != ""}
    if disabled:
        values = {"enabled": False, **values}

    def change(document: Document) -> str:
        if (TABLE, name) in document:
            said = f"there is an interface '{name}' already; `sipx interfaces set` changes it"
            raise Failed(said, ExitCode.BAD_ANSWER)
        document.add_table((TABLE, name), values)
        return f"interface {name} is added: {_described(values)}"

    edit(line, change, dry_run=dry_run, apply=apply)


@interfaces.command("set")
@click.argument("name", shell_complete=interface_names)
@_properties
@edit_options
@command_options
@click.pass_obj
def set_(
    line: CommandLine,
    name: str,
    bind: str | None,
    port: int | None,
    protocol: str | None,
    certificate: tuple[str, ...],
    role: str | None,
    advertise: str | None,
    no_advertise: bool,
    dry_run: bool,
    apply: bool,
) -> None:
    """Change properties of an interface.

    What is not named stays. "" for --bind, --certificate or --advertise takes the key out.
    """
    values = _given(bind, port, protocol, certificate, role, advertise, no_advertise)
    if not values:
        raise click.UsageError("name at least one property to change, such as --port")

    def change(document: Document) -> str:
        _known(name, document)
        for key, value in values.items():
            path: KeyPath = (TABLE, name, key)
            if value != "":
                document.set(path, value)
            elif path in document:
                document.unset(path)
        return f"interface {name}: {_described(values)}"

    edit(line, change, dry_run=dry_run, apply=apply)


@interfaces.command()
@click.argument("name", shell_complete=interface_names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@edit_options
@command_options
@click.pass_obj
def remove(line: CommandLine, name: str, yes: bool, dry_run: bool, apply: bool) -> None:
    """Remove an interface, with the comments right above its table.

    `sipx interfaces disable` switches it off and keeps its settings.
    """

    def change(document: Document) -> str:
        _known(name, document)
        if not dry_run and not yes:
            line.confirm(f"Remove the interface {name}?")
        document.remove_table((TABLE, name))
        return f"interface {name} is removed"

    edit(line, change, dry_run=dry_run, apply=apply)


@interfaces.command()
@click.argument("name", shell_complete=interface_names)
@edit_options
@command_options
@click.pass_obj
def enable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Switch an interface on."""
    _switch(line, name, on=True, dry_run=dry_run, apply=apply)


@interfaces.command()
@click.argument("name", shell_complete=interface_names)
@edit_options
@command_options
@click.pass_obj
def disable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Switch an interface off; its settings are kept."""
    _switch(line, name, on=False, dry_run=dry_run, apply=apply)


def _switch(line: CommandLine, name: str, *, on: bool, dry_run: bool, apply: bool) -> None:
    def change(document: Document) -> str:
        _known(name, document)
        path: KeyPath = (TABLE, name, "enabled")
        said = f"interface {name} is switched {'on' if on else 'off'}"
        if (document.get(path) if path in document else True) is not on:
            document.set(path, on)
        return said

    edit(line, change, dry_run=dry_run, apply=apply)


# ---------------------------------------------------------------- the file


def _document(line: CommandLine) -> Document:
    try:
        return config_file_of(line).read()
    except ConfigError as error:
        raise Failed(str(error), ExitCode.CONFIGURATION) from error


def _tables(document: Document) -> dict[str, Any]:
    tables = document.values().get(TABLE)
    return tables if isinstance(tables, dict) else {}


def _known(name: str, document: Document) -> None:
    """Raises Failed for an interface that the file has not."""
    tables = _tables(document)
    if name not in tables:
        meant = did_you_mean(name, tables)
        there = f"there are: {', '.join(tables)}" if tables else "there is none"
        said = f"there is no interface '{name}'; {meant or there}"
        raise Failed(said, ExitCode.BAD_ANSWER)


def _described(values: dict[str, Any]) -> str:
    return ", ".join(
        f"{key} is taken out" if value == "" else f"{key} = {toml_value(value)}"
        for key, value in values.items()
    )


def _live(line: CommandLine, document: Document) -> dict[str, dict[str, Any]] | None:
    """What the running sipx says of each interface, by name; None where none runs on this file."""
    status = running_status(line, document.path)
    if status is None:
        return None
    return {found["name"]: found for found in status["interfaces"]}
