"""``sipx cert list``: every [certificate.NAME] with what is to be said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import click

from sipx.cli.cert_text import described, validity, wrapped
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sipx.certificates import CertificateState, CertificateStore
    from sipx.plugin import Finding

_SEVERITIES: Final = ("failure", "warning", "ok")
_COLORS: Final = {"failure": "red", "warning": "yellow", "ok": "green"}


@click.command("list")
@command_options
@click.pass_obj
def list_(line: CommandLine) -> None:
    """List every [certificate.NAME], with its state.

    Names are its subjectAltNames; it speaks for the domains that follow from them (RFC 5922). The
    findings are those of `sipx check certs`. The exit code is 1 when one of them is a failure.
    """
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    with line.dry_run() as dry:
        found = [_listed(dry.certificates, state, now) for state in dry.certificates.states()]
    text = list(_text(found)) if found else ["no [certificate.NAME] is configured"]
    line.result({"certificates": found}, text)
    if any(one["state"] == "failure" for one in found):
        raise click.exceptions.Exit(ExitCode.BAD_ANSWER)


class _Only:
    """A store that has these certificates only: what is found is found in them."""

    def __init__(self, store: CertificateStore, *states: CertificateState) -> None:
        self._store = store
        self._states = states

    def states(self) -> tuple[CertificateState, ...]:
        """What `certificate_findings` goes through."""
        return self._states

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def findings_of(
    store: CertificateStore, state: CertificateState, now: datetime
) -> Sequence[Finding]:
    """What `sipx check certs` says of one certificate."""
    from sipx.certificates.findings import certificate_findings

    of_all = list(certificate_findings(cast("CertificateStore", _Only(store)), now))
    found = certificate_findings(cast("CertificateStore", _Only(store, state)), now)
    return [one for one in found if one not in of_all]


def _listed(store: CertificateStore, state: CertificateState, now: datetime) -> dict[str, Any]:
    found = findings_of(store, state, now)
    severities = [one.severity.value for one in found]
    told = {} if state.own is None else described(state.own.certificate, now)
    keys = (
        "subject",
        "issuer",
        "serial",
        "valid_from",
        "valid_until",
        "days_left",
        "fingerprint",
        "spki",
    )
    return {
        "name": state.name,
        "state": next((one for one in _SEVERITIES if one in severities), "ok"),
        **{key: told.get(key) for key in keys},
        "names": told.get("names", []),
        "identities": told.get("identities", []),
        "used_by": list(state.used_by),
        "files": [str(path) for path in state.files],
        "findings": [
            {
                "code": one.code,
                "severity": one.severity.value,
                "text": _without_name(one.text, state),
                "remedy": one.remedy,
            }
            for one in found
            if one.code != "SIPX-T000"
        ],
    }


def _without_name(text: str, state: CertificateState) -> str:
    """A finding without what stands above it already: whose it is, and who uses it."""
    for known in (f"certificate '{state.name}'", f", used by {', '.join(state.used_by)}"):
        text = text.removeprefix(known)
    return text.lstrip(": ")


def _text(found: list[dict[str, Any]]) -> Iterator[str]:
    for number, one in enumerate(found):
        if number:
            yield ""
        state = one["state"]
        said = click.style(state.upper() if state == "failure" else state, fg=_COLORS[state])
        yield f"{click.style(one['name'], bold=True)}: {said}"
        if one["subject"] is not None:
            yield from wrapped("  valid       ", validity(one))
            yield from wrapped("  subject     ", one["subject"])
            yield from wrapped("  issuer      ", one["issuer"])
            yield from wrapped("  names       ", ", ".join(one["names"]) or "none")
            yield from wrapped("  speaks for  ", ", ".join(one["identities"]) or "no domain")
            yield f"  sha-256     {one['fingerprint']}"
        else:
            yield from wrapped("  files       ", ", ".join(one["files"]))
        yield from wrapped("  used by     ", ", ".join(one["used_by"]) or "nothing")
        for finding in one["findings"]:
            mark = "note" if finding["severity"] == "ok" else finding["severity"]
            yield from wrapped(f"  {mark:<11} ", f"{finding['text']} ({finding['code']})")
            if finding["remedy"]:
                yield from wrapped(" " * 14, finding["remedy"])
