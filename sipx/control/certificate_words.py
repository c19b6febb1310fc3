"""Certificates as the control API shows them, and what it is asked about them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from cryptography.hazmat.primitives import hashes
from pydantic import BaseModel, ConfigDict, Field

from sipx.certificates.names import names_of, purposes
from sipx.control.configuration import Changed
from sipx.control.dns_check import CheckFinding
from sipx.escaping import escaped
from sipx.identity import certificate_facts

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography import x509


LARGEST: Final = 1 << 20
"""Bytes of the largest file that is taken over."""
MOST_DOMAINS: Final = 100
_BASE64: Final = LARGEST * 4 // 3 + 4


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class CertificateInChain(_Frozen):
    """One certificate. Times are seconds since 1970."""

    subject: str
    issuer: str
    serial: str
    """In hexadecimal."""
    not_before: float
    not_after: float
    days_left: int
    names: tuple[str, ...]
    """The subjectAltNames, as "DNS:sip.example.com" and "URI:sip:example.com"."""
    identities: tuple[str, ...]
    """The domains that it proves (RFC 5922)."""
    key: str
    """Such as "EC 256" or "RSA 3072"."""
    signature: str
    """The hash that it is signed with."""
    usages: tuple[str, ...] | None
    """Its extended key usages, None where it has none."""
    fingerprint: str
    """SHA-256."""
    fingerprint_sha1: str
    spki: str
    """What ``pins`` of a route is: the SHA-256 of its key."""
    root: bool
    """Whether it has issued itself."""


class CertificateDetails(CertificateInChain):
    """A certificate of ours, and its chain without the root."""

    chain: tuple[CertificateInChain, ...] = ()


class CertificateName(_Frozen):
    """Which [certificate.NAME]."""

    name: str = Field(max_length=63)


class ShownCertificate(_Frozen):
    """One [certificate.NAME] in full, without its key."""

    name: str
    certificate: CertificateDetails | None
    """What is in use; None where the files cannot be used."""
    error: str
    """What is wrong with the files as they are now."""
    files: tuple[str, ...]
    used_by: tuple[str, ...]
    """Interfaces, "wan", tables of plugins."""
    findings: tuple[CheckFinding, ...]
    """What `sipx check certs` says of it."""
    renewal: Literal["self-signed", "request"]
    """What ``certificates.renew`` does: make it anew, or a request for whoever has issued it."""


class ImportParams(_Frozen):
    """What others have exported: PEM, DER, PKCS #7 or PKCS #12."""

    name: str = Field(max_length=63)
    """What the table and the files are called."""
    data_base64: str = Field(max_length=_BASE64, repr=False)
    key_base64: str = Field("", max_length=_BASE64, repr=False)
    """The key, where it is not inside; without it that of ``certificates.request``."""
    password: str = Field("", max_length=1024, repr=False)
    replace: bool = False
    """Take the place of a certificate of this name."""
    dry_run: bool = False
    """Only tell what is inside."""


class MakeParams(_Frozen):
    """A certificate or request for domains."""

    name: str = Field(max_length=63)
    """What the table and the files are called."""
    domains: tuple[str, ...] = Field(min_length=1, max_length=MOST_DOMAINS)
    """Full domain names, no wildcards; the first is the subject."""
    key_type: Literal["ec", "rsa"] = "ec"
    """EC P-256 or RSA 3072; a request is made with the key that is there, where one is."""


class SelfSignedParams(MakeParams):
    """A certificate without an authority, to be pinned by partners."""

    days: int = Field(398, ge=1, le=36500)
    replace: bool = False
    """Take the place of a certificate of this name."""


class MadeCertificate(_Frozen):
    """What was written, or would be."""

    name: str
    certificate: CertificateDetails | None
    """None for a request."""
    request: str = ""
    """The signing request in PEM, for an authority; then ``certificates.import``."""
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What partners could stumble over."""
    changed: Changed | None = None
    """What has changed in the configuration file; None where nothing had to."""


def chain_of(certificates: Iterable[x509.Certificate], now: datetime) -> list[CertificateInChain]:
    """All of them, in order."""
    return [_shown(each, now) for each in certificates]


def _shown(certificate: x509.Certificate, now: datetime) -> CertificateInChain:
    facts = certificate_facts(certificate)
    public = certificate.public_key()
    size = getattr(public, "key_size", None)
    kind = (
        type(public)
        .__name__.removesuffix("PublicKey")
        .removeprefix("_")
        .replace("EllipticCurve", "EC")
    )
    hash_ = certificate.signature_hash_algorithm
    usages = purposes(facts.eku)
    return CertificateInChain(
        subject=escaped(facts.subject),
        issuer=escaped(facts.issuer),
        serial=f"{facts.serial:x}",
        not_before=facts.not_before.timestamp(),
        not_after=facts.not_after.timestamp(),
        days_left=(facts.not_after - now).days,
        names=tuple(names_of(certificate)),
        identities=tuple(sorted(name.decode() for name in facts.ids)),
        key=kind if size is None else f"{kind} {size}",
        signature="" if hash_ is None else hash_.name,
        usages=None if usages is None else tuple(usages),
        fingerprint=facts.fingerprint,
        fingerprint_sha1=certificate.fingerprint(hashes.SHA1()).hex(":").upper(),  # noqa: S303  # shown, as others show it
        spki=facts.spki,
        root=certificate.subject == certificate.issuer,
    )
