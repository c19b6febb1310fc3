"""Certificates of our own: the tables [certificate.NAME] and what their files hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    pkcs12,
)

from sipx.identity import PeerCertificate, certificate_facts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from sipx.config.model import CertificateConfig

LONGEST_FILE: Final = 4 << 20
"""Bytes of the largest file that is read as a certificate."""


class CertificateError(OSError):
    """A certificate or a list of authorities cannot be used: what is wrong, and what to do."""

    def __init__(self, code: str, text: str, remedy: str) -> None:
        super().__init__(f"{text}; {remedy}")
        self.code = code
        self.text = text
        self.remedy = remedy


@dataclass(frozen=True, slots=True, eq=False)
class OwnCertificate:
    """A certificate with its key. ``chain`` is in order, what issued ``certificate`` first, and
    without a root: who trusts the root has it.
    """

    name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes = field(repr=False)
    facts: PeerCertificate


def load_own(name: str, table: CertificateConfig) -> OwnCertificate:
    """Read the files of a table. Raises CertificateError."""
    if table.pkcs12_file is not None:
        password = table.pkcs12_password
        certificates, key = _pkcs12(
            table.pkcs12_file, None if password is None else password.current()
        )
    else:
        assert table.cert_file is not None
        assert table.key_file is not None
        certificates = read_certificates(table.cert_file)
        key = _key(table.key_file)
    certificate, *others = certificates
    if _public(certificate) != _public_of(key):
        where = table.key_file or table.pkcs12_file
        raise CertificateError(
            "SIPX-T003",
            f"the key in {where} does not belong to the certificate "
            f"{certificate.subject.rfc4514_string()}",
            "put the certificate of this key first in the file, or use the key it was made with",
        )
    return OwnCertificate(
        name, certificate, _in_order(certificate, others), key, certificate_facts(certificate)
    )


def read_certificates(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, or the one of a DER file. Raises CertificateError."""
    data = read_file(path)
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        raise CertificateError(
            "SIPX-T002",
            f"{path} holds no certificate that can be read",
            "it has to be a PEM file that begins with -----BEGIN CERTIFICATE-----",
        ) from None


def read_file(path: Path) -> bytes:
    """The bytes of a file of a reasonable size. Raises CertificateError."""
    try:
        if path.stat().st_size > LONGEST_FILE:
            raise CertificateError(
                "SIPX-T001", f"{path} is larger than 4 MiB", "name the right file"
            )
        return path.read_bytes()
    except OSError as error:
        if isinstance(error, CertificateError):
            raise
        raise CertificateError(
            "SIPX-T001",
            f"{path} cannot be read: {error.strerror}",
            "correct the path, or let the account that sipx runs as read it",
        ) from error


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's name and its signature are on the certificate."""
    if certificate.issuer != issuer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _key(path: Path) -> PrivateKeyTypes:
    data = read_file(path)
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise CertificateError(
            "SIPX-T002",
            f"the key in {path} is encrypted",
            "store it without a password, readable by sipx alone, or use pkcs12_file",
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise CertificateError(
            "SIPX-T002",
            f"{path} holds no private key that can be read",
            "it has to be a PEM file that begins with -----BEGIN PRIVATE KEY-----",
        ) from None


def _pkcs12(path: Path, password: str | None) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    data = read_file(path)
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(
            data, None if password is None else password.encode()
        )
    except (ValueError, UnsupportedAlgorithm):
        wrong = "its password is wrong, or it is no PKCS #12 file"
        remedy = "correct pkcs12_password or export the file again"
        raise CertificateError("SIPX-T002", f"{path}: {wrong}", remedy) from None
    if key is None or certificate is None:
        lacks = "no private key" if key is None else "no certificate that belongs to its key"
        remedy = "export it with its private key"
        raise CertificateError("SIPX-T002", f"{path} holds {lacks}", remedy)
    return [certificate, *others], key


def _in_order(
    certificate: x509.Certificate, others: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, ...]:
    """RFC 8446 §4.4.2: each certificate is followed by the one that certifies it."""
    chain: list[x509.Certificate] = []
    last = certificate
    while True:
        issuer = next((c for c in others if c not in chain and is_issued_by(last, c)), None)
        if issuer is None or issuer.subject == issuer.issuer:
            return tuple(chain)
        chain.append(issuer)
        last = issuer


def _public(certificate: x509.Certificate) -> bytes:
    key = certificate.public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _public_of(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
