"""Making certificates: keys, requests, self-signed ones, and a private authority.

Names are written twice, as DNS name and as ``sip:`` URI: RFC 5922 §7.1 reads the URIs, older peers
the DNS names. Times are aware datetimes, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

USAGES: Final = {
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "client": (ExtendedKeyUsageOID.CLIENT_AUTH,),
    "both": (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH),
}
LEAF_DAYS: Final = 398
AUTHORITY_DAYS: Final = 3650
_EARLIER: Final = timedelta(hours=1)
"""Clocks differ: what begins to be valid now is not valid yet elsewhere."""


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A certificate; ``key`` is None where it was made for a request of somebody else's."""

    certificate: x509.Certificate
    key: Key | None
    chain: tuple[x509.Certificate, ...] = ()

    @property
    def cert_pem(self) -> bytes:
        """The certificate, then its chain, as ``cert_file`` wants it."""
        return b"".join(c.public_bytes(Encoding.PEM) for c in (self.certificate, *self.chain))

    @property
    def key_pem(self) -> bytes:
        """The private key, as ``key_file`` wants it."""
        assert self.key is not None
        return pem_of(self.key)


def new_key(kind: str = "ec") -> Key:
    """A key: "ec" is P-256, "rsa" has 3072 bits."""
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ec.generate_private_key(ec.SECP256R1())


def pem_of(key: Key) -> bytes:
    """A private key as PEM, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def request(names: Sequence[str], key: Key) -> bytes:
    """A signing request (PKCS #10) as PEM, for a public or private authority."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(names[0]))
    builder = builder.add_extension(_names(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def self_signed(
    names: Sequence[str], key: Key, now: datetime, days: int = LEAF_DAYS, eku: str = "both"
) -> Leaf:
    """A certificate that only those believe who pin its key."""
    subject = _subject(names[0])
    builder = _builder(subject, subject, key.public_key(), key, now, days)
    builder = builder.add_extension(_names(names), critical=False)
    return Leaf(_as_leaf(builder, eku).sign(key, hashes.SHA256()), key)


class PrivateAuthority:
    """A certification authority of one's own, for a laboratory or for partners."""

    def __init__(self, certificate: x509.Certificate, key: Key) -> None:
        self.certificate = certificate
        self.key = key

    @classmethod
    def create(cls, name: str, now: datetime, days: int = AUTHORITY_DAYS) -> PrivateAuthority:
        """A new one with a key of its own."""
        key = new_key()
        subject = _subject(name)
        builder = _builder(subject, subject, key.public_key(), key, now, days)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_usage(authority=True), True)
        return cls(builder.sign(key, hashes.SHA256()), key)

    @property
    def cert_pem(self) -> bytes:
        """Its certificate: what partners put into ``ca``."""
        return self.certificate.public_bytes(Encoding.PEM)

    def issue(
        self,
        names: Sequence[str],
        now: datetime,
        days: int = LEAF_DAYS,
        *,
        eku: str = "both",
        key: Key | None = None,
    ) -> Leaf:
        """A certificate for these domains, with a new key or the one that is given."""
        key = key or new_key()
        return Leaf(self._sign(names, key.public_key(), now, days, eku), key)

    def issue_for(
        self, csr: x509.CertificateSigningRequest, now: datetime, days: int, eku: str
    ) -> Leaf:
        """A certificate for a request. Raises ValueError when it is not signed, or names nobody."""
        if not csr.is_signature_valid:
            raise ValueError("the request is not signed by its own key")
        names = names_of(csr)
        if not names:
            raise ValueError("the request names no domain as subjectAltName")
        return Leaf(self._sign(names, csr.public_key(), now, days, eku), None)

    def _sign(
        self,
        names: Sequence[str],
        public: CertificatePublicKeyTypes,
        now: datetime,
        days: int,
        eku: str,
    ) -> x509.Certificate:
        builder = _builder(
            _subject(names[0]), self.certificate.subject, public, self.key, now, days
        )
        builder = builder.add_extension(_names(names), critical=False)
        return _as_leaf(builder, eku).sign(self.key, hashes.SHA256())


def names_of(thing: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """The DNS names of a certificate or a request."""
    try:
        found = thing.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.DNSName)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _names(names: Sequence[str]) -> x509.SubjectAlternativeName:
    dns: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    return x509.SubjectAlternativeName(
        [*dns, *(x509.UniformResourceIdentifier(f"sip:{name}") for name in names)]
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: CertificatePublicKeyTypes,
    signer: Key,
    now: datetime,
    days: int,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )


def _as_leaf(builder: x509.CertificateBuilder, eku: str) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(authority=False), True)
    return builder.add_extension(x509.ExtendedKeyUsage(USAGES[eku]), critical=False)
