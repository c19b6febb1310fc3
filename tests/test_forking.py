"""Forking: response contexts, best responses, CANCEL and Timer C (RFC 3261 §16.6 to §16.10)."""

import itertools

import pytest
import trio

from sipx.forking import best_response, merge_challenges
from sipx.plugin import Targets
from sipx.sip import Request

REQUEST = Request.build(
    b"INVITE",
    b"sip:a@b.example",
    [
        (b"Via", b"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx"),
        (b"From", b"<sip:x@y.example>;tag=1"),
        (b"To", b"<sip:a@b.example>"),
        (b"Call-ID", b"c"),
        (b"CSeq", b"1 INVITE"),
    ],
)


async def fork_of_three(scene):
    stage = await scene()
    home = stage.raw("home.example")
    peers = [stage.raw(f"{name}.example") for name in "abc"]
    stage.fork("fork.example", peers)
    return stage, home, peers


# ---------------------------------------------------------------- P-15 best response

BEST = [
    # what the branches answered, and which one goes back (before a 503 becomes a 500)
    ((404,), 404),
    ((404, 486), 404),
    ((486, 404), 486),
    ((404, 302), 302),
    ((302, 404), 302),
    ((302, 301), 302),
    ((500, 404), 404),
    ((404, 500), 404),
    ((500, 302), 302),
    ((500, 501), 500),
    ((501, 500), 501),
    ((503,), 503),
    ((503, 503), 503),
    ((503, 500), 500),
    ((500, 503), 500),
    ((503, 504), 504),
    ((504, 503), 504),
    ((503, 404), 404),
    ((503, 302), 302),
    ((503, 603), 603),
    ((603, 404), 603),
    ((404, 603), 603),
    ((600, 302), 600),
    ((302, 606), 606),
    ((604, 603), 604),
    ((603, 604), 603),
    ((404, 401), 401),
    ((401, 404), 401),
    ((404, 407), 407),
    ((404, 415), 415),
    ((404, 420), 420),
    ((404, 484), 484),
    ((400, 484), 484),
    ((486, 480, 415), 415),
    ((407, 401), 407),
    ((401, 407), 401),
    ((415, 407), 415),
    ((401, 302), 302),
    ((407, 500), 407),
    ((407, 603), 603),
    ((408, 480), 408),
    ((480, 408), 480),
    ((487, 486), 487),
    ((500, 404, 302), 302),
    ((503, 500, 404), 404),
    ((503, 503, 500), 500),
    ((404, 410, 603), 603),
    ((484, 404, 503, 500), 484),
]


@pytest.mark.parametrize(("given", "best"), BEST, ids=lambda v: str(v))
def test_p15_the_best_of_several_responses_goes_back(given, best):
    responses = [REQUEST.reply(status) for status in given]
    assert best_response(responses).status == best
    assert len(BEST) >= 40


@pytest.mark.parametrize("given", list(itertools.permutations((404, 503, 603))), ids=str)
async def test_p15_a_6xx_wins_in_whatever_order_the_branches_answer(scene, autojump_clock, given):
    _stage, home, peers = await fork_of_three(scene)
    home.ask("MESSAGE", "sip:bob@fork.example")
    for peer, status in zip(peers, given, strict=True):
        peer.answer(await peer.next("MESSAGE"), status)
    assert (await home.next(603)).status == 603
    await trio.sleep(5)
    assert home.heard() == []


async def test_p15_a_6xx_cancels_the_other_branches_of_an_invite(scene, autojump_clock):
    _stage, home, (a, b, c) = await fork_of_three(scene)
    home.ask("INVITE", "sip:bob@fork.example")
    invites = [await peer.next("INVITE") for peer in (a, b, c)]
    b.answer(invites[1], 180)
    c.answer(invites[2], 180)
    a.answer(invites[0], 603)
    for peer, invite in ((b, invites[1]), (c, invites[2])):
        peer.answer(await peer.next("CANCEL"), 200)
        assert 603 not in home.heard()
        peer.answer(invite, 487)
    await home.next(603)
    assert [peer.heard()[-1] for peer in (a, b, c)] == ["ACK"] * 3


async def test_p15_a_200_that_crosses_a_6xx_still_wins(scene, autojump_clock):
    _stage, home, (a, b, c) = await fork_of_three(scene)
    home.ask("INVITE", "sip:bob@fork.example")
    invites = [await peer.next("INVITE") for peer in (a, b, c)]
    c.answer(invites[2], 486)
    b.answer(invites[1], 180)
    a.answer(invites[0], 603)
    await b.next("CANCEL")
    b.answer(invites[1], 200)
    await home.next(200)
    assert 603 not in home.heard()


