"""``sipx dns cache``: what the running proxy remembers of the DNS, and forgetting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.cert_text import wrapped
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.dns import DnsCacheState, DnsEntry


@click.group(invoke_without_command=True)
@live_options
@click.pass_context
def cache(ctx: click.Context) -> None:
    """What the running proxy remembers of the DNS.

    Also that a name does not exist, and for a few seconds that a name server failed.
    """
    if ctx.invoked_subcommand is not None:
        return
    from sipx.control.dns import DnsCacheState

    line: CommandLine = ctx.obj
    with line.control() as client:
        found = client.call("dns.cache", None, DnsCacheState)
    line.result(found.model_dump(mode="json"), _lines(found))


@cache.command()
@live_options
@click.pass_obj
def flush(line: CommandLine) -> None:
    """Forget it: what is asked next is asked anew.

    For a partner that has changed its records, before their time is over. Connections that are
    open and dialogs stay.
    """
    from sipx.control.methods import Done

    with line.control() as client:
        done = client.call("dns.flush", None, Done)
    line.result(done.model_dump(mode="json"), done.text)


def _lines(found: DnsCacheState) -> Iterator[str]:
    if not found.entries:
        yield "nothing is remembered"
    for entry in found.entries:
        yield from wrapped("", told(entry))
    counts = found.statistics
    yield (
        f"{len(found.entries)} answers, {counts.hits} times used, {counts.queries} queries, "
        f"{counts.failures} failed"
    )


def told(entry: DnsEntry) -> str:
    """One answer in words."""
    ttl = "" if entry.ttl is None else f" (TTL {entry.ttl:.0f} s"
    if ttl:
        ttl += ", validated by DNSSEC)" if entry.authentic else ")"
    alias = f", by a CNAME to {entry.alias}" if entry.alias else ""
    return f"{entry.text}{alias}{ttl}"
