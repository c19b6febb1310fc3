"""Who a certificate speaks for: its domains (RFC 5922 §7.1), and the profiles that compare them.

Pure functions over facts. Whether a certificate may be believed at all (its chain, dates,
revocation) is judged in `sipx.tls.examine`; here it is asked what a believed one proves. Wildcards
never match (RFC 5922 §7.2) unless a partner's table allows it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b, sha256
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sipx.domains import canonical_domain
from sipx.sip.errors import RemoteError
from sipx.sip.uri import SipUri, is_ip_address

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

SERVER_AUTH: Final = ExtendedKeyUsageOID.SERVER_AUTH.dotted_string
CLIENT_AUTH: Final = ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string
ANY_EKU: Final = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
SIP_DOMAIN_EKU: Final = "1.3.6.1.5.5.7.3.20"
"""id-kp-sipDomain (RFC 5924)."""

UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What cryptography raises for a certificate that OpenSSL still took: some of it is read only when
somebody asks, so a stranger's certificate may raise these wherever it is looked at.
"""
_SHOWN: Final = 100
_EKU_NAMES: Final = {
    SERVER_AUTH: "serverAuth",
    CLIENT_AUTH: "clientAuth",
    SIP_DOMAIN_EKU: "sipDomain",
    ANY_EKU: "anyExtendedKeyUsage",
}


class EkuPolicy(StrEnum):
    """Which extended key usages are taken; public CAs issue for servers only since 2026."""

    STRICT = "strict"
    FEDERATION = "federation"
    SIP_ONLY = "sip-only"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a certificate says, a peer's or our own.

    ``ids`` are its SIP domains, canonical; ``wildcards`` what would be among them without its
    star; ``hosts`` all its DNS names, stars too: what TLS clients know it by; ``common_name`` is
    set only where there is no subjectAltName at all. ``eku`` holds dotted OIDs, None without that
    extension. ``spki`` and ``fingerprint`` are SHA-256 in hex.
    """

    subject: str
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    ids: frozenset[bytes]
    wildcards: frozenset[bytes]
    hosts: frozenset[bytes]
    common_name: bytes | None
    eku: frozenset[str] | None
    spki: str
    fingerprint: str

    def describe(self) -> str:
        """The certificate in words, for logs and Warning headers."""
        return (
            f"subject {self.subject}, issuer {self.issuer}, serial {self.serial:x}, "
            f"valid {self.not_before:%Y-%m-%d} to {self.not_after:%Y-%m-%d}"
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """By which profile, and by which of its names, a certificate is good; what speaks against."""

    profile: str
    name: bytes
    weakness: str = ""


@dataclass(frozen=True, slots=True)
class Partner:
    """What proves that somebody is this peer, in both directions.

    ``name`` is that of the peer's Sender and Target. ``domain`` is the SIP domain for the profiles
    "rfc5922" and "ms-suffix", ``names`` what a certificate may name for "direct", ``srv_targets``
    what the domain's SRV records name, for "ms-suffix" (``suffix_depth`` labels below the domain,
    None: any number) and "hosting" (below one of ``providers``); ``profiles`` are tried in order.
    ``ca`` are authorities of its own: with them (``own_trust``) those of [trust] do not count.
    ``pins`` are SPKI hashes: the certificate has to match one, and without ``ca`` no authority is
    asked. ``eku`` None is the policy of the interface. ``verify`` False takes any certificate of a
    server; ``mutual`` shows ours, which is ``certificate`` or that of the interface.
    ``discovered``: found by the DNS, so that what it has to name may be known only when it is asked
    for; a connection stays what it was proven to be when the records change.
    """

    name: str
    domain: bytes = b""
    names: frozenset[bytes] = frozenset()
    profiles: tuple[str, ...] = ("direct",)
    ca: tuple[Path, ...] = ()
    pins: frozenset[str] = frozenset()
    eku: EkuPolicy | None = None
    allow_wildcard: bool = False
    accept_cn: bool = False
    verify: bool = True
    mutual: bool = True
    sni: str | None = None
    certificate: str | None = None
    srv_targets: frozenset[bytes] = frozenset()
    suffix_depth: int | None = 1
    providers: frozenset[bytes] = frozenset()
    discovered: bool = False
    key: str = field(init=False, compare=False, repr=False, default="")
    """Equal for equal settings: what pools of connections are keyed by."""

    def __post_init__(self) -> None:
        settings = (
            self.name,
            self.domain,
            sorted(self.names),
            self.profiles,
            self.ca,
            sorted(self.pins),
            self.eku,
            self.allow_wildcard,
            self.accept_cn,
            self.verify,
            self.mutual,
            self.sni,
            self.certificate,
            () if self.discovered else sorted(self.srv_targets),
            self.suffix_depth,
            sorted(self.providers),
            self.discovered,
        )
        digest = blake2b(repr(settings).encode(), digest_size=12).hexdigest()
        object.__setattr__(self, "key", digest)

    @property
    def own_trust(self) -> bool:
        """Whether authorities of its own take the place of those of [trust]."""
        return bool(self.ca)


@dataclass(frozen=True, slots=True)
class Examination:
    """What a peer's certificate was found to be. ``general``: [trust] vouches for it and the
    interface's EKU policy permits it. ``partners``: whom it proves, by name. ``vouched``: the
    partners with rules of their own whose authorities, pins and EKU policy pass, whatever it names.
    """

    certificate: PeerCertificate
    general: bool
    partners: Mapping[str, Proof]
    vouched: frozenset[str] = frozenset()
    proven: frozenset[str] = field(init=False)
    """The names of the partners: what may be remembered about a peer depends on them."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "proven", frozenset(self.partners))


