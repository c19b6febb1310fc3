"""What the plugin of the demonstration makes of the messages that pass a real proxy."""

from types import SimpleNamespace

import trio

from sipx.demo.observer import Observer
from sipx.events import Direction
from sipx.testing.dialog import new_request


async def watched(sipx_proxy):
    proxy = await sipx_proxy()
    observer = Observer(trio.current_time, lambda: 1e9)
    proxy.kernel.hooks.register("demo", observer)
    home = proxy.peer("home.example", transport="udp", user="alice")
    partner = proxy.peer("partner.example", transport="tcp", user="dave")
    return observer, home, partner


async def test_a_message_and_its_answer_are_two_passages(sipx_proxy, autojump_clock):
    observer, home, _ = await watched(sipx_proxy)
    await home.message("sip:dave@partner.example", "Good morning!")
    request, answer = observer.take()
    assert request[1:] == (
        "alice@home.example", "dave@partner.example", "MESSAGE", 0, "partner.example",
        ("udp", "tcp"), None, "Good morning!",
    )  # fmt: skip
    assert answer[1:7] == (
        "dave@partner.example", "alice@home.example", "MESSAGE", 200, "home.example",
        ("tcp", "udp"),
    )  # fmt: skip
    assert answer.round_trip >= 0
    assert observer.take() == []


async def test_a_call_shows_each_step_once(sipx_proxy, autojump_clock):
    observer, home, partner = await watched(sipx_proxy)
    partner.ring = 2.0
    call = await home.call("sip:dave@partner.example")
    await call.hangup()
    passed = observer.take()
    steps = [(passage.method, passage.status) for passage in passed]
    assert steps == [
        ("INVITE", 0), ("INVITE", 180), ("INVITE", 200), ("ACK", 0), ("BYE", 0), ("BYE", 200),
    ]  # fmt: skip
    assert passed[1].round_trip is None
    assert 2.0 <= passed[2].round_trip < 2.5


async def test_what_the_proxy_refuses_is_shown_as_its_own_answer(sipx_proxy, autojump_clock):
    observer, home, _ = await watched(sipx_proxy)
    await home.message("sip:x@nowhere.example", "hello")
    (answer,) = observer.take()
    assert (answer.status, answer.way) == (403, ("", "udp"))


def traced(observer, message, *steps):
    """The steps of a message: in or out, and over which transport."""
    for step in steps:
        way, _, transport = step.partition(" ")
        flow = SimpleNamespace(transport=transport, account="")
        observer.message_traced(message, flow, Direction[way.upper()])


def test_what_passes_two_proxies_is_one_passage_on_its_whole_way():
    observer = Observer(lambda: 1.0, lambda: 1e9)
    request = new_request(
        b"MESSAGE",
        b"sip:dave@partner.example",
        from_=b"<sip:alice@home.example>;tag=a",
        to=b"<sip:dave@partner.example>",
        call_id=b"1",
        cseq=1,
        body=b"Good morning!",
    )
    traced(observer, request, "in tcp", "out mtls", "in mtls", "out tcp")
    (passage,) = observer.take()
    assert (passage.way, passage.note) == (("tcp", "mtls", "tcp"), "Good morning!")
    traced(observer, request.reply(100), "in tcp", "out mtls", "in mtls", "out tcp")
    assert observer.take() == []
    traced(observer, request.reply(200), "in tcp", "out mtls", "in mtls", "out tcp")
    (passage,) = observer.take()
    assert (passage.way, passage.round_trip) == (("tcp", "mtls", "tcp"), 0.0)


def test_the_answer_of_the_second_proxy_itself_begins_nowhere():
    observer = Observer(lambda: 1.0, lambda: 1e9)
    request = new_request(
        b"MESSAGE",
        b"sip:carol@home.example",
        from_=b"<sip:frank@partner.example>;tag=a",
        to=b"<sip:carol@home.example>",
        call_id=b"1",
        cseq=1,
    )
    traced(observer, request, "in tcp", "out mtls", "in mtls")
    traced(observer, request.reply(480), "out mtls", "in mtls", "out tcp")
    (passage,) = observer.take()
    assert (passage.status, passage.way) == (480, ("", "mtls", "tcp"))


def test_a_stranger_who_comes_over_mtls_himself_gets_his_answer_there():
    observer = Observer(lambda: 1.0, lambda: 1e9)
    request = new_request(
        b"MESSAGE",
        b"sip:alice@home.example",
        from_=b"<sip:dave@partner.example>;tag=a",
        to=b"<sip:alice@home.example>",
        call_id=b"1",
        cseq=1,
    )
    traced(observer, request, "in mtls")
    traced(observer, request.reply(403), "out mtls")
    (passage,) = observer.take()
    assert (passage.status, passage.way) == (403, ("", "mtls"))
