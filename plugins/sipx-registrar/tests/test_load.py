"""Servers killed under load, conversations, hunting, and whatever can happen to one server."""

from __future__ import annotations

from collections import Counter

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from .test_server import Case
from .uc import HOME, Site


@pytest.fixture
async def site(sipx_proxy, nursery):
    proxy = await sipx_proxy(registrar={"store": "memory"})
    return Site(proxy, nursery)


@pytest.mark.parametrize("again", [1, 2])
async def test_killed_under_load(site, autojump_clock, again):
    berlin = site.server("berlin")
    munich = site.server("munich")
    bonn = site.server("bonn", users=["only"])
    await berlin.log_on()
    await munich.log_on()
    await bonn.log_on("only")
    answers = Counter()

    async def write(number):
        await trio.sleep(number * 0.01)
        answers[number, await site.status(f"user{number % 40}")] += 1

    async def kill():
        await trio.sleep(1.0)
        await berlin.kill()

    async with trio.open_nursery() as nursery:
        for number in range(300):
            nursery.start_soon(write, number)
        nursery.start_soon(kill)
    assert set(answers.values()) == {1}
    assert {status for _, status in answers} == {200}
    assert len(answers) == 300
    share = munich.got()
    assert share > 200
    await berlin.log_on(port=5060 + again)
    await trio.sleep(40)
    assert berlin.state == "up"
    for number in range(40):
        assert await site.status(f"user{number}") == 200
    assert 0 < munich.got() - share < 40


async def test_a_conversation_of_ours_stays_on_the_server_of_who_speaks(site, autojump_clock):
    berlin, munich, rome = (site.server(name) for name in ("berlin", "munich", "rome"))
    for one in (berlin, munich, rome):
        await one.log_on()
    before = {one.name: one.got() for one in (berlin, munich)}
    for number in range(6):
        to = f"sip:user{number}@{HOME}"
        answer = await rome.agent.message(to, "hello", sender=f"sip:alice@{HOME}")
        assert answer.status == 200
    got = [one.got() - before[one.name] for one in (berlin, munich)]
    assert sorted(got) == [0, 6]
    assert rome.got() == 0, "nothing comes back to where it came from"


async def test_one_that_is_alone_gets_482_for_what_only_it_serves(site, autojump_clock):
    berlin = site.server("berlin")
    await berlin.log_on("alice")
    answer = await berlin.agent.message(f"sip:zoe@{HOME}", "hello")
    assert answer.status == 482
    answer = await berlin.agent.message(f"sip:alice@{HOME}", "hello")
    assert answer.status == 200, "her binding has another Request-URI"


async def test_hunting_goes_on_at_404_and_stops_at_403(site, autojump_clock):
    berlin, munich = site.server("berlin"), site.server("munich")
    await berlin.log_on("alice")
    await munich.log_on()
    berlin.answers("MESSAGE", 404)
    assert await site.status("alice") == 200
    assert (berlin.got(), munich.got()) == (1, 1)
    berlin.answers("MESSAGE", 403)
    assert await site.status("alice") == 403
    assert (berlin.got(), munich.got()) == (2, 1)


EVENTS = st.lists(
    st.sampled_from(
        [
            "logs on",
            "logs on elsewhere",
            "loses one",
            "loses all",
            "answers",
            "misses",
            "busy",
            "heard",
            "time",
            "connects",
            "fails to connect",
            "logs off",
            "expires",
        ]
    ),
    max_size=40,
)


@given(EVENTS, st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_happens_in_whatever_order(events, pings):
    case = Case(pings=pings)
    server = case.server
    for event in events:
        before = server.health
        if event == "logs on":
            case.logs_on(server.ways[0].flow if server.ways else None, until=5000 + case.now + 90)
        elif event == "logs on elsewhere":
            case.logs_on(case.flow("10.0.0.12"), until=5000 + case.now + 90)
        elif event == "loses one" and server.ways:
            case.loses(server.ways[-1].flow)
        elif event == "loses all":
            for way in tuple(server.ways):
                case.loses(way.flow)
        elif event == "answers" and server.ways:
            case.answers()
        elif event == "misses" and server.ways:
            case.misses()
        elif event == "busy":
            server.refused(3, case.now)
        elif event == "heard" and server.ways:
            server.heard(case.now)
        elif event == "connects":
            server.connected(case.flow(), case.now)
        elif event == "fails to connect":
            server.could_not_connect("refused", case.now)
        elif event == "logs off" and server.ways:
            server.logged_off(server.ways[0].flow, case.now)
        elif event == "expires":
            case.now += 91
            server.forget_ended(case.now)
        elif event == "time":
            case.after(3)
        # An open connection is no sign of life: by UDP there is one to nobody, too.
        assert server.lost_at is None or not server.ways or server.state != "up"
        assert server.reason
        assert server.serves == (server.state in ("up", "suspect"))
        if server.state == "up":
            assert server.ways
        if server.health is not before:
            assert case.told[-1][1] == server.state
    case.logs_on(case.flow(port=41000))
    case.after(301)
    case.answers(5)
    assert server.state == "up", "from everywhere there is a way back"
