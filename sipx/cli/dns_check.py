"""``sipx dns check``: what is published for a domain, ours or a partner's, and what is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from sipx.cli.asking import asked, offline_option, who_is_asked
from sipx.cli.cert_text import wrapped
from sipx.cli.dns_route import way
from sipx.cli.exits import ExitCode
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.dns_check import CheckedRecord, CheckFinding, DnsCheck, DnsDomain

_MARKS: Final = {"ok": ("ok     ", "green"), "warning": ("warning", "yellow")}


@click.command()
@click.argument("domain", required=False, default="")
@offline_option
@live_options
@click.pass_obj
def check(line: CommandLine, domain: str, offline: bool) -> None:
    """Look up the SRV record of DOMAIN, and compare.

    One of our domains, or without DOMAIN each of them, with our certificate, what listens, and the
    addresses of this machine. Any other domain as this proxy would follow it: the targets in
    order, aliases, addresses, which of them are never sent to, and whether a target lies within
    the domain. The name servers are asked anew. The exit code is 1 when something failed, and 75
    when a name server did.
    """
    from sipx.control.dns_check import DnsCheck, DnsCheckParams
    from sipx.control.kernel import diagnosis

    params = DnsCheckParams(domain=domain)
    with asked(line, lambda dry: diagnosis(dry.kernel, live=False), offline=offline) as ask:
        found = ask("dns.check", params, DnsCheck, timeout=60.0)
    line.result(found.model_dump(mode="json"), _lines(found))
    code = exit_code(found)
    if code is not ExitCode.DONE:
        raise click.exceptions.Exit(code)


def exit_code(found: DnsCheck) -> ExitCode:
    """What stands for the findings."""
    if any(f.severity == "failure" for one in found.domains for f in one.findings):
        return ExitCode.BAD_ANSWER
    ways = [one.way for one in found.domains if one.way is not None]
    if any(one.failure in ("servfail", "timeout") for one in found.domains) or any(
        one.temporary for one in ways
    ):
        return ExitCode.TRY_LATER
    refused = any(one.status not in (0, 200) for one in ways)
    return ExitCode.BAD_ANSWER if refused else ExitCode.DONE


def _lines(found: DnsCheck) -> Iterator[str]:
    yield who_is_asked(found.live)
    for one in found.domains:
        yield ""
        yield click.style(one.domain, bold=True) + (", ours" if one.ours else "")
        yield from _of_domain(one, found.live)


def _of_domain(one: DnsDomain, live: bool) -> Iterator[str]:
    marks = [] if one.ttl is None else [f"TTL {one.ttl:.0f} s"]
    if one.records:
        marks.append(f"{'' if one.authentic else 'not '}validated by DNSSEC")
    yield from wrapped("  dns:   ", one.answer + (f" ({', '.join(marks)})" if marks else ""))
    if one.remembered:
        yield from wrapped(
            "  cache: ",
            f"the running proxy still goes by another answer: {one.remembered}; "
            "`sipx dns cache flush` lets it ask anew",
        )
    for number, record in enumerate(one.records, 1):
        yield from _of_record(number, record, one.ours, live)
    if one.ours and one.certificate:
        for name in one.names:
            said = f"{name.name} of certificate '{one.certificate}': "
            yield from wrapped("  name:  ", f"{said}{'good' if name.good else 'no'}: {name.why}")
    yield from findings(one.findings)
    if one.way is not None:
        yield "  A message there would now go this way:"
        yield from way(one.way, "  ")


def _of_record(number: int, record: CheckedRecord, ours: bool, live: bool) -> Iterator[str]:
    where = "within the domain" if record.inside else "outside of the domain"
    alias = f", a CNAME for {record.alias}" if record.alias else ""
    yield from wrapped(
        f"  srv {number}: ",
        f"{record.target} port {record.port}, priority {record.priority}, weight {record.weight}, "
        f"{where}{alias}",
    )
    for at in record.addresses:
        if not ours:
            said = f"never sent to: {at.refused}" if at.refused else "may be sent to"
        elif at.interface:
            said = f"interface {at.interface} {'listens' if live else 'is to listen'} there"
        else:
            said = "ours, nothing listens there" if at.ours else "not of this machine"
        yield from wrapped("         ", f"{at.address}: {said}")
    if not record.addresses:
        yield "         no address"


def findings(found: Iterable[CheckFinding]) -> Iterator[str]:
    """Findings as `sipx check` shows them, no wider than 80 columns."""
    for one in found:
        mark, color = _MARKS.get(one.severity, ("FAILURE", "red"))
        label = f"  {mark}  {one.code}  "
        first, *others = wrapped(label, one.text)
        yield first.replace(mark, click.style(mark, fg=color), 1)
        yield from others
        if one.remedy:
            yield from wrapped(" " * len(label), one.remedy)
