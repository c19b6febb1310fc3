"""``sipx lan set``, ``add``, ``remove`` and the switches: changes of the configuration file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from sipx import CommandLine, Document, command_options, edit_options
from sipx_lan.config import NAME, LanConfig, ServerConfig
from sipx_lan.listing import names, no_account

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")
Path = tuple[str | int, ...]

_OPTION: Final = {"routes": "route", "users": "users", "addresses": "address"}
"""Options that are not called like their keys."""
_PROOFS: Final = frozenset(("password", "certificate", "pins"))
"""What an account proves itself with; without any of them its address has to do."""
_LISTS: Final = ("users", "addresses", "routes")


def _password(function: F) -> F:
    """The ways to give a password that leave it out of the list of processes."""
    for option in (
        click.option("--no-password", is_flag=True, help="Take the password out."),
        click.option(
            "--password-file",
            metavar="FILE",
            help="The file that holds the password; its path is relative to the configuration.",
        ),
        click.option(
            "--password",
            "asks",
            is_flag=True,
            help="Ask for the password, or read a line from standard input.",
        ),
    ):
        function = option(function)
    return function


def _properties(function: F) -> F:
    """The options that stand for the keys of [lan] and of an account."""
    protocol = click.Choice(["udp", "tcp", "tls", "mtls"])
    for option in (
        click.option("--comment", help="For people: place, contact."),
        click.option(
            "--route",
            "routes",
            multiple=True,
            metavar="DOMAIN",
            help="A static route that its credentials authorise; may be repeated.",
        ),
        click.option("--max-users", type=int, help="How many users it may have at most."),
        click.option("--weight", type=int, help="Its share of users that several may serve."),
        click.option(
            "--kind", type=click.Choice(["server", "user", "partner"]), help="What it is."
        ),
        click.option("--users-file", metavar="FILE", help="The file that names its users."),
        click.option("--users", multiple=True, metavar="PATTERN", help="Its users; repeatable."),
        click.option("--server", metavar="HOST", help="Where sipx connects to it by itself."),
        click.option(
            "--allow-md5",
            type=click.Choice(["yes", "no", "only"]),
            help="Whether MD5 may be used to log on; only: nothing else is known there.",
        ),
        click.option(
            "--address",
            "addresses",
            multiple=True,
            metavar="NETWORK",
            help="Where one may log on from; may be repeated.",
        ),
        click.option("--realm", help="[lan]: the realm of the challenges."),
        click.option(
            "--certificate",
            metavar="NAME",
            help="[lan]: the certificate that is shown; of an account: the name it must prove.",
        ),
        click.option("--protocol", type=protocol, help="[lan]: what is spoken; else to --server."),
        click.option("--port", type=int, help="[lan]: the port to listen on; else of --server."),
        click.option("--bind", metavar="ADDRESS", help="[lan]: the address to listen on."),
        click.option("--user", help="The user name to log on with."),
    ):
        function = option(function)
    return _password(function)


def _given(model: type[LanConfig | ServerConfig], options: dict[str, Any]) -> dict[str, Any]:
    """The keys that were named, with values for TOML; "" and None-password take a key out."""
    asks, file = options.pop("asks"), options.pop("password_file")
    without, users_file = options.pop("no_password"), options.pop("users_file")
    if sum(map(bool, (asks, file, without))) > 1:
        raise click.UsageError("one of --password, --password-file and --no-password")
    if options["users"] and users_file:
        raise click.UsageError("--users or --users-file, not both")
    values = {key: value for key, value in options.items() if value not in (None, ())}
    if "allow_md5" in values:
        values["allow_md5"] = {"yes": True, "no": False}.get(values["allow_md5"], "only")
    for key in _LISTS:
        if key in values:
            given = list(values[key])
            values[key] = given[0] if len(given) == 1 and key != "routes" else given
            if given == [""]:
                values[key] = ""
    if users_file:
        values["users"] = {"file": users_file}
    if file:
        values["password"] = {"file": file}
    elif without:
        values["password"] = ""
    for key in values:
        if key not in model.model_fields:
            option = "--" + _OPTION.get(key, key).replace("_", "-")
            whose = "[lan]" if model is LanConfig else "an account"
            hint = "; name the account" if model is LanConfig else ""
            raise click.UsageError(f"{option} says nothing about {whose}{hint}")
    if asks:
        values["password"] = _asked()
    return values


def _asked() -> str:
    """The password, from whoever sits there or from standard input."""
    if sys.stdin.isatty():
        answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
        return answer
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise click.UsageError("standard input gave no password")
    return password


# ---------------------------------------------------------------- commands


@click.command("set")
@click.argument("name", required=False, shell_complete=names)
@_properties
@edit_options
@command_options
@click.pass_obj
def set_(
    line: CommandLine, /, name: str | None, dry_run: bool, apply: bool, **options: Any
) -> None:
    """Change settings: of NAME, or without it of all that log on (the LAN settings).

    What is not named stays. "" takes a key out.
    """
    values = _given(LanConfig if name is None else ServerConfig, options)
    if not values:
        raise click.UsageError("name at least one setting to change, such as --user")

    def change(document: Document) -> str:
        table = (NAME,) if name is None else _account(line, document, name)
        for key, value in values.items():
            _put(document, (*table, key), value)
        return f"{'the LAN settings' if name is None else f'the account {name}'}: {_told(values)}"

    line.edit(change, dry_run=dry_run, apply=apply)


@click.command()
@click.argument("name")
@_properties
@click.option("--disabled", is_flag=True, help="Write it down, and do not switch it on.")
@edit_options
@command_options
@click.pass_obj
def add(
    line: CommandLine,
    /,
    name: str,
    disabled: bool,
    dry_run: bool,
    apply: bool,
    **options: Any,
) -> None:
    """Add an account: of a UC server, a user or a partner's server."""
    given = _given(ServerConfig, options)
    values = {key: value for key, value in given.items() if value != ""}
    if disabled:
        values = {"enabled": False, **values}

    def change(document: Document) -> str:
        if name in _accounts(document):
            raise line.failed(f"there is an account '{name}'; `sipx lan set {name}` changes it")
        document.add_table((NAME, "server", name), values)
        said = f"the account {name} is added" + (f": {_told(values)}" if values else "")
        if _PROOFS.isdisjoint(values):
            said += "; without a password it is believed by its address alone"
        return said

    line.edit(change, dry_run=dry_run, apply=apply)


