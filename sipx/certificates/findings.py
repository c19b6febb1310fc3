"""What `sipx check certs` finds in the certificates and authorities of a configuration."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from sipx.certificates.anchors import load_anchors, load_crls, trust_files
from sipx.certificates.chain import (
    Certificates,
    Known,
    chain,
    dates,
    intermediates,
    revoked,
    subject_of,
    until,
)
from sipx.certificates.own import CertificateError, OwnCertificate
from sipx.config.model import SECURE
from sipx.domains import canonical_domain
from sipx.identity import EkuPolicy, eku_refusal
from sipx.plugin import Finding, Severity
from sipx.sip.uri import is_ip_address

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from sipx.certificates.store import CertificateState, CertificateStore
    from sipx.config.model import CertificateConfig, KernelConfig

_OTHERS: Final = 0o077
_WEAK: Final = ("md5", "sha1")
_FAILURE, _WARNING, _OK = Severity.FAILURE, Severity.WARNING, Severity.OK


def certificate_findings(store: CertificateStore, now: datetime) -> Iterator[Finding]:
    """One finding at least for each [certificate.NAME]; ``now`` is an aware time."""
    known = _known(store, now)
    strict: dict[str, list[str]] = {}
    for state in store.states():
        yield from _of_one(store, state, known)
        if state.own is None:
            continue
        why = eku_refusal(EkuPolicy.STRICT, state.own.facts.eku, accepting=True)
        if why is not None:
            strict.setdefault(why, []).append(f"'{state.name}'")
    for why, names in strict.items():
        one = len(names) == 1
        yield Finding(
            "SIPX-T010",
            _OK,
            f"certificate{'' if one else 's'} {', '.join(names)}: {why}: partners with strict "
            f"rules refuse {'it' if one else 'them'} when this proxy connects",
            "if one does, show it another certificate: the route's certificate",
        )
    yield from _revocation_lists(known)
    yield from _authorities(store)


def findings_of(
    store: CertificateStore, state: CertificateState, now: datetime
) -> tuple[Finding, ...]:
    """Those of one [certificate.NAME]."""
    return tuple(_of_one(store, state, _known(store, now)))


def _of_one(store: CertificateStore, state: CertificateState, known: Known) -> Iterator[Finding]:
    found = list(_of_state(store, state, known))
    yield from found
    if state.own is not None and all(one.severity is _OK for one in found):
        facts = state.own.facts
        left = until(facts.not_after, known.now)
        text = f"certificate '{state.name}': {facts.describe()}, {left}"
        yield Finding("SIPX-T000", _OK, text)


def inline_secrets(config: KernelConfig, path: Path) -> Iterator[Finding]:
    """Passwords of certificates in a configuration file that others may read."""
    for name, table in config.certificate.items():
        if table.pkcs12_password is not None and table.pkcs12_password.inline:
            mode = _open_mode(path)
            if mode is not None:
                yield Finding(
                    "SIPX-T004",
                    _FAILURE,
                    f"certificate '{name}': others may read its password in {path} "
                    f"(mode {mode:03o})",
                    f"chmod 600 {path}, or keep it elsewhere: "
                    'pkcs12_password = { file = "..." } or { env = "..." }',
                )


def _known(store: CertificateStore, now: datetime) -> Known:
    trust: Certificates | None = None
    crls: tuple[x509.CertificateRevocationList, ...] = ()
    # Each by itself: a revocation list that is missing says nothing about the authorities. What
    # cannot be read is told among the errors of [trust] and the routes.
    with suppress(OSError):
        trust = _anchors(store) if _asked(store) else ()
    with suppress(OSError):
        crls = load_crls(store.config.trust.crl)
    routes: list[x509.Certificate] = []
    for partner in store.partners:
        if partner.ca:
            with suppress(CertificateError):
                routes += store.trust(partner.name).anchors
    return Known(now, trust, tuple(routes), crls)


def _anchors(store: CertificateStore) -> Certificates:
    try:
        return store.trust().anchors
    except CertificateError:
        return load_anchors(trust_files(store.config.trust))


def _asked(store: CertificateStore) -> bool:
    """Whether [trust] matters: where there is no TLS, nobody is asked for a certificate."""
    trust = store.config.trust
    written = trust.ca != "system" or trust.extra_ca or trust.crl
    return bool(store.config.certificate or store.partners or written)


def _of_state(store: CertificateStore, state: CertificateState, known: Known) -> Iterator[Finding]:
    name = f"certificate '{state.name}'"
    table = store.config.certificate[state.name]
    if state.error is not None:
        users = _users(store, state)
        used = f", used by {', '.join(users)}" if users else ""
        text = f"{name}{used}: {state.error.text}"
        yield Finding(state.error.code, _FAILURE, text, state.error.remedy)
    yield from _readable_by_others(name, table)
    if state.own is None:
        return
    own = state.own
    yield from dates(name, own.certificate, known.now, table.warn_before)
    yield from _names(name, own)
    yield from revoked(name, own, known)
    yield from intermediates(name, own, known.now, table.warn_before)
    yield from chain(name, own, known, table)
    yield from _strength(name, own)
    if not state.used_by:
        yield Finding("SIPX-T011", _WARNING, f"{name}: nothing uses it", "name it, or remove it")


def _users(store: CertificateStore, state: CertificateState) -> list[str]:
    """Who uses a certificate; for [wan] the interfaces that name none themselves."""
    users = [user for user in state.used_by if user != "wan"]
    if "wan" in state.used_by:
        fall_back = [
            f"interface {name}"
            for name, table in store.config.interface.items()
            if table.protocol in SECURE and not table.certificate
        ]
        users = [*(fall_back or ["[wan]"]), *users]
    return users


# ---------------------------------------------------------------- files


def _readable_by_others(name: str, table: CertificateConfig) -> Iterator[Finding]:
    password = None if table.pkcs12_password is None else table.pkcs12_password.path
    for what, path in (
        ("the key", table.key_file),
        ("the key", table.pkcs12_file),
        ("the password", password),
    ):
        mode = None if path is None else _open_mode(path)
        if mode is not None:
            yield Finding(
                "SIPX-T004",
                _FAILURE,
                f"{name}: others may read {what} in {path} (mode {mode:03o})",
                f"chmod 600 {path}",
            )


def _open_mode(path: Path) -> int | None:
    """The mode of a file that others may read."""
    if os.name != "posix":
        return None
    try:
        found = path.stat().st_mode
    except OSError:
        return None  # told by who wanted to read it
    mode = stat.S_IMODE(found)
    # A directory is named by mistake; who reads it tells, and its mode is none of this.
    return mode if stat.S_ISREG(found) and mode & _OTHERS else None


# ---------------------------------------------------------------- the certificate itself


def _names(name: str, own: OwnCertificate) -> Iterator[Finding]:
    good = [one.decode() for one in sorted(own.facts.ids) if b"." in one]
    bad = _no_domains(own.certificate)
    if not good and not bad:
        yield Finding(
            "SIPX-T007",
            _FAILURE,
            f"{name} names no domain as subjectAltName (RFC 5922 §7.1)",
            "wildcards, addresses and common names do not count; ask for one with your domain",
        )
    elif bad:
        said = ", ".join(f"{one} ({why})" for one, why in bad.items())
        yield Finding(
            "SIPX-T007",
            _WARNING if good else _FAILURE,
            f"{name} names {'' if good else 'only '}{said}: no full domain name, and partners "
            "do not count it (RFC 5922 §7.1)",
            f"what counts is {', '.join(good)}" if good else "ask for one with your domain",
        )


def _no_domains(certificate: x509.Certificate) -> dict[str, str]:
    """The names of a certificate that are no full domain name, and why each is none."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return {}
    hosts = names.get_values_for_type(x509.DNSName)
    hosts += [
        uri[4:]
        for uri in names.get_values_for_type(x509.UniformResourceIdentifier)
        if uri[:4].lower() == "sip:"
    ]
    found = {str(ip): "an address" for ip in names.get_values_for_type(x509.IPAddress)}
    for host in hosts:
        why = _why_no_domain(host)
        if why:
            found[ascii(host)[1:-1]] = why
    return found


