"""``sipx registrations``: who is registered where, and taking a registration away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from sipx import CommandLine, harmless, lasting, live_options, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx_registrar.registrations_state import RegistrationList, RegistrationState

COMMAND: Final = "list"


class _Registrations(click.Group):
    """A group whose first word may also be a user: the registrations of that are shown."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            return COMMAND, self.commands[COMMAND], args
        return super().resolve_command(ctx, args)


def _filters(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--limit",
            type=click.IntRange(1, 1000),
            default=100,
            show_default=True,
            help="How many at most.",
        ),
        click.option("--owner", default="", metavar="NAME", help="Only those of one account."),
    ):
        function = option(function)
    return function


@click.group(
    cls=_Registrations, invoke_without_command=True, subcommand_metavar="[USER | COMMAND ...]"
)
@_filters
@live_options
@click.pass_context
def registrations(ctx: click.Context, owner: str, limit: int) -> None:
    """Who is registered where: list, remove.

    Without a command the registrations of the running proxy are listed; with USER, which is
    alice, alice@home.example or a pattern such as *.berlin, those of these users.
    """
    if ctx.invoked_subcommand is None:
        _list(ctx.ensure_object(CommandLine), "", owner, limit)


@registrations.command(COMMAND)
@click.argument("user", required=False, default="")
@_filters
@live_options
@click.pass_obj
def list_(line: CommandLine, user: str, owner: str, limit: int) -> None:
    """The registrations, or those of USER, which may be a pattern."""
    _list(line, user, owner, limit)


@registrations.command()
@click.argument("user")
@click.argument("contact", required=False, default="")
@live_options
@click.pass_obj
def remove(line: CommandLine, user: str, contact: str) -> None:
    """End the registrations of USER, or the one at CONTACT.

    The client is not told: it is reachable again once it has refreshed its registration.
    """
    from sipx_registrar.registrations_state import RegistrationList, RemoveParams

    at = f" at {contact}" if contact else ""
    line.confirm(f"End the registration of {user}{at}?")
    with line.control() as client, line.needs("registrar"):
        asked = RemoveParams(user=user, contact=contact)
        gone = client.call("registrar.remove", asked, RegistrationList)
    line.result(
        gone.model_dump(mode="json"),
        [f"{_name(one)} is not registered at {_safe(one.contact)} any more"
         for one in gone.registrations],
    )  # fmt: skip


def _list(line: CommandLine, user: str, owner: str, limit: int) -> None:
    from sipx_registrar.registrations_state import RegistrationList, RegistrationsParams

    with line.control() as client, line.needs("registrar"):
        asked = RegistrationsParams(user=user, owner=owner, limit=limit)
        found = client.call("registrar.registrations", asked, RegistrationList)
    line.result(found.model_dump(mode="json"), _lines(found, user, owner))


def _lines(found: RegistrationList, user: str, owner: str) -> Iterator[str]:
    if not found.registrations:
        who = f"{user} is not registered" if user else "nobody is registered"
        yield f"{who} by {owner}" if owner else who
        return
    yield from CommandLine.table(
        ("user", "owner", "contact", "from", "flow", "since", "expires"),
        [
            (
                _name(one),
                _safe(one.owner),
                _safe(one.contact),
                one.source,
                "-" if one.flow is None else str(one.flow),
                moment(one.since),
                f"in {lasting(one.expires)}",
            )
            for one in found.registrations
        ],
    )
    left = found.total - len(found.registrations)
    if left > 0:
        yield f"and {left} more; --limit shows more of them"


def _name(one: RegistrationState) -> str:
    return _safe(one.user) or "(the server itself)"


def _safe(text: str) -> str:
    """Text of others, which can do nothing to a terminal."""
    return str(harmless(text))
