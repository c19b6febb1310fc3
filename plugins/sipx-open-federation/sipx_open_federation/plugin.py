"""Open federation: the hooks of the plugin ``open-federation``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx import (
    Check,
    Discovery,
    Flow,
    InterfaceRequest,
    Partner,
    Peer,
    Proxy,
    Refuse,
    Verdict,
    hookimpl,
)
from sipx.sip import Request, cached_uri
from sipx_open_federation.checks import AREA, findings
from sipx_open_federation.config import NAME, PROTOCOL, OpenFederationConfig
from sipx_open_federation.incoming import Judge, blocked_sender
from sipx_open_federation.outgoing import FederationDiscovery, blocked_target
from sipx_open_federation.partners import Partners

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx import Later, Proof

BENOTIFY: Final = b"ms-benotify"


class OpenFederation:
    """Federation with any domain that the DNS knows and that a certificate proves."""

    Config = OpenFederationConfig

    def __init__(self, config: OpenFederationConfig, proxy: Proxy) -> None:
        self.config = config
        self._proxy = proxy
        self.partners_table = Partners(config, proxy.domains)
        interface = config.interface_name
        self.discovery = FederationDiscovery(self.partners_table, proxy, interface)
        self.judge = Judge(self.partners_table, proxy, interface, met=self._met, admit=self._admit)

    # ------------------------------------------------------------ start and reload

    @hookimpl
    def interfaces(self) -> Iterable[InterfaceRequest]:
        """Its own listener, unless one of the file is named."""
        config = self.config
        if config.interface is not None:
            return []
        own = (NAME, config.bind, config.port, PROTOCOL, "wan", config.certificate)
        return [InterfaceRequest(*own)]

    @hookimpl
    def discoveries(self) -> Iterable[Discovery]:
        """The SRV records of ``_sipfederationtls._tcp``."""
        return [self.discovery]

    @hookimpl
    def partners(self) -> Iterable[Partner]:
        """Those with authorities, pins or an EKU policy of their own."""
        return self.partners_table.listed()

    @hookimpl
    def option_tags(self) -> Iterable[bytes]:
        """What Microsoft's servers ask for where a NOTIFY needs no answer."""
        return [BENOTIFY] if self.config.benotify else []

    @hookimpl
    def take_over(self, old: OpenFederation) -> None:
        """What connections have proven, and what was told already."""
        self.judge.take_over(old.judge)
        self.discovery.take_over(old.discovery)

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check federation``."""
        return [Check(AREA, lambda: findings(self.config, self._proxy))]

    # ------------------------------------------------------------ connections

    @hookimpl
    def authenticate_peer(self, flow: Flow) -> Peer | None:
        """Whom a connection was opened to."""
        return self.judge.peer_of(flow)

    @hookimpl
    def flow_closed(self, flow: Flow) -> None:
        """What it has proven is forgotten."""
        self.judge.closed(flow)

    def _met(self, domain: bytes, flow: Flow, proof: Proof) -> None:
        """A connection has proven a domain for the first time."""

    def _admit(self, domain: bytes, request: Request, flow: Flow) -> Refuse | None:
        """Whether a request of a proven partner is within its limits."""
        return None

    # ------------------------------------------------------------ requests

    @hookimpl
    def validate_request(self, request: Request, flow: Flow) -> Refuse | None:
        """A blocked domain, rows 8 and 3: before everything, so that no route goes before it."""
        blocked = self.partners_table.blocked
        if blocked(request.from_domain):
            return blocked_sender(request.from_domain)
        to = cached_uri(request.uri).host
        if blocked(to):
            return blocked_target(to)
        if request.layout.route >= 0 and blocked(to := cached_uri(request.to.uri).host):
            # Within a dialog the Request-URI is often no more than an address.
            return blocked_target(to)
        return None

    @hookimpl
    def authenticate_request(self, request: Request, flow: Flow) -> Verdict | Later[Verdict] | None:
        """Whether the certificate of the connection proves the domain in From."""
        return self.judge.judge(request, flow)
