"""Domains that nobody has configured: discoveries of plugins, and what the kernel makes of them."""

import errno
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trio

from sipx.cookies import peer_id
from sipx.discovery import KEPT, Discoveries
from sipx.identity import Partner
from sipx.plugin import Discovered, Later, NextHop, Refuse, Target, Targets, hookimpl
from sipx.sip import Request

LOOPBACK = {"networks": ["127.0.0.0/8"]}
SLOW = "127.0.8.8"
DEAD = "127.0.7.7"


class Finds:
    """A plugin with one discovery. ``answers``: by domain what it finds, or an exception."""

    name = "finds"

    def __init__(self, proxy, answers):
        self.proxy = proxy
        self.answers = answers
        self.asked = []

    async def discover(self, domain):
        self.asked.append(domain)
        await trio.sleep(0.1)
        answer = self.answers.get(domain)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @hookimpl
    def discoveries(self):
        return [self]


def found(*places, name="found", transport="udp", lasts=10.0, now=0.0):
    hops = tuple(NextHop(host, port, transport) for host, port in places)
    target = Target(hops=hops, name=name, discovered=True, row=8)
    return Discovered(Targets(((target,),)), now + lasts)


async def with_discovery(scene, answers, name="finds", **tables):
    stage = await scene(trust=LOOPBACK, **tables)
    finds = Finds(stage.kernel, answers)
    stage.plug(name, finds)
    stage.kernel.proxy.discoveries.ask(stage.kernel.hooks.discoveries())
    return stage, finds


async def test_it_is_asked_last_and_once_until_what_it_found_expires(scene, autojump_clock):
    answers = {}
    stage, finds = await with_discovery(scene, answers)
    home, away, far = (stage.raw(f"{n}.example") for n in ("home", "away", "far"))
    far_place = far.place
    now = stage.kernel.clock()
    answers[b"other.example"] = found(far_place, now=now)
    for _ in range(3):
        home.ask("MESSAGE", "sip:bob@other.example")
        far.answer(await far.next("MESSAGE"), 200)
        await home.next(200)
    assert finds.asked == [b"other.example"]
    # Another plugin has a target for this one, and our own domain is never looked for outside.
    await stage.passes(home, away)
    home.ask("MESSAGE", "sip:nobody@127.0.0.1")
    await home.next(403)
    assert finds.asked == [b"other.example"]
    await trio.sleep(11)
    answers[b"other.example"] = found(away.place, now=stage.kernel.clock())
    home.ask("MESSAGE", "sip:bob@other.example")
    away.answer(await away.next("MESSAGE"), 200)
    await home.next(200)
    assert finds.asked == [b"other.example"] * 2
    stage.kernel.resolver.flush()
    home.ask("MESSAGE", "sip:bob@other.example")
    await away.next("MESSAGE")
    assert len(finds.asked) == 3


@pytest.mark.parametrize(
    ("answer", "status", "row", "words"),
    [
        (None, 404, 8, b"no route to domain"),
        (Refuse(403, "the domain is blocked", row=3), 403, 3, b"blocked"),
        (Refuse(504, "DNS did not answer", row=8), 504, 8, b"did not answer"),
    ],
)
async def test_what_is_not_found_is_refused_with_its_row(
    scene, autojump_clock, answer, status, row, words
):
    stage, _ = await with_discovery(scene, {b"other.example": answer})
    home = stage.raw("home.example")
    home.ask("MESSAGE", "sip:bob@other.example")
    told = await home.next(status)
    assert words in told.get(b"Warning")
    assert stage.kernel.journal.refused_for == {"no-route": 1}
    request = Request.build(b"MESSAGE", b"sip:bob@other.example", ())
    if answer is None:
        assert stage.kernel.proxy.targets.nowhere(request).row == row
    else:
        assert stage.kernel.proxy.targets.refusal(answer).row == row


async def test_without_any_federation_is_off(scene, autojump_clock):
    stage = await scene()
    home = stage.raw("home.example")
    home.ask("MESSAGE", "sip:bob@other.example")
    assert b"federation off" in (await home.next(403)).get(b"Warning")


async def test_sec01_only_requests_from_inside_are_looked_for(scene, autojump_clock):
    stage, finds = await with_discovery(scene, {})
    stranger = stage.raw("away.example")
    stranger.ask("MESSAGE", "sip:bob@other.example")
    assert b"relay" in (await stranger.next(403)).get(b"Warning")
    assert finds.asked == []


async def test_sec20_a_discovery_that_raises_denies_and_is_named(scene, autojump_clock):
    stage, _ = await with_discovery(scene, {b"other.example": ZeroDivisionError("x")})
    stage.forgive()
    home = stage.raw("home.example")
    home.ask("MESSAGE", "sip:bob@other.example")
    await home.next(500)
    assert stage.kernel.journal.faults == {"finds": 1}


# ---------------------------------------------------------------- SEC-09


async def test_sec09_addresses_that_the_dns_leads_to_are_filtered(scene, autojump_clock):
    stage = await scene()
    finds = Finds(stage.kernel, {})
    stage.plug("finds", finds)
    stage.kernel.proxy.discoveries.ask(stage.kernel.hooks.discoveries())
    home = stage.raw("home.example")
    own = stage.proxy.place("udp")
    cases = {
        "private.example": (("10.0.0.1", 5061), 403, b"a private address"),
        "loopback.example": (("127.0.2.9", 5061), 403, b"a loopback address"),
        "metadata.example": (("169.254.169.254", 5061), 403, b"metadata service"),
        "ourselves.example": (own, 482, b"this proxy itself"),
    }
    for domain, (place, status, words) in cases.items():
        finds.answers[domain.encode()] = found(place, now=stage.kernel.clock())
        for _ in range(2):  # found anew, and remembered
            home.ask("MESSAGE", f"sip:bob@{domain}")
            assert words in (await home.next(status)).get(b"Warning")