# ---------------------------------------------------------------- what a certificate says


def certificate_facts(certificate: x509.Certificate) -> PeerCertificate:
    """The facts of a certificate. Names that cannot be read are left out, never guessed.

    Raises one of UNREADABLE where nothing can be said about it.
    """
    names = _alternative_names(certificate)
    ids: frozenset[bytes] = frozenset()
    wildcards: frozenset[bytes] = frozenset()
    hosts: frozenset[bytes] = frozenset()
    common_name: bytes | None = None
    if names is None:
        common_name = _common_name(certificate)
    else:
        # RFC 5922 §7.1: "If the subjectAltName extension contains URIs" with the scheme sip, only
        # these are identities; "if and only if" there is none, the dNSNames are.
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        ids = frozenset(host for uri in uris if (host := _sip_host(uri)) is not None)
        dns = names.get_values_for_type(x509.DNSName)
        plain = frozenset(name for text in dns if (name := _domain(text)) is not None)
        stars = frozenset(
            b"*." + name
            for text in dns
            if text.startswith("*.") and (name := _domain(text[2:])) is not None
        )
        hosts = plain | stars
        if not _has_sip_uri(uris):
            ids, wildcards = ids | plain, stars
    public = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PeerCertificate(
        subject=_shown(certificate.subject),
        issuer=_shown(certificate.issuer),
        serial=certificate.serial_number,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        ids=ids,
        wildcards=wildcards,
        hosts=hosts,
        common_name=common_name,
        eku=_eku(certificate),
        spki=sha256(public).hexdigest(),
        fingerprint=sha256(certificate.public_bytes(Encoding.DER)).hexdigest(),
    )


def _alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    except UNREADABLE:
        return x509.SubjectAlternativeName([])
    return found.value


def _has_sip_uri(uris: Iterable[str]) -> bool:
    return any(uri[:4].lower() == "sip:" for uri in uris)


def _sip_host(uri: str) -> bytes | None:
    """RFC 5922 §7.1: a sip URI that is a host and nothing else; a user makes it a user's."""
    if uri[:4].lower() != "sip:":
        return None
    try:
        parsed = SipUri.parse(b"sip:" + uri[4:].encode("ascii"))
    except (RemoteError, UnicodeEncodeError):
        return None
    if parsed.user is not None or parsed.port is not None or "@" in uri:
        return None
    if any(mark in uri[4:] for mark in ";?"):
        return None
    return _domain(uri[4:])


def _domain(text: str) -> bytes | None:
    """A SAN's domain name in canonical form; None for addresses, stars and all else."""
    try:
        text.encode("ascii")
        name = canonical_domain(text)
    except ValueError:
        return None
    return None if is_ip_address(name) else name


def _common_name(certificate: x509.Certificate) -> bytes | None:
    values = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(values) != 1 or not isinstance(values[0].value, str):
        return None
    return _domain(values[0].value)


def _eku(certificate: x509.Certificate) -> frozenset[str] | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        return None
    except UNREADABLE:
        return frozenset()
    return frozenset(oid.dotted_string for oid in found.value)


def _shown(name: x509.Name) -> str:
    """A name for people: it is the peer's text, so nothing in it may act on a terminal."""
    text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in name.rfc4514_string())
    if not text:
        return "(empty)"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


