"""Certificates of our own: the tables [certificate.NAME] and what their files hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
    pkcs7,
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

_KEY: Final = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?-----END \1-----[^\S\n]*\n?", re.DOTALL
)
_NO_CERTIFICATE: Final = "it has to be a PEM file that begins with -----BEGIN CERTIFICATE-----"
_NO_KEY: Final = "it has to be a PEM file that begins with -----BEGIN PRIVATE KEY-----"


class CertificateError(OSError):
    """A certificate or a list of authorities cannot be used: what is wrong, and what to do."""

    def __init__(self, code: str, text: str, remedy: str) -> None:
        super().__init__(f"{text}; {remedy}")
        self.code = code
        self.text = text
        self.remedy = remedy


class LockedError(CertificateError):
    """A password is missing or wrong. ``given``: there was one."""

    def __init__(self, text: str, remedy: str, *, given: bool) -> None:
        super().__init__("SIPX-T002", text, remedy)
        self.given = given


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
        certificates, key = read_pkcs12(
            table.pkcs12_file, None if password is None else password.current()
        )
        return owned(name, certificates, key, table.pkcs12_file)
    assert table.cert_file is not None
    assert table.key_file is not None
    certificates = read_certificates(table.cert_file)
    return owned(name, certificates, read_key(table.key_file), table.key_file)


def owned(
    name: str, certificates: Sequence[x509.Certificate], key: PrivateKeyTypes, where: Path
) -> OwnCertificate:
    """The first certificate with its key and chain. Raises CertificateError."""
    certificate, *others = certificates
    if not belongs(certificate, key):
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
            _NO_CERTIFICATE,
        ) from None


def certificates_in(data: bytes) -> list[x509.Certificate]:
    """All certificates in PEM, DER or PKCS #7, none where there are none."""
    try:
        if b"-----BEGIN PKCS7-----" in data:
            return pkcs7.load_pem_pkcs7_certificates(data)
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        return []
    try:
        return [x509.load_der_x509_certificate(data)]
    except ValueError:
        pass
    try:
        return pkcs7.load_der_pkcs7_certificates(data)
    except (ValueError, UnsupportedAlgorithm):
        return []


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


def belongs(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether a certificate is that of a key."""
    return _public(certificate) == _public_of(key)


def read_key(path: Path) -> PrivateKeyTypes:
    """The private key of a PEM file. Raises CertificateError."""
    return key_in(read_file(path), path)


def key_in(data: bytes, path: Path, password: str | None = None) -> PrivateKeyTypes:
    """The private key in PEM or DER; ``path`` is said. Raises CertificateError, LockedError."""
    found = _KEY.search(data)
    pem, locked = found is not None, None if password is None else password.encode()
    block = data if found is None else found[0]
    load = load_pem_private_key if pem else load_der_private_key
    try:
        try:
            return load(block, None)
        except TypeError:
            if locked is None:
                raise
            return load(block, locked)
    except TypeError:
        raise LockedError(
            f"the key in {path} is encrypted",
            "store it without a password, readable by sipx alone, or use pkcs12_file",
            given=password is not None,
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        if locked is not None and _is_locked(block, pem=pem):
            text = f"the password of the key in {path} is wrong"
            raise LockedError(text, "give its password", given=True) from None
        raise CertificateError(
            "SIPX-T002", f"{path} holds no private key that can be read", _NO_KEY
        ) from None


def _is_locked(block: bytes, *, pem: bool) -> bool:
    try:
        (load_pem_private_key if pem else load_der_private_key)(block, None)
    except TypeError:
        return True
    except (ValueError, UnsupportedAlgorithm):
        return False
    return False


def read_pkcs12(path: Path, password: str | None) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    """What a PKCS #12 file holds. Raises CertificateError, LockedError."""
    return pkcs12_in(read_file(path), path, password)


def pkcs12_in(
    data: bytes, path: Path, password: str | None
) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    """The same of its bytes; ``path`` is said. Raises CertificateError, LockedError."""
    if not is_pkcs12(data):
        text = f"{path} is no PKCS #12 file" if data else f"{path} is empty"
        raise CertificateError("SIPX-T002", text, "export it again with its private key")
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(
            data, None if password is None else password.encode()
        )
    except UnsupportedAlgorithm:
        raise CertificateError(
            "SIPX-T002",
            f"{path} is locked with a cipher that is not supported",
            "export it again with AES-256",
        ) from None
    except ValueError:
        if password:
            wrong, remedy = "its password is wrong", "correct pkcs12_password"
        else:
            wrong, remedy = "it is locked, and no password was given", "set pkcs12_password"
        raise LockedError(
            f"{path}: {wrong}, or it is damaged",
            f"{remedy}, or export the file again",
            given=bool(password),
        ) from None
    if key is None or certificate is None:
        lacks = "no private key" if key is None else "no certificate that belongs to its key"
        remedy = "export it with its private key"
        raise CertificateError("SIPX-T002", f"{path} holds {lacks}", remedy)
    return [certificate, *others], key


def is_pkcs12(data: bytes) -> bool:
    """RFC 7292 §4: a sequence that begins with the version, 3."""
    if len(data) < 8 or data[0] != 0x30:
        return False
    start = 2 + (data[1] & 0x7F if data[1] & 0x80 else 0)
    return data[start : start + 3] == b"\x02\x01\x03"


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