async def test_p15_a_503_from_downstream_becomes_a_500(scene, autojump_clock):
    _stage, home, peers = await fork_of_three(scene)
    home.ask("MESSAGE", "sip:bob@fork.example")
    for peer in peers:
        peer.answer(await peer.next("MESSAGE"), 503, (b"Retry-After", b"3600"))
    answer = await home.next(500)
    assert answer.get(b"Retry-After") is None


# ---------------------------------------------------------------- P-16 challenges


def test_p16_all_challenges_are_merged_and_nothing_else():
    first, second, third = REQUEST.reply(401), REQUEST.reply(407), REQUEST.reply(404)
    first.add(b"WWW-Authenticate", b'Digest realm="one"')
    second.add(b"Proxy-Authenticate", b'Digest realm="two"')
    second.add(b"Proxy-Authenticate", b'Digest realm="three"')
    third.add(b"WWW-Authenticate", b'Digest realm="never"')
    merged = merge_challenges(first, [third, first, second])
    assert merged.get_all(b"WWW-Authenticate") == [b'Digest realm="one"']
    assert merged.get_all(b"Proxy-Authenticate") == [
        b'Digest realm="two"',
        b'Digest realm="three"',
    ]


async def test_p16_the_challenges_of_two_branches_both_arrive(scene, autojump_clock):
    _stage, home, (a, b, c) = await fork_of_three(scene)
    home.ask("MESSAGE", "sip:bob@fork.example")
    a.answer(await a.next("MESSAGE"), 401, (b"WWW-Authenticate", b'Digest realm="a"'))
    b.answer(await b.next("MESSAGE"), 407, (b"Proxy-Authenticate", b'Digest realm="b"'))
    c.answer(await c.next("MESSAGE"), 404)
    answer = await home.next(401)
    assert answer.get_all(b"WWW-Authenticate") == [b'Digest realm="a"']
    assert answer.get_all(b"Proxy-Authenticate") == [b'Digest realm="b"']


# ---------------------------------------------------------------- P-14 responses


async def test_p14_provisional_and_2xx_responses_pass_at_once_and_100_never(scene, autojump_clock):
    _stage, home, (a, b, c) = await fork_of_three(scene)
    home.ask("INVITE", "sip:bob@fork.example", via="Via: SIP/2.0/UDP 127.0.2.1;branch=z9hG4bKme")
    invites = [await peer.next("INVITE") for peer in (a, b, c)]
    assert len({invite.branch for invite in invites}) == 3
    for peer, invite in zip((a, b, c), invites, strict=True):
        peer.answer(invite, 100)
    await trio.sleep(0.15)
    assert home.heard() == []  # our own comes after 200 ms
    a.answer(invites[0], 183, tag=b"a")
    progress = await home.next(183)
    assert progress.encode().count(b"\r\nVia: ") == 1
    assert b"branch=z9hG4bKme\r\n" in progress.encode()
    b.answer(invites[1], 200, tag=b"b")
    assert (await home.next(200)).to.tag == b"b"
    for peer in (a, c):
        peer.answer(await peer.next("CANCEL"), 200)
    c.answer(invites[2], 200, tag=b"c")  # its CANCEL came too late
    assert (await home.next(200)).to.tag == b"c"
    a.answer(invites[0], 487, tag=b"a")
    await a.next("ACK")
    await trio.sleep(40)
    assert home.heard() == []


async def test_p14_only_the_first_2xx_of_a_message_goes_back(scene, autojump_clock):
    _stage, home, (a, b, c) = await fork_of_three(scene)
    home.ask("MESSAGE", "sip:bob@fork.example")
    requests = [await peer.next("MESSAGE") for peer in (a, b, c)]
    a.answer(requests[0], 200, tag=b"a")
    b.answer(requests[1], 202, tag=b"b")
    c.answer(requests[2], 603)
    await trio.sleep(5)
    assert home.heard() == [200]


@pytest.mark.parametrize("alteration", ["branch", "method", "sent-by", "hop"])
async def test_p14_a_response_that_matches_no_branch_is_dropped(scene, autojump_clock, alteration):
    stage, home, (a, b, _c) = await fork_of_three(scene)
    home.ask("MESSAGE", "sip:bob@fork.example")
    request = await a.next("MESSAGE")
    data = request.reply(200, to_tag=b"far").encode()
    sender = a
    if alteration == "branch":
        data = data.replace(request.branch, request.branch[:-1] + b"!", 1)
    elif alteration == "method":
        data = data.replace(b"CSeq: 1 MESSAGE", b"CSeq: 1 INVITE")
    elif alteration == "sent-by":
        data = data.replace(b"UDP 127.0.0.1:5060", b"UDP 192.0.2.9:5060", 1)
    else:
        sender = b
    assert data != request.reply(200, to_tag=b"far").encode() or sender is b
    sender.send(data)
    await trio.sleep(0.1)
    assert home.heard() == []
    assert stage.kernel.transactions.strays == 1
    a.answer(request, 200)
    await home.next(200)


