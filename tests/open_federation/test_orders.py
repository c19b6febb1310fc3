"""In whatever order plugins are listed, the same requests meet the same rows."""

from __future__ import annotations

from functools import partial
from itertools import permutations

import pytest

from .lab import ADA, AWAY, BOB, EVIL, HOME, OTHER, why

JUDGES = ("static-routes", "open-federation", "lan")
DENIED, ROUTED, SHARED, OFF = "denied.example", "routed.example", "shared.example", "off.example"

# From, what the certificate names, and what the request is answered with by which row.
INWARD = (
    (AWAY, f"sip.{AWAY}", 0, 5),
    (EVIL, EVIL, 0, 5),
    (AWAY, f"sip.{EVIL}", 403, 6),
    (OTHER, f"sip.{OTHER}", 403, 7),
    (DENIED, DENIED, 403, 8),
    (HOME, f"sip.{AWAY}", 403, 25),
    # A static route names it, and open federation would take it, too.
    (ROUTED, f"sip.{ROUTED}", 0, 3),
    (AWAY, f"sip.{ROUTED}", 403, 3),
    (SHARED, SHARED, 0, 3),
    # Both a route's and a good certificate for another domain: the route counts.
    (EVIL, SHARED, 403, 3),
    (OFF, OFF, 0, 5),
    # An account of a UC server.
    (HOME, "uc.berlin.example", 0, 4),
    ("uc.berlin.example", "uc.berlin.example", 403, 4),
)
OUTWARD = (
    (f"sip:ada@{HOME}", 0, 1),
    (f"sip:x@{DENIED}", 403, 3),
    (f"sip:x@{ROUTED}", 0, 4),
    (BOB, 0, 8),
    (f"sip:x@{OFF}", 404, 8),
    (f"sip:x@{OTHER}", 404, 8),
    ("sip:x@192.0.2.1", 403, 11),
)


@pytest.mark.parametrize("order", list(permutations(JUDGES)), ids="-".join)
async def test_every_order_gives_the_same_decisions(lab, order):
    lab.publish(AWAY, f"sip.{AWAY}", 5061, "127.0.0.9")
    lab.host(f"sip.{ROUTED}", "127.0.0.20")
    route = partial(dict, protocol="mtls")
    accounts = {"berlin": {"certificate": "uc.berlin.example"}}
    await lab.run(
        order=("udp", "tcp", "tls", *order),
        deny=[DENIED],
        routes={
            ROUTED: route(server=f"sip.{ROUTED}"),
            SHARED: route(server=f"sip.{SHARED}"),
            OFF: route(server=OFF, enabled=False),
            DENIED: route(server=DENIED),
        },
        extra={"lan": {"bind": "127.0.0.1", "port": 0, "protocol": "tcp", "server": accounts}},
    )
    for domain, names, code, row in INWARD:
        told = await lab.explain_from(f"sip:x@{domain}", names)
        [arrival] = told.arrivals
        assert (arrival.status, arrival.row) == (code, row), (domain, names, arrival.why)
    for uri, code, row in OUTWARD:
        told = await lab.explain(uri)
        assert (told.status, told.row) == (code, row), (uri, told.why)


@pytest.mark.parametrize("order", [JUDGES, JUDGES[::-1]], ids="-".join)
async def test_what_runs_decides_as_it_is_explained(lab, order):
    """A connection that a static route names is the route's; the next one is a stranger's."""
    bob = await lab.published(AWAY)
    lab.host(f"sip.{SHARED}", "127.0.0.20")
    await lab.run(
        order=("udp", "tcp", "tls", *order),
        routes={SHARED: {"server": f"sip.{SHARED}", "protocol": "mtls"}},
        extra={
            "lan": {"bind": "127.0.0.1", "port": 0, "protocol": "tcp", "user": "u", "password": "x"}
        },
    )
    lab.reach(bob)
    named = await lab.edge(SHARED, SHARED)
    asserted = ((b"P-Asserted-Identity", f"<sip:bob@{SHARED}>".encode()),)
    assert (await named.request("MESSAGE", ADA, headers=asserted)).status == 200
    assert (await lab.ada.receive("MESSAGE")).get_all(b"P-Asserted-Identity")
    response = await named.message(ADA, "hello", sender=f"sip:x@{EVIL}")
    assert response.status == 403
    assert SHARED in why(response)
    assert (await bob.request("MESSAGE", ADA, headers=asserted)).status == 200
    assert not (await lab.ada.receive("MESSAGE")).get_all(b"P-Asserted-Identity")
    assert (await lab.ada.message(BOB, "hello")).status == 200
