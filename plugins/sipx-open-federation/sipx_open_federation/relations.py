"""What there is with each partner while sipx runs: the book, the limits, the connections.

The plugin hands everything that happens with a partner to this one object, and that to whom it
concerns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

from sipx import proof_of
from sipx_open_federation.book import Book
from sipx_open_federation.connections import Connections
from sipx_open_federation.keepalive import KeepAlive
from sipx_open_federation.limits import Limits
from sipx_open_federation.partners import name_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import Branch, Flow, Partner, Proof, Proxy, Refuse, Service, Target
    from sipx.sip import Request, Response
    from sipx_open_federation.config import OpenFederationConfig
    from sipx_open_federation.outgoing import FederationDiscovery
    from sipx_open_federation.partners import Partners

TROUBLE: Final = ("store", "partners")


@dataclass(frozen=True, slots=True)
class PartnerOverLimit:
    """A partner sends more than it may; ``text`` says what, and what is done about it."""

    domain: str
    text: str


class Relations:
    """The discovered partners, as they are now."""

    def __init__(
        self,
        config: OpenFederationConfig,
        proxy: Proxy,
        partners: Partners,
        discovery: FederationDiscovery,
    ) -> None:
        self._proxy = proxy
        self.config = config
        self.partners = partners
        self.book = Book(
            lambda: proxy.state_dir, proxy.wall, lambda text: proxy.note_trouble(*TROUBLE, text)
        )
        self.limits = Limits(
            config,
            proxy.now,
            proxy.random,
            in_dialog=lambda domain, request: proxy.in_dialog(request, name_of(domain)),
            hosted=lambda domain, flow: domain in self._hosted.get(flow, ()),
            counted=self.book.count,
            told=self._over,
        )
        self.connections = Connections(
            proxy, discovery.discover, reached=self._reached, first=partners.promoted
        )
        self._keepalive = KeepAlive(proxy.config.limits.idle_timeout)
        self._flows: dict[bytes, set[Flow]] = {}
        """The connections that have proven a domain, in either direction."""
        self._domains: dict[Flow, set[bytes]] = {}
        self._hosted: dict[Flow, set[bytes]] = {}
        """The domains that a hosting provider speaks for there."""

    def take_over(self, old: Relations) -> None:
        """Go on where another one was; its services have ended."""
        self._flows, self._domains, self._hosted = old._flows, old._domains, old._hosted
        self.book.take_over(old.book)
        self.limits.take_over(old.limits)
        self.connections.take_over(old.connections)
        self.connections.drop(self.partners.blocked)

    def services(self) -> Iterable[Service]:
        """What keeps the book, and the connections."""
        return [self.book.service, self.connections.service]

    def flows(self, domain: bytes) -> list[Flow]:
        """The connections with a partner, the oldest first."""
        return sorted(self._flows.get(domain, ()), key=lambda flow: flow.id)

    def connected(self) -> frozenset[bytes]:
        """The partners that there is a connection with now."""
        return frozenset(self._flows)

    # ------------------------------------------------------------ what happens

    def met(self, domain: bytes, flow: Flow, proof: Proof) -> None:
        """A connection has proven a domain for the first time, by a request."""
        examined = flow.examined
        certificate = None if examined is None else examined.certificate
        self.book.met(domain, "in", proof=proof, certificate=certificate)
        if proof.profile == "hosting":
            self._hosted.setdefault(flow, set()).add(domain)
        self._at(domain, flow)

    def left(self, domain: bytes, flow: Flow) -> None:
        """A provider speaks for so many domains on a connection that this one was forgotten."""
        for known in (self._domains, self._hosted):
            if flow in known:
                known[flow].discard(domain)
        self._parted(domain, flow)

    def admit(self, domain: bytes, request: Request, flow: Flow) -> Refuse | None:
        """Hot: whether a request of a partner is within its limits."""
        refuse = self.limits.admit(domain, request, flow)
        if refuse is None and flow.id:
            self.book.count(domain, "in")
        return refuse

    def refused(self, domain: bytes) -> None:
        """A request of a partner was not let in, for another reason than its limits."""
        self.book.count(domain, "refused")

    def on_forward(self, request: Request, target: Target) -> None:
        """Hot, the hook ``forward_request``."""
        if target.partner is None and request.from_domain in self._proxy.domains:
            return  # between our own servers
        self._keepalive.on_forward(request, target)
        self.connections.on_forward(request, target)

    def on_response(self, response: Response, branch: Branch) -> None:
        """Hot, the hook ``process_response``."""
        if not hasattr(response, "cseq_method"):
            return  # nobody has answered: it was made here
        partner = branch.target.partner
        if partner is not None and partner.discovered:
            self._answered(partner, cast("Flow", branch.flow), response)
        self._keepalive.on_response(response, branch)
        self.connections.on_response(response, branch)

    def _answered(self, partner: Partner, flow: Flow, response: Response) -> None:
        """A partner has answered a request of ours."""
        domain = partner.domain
        if domain not in self._domains.get(flow, ()):
            self._proven_to(partner, flow)
        if response.status >= 200:
            self.book.count(domain, "out")

    def _reached(self, domain: bytes, flow: Flow) -> None:
        """A connection to a partner has come back."""
        self._proven_to(self.partners.partner(domain), flow)

    def _proven_to(self, partner: Partner, flow: Flow) -> None:
        """Whom we have connected to has proven to be this partner."""
        examined = flow.examined
        if examined is not None:
            proof = examined.partners.get(partner.name) or proof_of(examined, partner)
            certificate = examined.certificate
            self.book.met(partner.domain, "out", proof=proof, certificate=certificate)
            self._at(partner.domain, flow)

    def _at(self, domain: bytes, flow: Flow) -> None:
        if not flow.closed and flow.id:
            self._flows.setdefault(domain, set()).add(flow)
            self._domains.setdefault(flow, set()).add(domain)

    def _parted(self, domain: bytes, flow: Flow) -> None:
        flows = self._flows.get(domain, set())
        flows.discard(flow)
        if not flows:
            self._flows.pop(domain, None)

    def closed(self, flow: Flow) -> None:
        """A connection has ended."""
        for domain in self._domains.pop(flow, ()):
            self._parted(domain, flow)
        self._hosted.pop(flow, None)
        self.limits.closed(flow)
        self.connections.on_closed(flow)

    def _over(self, domain: bytes, text: str) -> None:
        name = domain.decode()
        self._proxy.log.warning("partner %s is over its limit: %s", name, text)
        self._proxy.report(PartnerOverLimit(name, text))