# ---------------------------------------------------------------- several hops


class Transports:
    """Makes ``connect`` of the memory transport fail, or take long, for some addresses."""

    def __init__(self, stage):
        self.tries = []
        self._transport = stage.proxy.plugin("tcp").transport
        self._connect = self._transport.connect
        self._transport.connect = self.connect

    async def connect(self, interface, hop, partner=None):
        self.tries.append((hop.address, round(trio.current_time() - self.began, 2)))
        if hop.address == SLOW:
            await trio.sleep_forever()
        if hop.address == DEAD:
            raise OSError(errno.ECONNREFUSED, "Connection refused")
        return await self._connect(interface, hop, partner)


async def test_rfc8305_two_of_three_targets_are_dead_and_the_third_serves(scene, autojump_clock):
    answers = {}
    stage, _ = await with_discovery(scene, answers)
    transports = Transports(stage)
    home = stage.raw("home.example")
    away = stage.proxy.peer("away.example", transport="tcp")
    places = ((SLOW, 5060), (DEAD, 5060), away.place)
    answers[b"other.example"] = found(*places, transport="tcp", lasts=60, now=stage.kernel.clock())
    transports.began = trio.current_time()
    home.ask("MESSAGE", "sip:bob@other.example")
    await home.next(200)
    # A second for the first alone; the one that refuses is no reason to wait for the third.
    first = transports.began + 0.1
    assert [address for address, _ in transports.tries] == [SLOW, DEAD, away.place[0]]
    assert trio.current_time() - first < 1.2
    tries = len(transports.tries)
    home.ask("MESSAGE", "sip:bob@other.example")
    began = trio.current_time()
    await home.next(200)
    assert trio.current_time() - began < 0.1
    assert len(transports.tries) == tries  # the open connection is used


async def test_sec09_one_request_knocks_at_few_doors(scene, autojump_clock):
    answers = {}
    stage, _ = await with_discovery(scene, answers)
    transports = Transports(stage)
    transports.began = trio.current_time()
    home = stage.raw("home.example")
    places = [(SLOW, 5060 + number) for number in range(40)]
    answers[b"many.example"] = found(*places, transport="tcp", now=stage.kernel.clock())
    home.ask("MESSAGE", "sip:bob@many.example")
    await home.next(504)
    assert len(transports.tries) == 4, "addresses of one host"


async def test_when_all_fail_the_failure_that_says_most_is_told(scene, autojump_clock):
    answers = {}
    stage, _ = await with_discovery(scene, answers)
    transports = Transports(stage)
    transports.began = trio.current_time()
    home = stage.raw("home.example")
    answers[b"dead.example"] = found(
        (DEAD, 5060), (DEAD, 5062), transport="tcp", now=stage.kernel.clock()
    )
    home.ask("MESSAGE", "sip:bob@dead.example")
    assert b"refused" in (await home.next(500)).get(b"Warning").lower()
    answers[b"slow.example"] = found(
        (SLOW, 5060), (SLOW, 5062), transport="tcp", now=stage.kernel.clock()
    )
    home.ask("MESSAGE", "sip:bob@slow.example")
    assert b"no connection within" in (await home.next(504)).get(b"Warning")


# ---------------------------------------------------------------- who was met


def partner(*targets, name="x.example (discovered)"):
    return Partner(name, domain=b"x.example", srv_targets=frozenset(targets), discovered=True)


def test_a_dialog_outlives_the_record_that_it_was_made_with():
    met = Discoveries((), SimpleNamespace(flushes=0), lambda: 0.0, print)
    assert met.partner(peer_id("x.example (discovered)")) is None
    old, new = partner(b"a.x.example"), partner(b"b.x.example")
    met.met(old)
    met.met(new)
    known = met.partner(peer_id(old.name))
    assert known.srv_targets == {b"a.x.example", b"b.x.example"}
    # The connections of before are found by it: its key does not depend on the records.
    assert known.key == old.key == new.key
    for number in range(KEPT):
        met.met(replace(old, name=f"{number}"))
    assert met.partner(peer_id(old.name)) is None


def test_what_is_remembered_is_bounded():
    finds = Finds(None, {})
    known = Discoveries([finds], SimpleNamespace(flushes=0), lambda: 0.0, print)

    async def ask_all():
        for number in range(KEPT + 10):
            domain = b"%d.example" % number
            finds.answers[domain] = found(("127.0.0.1", 5060))
            asked = known.targets(domain)
            assert isinstance(asked, Later)
            await known._discover(domain)
        assert isinstance(known.targets(b"0.example"), Later)
        assert isinstance(known.targets(domain), Targets)

    finds.discover = lambda domain: _now(finds.answers[domain])
    trio.run(ask_all)


async def _now(value):
    return value


async def test_what_is_found_during_a_reload_is_asked_for_again(autojump_clock):
    """Settings that are no longer would be in use for as long as the DNS says."""
    before, after = Finds(None, {b"x": found(("h", 1))}), Finds(None, {b"x": Refuse(403, "no")})
    known = Discoveries([before], SimpleNamespace(flushes=0), trio.current_time, print)
    answers = []

    async def ask():
        answers.append(await known.targets(b"x").fn())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        await trio.sleep(0.05)
        known.ask([after])
    assert [answer.why for answer in answers] == ["no"]
    assert isinstance(known.targets(b"x"), Later)
