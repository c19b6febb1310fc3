"""Two user agents without a proxy between them, over real sockets."""

from contextlib import asynccontextmanager

import pytest
import trio

from sipx.testing.asking import NoAnswerError
from sipx.testing.carriers import TcpCarrier, UdpCarrier
from sipx.testing.peer import UserAgent, running
from sipx.testing.sessions import RefusedError

CARRIERS = pytest.mark.parametrize("carrier", [UdpCarrier, TcpCarrier])
BOB = "sip:bob@b.example"


@asynccontextmanager
async def two(carrier, **options):
    alice = UserAgent("sip:alice@a.example", carrier())
    bob = UserAgent(BOB, carrier(), **options)
    with trio.fail_after(20):
        async with running(alice), running(bob):
            alice.proxy, bob.proxy = bob.place, alice.place
            yield alice, bob


@CARRIERS
async def test_a_call_is_made_and_ended_by_the_one_who_was_called(carrier):
    async with two(carrier) as (alice, bob):
        call = await alice.call(BOB)
        (answered,) = bob.dialogs.values()
        await answered.acknowledged.wait()
        assert (await call.reinvite()).status == 200
        assert (await call.request("INFO")).status == 200
        assert (await answered.hangup()).status == 200
        assert call.ended.is_set()
        assert not alice.dialogs
        assert not bob.dialogs
        assert bob.received["ACK"] == 2


@CARRIERS
async def test_a_subscription_is_refreshed_and_ended(carrier):
    async with two(carrier) as (alice, bob):
        bob.presence = "closed"
        subscription = await alice.subscribe(BOB, expires=60)
        first = await subscription.next_notify()
        assert b"<basic>closed</basic>" in first.body
        assert first.get(b"Subscription-State") == b"active;expires=60"
        assert (await subscription.refresh(120)).status == 200
        assert (await subscription.next_notify()).get(b"Subscription-State") is not None
        assert (await subscription.unsubscribe()).status == 200
        await subscription.next_notify()
        assert subscription.state == b"terminated"
        assert not alice.dialogs
        assert not bob.dialogs


@CARRIERS
async def test_what_belongs_to_no_dialog_is_answered_481(carrier):
    async with two(carrier) as (alice, _):
        call = await alice.call(BOB)
        call.dialog.remote = call.dialog.remote.replace(call.dialog.remote_tag, b"other")
        assert (await call.request("BYE")).status == 481
        assert (await call.request("NOTIFY")).status == 481


async def test_a_handler_takes_the_place_of_the_automatic_answer():
    async def busy(agent, request):
        agent.reply(request, 486)

    async with two(UdpCarrier) as (alice, bob):
        bob.on("INVITE", busy)
        with pytest.raises(RefusedError, match="486 Busy Here") as refused:
            await alice.call(BOB)
        assert refused.value.response.status == 486


async def test_an_unknown_method_is_answered_405_until_there_is_a_handler():
    async def accept(agent, request):
        agent.reply(request, 202)

    async with two(UdpCarrier) as (alice, bob):
        assert (await alice.request("FOO", BOB)).status == 405
        bob.on("FOO", accept)
        assert (await alice.request("FOO", BOB)).status == 202


async def test_a_test_may_answer_itself():
    async with two(UdpCarrier, answers=False) as (alice, bob), trio.open_nursery() as nursery:
        results = []

        async def send():
            results.append(await alice.message(BOB, "hello"))

        nursery.start_soon(send)
        request = await bob.receive("MESSAGE")
        bob.reply(request, 404)
        while not results:
            await trio.sleep(0.01)
        assert results[0].status == 404


async def test_nobody_there_is_no_answer():
    async with two(TcpCarrier) as (alice, _):
        alice.proxy = ("127.0.0.1", 1)
        with pytest.raises(NoAnswerError, match=r"127\.0\.0\.1 port 1"):
            await alice.message(BOB, "hello")


async def test_a_route_of_another_transport_is_refused():
    async with two(UdpCarrier) as (alice, _):
        call = await alice.call(BOB)
        call.dialog.route_set = (b"<sip:127.0.0.1:5060;transport=tcp;lr>",)
        with pytest.raises(NoAnswerError, match="the route wants tcp"):
            await call.hangup()


async def test_what_cannot_be_parsed_is_kept():
    async with two(UdpCarrier) as (alice, bob):
        wire = await alice.carrier.wire_to(bob.place)
        wire.send(b"nonsense\r\n\r\n")
        while not bob.malformed:
            await trio.sleep(0.01)
        assert bob.malformed == [b"nonsense\r\n\r\n"]
