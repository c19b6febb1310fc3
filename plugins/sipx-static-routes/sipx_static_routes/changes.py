"""``sipx routes add``, ``set``, ``remove`` and the switches: changes of the configuration file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from sipx import CommandLine, Document, command_options, edit_options
from sipx_static_routes.listing import NAME, domains, no_route, spelling

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
Path = tuple[str | int, ...]


def _options(function: F) -> F:
    """Every change can be forced, tried, and kept from the running sipx."""
    forced = click.option(
        "--force", is_flag=True, help="Also while static routes are switched off."
    )
    return forced(edit_options(command_options(function)))


def _properties(function: F) -> F:
    """The options that stand for the keys of a route."""
    for option in (
        click.option("--comment", help="For people: contract, contact."),
        click.option(
            "--trusted/--untrusted",
            default=None,
            help="Whether requests from the server are accepted by its address alone.",
        ),
        click.option("--bind", help="The local address to send from."),
        click.option(
            "--protocol",
            type=click.Choice(["udp", "tcp", "tls", "mtls"]),
            help="How the access server is spoken to.",
        ),
        click.option("--port", type=int, help="The port of the access server."),
        click.option(
            "--server",
            multiple=True,
            metavar="HOST",
            help="The access server; several are tried in this order.",
        ),
    ):
        function = option(function)
    return function


def _given(
    server: tuple[str, ...],
    port: int | None,
    protocol: str | None,
    bind: str | None,
    trusted: bool | None,
    comment: str | None,
) -> dict[str, Any]:
    """The keys that were named; "" stands for one that is to be taken out."""
    servers: Any = None
    if server:
        servers = server[0] if len(server) == 1 else list(server)
    values = {
        "server": servers,
        "port": port,
        "protocol": protocol,
        "bind": bind,
        "trusted": trusted,
        "comment": comment,
    }
    return {key: value for key, value in values.items() if value is not None}


# ---------------------------------------------------------------- the routes


@click.command()
@click.argument("domain")
@_properties
@click.option("--disabled", is_flag=True, help="Write it down, and do not switch it on.")
@_options
@click.pass_obj
def add(
    line: CommandLine,
    domain: str,
    server: tuple[str, ...],
    port: int | None,
    protocol: str | None,
    bind: str | None,
    trusted: bool | None,
    comment: str | None,
    disabled: bool,
    force: bool,
    dry_run: bool,
    apply: bool,
) -> None:
    """Add a route for a domain.

    DOMAIN is a domain, "*.example.com" for all below it, or "*" for every domain.
    """
    if not server:
        raise click.UsageError("a new route needs --server")
    given = _given(server, port, protocol, bind, trusted, comment)
    values = {key: value for key, value in given.items() if value != ""}
    if disabled:
        values = {"enabled": False, **values}

    def change(document: Document) -> str:
        _switched_on(line, document, force=force)
        if (there := _written(document, domain)) is not None:
            raise line.failed(
                f"there is a route for '{there}' already; `sipx routes set` changes it"
            )
        document.add_table((NAME, "route", domain), values)
        return f"the route {domain} is added: {_told(values)}"

    line.edit(change, dry_run=dry_run, apply=apply)


@click.command("set")
@click.argument("domain", shell_complete=domains)
@_properties
@_options
@click.pass_obj
def set_(
    line: CommandLine,
    domain: str,
    server: tuple[str, ...],
    port: int | None,
    protocol: str | None,
    bind: str | None,
    trusted: bool | None,
    comment: str | None,
    force: bool,
    dry_run: bool,
    apply: bool,
) -> None:
    """Change properties of a route.

    What is not named stays. "" for --bind or --comment takes the key out.
    """
    values = _given(server, port, protocol, bind, trusted, comment)
    if not values:
        raise click.UsageError("name at least one property to change, such as --server")

    def change(document: Document) -> str:
        _switched_on(line, document, force=force)
        route = _route(line, document, domain)
        for key, value in values.items():
            if value != "":
                document.set((*route, key), value)
            elif (*route, key) in document:
                document.unset((*route, key))
        return f"the route {route[-1]}: {_told(values)}"

    line.edit(change, dry_run=dry_run, apply=apply)


@click.command()
@click.argument("domain", shell_complete=domains)
@click.option("--yes", is_flag=True, help="Do not ask.")
@_options
@click.pass_obj
def remove(
    line: CommandLine, domain: str, yes: bool, force: bool, dry_run: bool, apply: bool
) -> None:
    """Remove a route, with the comments right above its table.

    `sipx routes disable` switches it off and keeps its settings.
    """

    def change(document: Document) -> str:
        _switched_on(line, document, force=force)
        route = _route(line, document, domain)
        if not dry_run and not yes:
            line.confirm(f"Remove the route {route[-1]}?")
        document.remove_table(route)
        return f"the route {route[-1]} is removed"

    line.edit(change, dry_run=dry_run, apply=apply)


# ---------------------------------------------------------------- the switches


@click.command()
@click.argument("domain", shell_complete=domains)
@_options
@click.pass_obj
def enable(line: CommandLine, domain: str, force: bool, dry_run: bool, apply: bool) -> None:
    """Switch a route on ("activate")."""
    _flip(line, domain, "enabled", True, "is switched on", force, dry_run, apply)


@click.command()
@click.argument("domain", shell_complete=domains)
@_options
@click.pass_obj
def disable(line: CommandLine, domain: str, force: bool, dry_run: bool, apply: bool) -> None:
    """Switch a route off; its settings are kept."""
    _flip(line, domain, "enabled", False, "is switched off", force, dry_run, apply)


@click.command()
@click.argument("domain", shell_complete=domains)
@_options
@click.pass_obj
def trust(line: CommandLine, domain: str, force: bool, dry_run: bool, apply: bool) -> None:
    """Believe a server by its address ("trustworthy")."""
    _flip(line, domain, "trusted", True, "is trusted", force, dry_run, apply)


@click.command()
@click.argument("domain", shell_complete=domains)
@_options
@click.pass_obj
def untrust(line: CommandLine, domain: str, force: bool, dry_run: bool, apply: bool) -> None:
    """Believe a server by its address no longer."""
    _flip(line, domain, "trusted", False, "is not trusted any more", force, dry_run, apply)


def _flip(
    line: CommandLine,
    domain: str,
    key: str,
    value: bool,
    said: str,
    force: bool,
    dry_run: bool,
    apply: bool,
) -> None:
    def change(document: Document) -> str:
        _switched_on(line, document, force=force)
        route = _route(line, document, domain)
        table = document.get(route)
        if key == "trusted" and table.get("protocol") == "mtls":
            line.say(f"over mtls the route {route[-1]} is trusted anyway: the certificate decides")
        # Without the key a route is switched on, and not trusted.
        if table.get(key, key == "enabled") is not value:
            document.set((*route, key), value)
        return f"the route {route[-1]} {said}"

    line.edit(change, dry_run=dry_run, apply=apply)


# ---------------------------------------------------------------- the file


def _switched_on(line: CommandLine, document: Document, *, force: bool) -> None:
    """While "use static routes" is off the routes are not changed, as nobody would notice."""
    table = document.values().get(NAME)
    if not force and isinstance(table, dict) and table.get("enabled") is False:
        raise line.failed(
            "static routes are switched off, so no route is changed: "
            f"`sipx plugins enable {NAME}` switches them on, --force changes it nevertheless"
        )


def _written(document: Document, domain: str) -> str | None:
    """How the file writes a domain that it has a route for."""
    table = document.values().get(NAME)
    routes = table.get("route") if isinstance(table, dict) else None
    wanted = spelling(domain)
    return next((name for name in routes or () if spelling(name) == wanted), None)


def _route(line: CommandLine, document: Document, domain: str) -> Path:
    """Where the route of a domain stands. Raises Failed when there is none."""
    name = _written(document, domain)
    if name is None:
        table = document.values().get(NAME)
        known = table.get("route") if isinstance(table, dict) else None
        raise line.failed(no_route(domain, known or ()))
    return (NAME, "route", name)


def _told(values: dict[str, Any]) -> str:
    words = []
    for key, value in values.items():
        if value == "":
            words.append(f"{key} is taken out")
        elif isinstance(value, bool):
            words.append(f"{key} {'yes' if value else 'no'}")
        else:
            words.append(f"{key} {', '.join(value) if isinstance(value, list) else value}")
    return ", ".join(words)
