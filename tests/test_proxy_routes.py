"""RFC 3261 §16.4 and §16.6 item 4, RFC 5658, RFC 6665: how dialogs stay on the path."""

from __future__ import annotations

import base64
import re

import pytest

from .wire import PROXY, answer, body, party, start, status, two, value, values

TRANSPORTS = [(home, away) for home in ("udp", "tcp") for away in ("udp", "tcp")]
ALICE = ("sip:alice@away.example", "1")
BOB = ("sip:bob@home.example", "b")
COOKIE = re.compile(r"<sip:(sipx-[-_A-Za-z0-9]+)@127\.0\.0\.1:5060(;transport=tcp)?;lr>\Z")


def contact(at, user):
    """Where a party wants the requests of its dialogs."""
    host, port = at.place
    transport = ";transport=tcp" if at.kind == "TCP" else ""
    return f"sip:{user}@{host}:{port}{transport}"


class Dialog:
    """A dialog that away has formed with home through the proxy."""

    def __init__(self, home, away, request, response):
        self.home, self.away = home, away
        self.request, self.response = request, response
        self.call_id = value(request, "Call-ID")
        self.cookie = values(request, "Record-Route")[0].removeprefix("<sip:").partition("@")[0]

    def from_away(self, method, **how):
        """A request of the caller: the route set is the Record-Route reversed (§12.1.2)."""
        routes = values(self.response, "Record-Route")[::-1]
        how = {"uri": contact(self.home, "bob"), "cseq": 2, "routes": routes, **how}
        return self._build(self.away, method, ALICE, BOB, how)

    def from_home(self, method, **how):
        """A request of the callee: the route set is the Record-Route as it came (§12.1.1)."""
        routes = values(self.request, "Record-Route")
        how = {"uri": contact(self.away, "alice"), "cseq": 1, "routes": routes, **how}
        return self._build(self.home, method, BOB, ALICE, how)

    def _build(self, at, method, local, remote, how):
        routes = how.pop("routes")
        extra = [f"Route: {route}" for route in routes] + list(how.pop("extra", ()))
        given = {"sender": local[0], "tag": local[1], "call_id": self.call_id, **how}
        return at.request(method, to=f"<{remote[0]}>;tag={remote[1]}", extra=extra, **given)


async def dialog(home, away, method="INVITE"):
    """Away asks, home accepts."""
    await away.send(away.request(method, extra=[f"Contact: <{contact(away, 'alice')}>"]))
    if method == "INVITE":
        assert status(await away.receive()) == 100
    request = await home.receive()
    await home.send(answer(request, 200, extra=[f"Contact: <{contact(home, 'bob')}>"]))
    return Dialog(home, away, request, await away.receive())


# ---------------------------------------------------------------- P-10


@pytest.mark.parametrize(("near", "far"), TRANSPORTS)
async def test_p10_both_sides_come_through_whatever_they_speak(
    sipx_proxy, autojump_clock, near, far
):
    _, home, away = await two(sipx_proxy, home=far, away=near)
    call = await dialog(home, away)
    routes = values(call.request, "Record-Route")
    assert len(routes) == (1 if near == far else 2)
    assert [COOKIE.match(route)[2] for route in routes] == [
        ";transport=tcp" if transport == "tcp" else None
        for transport in ([far, near] if near != far else [near])
    ]
    await away.send(call.from_away("ACK", cseq=1))
    acknowledged = await home.receive()
    assert start(acknowledged) == f"ACK {contact(home, 'bob')} SIP/2.0"
    assert not values(acknowledged, "Route")
    await home.send(call.from_home("INFO"))
    info = await away.receive()
    assert start(info) == f"INFO {contact(away, 'alice')} SIP/2.0"
    assert not values(info, "Route")
    await away.send(answer(info, 200))
    assert status(await home.receive()) == 200
    await away.send(call.from_away("BYE"))
    bye = await home.receive()
    assert start(bye).startswith("BYE ")
    assert not values(bye, "Record-Route")
    await home.send(answer(bye, 200))
    assert status(await away.receive()) == 200


async def test_p10_two_interfaces_of_one_transport_stay_apart(sipx_proxy, autojump_clock):
    interfaces = {
        "one": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp"},
        "two": {"bind": "127.0.0.9", "port": 5060, "protocol": "udp"},
    }
    _, home, away = await two(sipx_proxy, interface=interfaces)
    await away.send(away.request("INVITE"), ("127.0.0.9", 5060))
    await away.receive()
    request = await home.receive()
    assert [route.partition("@")[2] for route in values(request, "Record-Route")] == [
        "127.0.0.1:5060;lr>",
        "127.0.0.9:5060;lr>",
    ]
    await home.send(answer(request, 200))
    call = Dialog(home, away, request, await away.receive())
    await home.send(call.from_home("BYE"))
    assert start(await away.receive()).startswith("BYE ")
    assert away.sources[-1] == ("127.0.0.9", 5060)
    await away.send(call.from_away("INFO"), ("127.0.0.9", 5060))
    assert start(await home.receive()).startswith("INFO ")
    assert home.sources[-1] == ("127.0.0.1", 5060)


