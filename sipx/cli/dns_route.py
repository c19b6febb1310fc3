"""``sipx dns route``: how the proxy resolves a URI, question by question, and the hops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.asking import asked, offline_option, who_is_asked
from sipx.cli.cert_text import wrapped
from sipx.cli.exits import ExitCode
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.dns import DnsRoute, DnsStep


@click.command()
@click.argument("uri")
@click.option("--method", default="MESSAGE", show_default=True, help="The method of the request.")
@offline_option
@live_options
@click.pass_obj
def route(line: CommandLine, uri: str, method: str, offline: bool) -> None:
    """Resolve URI as for a request from one of our UC servers.

    Every question to the DNS with its answer, for how long it holds, and whether the name server
    has validated it by DNSSEC; then the hops in the order in which they are tried. The running
    proxy is asked, with its cache, where there is one. Nothing is sent but questions to the DNS.
    The exit code is 1 where there is no way, and 75 where a name server failed.
    """
    from sipx.control.dns import DnsRoute, DnsRouteParams
    from sipx.control.kernel import diagnosis

    params = DnsRouteParams(uri=uri_of(uri), method=method.upper())
    with asked(line, lambda dry: diagnosis(dry.kernel, live=False), offline=offline) as ask:
        found = ask("dns.route", params, DnsRoute, timeout=60.0)
    line.result(found.model_dump(mode="json"), _lines(found))
    if found.status not in (0, 200):
        raise click.exceptions.Exit(ExitCode.TRY_LATER if found.temporary else ExitCode.BAD_ANSWER)


def uri_of(text: str) -> str:
    """A URI as people write it: the scheme may be left out."""
    return text if text.lower().startswith(("sip:", "sips:")) else f"sip:{text}"


def _lines(found: DnsRoute) -> Iterator[str]:
    yield click.style(f"{found.method} {found.uri}", bold=True)
    yield who_is_asked(found.live)
    for reason in found.reasons:
        yield from wrapped("why:    ", reason)
    yield from way(found)


def way(found: DnsRoute, indent: str = "") -> Iterator[str]:
    """The questions, the hops and the end, a line or more for each."""
    for number, step in enumerate(found.steps, 1):
        yield from wrapped(f"{indent}dns {number}:  ", _told(step))
    if not found.steps:
        yield f"{indent}dns:    nothing had to be asked"
    number = 0
    for target in found.targets:
        for hop in target.hops:
            number += 1
            name = "" if hop.name == hop.address else f" ({hop.name})"
            how = f"not tried: {hop.refused}" if hop.refused else f"from interface {hop.interface}"
            at = f"{hop.transport} {hop.address} port {hop.port}{name}"
            yield from wrapped(f"{indent}hop {number}:  ", f"{at}, {how}")
    for refused in found.refused:
        yield from wrapped(
            f"{indent}never:  ", f"{refused.address} ({refused.name}): {refused.why}"
        )
    color, text = _end(found)
    for line in wrapped(indent, text):
        yield indent + click.style(line.removeprefix(indent), fg=color)


def _told(step: DnsStep) -> str:
    marks = [] if step.ttl is None else [f"TTL {step.ttl:.0f} s"]
    marks.append("from the cache" if step.cached else "asked now")
    if step.authentic:
        marks.append("validated by DNSSEC")
    alias = f", by a CNAME to {step.alias}" if step.alias else ""
    return f"{step.text}{alias} ({', '.join(marks)})"


def _end(found: DnsRoute) -> tuple[str, str]:
    row = f" (row {found.row})" if found.row else ""
    if found.status == 0:
        return "green", f"It would be sent there{row}."
    if found.status == 200:
        return "green", "The proxy itself would answer it with 200."
    return "red", f"It would be refused with {found.status}{row}: {found.why}."
