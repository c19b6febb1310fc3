"""``sipx dns record``: the SRV record to create for each of our domains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from sipx.cli.asking import asked, offline_option
from sipx.cli.cert_text import WIDTH, wrapped
from sipx.cli.exits import ExitCode
from sipx.cli.live import live_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx.cli.command_line import CommandLine
    from sipx.control.dns_record import DnsRecord


@click.command()
@click.argument("domain", required=False, default="")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["bind", "powershell", "plain"]),
    default="bind",
    show_default=True,
    help="A line of a zone file, a command for Windows DNS, or the fields of a web form.",
)
@click.option("--host", default="", metavar="NAME", help="The target, where it cannot be known.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="NUMBER",
    help="The port, where it is not the one that listens.",
)
@offline_option
@live_options
@click.pass_obj
def record(
    line: CommandLine, domain: str, format_: str, host: str, port: int | None, offline: bool
) -> None:
    """Print the SRV record to create, so that partners find our domains.

    Without DOMAIN the one of each domain. The host comes from the certificate that partners are
    shown, the port from the interface with mutual TLS that listens. Where one of
    the two cannot be known, it is told what to do about it, and the exit code is 1.
    """
    from sipx.control.dns_record import DnsRecordParams, DnsRecords
    from sipx.control.kernel import diagnosis

    params = DnsRecordParams(domain=domain, host=host, port=port or 0)
    with asked(line, lambda dry: diagnosis(dry.kernel, live=False), offline=offline) as ask:
        found = ask("dns.record", params, DnsRecords)
    whole = [one for one in found.records if not one.missing]
    data = found.model_dump(mode="json")
    for one, shown in zip(found.records, data["records"], strict=True):
        shown["lines"] = [] if one.missing else list(_FORMATS[format_](one))
    lines: list[str] = []
    for one in whole:
        lines += [*([""] if lines else []), *_FORMATS[format_](one)]
    if lines or line.json:
        line.result(data, lines)
    for one in found.records:
        for lack in one.missing:
            line.say(f"{one.domain}: the {lack.what} is not known: {lack.text}")
            line.say(f"  {lack.remedy}")
    if whole and not line.json:
        names = " and ".join(f"`sipx dns check {one.domain}`" for one in whole[:1])
        line.say(f"when it is published, {names} compares it with what listens here")
    if len(whole) < len(found.records):
        raise click.exceptions.Exit(ExitCode.BAD_ANSWER)


# ---------------------------------------------------------------- the formats


def _bind(one: DnsRecord) -> Iterator[str]:
    yield from _remarks(one, ";")
    yield (f"{one.service}. {one.ttl} IN SRV {one.priority} {one.weight} {one.port} {one.host}.")
    for address in one.addresses:
        yield f"{one.host}. {one.ttl} IN {'AAAA' if ':' in address else 'A'} {address}"


def _powershell(one: DnsRecord) -> Iterator[str]:
    yield from _remarks(one, "#")
    hours, rest = divmod(one.ttl, 3600)
    ttl = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
    prefix = one.service.removesuffix(f".{one.domain}")
    yield f'Add-DnsServerResourceRecord -Srv -ZoneName "{one.domain}" `'
    yield f'  -Name "{prefix}" -DomainName "{one.host}." `'
    yield f"  -Priority {one.priority} -Weight {one.weight} -Port {one.port} -TimeToLive {ttl}"
    name = one.host.removesuffix(f".{one.domain}")
    if name == one.host:
        return  # a host elsewhere is in a zone of somebody else
    for address in one.addresses:
        six = ":" in address
        yield f'Add-DnsServerResourceRecord{"AAAA" if six else "A"} -ZoneName "{one.domain}" `'
        yield f'  -Name "{name}" -IPv{"6" if six else "4"}Address "{address}" -TimeToLive {ttl}'


def _plain(one: DnsRecord) -> Iterator[str]:
    service, protocol = one.service.split(".", 2)[:2]
    yield click.style(one.domain, bold=True)
    for name, value in (
        ("service", service),
        ("protocol", protocol),
        ("domain", one.domain),
        ("priority", one.priority),
        ("weight", one.weight),
        ("port", one.port),
        ("target", one.host),
        ("TTL", one.ttl),
        ("address", ", ".join(one.addresses)),
    ):
        if value != "":
            yield f"  {name:<9} {value}"
    for note in one.notes:
        yield from wrapped("  note      ", note)


def _remarks(one: DnsRecord, mark: str) -> Iterator[str]:
    by = f"interface {one.interface}, certificate '{one.certificate}'" if one.certificate else ""
    yield f"{mark} {one.domain}: {by or 'as it was given'}"
    for note in one.notes:
        for text in wrapped("note: ", note, WIDTH - len(mark) - 1):
            yield f"{mark} {text}"


_FORMATS: Final[dict[str, Callable[[DnsRecord], Iterator[str]]]] = {
    "bind": _bind,
    "powershell": _powershell,
    "plain": _plain,
}
