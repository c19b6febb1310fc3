"""The copy that leaves: branches, loops, and the transactions on both sides (RFC 3261 §16.6)."""

import pytest
import trio

from sipx.cookies import PREFIX
from sipx.forking import AckBranch, AckContext
from sipx.plugin import Target, Targets
from sipx.sip import parse_datagram

MESSAGE = (
    b"MESSAGE sip:bob@away.example SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 127.0.2.1:5060;branch=z9hG4bKone\r\n"
    b"Max-Forwards: 70\r\n"
    b"From: <sip:alice@home.example>;tag=near\r\n"
    b"To: <sip:bob@away.example>\r\n"
    b"Call-ID: million\r\n"
    b"CSeq: 1 MESSAGE\r\n"
    b"Content-Length: 0\r\n"
    b"\r\n"
)
HOP = Target(name="anywhere")


def branch_lines(data):
    return [line for line in data.split(b"\r\n") if line.startswith(b"Via: ")]


# ---------------------------------------------------------------- P-11 branches


async def test_p11_a_million_branches_without_a_repeat(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    home.ask("MESSAGE", "sip:bob@nowhere.example")
    await home.next(403)
    (flow,) = stage.kernel.flows
    forwarder = stage.kernel.proxy.forwarder
    sender = stage.proxy.plugin("testing-peers")._sources[home.place[0]][b"home.example"]
    context = AckContext(stage.kernel.proxy, parse_datagram(MESSAGE), flow, sender)
    branch = AckBranch(context, HOP)
    seen = {forwarder.build(branch, flow)[0] for _ in range(1_000_000)}
    assert len(seen) == 1_000_000
    assert all(key.startswith(b"z9hG4bK") for key in seen)


async def test_p11_the_branch_in_the_via_is_the_key_of_the_transaction(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    assert list(stage.kernel.transactions.clients) == [request.branch]
    assert branch_lines(request.encode())[0].startswith(b"Via: SIP/2.0/UDP 127.0.0.1:5060")


async def test_p11_the_ack_of_a_refusal_shares_the_branch_of_its_invite(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", "Route: <sip:127.0.0.1:5060;lr>")
    invite = await away.next("INVITE")
    away.answer(invite, 486, tag=b"busy")
    ack = await away.next("ACK")
    assert ack.lines[ack.layout.via] == invite.lines[invite.layout.via]
    assert len(ack.vias) == 1
    assert ack.uri == invite.uri
    assert ack.to.tag == b"busy"
    assert ack.call_id == invite.call_id
    assert ack.cseq.number == invite.cseq.number
    assert ack.get_all(b"Route") == invite.get_all(b"Route") == []


async def test_p11_the_ack_of_a_2xx_has_a_branch_of_its_own(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example", call_id="one")
    invite = await away.next("INVITE")
    away.answer(invite, 200)
    route = (await home.next(200)).get(b"Record-Route").decode()
    home.ask("ACK", "sip:far@127.0.2.2:5060", f"Route: {route}", to_tag="far", call_id="one")
    ack = await away.next("ACK")
    assert ack.branch.startswith(b"z9hG4bK")
    assert ack.branch != invite.branch
    assert len(ack.vias) == 2


# ---------------------------------------------------------------- retransmissions


async def test_x02_a_retransmitted_request_is_absorbed_and_gets_the_last_response(
    scene, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    home.send(asked)
    await trio.sleep(0.1)
    assert (home.heard(), away.heard()) == ([], [])
    away.answer(request, 202)
    first = await home.next(202)
    for _ in range(3):
        home.send(asked)
        assert (await home.next(202)).encode() == first.encode()
    await trio.sleep(31)
    home.send(asked)
    await home.next(202)
    assert away.heard() == []


async def test_x02_after_timer_j_the_same_request_is_a_new_one(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    await trio.sleep(33)
    home.send(asked)
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)


async def test_x02_a_retransmitted_invite_gets_the_last_provisional_response(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    await home.next(100)
    home.send(asked)
    await home.next(100)
    away.answer(invite, 180)
    await home.next(180)
    home.send(asked)
    await home.next(180)
    assert "INVITE" not in away.heard()


async def test_x02_a_request_without_answer_is_sent_again_by_timer_e(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    first = await away.next("MESSAGE")
    for _ in range(10):
        assert (await away.next("MESSAGE")).encode() == first.encode()
    after = [time - away.times[0] for time in away.times]
    wanted = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
    # A tick is 50 ms; each of ten turns may be late by one.
    assert all(0 <= got - want <= 0.55 for got, want in zip(after, wanted, strict=True))


async def test_x02_an_invite_without_answer_is_sent_again_by_timer_a(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    for _ in range(7):
        await away.next("INVITE")
    after = [time - away.times[0] for time in away.times]
    wanted = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert all(0 <= got - want <= 0.4 for got, want in zip(after, wanted, strict=True))


async def test_x02_a_final_response_is_sent_again_until_the_ack_comes(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 486)
    refusal = await home.next(486)
    await home.next(486)
    await home.next(486)
    home.within(asked, "ACK", refusal.lines[refusal.layout.to])
    await trio.sleep(40)
    assert home.heard() == []
    assert away.heard() == ["ACK"]  # ours: the caller's own is consumed (P-19)


async def test_x03_each_retransmitted_refusal_is_acknowledged_on_the_same_way(
    scene, autojump_clock
):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    for _ in range(4):
        away.answer(invite, 404)
        ack = await away.next("ACK")
        assert ack.branch == invite.branch
        await trio.sleep(4)
    assert home.heard().count(404) >= 1


# ---------------------------------------------------------------- X-04 RFC 6026


async def test_x04_a_retransmitted_invite_after_the_2xx_is_absorbed(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 200)
    await home.next(200)
    home.send(asked)
    await trio.sleep(30)
    assert (home.heard(), away.heard()) == ([], [])


async def test_x04_every_2xx_of_the_callee_passes_for_64_t1(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    for tag in (b"one", b"one", b"two"):
        away.answer(invite, 200, tag=tag)
        assert (await home.next(200)).to.tag == tag
        await trio.sleep(4)
    await trio.sleep(30)
    away.answer(invite, 200, tag=b"late")
    await trio.sleep(1)
    assert home.heard() == []


async def test_x04_a_stray_response_leaves_nothing(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    away.send(
        b"SIP/2.0 200 OK\r\n"
        b"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKnever\r\n"
        b"Via: SIP/2.0/UDP 127.0.2.1:5060;branch=z9hG4bKhome\r\n"
        b"From: <sip:user@home.example>;tag=near\r\n"
        b"To: <sip:bob@away.example>;tag=far\r\n"
        b"Call-ID: stray\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
    )
    await trio.sleep(1)
    assert (home.heard(), away.heard()) == ([], [])
    assert stage.kernel.transactions.strays == 1


# ---------------------------------------------------------------- RFC 4320


async def test_x05_no_100_for_a_message_before_timer_e_has_reached_t2(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    await away.next("MESSAGE")
    await trio.sleep(3.4)
    assert home.heard() == []
    await trio.sleep(0.2)
    assert home.heard() == [100]


@pytest.mark.parametrize("status", [100, 180, 183])
async def test_x05_no_provisional_response_passes_for_a_message(scene, autojump_clock, status):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    away.answer(request, status)
    await trio.sleep(1)
    assert home.heard() == []
    away.answer(request, 200)
    await home.next(200)


async def test_x05_an_answer_within_3_5_seconds_makes_the_100_needless(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    await trio.sleep(3)
    away.answer(request, 200)
    await trio.sleep(5)
    assert home.heard() == [200]


async def test_x05_an_invite_gets_a_100_after_200_ms(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    await away.next("INVITE")
    await trio.sleep(0.15)
    assert home.heard() == []
    await trio.sleep(0.15)
    assert home.heard() == [100]


async def test_x06_a_silent_peer_never_makes_a_408_for_a_message(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    await trio.sleep(32.5)
    assert home.heard() == [100]
    away.answer(request, 200)  # too late: nobody may hear of it
    home.send(asked)
    await trio.sleep(3)
    assert home.heard() == []


async def test_x06_a_408_from_downstream_does_not_pass_for_a_message(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    away.answer(await away.next("MESSAGE"), 408)
    for _ in range(7):
        await trio.sleep(4)
        home.send(asked)  # the sender goes on until its Timer F; that makes no new request of it
    await trio.sleep(10)
    assert (home.heard(), away.heard()) == ([], [])


async def test_x06_an_invite_to_a_silent_peer_gets_its_408(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    began = trio.current_time()
    await home.next(408)
    assert 32 <= trio.current_time() - began < 32.2


# ---------------------------------------------------------------- L-01, SEC-07 loops


async def two_proxies(scene):
    """Two proxies with a raw peer on the first; each lets the other and the peer in."""
    one = await scene()
    two = await scene(interface={"udp": {"bind": "127.0.0.9", "port": 5060, "protocol": "udp"}})
    networks = (one.proxy.network, two.proxy.network)
    deliver = [network.datagram for network in networks]

    def datagram(data, source, to):
        for network, delivers in zip(networks, deliver, strict=True):
            if to in network._inboxes:
                delivers(data, source, to)

    for network in networks:
        network.datagram = datagram
    for stage, other in ((one, two), (two, one)):
        stage.proxy.plugin("testing-peers").add(b"home.example", "udp", other.proxy.place("udp"))
    home = one.raw("home.example")
    return one, two, home


def points_to(stage, domain, other, uri=None):
    address, port = other.proxy.place("udp")
    hop = stage.target(_Place((address, port)), uri=uri)
    stage.lab.targets[domain] = Targets(((hop,),))


class _Place:
    def __init__(self, place):
        self.place = place


@pytest.mark.parametrize("method", ["MESSAGE", "INVITE"])
async def test_l01_two_proxies_that_point_at_each_other_find_the_loop(
    scene, autojump_clock, method
):
    one, two, home = await two_proxies(scene)
    points_to(one, b"loop.example", two)
    points_to(two, b"loop.example", one)
    home.ask(method, "sip:bob@loop.example")
    answer = await home.next(482)
    assert len(answer.vias) == 1
    assert one.kernel.journal.statistics().by_status() == {482: 2}
    assert two.kernel.journal.statistics().by_status() == {482: 1}


async def test_l01_a_spiral_with_a_changed_request_uri_passes(scene, autojump_clock):
    one, two, home = await two_proxies(scene)
    away = one.raw("away.example")
    points_to(one, b"spiral.example", two)
    points_to(two, b"spiral.example", one, uri=b"sip:carol@away.example")
    home.ask("MESSAGE", "sip:bob@spiral.example")
    request = await away.next("MESSAGE")
    assert request.uri == b"sip:carol@away.example"
    assert len(request.vias) == 4
    away.answer(request, 200)
    await home.next(200)


async def test_sec07_a_loop_that_changes_the_request_uri_ends_by_max_forwards(
    scene, autojump_clock
):
    one, two, home = await two_proxies(scene)
    points_to(one, b"ping.example", two, uri=b"sip:bob@pong.example")
    points_to(two, b"pong.example", one, uri=b"sip:bob@ping.example")
    home.ask("MESSAGE", "sip:bob@ping.example", forwards=9)
    # The Request-URI is the same again after two hops: the loop is found before 9 hops are done.
    await home.next(482)
    assert two.kernel.journal.statistics().by_status() == {482: 1}


async def test_l01_a_retransmission_is_no_loop(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    request = await away.next("MESSAGE")
    home.send(asked)
    away.answer(request, 200)
    await home.next(200)
    assert 482 not in home.heard()


async def test_l01_a_forged_via_of_ours_with_another_hash_is_no_loop(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask(
        "MESSAGE",
        "sip:bob@away.example",
        "Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK1gffff",
    )
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)


async def test_p10_the_record_route_of_an_invite_carries_a_cookie(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    (route,) = (await away.next("INVITE")).get_all(b"Record-Route")
    assert route.startswith(b"<sip:" + PREFIX)
    assert route.endswith(b"@127.0.0.1:5060;lr>")
