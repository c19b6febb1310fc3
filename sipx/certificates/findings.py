"""What `sipx check certs` finds in the certificates and authorities of a configuration."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from sipx.certificates.own import CertificateError, OwnCertificate, is_issued_by
from sipx.identity import EkuPolicy, eku_refusal
from sipx.plugin import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime
    from pathlib import Path

    from cryptography import x509

    from sipx.certificates.store import CertificateState, CertificateStore

_OTHERS: Final = 0o077
_WEAK: Final = ("md5", "sha1")
_FAILURE, _WARNING, _OK = Severity.FAILURE, Severity.WARNING, Severity.OK


def certificate_findings(store: CertificateStore, now: datetime) -> Iterator[Finding]:
    """One finding at least for each [certificate.NAME]; ``now`` is an aware time."""
    for state in store.states():
        found = list(_of_state(store, state, now))
        yield from found
        if state.own is not None and all(one.severity is _OK for one in found):
            facts = state.own.facts
            days = (facts.not_after - now).days
            text = f"certificate {state.name}: {facts.describe()}, {days} days left"
            yield Finding("SIPX-T000", _OK, text)
    yield from _revocation_lists(store, now)
    for name, error in store.trust_errors():
        yield Finding(error.code, _FAILURE, f"authorities of {name}: {error.text}", error.remedy)


def _of_state(store: CertificateStore, state: CertificateState, now: datetime) -> Iterator[Finding]:
    name = f"certificate {state.name}"
    if state.error is not None:
        yield Finding(state.error.code, _FAILURE, f"{name}: {state.error.text}", state.error.remedy)
    table = store.config.certificate[state.name]
    yield from _readable_by_others(name, (table.key_file, table.pkcs12_file))
    if state.own is None:
        return
    own = state.own
    yield from _dates(name, own, now, table.warn_before)
    yield from _names(name, own)
    yield from _chain(name, own, _anchors(store))
    yield from _strength(name, own)
    why = eku_refusal(EkuPolicy.STRICT, own.facts.eku, accepting=True)
    if why is not None:
        yield Finding(
            "SIPX-T010",
            _OK,
            f"{name}: {why}: partners with strict rules refuse it when this proxy connects",
            "if one does, show it another certificate: the route's certificate",
        )
    if not state.used_by:
        yield Finding("SIPX-T011", _WARNING, f"{name}: nothing uses it", "name it, or remove it")


def _revocation_lists(store: CertificateStore, now: datetime) -> Iterator[Finding]:
    if not store.config.trust.crl:
        return
    try:
        crls = store.trust().crls
    except CertificateError:
        return  # told among the errors of [trust]
    for crl in crls:
        until = crl.next_update_utc
        if until is not None and now > until:
            yield Finding(
                "SIPX-T012",
                _WARNING,
                f"the revocation list of {crl.issuer.rfc4514_string()} is old: a newer one was due "
                f"on {until:%Y-%m-%d}",
                "fetch the newer one; what the old one lists stays refused",
            )


def _readable_by_others(name: str, files: Iterable[Path | None]) -> Iterator[Finding]:
    for path in files:
        if path is None or os.name != "posix":
            continue
        try:
            mode = path.stat().st_mode & 0o777
        except OSError:
            continue  # told by who wanted to read it
        if mode & _OTHERS:
            yield Finding(
                "SIPX-T004",
                _FAILURE,
                f"{name}: others may read the key in {path} (mode {mode:03o})",
                f"chmod 600 {path}",
            )


def _dates(name: str, own: OwnCertificate, now: datetime, warn_before: float) -> Iterator[Finding]:
    facts = own.facts
    if now > facts.not_after:
        text = f"{name} expired on {facts.not_after:%Y-%m-%d}"
        yield Finding("SIPX-T005", _FAILURE, text, "renew it; partners refuse it")
    elif now < facts.not_before:
        text = f"{name} is valid only from {facts.not_before:%Y-%m-%d %H:%M} UTC"
        yield Finding("SIPX-T005", _FAILURE, text, "compare this machine's clock")
    elif (facts.not_after - now).total_seconds() < warn_before:
        days = (facts.not_after - now).days
        text = f"{name} expires on {facts.not_after:%Y-%m-%d}, in {days} days"
        yield Finding("SIPX-T006", _WARNING, text, "renew it; new files are taken up by themselves")


def _names(name: str, own: OwnCertificate) -> Iterator[Finding]:
    ids = own.facts.ids
    if not ids:
        yield Finding(
            "SIPX-T007",
            _FAILURE,
            f"{name} names no domain as subjectAltName (RFC 5922 §7.1)",
            "wildcards, addresses and common names do not count; ask for one with your domain",
        )
    elif not any(b"." in one for one in ids):
        said = ", ".join(one.decode() for one in sorted(ids))
        text = f"{name} names only {said}, which is no full domain name"
        yield Finding("SIPX-T007", _FAILURE, text, "ask for one with your domain")


def _anchors(store: CertificateStore) -> tuple[x509.Certificate, ...]:
    try:
        return store.trust().anchors
    except CertificateError:
        return ()


def _chain(
    name: str, own: OwnCertificate, anchors: tuple[x509.Certificate, ...]
) -> Iterator[Finding]:
    if own.certificate.issuer == own.certificate.subject:
        yield Finding(
            "SIPX-T008",
            _WARNING,
            f"{name} is self-signed",
            f'only partners that pin its key believe it: pins = ["{own.facts.spki}"]',
        )
        return
    last = own.chain[-1] if own.chain else own.certificate
    if any(is_issued_by(last, anchor) for anchor in anchors):
        return
    missing = last.issuer.rfc4514_string()
    yield Finding(
        "SIPX-T008",
        _WARNING,
        f"{name}: its chain ends before {missing}, which is not among the authorities of [trust]",
        "append the missing intermediate certificate to the file; if it is a private authority, "
        "partners need it in ca",
    )


def _strength(name: str, own: OwnCertificate) -> Iterator[Finding]:
    for certificate in (own.certificate, *own.chain):
        key = certificate.public_key()
        said = certificate.subject.rfc4514_string()
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
            text = f"{name}: the key of {said} has only {key.key_size} bits"
            yield Finding("SIPX-T009", _FAILURE, text, "make a new one, EC P-256 or RSA 3072")
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and algorithm.name in _WEAK:
            text = f"{name}: {said} is signed with {algorithm.name}"
            yield Finding("SIPX-T009", _FAILURE, text, "get a new one; nobody takes that any more")
