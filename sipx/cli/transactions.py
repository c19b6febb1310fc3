"""``sipx transactions``: the running transactions, or one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.live import lasting, live_options
from sipx.cli.tables import facts, table, terminal_width

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.transactions import (
        BranchState,
        RunningTimer,
        TransactionList,
        TransactionState,
    )


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="How many at most, the newest first.",
)
@click.option("--finished", is_flag=True, help="Also those that only wait for retransmissions.")
@live_options
@click.pass_obj
def transactions(line: CommandLine, id_: str | None, limit: int, finished: bool) -> None:
    """The running transactions, or one of them.

    The list begins with the newest; one is shown with its state, its timers and its branches. ID
    is what the list shows, the beginning of it, or the branch of the topmost Via.
    """
    from sipx.control import transactions as models

    with line.control() as client:
        if id_ is None:
            asked = models.TransactionsParams(limit=limit, finished=finished)
            listed = client.call("transactions.list", asked, models.TransactionList)
            line.result(listed.model_dump(mode="json"), _listed(listed, terminal_width()))
            return
        asked_for = models.TransactionParams.model_construct(_fields_set={"id"}, id=id_)
        one = client.call("transactions.show", asked_for, models.TransactionState)
    line.result(one.model_dump(mode="json"), _shown(one, terminal_width()))


def _listed(found: TransactionList, width: int | None) -> Iterator[str]:
    if not found.transactions:
        yield f"no transaction runs; {found.finished} finished ones wait for retransmissions"
        return
    yield from table(
        ("id", "method", "state", "age", "from", "uri"),
        (
            (
                one.id,
                one.method,
                one.state,
                lasting(one.age),
                one.flow if one.kind == "server" else "this proxy",
                one.uri,
            )
            for one in found.transactions
        ),
        width,
    )
    left = found.total - len(found.transactions)
    if left > 0:
        yield f"and {left} more; --limit shows more of them"


def _shown(one: TransactionState, width: int | None) -> Iterator[str]:
    yield from facts(
        (
            ("id", one.id),
            ("kind", one.kind),
            ("method", one.method),
            ("state", one.state),
            ("timers", _timers(one.timers)),
            ("uri", one.uri),
            ("from", one.from_uri),
            ("to", one.to_uri),
            ("call-id", one.call_id),
            ("cseq", one.cseq),
            ("branch", one.branch),
            ("flow", one.flow),
            ("interface", one.interface),
            ("sender", one.sender),
            ("age", lasting(one.age)),
            ("cancelled", "yes" if one.cancelled else ""),
            ("targets waiting", one.waiting_targets or ""),
        )
    )
    if one.tried:
        yield ""
        heads = ("target", "state", "answer", "hop", "hops left", "timers", "uri")
        yield from table(heads, map(_branch, one.tried), width, right=("answer", "hops left"))


def _branch(branch: BranchState) -> tuple[object, ...]:
    state = f"{branch.state}, cancelled" if branch.cancelled else branch.state
    answer = "-" if branch.answer is None else branch.answer or "given"
    timers = _timers(branch.timers)
    return (branch.target, state, answer, branch.hop, branch.hops_left, timers, branch.uri)


def _timers(timers: Iterable[RunningTimer]) -> str:
    return ", ".join(
        timer.name if timer.left is None else f"{timer.name} in {lasting(timer.left)}"
        for timer in timers
    )
