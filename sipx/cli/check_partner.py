"""``sipx check partner``: the way to a domain, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from sipx.cli.asking import asked, offline_option
from sipx.cli.cert_text import wrapped
from sipx.cli.exits import ExitCode
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.partner_check import PartnerCheck

_MARKS: Final = {
    "ok": ("ok     ", "green"),
    "warning": ("warning", "yellow"),
    "no": ("no     ", ""),
    "failed": ("FAILED ", "red"),
    "skipped": ("skipped", "yellow"),
}


@click.command()
@click.argument("domain")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=60),
    default=8.0,
    show_default=True,
    help="Seconds for each connection, and for the answer.",
)
@offline_option
@live_options
@click.pass_obj
def partner(line: CommandLine, domain: str, timeout: float, offline: bool) -> None:
    """Walk the way to DOMAIN, as a message would go.

    SRV record, addresses, TCP, versions of TLS, chain, extended key usage in both roles, each
    identity profile, OPTIONS; each step ok or failed with the reason and what to do. What is
    configured for this partner counts. A step that failed does not stop those that can still be
    told. Connections are made for it alone. The exit code is 1 when a message would not get there,
    and 75 when a name server failed.
    """
    from sipx.control.kernel import diagnosis
    from sipx.control.probe import PartnerParams
    from sipx.partner_check import PartnerCheck

    params = PartnerParams(domain=domain, timeout=timeout)
    with asked(line, lambda dry: diagnosis(dry.kernel, live=False), offline=offline) as ask:
        found = ask("check.partner", params, PartnerCheck, timeout=12 * timeout + 60.0)
    line.result(found.model_dump(mode="json"), _lines(found))
    if not found.good:
        later = found.temporary
        raise click.exceptions.Exit(ExitCode.TRY_LATER if later else ExitCode.BAD_ANSWER)


def _lines(found: PartnerCheck) -> Iterator[str]:
    name = f", {found.name}" if found.name not in ("", found.domain) else ""
    yield click.style(found.domain, bold=True) + name
    by = "the running sipx" if found.live else "this command; no sipx is asked"
    yield f"walked by {by}"
    for step in found.steps:
        mark, color = _MARKS[step.state]
        took = "" if step.ms is None else f" ({step.ms:.0f} ms)"
        label = f"  {mark}  {step.name:<9} "
        first, *others = wrapped(label, f"{step.text}{took}")
        yield first.replace(mark, click.style(mark, fg=color or None), 1)
        yield from others
        if step.remedy:
            yield from wrapped(" " * len(label), step.remedy)
    yield _verdict(found)


def _verdict(found: PartnerCheck) -> str:
    if found.good:
        return click.style("A message would get there.", fg="green")
    first = next(step for step in found.steps if step.state == "failed")
    return click.style(
        f"A message would not get there; the first step that failed: {first.name}.", fg="red"
    )
