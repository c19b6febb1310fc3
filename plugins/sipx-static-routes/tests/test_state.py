"""What the status shows of a route."""

from __future__ import annotations

from sipx_static_routes.config import RouteConfig
from sipx_static_routes.state import route_state
from sipx_static_routes.table import RouteTable


def shown(server, *learned, trouble="", **more):
    """The state of one route, after these names were resolved."""
    route = RouteConfig.model_validate({"server": server, **more})
    table = RouteTable({"away.example": route}, frozenset())
    for name, addresses in learned:
        table.learn(name, addresses)
    return route_state("away.example", route, table, trouble)


def test_addresses_are_shown_as_they_are_known():
    state = shown(["10.0.0.1", "uc.away.example"], ("uc.away.example", ["10.0.0.3", "10.0.0.2"]))
    assert state.addresses == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert (state.enabled, state.protocol, state.port, state.trouble) == (True, "udp", 5060, "")


def test_a_name_that_leads_nowhere_is_a_trouble_once_it_was_asked():
    assert shown("uc.away.example").trouble == ""
    lost = shown("uc.away.example", ("uc.away.example", []))
    assert lost.trouble == "uc.away.example: the name leads to no address"


def test_what_the_transport_says_comes_first():
    state = shown("uc.away.example", ("uc.away.example", []), trouble="its certificate expired")
    assert state.trouble == "its certificate expired"


def test_mtls_is_trusted_whatever_the_flag_says():
    state = shown("10.0.0.1", protocol="mtls")
    assert (state.trusted, state.port) == (True, 5061)


def test_a_route_that_is_switched_off_is_shown_and_asks_nobody():
    state = shown("10.0.0.1", enabled=False)
    assert (state.enabled, state.addresses) == (False, ())


async def test_the_status_shows_all_routes(sipx_proxy, autojump_clock):
    routes = {
        "home.example": {"server": "127.0.0.9", "trusted": True},
        "off.example": {"server": "127.0.0.8", "enabled": False},
    }
    proxy = await sipx_proxy(**{"static-routes": {"route": routes}})
    proxy.kernel.troubles.note("partner", "home.example", "refused")
    listed = proxy.kernel.handle("lab").status().sections["routes"]
    assert [(r["domain"], r["enabled"], r["trouble"]) for r in listed] == [
        ("home.example", True, "refused"),
        ("off.example", False, ""),
    ]