async def test_p10_the_public_address_stands_in_record_route_and_via(sipx_proxy, autojump_clock):
    interfaces = {
        "lan": {"bind": "127.0.0.1", "port": 5060, "protocol": "udp", "role": "lan"},
        "wan": {"bind": "127.0.0.9", "port": 5060, "protocol": "udp"},
    }
    wan = {"use_public_address": True, "public_address": "198.51.100.7", "public_port": 6060}
    _, home, away = await two(sipx_proxy, interface=interfaces, wan=wan)
    await away.send(away.request("INVITE"), ("127.0.0.9", 5060))
    await away.receive()
    request = await home.receive()
    assert [route.partition("@")[2] for route in values(request, "Record-Route")] == [
        "127.0.0.1:5060;lr>",
        "198.51.100.7:6060;lr>",
    ]
    await home.send(answer(request, 200))
    call = Dialog(home, away, request, await away.receive())
    await away.send(call.from_away("BYE"), ("127.0.0.9", 5060))
    assert start(await home.receive()).startswith("BYE ")


# ---------------------------------------------------------------- P-06


async def test_p06_a_strict_router_before_us_is_repaired(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    target = contact(home, "bob")
    own = values(call.response, "Record-Route")[0].strip("<>")
    await away.send(call.from_away("BYE", uri=own, routes=[f"<{target}>"]))
    bye = await home.receive()
    assert start(bye) == f"BYE {target} SIP/2.0"
    assert not values(bye, "Route")


async def test_p06_the_rest_of_the_route_stays_behind_a_strict_router(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    own = values(call.response, "Record-Route")[0].strip("<>")
    routes = ["<sip:127.0.1.1;lr>", "<sip:p3.home.example;lr>", "<sip:bob@10.9.9.9>"]
    await away.send(call.from_away("BYE", uri=own, routes=routes))
    bye = await home.receive()
    assert start(bye) == "BYE sip:bob@10.9.9.9 SIP/2.0"
    assert values(bye, "Route") == routes[:2]


async def test_p06_a_strict_router_behind_us_gets_its_uri(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    own = values(call.response, "Record-Route")[0]
    strict, loose = "<sip:strict@127.0.1.1:5060>", "<sip:p4.home.example;lr>"
    await away.send(call.from_away("BYE", uri="sip:bob@10.9.9.9", routes=[own, strict, loose]))
    bye = await home.receive()
    assert start(bye) == "BYE sip:strict@127.0.1.1:5060 SIP/2.0"
    assert values(bye, "Route") == [loose, "<sip:bob@10.9.9.9>"]


async def test_p06_a_strict_router_has_to_leave_a_route(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    own = values(call.response, "Record-Route")[0].strip("<>")
    assert status(await away.ask(call.from_away("BYE", uri=own, routes=[]))) == 400


# ---------------------------------------------------------------- P-07, SEC-03


async def test_p07_a_preloaded_route_to_us_is_taken_away(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request(extra=["Route: <sip:127.0.0.1;lr>, <sip:127.0.0.1:5060;lr>"]))
    arrived = await home.receive()
    assert start(arrived) == "MESSAGE sip:bob@home.example SIP/2.0"
    assert not values(arrived, "Route")


@pytest.mark.parametrize(
    "route",
    [
        "<sip:127.0.1.1;lr>",
        "<sip:127.0.0.1:5070;lr>",
        "<sip:192.0.2.1;lr>",
        "<sip:127.0.0.1;lr>, <sip:127.0.1.1;lr>",
    ],
)
async def test_p07_a_route_to_another_host_is_not_followed(sipx_proxy, autojump_clock, route):
    _, home, away = await two(sipx_proxy)
    assert status(await away.ask(away.request(extra=[f"Route: {route}"]))) == 403
    await home.silence()


async def test_p07_our_host_with_a_wrong_signature_is_refused(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    route = f"Route: <sip:sipx-{'A' * 40}@127.0.0.1:5060;lr>"
    assert status(await away.ask(away.request("BYE", extra=[route]))) == 403
    uri = f"sip:sipx-{'A' * 40}@127.0.0.1:5060;lr"
    assert (
        status(await away.ask(away.request("BYE", uri, extra=["Route: <sip:x@127.0.1.1>"]))) == 403
    )
    await home.silence()


async def test_p07_routes_that_are_not_ours_stay_inside_a_dialog(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    own = values(call.response, "Record-Route")[0]
    others = ["<sip:127.0.1.1;lr;x=1>", "<sip:p2.home.example;lr>"]
    await away.send(call.from_away("BYE", uri="sip:bob@10.9.9.9", routes=[own, *others]))
    bye = await home.receive()
    assert start(bye) == "BYE sip:bob@10.9.9.9 SIP/2.0"
    assert values(bye, "Route") == others


async def test_sec03_a_cookie_is_refused_whichever_bit_is_altered(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    await away.send(call.from_away("ACK", cseq=1))
    await home.receive()
    text = call.cookie.removeprefix("sipx-")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for bit in range(8 * len(raw)):
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << bit % 8
        cookie = base64.urlsafe_b64encode(altered).rstrip(b"=").decode()
        route = f"<sip:sipx-{cookie}@127.0.0.1:5060;lr>"
        assert status(await away.ask(call.from_away("INFO", routes=[route]))) == 403, bit
    await home.silence()
    whole = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    await away.send(call.from_away("INFO", routes=[f"<sip:sipx-{whole}@127.0.0.1:5060;lr>"]))
    assert start(await home.receive()).startswith("INFO ")


@pytest.mark.parametrize(
    "broken", ["", "x", "A", "é", "%41", "====", "A" * 200, "_" * 35, "A" * 35 + "\\"]
)
async def test_sec03_what_is_no_cookie_at_all_is_refused(sipx_proxy, autojump_clock, broken):
    _, home, away = await two(sipx_proxy)
    route = f"Route: <sip:sipx-{broken}@127.0.0.1:5060;lr>"
    assert status(await away.ask(away.request("BYE", extra=[route]))) in (400, 403)
    await home.silence()


async def test_sec03_a_cookie_serves_its_own_dialog_only(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    assert status(await away.ask(call.from_away("BYE", call_id="another"))) == 403


async def test_sec03_a_cookie_expires(sipx_proxy, autojump_clock, monkeypatch):
    proxy, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    cookies = proxy.kernel.proxy.routing.cookies
    now = cookies._wall()
    monkeypatch.setattr(cookies, "_wall", lambda: now + 29 * 24 * 3600)
    await away.send(call.from_away("INFO"))
    assert start(await home.receive()).startswith("INFO ")
    monkeypatch.setattr(cookies, "_wall", lambda: now + 31 * 24 * 3600)
    assert status(await away.ask(call.from_away("BYE"))) == 403


async def test_sec03_a_stranger_cannot_use_a_stolen_cookie(sipx_proxy, autojump_clock):
    proxy, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    await away.send(call.from_away("ACK", cseq=1))
    await home.receive()
    thief = party(proxy, "127.0.1.66")
    stolen = call.from_away("BYE").replace(b"UDP 127.0.1.2:5060", b"UDP 127.0.1.66:5060")
    assert status(await thief.ask(stolen)) == 403
    await home.silence()


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "NOTIFY", "MESSAGE", "INVITE"])
async def test_sec03_a_to_tag_proves_nothing(sipx_proxy, autojump_clock, method):
    proxy, home, _ = await two(sipx_proxy)
    stranger = party(proxy, "127.0.1.66")
    forged = stranger.request(method, to="<sip:bob@home.example>;tag=b")
    assert status(await stranger.ask(forged)) == 403
    await home.silence()


async def test_sec03_a_to_tag_does_not_make_a_relay(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    uri = contact(home, "bob")
    reply = await away.ask(away.request("BYE", uri, to="<sip:bob@home.example>;tag=b"))
    assert status(reply) == 403
    await home.silence()


# ---------------------------------------------------------------- P-19


async def test_p19_an_ack_for_a_2xx_is_sent_on_with_a_branch_of_its_own(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    for _ in range(2):
        await away.send(call.from_away("ACK", cseq=1))
        ack = await home.receive()
        assert start(ack).startswith("ACK ")
        assert values(ack, "Via")[0] != values(call.request, "Via")[0]
        assert value(ack, "Max-Forwards") == "69"
    await away.silence()


async def test_p19_an_ack_for_a_failure_is_consumed(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    invite = away.request("INVITE", branch="z9hG4bK-p19")
    assert status(await away.ask(invite)) == 100
    request = await home.receive()
    await home.send(answer(request, 486))
    ours = await home.receive()
    assert start(ours) == "ACK sip:bob@home.example SIP/2.0"
    assert values(ours, "Via") == values(request, "Via")[:1]
    assert status(await away.receive()) == 486
    ack = away.request(
        "ACK",
        branch="z9hG4bK-p19",
        to="<sip:bob@home.example>;tag=b",
        call_id=value(invite, "Call-ID"),
    )
    await away.send(ack)
    await away.send(ack)
    await home.silence()
    await away.silence()


@pytest.mark.parametrize(
    "change",
    [
        {"sender": "sip:mallory@elsewhere.example"},
        {"sender": "sip:mallory@home.example"},
        {"routes": ["<sip:sipx-AAAA@127.0.0.1:5060;lr>"]},
        {"routes": []},
        {"uri": "xyz:abc"},
        {"max_forwards": "Max-Forwards: 0"},
        {"extra": ["Proxy-Require: foo"]},
        {"call_id": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_p19_an_ack_that_is_not_accepted_gets_no_answer(sipx_proxy, autojump_clock, change):
    _, home, away = await two(sipx_proxy)
    call = await dialog(home, away)
    await away.send(call.from_away("ACK", cseq=1))
    await home.receive()
    await away.send(call.from_away("ACK", cseq=1, **change))
    await away.silence()
    await home.silence()


# ---------------------------------------------------------------- RFC 6665, 3903, 4662


async def test_e01_record_route_stands_in_subscribe_and_every_notify(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, home="tcp")
    call = await dialog(home, away, "SUBSCRIBE")
    assert len(values(call.request, "Record-Route")) == 2
    for cseq in (1, 2):
        await home.send(call.from_home("NOTIFY", cseq=cseq))
        notify = await away.receive()
        routes = values(notify, "Record-Route")
        assert len(routes) == 2
        await away.send(answer(notify, 200))
        assert status(await home.receive()) == 200
    # §4.4.1: the route set of a dialog that a NOTIFY creates is made of what stands in it.
    refresh = call.from_away("SUBSCRIBE", cseq=3, routes=routes)
    await away.send(refresh)
    arrived = await home.receive()
    assert start(arrived) == f"SUBSCRIBE {contact(home, 'bob')} SIP/2.0"
    assert len(values(arrived, "Record-Route")) == 2


async def test_e02_a_notify_may_overtake_the_2xx(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    await away.send(away.request("SUBSCRIBE", extra=[f"Contact: <{contact(away, 'alice')}>"]))
    request = await home.receive()
    early = Dialog(home, away, request, answer(request, 200))
    await home.send(early.from_home("NOTIFY", extra=["Subscription-State: active"]))
    notify = await away.receive()
    assert start(notify) == f"NOTIFY {contact(away, 'alice')} SIP/2.0"
    await away.send(answer(notify, 200))
    assert status(await home.receive()) == 200
    await home.send(answer(request, 200))
    accepted = await away.receive()
    assert values(accepted, "Record-Route") == values(request, "Record-Route")
    assert value(accepted, "CSeq") == "1 SUBSCRIBE"


async def test_e04_publish_goes_to_the_owner_with_its_etags(sipx_proxy, autojump_clock):
    _, home, branch = await two(sipx_proxy, domains=["home.example", "away.example"])
    publish = branch.request("PUBLISH", extra=["SIP-If-Match: dx200xyz", "Event: presence"])
    await branch.send(publish)
    arrived = await home.receive()
    assert value(arrived, "SIP-If-Match") == "dx200xyz"
    assert not values(arrived, "Record-Route")
    await home.send(answer(arrived, 412))
    assert status(await branch.receive()) == 412
    await branch.send(branch.request("PUBLISH", extra=["Event: presence"]))
    await home.send(answer(await home.receive(), 200, extra=["SIP-ETag: kwj449x"]))
    assert value(await branch.receive(), "SIP-ETag") == "kwj449x"


async def test_e04_publish_is_not_taken_from_a_partner(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy)
    assert status(await away.ask(away.request("PUBLISH"))) == 405
    await home.silence()


async def test_e05_lists_of_resources_pass_byte_for_byte(sipx_proxy, autojump_clock):
    _, home, away = await two(sipx_proxy, home="tcp", away="tcp")
    await away.send(away.request("SUBSCRIBE", extra=["Supported: eventlist"]))
    request = await home.receive()
    assert value(request, "Supported") == "eventlist"
    await home.send(answer(request, 200, extra=["Require: eventlist"]))
    call = Dialog(home, away, request, await away.receive())
    assert value(call.response, "Require") == "eventlist"
    text = "--x\r\nContent-ID: <a@b>\r\n\r\n" + "".join(map(chr, range(256))) * 900 + "\n--x--"
    typed = 'Content-Type: multipart/related;type="application/rlmi+xml";boundary=x'
    await home.send(call.from_home("NOTIFY", extra=["Require: eventlist", typed], body=text))
    notify = await away.receive()
    assert body(notify) == text.encode("latin-1")
    assert typed == f"Content-Type: {value(notify, 'Content-Type')}"
    assert PROXY[0] in values(notify, "Via")[0]
