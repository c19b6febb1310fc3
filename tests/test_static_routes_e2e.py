"""Static routes through a running proxy: who is let in, who is reached, and what may be said."""

from __future__ import annotations

from itertools import product

import pytest
import trio

from sipx.control import Caller
from sipx.lookup import DnsCache
from sipx.plugin import Accept, Refuse, Sender, hookimpl
from sipx.records import Answer
from sipx.trust import SenderKind

from .wire import AWAY, HOME, answer, party, start, status, value, values

ALICE, BOB = "sip:alice@away.example", "sip:bob@home.example"
TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


def route(server, transport="udp", **more):
    """A route as it stands in the configuration."""
    return {"server": server, "protocol": transport, "trusted": True, **more}


async def routed(sipx_proxy, transport="udp", routes=None, home=None, **tables):
    """A proxy with routes to home and away, unless ``routes`` says others; and both parties."""
    if routes is None:
        routes = {"away.example": route(AWAY, transport)}
    routes = {"home.example": home or route(HOME, transport), **routes}
    proxy = await sipx_proxy(
        **{"static-routes": {"route": routes, **tables.pop("table", {})}}, **tables
    )
    return proxy, party(proxy, HOME, transport), party(proxy, AWAY, transport)


async def delivered(sender, receiver, request):
    """The request arrives, and its response does."""
    await sender.send(request)
    arrived = await receiver.receive()
    await receiver.send(answer(arrived))
    assert status(await sender.receive()) == 200
    return arrived


async def refused(sender, request, code=403):
    """The request is answered by the proxy; returns why."""
    reply = await sender.ask(request)
    assert status(reply) == code
    return " ".join(values(reply, "Warning"))


# ---------------------------------------------------------------- trust by address


@TRANSPORTS
async def test_sec01_a_trusted_partner_reaches_our_domain_and_is_reached(
    sipx_proxy, autojump_clock, transport
):
    _, home, away = await routed(sipx_proxy, transport)
    await delivered(away, home, away.request())
    await delivered(home, away, home.request(uri=ALICE, sender=BOB))


@TRANSPORTS
async def test_sec01_a_partner_that_is_not_trusted_is_answered_403(
    sipx_proxy, autojump_clock, transport
):
    routes = {"away.example": route(AWAY, transport, trusted=False)}
    _, home, away = await routed(sipx_proxy, transport, routes)
    assert "not trustworthy" in await refused(away, away.request())
    await delivered(home, away, home.request(uri=ALICE, sender=BOB))
    await home.silence()


@TRANSPORTS
async def test_sec01_an_unknown_source_is_answered_403(sipx_proxy, autojump_clock, transport):
    proxy, home, _ = await routed(sipx_proxy, transport)
    stranger = party(proxy, "127.0.1.66", transport)
    for method in ("MESSAGE", "INVITE", "SUBSCRIBE", "OPTIONS", "BYE", "NOTIFY", "REGISTER", "FOO"):
        await refused(stranger, stranger.request(method))
        if method == "INVITE":
            last = stranger.request("ACK")
            await stranger.send(last)
    await home.silence()


@TRANSPORTS
async def test_sec01_the_protocol_of_the_route_counts(sipx_proxy, autojump_clock, transport):
    other = "tcp" if transport == "udp" else "udp"
    proxy, home, _ = await routed(sipx_proxy, transport)
    away = party(proxy, AWAY, other)
    await refused(away, away.request())
    await home.silence()


@TRANSPORTS
@pytest.mark.parametrize("off", ["row", "switch"])
async def test_sec01_what_is_switched_off_is_not_there(sipx_proxy, autojump_clock, transport, off):
    routes = {"away.example": route(AWAY, transport, enabled=off != "row")}
    proxy, home, away = await routed(
        sipx_proxy, transport, routes, table={"enabled": off != "switch"}
    )
    await refused(away, away.request())
    if off == "row":
        why = await refused(home, home.request(uri=ALICE, sender=BOB), 403)
        assert "federation off" in why
    else:
        assert "static-routes" not in proxy.kernel.hooks.plugins()
        await refused(home, home.request(uri=ALICE, sender=BOB))
    await away.silence()


