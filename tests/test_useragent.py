"""Requests of the proxy's own, as plugins send them (RFC 3261 §8.1)."""

import pytest
import trio

from sipx.handle import PluginHandle
from sipx.plugin import NextHop, SendError, Target
from sipx.sip import Request

FROM = (b"From", b"<sip:proxy@home.example>;tag=p")


def options(*headers, method=b"OPTIONS"):
    return Request.build(
        method, b"sip:away.example", [FROM, (b"To", b"<sip:away.example>"), *headers]
    )


class Asking:
    """A request of a plugin under way."""

    def __init__(self, stage, nursery, request, target):
        self.response = None
        self.error = None
        self.done = trio.Event()
        self.began = trio.current_time()
        self._handle = PluginHandle(stage.kernel, "lab")
        nursery.start_soon(self._ask, request, target)

    async def _ask(self, request, target):
        try:
            self.response = await self._handle.send_request(request, target)
        except SendError as error:
            self.error = error
        self.took = trio.current_time() - self.began
        self.done.set()


async def test_a_request_gets_all_that_every_request_must_have(scene, nursery, autojump_clock):
    stage = await scene()
    away = stage.raw("away.example")
    asking = Asking(stage, nursery, options(), stage.target(away))
    request = await away.next("OPTIONS")
    assert request.get(b"Max-Forwards") == b"70"
    assert request.cseq.number == 1
    assert request.cseq.method == b"OPTIONS"
    assert request.call_id
    assert len(request.vias) == 1
    assert request.branch.startswith(b"z9hG4bK")
    assert request.get(b"Contact") == b"<sip:127.0.0.1:5060>"
    away.answer(request, 200)
    await asking.done.wait()
    assert asking.response.status == 200


async def test_a_contact_stands_only_where_it_may(scene, nursery, autojump_clock):
    stage = await scene(wan={"use_public_address": True, "public_address": "198.51.100.7"})
    away = stage.raw("away.example")
    for method, more, expected in (
        (b"OPTIONS", (), b"<sip:198.51.100.7:5060>"),
        (b"OPTIONS", ((b"Contact", b"<sip:mine>"),), b"<sip:mine>"),
        (b"MESSAGE", (), None),
    ):
        Asking(stage, nursery, options(*more, method=method), stage.target(away))
        request = await away.next(method.decode())
        assert request.get(b"Contact") == expected
        away.answer(request, 200)


async def test_what_the_plugin_has_set_stays(scene, nursery, autojump_clock):
    stage = await scene()
    away = stage.raw("away.example")
    given = options((b"Max-Forwards", b"1"), (b"Call-ID", b"mine"), (b"CSeq", b"7 OPTIONS"))
    Asking(stage, nursery, given, stage.target(away, uri=b"sip:ping@away.example"))
    request = await away.next("OPTIONS")
    assert request.uri == b"sip:ping@away.example"
    assert (request.get(b"Max-Forwards"), request.call_id) == (b"1", b"mine")
    assert request.cseq.number == 7


async def test_provisional_responses_are_not_the_answer(scene, nursery, autojump_clock):
    stage = await scene()
    away = stage.raw("away.example")
    asking = Asking(stage, nursery, options(), stage.target(away))
    request = await away.next("OPTIONS")
    away.answer(request, 100)
    await trio.sleep(1)
    assert not asking.done.is_set()
    away.answer(request, 404)
    await asking.done.wait()
    assert asking.response.status == 404


async def test_d03_a_503_leads_to_the_next_hop(scene, nursery, autojump_clock):
    stage = await scene()
    one, two = stage.raw("one.example"), stage.raw("two.example")
    asking = Asking(stage, nursery, options(), stage.target(one, two))
    first = await one.next("OPTIONS")
    one.answer(first, 503)
    second = await two.next("OPTIONS")
    assert second.branch != first.branch
    assert len(second.vias) == 1
    two.answer(second, 200)
    await asking.done.wait()
    assert asking.response.status == 200


async def test_when_all_hops_say_503_that_is_the_error(scene, nursery, autojump_clock):
    stage = await scene()
    one = stage.raw("one.example")
    asking = Asking(stage, nursery, options(), stage.target(one))
    one.answer(await one.next("OPTIONS"), 503)
    await asking.done.wait()
    assert asking.error.status == 503


async def test_silence_is_a_408_after_timer_f(scene, nursery, autojump_clock):
    stage = await scene()
    asking = Asking(stage, nursery, options(), stage.target(stage.raw("away.example")))
    await asking.done.wait()
    assert asking.error.status == 408
    assert 32 <= asking.took < 32.2


async def test_a_refused_connection_is_a_503_at_once(scene, nursery, autojump_clock):
    stage = await scene()
    target = Target(hops=(NextHop("127.0.9.9", 5060, "tcp"),))
    asking = Asking(stage, nursery, options(), target)
    await asking.done.wait()
    assert asking.error.status == 503
    assert "Connection refused" in str(asking.error)
    assert asking.took < 0.1


async def test_p17_a_connection_that_breaks_is_a_503(scene, nursery, autojump_clock):
    stage = await scene()
    away = stage.proxy.peer("away.example", transport="tcp", answers=False)
    asking = Asking(stage, nursery, options(), stage.target(away, transport="tcp"))
    await away.receive("OPTIONS")
    (flow,) = stage.kernel.flows
    flow.close("cut by the test")
    await asking.done.wait()
    assert asking.error.status == 503


async def test_x03_the_refusal_of_an_invite_of_our_own_is_acknowledged(
    scene, nursery, autojump_clock
):
    stage = await scene()
    away = stage.raw("away.example")
    asking = Asking(stage, nursery, options(method=b"INVITE"), stage.target(away))
    invite = await away.next("INVITE")
    away.answer(invite, 486)
    ack = await away.next("ACK")
    assert ack.branch == invite.branch
    await asking.done.wait()
    assert asking.response.status == 486


async def test_requests_of_our_own_leave_nothing_behind(scene, nursery, autojump_clock):
    stage = await scene()
    away = stage.raw("away.example")
    for status in (200, 404, 503):
        asking = Asking(stage, nursery, options(), stage.target(away))
        away.answer(await away.next("OPTIONS"), status)
        await asking.done.wait()
    await trio.sleep(40)
    assert stage.kernel.transactions.clients == {}
    assert stage.kernel.timers.pending() == 0


@pytest.mark.parametrize("attribute", ["config", "domains", "flows", "resolver", "random"])
async def test_a_plugin_holds_the_kernel_only_by_its_handle(scene, autojump_clock, attribute):
    stage = await scene()
    assert getattr(PluginHandle(stage.kernel, "lab"), attribute) is not None
    assert PluginHandle(stage.kernel, "lab").state_dir.is_dir()
    assert PluginHandle(stage.kernel, "lab").now() == stage.kernel.clock()
