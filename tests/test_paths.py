"""From a target to a flow: failover (RFC 3263 §4.3), connections, and where data may lead to."""

import errno
from types import SimpleNamespace

import pytest
import trio

from sipx.plugin import NextHop, Target, Targets
from sipx.testing.dns import dns_server

DEAD = "127.0.7.7"
SILENT = "127.0.8.8"


class Transports:
    """Makes ``connect`` of the memory transport fail, or never end, for some addresses."""

    def __init__(self, stage):
        self.tries = []
        self._transport = stage.proxy.plugin("tcp").transport
        self._connect = self._transport.connect
        self._transport.connect = self.connect

    async def connect(self, interface, hop, partner=None):
        self.tries.append(hop.address)
        if hop.address == SILENT:
            await trio.sleep_forever()
        if hop.address == DEAD:
            await trio.sleep(0)
            raise OSError(errno.ECONNREFUSED, "Connection refused")
        return await self._connect(interface, hop, partner)


def target(*hops, transport="tcp", uri=None):
    return Targets(
        ((Target(uri, tuple(NextHop(host, port, transport) for host, port in hops), True),),)
    )


# ---------------------------------------------------------------- D-03 failover


@pytest.mark.parametrize(
    ("first", "least", "most"), [(DEAD, 0, 0.1), (SILENT, 4, 4.1)], ids=["refused", "timeout"]
)
@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
async def test_d03_the_second_hop_gets_the_request_within_the_connect_timeout(
    scene, autojump_clock, first, least, most, method
):
    stage = await scene()
    transports = Transports(stage)
    home = stage.raw("home.example")
    away = stage.proxy.peer("away.example", transport="tcp")
    stage.lab.targets[b"two.example"] = target((first, 5060), away.place)
    home.ask(method, "sip:bob@two.example")
    began = trio.current_time()
    await home.next(200)
    assert least <= trio.current_time() - began <= most
    assert transports.tries == [first, away.place[0]]
    assert away.received[method] == 1


async def test_d03_the_connect_timeout_is_configured(scene, autojump_clock):
    stage = await scene(limits={"connect_timeout": "1500ms"})
    Transports(stage)
    home = stage.raw("home.example")
    away = stage.proxy.peer("away.example", transport="tcp")
    stage.lab.targets[b"two.example"] = target((SILENT, 5060), away.place)
    home.ask("MESSAGE", "sip:bob@two.example")
    began = trio.current_time()
    await home.next(200)
    assert 1.5 <= trio.current_time() - began < 1.6


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
async def test_d03_a_503_leads_to_the_next_hop_as_a_new_transaction(scene, autojump_clock, method):
    stage = await scene()
    home, one, two = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.lab.targets[b"both.example"] = target(one.place, two.place, transport="udp")
    home.ask(method, "sip:bob@both.example")
    first = await one.next(method)
    one.answer(first, 503)
    second = await two.next(method)
    assert second.branch != first.branch
    assert second.uri == first.uri
    two.answer(second, 200)
    await home.next(200)
    assert 503 not in home.heard()


@pytest.mark.parametrize("status", [500, 504, 404, 408, 486, 603])
async def test_d03_another_refusal_is_an_answer_and_no_reason_to_go_on(
    scene, autojump_clock, status
):
    stage = await scene()
    home, one, two = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.lab.targets[b"both.example"] = target(one.place, two.place, transport="udp")
    home.ask("INVITE", "sip:bob@both.example")
    one.answer(await one.next("INVITE"), status)
    await home.next(status)
    assert two.heard() == []


async def test_d03_an_invite_nobody_answers_tries_the_next_hop_after_timer_b(scene, autojump_clock):
    stage = await scene()
    home, one, two = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.lab.targets[b"both.example"] = target(one.place, two.place, transport="udp")
    home.ask("INVITE", "sip:bob@both.example")
    began = trio.current_time()
    two.answer(await two.next("INVITE"), 200)
    assert 32 <= trio.current_time() - began < 32.2
    await home.next(200)


async def test_d03_a_cancelled_invite_does_not_go_on_to_the_next_hop(scene, autojump_clock):
    stage = await scene()
    home, one, two = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.lab.targets[b"both.example"] = target(one.place, two.place, transport="udp")
    asked = home.ask("INVITE", "sip:bob@both.example")
    invite = await one.next("INVITE")
    one.answer(invite, 180)
    home.within(asked, "CANCEL")
    await one.next("CANCEL")
    one.answer(invite, 503)
    await home.next(487)
    assert two.heard() == []


