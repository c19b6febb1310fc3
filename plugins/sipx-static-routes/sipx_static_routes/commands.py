"""``sipx routes``: the table of routes, its changes, and what it would do with a request."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from sipx import CommandLine, interface_names, live_options
from sipx_static_routes.changes import (
    add,
    disable,
    enable,
    remove,
    set_,
    trust,
    untrust,
)
from sipx_static_routes.listing import NAME, list_, show


@click.group()
def routes() -> None:
    """The static routes: list, change, explain."""


for command in (list_, show, add, set_, remove, enable, disable, trust, untrust):
    routes.add_command(command)


# ---------------------------------------------------------------- explain


def _domains(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """URIs of the domains that have a route in the file in use."""
    table = ctx.ensure_object(CommandLine).configured().get(NAME)
    routes = table.get("route") if isinstance(table, dict) else None
    names = [name for name in routes if "*" not in name] if isinstance(routes, dict) else []
    return [CompletionItem(f"sip:{n}") for n in names if f"sip:{n}".startswith(incomplete)]


@routes.command()
@click.argument("uri", shell_complete=_domains)
@click.option(
    "--from",
    "senders",
    multiple=True,
    metavar="IP[:PORT]|SIP-URI",
    help="Who sends it: an address, a From URI, or one of each.",
)
@click.option("--method", default="MESSAGE", show_default=True, help="The method of the request.")
@click.option(
    "--interface", shell_complete=interface_names, help="Only as received on this interface."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The PEM file with the certificate that the sender shows over TLS.",
)
@click.option(
    "--account", metavar="NAME", help="It comes from this account, as if that had logged on."
)
@click.option("--offline", is_flag=True, help="Ask the configuration file, also while sipx runs.")
@live_options
@click.pass_obj
def explain(
    line: CommandLine,
    uri: str,
    senders: tuple[str, ...],
    method: str,
    interface: str | None,
    certificate: Path | None,
    account: str | None,
    offline: bool,
) -> None:
    """What would happen to a request for URI, and why.

    While sipx runs it is asked, and says which UC server gets a user and why; else the
    configuration file is. Nothing is sent except questions to DNS. Without --from the request is
    taken for one of our own UC servers; with it, the sender is judged on each interface that it
    could reach, over TLS by the certificate that --certificate names. The exit code is 0 when the
    request would be forwarded, 1 when it would be refused, and 75 when a name server failed.
    """
    # It makes a whole proxy, which takes its time to be imported; the other commands need none.
    from sipx_static_routes.explaining import explained

    explained(line, uri, senders, method, interface, certificate, account, offline=offline)
