"""``sipx partners``: who is federated with, found by DNS; promote, block, forget."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
from click.shell_completion import CompletionItem

from sipx import (
    CommandLine,
    Done,
    command_options,
    edit_options,
    lasting,
    live_options,
    moment,
)
from sipx_open_federation import changes
from sipx_open_federation.columns import safe, titled
from sipx_open_federation.config import NAME
from sipx_open_federation.partners_state import ForgetParams, PartnerList, PartnersParams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx import Document
    from sipx_open_federation.partners_state import PartnerState

COMMAND = "list"
_SWITCHED_OFF: Final = (
    "open federation is off in the running sipx, which keeps the list meanwhile; "
    "`sipx federation enable` switches it on"
)


class _Partners(click.Group):
    """A group whose first word may also be a domain: that partner is shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            return COMMAND, self.commands[COMMAND], args
        return super().resolve_command(ctx, args)


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--interval",
            type=click.FloatRange(0.1, 3600),
            default=1.0,
            show_default=True,
            help="Seconds between two looks of --watch.",
        ),
        click.option("--watch", is_flag=True, help="Show them again and again, until Ctrl-C."),
        click.option(
            "--limit",
            type=click.IntRange(1, 1000),
            default=100,
            show_default=True,
            help="How many at most.",
        ),
        click.option("--connected", is_flag=True, help="Only those with a connection now."),
    ):
        function = option(function)
    return function


@click.group(
    cls=_Partners, invoke_without_command=True, subcommand_metavar="[DOMAIN | COMMAND ...]"
)
@_filters
@live_options
@click.pass_context
def partners(ctx: click.Context, connected: bool, limit: int, watch: bool, interval: float) -> None:
    """The partners that were found by DNS: list, promote, block, forget.

    Without a command the partners that the running proxy knows are listed, the one with the latest
    contact first; with DOMAIN, or a pattern such as *.example, only these.
    """
    if ctx.invoked_subcommand is None:
        asked = PartnersParams(connected=connected, limit=limit)
        _list(ctx.ensure_object(CommandLine), asked, interval if watch else None)


@partners.command(COMMAND)
@click.argument("domain", required=False, default="")
@_filters
@live_options
@click.pass_obj
def list_(
    line: CommandLine, domain: str, connected: bool, limit: int, watch: bool, interval: float
) -> None:
    """The partners, or all that is known of DOMAIN, which may be a pattern."""
    asked = PartnersParams(domain=domain, connected=connected, limit=limit)
    _list(line, asked, interval if watch else None)


# ---------------------------------------------------------------- changes