@TRANSPORTS
async def test_sec02_from_has_to_be_a_domain_of_the_route(sipx_proxy, autojump_clock, transport):
    _, home, away = await routed(sipx_proxy, transport)
    for sender in (
        "sip:alice@elsewhere.example",
        "sip:alice@sub.away.example",
        "sip:alice@away.example.evil.example",
        "sip:away.example@evil.example",
        "tel:+49301234",
        f"sip:alice@{AWAY}",
    ):
        await refused(away, away.request(sender=sender))
    await home.silence()
    await delivered(away, home, away.request(sender="sip:alice@AWAY.Example."))


@TRANSPORTS
async def test_sec02_our_own_domain_never_comes_from_outside(sipx_proxy, autojump_clock, transport):
    _, home, away = await routed(
        sipx_proxy,
        transport,
        {
            "away.example": route(AWAY, transport),
            "*": route("127.0.1.3", transport),
        },
    )
    await refused(away, away.request(sender=BOB))
    await refused(away, away.request(sender="sip:bob@HOME.example"))
    other = party(away.proxy, "127.0.1.3", transport)
    await refused(other, other.request(sender=BOB))
    await home.silence()


@TRANSPORTS
async def test_sec01_relaying_between_partners_is_denied(sipx_proxy, autojump_clock, transport):
    routes = {
        "away.example": route(AWAY, transport),
        "third.example": route("127.0.1.3", transport),
    }
    proxy, home, away = await routed(sipx_proxy, transport, routes)
    third = party(proxy, "127.0.1.3", transport)
    for method in ("MESSAGE", "INVITE", "OPTIONS"):
        why = await refused(away, away.request(method, "sip:carol@third.example"))
        assert "relaying denied" in why
        if method == "INVITE":
            await away.silence(0.3)
    for uri in ("sip:x@192.0.2.1", "sip:x@nowhere.example", ALICE):
        await refused(away, away.request(uri=uri))
    await third.silence()
    await delivered(home, third, home.request(uri="sip:carol@third.example", sender=BOB))


async def test_sec01_our_servers_cannot_reach_an_address_without_a_route(
    sipx_proxy, autojump_clock
):
    proxy, home, _ = await routed(sipx_proxy, routes={"*": route(AWAY, trusted=False)})
    other = party(proxy, "192.0.2.1")
    for uri in ("sip:x@192.0.2.1", "sip:192.0.2.1:5060", "sip:x@[2001:db8::1]"):
        await refused(home, home.request(uri=uri, sender=BOB))
    await other.silence()


# ---------------------------------------------------------------- several rows, patterns


async def test_two_rows_may_share_one_server(sipx_proxy, autojump_clock):
    routes = {"away.example": route(AWAY), "second.example": route(AWAY)}
    _, home, away = await routed(sipx_proxy, routes=routes)
    for domain in ("away", "second"):
        await delivered(away, home, away.request(sender=f"sip:x@{domain}.example"))
        await delivered(home, away, home.request(uri=f"sip:x@{domain}.example", sender=BOB))
    await refused(away, away.request(sender="sip:x@third.example"))


async def test_of_two_rows_on_one_server_the_one_that_covers_from_decides(
    sipx_proxy, autojump_clock
):
    routes = {"away.example": route(AWAY), "second.example": route(AWAY, trusted=False)}
    _, home, away = await routed(sipx_proxy, routes=routes)
    await delivered(away, home, away.request())
    await refused(away, away.request(sender="sip:x@second.example"))


async def test_the_most_specific_pattern_wins(sipx_proxy, autojump_clock):
    routes = {
        "*": route("127.0.1.3"),
        "*.lab.example": route("127.0.1.4"),
        "deep.lab.example": route("127.0.1.5"),
    }
    proxy, home, _ = await routed(sipx_proxy, routes=routes)
    for domain, server in (
        ("nowhere.example", "127.0.1.3"),
        ("lab.example", "127.0.1.3"),
        ("a.lab.example", "127.0.1.4"),
        ("a.b.LAB.example", "127.0.1.4"),
        ("deep.lab.example", "127.0.1.5"),
        ("x.deep.lab.example", "127.0.1.4"),
    ):
        at = party(proxy, server)
        arrived = await delivered(home, at, home.request(uri=f"sip:x@{domain}", sender=BOB))
        assert start(arrived) == f"MESSAGE sip:x@{domain} SIP/2.0"
        proxy.network.unbind(at.place)


