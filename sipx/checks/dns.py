"""The area dns of ``sipx check``: the name servers, and the records that partners find us by."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import dns.exception
import dns.resolver
import trio

from sipx.control.dns_check import own_matches
from sipx.limits import dns_settings
from sipx.lookup import DnsSettings, ResolveError
from sipx.plugin import Finding, Severity
from sipx.public_address import AUTO
from sipx.resolver import FEDERATION_SERVICE, Resolver
from sipx.srv_findings import TEMPORARY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.dry_run import DryRun
    from sipx.status import PublicSummary

LONGEST: Final = 3.0
"""Seconds for which one name server is waited for."""
SLOW: Final = 1.0
ELSEWHERE: Final = "SIPX-D006"
"""The finding that a record leads to an address which is not known as ours."""


def dns_findings(dry: DryRun, known: PublicSummary | None = None) -> Iterator[Finding]:
    """What the DNS says of us. Nobody is asked where no plugin finds partners by it.

    ``known`` is what a sipx that runs knows of the public address, None where none does.
    """
    if not dry.hooks.discoveries():
        yield Finding(
            "SIPX-D013",
            Severity.OK,
            "no plugin finds partners by the DNS, so no record of ours is looked up here",
            "`sipx dns check` looks all the same",
        )
        return
    yield from trio.run(_findings, dry, known)


async def _findings(dry: DryRun, known: PublicSummary | None) -> list[Finding]:
    kernel = dry.kernel
    found = await _of_servers(dns_settings(kernel.config.dns), min(kernel.domains).decode())
    if any(one.severity is Severity.FAILURE for one in found):
        return found  # nothing else can be found out
    _, matches = await own_matches(kernel, runs=False, known=known)
    findings = matches.findings
    if advertises_auto(dry) and not (known and known.found):
        findings = tuple(map(_unknown, findings))
    return [*found, *findings]


def advertises_auto(dry: DryRun) -> bool:
    """Whether peers are told what a plugin finds: that is known to a sipx that runs only."""
    return any(i.public is not None and i.public.host == AUTO for i in dry.interfaces)


def _unknown(finding: Finding) -> Finding:
    """The public address is not known here, so a record with it cannot be told from a wrong one."""
    if finding.code != ELSEWHERE:
        return finding
    return replace(
        finding,
        severity=Severity.OK,
        remedy='the public address is "auto", and no sipx runs that could tell which it is; when '
        "one does, check again",
    )


async def _of_servers(settings: DnsSettings, domain: str) -> list[Finding]:
    """Each name server by itself: one that is dead costs every question time."""
    servers = settings.servers
    if not servers:
        try:
            system = dns.resolver.Resolver().nameservers
        except dns.exception.DNSException as error:
            text = f"this machine has no name server: {error}"
            return [Finding("SIPX-D011", Severity.FAILURE, text, "set [dns] servers")]
        servers = tuple(f"[{s}]:53" if ":" in str(s) else str(s) for s in system)
    answers: dict[str, tuple[float, str]] = {}

    async def ask(server: str) -> None:
        one = DnsSettings((server,), timeout=min(settings.timeout, LONGEST))
        began = time.perf_counter()
        said = ""
        try:
            await Resolver(one).service(f"{FEDERATION_SERVICE}.{domain}")
        except ResolveError as error:
            said = error.text if error.kind in TEMPORARY else ""
        answers[server] = (time.perf_counter() - began, said)

    async with trio.open_nursery() as nursery:
        for server in servers:
            nursery.start_soon(ask, server)
    dead = all(said for _, said in answers.values())
    return [_of_server(server, *answers[server], dead=dead) for server in servers]


def _of_server(server: str, seconds: float, said: str, *, dead: bool) -> Finding:
    if said:
        return Finding(
            "SIPX-D011",
            Severity.FAILURE if dead else Severity.WARNING,
            f"the name server {server} gives no usable answer: {said}",
            "correct [dns] servers, or the name servers of this machine",
        )
    text = f"the name server {server} answers in {1000 * seconds:.0f} ms"
    if seconds > SLOW:
        return Finding("SIPX-D012", Severity.WARNING, text, "take one that is nearer")
    return Finding("SIPX-D011", Severity.OK, text)
