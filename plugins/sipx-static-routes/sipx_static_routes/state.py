"""What is shown of a route that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from sipx_static_routes.config import RouteConfig
    from sipx_static_routes.table import RouteTable


class RouteState(BaseModel):
    """One route, as it is now."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: str
    enabled: bool
    trusted: bool
    protocol: str
    server: tuple[str, ...]
    port: int
    addresses: tuple[str, ...]
    """What the names among the servers lead to now, and the addresses among them."""
    trouble: str
    """What went wrong last and has not been right since, "" if nothing."""


def route_state(domain: str, route: RouteConfig, table: RouteTable, trouble: str) -> RouteState:
    """The state of one route of the configuration."""
    found: list[str] = []
    lost: list[str] = []
    for server in route.server if route.enabled else ():
        addresses = table.addresses_of(server)
        found += addresses
        if not addresses and table.asked(server):
            lost.append(server)
    if not trouble and lost:
        trouble = f"{', '.join(lost)}: the name leads to no address"
    return RouteState(
        domain=domain,
        enabled=route.enabled,
        trusted=route.trusted or route.protocol == "mtls",
        protocol=route.protocol,
        server=route.server,
        port=route.peer_port,
        addresses=tuple(dict.fromkeys(found)),
        trouble=trouble,
    )