# ---------------------------------------------------------------- P-18 CANCEL


async def test_p18_a_cancel_before_any_provisional_response_waits_for_one(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    home.within(asked, "CANCEL")
    await home.next(200)
    await trio.sleep(0.3)
    assert "CANCEL" not in away.heard()
    away.answer(invite, 100)
    cancel = await away.next("CANCEL")
    assert cancel.branch == invite.branch
    assert cancel.lines[cancel.layout.via] == invite.lines[invite.layout.via]
    assert cancel.uri == invite.uri
    assert cancel.cseq_number == invite.cseq_number
    away.answer(cancel, 200)
    away.answer(invite, 487)
    await home.next(487)
    ack = await away.next("ACK")
    assert ack.branch == invite.branch  # P-11


async def test_p18_a_cancel_after_ringing_goes_on_at_once_and_only_once(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    await home.next(180)
    home.within(asked, "CANCEL")
    home.within(asked, "CANCEL")
    away.answer(await away.next("CANCEL"), 200)
    away.answer(invite, 180)
    await trio.sleep(0.1)
    assert away.heard() == []
    away.answer(invite, 487)
    await home.next(487)


async def test_p18_a_cancel_that_nobody_answers_ends_the_invite_with_487(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 180)
    await home.next(180)
    home.within(asked, "CANCEL")
    cancelled = trio.current_time()
    await home.next(487)
    assert 32 <= trio.current_time() - cancelled < 32.2


async def test_p18_a_200_that_crosses_the_cancel_makes_the_call(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    home.within(asked, "CANCEL")
    await away.next("CANCEL")
    away.answer(invite, 200)
    assert (await home.next(200)).cseq.method == b"CANCEL"
    assert (await home.next(200)).cseq.method == b"INVITE"


async def test_p18_a_cancel_for_nothing_is_answered_481(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("CANCEL", "sip:bob@away.example")
    await home.next(481)
    assert away.heard() == []


async def test_p18_a_cancel_after_the_final_response_changes_nothing(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("INVITE", "sip:bob@away.example")
    away.answer(await away.next("INVITE"), 486)
    await home.next(486)
    home.within(asked, "CANCEL")
    await home.next(200)
    await trio.sleep(1)
    assert away.heard() == ["ACK"]


@pytest.mark.parametrize("known", [True, False])
async def test_p18_a_cancel_from_another_hop_is_answered_481(scene, autojump_clock, known):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    other = stage.raw("other.example", routed=known)
    asked = home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    away.answer(invite, 180)
    await home.next(180)
    # The other hop knows the whole INVITE, Via and all; only its own address it cannot change.
    other.within(asked.replace(b";branch=", b";rport;branch="), "CANCEL")
    await other.next(481)
    await trio.sleep(1)
    assert away.heard() == []
    away.answer(invite, 200)
    await home.next(200)


async def test_p18_a_cancel_of_a_message_changes_nothing(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    asked = home.ask("MESSAGE", "sip:bob@away.example")
    message = await away.next("MESSAGE")
    home.within(asked, "CANCEL")
    await home.next(481)  # RFC 3261 §9.1: CANCEL is for INVITE
    away.answer(message, 200)
    await home.next(200)
    assert away.heard() == []


async def test_p18_a_cancel_stops_the_search_through_further_groups(scene, autojump_clock):
    stage = await scene()
    home, first, second = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.fork("fork.example", [first], [second])
    asked = home.ask("INVITE", "sip:bob@fork.example")
    invite = await first.next("INVITE")
    first.answer(invite, 180)
    home.within(asked, "CANCEL")
    await first.next("CANCEL")
    first.answer(invite, 487)
    await home.next(487)
    await trio.sleep(5)
    assert second.heard() == []


async def test_p18_a_branch_that_still_looks_for_its_hop_is_never_sent_once_cancelled(
    scene, autojump_clock
):
    stage = await scene()
    home, fast = stage.raw("home.example"), stage.raw("fast.example")
    slow = stage.proxy.peer("slow.example", transport="tcp", answers=False)
    transport = stage.proxy.plugin("tcp").transport
    connect = transport.connect

    async def late(interface, address, port):
        await trio.sleep(2)
        return await connect(interface, address, port)

    transport.connect = late
    targets = (stage.target(fast), stage.target(slow, transport="tcp"))
    stage.lab.targets[b"fork.example"] = Targets((targets,))
    asked = home.ask("INVITE", "sip:bob@fork.example")
    invite = await fast.next("INVITE")
    fast.answer(invite, 180)
    home.within(asked, "CANCEL")
    await fast.next("CANCEL")
    fast.answer(invite, 487)
    await home.next(487)
    await trio.sleep(5)
    assert slow.received["INVITE"] == 0


# ---------------------------------------------------------------- P-13 Timer C


async def test_p13_ringing_every_100_seconds_keeps_an_invite_alive(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    for _ in range(10):
        away.answer(invite, 180)
        await home.next(180)
        await trio.sleep(100)
    assert "CANCEL" not in away.heard()
    away.answer(invite, 200)
    await home.next(200)


async def test_p13_silence_after_ringing_brings_a_cancel_and_a_408(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    await trio.sleep(1)
    away.answer(invite, 180)
    await home.next(180)
    rang = trio.current_time()
    await trio.sleep(180)
    assert away.heard().count("CANCEL") == 0
    await away.next("CANCEL")
    await home.next(408)
    assert 180 < trio.current_time() - rang <= 185.2


async def test_p13_a_100_does_not_reset_timer_c(scene, autojump_clock):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("INVITE", "sip:bob@away.example")
    invite = await away.next("INVITE")
    began = trio.current_time()
    away.answer(invite, 100)
    await trio.sleep(150)
    away.answer(invite, 100)
    await away.next("CANCEL")
    assert trio.current_time() - began <= 185.3


# ---------------------------------------------------------------- forking


async def test_p08_two_targets_are_asked_one_after_the_other(scene, autojump_clock):
    stage = await scene()
    home, first, second = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.fork("fork.example", [first], [second])
    home.ask("MESSAGE", "sip:bob@fork.example")
    request = await first.next("MESSAGE")
    await trio.sleep(0.2)
    assert second.heard() == []
    first.answer(request, 404)
    second.answer(await second.next("MESSAGE"), 200)
    assert (await home.next(200)).status == 200
    assert home.heard() == []


async def test_p14_a_6xx_ends_the_search_through_further_groups(scene, autojump_clock):
    stage = await scene()
    home, first, second = (stage.raw(f"{name}.example") for name in ("home", "one", "two"))
    stage.fork("fork.example", [first], [second])
    home.ask("INVITE", "sip:bob@fork.example")
    first.answer(await first.next("INVITE"), 603)
    await home.next(603)
    await trio.sleep(1)
    assert second.heard() == []


@pytest.mark.parametrize(
    ("asked", "each"), [("", b"20"), ("Max-Breadth: 9", b"3"), ("Max-Breadth: 600", b"20")]
)
async def test_l02_parallel_branches_share_the_max_breadth(scene, autojump_clock, asked, each):
    _, home, peers = await fork_of_three(scene)
    home.ask("INVITE", "sip:bob@fork.example", *([asked] if asked else []))
    invites = [await peer.next("INVITE") for peer in peers]
    assert [invite.get(b"Max-Breadth") for invite in invites] == [each] * 3


async def test_l02_a_fork_of_three_with_a_max_breadth_of_two_is_tried_serially(
    scene, autojump_clock
):
    _, home, peers = await fork_of_three(scene)
    home.ask("INVITE", "sip:bob@fork.example", "Max-Breadth: 2")
    for peer in peers:
        invite = await peer.next("INVITE")
        await trio.sleep(0.1)
        assert int(invite.get(b"Max-Breadth")) <= 2
        assert not any("INVITE" in other.heard() for other in peers)
        peer.answer(invite, 404)
    await home.next(404)


@pytest.mark.parametrize(("asked", "sent"), [("7", b"7"), ("60", b"60"), ("61", b"60")])
async def test_l02_a_single_branch_keeps_the_max_breadth(scene, autojump_clock, asked, sent):
    stage = await scene()
    home, away = stage.raw("home.example"), stage.raw("away.example")
    home.ask("MESSAGE", "sip:bob@away.example", f"Max-Breadth: {asked}")
    assert (await away.next("MESSAGE")).get(b"Max-Breadth") == sent


@pytest.mark.parametrize("method", ["SUBSCRIBE", "PUBLISH"])
async def test_e03_a_subscription_is_hunted_serially_never_forked(scene, autojump_clock, method):
    _, home, peers = await fork_of_three(scene)
    home.ask(method, "sip:bob@fork.example", "Event: presence", "Expires: 600")
    for number, (peer, status) in enumerate(zip(peers, (404, 480, 200), strict=True)):
        request = await peer.next(method)
        await trio.sleep(0.1)
        assert all(other.heard() == [] for other in peers[number:])
        peer.answer(request, status)
    await home.next(200)
    assert home.heard() == []


@pytest.mark.parametrize("status", [200, 202, 401, 407, 403, 489, 603])
async def test_e03_the_hunt_ends_where_somebody_decides(scene, autojump_clock, status):
    _, home, peers = await fork_of_three(scene)
    home.ask("SUBSCRIBE", "sip:bob@fork.example", "Event: presence")
    peers[0].answer(await peers[0].next("SUBSCRIBE"), status)
    await home.next(status)
    await trio.sleep(1)
    assert [peer.heard() for peer in peers[1:]] == [[], []]