# ---------------------------------------------------------------- P-17 transport errors


async def test_p17_a_connection_that_breaks_counts_as_a_503(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    one = stage.proxy.peer("one.example", transport="tcp", answers=False)
    two = stage.proxy.peer("two.example", transport="tcp")
    stage.lab.targets[b"both.example"] = target(one.place, two.place)
    home.ask("MESSAGE", "sip:bob@both.example")
    await one.receive("MESSAGE")
    (flow,) = [flow for flow in stage.kernel.flows if flow.address == one.place[0]]
    flow.close("cut by the test")
    await home.next(200)
    assert two.received["MESSAGE"] == 1


@pytest.mark.parametrize(
    ("hops", "status", "words"),
    [
        (((DEAD, 5060),), 500, "Connection refused"),
        (((DEAD, 5060), (DEAD, 5061)), 500, "Connection refused"),
        (((SILENT, 5060),), 504, "127.0.8.8 port 5060: no connection within 4 s"),
        (((DEAD, 5060), (SILENT, 5060)), 504, "no connection"),
    ],
    ids=["refused", "all refused", "timeout", "refused, then timeout"],
)
async def test_p17_when_no_hop_can_be_reached_the_answer_says_why(
    scene, autojump_clock, hops, status, words
):
    stage = await scene()
    Transports(stage)
    home = stage.raw("home.example")
    stage.lab.targets[b"gone.example"] = target(*hops)
    home.ask("MESSAGE", "sip:bob@gone.example")
    answer = await home.next(status)
    assert words in answer.get(b"Warning").decode()


async def test_p17_a_protocol_without_an_interface_is_a_failure_of_ours(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    stage.lab.targets[b"tls.example"] = target(("127.0.2.5", 5061), transport="tls")
    home.ask("MESSAGE", "sip:bob@tls.example")
    answer = await home.next(500)
    assert b"no interface for tls" in answer.get(b"Warning")


async def test_p17_a_dead_flow_of_a_user_is_told_with_430(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    stage.proxy.peer("away.example")
    dead = SimpleNamespace(closed=True)
    stage.lab.targets[b"flow.example"] = Targets(((Target(flow=dead),),))
    home.ask("MESSAGE", "sip:bob@flow.example")
    await home.next(430)


# ---------------------------------------------------------------- connections


async def test_requests_for_one_place_share_one_attempt_to_connect(scene, autojump_clock):
    stage = await scene()
    transports = Transports(stage)
    home = stage.raw("home.example")
    away = stage.proxy.peer("away.example", transport="tcp")
    for _ in range(20):
        home.ask("MESSAGE", "sip:bob@away.example")
    for _ in range(20):
        await home.next(200)
    assert transports.tries == [away.place[0]]
    assert away.received["MESSAGE"] == 20


async def test_requests_that_share_a_failed_attempt_all_fail(scene, autojump_clock):
    stage = await scene()
    transports = Transports(stage)
    home = stage.raw("home.example")
    stage.lab.targets[b"gone.example"] = target((SILENT, 5060))
    for _ in range(5):
        home.ask("MESSAGE", "sip:bob@gone.example")
    await trio.sleep(4.2)
    assert transports.tries == [SILENT]
    assert [status for status in home.heard() if status != 100] == [504] * 5


async def test_a_closed_connection_is_opened_anew_for_the_next_request(scene, autojump_clock):
    stage = await scene()
    transports = Transports(stage)
    home = stage.raw("home.example")
    away = stage.proxy.peer("away.example", transport="tcp")
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(200)
    (flow,) = [flow for flow in stage.kernel.flows if flow.address == away.place[0]]
    flow.close("cut by the test")
    home.ask("MESSAGE", "sip:bob@away.example")
    await home.next(200)
    assert transports.tries == [away.place[0]] * 2


async def test_d04_a_response_whose_connection_broke_goes_by_a_new_one(scene, autojump_clock):
    stage = await scene()
    caller = stage.proxy.peer("home.example", transport="tcp")
    away = stage.raw("away.example")
    asking = await caller.ask(caller.new("MESSAGE", "sip:bob@away.example"))
    request = await away.next("MESSAGE")
    (flow,) = [flow for flow in stage.kernel.flows if flow.transport == "tcp"]
    flow.close("cut by the test")
    away.answer(request, 200)
    await trio.sleep(1)
    assert asking.final is not None
    assert asking.final.status == 200
    (new,) = [flow for flow in stage.kernel.flows if flow.transport == "tcp"]
    assert (new.port, new.outbound) == (5060, True)


SENT_BY = """
_sip._tcp.home.example. 0 IN SRV 0 0 5098 second.home.example.
second.home.example. 0 IN A 127.0.2.77
"""


async def test_d04_if_its_address_fails_as_well_the_name_in_sent_by_is_looked_up(scene):
    async with dns_server(SENT_BY) as dns:
        stage = await scene(dns={"servers": [dns.server]}, trust={"networks": ["127.0.2.0/24"]})
        caller = stage.proxy.peer("home.example", transport="tcp")
        away = stage.raw("away.example")
        request = caller.new("MESSAGE", "sip:bob@away.example")
        wire = await caller._wire_for(request)
        top = b"Via: SIP/2.0/TCP home.example;branch=z9hG4bKnamed"
        wire.send(b"\r\n".join([request.start, top, *request.lines, b"", request.body]))
        asked = await away.next("MESSAGE", within=10)
        connections = []
        stage.proxy.network.listen(
            ("127.0.2.77", 5098), lambda stream, place: connections.append(stream)
        )
        stage.proxy.network.deaf(caller.place)
        (flow,) = [flow for flow in stage.kernel.flows if flow.transport == "tcp"]
        flow.close("cut by the test")
        away.answer(asked, 200)
        with trio.fail_after(10):
            while not connections:
                await trio.lowlevel.checkpoint()
            data = await connections[0].receive_some()
        assert data.startswith(b"SIP/2.0 200 OK")


# ---------------------------------------------------------------- SEC-09 addresses


async def dialog(stage, contact=None):
    """A dialog between two raw peers; returns them and the Route of the caller's side."""
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", call_id="dialog")
    invite = await away.next("INVITE")
    away.answer(invite, 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    return home, away, route


async def test_sec09_both_ends_of_a_dialog_may_be_private_addresses(scene, autojump_clock):
    stage = await scene()
    home, away, route = await dialog(stage)
    home.ask(
        "BYE",
        f"sip:far@{away.place[0]}:5060",
        f"Route: {route}",
        to_tag="far",
        call_id="dialog",
        cseq=2,
    )
    away.answer(await away.next("BYE"), 200)
    await home.next(200)


@pytest.mark.parametrize(
    "host",
    [
        "10.1.2.3",
        "192.168.1.1",
        "127.0.2.99",
        "169.254.169.254",
        "224.0.1.75",
        "0.0.0.0",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[fe80::1]",
    ],
)
async def test_sec09_a_dialog_leads_to_no_other_private_address(scene, autojump_clock, host):
    stage = await scene()
    home, away, route = await dialog(stage)
    home.ask(
        "INFO", f"sip:x@{host}:5060", f"Route: {route}", to_tag="far", call_id="dialog", cseq=2
    )
    await home.next(403)
    assert away.heard() == []


async def test_sec09_a_dialog_never_leads_back_to_our_own_listener(scene, autojump_clock):
    stage = await scene()
    home, _away, route = await dialog(stage)
    home.ask("INFO", "sip:x@127.0.0.1", f"Route: {route}", to_tag="far", call_id="dialog", cseq=2)
    await home.next(403)


@pytest.mark.parametrize(("networks", "status"), [(["127.0.2.0/24"], 200), (["10.0.0.0/8"], 403)])
async def test_sec09_trust_networks_open_private_addresses(scene, autojump_clock, networks, status):
    stage = await scene(trust={"networks": networks})
    home, _, route = await dialog(stage)
    third = stage.raw("third.example", routed=False)
    home.ask(
        "INFO",
        f"sip:x@{third.place[0]}:5060",
        f"Route: {route}",
        to_tag="far",
        call_id="dialog",
        cseq=2,
    )
    if status == 200:
        third.answer(await third.next("INFO"), 200)
    await home.next(status)


async def test_sec01_a_partner_reaches_nothing_but_the_other_end_through_its_dialog(
    scene, autojump_clock
):
    stage = await scene()
    home, away, route = await dialog(stage)
    away.ask(
        "INFO",
        "sip:x@198.51.100.9:5060",
        f"Route: {route}",
        to_tag="near",
        call_id="dialog",
        cseq=2,
    )
    await away.next(403)
    assert home.heard() == []


async def test_sec03_a_dialog_is_continued_by_its_two_ends_only(scene, autojump_clock):
    stage = await scene()
    _, away, route = await dialog(stage)
    third = stage.raw("third.example")
    third.ask(
        "BYE",
        f"sip:far@{away.place[0]}:5060",
        f"Route: {route}",
        to_tag="far",
        call_id="dialog",
        cseq=2,
    )
    await third.next(403)
    assert away.heard() == []


async def test_sec09_a_second_route_is_filtered_like_a_request_uri(scene, autojump_clock):
    stage = await scene()
    home, away, route = await dialog(stage)
    home.ask(
        "INFO",
        f"sip:far@{away.place[0]}:5060",
        f"Route: {route}",
        "Route: <sip:10.9.8.7;lr>",
        to_tag="far",
        call_id="dialog",
        cseq=2,
    )
    await home.next(403)
    assert away.heard() == []


async def test_sec09_outside_a_dialog_nobody_follows_the_request_uri(scene, autojump_clock):
    stage = await scene()
    home, third = stage.raw("home.example"), stage.raw("third.example", routed=False)
    home.ask("MESSAGE", f"sip:x@{third.place[0]}:5060")
    await home.next(403)
    assert third.heard() == []


ZONE = """
good.example. 0 IN A 127.0.2.2
evil.example. 0 IN A 10.0.0.1
mixed.example. 0 IN A 10.0.0.1
mixed.example. 0 IN A 127.0.2.2
"""


def info(home, host, route, cseq):
    there = f"sip:far@{host}:5060"
    home.ask("INFO", there, f"Route: {route}", to_tag="far", call_id="dialog", cseq=cseq)


async def test_sec09_the_address_that_a_name_leads_to_decides(scene):
    async with dns_server(ZONE) as dns:
        stage = await scene(dns={"servers": [dns.server]})
        home, away, route = await dialog(stage)
        for cseq, host in ((2, "good.example"), (3, "mixed.example")):
            info(home, host, route, cseq)
            away.answer(await away.next("INFO", within=10), 200)
            await home.next(200)
        info(home, "evil.example", route, 4)
        await home.next(403, within=10)
        assert away.heard() == []


async def test_sec09_a_name_that_is_rebound_to_a_private_address_is_refused(scene):
    async with dns_server(ZONE) as dns:
        stage = await scene(dns={"servers": [dns.server]})
        home, away, route = await dialog(stage)
        info(home, "good.example", route, 2)
        away.answer(await away.next("INFO", within=10), 200)
        await home.next(200)
        dns.load("good.example. 0 IN A 192.168.0.1")
        stage.kernel.resolver.flush()  # an answer is kept for some seconds whatever its TTL says
        info(home, "good.example", route, 3)
        await home.next(403, within=10)
        assert away.heard() == []


@pytest.mark.parametrize(("rcode", "status"), [("SERVFAIL", 504), ("NXDOMAIN", 404)])
async def test_p17_a_name_in_a_dialog_that_cannot_be_resolved(scene, rcode, status):
    async with dns_server(ZONE) as dns:
        dns.fail("gone.example", rcode=rcode)
        stage = await scene(dns={"servers": [dns.server]})
        home, _, route = await dialog(stage)
        info(home, "gone.example", route, 2)
        await home.next(status, within=10)


async def test_d03_a_configured_server_without_an_address_does_not_spoil_the_others(scene):
    async with dns_server(ZONE) as dns:
        stage = await scene(dns={"servers": [dns.server]})
        home, away = stage.raw("home.example"), stage.raw("away.example")
        both = target(("gone.example", 5060), away.place, transport="udp")
        stage.lab.targets[b"both.example"] = both
        stage.lab.targets[b"none.example"] = target(("gone.example", 5060), transport="udp")
        home.ask("MESSAGE", "sip:bob@both.example")
        away.answer(await away.next("MESSAGE", within=10), 200)
        await home.next(200)
        home.ask("MESSAGE", "sip:bob@none.example")
        answer = await home.next(504, within=10)
        assert b"gone.example" in answer.get(b"Warning")