async def test_a_pattern_says_which_from_domains_may_come(sipx_proxy, autojump_clock):
    _, home, away = await routed(sipx_proxy, routes={"*.lab.example": route(AWAY)})
    await delivered(away, home, away.request(sender="sip:x@a.lab.example"))
    for domain in ("lab.example", "xlab.example", "away.example"):
        await refused(away, away.request(sender=f"sip:x@{domain}"))


# ---------------------------------------------------------------- servers


class Names:
    """What the DNS says: names to (addresses, TTL); all else does not exist."""

    def __init__(self, monkeypatch, **names):
        self.names = names
        self.asked = []
        monkeypatch.setattr(DnsCache, "_query", self._bound())

    def _bound(self):
        names = self

        async def query(cache, name, kind):
            await trio.lowlevel.checkpoint()
            names.asked.append((kind, name))
            addresses, ttl = names.names.get(name.partition(".")[0], ((), 60))
            now = cache._clock()
            if isinstance(addresses, str):
                return Answer(name, kind, f"{kind} {name}", now + 1, addresses)
            found = addresses if kind == "A" else ()
            failure = None if found else "nodata" if addresses else "nxdomain"
            return Answer(name, kind, f"{kind} {name}", now + ttl, failure, found)

        return query


async def test_d02_a_server_whose_name_changes_its_address_when_its_ttl_ends(
    sipx_proxy, autojump_clock, monkeypatch
):
    names = Names(monkeypatch, uc=((AWAY,), 60))
    proxy, home, old = await routed(sipx_proxy, routes={"away.example": route("uc.away.example")})
    new = party(proxy, "127.0.1.3")
    to_away = {"uri": ALICE, "sender": BOB}
    await trio.sleep(1)
    await delivered(old, home, old.request())
    await delivered(home, old, home.request(**to_away))
    names.names["uc"] = (("127.0.1.3",), 60)
    await trio.sleep(50)
    await delivered(home, old, home.request(**to_away))
    await refused(new, new.request())
    await trio.sleep(20)
    await delivered(home, new, home.request(**to_away))
    await delivered(new, home, new.request())
    await refused(old, old.request())
    assert names.asked.count(("A", "uc.away.example")) == 2
    assert [type(event).__name__ for _, event in proxy.events].count("RouteChanged") == 2


async def test_a_name_server_that_fails_changes_nothing_for_who_is_known(
    sipx_proxy, autojump_clock, monkeypatch
):
    names = Names(monkeypatch, uc=((AWAY,), 30))
    _, home, away = await routed(sipx_proxy, routes={"away.example": route("uc.away.example")})
    await trio.sleep(1)
    await delivered(away, home, away.request())
    names.names["uc"] = ("servfail", 0)
    await trio.sleep(60)
    await delivered(away, home, away.request())
    await refused(home, home.request(uri=ALICE, sender=BOB), 504)
    names.names["uc"] = ("nxdomain", 0)
    await trio.sleep(10)
    await refused(away, away.request())


@TRANSPORTS
async def test_bind_chooses_the_address_to_send_from(sipx_proxy, autojump_clock, transport):
    interfaces = {
        name: {"bind": address, "port": 5060, "protocol": transport}
        for name, address in (("one", "127.0.0.1"), ("two", "127.0.0.9"))
    }
    routes = {"away.example": route(AWAY, transport, bind="127.0.0.9")}
    _, home, away = await routed(sipx_proxy, transport, routes, interface=interfaces)
    arrived = await delivered(home, away, home.request(uri=ALICE, sender=BOB))
    assert " 127.0.0.9:5060" in values(arrived, "Via")[0]
    arrived = await delivered(away, home, away.request())
    assert " 127.0.0.1:5060" in values(arrived, "Via")[0]


async def test_d03_the_next_server_of_a_list_is_tried_when_one_refuses(sipx_proxy, autojump_clock):
    routes = {"away.example": route(["127.0.1.7", "127.0.1.8", AWAY], "tcp")}
    proxy, home, away = await routed(sipx_proxy, "tcp", routes)
    began = trio.current_time()
    await delivered(home, away, home.request(uri=ALICE, sender=BOB))
    assert trio.current_time() - began < 1
    for server in ("127.0.1.7", "127.0.1.8"):
        peer = party(proxy, server, "tcp")
        await delivered(peer, home, peer.request())