# ---------------------------------------------------------------- extended key usage


def eku_refusal(policy: EkuPolicy, eku: frozenset[str] | None, *, accepting: bool) -> str | None:
    """Why a peer's certificate does not fit the policy, or None.

    ``accepting``: we are the TLS server and judge a client. RFC 5924 §5: without the extension a
    certificate is accepted, with sipDomain it MUST be; "strict" is what OpenSSL would ask.
    "federation" deviates from RFC 5924 on purpose and takes serverAuth and clientAuth in both
    roles, because public authorities issue nothing else.
    """
    if policy is EkuPolicy.ANY or eku is None:
        return None
    if policy is EkuPolicy.STRICT:
        wanted = {CLIENT_AUTH if accepting else SERVER_AUTH}
    elif policy is EkuPolicy.SIP_ONLY:
        wanted = {SIP_DOMAIN_EKU, ANY_EKU}
    else:
        wanted = {SERVER_AUTH, CLIENT_AUTH, SIP_DOMAIN_EKU}
    if not wanted.isdisjoint(eku):
        return None
    has = ", ".join(sorted(_EKU_NAMES.get(oid, oid) for oid in eku)) or "nothing that can be read"
    allowed = " or ".join(sorted(_EKU_NAMES[oid] for oid in wanted))
    return f"its extended key usage is {has}, and the policy {policy} wants {allowed}"


# ---------------------------------------------------------------- profiles


def by_rfc5922(
    certificate: PeerCertificate,
    domain: bytes,
    *,
    allow_wildcard: bool = False,
    accept_cn: bool = False,
) -> Proof | None:
    """RFC 5922 §7.2: the domain itself is among the identities; no suffix, no wildcard."""
    return _named(certificate, (domain,), "rfc5922", allow_wildcard, accept_cn)


def by_direct(
    certificate: PeerCertificate,
    names: Iterable[bytes],
    pins: Container[str] = (),
    *,
    allow_wildcard: bool = False,
    accept_cn: bool = False,
) -> Proof | None:
    """A static route: a name of its access servers or its domain, or a pinned key."""
    if certificate.spki in pins:
        return Proof("direct", next(iter(sorted(certificate.ids)), b""))
    return _named(certificate, names, "direct", allow_wildcard, accept_cn)


def by_ms_suffix(
    certificate: PeerCertificate,
    domain: bytes,
    srv_targets: Iterable[bytes],
    *,
    depth: int | None = 1,
    allow_wildcard: bool = False,
    accept_cn: bool = False,
) -> Proof | None:
    """Microsoft's rule: it names an SRV target of the domain that is the domain or below it.

    ``depth`` is how many labels below; None: any.
    """
    suffix = b"." + domain
    inside = []
    for target in srv_targets:
        below = target.removesuffix(suffix)
        if target == domain or (
            target.endswith(suffix) and below and (depth is None or below.count(b".") < depth)
        ):
            inside.append(target)
    return _named(certificate, inside, "ms-suffix", allow_wildcard, accept_cn)


def by_hosting(
    certificate: PeerCertificate,
    srv_targets: Iterable[bytes],
    suffixes: Iterable[bytes],
    *,
    allow_wildcard: bool = False,
    accept_cn: bool = False,
) -> Proof | None:
    """A hosting provider: it names an SRV target below one of the provider's suffixes."""
    ends = tuple(b"." + suffix.lstrip(b".") for suffix in suffixes if suffix.strip(b"."))
    hosted = [target for target in srv_targets if ends and target.endswith(ends)]
    return _named(certificate, hosted, "hosting", allow_wildcard, accept_cn)


def proves(partner: Partner, certificate: PeerCertificate) -> Proof | None:
    """Whether the names of a certificate, or its pinned key, are the partner's.

    With pins the key decides; chain and EKU are not looked at here.
    """
    if partner.pins and certificate.spki not in partner.pins:
        return None
    for profile in partner.profiles:
        proof = by_profile(profile, partner, certificate)
        if proof is not None:
            return proof
    return None


