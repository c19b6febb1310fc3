"""Whom we believe: the authorities and revocation lists of [trust] and of single partners."""

from __future__ import annotations

import re
import ssl
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from sipx.certificates.own import CertificateError, read_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx.config.model import TrustConfig


_PEM: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----\r?\n[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----"
)
_PEM_CRL: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True, eq=False)
class TrustSet:
    """Authorities that vouch together. ``name`` is a partner's, "" for [trust]."""

    name: str
    anchors: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...] = ()


def trust_files(trust: TrustConfig) -> tuple[Path, ...]:
    """The files and directories that [trust] reads authorities from."""
    own = system_files() if trust.ca == "system" else (Path(trust.ca),)
    return (*own, *trust.extra_ca)


def system_files() -> tuple[Path, ...]:
    """Where the authorities of this machine are: one file if there is one, else a directory."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile is not None:
        return (Path(paths.cafile),)
    return (Path(paths.capath),) if paths.capath is not None else ()


def load_anchors(paths: Iterable[Path]) -> tuple[x509.Certificate, ...]:
    """The certificates of PEM files and directories, each once. Raises CertificateError.

    In a directory files that hold no certificate are passed over; a single file must hold one. A
    certificate in a bundle that cannot be read vouches for nobody, and the others are taken.
    """
    found: dict[bytes, x509.Certificate] = {}
    for path in paths:
        for certificate in _certificates(path):
            found.setdefault(certificate.public_bytes(Encoding.DER), certificate)
    return tuple(found.values())


def load_crls(paths: Iterable[Path]) -> tuple[x509.CertificateRevocationList, ...]:
    """Revocation lists, PEM or DER; a PEM file may hold several. Raises CertificateError."""
    return tuple(crl for path in paths for crl in _crls(path))


def _certificates(path: Path) -> Iterator[x509.Certificate]:
    if not path.is_dir():
        yield from _bundle(path)
        return
    for file in sorted(path.iterdir()):
        if file.suffix in (".pem", ".crt", ".cer", ".0") and file.is_file():
            try:
                yield from _bundle(file)
            except CertificateError as error:
                if error.code != "SIPX-T002":
                    raise


def _bundle(path: Path) -> list[x509.Certificate]:
    data = read_file(path)
    found: list[x509.Certificate] = []
    with warnings.catch_warnings():
        # Old roots of the system have faults that are of no consequence for their being trusted.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for block in _PEM.findall(data) or [data]:
            with suppress(ValueError):
                found.append(_certificate(block))
    if not found:
        raise CertificateError(
            "SIPX-T002",
            f"{path} holds no certificate that can be read",
            "it has to be a PEM file that begins with -----BEGIN CERTIFICATE-----",
        )
    return found


def _certificate(data: bytes) -> x509.Certificate:
    if data.startswith(b"-----BEGIN"):
        return x509.load_pem_x509_certificate(data)
    return x509.load_der_x509_certificate(data)


def _crls(path: Path) -> list[x509.CertificateRevocationList]:
    data = read_file(path)
    try:
        if b"-----BEGIN" not in data:
            return [x509.load_der_x509_crl(data)]
        found = [x509.load_pem_x509_crl(block) for block in _PEM_CRL.findall(data)]
        if not found:
            raise ValueError
        return found
    except ValueError:
        raise CertificateError(
            "SIPX-T002",
            f"{path} holds no revocation list that can be read",
            "it has to be a PEM or DER file as the authority publishes it",
        ) from None