async def test_d03_a_server_that_answers_503_is_left_for_the_next(sipx_proxy, autojump_clock):
    routes = {"away.example": route(["127.0.1.7", AWAY])}
    proxy, home, away = await routed(sipx_proxy, routes=routes)
    busy = party(proxy, "127.0.1.7")
    await home.send(home.request(uri=ALICE, sender=BOB))
    first = await busy.receive()
    await busy.send(answer(first, 503))
    second = await away.receive()
    assert values(first, "Via")[0] != values(second, "Via")[0]
    await away.send(answer(second))
    assert status(await home.receive()) == 200


async def test_d03_when_no_server_is_left_the_answer_is_500(sipx_proxy, autojump_clock):
    routes = {"away.example": route(["127.0.1.7", "127.0.1.8"], "tcp")}
    _, home, _ = await routed(sipx_proxy, "tcp", routes)
    why = await refused(home, home.request(uri=ALICE, sender=BOB), 500)
    assert "Connection refused" in why


@pytest.mark.parametrize(
    ("transport", "insecure", "code"),
    [("udp", None, 403), ("udp", "yes, a leased line", 200), ("tcp", None, 200)],
)
async def test_sec01_a_name_that_leads_to_a_public_address_is_trusted_as_its_row_says(
    sipx_proxy, autojump_clock, monkeypatch, transport, insecure, code
):
    Names(monkeypatch, uc=(("8.8.8.8",), 60))
    away = route("uc.away.example", transport)
    if insecure:
        away["insecure_trust"] = insecure
    proxy, home, _ = await routed(sipx_proxy, transport, {"away.example": away})
    peer = party(proxy, "8.8.8.8", transport)
    await trio.sleep(1)
    await peer.send(peer.request())
    if code == 200:
        await home.send(answer(await home.receive()))
    assert status(await peer.receive()) == code


# ---------------------------------------------------------------- I-01


class Authoriser:
    """Says of everybody who has to be asked: it is away.example, and not trusted."""

    @hookimpl
    def authorise_request(self, request, flow):
        domains = frozenset((b"away.example",))
        return Accept(Sender(SenderKind.PARTNER, "away.example", domains, trusted=False))


IDENTITY = [
    f"P-Asserted-Identity: Alice <{ALICE}>",
    "P-Asserted-Identity: tel:+49301234567",
    f"p-preferred-identity: <{ALICE}>",
    f"Remote-Party-ID: <{ALICE}>",
    "ms-edge-proxy-message-trust: ms-source-type=EdgeProxyGenerated",
    "MS-Asserted-Verification-Level: ms-source-verified-user=verified",
    "P-Charging-Vector: icid-value=1",
    "X-sipx-anything: 1",
]


def identity(data):
    """The lines that concern identities."""
    return [line for line in data.decode().split("\r\n") if line in IDENTITY]


@pytest.mark.parametrize(
    ("source", "target", "privacy"), list(product([True, False], [True, False], ["none", "id"]))
)
async def test_i01_asserted_identities_stay_inside_the_trust_domain(
    sipx_proxy, autojump_clock, source, target, privacy
):
    proxy, home, away = await routed(
        sipx_proxy,
        routes={"away.example": route(AWAY, trusted=source)},
        home=route(HOME, trusted=target),
    )
    proxy.kernel.hooks.register("authoriser", Authoriser())
    extra = [*IDENTITY, f"Privacy: {privacy}", "P-Access-Network-Info: x"]
    arrived = await delivered(away, home, away.request(extra=extra))
    assert identity(arrived) == (IDENTITY if source and target else [])
    assert value(arrived, "Privacy") == privacy
    assert value(arrived, "P-Access-Network-Info") == "x"


@pytest.mark.parametrize("trusted", [True, False])
async def test_i01_identities_in_responses_stay_inside_as_well(sipx_proxy, autojump_clock, trusted):
    _, home, away = await routed(sipx_proxy, routes={"away.example": route(AWAY, trusted=trusted)})
    await home.send(home.request(uri=ALICE, sender=BOB))
    await away.send(answer(await away.receive(), 200, extra=IDENTITY))
    assert identity(await home.receive()) == (IDENTITY if trusted else [])