def _why_no_domain(host: str) -> str:
    if "*" in host:
        return "a wildcard"
    try:
        canonical = canonical_domain(host)
    except ValueError:
        return "no domain name"
    if is_ip_address(canonical):
        return "an address"
    return "" if b"." in canonical else "no dot"


def _strength(name: str, own: OwnCertificate) -> Iterator[Finding]:
    for certificate in (own.certificate, *own.chain):
        key = certificate.public_key()
        said = subject_of(certificate)
        if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
            text = f"{name}: the key of {said} has only {key.key_size} bits"
            yield Finding("SIPX-T009", _FAILURE, text, "make a new one, EC P-256 or RSA 3072")
        algorithm = certificate.signature_hash_algorithm
        if algorithm is not None and algorithm.name in _WEAK:
            text = f"{name}: {said} is signed with {algorithm.name}"
            yield Finding("SIPX-T009", _FAILURE, text, "get a new one; nobody takes that any more")


# ---------------------------------------------------------------- authorities of others


def _revocation_lists(known: Known) -> Iterator[Finding]:
    for crl in known.crls:
        due = crl.next_update_utc
        if due is not None and known.now > due:
            yield Finding(
                "SIPX-T012",
                _WARNING,
                f"the revocation list of {crl.issuer.rfc4514_string()} is old: a newer one was due "
                f"on {due:%Y-%m-%d}",
                "fetch the newer one; what the old one lists stays refused",
            )


def _authorities(store: CertificateStore) -> Iterator[Finding]:
    """Lists of authorities that are empty or cannot be read; a fault of several is told once."""
    lists = {f"route {p.name}": (p.name, p.ca) for p in store.partners if p.ca}
    if _asked(store):
        lists = {"[trust]": ("", trust_files(store.config.trust)), **lists}
    errors: dict[tuple[str, str, str], list[str]] = {}
    for who, (name, files) in lists.items():
        empty = [path for path in files if _holds_nothing(path)]
        nobody = False
        try:
            nobody = not store.trust(name).anchors
        except CertificateError as error:
            if any(error.text.startswith(f"{path} ") for path in empty):
                nobody = True
            else:
                errors.setdefault((error.code, error.text, error.remedy), []).append(who)
        if (empty or not files) and (name or _needs_trust(store)):
            said = ", ".join(str(path) for path in empty) or "this machine"
            yield Finding(
                "SIPX-T014",
                _FAILURE if nobody else _WARNING,
                f"authorities of {who}: there is none in {said}"
                + (", so that nobody's certificate is believed" if nobody else ""),
                "put PEM files there that end in .pem or .crt, or name other files in ca",
            )
    for (code, text, remedy), users in errors.items():
        yield Finding(code, _FAILURE, f"authorities of {', '.join(users)}: {text}", remedy)


def _needs_trust(store: CertificateStore) -> bool:
    """Whether [trust] was written for somebody, or has to vouch for a partner."""
    return store.config.trust.ca != "system" or any(
        partner.verify and not partner.ca and not partner.pins for partner in store.partners
    )


def _holds_nothing(path: Path) -> bool:
    """Whether it is an empty file, or a directory without certificates."""
    try:
        if path.is_dir():
            return not load_anchors((path,))
        return path.stat().st_size == 0
    except OSError:
        return False  # told by who wanted to read it
