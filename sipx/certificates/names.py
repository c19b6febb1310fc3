"""Names and purposes of a certificate in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cryptography import x509

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def safe(text: str) -> str:
    """Text of somebody else, so that nothing in it acts on a terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def names_of(certificate: x509.Certificate) -> list[str]:
    """The subjectAltNames as they are written: "DNS:sip.a.example", "URI:sip:a.example"."""
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
