"""What ``sipx federation status`` shows: whether partners can reach us, and by what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict

from sipx import CertificateError, here_of, srv_matches
from sipx_open_federation.config import shown_certificate

if TYPE_CHECKING:
    from sipx import Finding, PeerCertificate, Proxy, ProxyStatus, SrvMatch, SrvMatches
    from sipx_open_federation.relations import Relations

NAMED: Final = 20
"""Partners of now that are named; ``sipx partners`` shows all."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class CertificateShown(_Shown):
    """The certificate that partners are shown."""

    name: str
    """Of the table [certificate.NAME]; "" where none is named."""
    subject: str = ""
    issuer: str = ""
    since: float | None = None
    until: float | None = None
    """From when to when it is valid, in seconds since 1970."""
    error: str = ""
    """Why there is none to be shown."""


class RecordShown(_Shown):
    """One SRV record of one of our domains, as a partner follows it."""

    domain: str
    host: str
    port: int
    priority: int
    weight: int
    addresses: tuple[str, ...]
    """What the host leads to."""
    interface: str
    """What listens there, "" if nothing of ours does."""
    profile: str
    """By what the certificate proves the domain there, "" if it does not."""
    good: bool
    """Whether a partner gets through."""


class NameShown(_Shown):
    """One name of the certificate."""

    name: str
    good: bool
    """Whether an SRV record leads partners to it."""
    why: str


class FindingShown(_Shown):
    """What is to be said of the records, and what to do about it."""

    code: str
    severity: str
    text: str
    remedy: str


class InterfaceShown(_Shown):
    """The interface that partners come in at."""

    name: str
    state: str
    """"listening", "off", "failed" and so on; "" while sipx does not run."""
    reason: str = ""
    bind: str = ""
    port: int | None = None


class FederationState(_Shown):
    """Open federation, as the dialog of settings would show it."""

    enabled: bool
    """"Use open federation"."""
    running: bool
    """Whether it is in use by a sipx that runs."""
    certificate: CertificateShown
    match: RecordShown | None
    """The first record that leads partners to the certificate and to us; None if none does."""
    records: tuple[RecordShown, ...]
    names: tuple[NameShown, ...]
    findings: tuple[FindingShown, ...]
    interface: InterfaceShown
    public_address: str
    """What is written in the place of the own address, "" if nothing is."""
    allow: tuple[str, ...]
    deny: tuple[str, ...]
    known: int
    """Partners in the list."""
    connected: int
    """Partners that there is a connection with now."""
    partners: tuple[str, ...]
    """Some of these."""


async def federation_state(relations: Relations, proxy: Proxy, *, running: bool) -> FederationState:
    """Look up the records of our domains, and compare them with what is here."""
    config = relations.config
    certificate, facts = _certificate(relations, proxy)
    status = proxy.status()
    found = await srv_matches(
        proxy.resolver,
        sorted(domain.decode() for domain in proxy.domains),
        facts,
        here_of(status.interfaces, proxy.config.wan, status.public),
    )
    connected = sorted(relations.connected())
    return FederationState(
        enabled=True,
        running=running,
        certificate=certificate,
        match=None if found.first is None else _record(found.first),
        records=_records(found),
        names=tuple(
            NameShown(name=n.name, good=n.good, why=_said(n.why, running=running))
            for n in found.names
        ),
        findings=tuple(_finding(finding, running=running) for finding in found.findings),
        interface=_interface(config.interface_name, status, running=running),
        public_address=_public(proxy, status, config.interface_name),
        allow=config.allow,
        deny=config.deny,
        known=len(relations.book),
        connected=len(connected),
        partners=tuple(domain.decode() for domain in connected[:NAMED]),
    )


def _certificate(
    relations: Relations, proxy: Proxy
) -> tuple[CertificateShown, PeerCertificate | None]:
    config = relations.config
    name = config.certificate or shown_certificate(proxy.config, config.interface)
    if name is None:
        return CertificateShown(name="", error="none is named, here or in [wan]"), None
    try:
        facts = proxy.tls.certificates.own(name).facts
    except CertificateError as error:
        return CertificateShown(name=name, error=str(error)), None
    shown = CertificateShown(
        name=name,
        subject=facts.subject,
        issuer=facts.issuer,
        since=facts.not_before.timestamp(),
        until=facts.not_after.timestamp(),
    )
    return shown, facts


def _records(found: SrvMatches) -> tuple[RecordShown, ...]:
    return tuple(_record(match) for domain in found.domains for match in domain.matches)


def _record(match: SrvMatch) -> RecordShown:
    record = match.record
    return RecordShown(
        domain=match.domain,
        host=record.target,
        port=record.port,
        priority=record.priority,
        weight=record.weight,
        addresses=tuple(each.address for each in match.addresses),
        interface=match.interface,
        profile=match.profile,
        good=match.good,
    )


def _said(text: str, *, running: bool) -> str:
    """Nothing listens as long as nothing runs: what is compared with are the settings."""
    return text if running else text.replace(" listens", " would listen")


def _finding(finding: Finding, *, running: bool) -> FindingShown:
    return FindingShown(
        code=finding.code,
        severity=finding.severity.value,
        text=_said(finding.text, running=running),
        remedy=finding.remedy,
    )


def _interface(name: str, status: ProxyStatus, *, running: bool) -> InterfaceShown:
    one = next((each for each in status.interfaces if each.name == name), None)
    if one is None:
        return InterfaceShown(name=name, state="", reason="there is none of this name")
    return InterfaceShown(
        name=name,
        state=one.state if running else "",
        reason=one.reason if running else "",
        bind=one.bind,
        port=one.port if running and one.port is not None else one.configured_port,
    )


def _public(proxy: Proxy, status: ProxyStatus, name: str) -> str:
    one = next((each for each in status.interfaces if each.name == name), None)
    if one is not None and one.advertised:
        host, _, port = one.advertised.rpartition(":")
        return f"{host.strip('[]')} port {port}"
    wan = proxy.config.wan
    if not (wan.use_public_address and (one is None or one.advertises)):
        return ""
    if wan.public_address == "auto":
        return "not known yet"
    return f"{wan.public_address} port {wan.public_port or (one.configured_port if one else 5061)}"
