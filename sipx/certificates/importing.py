"""What others have exported: PEM, DER, PKCS #7 and PKCS #12, with a key inside or apart.

``opens`` of those who call is told how to read something that may be locked, and with which
password to try it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from sipx.certificates.own import (
    CertificateError,
    belongs,
    certificates_in,
    is_pkcs12,
    key_in,
    pkcs12_in,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Protocol

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    T = TypeVar("T")

    class Opens(Protocol):
        """Reads what may be locked: without a password, then with one. Raises LockedError."""

        def __call__(self, file: Path, read: Callable[[str | None], T]) -> T:
            """What ``read`` makes of the password of ``file``."""
            ...


_UTF16: Final = (b"\xff\xfe", b"\xfe\xff")
KEY_APART: Final = "no key is inside, and a certificate alone cannot be imported"


def exported(
    file: Path,
    data: bytes,
    opens: Opens,
    key: tuple[Path, bytes] | None = None,
    *,
    apart: str = "give the key as well",
    inside: str = "leave the other key out",
) -> tuple[list[x509.Certificate], PrivateKeyTypes]:
    """The certificates, that of the key first, and the key. ``file`` is said, and not read.

    ``key`` is the file that the key is in, if it is another; ``apart`` and ``inside`` say what to
    do where it lacks, and where it is not wanted.
    Raises CertificateError and LockedError.
    """
    data = as_text(data)
    if not data.strip():
        raise CertificateError("SIPX-T002", f"{file} is empty", "name another file")
    certificates = certificates_in(data)
    pem = b"-----BEGIN" in data
    if not certificates and not pem and key is None and is_pkcs12(data):
        return opens(file, lambda given: pkcs12_in(data, file, given))
    if not certificates:
        if is_pkcs12(data):
            text = f"{file} is a PKCS #12 file and has its key inside"
            raise CertificateError("SIPX-T002", text, inside)
        raise _no_certificate(file, pem=pem)
    if key is not None:
        place, kept = key[0], as_text(key[1])
    elif b"PRIVATE KEY-----" in data:
        place, kept = file, data
    else:
        raise CertificateError("SIPX-T002", f"{file}: {KEY_APART}", apart)
    found = opens(place, lambda given: key_in(kept, place, given))
    return sorted(certificates, key=lambda one: not belongs(one, found)), found


def as_text(data: bytes) -> bytes:
    """PEM that was stored as UTF-16 as it should be; all else as it is."""
    if data.startswith(_UTF16):
        return data.decode("utf-16", "replace").encode("ascii", "replace")
    return data


def _no_certificate(file: Path, *, pem: bool) -> CertificateError:
    if pem:
        text, remedy = "holds no certificate that can be read", "give it one, with its key"
    else:
        text, remedy = "is neither PEM nor PKCS #12", "export it again with its private key"
    return CertificateError("SIPX-T002", f"{file} {text}", remedy)