def by_profile(profile: str, partner: Partner, certificate: PeerCertificate) -> Proof | None:
    """What one profile says. Raises ValueError for a profile that there is not."""
    wildcard, accept_cn = partner.allow_wildcard, partner.accept_cn
    if profile == "direct":
        return by_direct(
            certificate,
            partner.names,
            partner.pins,
            allow_wildcard=wildcard,
            accept_cn=accept_cn,
        )
    if profile == "rfc5922":
        return by_rfc5922(certificate, partner.domain, allow_wildcard=wildcard, accept_cn=accept_cn)
    if profile == "ms-suffix":
        return by_ms_suffix(
            certificate,
            partner.domain,
            partner.srv_targets,
            depth=partner.suffix_depth,
            allow_wildcard=wildcard,
            accept_cn=accept_cn,
        )
    if profile == "hosting":
        return by_hosting(
            certificate,
            partner.srv_targets,
            partner.providers,
            allow_wildcard=wildcard,
            accept_cn=accept_cn,
        )
    raise ValueError(f"there is no profile {profile!r}")


def proof_of(examined: Examination, partner: Partner) -> Proof | None:
    """Whether a peer that was examined once is a partner that was not known then.

    A partner with authorities, pins or an EKU policy of its own has to have passed by these.
    """
    own_rules = partner.ca or partner.pins or partner.eku is not None
    believed = partner.name in examined.vouched if own_rules else examined.general
    return proves(partner, examined.certificate) if believed else None


def name_refusal(partner: Partner, certificate: PeerCertificate) -> str:
    """Why `proves` said None: what the certificate names, what was wanted, what to do."""
    if partner.pins and certificate.spki not in partner.pins:
        return (
            f"its key is {certificate.spki}, which is none of the pinned ones; if the partner "
            "has a new key, pin that"
        )
    said = _names_of(certificate)
    if partner.discovered:
        return f"{said}; {_discovered_refusal(partner, certificate)}"
    wanted = set(partner.names) if "direct" in partner.profiles else set()
    if "rfc5922" in partner.profiles:
        wanted.add(partner.domain)
    asked = " or ".join(name.decode() for name in sorted(wanted)) or "nothing"
    return (
        f"{said}, and {asked} was wanted; the partner needs a certificate for that name, or the "
        "route the name that the certificate has"
    )


def _names_of(certificate: PeerCertificate) -> str:
    has = sorted(certificate.ids | certificate.wildcards)
    if has:
        said = "it names " + ", ".join(name.decode() for name in has[:5])
        return said + (" and more" if len(has) > 5 else "")
    if certificate.common_name is not None:
        return f"it has only the common name {certificate.common_name.decode()}"
    return "it names no domain"


def _discovered_refusal(partner: Partner, certificate: PeerCertificate) -> str:
    """Which profile wanted what, and what is in the way where something almost fits."""
    domain = partner.domain.decode()
    named = sorted(certificate.ids & partner.srv_targets)
    stars = sorted(
        star
        for star in certificate.wildcards
        if any(
            star == b"*." + name.partition(b".")[2]
            for name in (partner.domain, *partner.srv_targets)
        )
    )
    if named:
        target = named[0].decode()
        return (
            f"the SRV record names {target} too, but that is neither {domain} nor directly below "
            f"it, nor a known hosting provider's: {domain} needs a certificate for its own name, "
            "or an SRV target within it"
        )
    if stars:
        return (
            f"{stars[0].decode()} is a wildcard, which proves no SIP domain (RFC 5922 section "
            f"7.2): the partner needs a certificate for {domain} itself"
        )
    wanted = [domain] if "rfc5922" in partner.profiles else []
    if "ms-suffix" in partner.profiles:
        inside = [t for t in sorted(partner.srv_targets) if t.endswith(b"." + partner.domain)]
        below = "directly below it" if partner.suffix_depth == 1 else "below it"
        wanted += [t.decode() for t in inside] or [f"a host {below} that its SRV record names"]
    return f"wanted was {', or '.join(wanted) or 'an SRV target at a hosting provider'}"


def _named(
    certificate: PeerCertificate,
    names: Iterable[bytes],
    profile: str,
    allow_wildcard: bool,
    accept_cn: bool,
) -> Proof | None:
    wanted = [name for name in names if name]
    for name in wanted:
        if name in certificate.ids:
            return Proof(profile, name)
    if accept_cn and certificate.common_name in wanted and certificate.common_name is not None:
        return Proof(profile, certificate.common_name, "only its common name says so")
    if allow_wildcard:
        for name in wanted:
            # RFC 6125 §6.4.3: the star stands for one whole label.
            star = b"*." + name.partition(b".")[2]
            if star in certificate.wildcards and b"." in name:
                return Proof(profile, star, f"a wildcard says so: {star.decode()}")
    return None
