"""Whose requests are taken from strangers: rows 5 to 9 of docs/trust.md, "Incoming requests".

A connection with a good certificate says nothing yet. Its requests do: for each domain in From the
certificate has to prove that domain. What was proven once on a connection holds until the SRV
answer that it rests on expires; then it is proven anew, without a question where the DNS cache
has the answer. Requests within dialogs that live on the connection go on, whatever the DNS says.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

from sipx import (
    FEDERATION_SERVICE,
    Accept,
    Certificate,
    Identity,
    Incoming,
    Later,
    Peer,
    Refuse,
    ResolveError,
    Sender,
    SenderKind,
    decide_incoming,
    name_refusal,
    proof_of,
)
from sipx_open_federation.config import NAME, PROTOCOL
from sipx_open_federation.outgoing import LEAST_TTL
from sipx_open_federation.partners import is_discovered, name_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Examination, Flow, Partner, PeerCertificate, Proof, Proxy, SrvAnswer, Verdict
    from sipx.sip import Request
    from sipx_open_federation.partners import Partners

MOST_DOMAINS: Final = 64
"""Domains that are remembered for one connection: a hosting provider may speak for any number."""
MOST_ASKING: Final = 64
"""Requests of one certificate's key that wait for the DNS at a time: who owns a slow DNS, or a host
of a provider and so every From, does not use up what all others wait with.
"""
PATIENCE: Final = 15.0
"""Seconds that the DNS is given; its own deadlines are shorter."""
ROW_UNKNOWN: Final = 7
"""Of docs/trust.md, "Incoming requests": the DNS does not say whether it is a partner."""
_IDENTITIES: Final = {
    "rfc5922": Identity.RFC5922,
    "ms-suffix": Identity.SUFFIX,
    "hosting": Identity.HOSTING,
}


@dataclass(frozen=True, slots=True)
class PartnerProven:
    """A connection has proven a domain for the first time: by ``profile``, with the name ``by``."""

    domain: str
    profile: str
    by: str
    flow: str


@dataclass(slots=True)
class _Proven:
    """What a connection has proven for one domain, until when, and by what.

    ``srv_targets`` are what its records named, ``examined`` what its certificate was found to be.
    """

    verdict: Accept
    expires: float
    proof: Proof
    srv_targets: frozenset[bytes]
    examined: Examination


class Judge:
    """Judges the requests of connections that no route and no account claims.

    ``met(domain, flow, proof)`` hears when a connection proves a domain for the first time,
    ``left(domain, flow)`` when that is forgotten before the connection ends.
    ``admit(domain, request, flow)`` is asked for each request that would be accepted.
    """

    def __init__(
        self,
        partners: Partners,
        proxy: Proxy,
        interface: str,
        *,
        met: Callable[[bytes, Flow, Proof], None],
        left: Callable[[bytes, Flow], None],
        admit: Callable[[bytes, Request, Flow], Refuse | None],
    ) -> None:
        self._partners = partners
        self._proxy = proxy
        self._interface = interface
        self._met = met
        self._left = left
        self._admit = admit
        self._flushes = proxy.resolver.flushes
        self._proven: dict[tuple[int, bytes], _Proven] = {}
        self._domains: dict[int, OrderedDict[bytes, None]] = {}
        self._asking: Counter[str] = Counter()
        """Requests that wait for the DNS, by the key of the certificate."""
        self._replaced = False

    def take_over(self, old: Judge) -> None:
        """What connections have proven; it is looked at anew with the settings of now."""
        self._proven, self._domains = old._proven, old._domains
        self._asking = old._asking
        old._replaced = True
        self._doubt_all()

    def peer_of(self, flow: Flow) -> Peer | None:
        """Whom a connection was opened to, or who a partner with trust of its own is.

        Not where its certificate proves a route or an account as well: those go before.
        """
        if flow.examined is None or flow.interface.name != self._interface:
            return None
        proofs = flow.examined.partners
        if not proofs or not all(map(is_discovered, proofs)):
            return None
        name, proof = next(iter(proofs.items()))
        return Peer(name, flow.examined.certificate.ids, proof.profile, discovered=True)

    def closed(self, flow: Flow) -> None:
        """A connection has ended: what it has proven is forgotten."""
        for domain in self._domains.pop(flow.id, ()):
            del self._proven[flow.id, domain]

    def domains_of(self, flow: Flow) -> tuple[bytes, ...]:
        """The domains that a connection has proven."""
        return tuple(self._domains.get(flow.id, ()))

    def profile_of(self, flow: Flow, domain: bytes) -> str:
        """By which profile a connection has proven a domain; "" where it has not."""
        proven = self._proven.get((flow.id, domain))
        return "" if proven is None else proven.proof.profile

    # ------------------------------------------------------------ hot

    def judge(self, request: Request, flow: Flow) -> Verdict | Later[Verdict] | None:
        """The verdict on a request; None where it is not for open federation to say. Hot."""
        examined = flow.examined
        if flow.interface.name != self._interface or examined is None:
            return None
        if flow.peer is not None and not flow.peer.discovered:
            return None
        domain = request.from_domain
        known = self._proven.get((flow.id, domain))
        if (
            known is not None
            and known.expires > self._proxy.now()
            and known.examined is examined
            and self._is_current()
        ):
            return self._admitted(domain, request, flow) or known.verdict
        return self._prove(request, flow, examined, domain, known)

    def _is_current(self) -> bool:
        """Whether the DNS cache was not emptied by hand in the meantime."""
        if self._flushes == self._proxy.resolver.flushes:
            return True
        self._doubt_all()
        return False

    def _doubt_all(self) -> None:
        self._flushes = self._proxy.resolver.flushes
        for proven in self._proven.values():
            proven.expires = -inf

    # ------------------------------------------------------------ proving

    def _prove(
        self,
        request: Request,
        flow: Flow,
        examined: Examination,
        domain: bytes,
        known: _Proven | None,
    ) -> Verdict | Later[Verdict]:
        """Rows 25 and 8 first, then by the name itself, then by what the SRV records name."""
        if domain in self._proxy.domains:
            return _refusal(_facts(from_ours=True))
        if self._partners.blocked(domain):
            return blocked_sender(domain)
        if not self._partners.welcome(domain):
            return _refusal(_facts(welcome=False), f"{domain.decode()} is not in allow of [{NAME}]")
        partner = self._partners.partner(domain)
        proof = proof_of(examined, partner)
        if proof is not None:
            return self._accept(request, flow, examined, partner, proof, inf)
        if not self._needs_srv(partner, examined.certificate):
            return _refusal(_facts(Identity.NONE), _why_not(partner, examined))
        service = f"{FEDERATION_SERVICE}.{domain.decode()}"
        try:
            answer = self._proxy.resolver.cached_service(service)
        except ResolveError as error:
            return self._without_srv(request, flow, examined, domain, known, error)
        if answer is not None:
            return self._by_srv(request, flow, examined, domain, known, answer)

        asking, key = self._asking, examined.certificate.spki
        if asking[key] >= MOST_ASKING:
            why = "too many requests of the same certificate wait for the DNS already"
            return Refuse(503, why, ((b"Retry-After", b"5"),), ROW_UNKNOWN)

        async def ask() -> Verdict:
            asking[key] += 1
            try:
                found = await self._proxy.resolver.service(service)
            except ResolveError as error:
                return self._without_srv(request, flow, examined, domain, known, error)
            finally:
                asking[key] -= 1
                if not asking[key]:
                    del asking[key]
            return self._by_srv(request, flow, examined, domain, known, found)

        return Later(ask, deadline=PATIENCE)

    def _needs_srv(self, partner: Partner, certificate: PeerCertificate) -> bool:
        """Whether SRV records could make the certificate good for the domain.

        SEC-22: strangers do not choose what is asked. A name of the certificate has to be the
        domain, or below it, or below a hosting provider's name; else no record helps.
        """
        names = set(certificate.ids)
        if partner.allow_wildcard:
            names |= certificate.wildcards
        if partner.accept_cn and certificate.common_name is not None:
            names.add(certificate.common_name)
        ends: tuple[bytes, ...] = ()
        if "ms-suffix" in partner.profiles:
            if partner.domain in names:
                return True
            ends = (b"." + partner.domain,)
        if "hosting" in partner.profiles:
            ends += tuple(b"." + provider for provider in partner.providers)
        return any(name.endswith(ends) for name in names)

    def _by_srv(
        self,
        request: Request,
        flow: Flow,
        examined: Examination,
        domain: bytes,
        known: _Proven | None,
        answer: SrvAnswer,
    ) -> Verdict:
        partner = self._partners.partner(domain, (r.target.encode() for r in answer.records))
        proof = proof_of(examined, partner)
        if proof is None:
            refusal = _refusal(_facts(Identity.NONE), _why_not(partner, examined))
            return self._in_dialog(request, flow, examined, domain, known) or refusal
        expires = max(answer.expires, self._proxy.now() + LEAST_TTL)
        return self._accept(request, flow, examined, partner, proof, expires)

    def _without_srv(
        self,
        request: Request,
        flow: Flow,
        examined: Examination,
        domain: bytes,
        known: _Proven | None,
        error: ResolveError,
    ) -> Verdict:
        """Row 7."""
        failed = error.kind in ("servfail", "timeout")
        identity = Identity.DNS_FAILED if failed else Identity.NO_SRV
        refusal = _refusal(_facts(identity), str(error))
        return self._in_dialog(request, flow, examined, domain, known) or refusal

    def _in_dialog(
        self,
        request: Request,
        flow: Flow,
        examined: Examination,
        domain: bytes,
        known: _Proven | None,
    ) -> Verdict | None:
        """Dialogs live longer than records: on the connection that has proven the domain, requests
        within them go on (row 27: our own mark says whether it is within one), as long as what the
        records named before proves the domain by the settings of now.
        """
        if known is None or not self._proxy.in_dialog(request, name_of(domain)):
            return None
        if proof_of(examined, self._partners.partner(domain, known.srv_targets)) is None:
            return None
        return self._admitted(domain, request, flow) or known.verdict

    def _accept(
        self,
        request: Request,
        flow: Flow,
        examined: Examination,
        partner: Partner,
        proof: Proof,
        expires: float,
    ) -> Verdict:
        domain = partner.domain
        decision = decide_incoming(_facts(_IDENTITIES[proof.profile]))
        sender = Sender(
            kind=decision.kind or SenderKind.DISCOVERED,
            name=name_of(domain),
            domains=frozenset((domain,)),
            trusted=decision.trusted,
            row=decision.row,
            partner=partner,
        )
        proven = _Proven(Accept(sender), expires, proof, partner.srv_targets, examined)
        # A request that waited during a reload is let in by the settings that it came under; those
        # of now are asked for the next.
        if flow.id and not flow.closed and not self._replaced:
            self._remember(flow, domain, proven)
        return self._admitted(domain, request, flow) or proven.verdict

    def _admitted(self, domain: bytes, request: Request, flow: Flow) -> Refuse | None:
        """Nothing is counted, and nothing kept, for a request that is only explained: its flow is
        in no table and has no number.
        """
        return self._admit(domain, request, flow) if flow.id else None

    def _remember(self, flow: Flow, domain: bytes, proven: _Proven) -> None:
        before = self._proven.get((flow.id, domain))
        self._proven[flow.id, domain] = proven
        domains = self._domains.setdefault(flow.id, OrderedDict())
        domains[domain] = None
        crowded = len(domains) > MOST_DOMAINS
        if crowded:
            oldest, _ = domains.popitem(last=False)
            del self._proven[flow.id, oldest]
            self._left(oldest, flow)
        if before is None:
            self._tell(flow, domain, proven.proof, logging.DEBUG if crowded else logging.INFO)

    def _tell(self, flow: Flow, domain: bytes, proof: Proof, level: int) -> None:
        """The profile stands in the log of each partner that is accepted; where a provider speaks
        for more domains than are remembered, of the first ones only.
        """
        if flow.peer is None and flow.examined is not None:
            ids = flow.examined.certificate.ids
            flow.peer = Peer(name_of(domain), ids, proof.profile, discovered=True)
        shown, by = domain.decode(), proof.name.decode()
        weak = f"; a weakness: {proof.weakness}" if proof.weakness else ""
        self._proxy.log.log(
            level,
            "partner %s on %s: proven by profile %s, its certificate names %s%s",
            shown,
            flow.name,
            proof.profile,
            by,
            weak,
        )
        self._proxy.report(PartnerProven(shown, proof.profile, by, flow.name))
        self._met(domain, flow, proof)


def _facts(
    identity: Identity = Identity.NONE,
    *,
    welcome: bool = True,
    from_ours: bool = False,
    blocked: bool = False,
) -> Incoming:
    return Incoming(
        protocol=PROTOCOL,
        certificate=Certificate.OK,
        open_federation_on=True,
        welcome=welcome,
        identity=identity,
        from_ours=from_ours,
        from_blocked=blocked,
    )


def blocked_sender(domain: bytes) -> Refuse:
    """Row 8, whatever a static route says."""
    return _refusal(_facts(blocked=True), domain.decode())


def _refusal(facts: Incoming, detail: str = "") -> Refuse:
    """What the table says of these facts, and what is known besides."""
    decision = decide_incoming(facts)
    why = f"{decision.reason}; {detail}" if detail else decision.reason
    return Refuse(decision.status or 403, why, row=decision.row)


def _why_not(partner: Partner, examined: Examination) -> str:
    """Why the certificate of a peer is not good for the partner's domain."""
    certificate = examined.certificate
    if partner.ca or partner.pins or partner.eku is not None:
        if partner.name not in examined.vouched:
            return (
                f"it does not pass by the authorities, pins or eku_policy of "
                f'[{NAME}.partner."{partner.domain.decode()}"]: {certificate.describe()}'
            )
    elif not examined.general:
        return f"no authority of [trust] vouches for it: {certificate.describe()}"
    said = name_refusal(partner, certificate)
    stars = [star for star in certificate.wildcards if star.endswith(b"." + partner.domain)]
    if stars and not partner.srv_targets:
        star = min(stars).decode()
        said += f"; {star} is a wildcard, which proves no SIP domain (RFC 5922 section 7.2)"
    return said
