"""What the plugin of the demonstration makes of the messages that pass a real proxy."""

import trio

from sipx.demo.observer import Observer


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
        "udp", "tcp", None, "Good morning!",
    )  # fmt: skip
    assert answer[1:8] == (
        "dave@partner.example", "alice@home.example", "MESSAGE", 200, "home.example", "tcp", "udp",
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
    assert (answer.status, answer.inbound, answer.outbound) == (403, "", "udp")
