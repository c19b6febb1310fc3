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
from sipx_open_federation.relations import Relations

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Branch, Later, Service, Target
    from sipx.sip import Response
    from sipx_open_federation.federation_state import FederationState

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
        self.relations = Relations(config, proxy, self.partners_table, self.discovery)
        self.judge = Judge(
            self.partners_table,
            proxy,
            interface,
            met=self.relations.met,
            left=self.relations.left,
            admit=self.relations.admit,
        )

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
        self.relations.take_over(old.relations)

    @hookimpl
    def services(self) -> Iterable[Service]:
        """What keeps the list of partners, and their connections."""
        return self.relations.services()

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
        """What it has proven is forgotten; where subscriptions live, it is opened again."""
        self.judge.closed(flow)
        self.relations.closed(flow)

    # ------------------------------------------------------------ requests

    @hookimpl
    def validate_request(self, request: Request, flow: Flow) -> Refuse | None:
        """A blocked domain, rows 8 and 3: before everything, so that no route goes before it."""
        if not self.partners_table.blocks:
            return None
        blocked = self.partners_table.blocked
        if blocked(request.from_domain):
            if flow.id:
                self.relations.refused(request.from_domain)
            return blocked_sender(request.from_domain)
        to = cached_uri(request.uri).host
        if blocked(to):
            return blocked_target(to)
        if request.layout.route >= 0 and blocked(to := request.to_domain):
            # Within a dialog the Request-URI is often no more than an address.
            return blocked_target(to)
        return None

    @hookimpl
    def authenticate_request(self, request: Request, flow: Flow) -> Verdict | Later[Verdict] | None:
        """Whether the certificate of the connection proves the domain in From."""
        return self.judge.judge(request, flow)

    @hookimpl
    def forward_request(self, request: Request, target: Target) -> None:
        """What keeps connections alive is agreed on hop by hop; a NOTIFY tells how long."""
        self.relations.on_forward(request, target)

    @hookimpl
    def process_response(self, response: Response, branch: Branch) -> None:
        """A partner has answered, or is answered."""
        partner = branch.target.partner
        if branch.context.sender.partner is None and (partner is None or not partner.discovered):
            return  # no discovered partner is at either end
        self.relations.on_response(response, branch)

    # ------------------------------------------------------------ seen and steered

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status`` shows open federation, and the partners there is contact with now."""
        from sipx_open_federation.partners_state import sections

        return sections(self.relations, self._proxy)

    async def state(self) -> FederationState:
        """What ``sipx federation status`` shows of one that does not run."""
        from sipx_open_federation.federation_state import federation_state

        return await federation_state(self.relations, self._proxy, running=False)

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``federation.*``."""
        from sipx_open_federation.federation_control import FederationMethods
        from sipx_open_federation.partners_control import PartnerMethods

        own = FederationMethods(self.relations, self._proxy)
        return {**own.methods(), **PartnerMethods(self.relations, self._proxy).methods()}

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx federation`` and ``sipx partners``."""
        from sipx_open_federation.federation_commands import federation
        from sipx_open_federation.partners_commands import partners

        return [federation, partners]
