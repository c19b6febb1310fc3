"""Certificates for tests: an authority that issues whatever a test wants to see refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

DAY: Final = timedelta(days=1)
EKU: Final = {
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "sipDomain": ObjectIdentifier("1.3.6.1.5.5.7.3.20"),
    "any": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}
"""Extended key usages by the names that the tests write; others are dotted."""
BOTH: Final = ("serverAuth", "clientAuth")


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """A certificate with its key; ``chain`` are the intermediates behind it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def cert_pem(self) -> bytes:
        """The certificate, then its chain."""
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """The private key, not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def write(self, directory: Path, stem: str) -> tuple[Path, Path]:
        """Write ``stem.crt`` and ``stem.key``; the paths of both."""
        certificate, key = directory / f"{stem}.crt", directory / f"{stem}.key"
        certificate.write_bytes(self.cert_pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)
        return certificate, key


class Authority:
    """A certification authority; with ``issuer`` an intermediate one.

    ``now`` is when its certificates begin to be valid, a day before the real time if not given.
    """

    def __init__(
        self,
        name: str = "Test CA",
        *,
        issuer: Authority | None = None,
        eku: Sequence[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        self.name = _name(name)
        self.issuer = issuer
        self.now = now or datetime.now(UTC).replace(microsecond=0) - DAY
        self.key = ec.generate_private_key(ec.SECP256R1())
        signer = issuer or self
        builder = _builder(self.name, signer, self.key, self.now, self.now + 3650 * DAY)
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(usage, True)
        if eku is not None:
            builder = builder.add_extension(_usages(eku), False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """Its own certificate."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """Itself and its issuers, without the root."""
        return () if self.issuer is None else (self.certificate, *self.issuer.chain)

    def write(self, directory: Path, stem: str = "ca") -> Path:
        """Write ``stem.crt``."""
        path = directory / f"{stem}.crt"
        path.write_bytes(self.pem)
        return path

    def leaf(
        self,
        cn: str | None = None,
        *,
        dns: Sequence[str] = (),
        uris: Sequence[str] = (),
        ips: Sequence[str] = (),
        emails: Sequence[str] = (),
        eku: Sequence[str] | None = BOTH,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
        serial: int | None = None,
        san: bool = True,
        self_signed: bool = False,
    ) -> Issued:
        """A certificate; ``cn`` is the first name where it is not given.

        ``san=False`` leaves the subjectAltName out altogether.
        """
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in dns]
        names += [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [x509.IPAddress(ip_address(ip)) for ip in ips]
        names += [x509.RFC822Name(email) for email in emails]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(cn if cn is not None else next(iter((*dns, *ips)), ""))
        begin = not_before or self.now
        end = not_after or max(begin, self.now) + 90 * DAY
        builder = _builder(subject, None if self_signed else self, key, begin, end, serial)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        if san and names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), False)
        if eku is not None:
            builder = builder.add_extension(_usages(eku), False)
        certificate = builder.sign(key if self_signed else self.key, hashes.SHA256())
        return Issued(certificate, key, () if self_signed else self.chain)

    def revoke(self, *issued: Issued, next_update: datetime | None = None) -> bytes:
        """A revocation list with these, as PEM."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self.now)
            .next_update(next_update or self.now + 30 * DAY)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
            .add_extension(x509.CRLNumber(1), False)
        )
        for one in issued:
            builder = builder.add_revoked_certificate(
                x509.RevokedCertificateBuilder()
                .serial_number(one.certificate.serial_number)
                .revocation_date(self.now)
                .build()
            )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def _usages(names: Iterable[str]) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([EKU.get(name) or ObjectIdentifier(name) for name in names])


def _builder(
    subject: x509.Name,
    issuer: Authority | None,
    key: ec.EllipticCurvePrivateKey,
    begin: datetime,
    end: datetime,
    serial: int | None = None,
) -> x509.CertificateBuilder:
    signer = key if issuer is None else issuer.key
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False
        )
    )
