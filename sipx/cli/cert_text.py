"""Certificates in words, for people and for programs: what ``cert show`` and ``cert list`` tell."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

WIDTH: Final = 80


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


def described(certificate: x509.Certificate, now: datetime) -> dict[str, Any]:
    """A certificate for ``--json``."""
    from sipx.certificates.names import names_of, purposes
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