@click.command()
@click.argument("name", shell_complete=names)
@click.option("--yes", is_flag=True, help="Do not ask.")
@edit_options
@command_options
@click.pass_obj
def remove(line: CommandLine, name: str, yes: bool, dry_run: bool, apply: bool) -> None:
    """Remove an account, with the comments right above its table.

    `sipx lan disable` switches it off and keeps its settings.
    """

    def change(document: Document) -> str:
        table = _account(line, document, name)
        if not dry_run and not yes:
            line.confirm(f"Remove the account {name}?")
        document.remove_table(table)
        return f"the account {name} is removed"

    line.edit(change, dry_run=dry_run, apply=apply)


@click.command()
@click.argument("name", shell_complete=names)
@edit_options
@command_options
@click.pass_obj
def enable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Let an account log on."""
    _switch(line, name, True, "is switched on", dry_run=dry_run, apply=apply)


@click.command()
@click.argument("name", shell_complete=names)
@edit_options
@command_options
@click.pass_obj
def disable(line: CommandLine, name: str, dry_run: bool, apply: bool) -> None:
    """Let an account log on no longer; its settings are kept."""
    _switch(line, name, False, "is switched off", dry_run=dry_run, apply=apply)


def _switch(
    line: CommandLine, name: str, on: bool, said: str, *, dry_run: bool, apply: bool
) -> None:
    def change(document: Document) -> str:
        table = _account(line, document, name)
        if document.get(table).get("enabled", True) is not on:
            document.set((*table, "enabled"), on)
        return f"the account {name} {said}"

    line.edit(change, dry_run=dry_run, apply=apply)


# ---------------------------------------------------------------- the file


def _accounts(document: Document) -> dict[str, Any]:
    table = document.values().get(NAME)
    servers = table.get("server") if isinstance(table, dict) else None
    return servers if isinstance(servers, dict) else {}


def _account(line: CommandLine, document: Document, name: str) -> Path:
    """Where an account stands. Raises Failed when there is none."""
    known = _accounts(document)
    if name not in known:
        raise line.failed(no_account(name, known))
    return (NAME, "server", name)


def _put(document: Document, path: Path, value: object) -> None:
    if value == "":
        if path in document:
            document.unset(path)
        return
    document.set(path, value)


def _told(values: dict[str, Any]) -> str:
    """What was changed, without a secret."""
    words = []
    for key, value in values.items():
        if value == "":
            words.append(f"{key} is taken out")
        elif key == "password":
            words.append("password is set" if isinstance(value, str) else "password from a file")
        elif isinstance(value, bool):
            words.append(f"{key} {'yes' if value else 'no'}")
        elif isinstance(value, dict):
            words.append(f"{key} from {value['file']}")
        else:
            words.append(f"{key} {', '.join(value) if isinstance(value, list) else value}")
    return ", ".join(words)
