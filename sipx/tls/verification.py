"""What OpenSSL asks in the middle of a handshake: is this error of the chain forgiven?

What is refused here ends the handshake with the alert that OpenSSL has for it. What is forgiven
is judged once more when the handshake is over (`sipx.tls.examine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.identity import (
    UNREADABLE,
    EkuPolicy,
    PeerCertificate,
    certificate_facts,
    eku_refusal,
)
from sipx.tls.words import came_alone, ends_at, no_authority, self_signed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from OpenSSL import SSL, crypto

    from sipx.identity import Partner

EXPIRED: Final = 10
SELF_SIGNED: Final = 18
NO_AUTHORITY: Final = (24, 79)
PURPOSE: Final = 26
NO_LIST: Final = (3, 11, 12, 33, 35)
"""X509_V_ERR_*: no revocation list that is valid now, or nobody who could have signed it."""
UNCHAINED: Final = (2, SELF_SIGNED, 19, 20, 21)
"""No path to an authority that is known."""


class Refused(NamedTuple):
    """What OpenSSL found and where in the chain; the rule and the remedy in words."""

    error: int
    depth: int
    certificate: PeerCertificate | None
    rule: str = ""
    remedy: str = ""


class Verification:
    """The rules for one connection, and what they refused."""

    __slots__ = ("_accepting", "_partners", "_pinned", "_policy", "_unchained", "failed")

    def __init__(self, policy: EkuPolicy, partners: Sequence[Partner], *, accepting: bool) -> None:
        self._policy = policy
        self._partners = partners
        self._accepting = accepting
        self._pinned = any(partner.pins and not partner.ca for partner in partners)
        self._unchained: Refused | None = None
        self.failed: Refused | None = None

    def permits(self, certificate: crypto.X509, error: int, depth: int) -> bool:
        """Whether to go on."""
        if error == 0:
            if depth or self._unchained is None:
                return True
            # Only a pinned key may do without an authority, and the leaf comes last.
            leaf = _facts_of(certificate)
            pinned = [partner.pins for partner in self._partners if not partner.ca]
            if leaf is not None and any(leaf.spki in pins for pins in pinned):
                return True
            self.failed = self._unchained
            return False
        if error in NO_LIST:
            # A list that is missing or old says nothing; what it does say is believed, and looked
            # up once more when the handshake is over.
            return True
        facts = _facts_of(certificate)
        if facts is None:
            self.failed = Refused(error, depth, None)
            return False
        if error == PURPOSE and (depth or self._purpose_is_allowed(facts)):
            return True
        if error in UNCHAINED and self._pinned:
            self._unchained = self._unchained or self._told(error, depth, facts)
            return True
        self.failed = self._told(error, depth, facts)
        return False

    def _told(self, error: int, depth: int, facts: PeerCertificate) -> Refused:
        rule, remedy = "", ""
        if error == PURPOSE:
            rule = eku_refusal(self._policy, facts.eku, accepting=self._accepting) or ""
        elif error == EXPIRED:
            rule = f"it expired on {facts.not_after:%Y-%m-%d %H:%M} UTC"
        elif error == SELF_SIGNED:
            rule, remedy = self_signed()
        elif error in NO_AUTHORITY:
            rule, remedy = no_authority(facts.subject)
        elif error in UNCHAINED:
            rule, remedy = ends_at(facts.issuer) if depth else came_alone(facts.issuer)
        return Refused(error, depth, facts, rule, remedy)

    def _purpose_is_allowed(self, facts: PeerCertificate) -> bool:
        policies = {self._policy, *(p.eku for p in self._partners if p.eku is not None)}
        return any(
            eku_refusal(policy, facts.eku, accepting=self._accepting) is None for policy in policies
        )


def _facts_of(certificate: crypto.X509) -> PeerCertificate | None:
    """None: OpenSSL reads more than others do, and nobody has to be believed for that."""
    try:
        return certificate_facts(certificate.to_cryptography())
    except UNREADABLE:
        return None


def verify(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """The callback of every context; the connection brings its own rules."""
    rules = connection.get_app_data()
    assert isinstance(rules, Verification)
    return rules.permits(certificate, error, depth)
