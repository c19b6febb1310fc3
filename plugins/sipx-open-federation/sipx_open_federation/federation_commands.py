"""``sipx federation``: open federation on and off, whom it is for, and whether it works."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import click
import trio

from sipx import (
    CommandLine,
    DryRun,
    PluginError,
    StartError,
    command_options,
    edit_options,
    live_options,
    moment,
)
from sipx_open_federation import changes
from sipx_open_federation.columns import safe, titled, wrapped
from sipx_open_federation.config import NAME, OpenFederationConfig
from sipx_open_federation.federation_state import FederationState

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.group()
def federation() -> None:
    """Open federation with any domain: on, off, for whom, and whether it works."""


# ---------------------------------------------------------------- changes


@federation.command()
@edit_options
@command_options
@click.pass_obj
def enable(line: CommandLine, dry_run: bool, apply: bool) -> None:
    """Use open federation."""
    line.edit(changes.switch_on, dry_run=dry_run, apply=apply)


@federation.command()
@edit_options
@command_options
@click.pass_obj
def disable(line: CommandLine, dry_run: bool, apply: bool) -> None:
    """Use open federation no longer; its settings are kept."""
    line.edit(changes.switch_off, dry_run=dry_run, apply=apply)


@federation.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@click.option("--only", is_flag=True, help="These, and no others that are in allow now.")
@edit_options
@command_options
@click.pass_obj
def allow(
    line: CommandLine, patterns: tuple[str, ...], only: bool, dry_run: bool, apply: bool
) -> None:
    """Let domains be found by DNS, and block them no longer.

    PATTERN is a domain, "*.example.com" for all below it, or "*" for every domain.
    """
    line.edit(
        lambda document: changes.allow(line, document, patterns, only=only),
        dry_run=dry_run,
        apply=apply,
    )


@federation.command()
@click.argument("patterns", nargs=-1, required=True, metavar="PATTERN...")
@edit_options
@command_options
@click.pass_obj
def deny(line: CommandLine, patterns: tuple[str, ...], dry_run: bool, apply: bool) -> None:
    """Block domains, in both directions and by static routes as well.

    PATTERN is a domain, "*.example.com" for all below it, or "*" for every domain.
    """
    line.edit(lambda document: changes.deny(line, document, patterns), dry_run=dry_run, apply=apply)


# ---------------------------------------------------------------- status


@federation.command()
@live_options
@click.pass_obj
def status(line: CommandLine) -> None:
    """Whether partners can reach us: switch, certificate, DNS, interface, partners.

    For each name of the certificate the DNS SRV record that leads partners to it, with host, IP and
    port, compared with what really listens; or that none matches, and why. Without a running sipx
    the configuration file is looked at.
    """
    found = _live(line) or _offline(line)
    line.result(found.model_dump(mode="json"), lines_of(found))


def _live(line: CommandLine) -> FederationState | None:
    """What the running sipx says; None where none runs, or open federation is off there."""
    client = line.reachable_control()
    with client or nullcontext():
        methods = [] if client is None else client.call_json("control.methods")["methods"]
        if client is None or all(each["name"] != "federation.status" for each in methods):
            return None
        return client.call("federation.status", None, FederationState)


def _offline(line: CommandLine) -> FederationState:
    """What the configuration file would do, also while open federation is off in it."""
    from sipx_open_federation.plugin import OpenFederation

    settings = line.settings()
    config = settings.plugins.get(NAME)
    if not isinstance(config, OpenFederationConfig):
        raise line.failed(f"the plugin {NAME} is not listed in plugins")
    on = config.model_copy(update={"enabled": True})
    try:
        with DryRun.of(
            replace(settings, plugins={**settings.plugins, NAME: on}), line.registry
        ) as dry:
            plugin = dry.plugin(NAME)
            assert isinstance(plugin, OpenFederation)
            found = trio.run(plugin.state)
    except (PluginError, StartError) as error:
        raise line.failed(str(error)) from error
    return found.model_copy(update={"enabled": config.enabled})


def lines_of(found: FederationState) -> Iterator[str]:
    """The status as text, in 80 columns."""
    state = "on" if found.enabled else "off"
    if found.enabled and not found.running:
        state += "; sipx is not running"
    if not found.enabled:
        state += "; this is how it would be"
    yield click.style(f"open federation is {state}", bold=True)
    yield from titled([*_certificate(found), *_match(found), *_rest(found)])
    if found.names:
        yield "names of the certificate"
    for name in found.names:
        text = f"{safe(name.name)}: {safe(name.why)}"
        yield from wrapped(text, "  ok  " if name.good else "  no  ", " " * 6)
    wrong = [finding for finding in found.findings if finding.severity != "ok"]
    if wrong:
        yield "to be done"
    for finding in wrong:
        yield from wrapped(f"{finding.code} {safe(finding.text)}", "  ", " " * 4)
        if finding.remedy:
            yield from wrapped(safe(finding.remedy), "    -> ", " " * 7)


def _certificate(found: FederationState) -> Iterator[tuple[str, str]]:
    shown = found.certificate
    if shown.error:
        error = safe(shown.error)
        yield "certificate", f"{shown.name}: {error}" if shown.name else error
        return
    yield "certificate", shown.name
    yield "subject", safe(shown.subject)
    yield "issuer", safe(shown.issuer)
    if shown.since is not None and shown.until is not None:
        yield "valid", f"from {moment(shown.since)} to {moment(shown.until)}"


def _match(found: FederationState) -> Iterator[tuple[str, str]]:
    """The record that leads partners here, or that there is none."""
    record = found.match
    if record is None:
        yield "SRV record", "none matches: no partner finds its way here"
        return
    yield "SRV record", f"_sipfederationtls._tcp.{record.domain} matches"
    yield "host", safe(record.host)
    yield "IP", ", ".join(record.addresses)
    yield "port", str(record.port)


def _rest(found: FederationState) -> Iterator[tuple[str, str]]:
    one = found.interface
    state = one.state or ("not running" if one.bind else "")
    at = f"{one.bind} port {one.port}, " if one.bind else ""
    reason = f" ({safe(one.reason)})" if one.reason and state else safe(one.reason)
    yield "interface", f"{one.name}: {at}{state}{reason}"
    yield "public address", found.public_address or "not used"
    yield "allow", ", ".join(found.allow) or "nobody"
    yield "deny", ", ".join(found.deny) or "nobody"
    if not found.running:
        return  # the list is in the hands of the sipx that runs
    more = found.connected - len(found.partners)
    names = ", ".join(map(safe, found.partners)) + (f" and {more} more" if more > 0 else "")
    now = f"{found.connected} connected now" + (f": {names}" if names else "")
    yield "partners", f"{found.known} known, {now}"
