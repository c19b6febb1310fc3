"""``sipx cert``: the certificates of this proxy, of files, and of live partners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sipx.cli.cert_ca import ca
from sipx.cli.cert_make import import_, request, self_signed
from sipx.cli.cert_show import show
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from datetime import datetime

    from sipx.certificates import CertificateState


@click.group()
def cert() -> None:
    """Certificates: list, show, request, make, import."""


@cert.command("list")
@command_options
@click.pass_obj
def list_(line: CommandLine) -> None:
    """Every [certificate.NAME]: whose it is, until when, and what uses it.

    The exit code is 1 when one of them cannot be used now.
    """
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    with line.dry_run() as dry:
        found = [_listed(state, now) for state in dry.certificates.states()]
    rows = [
        (
            one["name"],
            one["subject"] or "-",
            one["issuer"] or "-",
            (one["valid_from"] or "-")[:10],
            (one["valid_until"] or "-")[:10],
            "-" if one["days_left"] is None else str(one["days_left"]),
            ", ".join(one["names"]) or "-",
            ", ".join(one["used_by"]) or "nothing",
            (one["fingerprint"] or "-")[:16],
            one["error"] or "ok",
        )
        for one in found
    ]
    heads = (
        "name",
        "subject",
        "issuer",
        "from",
        "until",
        "days",
        "names",
        "used by",
        "sha-256",
        "state",
    )
    text = line.table(heads, rows) if rows else ["no [certificate.NAME] is configured"]
    line.result({"certificates": found}, text)
    if any(one["error"] for one in found):
        raise click.exceptions.Exit(ExitCode.BAD_ANSWER)


def _listed(state: CertificateState, now: datetime) -> dict[str, Any]:
    facts = None if state.own is None else state.own.facts
    error = None if state.error is None else state.error.text
    if facts is not None and error is None:
        if now > facts.not_after:
            error = "expired"
        elif now < facts.not_before:
            error = "not valid yet"
    return {
        "name": state.name,
        "subject": None if facts is None else facts.subject,
        "issuer": None if facts is None else facts.issuer,
        "valid_from": None if facts is None else facts.not_before.isoformat(),
        "valid_until": None if facts is None else facts.not_after.isoformat(),
        "days_left": None if facts is None else (facts.not_after - now).days,
        "names": [] if facts is None else sorted(name.decode() for name in facts.ids),
        "fingerprint": None if facts is None else facts.fingerprint,
        "spki": None if facts is None else facts.spki,
        "used_by": list(state.used_by),
        "files": [str(path) for path in state.files],
        "error": error,
    }


for command in (show, request, self_signed, import_, ca):
    cert.add_command(command)
