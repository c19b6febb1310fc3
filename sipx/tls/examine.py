"""Whether a peer's certificate may be believed, and whom it proves: our own judgement.

OpenSSL has looked at the chain in the handshake already, and has forgiven a purpose that is not
its role's. Here the chain is verified again and independently, for each set of authorities by
itself: what a partner's own authority vouches for proves this partner and nobody else. A resumed
session is examined like a new one, so that a certificate that has expired or was revoked in
between does not live on in a ticket.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from sipx.certificates import CertificateError, is_issued_by
from sipx.identity import (
    EkuPolicy,
    Examination,
    PeerCertificate,
    Proof,
    certificate_facts,
    eku_refusal,
    name_refusal,
    proves,
)
from sipx.tls.words import bad_certificate, came_alone, ends_at, no_authority, self_signed
from sipx.trust import CertificateFault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sipx.certificates import CertificateStore, TrustSet
    from sipx.identity import Partner

REMEMBERED: Final = 60.0
"""Seconds for which what was found of a chain holds for the next connection that shows it."""
_MOST: Final = 4096
_NOTHING: Final[frozenset[bytes]] = frozenset()
_Refusal = tuple[CertificateFault, str, str]
_Key = tuple[x509.Certificate, tuple[x509.Certificate, ...], str, bool, str, frozenset[bytes]]

_CA_POLICY: Final = ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, Criticality.AGNOSTIC, None
)
_LEAF_POLICY: Final = ExtensionPolicy.permit_all()
"""Purposes and names are judged by rules of our own; chains, dates, constraints by cryptography."""


class Examiner:
    """Judges chains. ``wall`` is seconds since 1970."""

    def __init__(self, store: CertificateStore, wall: Callable[[], float]) -> None:
        self._store = store
        self._wall = wall
        self._stores: dict[str, Store | None] = {}
        self._generation = -1
        self._found: OrderedDict[_Key, tuple[float, Examination | _Refusal]] = OrderedDict()
        self._chains: OrderedDict[x509.Certificate, tuple[x509.Certificate, ...]] = OrderedDict()

    @property
    def trust_generation(self) -> int:
        """Another one: whom we believe has changed."""
        return self._store.trust_generation

    def now(self) -> float:
        """Seconds since 1970."""
        return self._wall()

    def examine(
        self,
        leaf: x509.Certificate,
        others: Sequence[x509.Certificate],
        *,
        accepting: bool,
        policy: EkuPolicy,
        partner: Partner | None = None,
        who: str,
    ) -> Examination:
        """What the certificate of a peer proves. Raises TlsError.

        ``partner`` is whom we connect to, None when we are connected to: then every partner may
        be proven. ``others`` are the certificates that came with it, none on a resumed session.
        """
        self._renew()
        chain = self._chain(leaf, tuple(others))
        now = self._wall()
        wanted, named = ("", _NOTHING) if partner is None else (partner.key, partner.srv_targets)
        key = (leaf, chain, policy, accepting, wanted, named)
        known = self._found.get(key)
        if known is None or known[0] < now:
            facts = certificate_facts(leaf)
            partners = self._store.partners
            if partner is not None and partner not in partners:
                partners = (*partners, partner)
            outcome = self._judge(facts, leaf, chain, accepting, policy, partners, partner)
            known = (now + REMEMBERED, outcome)
            self._found[key] = known
            if len(self._found) > _MOST:
                self._found.popitem(last=False)
        found = known[1]
        if isinstance(found, Examination):
            return found
        raise bad_certificate(who, certificate_facts(leaf), *found)

    # ------------------------------------------------------------ the judgement

    def _judge(
        self,
        facts: PeerCertificate,
        leaf: x509.Certificate,
        chain: tuple[x509.Certificate, ...],
        accepting: bool,
        policy: EkuPolicy,
        partners: Sequence[Partner],
        wanted: Partner | None,
    ) -> Examination | _Refusal:
        now = datetime.fromtimestamp(self._wall(), UTC)
        early = _dates(facts, now)
        if early is not None:
            return early
        if self._revoked(leaf, chain):
            return CertificateFault.REVOKED, "", ""
        vouched = self._vouches("", leaf, chain, now)
        purpose = eku_refusal(policy, facts.eku, accepting=accepting)
        general = vouched and purpose is None
        proofs: dict[str, Proof] = {}
        own_rules: set[str] = set()
        nameable = False
        believed = vouched
        stranger = wanted
        for partner in partners:
            if partner.ca:
                if not self._vouches(partner.name, leaf, chain, now):
                    continue
            elif not (vouched or facts.spki in partner.pins):
                continue
            believed = True
            forbids = eku_refusal(partner.eku or policy, facts.eku, accepting=accepting)
            if forbids is not None:
                purpose = purpose or forbids
                continue
            if partner.pins and facts.spki not in partner.pins:
                continue
            if partner.ca or partner.pins or partner.eku is not None:
                own_rules.add(partner.name)
            # Of a discovered one the DNS may say later what it has to name.
            nameable = nameable or (partner.discovered and _names(facts, partner))
            proof = proves(partner, facts)
            if proof is not None:
                proofs[partner.name] = proof
            elif partner.ca and wanted is None:
                stranger = partner
        if wanted is None:
            passed = bool(proofs) or (general and bool(facts.ids)) or nameable
        else:
            passed = wanted.name in proofs
        if passed:
            return Examination(facts, general, proofs, frozenset(own_rules))
        if not believed:
            return CertificateFault.UNKNOWN_CA, *self._why_unknown(leaf, chain)
        if purpose is not None:
            return CertificateFault.WRONG_PURPOSE, purpose, ""
        if stranger is not None:
            rule, _, remedy = name_refusal(stranger, facts).partition("; ")
            return CertificateFault.NO_NAME, rule, remedy
        return CertificateFault.NO_NAME, "", ""

    def _vouches(
        self, name: str, leaf: x509.Certificate, chain: tuple[x509.Certificate, ...], now: datetime
    ) -> bool:
        store = self._stores.get(name)
        if store is None:
            return False
        try:
            (
                PolicyBuilder()
                .store(store)
                .time(now.replace(tzinfo=None))
                .extension_policies(ca_policy=_CA_POLICY, ee_policy=_LEAF_POLICY)
                .build_client_verifier()
                .verify(leaf, list(chain))
            )
        except (VerificationError, x509.UnsupportedGeneralNameType, ValueError):
            return False
        return True

    def _revoked(self, leaf: x509.Certificate, chain: tuple[x509.Certificate, ...]) -> bool:
        """Whether a list that the issuer has signed names a certificate of the chain."""
        for trust in self._trust_sets():
            for crl in trust.crls:
                for certificate in (leaf, *chain):
                    if (
                        crl.issuer == certificate.issuer
                        and crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
                        is not None
                        and _signed_by_one_of(crl, (*chain, *trust.anchors))
                    ):
                        return True
        return False

    def _why_unknown(
        self, leaf: x509.Certificate, chain: tuple[x509.Certificate, ...]
    ) -> tuple[str, str]:
        """RFC 5280 §6.1 found no path: which link is missing, or no good."""
        if leaf.issuer == leaf.subject:
            return self_signed()
        now = datetime.fromtimestamp(self._wall(), UTC)
        last = leaf
        for following in chain:
            if not is_issued_by(last, following):
                continue
            last = following
            facts = certificate_facts(following)
            if not _may_issue(following):
                return no_authority(facts.subject)
            early = _dates(facts, now)
            if early is not None:
                said = f"the authority {facts.subject} is no good any more or yet: {early[1]}"
                return said, "the peer has to send the chain that is valid now"
        issuer = certificate_facts(last).issuer
        return came_alone(issuer) if last is leaf else ends_at(issuer)

    # ------------------------------------------------------------ what it knows

    def _renew(self) -> None:
        """Files have changed: all that was found before is void."""
        if self._generation == self._store.generation:
            return
        self._generation = self._store.generation
        self._found.clear()
        self._stores = {
            trust.name: Store(list(trust.anchors)) if trust.anchors else None
            for trust in self._trust_sets()
        }

    def _trust_sets(self) -> list[TrustSet]:
        names = ["", *(partner.name for partner in self._store.partners if partner.ca)]
        found: list[TrustSet] = []
        for name in names:
            try:
                found.append(self._store.trust(name))
            except CertificateError:
                continue  # told by the store; it vouches for nobody
        return found

    def _chain(
        self, leaf: x509.Certificate, others: tuple[x509.Certificate, ...]
    ) -> tuple[x509.Certificate, ...]:
        """A resumed session brings the leaf alone: its chain is that of the first time."""
        others = tuple(certificate for certificate in others if certificate != leaf)
        if others:
            if self._chains.get(leaf) != others:
                self._chains[leaf] = others
                if len(self._chains) > _MOST:
                    self._chains.popitem(last=False)
            return others
        return self._chains.get(leaf, ())


def _dates(facts: PeerCertificate, now: datetime) -> _Refusal | None:
    if now < facts.not_before:
        late = facts.not_before - now
        rule = f"it is valid only from {facts.not_before:%Y-%m-%d %H:%M} UTC, in {late}"
        return CertificateFault.NOT_YET_VALID, rule, ""
    if now > facts.not_after:
        rule = f"it expired on {facts.not_after:%Y-%m-%d %H:%M}, and it is {now:%Y-%m-%d %H:%M} UTC"
        return CertificateFault.EXPIRED, rule, ""
    return None


def _names(facts: PeerCertificate, partner: Partner) -> bool:
    return bool(
        facts.ids
        or (partner.allow_wildcard and facts.wildcards)
        or (partner.accept_cn and facts.common_name)
    )


def _may_issue(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _signed_by_one_of(
    crl: x509.CertificateRevocationList, issuers: Sequence[x509.Certificate]
) -> bool:
    """Whether its issuer has signed it. Where nobody has shown that issuer's certificate, the
    operator's word is enough: the list was named in [trust].
    """
    named = [issuer for issuer in issuers if issuer.subject == crl.issuer]
    if not named:
        return True
    for issuer in named:
        try:
            if crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # a key that cannot sign raises TypeError
                return True
        except (TypeError, InvalidSignature, UnsupportedAlgorithm):
            continue
    return False
