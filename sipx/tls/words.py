"""What went wrong with TLS, in words: who, which certificate, which rule, what to do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipx.plugin import PeerRefusedError
from sipx.trust import Certificate, CertificateFault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.certificates import OwnCertificate
    from sipx.identity import PeerCertificate

OURS: Final = {
    2: CertificateFault.UNKNOWN_CA,
    9: CertificateFault.NOT_YET_VALID,
    10: CertificateFault.EXPIRED,
    18: CertificateFault.UNKNOWN_CA,
    19: CertificateFault.UNKNOWN_CA,
    20: CertificateFault.UNKNOWN_CA,
    21: CertificateFault.UNKNOWN_CA,
    23: CertificateFault.REVOKED,
    24: CertificateFault.UNKNOWN_CA,
    26: CertificateFault.WRONG_PURPOSE,
    79: CertificateFault.UNKNOWN_CA,
}
"""What OpenSSL found wrong with a certificate (x509_vfy.h), as the trust table calls it."""

_RULES: Final = {
    CertificateFault.UNKNOWN_CA: "no authority that is trusted here issued it",
    CertificateFault.EXPIRED: "it has expired",
    CertificateFault.NOT_YET_VALID: "it is not valid yet",
    CertificateFault.REVOKED: "its authority has revoked it",
    CertificateFault.WRONG_PURPOSE: "its extended key usage is not allowed by eku_policy",
    CertificateFault.NO_NAME: "it names no domain",
}
_REMEDIES: Final = {
    CertificateFault.UNKNOWN_CA: (
        "if you trust that authority, add it to trust.extra_ca or to the partner's ca"
    ),
    CertificateFault.EXPIRED: "its owner has to renew it, or this machine's clock is wrong",
    CertificateFault.NOT_YET_VALID: "compare the clocks of both machines",
    CertificateFault.REVOKED: "its owner needs a new certificate",
    CertificateFault.WRONG_PURPOSE: "change eku_policy, or ask for another certificate",
    CertificateFault.NO_NAME: "its owner needs a certificate with a subjectAltName",
}
_SHOW_YOURS: Final = "its administrator has to trust the authority that issued ours"
_ALERTS: Final = {
    "unknown ca": f"it does not know the authority of our certificate; {_SHOW_YOURS}",
    "bad certificate": "it does not accept our certificate; compare the names it expects",
    "certificate unknown": "it does not accept our certificate; its log says why",
    "unsupported certificate": (
        "it does not accept the extended key usage of our certificate; show it one with "
        "clientAuth (client_certificate, or the partner's certificate), or ask it to accept ours"
    ),
    "certificate expired": "to it our certificate has expired; renew it, compare the clocks",
    "certificate revoked": "to it our certificate is revoked; renew it",
    "certificate required": "it wants a certificate and we showed none; set certificate",
    "handshake failure": (
        "both sides found no common ground: a cipher, or a certificate it wanted and did not get"
    ),
    "protocol version": "it speaks no version of TLS that is allowed here (trust.min_tls)",
    "insufficient security": "it wants stronger ciphers than it was offered",
    "unrecognized name": "it does not know the name we asked for; set the partner's sni",
    "access denied": "it does not want us; ask its administrator",
    "decrypt error": "a signature did not verify; its certificate and key may not belong together",
    "internal error": "it failed by itself; its log says why",
    "no certificate": "it has no certificate for us",
}
_ALERT: Final = re.compile(r"(?:ssl/tls|(?:tls|ssl)(?:v[0-9]+)?) (alert )?(?:number )?(.+)")
"""How versions of OpenSSL call an alert of the peer: "tlsv1 alert unknown ca", "tlsv1 unrecognized
name", "tls alert bad certificate", "ssl/tls alert ...".
"""
_REASONS: Final = {
    "peer did not return a certificate": (
        "it showed no certificate, and mtls demands one",
        "its administrator has to configure a client certificate, or use the protocol tls",
    ),
    "unsupported protocol": (
        "it speaks no version of TLS that is allowed here",
        "it needs a newer version, at least that of trust.min_tls",
    ),
    "no shared cipher": ("there is no cipher that both sides allow", "update its TLS software"),
    "http request": (
        "it sent clear text, not TLS",
        "use the protocol tcp, or let it speak TLS to this port",
    ),
    "wrong version number": (
        "what it sent is no TLS",
        "use the protocol tcp, or let it speak TLS to this port",
    ),
    "unexpected eof while reading": (
        "it closed the connection in the middle of the handshake",
        "its log may say why: often our certificate is not accepted there",
    ),
    "no renegotiation": ("it asked to renegotiate", "no version of sipx allows that"),
    "packet length too long": ("what it sent is no TLS", "let it speak TLS to this port"),
    "record layer failure": ("what it sent is no TLS", "let it speak TLS to this port"),
}


class TlsError(PeerRefusedError):
    """TLS with a peer failed. ``text`` says who, which certificate and which rule, ``remedy`` what
    to do. ``certificate`` and ``fault`` are what the trust table asks about. ``last_words`` may
    still be sent: the alert.
    """

    def __init__(
        self,
        text: str,
        remedy: str,
        certificate: Certificate = Certificate.OK,
        fault: CertificateFault | None = None,
    ) -> None:
        super().__init__(f"{text}; {remedy}")
        self.text = text
        self.remedy = remedy
        self.certificate = certificate
        self.fault = fault
        self.last_words = b""


def bad_certificate(
    who: str,
    certificate: PeerCertificate,
    fault: CertificateFault,
    rule: str = "",
    remedy: str = "",
    *,
    of_chain: bool = False,
) -> TlsError:
    """A certificate of the peer did not pass."""
    which = "a certificate of its chain" if of_chain else "its certificate"
    said = f"{who}: {which} ({certificate.describe()}) did not pass: {rule or _RULES[fault]}"
    return TlsError(said, remedy or _REMEDIES[fault], Certificate.BAD, fault)


def unreadable(who: str) -> TlsError:
    """A certificate of the peer breaks the rules of its own format (RFC 5280)."""
    return TlsError(
        f"{who}: a certificate of it cannot be read, or what it says is no X.509",
        "its owner needs another one; `sipx cert show HOST:PORT` looks at what a server sends",
        Certificate.BAD,
        CertificateFault.NO_NAME,
    )


def self_signed() -> tuple[str, str]:
    """Rule and remedy where nobody else vouches for a certificate."""
    return (
        "it is self-signed, and not trusted here",
        "pin its key in the route (pins), or add the certificate to the route's ca",
    )


def came_alone(issuer: str) -> tuple[str, str]:
    """Rule and remedy where the first link of a chain is missing: the most common mistake."""
    return (
        f"its issuer {issuer} is not trusted here, and no certificate of that issuer came with it",
        "if the issuer is an intermediate authority, the peer has to send its certificate too "
        "(full chain); if you trust it, add it to trust.extra_ca or to the partner's ca",
    )


def ends_at(issuer: str) -> tuple[str, str]:
    """Rule and remedy where the last link of a chain is missing."""
    return (
        f"its chain ends at {issuer}, which is not trusted here",
        "if you trust that authority, add it to trust.extra_ca or to the partner's ca",
    )


def no_authority(subject: str) -> tuple[str, str]:
    """Rule and remedy where a link of a chain may not issue certificates."""
    return (
        f"{subject}, which is said to have issued it, is no authority (basicConstraints)",
        "the peer has to send the chain that its authority gave it",
    )


def cut_off(who: str, ours: OwnCertificate | None) -> TlsError:
    """The peer closed the connection in the handshake."""
    reason, remedy = _REASONS["unexpected eof while reading"]
    return TlsError(f"{who}: {reason}{_shown(ours)}", remedy)


def handshake_failed(who: str, reasons: Iterable[str], ours: OwnCertificate | None) -> TlsError:
    """OpenSSL ended a handshake or a connection for these reasons."""
    said = [reason.lower() for reason in reasons]
    for reason in said:
        alert = _alert(reason)
        if alert is not None:
            return TlsError(
                f"{who}: it refused us with the alert '{alert}'{_shown(ours)}",
                _ALERTS.get(alert, "its log says why"),
            )
    for reason in said:
        if reason in _REASONS:
            wrong, remedy = _REASONS[reason]
            none = reason == "peer did not return a certificate"
            return TlsError(f"{who}: {wrong}", remedy, Certificate.NONE if none else Certificate.OK)
    told = ", ".join(dict.fromkeys(reason for reason in said if reason)) or "no reason given"
    return TlsError(f"{who}: TLS failed: {told}", "look at the log of the other side too")


def _alert(reason: str) -> str | None:
    found = _ALERT.fullmatch(reason)
    if found is None or not (found[1] or found[2] in _ALERTS):
        return None
    return found[2]


def _shown(ours: OwnCertificate | None) -> str:
    if ours is None:
        return " (we showed no certificate)"
    return f" (ours: {ours.facts.describe()})"
