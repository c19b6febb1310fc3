"""``sipx probe``: an OPTIONS request the way a message would go, and what its answer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.asking import asked, offline_option
from sipx.cli.cert_text import wrapped
from sipx.cli.dns_route import uri_of
from sipx.cli.exits import ExitCode
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.probe import ProbeResult, ProbeTls


@click.command()
@click.argument("uri")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=60),
    default=10.0,
    show_default=True,
    help="Seconds for the connection, and again for the answer.",
)
@offline_option
@live_options
@click.pass_obj
def probe(line: CommandLine, uri: str, timeout: float, offline: bool) -> None:
    """Send OPTIONS to URI the way a message would go, and explain the answer.

    The running proxy sends it over its own connections, where there is one; else a connection is
    made for it alone, which is said. The answer, the certificate at the other end and by what it
    is believed, and how long each part took are told. The exit code is 0 when the way works, also
    where the other end refuses OPTIONS itself, 1 when it does not, and 75 when a name server
    failed.
    """
    from sipx.control.kernel import diagnosis
    from sipx.control.probe import ProbeParams, ProbeResult

    params = ProbeParams(uri=uri_of(uri), timeout=timeout)
    with asked(line, lambda dry: diagnosis(dry.kernel, live=False), offline=offline) as ask:
        found = ask("probe", params, ProbeResult, timeout=4 * timeout + 60.0)
    line.result(found.model_dump(mode="json"), _lines(found))
    if not found.good:
        later = found.temporary
        raise click.exceptions.Exit(ExitCode.TRY_LATER if later else ExitCode.BAD_ANSWER)


def _lines(found: ProbeResult) -> Iterator[str]:
    yield click.style(f"OPTIONS {found.uri}", bold=True)
    if found.live:
        yield "sent:   by the running sipx"
    else:
        yield from wrapped(
            "sent:   ",
            "by this command, over a connection of its own: no sipx is asked, so nothing is known "
            "of who is registered or already connected",
        )
    for one in found.tried:
        if one.why == found.why:
            continue  # that is told as the answer
        yield from wrapped("tried:  ", f"{one.name}: {one.why}")
        if one.remedy:
            yield from wrapped("        ", one.remedy)
    if found.place:
        name = f" ({found.target})" if found.target else ""
        how = "over a connection that was open" if found.reused else "over a new connection"
        yield from wrapped("to:     ", f"{found.place}{name}, {how}, interface {found.interface}")
    if found.tls is not None:
        yield from _of_tls(found.tls)
    yield from _of_answer(found)
    yield from _of_times(found)


def _of_tls(tls: ProbeTls) -> Iterator[str]:
    if tls.version:
        yield f"tls:    {tls.version}, {tls.cipher}"
    yield from wrapped("cert:   ", tls.certificate or "it showed none")
    if tls.certificate:
        yield from wrapped("        ", f"speaks for {', '.join(tls.names) or 'no domain'}")
    if tls.profile:
        weak = f"; {tls.weakness}" if tls.weakness else ""
        how = f"it names {tls.name}" if tls.name else "its key is pinned"
        yield from wrapped("proven: ", f"by {tls.profile}: {how}{weak}")
    if tls.shown:
        yield from wrapped("ours:   ", tls.shown)


def _of_answer(found: ProbeResult) -> Iterator[str]:
    row = f" (row {found.row})" if found.row else ""
    if found.why and found.status == 200:
        yield from wrapped("answer: ", f"200: {found.why}")
    elif found.why:
        what = "no answer" if found.sent else "not sent"
        yield from _colored("answer: ", f"{what}: {found.why}", "red")
        if found.remedy:
            yield from wrapped("        ", found.remedy)
        yield from wrapped("        ", f"a message would be answered with {found.status}{row}")
    else:
        by = f", from {found.server}" if found.server else ""
        color = "green" if found.good else "red"
        yield from _colored("answer: ", f"{found.status} {found.reason}{by}", color)
        for meaning in found.meaning:
            yield from wrapped("        ", meaning)
        if found.allow:
            yield from wrapped("allows: ", ", ".join(found.allow))
        if found.supported:
            yield from wrapped("knows:  ", ", ".join(found.supported))


def _of_times(found: ProbeResult) -> Iterator[str]:
    times = found.times
    parts = [
        f"{what} {value:.0f} ms"
        for what, value in (
            ("way and DNS", times.way),
            ("connection", times.connection),
            ("answer", times.answer),
        )
        if value is not None
    ]
    if parts:
        yield f"took:   {', '.join(parts)}"


def _colored(label: str, text: str, color: str) -> Iterator[str]:
    """Wrapped first: colours have no width."""
    for line in wrapped(label, text):
        yield line[: len(label)] + click.style(line[len(label) :], fg=color)
