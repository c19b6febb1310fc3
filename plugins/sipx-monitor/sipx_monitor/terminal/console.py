"""``sipx console``: the way to the web console, its users and its tokens."""

from __future__ import annotations

import sys
import webbrowser
from typing import TYPE_CHECKING, Any

import click

from sipx import command_options, edit_options, lasting, live_options, moment

if TYPE_CHECKING:
    from sipx import CommandLine, Document

_ROLE = click.Choice(["viewer", "operator", "admin"])


@click.group()
def console() -> None:
    """The web console: its address, its users, its tokens.

    \b
      sipx console url                       a link that logs a browser on, once
      sipx console url --role viewer         for somebody who only looks
      sipx console password ada              who logs on by name (auth = "password")
      sipx console token create grafana      for programs that use the HTTP API
    """


@console.command()
@click.option("--role", type=_ROLE, default="admin", help="What whoever opens it may do.")
@live_options
@click.pass_obj
def url(line: CommandLine, role: str) -> None:
    """Show a link to the console that logs on, once."""
    found = _url(line, role)
    line.result(found, found["url"])
    line.say(f"this link works once, within {lasting(found['seconds'])}")


@console.command("open")
@click.option("--role", type=_ROLE, default="admin", help="What you will be able to do.")
@live_options
@click.pass_obj
def open_(line: CommandLine, role: str) -> None:
    """Open the console in the browser of this machine."""
    found = _url(line, role)
    if not webbrowser.open(found["url"]):
        raise line.failed(
            "there is no browser here; open this link in one that reaches this machine, within "
            f"{lasting(found['seconds'])}: {found['url']}"
        )
    line.result({"opened": True, "url": found["plain"]}, f"opened {found['plain']}")


def _url(line: CommandLine, role: str) -> dict[str, Any]:
    with line.control() as client, line.needs("monitor"):
        found: dict[str, Any] = client.call_json("console.url", {"role": role})
    return found


@console.command()
@click.argument("name")
@click.option("--role", type=_ROLE, help="What they may do; without it as before, else viewer.")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the password from the standard input."
)
@edit_options
@command_options
@click.pass_obj
def password(
    line: CommandLine, name: str, role: str | None, from_stdin: bool, dry_run: bool, apply: bool
) -> None:
    """Give a user of the console a password; written is only its hash."""
    from sipx_monitor.web.passwords import LONGEST, SHORTEST, hashed

    if from_stdin:
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if not SHORTEST <= len(given) <= LONGEST:
        raise line.failed(f"a password has {SHORTEST} to {LONGEST} characters")
    made = hashed(given)

    def change(document: Document) -> str:
        user = ("monitor", "user", name)
        if user not in document:
            document.add_table(user, {"password_hash": made, "role": role or "viewer"})
            return f"the user {name} of the console"
        document.set((*user, "password_hash"), made)
        if role is not None:
            document.set((*user, "role"), role)
        return f"another password for {name}"

    line.edit(change, dry_run=dry_run, apply=apply)
    if line.configured().get("monitor", {}).get("auth", "token") != "password":
        line.say('passwords count once [monitor] says auth = "password"')


@console.group()
def token() -> None:
    """Tokens for programs that use the HTTP API."""


@token.command("create")
@click.argument("name")
@click.option("--role", type=_ROLE, default="viewer", help="What whoever has it may do.")
@click.option("--lasting", "life", metavar="TIME", help='How long it works: "90d", "12h".')
@live_options
@click.pass_obj
def create(line: CommandLine, name: str, role: str, life: str | None) -> None:
    """Make a token; it is shown now, and never again."""
    params = {"name": name, "role": role, "lasting": life}
    with line.control() as client, line.needs("monitor"):
        made: dict[str, Any] = client.call_json("console.create_token", params)
    line.result(made, made["token"])
    line.say("keep it now: it is not shown again; send it as `Authorization: Bearer ...`")


@token.command("list")
@live_options
@click.pass_obj
def list_(line: CommandLine) -> None:
    """The tokens that work."""
    with line.control() as client, line.needs("monitor"):
        found: dict[str, Any] = client.call_json("console.tokens")
    rows = [
        (
            one["name"],
            one["role"],
            moment(one["created"]),
            one["created_by"],
            "never" if one["expires"] is None else moment(one["expires"]),
        )
        for one in found["tokens"]
    ]
    heads = ("name", "role", "made", "by", "ends")
    line.result(found, line.table(heads, rows) if rows else "there are no tokens")


@token.command("revoke")
@click.argument("name")
@live_options
@click.pass_obj
def revoke(line: CommandLine, name: str) -> None:
    """Let a token work no more."""
    with line.control() as client, line.needs("monitor"):
        done: dict[str, Any] = client.call_json("console.revoke_token", {"name": name})
    line.result(done, done["text"])
