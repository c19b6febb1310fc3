"""``sipx flows``: the open flows, or one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.completion import interface_names
from sipx.cli.live import lasting, live_options
from sipx.cli.tables import facts, table, terminal_width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.flows import FlowList, FlowState


@click.command()
@click.argument("id_", metavar="[ID]", type=int, required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="How many at most, the newest first.",
)
@click.option(
    "--interface",
    default="",
    metavar="NAME",
    shell_complete=interface_names,
    help="Only those of one interface.",
)
@live_options
@click.pass_obj
def flows(line: CommandLine, id_: int | None, limit: int, interface: str) -> None:
    """The open flows, or one of them.

    The list begins with the newest; one is shown with what is known of its peer. A flow is a
    connection, or a peer's address behind a UDP socket (RFC 5626). ID is its number in the list.
    """
    from sipx.control import flows as models

    with line.control() as client:
        if id_ is None:
            asked = models.FlowsParams(limit=limit, interface=interface)
            listed = client.call("flows.list", asked, models.FlowList)
            line.result(listed.model_dump(mode="json"), _listed(listed, terminal_width()))
            return
        one = client.call("flows.show", models.FlowParams(id=id_), models.FlowState)
    line.result(one.model_dump(mode="json"), _shown(one))


def _listed(found: FlowList, width: int | None) -> Iterator[str]:
    if not found.flows:
        yield "no flow is open"
        return
    yield from table(
        ("id", "interface", "peer", "opened by", "age", "idle", "in", "out", "name"),
        (
            (
                one.id,
                one.interface,
                f"{one.protocol}:{_host(one.address)}:{one.port}",
                "us" if one.outbound else "peer",
                lasting(one.age),
                lasting(one.idle),
                one.messages_in,
                one.messages_out,
                one.peer,
            )
            for one in found.flows
        ),
        width,
        right=("id", "in", "out"),
    )
    left = found.total - len(found.flows)
    if left > 0:
        yield f"and {left} more; --limit shows more of them"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _shown(one: FlowState) -> list[str]:
    proofs = "; ".join(
        f"{proof.partner} by its name {proof.name} ({proof.profile})"
        + (f", {proof.weakness}" if proof.weakness else "")
        for proof in one.proofs
    )
    return facts(
        (
            ("id", one.id),
            ("interface", f"{one.interface} ({one.bound})" if one.bound else one.interface),
            ("peer", f"{one.protocol}:{_host(one.address)}:{one.port}"),
            ("name", one.peer),
            ("opened by", "this proxy" if one.outbound else "the peer"),
            ("age", lasting(one.age)),
            ("idle", lasting(one.idle)),
            ("messages", f"{one.messages_in} in, {one.messages_out} out"),
            ("takes requests", "yes (RFC 5923)" if one.alias else ""),
            ("certificate", one.certificate),
            ("sha-256", one.fingerprint),
            ("vouched for", ("yes" if one.trusted else "no") if one.certificate else ""),
            ("proves", proofs),
        )
    )