@pytest.mark.parametrize(
    ("asserted", "kept"),
    [
        (f"<{ALICE}>", True),
        (f"<{ALICE}>, <tel:+491>", True),
        ('"Alice, A." <sips:alice@Away.example>', True),
        (f"<{BOB}>", False),
        (f"<{ALICE}>, <{BOB}>", False),
        ("<sip:ceo@bank.example>", False),
        ("<mailto:alice@away.example>", False),
        ('"', False),
        ("", False),
    ],
)
async def test_sec02_an_asserted_identity_has_to_be_covered_like_from(
    sipx_proxy, autojump_clock, asserted, kept
):
    _, home, away = await routed(sipx_proxy)
    line = f"P-Asserted-Identity: {asserted}"
    arrived = await delivered(away, home, away.request(extra=[line, "Subject: hello"]))
    assert (line in arrived.decode().split("\r\n")) == kept
    assert value(arrived, "Subject") == "hello"


@pytest.mark.parametrize("trusted", [True, False])
async def test_i01_a_dialog_carries_identities_as_its_first_request_did(
    sipx_proxy, autojump_clock, trusted
):
    proxy, home, away = await routed(
        sipx_proxy, routes={"away.example": route(AWAY, trusted=trusted)}
    )
    proxy.kernel.hooks.register("authoriser", Authoriser())
    await away.send(away.request("SUBSCRIBE"))
    request = await home.receive()
    routes = [f"Route: {item}" for item in values(request, "Record-Route")]
    notify = home.request(
        "NOTIFY",
        f"sip:alice@{AWAY}",
        sender=BOB,
        to=f"<{ALICE}>;tag=1",
        call_id=value(request, "Call-ID"),
        extra=[*routes, f"P-Asserted-Identity: <{BOB}>"],
    )
    await home.send(notify)
    assert bool(values(await away.receive(), "P-Asserted-Identity")) == trusted


async def test_where_somebody_logs_on_a_routes_address_may_have_others_too(scene, autojump_clock):
    """On the LAN side a From that the route does not cover says: this is not the route's server."""
    lan = {"bind": "127.0.0.1", "port": 5060, "protocol": "udp", "role": "lan"}
    route = {"server": "127.0.2.1", "protocol": "udp", "trusted": True}
    made = await scene(
        interface={"udp": lan}, **{"static-routes": {"route": {"away.example": route}}}
    )
    verdict_of = made.proxy.plugin("static-routes").judge
    peer = made.raw("away.example", routed=False)
    peer.ask("MESSAGE", "sip:anna@home.example")
    await peer.next(404)
    [flow] = made.kernel.flows
    assert verdict_of(flow, b"home.example") is None
    assert isinstance(verdict_of(flow, b"away.example"), Accept)
    flow.interface.role = "wan"
    assert isinstance(verdict_of(flow, b"home.example"), Refuse)


# ---------------------------------------------------------------- what has passed


async def test_requests_are_counted_both_ways_and_those_that_are_only_explained_are_not(
    sipx_proxy, autojump_clock
):
    proxy, home, away = await routed(sipx_proxy)
    asked = proxy.kernel.handle("lab").control

    async def counts():
        told = await asked.call("routes.counts", None, Caller("lab"))
        return {one.domain: one for one in told.routes}

    before = await counts()
    assert (before["away.example"].requests_in, before["away.example"].last_in) == (0, None)
    await delivered(away, home, away.request())
    await refused(away, away.request(sender="sip:mallory@elsewhere.example"))
    await delivered(home, away, home.request(uri=ALICE, sender=BOB))
    await asked.call(
        "explain", {"uri": BOB, "address": AWAY, "from_uri": ALICE}, Caller("lab", 0, 1)
    )
    after = await counts()
    came = after["away.example"]
    assert (came.requests_in, came.refused, came.requests_out) == (1, 1, 1)
    assert (after["home.example"].requests_in, after["home.example"].requests_out) == (1, 1)
    assert came.last_in == pytest.approx(proxy.kernel.wall(), abs=60)
    assert came.last_out == pytest.approx(proxy.kernel.wall(), abs=60)
    assert came.identity == ""
