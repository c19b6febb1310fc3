"""Certificates in words, for people and for programs: what ``cert show`` and ``cert list`` tell."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography import x509

WIDTH: Final = 80
_KINDS: Final = {
    "DNSName": "DNS",
    "UniformResourceIdentifier": "URI",
    "IPAddress": "IP",
    "RFC822Name": "email",
    "RegisteredID": "ID",
}
_PURPOSES: Final = {
    "1.3.6.1.5.5.7.3.1": "serverAuth",
    "1.3.6.1.5.5.7.3.2": "clientAuth",
    "1.3.6.1.5.5.7.3.3": "codeSigning",
    "1.3.6.1.5.5.7.3.4": "emailProtection",
    "1.3.6.1.5.5.7.3.8": "timeStamping",
    "1.3.6.1.5.5.7.3.9": "OCSPSigning",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
    "1.3.6.1.5.5.7.3.20": "sipDomain",
    "1.3.6.1.4.1.311.20.2.2": "smartcardLogon",
    "2.5.29.37.0": "anyExtendedKeyUsage",
}


def wrapped(label: str, text: str, width: int = WIDTH) -> list[str]:
    """A label and text in as many lines as it takes, the text below itself."""
    lines = textwrap.wrap(
        text,
        max(width - len(label), 20),
        break_long_words=False,
        break_on_hyphens=False,
    )
    first, *others = lines or [""]
    return [f"{label}{first}".rstrip(), *(" " * len(label) + other for other in others)]


def safe(text: str) -> str:
    """Text of somebody else, so that nothing in it acts on a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The subjectAltNames as they are written: "DNS:sip.a.example", "URI:sip:a.example"."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except (ValueError, x509.UnsupportedGeneralNameType):
        return ["(cannot be read)"]
    return [_name(name) for name in found]


def _name(name: x509.GeneralName) -> str:
    kind = _KINDS.get(type(name).__name__)
    if kind == "ID":
        return f"ID:{name.value.dotted_string}"
    return type(name).__name__ if kind is None else f"{kind}:{safe(str(name.value))}"


def purposes(eku: Iterable[str] | None) -> list[str] | None:
    """Extended key usages by name, unknown ones as they are; None without the extension."""
    return None if eku is None else sorted(_PURPOSES.get(oid, oid) for oid in eku)


def described(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    """A certificate for ``--json``."""
    from sipx.identity import certificate_facts

    facts = certificate_facts(certificate)
    hash_ = certificate.signature_hash_algorithm
    public = certificate.public_key()
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": f"{facts.serial:x}",
        "valid_from": facts.not_before.isoformat(),
        "valid_until": facts.not_after.isoformat(),
        "days_left": (facts.not_after - now).days,
        "names": names_of(certificate),
        "identities": sorted(name.decode() for name in facts.ids),
        "key": type(public).__name__.removesuffix("PublicKey"),
        "key_size": getattr(public, "key_size", None),
        "signature": None if hash_ is None else hash_.name,
        "eku": purposes(facts.eku),
        "fingerprint": facts.fingerprint,
        "spki": facts.spki,
    }


def validity(one: dict[str, Any]) -> str:
    """From when to when, and how long still."""
    days = one["days_left"]
    left = f"{days} days left" if days >= 0 else f"EXPIRED {-days} days ago"
    return f"{one['valid_from'][:10]} to {one['valid_until'][:10]}, {left}"