def _tables(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The partners that have a table in the file in use."""
    table = ctx.ensure_object(CommandLine).configured().get(NAME)
    found = table.get("partner") if isinstance(table, dict) else None
    names = list(found) if isinstance(found, dict) else []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@partners.command()
@click.argument("domain", shell_complete=_tables)
@edit_options
@command_options
@click.pass_obj
def promote(line: CommandLine, domain: str, dry_run: bool, apply: bool) -> None:
    """Make DOMAIN an allowed partner.

    The limits for discovered partners do not apply to it, and it need not be in allow.
    """
    _change(line, changes.promote, domain, dry_run=dry_run, apply=apply)


@partners.command()
@click.argument("domain", shell_complete=_tables)
@edit_options
@command_options
@click.pass_obj
def demote(line: CommandLine, domain: str, dry_run: bool, apply: bool) -> None:
    """Make DOMAIN a discovered partner again."""
    _change(line, changes.demote, domain, dry_run=dry_run, apply=apply)


@partners.command()
@click.argument("domain", shell_complete=_tables)
@edit_options
@command_options
@click.pass_obj
def block(line: CommandLine, domain: str, dry_run: bool, apply: bool) -> None:
    """Take nothing from DOMAIN and send nothing to it, not even by a static route."""
    _change(line, changes.block, domain, dry_run=dry_run, apply=apply)


@partners.command()
@click.argument("domain", shell_complete=_tables)
@edit_options
@command_options
@click.pass_obj
def unblock(line: CommandLine, domain: str, dry_run: bool, apply: bool) -> None:
    """Block DOMAIN no longer."""
    _change(line, changes.unblock, domain, dry_run=dry_run, apply=apply)


def _change(
    line: CommandLine,
    make: Callable[[CommandLine, Document, str], str],
    domain: str,
    *,
    dry_run: bool,
    apply: bool,
) -> None:
    line.edit(lambda document: make(line, document, domain), dry_run=dry_run, apply=apply)


@partners.command()
@click.argument("domain")
@live_options
@click.pass_obj
def forget(line: CommandLine, domain: str) -> None:
    """Take DOMAIN out of the list of the running proxy, with its counts.

    With the next contact it is in again; `sipx partners block` keeps it away.
    """
    with line.control() as client, line.needs(NAME, _SWITCHED_OFF):
        done = client.call("federation.forget", ForgetParams(domain=domain), Done)
    line.result(done.model_dump(mode="json"), done.text)


# ---------------------------------------------------------------- list


def _list(line: CommandLine, asked: PartnersParams, interval: float | None) -> None:
    if interval is not None:
        with _until_interrupted():
            _stream(line, asked, interval) if line.json else _draw(line, asked, interval)
        return
    found = _ask(line, asked)
    line.result(found.model_dump(mode="json"), lines_of(found, asked))
    if not found.partners and asked.domain:
        raise click.exceptions.Exit(1)


def _ask(line: CommandLine, asked: PartnersParams) -> PartnerList:
    with line.control() as client, line.needs(NAME, _SWITCHED_OFF):
        return client.call("federation.partners", asked, PartnerList)


@contextmanager
def _until_interrupted() -> Iterator[None]:
    """Ctrl-C is the way to end it, and no failure."""
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None


def _stream(line: CommandLine, asked: PartnersParams, interval: float) -> None:
    """One document per line, until the service goes: exit code 4 then."""
    with line.control() as client, line.needs(NAME, _SWITCHED_OFF):
        while True:
            found = client.call("federation.partners", asked, PartnerList)
            click.echo(json.dumps(found.model_dump(mode="json")))
            sys.stdout.flush()
            time.sleep(interval)


def _draw(line: CommandLine, asked: PartnersParams, interval: float) -> None:
    """Drawn anew again and again on a terminal."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    if not sys.stdout.isatty():
        raise click.UsageError("--watch needs a terminal, or --json")
    with (
        line.control() as client,
        line.needs(NAME, _SWITCHED_OFF),
        Live(console=Console(highlight=False), auto_refresh=False, screen=True) as live,
    ):
        while True:
            found = client.call("federation.partners", asked, PartnerList)
            text = Text("\n").join(Text.from_ansi(row) for row in lines_of(found, asked))
            text.no_wrap, text.overflow = True, "ellipsis"
            live.update(text, refresh=True)
            time.sleep(interval)


def lines_of(found: PartnerList, asked: PartnersParams) -> Iterator[str]:
    """The list as text: a table, or all that is known of one."""
    if not found.partners:
        which = f" {asked.domain}" if asked.domain else ""
        yield f"there is no partner{which}" + (" connected" if asked.connected else "")
        return
    if asked.domain and "*" not in asked.domain:
        yield from _details(found.partners[0])
        return
    yield from CommandLine.table(
        ("partner", "standing", "last contact", "in", "out", "limited", "open", "subs"),
        [
            (
                safe(one.domain),
                one.standing,
                _day_or_time(one.last),
                str(one.messages_in),
                str(one.messages_out),
                str(one.limited),
                str(len(one.flows)),
                str(one.subscriptions),
            )
            for one in found.partners
        ],
    )
    left = found.total - len(found.partners)
    if left > 0:
        yield f"and {left} more; --limit shows more of them"


def _day_or_time(seconds: float | None) -> str:
    """Of today the time, else the day: there is room for names of 23 letters in 80 columns then."""
    if seconds is None:
        return "-"
    day, clock = moment(seconds).split()
    return clock if day == moment(time.time()).split()[0] else day


def _details(one: PartnerState) -> Iterator[str]:
    yield click.style(safe(one.domain), bold=True)
    rows = {
        "standing": one.standing,
        "proof": _proof(one),
        "certificate": safe(one.subject) or "-",
        "issued by": safe(one.issuer) or "-",
        "valid until": _moment(one.certificate_until),
        "first contact": _moment(one.first),
        "last request": _moment(one.last_in),
        "last answer": _moment(one.last_out),
        "messages": f"{one.messages_in} in, {one.messages_out} out",
        "refused": f"{one.refused}, over its limits {one.limited}; had to wait {one.slowed}",
        "limits": _limits(one),
        "connections": _connections(one),
        "subscriptions": str(one.subscriptions),
        "trouble": safe(one.trouble) or "-",
    }
    yield from titled(rows.items())


def _proof(one: PartnerState) -> str:
    if not one.profile:
        return "none yet"
    weak = f"; {safe(one.weakness)}" if one.weakness else ""
    return f"{one.profile}: its certificate names {safe(one.identity)}{weak}"


def _limits(one: PartnerState) -> str:
    rate = f"{one.messages_per_second:g} messages a second, {one.burst} at once"
    users = f"{one.users_per_day} users a day"
    said = [rate] if one.messages_per_second else []
    said += [users] if one.users_per_day else []
    over = f"; over them by {one.over:.0f} messages now" if one.over > 0 else ""
    return (", ".join(said) or "none") + over


def _connections(one: PartnerState) -> str:
    if one.flows:
        return ", ".join(
            f"{name} (flow {number})" for name, number in zip(one.flows, one.flow_ids, strict=True)
        )
    return "none" if one.next_try is None else f"none; tried in {lasting(one.next_try)}"


def _moment(seconds: float | None) -> str:
    return "-" if seconds is None else moment(seconds)
