"""The fixtures sipx_proxy and sipx_on_loopback: a real kernel, and peers on both sides of it."""

import random

import pytest
import trio

from sipx.config.errors import ConfigError
from sipx.testing.asking import NoAnswerError
from sipx.testing.proxy import start_proxy
from sipx.testing.sessions import RefusedError

TRANSPORTS = pytest.mark.parametrize("transport", ["udp", "tcp"])


async def meet(home, away):
    """All that two domains do with each other, through whatever is between them."""
    assert (await away.message("sip:bob@home.example", "hello")).status == 200
    subscription = await home.subscribe("sip:carol@away.example")
    assert b">open<" in (await subscription.next_notify()).body
    await away_notifies(away)
    assert (await subscription.next_notify()).body == b"changed"
    assert (await subscription.unsubscribe()).status == 200
    assert (await subscription.next_notify()).get(b"Subscription-State") is not None
    call = await away.call("sip:bob@home.example")
    assert call.dialog.route_set
    with trio.fail_after(5):
        (answered,) = home.dialogs.values()
        await answered.acknowledged.wait()
    assert (await answered.hangup()).status == 200
    assert call.ended.is_set()
    assert not home.dialogs
    assert not away.dialogs


async def away_notifies(away):
    (notifier,) = away.dialogs.values()
    assert (await notifier.notify(b"changed")).status == 200


@TRANSPORTS
async def test_messages_subscriptions_and_calls_pass_in_memory(
    sipx_proxy, autojump_clock, transport
):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example", transport=transport)
    away = proxy.peer("away.example", transport=transport)
    await meet(home, away)
    bye = await away.receive("BYE")
    assert len(bye.vias) == 2


async def test_transports_can_be_mixed(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    await meet(
        proxy.peer("home.example", transport="tcp"), proxy.peer("away.example", transport="udp")
    )


@TRANSPORTS
async def test_messages_subscriptions_and_calls_pass_on_loopback(sipx_on_loopback, transport):
    proxy = await sipx_on_loopback()
    home = await proxy.open_peer("home.example", transport=transport)
    away = await proxy.open_peer("away.example", transport=transport)
    with trio.fail_after(20):
        await meet(home, away)


async def test_a_scripted_peer_answers_when_the_test_says_so(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example", answers=False)
    away = proxy.peer("away.example")
    invitation = await away.invite("sip:bob@home.example")
    request = await home.receive("INVITE")
    home.reply(request, 183)
    assert (await invitation.ringing()).status == 183
    home.reply(request, 486)
    with pytest.raises(RefusedError, match="486 Busy Here"):
        await invitation.answered()
    await trio.sleep(60)
    with pytest.raises(LookupError, match="INVITE has been answered"):
        home.reply(request, 200)


async def test_a_call_can_be_cancelled_while_it_rings(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example")
    home.ring = 10
    invitation = await proxy.peer("away.example").invite("sip:bob@home.example")
    assert (await invitation.ringing()).status == 180
    invitation.cancel()
    assert (await invitation.final()).status == 487
    await trio.sleep(20)
    assert home.received["CANCEL"] == 1
    assert not home.dialogs


async def test_what_is_lost_is_sent_again(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home, away = proxy.peer("home.example"), proxy.peer("away.example")
    rng = random.Random(7)
    proxy.network.lose = lambda data, source, to: rng.random() < 0.25
    await meet(home, away)
    assert home.received["MESSAGE"] == 1


async def test_a_peer_without_a_route_is_unknown(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    proxy.peer("home.example")
    stranger = proxy.peer("stranger.example", routed=False)
    assert (await stranger.message("sip:bob@home.example", "hello")).status == 403


async def test_a_domain_without_a_peer_is_not_found(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example")
    assert (await home.message("sip:bob@nowhere.example", "hello")).status == 403


async def test_a_silent_peer_leaves_a_message_without_answer(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example", answers=False)
    with pytest.raises(NoAnswerError, match="nobody answered in time"):
        await proxy.peer("away.example").message("sip:bob@home.example", "hello")
    assert home.received["MESSAGE"] == 1


async def test_static_routes_work_on_the_network_in_memory(sipx_proxy, autojump_clock):
    home = {"server": "127.0.1.1", "port": 5060, "trusted": True}
    away = {"server": "127.0.1.2", "port": 5060, "trusted": True}
    proxy = await sipx_proxy(
        **{"static-routes": {"route": {"home.example": home, "away.example": away}}}
    )
    await meet(proxy.peer("home.example", routed=False), proxy.peer("away.example", routed=False))


async def test_a_wrong_table_is_refused_as_sipx_run_would(sipx_proxy):
    with pytest.raises(ConfigError, match=r"sipx\.toml:\d+:\d+: udp\.bufer: unknown key"):
        await sipx_proxy(udp={"bufer": 1})


async def test_a_proxy_stops_in_order(sipx_proxy, autojump_clock):
    proxy = await sipx_proxy()
    home = proxy.peer("home.example")
    assert (await home.request("OPTIONS", "sip:127.0.0.1:5060")).status == 200
    await proxy.stop()
    assert not list(proxy.kernel.flows)


BROKEN = """
from sipx import Config, hookimpl

class Broken:
    Config = Config

    def __init__(self, config, proxy):
        pass

    @hookimpl
    def validate_request(self, request, flow):
        raise ZeroDivisionError

    @hookimpl
    def services(self):
        return []
"""

SERVICE = """
    async def serve(self, *, task_status):
        task_status.started()
        raise ZeroDivisionError("served")
"""


async def run(directory, plugin):
    async with trio.open_nursery() as nursery:
        proxy = await start_proxy(nursery, directory, plugins=[plugin], tables={})
        await proxy.peer("away.example").message("sip:bob@home.example", "hello")
        nursery.cancel_scope.cancel()


async def test_a_fault_of_a_plugin_ends_the_run(install, tmp_path, autojump_clock):
    install("sipx-broken", {"broken": "sipx_broken:Broken"}, sipx_broken=BROKEN)
    with pytest.raises(BaseExceptionGroup) as caught:
        await run(tmp_path, "broken")
    assert caught.group_contains(BaseException, match="plugin broken failed in validate_request")


async def test_a_service_that_fails_ends_the_run(install, tmp_path, autojump_clock):
    source = BROKEN.replace("raise ZeroDivisionError", "return None")
    source = source.replace("return []", "return [self.serve]") + SERVICE
    install("sipx-worse", {"worse": "sipx_worse:Broken"}, sipx_worse=source)
    with pytest.raises(BaseExceptionGroup) as caught:
        await run(tmp_path, "worse")
    assert caught.group_contains(ZeroDivisionError, match="served")
