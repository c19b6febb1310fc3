"""What is to be said about the chain of a certificate: its dates, its authorities, its end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509

from sipx.certificates.anchors import load_anchors
from sipx.certificates.own import OwnCertificate, is_issued_by
from sipx.plugin import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sipx.config.model import CertificateConfig

_FAILURE, _WARNING, _OK = Severity.FAILURE, Severity.WARNING, Severity.OK
_BESIDE: Final = "ca.crt"
"""Where `sipx cert ca` writes a private authority: beside the certificates that it issues."""

Certificates = tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What certificates are compared with: the anchors of [trust], None where they cannot be read,
    those of the routes, and all revocation lists.
    """

    now: datetime
    trust: Certificates | None
    routes: Certificates
    crls: tuple[x509.CertificateRevocationList, ...]


def dates(
    name: str, certificate: x509.Certificate, now: datetime, warn_before: float
) -> Iterator[Finding]:
    """Expired, not valid yet, or soon to end."""
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > end:
        text = f"{name} expired on {end:%Y-%m-%d}, {_ago(end, now)}"
        yield Finding("SIPX-T005", _FAILURE, text, "renew it; partners refuse it")
    elif now < begin:
        text = f"{name} is valid only from {begin:%Y-%m-%d %H:%M} UTC"
        yield Finding("SIPX-T005", _FAILURE, text, "compare this machine's clock")
    elif (end - now).total_seconds() < warn_before:
        text = f"{name} expires on {end:%Y-%m-%d}, {_in(end, now)}"
        yield Finding("SIPX-T006", _WARNING, text, "renew it; new files are taken up by themselves")


def _days(end: datetime, now: datetime) -> int:
    """Between the dates as they are shown."""
    return abs((end.date() - now.date()).days)


def _counted(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"


def _in(end: datetime, now: datetime) -> str:
    days = _days(end, now)
    return f"in {_counted(days)}" if days else "today"


def _ago(end: datetime, now: datetime) -> str:
    days = _days(end, now)
    return f"{_counted(days)} ago" if days else "today"


def until(end: datetime, now: datetime) -> str:
    """How long a certificate is good, in words."""
    days = _days(end, now)
    return f"{_counted(days)} left" if days else "ends today"


def revoked(name: str, own: OwnCertificate, known: Known) -> Iterator[Finding]:
    """What a revocation list says of the certificate or its intermediates."""
    for number, certificate in enumerate((own.certificate, *own.chain)):
        for crl in known.crls:
            if crl.issuer != certificate.issuer:
                continue
            entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
            if entry is not None:
                who = f"{name}: {subject_of(certificate)}" if number else name
                yield Finding(
                    "SIPX-T013",
                    _FAILURE,
                    f"{who} is revoked since {entry.revocation_date_utc:%Y-%m-%d}, as "
                    f"{crl.issuer.rfc4514_string()} says in its revocation list",
                    "get a new one, with a new key; partners refuse it",
                )
                break


# ---------------------------------------------------------------- its chain


def intermediates(
    name: str, own: OwnCertificate, now: datetime, warn_before: float
) -> Iterator[Finding]:
    """Each intermediate: its dates, and whether it may issue certificates."""
    for below, authority in enumerate(own.chain):
        said = f"{name}: its intermediate {subject_of(authority)}"
        yield from _dates_of_another(said, authority, now, warn_before)
        why = _no_authority(authority, below)
        if why:
            yield Finding(
                "SIPX-T008",
                _FAILURE,
                f"{said} {why}: partners refuse the chain",
                "get a certificate from an authority that may issue it",
            )


def _dates_of_another(
    said: str, authority: x509.Certificate, now: datetime, warn_before: float
) -> Iterator[Finding]:
    """As ``dates``, of a certificate that is not ours to renew."""
    for found in dates(said, authority, now, warn_before):
        remedy = found.remedy
        if now > authority.not_valid_before_utc:
            remedy = "get a certificate with a new chain from who issued it"
        yield Finding(found.code, found.severity, found.text, remedy)


def _no_authority(certificate: x509.Certificate, below: int) -> str:
    """Why it cannot issue what stands before it, with so many other authorities between."""
    try:
        extensions = certificate.extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return "is no authority (it has no basicConstraints)"
    if not basic.ca:
        return "is no authority (basicConstraints)"
    if basic.path_length is not None and basic.path_length < below:
        return f"may have {basic.path_length} authorities below it, and has {below}"
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return ""
    return "" if usage.key_cert_sign else "may not sign certificates (keyUsage)"


def chain(
    name: str, own: OwnCertificate, known: Known, table: CertificateConfig
) -> Iterator[Finding]:
    """Where the chain ends: at a root, a private one, or too early."""
    if _is_root(own.certificate):
        yield Finding(
            "SIPX-T008",
            _WARNING,
            f"{name} is self-signed",
            f'only partners that pin its key believe it: pins = ["{own.facts.spki}"]',
        )
        return
    if known.trust is None:
        return  # nothing can be said while [trust] cannot be read
    last = own.chain[-1] if own.chain else own.certificate
    file = table.cert_file or table.pkcs12_file
    assert file is not None
    near = (*_certificates_in(file.with_name(_BESIDE)), *_certificates_in(table.cert_file))
    issuers = [c for c in (*known.trust, *known.routes, *near) if is_issued_by(last, c)]
    roots = [c for c in issuers if _is_root(c)]
    issuer = last.issuer.rfc4514_string()
    if roots:
        best = max(roots, key=lambda root: root.not_valid_after_utc)
        said = f"{name}: its authority {issuer}"
        yield from _dates_of_another(said, best, known.now, table.warn_before)
        if not any(root in known.trust for root in roots):
            yield Finding(
                "SIPX-T008",
                _OK,
                f"{name} is issued by the private authority {issuer}",
                f"partners need {_shown(roots, file)} in the ca of their route",
            )
    elif issuers:
        yield Finding(
            "SIPX-T008",
            _FAILURE,
            f"{name}: the intermediate {issuer} is missing from its chain: partners that know "
            "only the root above it refuse it",
            f"append the certificate of {issuer} to {file}",
        )
    else:
        yield Finding(
            "SIPX-T008",
            _WARNING,
            f"{name}: its chain ends before {issuer}, which is not known here: an intermediate "
            "that is missing, or a private root",
            f"if it is an intermediate, append its certificate to {file}; if it is a root, "
            "partners need it in the ca of their route",
        )


def _shown(roots: list[x509.Certificate], file: Path) -> str:
    """Where an authority is found that partners need."""
    beside = file.with_name(_BESIDE)
    found = any(root in _certificates_in(beside) for root in roots)
    return str(beside) if found else "its certificate"


def _certificates_in(path: Path | None) -> Certificates:
    try:
        return () if path is None or not path.is_file() else load_anchors((path,))
    except OSError:
        return ()


def _is_root(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def subject_of(certificate: x509.Certificate) -> str:
    """Whom a certificate names."""
    return certificate.subject.rfc4514_string()
