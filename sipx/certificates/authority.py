"""Making certificates: keys, requests, self-signed ones, and a private authority.

Names are written twice, as DNS name and as ``sip:`` URI: RFC 5922 §7.1 reads the URIs, older peers
the DNS names. A request is answered for the names that it asks for, a renewed certificate has
those of the old one. Times are aware datetimes, given by the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import idna
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sipx.certificates.own import is_issued_by
from sipx.domains import canonical_domain
from sipx.sip.uri import is_ip_address

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
WEAKEST_RSA: Final = 2048
"""Bits of the shortest RSA key that is certified."""

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


def proper_domain(text: str) -> str:
    """A domain that a certificate for SIP can prove, canonical. Raises ValueError with words."""
    if text.startswith("*"):
        raise ValueError(
            f"'{text}' is a wildcard: a certificate for SIP names each domain by itself, no "
            "wildcard matches (RFC 5922 §7.2); name the domain"
        )
    name = canonical_domain(text).decode()
    if is_ip_address(name.encode()):
        raise ValueError(
            f"'{text}' is an IP address: a certificate for SIP proves a domain, no address "
            "(RFC 5922 §7.1); name the domain"
        )
    if "." not in name:
        raise ValueError(
            f"'{text}' has no dot: a certificate for SIP proves a full domain name (RFC 5922 "
            "§7.1), such as sip.example.com"
        )
    for label in name.split("."):
        if label.startswith("xn--"):
            try:
                idna.decode(label)
            except idna.IDNAError:
                raise ValueError(
                    f"'{text}': {label} is no A-label of an internationalised name (RFC 5891 "
                    "§5.4); write the name itself, or correct it"
                ) from None
    return name


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

    @property
    def ends(self) -> datetime:
        """When it ends: nothing that it issues lives longer."""
        return self.certificate.not_valid_after_utc

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
        certificate = self._sign(
            _names(names), key.public_key(), now, days, eku, _subject(names[0])
        )
        return Leaf(certificate, key)

    def issue_for(
        self, csr: x509.CertificateSigningRequest, now: datetime, days: int, eku: str
    ) -> Leaf:
        """A certificate for a request. Raises ValueError, with words, for one that is not good."""
        names = _requested(csr)
        certificate = self._sign(names, csr.public_key(), now, days, eku, _subject_of(names))
        return Leaf(certificate, None)

    def renew(
        self,
        old: x509.Certificate,
        now: datetime,
        days: int = LEAF_DAYS,
        *,
        eku: str | None = None,
        key: Key | None = None,
    ) -> Leaf:
        """The same subject, names and usages again, with a new key or the one that is given.

        Raises ValueError for a certificate that this authority has not issued.
        """
        if old == self.certificate:
            raise ValueError("that is the authority itself; `ca init --force` makes a new one")
        if not is_issued_by(old, self.certificate):
            by = old.issuer.rfc4514_string() or "somebody without a name"
            raise ValueError(
                f"it was issued by {by}, not by this authority; renew it there, or make another "
                "one with `ca issue`"
            )
        try:
            names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            raise ValueError("it names no domain as subjectAltName; use `ca issue`") from None
        usages = x509.ExtendedKeyUsage(USAGES[eku]) if eku is not None else _usages_of(old)
        key = key or new_key()
        certificate = self._sign(
            names.value, key.public_key(), now, days, usages, old.subject, critical=names.critical
        )
        return Leaf(certificate, key)

    def _sign(
        self,
        names: x509.SubjectAlternativeName,
        public: CertificatePublicKeyTypes,
        now: datetime,
        days: int,
        eku: str | x509.ExtendedKeyUsage | None,
        subject: x509.Name,
        *,
        critical: bool = False,
    ) -> x509.Certificate:
        if self.ends <= now:
            raise ValueError(
                f"the authority ended on {self.ends:%Y-%m-%d}; `ca init --force` makes a new one"
            )
        builder = _builder(
            subject, self.certificate.subject, public, self.key, now, days, until=self.ends
        )
        builder = builder.add_extension(names, critical=critical)
        return _as_leaf(builder, eku).sign(self.key, hashes.SHA256())


def read_request(data: bytes) -> x509.CertificateSigningRequest:
    """A request in PEM or DER. Raises ValueError, with words."""
    try:
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_csr(data)
        return x509.load_der_x509_csr(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(
            "there is no signing request in it: a PEM file begins with "
            "-----BEGIN CERTIFICATE REQUEST-----"
        ) from None


def _requested(csr: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName:
    """The names that a request is answered for. Raises ValueError."""
    try:
        signed = csr.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        signed = False
    if not signed:
        raise ValueError("the request is not signed by its own key; make it again")
    key = csr.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < WEAKEST_RSA:
        raise ValueError(
            f"its RSA key has only {key.key_size} bits; make a new one with {WEAKEST_RSA} or more"
        )
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        raise ValueError("its key is neither RSA nor EC; make a request with such a key")
    names = list(dict.fromkeys(proper_domain(name) for name in names_of(csr)))
    uris = list(dict.fromkeys(proper_domain(uri[4:]) for uri in _sip_uris(csr)))
    if not names and not uris:
        raise ValueError("the request names no domain as subjectAltName; make it again with one")
    # With sip: URIs only these are identities (RFC 5922 §7.1): none is added to those asked for.
    return _names(names, uris or names)


def left_out(csr: x509.CertificateSigningRequest) -> list[str]:
    """The names of a request that no certificate for SIP is issued for, such as "IP:10.0.0.1"."""
    sip = _sip_uris(csr)
    found = []
    for name in _alternatives(csr):
        if isinstance(name, x509.DNSName) or name.value in sip:
            continue
        kind = _KINDS.get(type(name), type(name).__name__)
        found.append(f"{kind}:{name.value}" if kind in _KINDS.values() else kind)
    return found


_KINDS: Final[dict[type[x509.GeneralName], str]] = {
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
}


def _alternatives(
    thing: x509.Certificate | x509.CertificateSigningRequest,
) -> list[x509.GeneralName]:
    try:
        found = thing.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, x509.UnsupportedGeneralNameType, ValueError):
        return []
    return list(found.value)


def _sip_uris(csr: x509.CertificateSigningRequest) -> list[str]:
    """The URIs of a request that are a domain's; those with a user or port are nobody's."""
    uris = [n.value for n in _alternatives(csr) if isinstance(n, x509.UniformResourceIdentifier)]
    return [u for u in uris if u[:4].lower() == "sip:" and not set(u[4:]) & set("@:;?")]


def names_of(thing: x509.Certificate | x509.CertificateSigningRequest) -> list[str]:
    """The DNS names of a certificate or a request."""
    return [name.value for name in _alternatives(thing) if isinstance(name, x509.DNSName)]


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _subject_of(names: x509.SubjectAlternativeName) -> x509.Name:
    return _subject(str(next(iter(names)).value).removeprefix("sip:"))


def _names(names: Sequence[str], uris: Sequence[str] | None = None) -> x509.SubjectAlternativeName:
    dns: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    sip = names if uris is None else uris
    return x509.SubjectAlternativeName(
        [*dns, *(x509.UniformResourceIdentifier(f"sip:{name}") for name in sip)]
    )


def _usages_of(certificate: x509.Certificate) -> x509.ExtendedKeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return None


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
    until: datetime | None = None,
) -> x509.CertificateBuilder:
    end = now + timedelta(days=days)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(end if until is None else min(end, until))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
    )


def _as_leaf(
    builder: x509.CertificateBuilder, eku: str | x509.ExtendedKeyUsage | None
) -> x509.CertificateBuilder:
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
    builder = builder.add_extension(_usage(authority=False), True)
    if eku is None:
        return builder
    usages = x509.ExtendedKeyUsage(USAGES[eku]) if isinstance(eku, str) else eku
    return builder.add_extension(usages, critical=False)
