"""The table as the proxy asks it: by domain outwards, by address inwards."""

from __future__ import annotations

from sipx_static_routes.config import RouteConfig
from sipx_static_routes.table import RouteTable

from sipx import LAN_SIDE


def table(**routes):
    """A table of routes to these servers; home.example is our own."""
    made = {
        domain.replace("_", "."): RouteConfig.model_validate(
            server if isinstance(server, dict) else {"server": server}
        )
        for domain, server in routes.items()
    }
    return RouteTable(made, frozenset((b"home.example",)))


def domains(rows):
    """Their names."""
    return [row.domain for row in rows]


def test_a_route_leads_to_its_servers_in_their_order():
    row = table(a_example={"server": ["10.0.0.1", "uc.a.example"], "port": 5070}).towards(
        b"a.example"
    )
    (group,) = row.targets.groups
    (target,) = group
    assert [(hop.host, hop.port, hop.transport) for hop in target.hops] == [
        ("10.0.0.1", 5070, "udp"),
        ("uc.a.example", 5070, "udp"),
    ]
    assert (target.trusted, row.local) == (False, False)


def test_a_route_to_one_of_our_domains_is_local():
    assert table(home_example="10.0.0.1").towards(b"home.example").local


def test_a_route_to_one_of_our_domains_goes_out_on_the_lan_side():
    """The public address is not told there; another bind goes before that."""

    def bind(domain, **route):
        row = table(**{domain: {"server": "10.0.0.1", **route}}).towards(
            domain.replace("_", ".").encode()
        )
        return row.targets.groups[0][0].hops[0].bind

    assert bind("home_example") == LAN_SIDE
    assert bind("a_example") is None
    assert str(bind("home_example", bind="10.0.0.9")) == "10.0.0.9"


def test_mtls_is_trusted_whatever_the_flag_says():
    made = table(a_example={"server": "10.0.0.1", "protocol": "mtls", "trusted": False})
    assert made.towards(b"a.example").targets.groups[0][0].trusted


def test_a_route_that_is_switched_off_is_not_in_the_table():
    made = table(a_example={"server": "10.0.0.1", "enabled": False})
    assert made.towards(b"a.example") is None
    assert made.from_source("udp", "10.0.0.1") == ()
    assert made.rows == ()


def test_a_source_is_known_by_protocol_and_address():
    made = table(a_example="10.0.0.1", b_example="10.0.0.1", c_example="2001:DB8::1")
    assert domains(made.from_source("udp", "10.0.0.1")) == ["a.example", "b.example"]
    assert domains(made.from_source("udp", "2001:db8::1")) == ["c.example"]
    assert made.from_source("tcp", "10.0.0.1") == ()
    assert made.from_source("udp", "10.0.0.2") == ()


def test_a_server_with_a_name_is_known_by_what_the_name_leads_to_now():
    made = table(a_example=["uc.a.example", "10.0.0.9"])
    assert made.names() == {"uc.a.example"}
    assert made.from_source("udp", "10.0.0.1") == ()
    assert made.learn("uc.a.example", ["10.0.0.2", "10.0.0.1"])
    assert not made.learn("uc.a.example", ["10.0.0.1", "10.0.0.2"])
    assert domains(made.from_source("udp", "10.0.0.1")) == ["a.example"]
    assert made.learn("uc.a.example", ["10.0.0.3"])
    assert made.from_source("udp", "10.0.0.1") == ()
    assert domains(made.from_source("udp", "10.0.0.3")) == ["a.example"]
    assert domains(made.from_source("udp", "10.0.0.9")) == ["a.example"]
