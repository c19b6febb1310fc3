"""What OpenSSL asks in the middle of a handshake: is this error of the chain forgiven?

What is refused here ends the handshake with the alert that OpenSSL has for it. What is forgiven
is judged once more when the handshake is over (`sipx.tls.examine`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.identity import EkuPolicy, PeerCertificate, certificate_facts, eku_refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from OpenSSL import SSL, crypto

    from sipx.identity import Partner

PURPOSE: Final = 26
NO_CRL: Final = 3
CRL_EXPIRED: Final = 12
UNCHAINED: Final = (2, 18, 19, 20, 21)
"""X509_V_ERR_*: no path to an authority that is known."""


class Verification:
    """The rules for one connection, and what they refused."""

    __slots__ = ("_accepting", "_partners", "_pinned", "_policy", "_unchained", "failed")

    def __init__(self, policy: EkuPolicy, partners: Sequence[Partner], *, accepting: bool) -> None:
        self._policy = policy
        self._partners = partners
        self._accepting = accepting
        self._pinned = any(partner.pins and not partner.ca for partner in partners)
        self._unchained: tuple[int, int, PeerCertificate] | None = None
        self.failed: tuple[int, int, PeerCertificate] | None = None
        """OpenSSL's error, its depth in the chain, and the certificate, of what was refused."""

    def permits(self, certificate: crypto.X509, error: int, depth: int) -> bool:
        """Whether to go on."""
        if error == 0:
            if depth or self._unchained is None:
                return True
            # Only a pinned key may do without an authority, and the leaf comes last.
            spki = certificate_facts(certificate.to_cryptography()).spki
            if any(spki in partner.pins for partner in self._partners if not partner.ca):
                return True
            self.failed = self._unchained
            return False
        if error in (NO_CRL, CRL_EXPIRED):
            # A list that is missing or old says nothing; what it does say is believed.
            return True
        facts = certificate_facts(certificate.to_cryptography())
        if error == PURPOSE and (depth or self._purpose_is_allowed(facts)):
            return True
        if error in UNCHAINED and self._pinned:
            self._unchained = self._unchained or (error, depth, facts)
            return True
        self.failed = (error, depth, facts)
        return False

    def _purpose_is_allowed(self, facts: PeerCertificate) -> bool:
        policies = {self._policy, *(p.eku for p in self._partners if p.eku is not None)}
        return any(
            eku_refusal(policy, facts.eku, accepting=self._accepting) is None for policy in policies
        )


def verify(
    connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int
) -> bool:
    """The callback of every context; the connection brings its own rules."""
    rules = connection.get_app_data()
    assert isinstance(rules, Verification)
    return rules.permits(certificate, error, depth)
