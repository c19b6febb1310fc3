"""The routes as the proxy asks for them: by domain outwards, by address inwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipx import (
    LAN_SIDE,
    DomainSet,
    DomainTable,
    EkuPolicy,
    NextHop,
    Outgoing,
    OutgoingRoute,
    Partner,
    SenderKind,
    Target,
    Targets,
    canonical_domain,
    decide_outgoing,
    parse_address,
)
from sipx_static_routes.config import SECURED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sipx_static_routes.config import RouteConfig


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One route: ``domain`` is its pattern; ``local`` when it is one of our own domains.

    ``partner`` is what proves its server over TLS, None for the protocols without.
    """

    domain: str
    route: RouteConfig
    local: bool
    targets: Targets
    domains: DomainSet
    partner: Partner | None = None


class RouteTable:
    """All routes that are switched on, and the addresses their servers have now."""

    def __init__(self, routes: Mapping[str, RouteConfig], own: frozenset[bytes]) -> None:
        rows = {
            domain: _row(domain, route, own) for domain, route in routes.items() if route.enabled
        }
        self._by_domain = DomainTable(rows)
        self.rows = tuple(rows.values())
        self._addresses: dict[str, tuple[str, ...]] = {}
        self._by_source: dict[tuple[str, str], tuple[Row, ...]] = {}
        self._index()

    def towards(self, domain: bytes) -> Row | None:
        """The most specific route for a domain."""
        return self._by_domain.match(domain)

    def from_source(self, protocol: str, address: str) -> tuple[Row, ...]:
        """The routes whose access server has this address now and speaks this protocol."""
        return self._by_source.get((protocol, address), ())

    def proven(self, protocol: str, partners: Iterable[str]) -> tuple[Row, ...]:
        """The routes of a protocol whose partners a certificate has proven to be."""
        return tuple(
            row for row in self.rows if row.domain in partners and row.route.protocol == protocol
        )

    def names(self) -> set[str]:
        """The host names among the servers."""
        return {s for row in self.rows for s in row.route.server if parse_address(s) is None}

    def learn(self, name: str, addresses: Iterable[str]) -> bool:
        """What a name resolves to now; True when that is news."""
        found = tuple(sorted(addresses))
        if self._addresses.get(name) == found:
            return False
        self._addresses[name] = found
        self._index()
        return True

    def learn_all(self, other: RouteTable) -> None:
        """What another table knows of the names that are in this one."""
        known = other._addresses.items()
        self._addresses = {name: found for name, found in known if name in self.names()}
        self._index()

    def addresses_of(self, server: str) -> tuple[str, ...]:
        """The addresses of a server as far as they are known."""
        numeric = parse_address(server)
        return self._addresses.get(server, ()) if numeric is None else (str(numeric),)

    def asked(self, name: str) -> bool:
        """Whether it was learned what a name resolves to, be it nothing."""
        return name in self._addresses

    def _index(self) -> None:
        found: dict[tuple[str, str], tuple[Row, ...]] = {}
        for row in self.rows:
            for server in row.route.server:
                for address in self.addresses_of(server):
                    key = (row.route.protocol, address)
                    if row not in found.get(key, ()):
                        found[key] = (*found.get(key, ()), row)
        self._by_source = found


def _row(domain: str, route: RouteConfig, own: frozenset[bytes]) -> Row:
    own_one = domain.encode() in own
    bind = route.bind or (LAN_SIDE if own_one else None)
    hops = tuple(NextHop(server, route.peer_port, route.protocol, bind) for server in route.server)
    partner = _partner(domain, route) if route.protocol in SECURED else None
    trusted = route.trusted or route.protocol == "mtls"
    decision = decide_outgoing(
        Outgoing(sender=SenderKind.UC_SERVER, route=OutgoingRoute(domain, route.protocol))
    )
    # A route for one of our own domains leads to whoever serves its users: row 1.
    row = 1 if own_one else decision.row
    target = Target(hops=hops, trusted=trusted, name=domain, partner=partner, row=row)
    return Row(
        domain,
        route,
        own_one,
        Targets(((target,),)),
        DomainSet([domain]),
        partner,
    )


def _partner(domain: str, route: RouteConfig) -> Partner:
    """docs/security.md, profile "direct": its certificate names an access server or the domain.

    A pattern is no name; its servers are all that a certificate can name then.
    """
    names = {canonical_domain(s) for s in route.server if parse_address(s) is None}
    if "*" not in domain:
        names.add(domain.encode())
    return Partner(
        name=domain,
        domain=b"" if "*" in domain else domain.encode(),
        names=frozenset(names),
        ca=route.ca,
        pins=frozenset(route.pins),
        eku=None if route.eku_policy is None else EkuPolicy(route.eku_policy),
        allow_wildcard=route.allow_wildcard,
        accept_cn=route.accept_cn,
        verify=route.verify == "on",
        mutual=route.protocol == "mtls",
        sni=route.sni,
        certificate=route.certificate,
    )
