"""``sipx lan show``, ``bans`` and ``unban``."""

from __future__ import annotations

from contextlib import nullcontext
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from sipx import CommandLine, Done, live_options, moment
from sipx_lan.config import NAME, LanConfig, ServerConfig
from sipx_lan.control import LanAccounts, LanBans, Unban

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx_lan.state import AccountState


def names(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The accounts in the file in use."""
    table = ctx.ensure_object(CommandLine).configured().get(NAME)
    servers = table.get("server") if isinstance(table, dict) else None
    known = list(servers) if isinstance(servers, dict) else []
    return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def no_account(name: str, known: Iterable[str]) -> str:
    """The words for an account that is not there."""
    there = list(known)
    near = get_close_matches(name, there, n=1, cutoff=0.6)
    if near:
        return f"there is no account '{name}'; did you mean '{near[0]}'?"
    return f"there is no account '{name}'; " + (
        f"there are: {', '.join(there)}" if there else "there is none"
    )


# ---------------------------------------------------------------- show


@click.command()
@click.argument("name", required=False, shell_complete=names)
@live_options
@click.pass_obj
def show(line: CommandLine, name: str | None) -> None:
    """The settings, the accounts, and who of them is logged on; of NAME every property.

    Passwords are not shown. Who is logged on is known while sipx runs.
    """
    config = _config(line)
    found = _live(line)
    live = found or {}
    if name is None:
        accounts = [_account(each, config.server[each], live.get(each)) for each in config.server]
        accounts += [_derived(state) for state in live.values() if state.name not in config.server]
        data = {"lan": _settings(config), "running": found is not None, "accounts": accounts}
        line.result(data, _overview(config, accounts, running=found is not None))
        return
    if name not in config.server:
        raise line.failed(no_account(name, config.server))
    account = _account(name, config.server[name], live.get(name))
    line.result(account, _details(account))


def _config(line: CommandLine) -> LanConfig:
    config = line.settings().plugins.get(NAME)
    if not isinstance(config, LanConfig):
        raise line.failed(f"the plugin {NAME} is not listed in plugins")
    return config


def _live(line: CommandLine) -> dict[str, AccountState] | None:
    """What the running sipx knows; None where none runs, or one that has not this plugin."""
    client = line.reachable_control()
    with client or nullcontext():
        methods = [] if client is None else client.call_json("control.methods")["methods"]
        if client is None or all(method["name"] != "lan.accounts" for method in methods):
            return None
        found = client.call("lan.accounts", None, LanAccounts)
    return {state.name: state for state in found.accounts}


def _settings(config: LanConfig) -> dict[str, Any]:
    settings = config.model_dump(mode="json", exclude={"server", "password"})
    settings["password"] = _place(config)
    settings["port"] = config.listen_port if config.bind is not None else None
    return settings


def _place(table: LanConfig | ServerConfig) -> str:
    """Where a password is kept, in words."""
    return "none" if table.password is None else f"from {table.password.source}"


def _account(name: str, server: ServerConfig, state: AccountState | None) -> dict[str, Any]:
    shown = server.model_dump(mode="json", exclude={"password"})
    head = {"name": name, "user": server.logon(name), "password": _place(server)}
    return head | {k: v for k, v in shown.items() if k not in head} | _logon(state)


def _derived(state: AccountState) -> dict[str, Any]:
    """A server that has logged on with the shared user."""
    head = {"name": state.name, "user": state.user, "password": "shared", "enabled": True}
    return head | {"kind": state.kind, "users": None} | _logon(state)


def _logon(state: AccountState | None) -> dict[str, Any]:
    if state is None:
        return {"logged_on": [], "since": None, "registered": False, "trouble": ""}
    return {
        "logged_on": list(state.logged_on),
        "since": state.since,
        "registered": state.registered,
        "trouble": state.trouble,
    }


def _overview(config: LanConfig, accounts: list[dict[str, Any]], *, running: bool) -> Iterator[str]:
    if not config.enabled:
        yield "logging on is switched off: [lan] enabled = false"
    if config.bind is None:
        yield 'listens on the interfaces with role = "lan"'
    else:
        yield f"listens on {config.bind} port {config.listen_port}, {config.protocol}"
    if config.user is not None:
        yield f"all UC servers may log on as {config.user}, password {_place(config)}"
    if not running:
        yield "sipx is not running, so nobody is logged on"
    if not accounts:
        yield "there is no account"
        return
    yield ""
    heads = ("account", "active", "kind", "user", "users", "password", "logged on")
    yield from CommandLine.table(
        heads,
        [
            (
                account["name"],
                "yes" if account["enabled"] else "no",
                account["kind"],
                account["user"],
                _text(account["users"]) if account["users"] is not None else "all",
                account["password"],
                ", ".join(account["logged_on"]) or "-",
            )
            for account in accounts
        ],
    )


def _details(account: dict[str, Any]) -> Iterator[str]:
    yield click.style(account["name"], bold=True)
    rows = {key: value for key, value in account.items() if key != "name"}
    rows["since"] = moment(account["since"]) if account["since"] is not None else "-"
    width = max(map(len, rows))
    yield from (f"  {key.ljust(width)}  {_text(value)}" for key, value in rows.items())


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return "-" if value in (None, "") else str(value)


# ---------------------------------------------------------------- bans


@click.command()
@live_options
@click.pass_obj
def bans(line: CommandLine) -> None:
    """The sources that get no answer because they guessed passwords."""
    with line.control() as client, line.needs("lan"):
        found = client.call("lan.bans", None, LanBans)
    heads = ("source", "since", "until", "wrong logons", "bans")
    rows = [
        (ban.source, moment(ban.since), moment(ban.until), str(ban.failures), str(ban.times))
        for ban in found.bans
    ]
    text = CommandLine.table(heads, rows) if rows else ["nobody is banned"]
    line.result(found.model_dump(mode="json"), text)


@click.command()
@click.argument("source", required=False)
@click.option("--all", "everybody", is_flag=True, help="End all bans.")
@live_options
@click.pass_obj
def unban(line: CommandLine, source: str | None, everybody: bool) -> None:
    """Answer a source again, and forget what it has tried.

    SOURCE is an address; of IPv6 its /64 is meant.
    """
    if bool(source) == everybody:
        raise click.UsageError("name a source, or --all")
    with line.control() as client, line.needs("lan"):
        done = client.call("lan.unban", Unban(source=source or ""), Done)
    line.result(done.model_dump(mode="json"), done.text)
