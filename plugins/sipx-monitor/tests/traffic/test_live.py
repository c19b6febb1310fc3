"""What passes a running proxy is recorded while somebody watches, and all of it."""

from __future__ import annotations

import pytest
import trio
from sipx_monitor.traffic.live import LINGER, TICK

from sipx import Caller


@pytest.fixture
async def proxy(sipx_proxy, autojump_clock):
    """A proxy with the monitor, and a way to ask it."""
    return await sipx_proxy(monitor={"port": 0})


@pytest.fixture
def traffic(proxy):
    """What it records."""
    return proxy.plugin("monitor").traffic


@pytest.fixture
def call(traffic):
    """A control method, called by an admin."""
    from sipx import Method

    async def call(name, **params):
        function = traffic.control_methods()[f"monitor.{name}"]
        return await Method.of(f"monitor.{name}", function, "monitor").call(params, Caller("test"))

    return call


def shown(message):
    """A message in a few words."""
    what = message.status or "request"
    return (message.direction, message.method, what, message.leg, message.twin)


async def test_both_legs_of_a_request_are_recorded_and_correlated(proxy, traffic, call):
    home, far = proxy.peer("home.example"), proxy.peer("far.example")
    assert far
    with traffic.watching():
        assert (await home.request("MESSAGE", "sip:bob@far.example")).status == 200
        found = await call("messages")
    assert [shown(message) for message in found.messages] == [
        ("in", "MESSAGE", "request", 0, 2),
        ("out", "MESSAGE", "request", 1, 1),
        ("in", "MESSAGE", 200, 1, 4),
        ("out", "MESSAGE", 200, 0, 3),
    ]
    assert {message.peer for message in found.messages[:2]} == {"home.example", "far.example"}
    assert found.messages[0].trusted is True
    assert found.complete
    changes = await call("changes", seq=1)
    assert {(line.op, line.name) for line in changes.lines if line.op != "same"} == {
        ("added", "Via"),
        ("changed", "Via"),
        ("added", "Max-Breadth"),
        ("changed", "Max-Forwards"),
    }
    assert all(line.why.find("RFC") >= 0 for line in changes.lines if line.op != "same")


async def test_the_trace_of_a_request_says_why_it_went_there(proxy, traffic, call):
    home, far = proxy.peer("home.example"), proxy.peer("far.example")
    assert far
    with traffic.watching():
        await home.request("MESSAGE", "sip:bob@far.example")
        await home.request("MESSAGE", "sip:bob@nowhere.example")
        trace = await call("decision", seq=4)
        refused = await call("messages", filter="code:4xx")
        why = await call("decision", transaction=refused.messages[-1].transaction)
        by_branch = await call("decision", transaction=refused.messages[-1].branch)
    assert [step.step for step in trace.steps][:2] == ["sender", "targets"]
    assert trace.steps[-1].step == "answer"
    assert trace.complete
    assert by_branch == why
    assert any(step.step in ("refused", "answer") for step in why.steps)
    with pytest.raises(Exception, match="no message of this transaction is kept"):
        await call("decision", transaction="nothing")


async def test_a_request_that_is_sent_again_is_seen_again(proxy, traffic, call):
    home, far = proxy.peer("home.example"), proxy.peer("far.example", answers=False)
    assert far
    with traffic.watching(), trio.move_on_after(1.2):
        await home.request("OPTIONS", "sip:bob@far.example")
    found = await call("messages", filter="retrans:yes dir:out kind:request")
    assert len(found.messages) >= 1
    assert {message.twin for message in found.messages} == {1}


async def test_a_malformed_message_is_shown_with_a_mark(proxy, traffic, call):
    peer = proxy.peer("home.example")
    with traffic.watching():
        wire = await peer.carrier.wire_to(proxy.place("udp"))
        wire.send(b"OPTIONS sip:home.example SIP/2.0\r\nVia: nonsense\r\n\r\n")
        await trio.sleep(1)
        (found,) = (await call("messages", filter="malformed:yes")).messages
        text = await call("message", seq=found.seq)
    assert found.malformed
    assert found.method == "OPTIONS"
    assert text.body_note.startswith("malformed: ")
    assert "Via: nonsense" in text.text


async def test_nothing_is_recorded_while_nobody_watches(proxy, traffic, call):
    home = proxy.peer("home.example")
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    state = await call("state")
    assert (state.recording, state.why, state.kept) == (False, "off", 0)
    assert not proxy.kernel.hooks.message_traced
    with traffic.watching():
        assert len(proxy.kernel.hooks.message_traced) == 1
        assert (await call("state")).why == "watched"
    await trio.sleep(LINGER - 1)
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    await trio.sleep(1 + 2 * TICK)
    assert (await call("state")).kept == 2  # whoever turned a page has missed nothing
    assert not proxy.kernel.hooks.message_traced


async def test_recording_can_be_asked_for(proxy, traffic, call):
    home = proxy.peer("home.example")
    assert (await call("record", seconds=60)).text == "recording for 60 seconds"
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    assert (await call("state")).why == "asked"
    assert (await call("record")).text == "not recording"
    await trio.sleep(2 * TICK)
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    assert (await call("state")).kept == 2
    assert (await call("clear")).text == "2 messages forgotten"
    state = await call("state")
    assert (state.kept, state.first, state.last) == (0, 3, 2)


async def test_always_means_always(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy(monitor={"port": 0, "record": "always"})
    await trio.sleep(TICK)
    assert len(proxy.kernel.hooks.message_traced) == 1
    assert proxy.plugin("monitor").traffic.live.why == "always"


async def test_a_reload_keeps_what_was_recorded(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy(monitor={"port": 0, "record": "always"})
    await trio.sleep(TICK)
    home = proxy.peer("home.example")
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    await trio.sleep(2 * TICK)
    before = proxy.plugin("monitor")
    await proxy.reload(monitor={"port": 0, "record": "always", "keep_messages": 200})
    after = proxy.plugin("monitor")
    assert after is not before
    assert len(after.traffic.live.store) == 2
    assert after.traffic.live.store.most_messages == 200


async def test_who_follows_goes_on_through_a_reload(sipx_proxy, autojump_clock):
    from sipx_monitor.traffic.models import FollowParams

    proxy = await sipx_proxy(monitor={"port": 0})
    home = proxy.peer("home.example")
    before = proxy.plugin("monitor").traffic
    events = before.control_methods()["monitor.follow"](FollowParams(), Caller("test"))
    assert (await anext(events)).seq == 0
    await proxy.reload(monitor={"port": 0, "keep_messages": 200})
    after = proxy.plugin("monitor").traffic
    assert after is not before
    assert after.live.watchers == 1
    await home.request("MESSAGE", "sip:bob@nowhere.example")
    batch = await anext(events)
    assert [message.seq for message in batch.batch] == [1, 2]
    await events.aclose()
    assert after.live.watchers == 0
