"""What the charts show: rates and levels, a sample a second, bounded."""

from __future__ import annotations

import pytest
import trio
from sipx_monitor.web.samples import KEPT, WINDOW, Samples, SamplesParams


async def agrees(agent, request) -> None:
    agent.reply(request, 200)


async def test_messages_are_counted(console, autojump_clock):
    home, partner = console.proxy.peer("home.example"), console.proxy.peer("partner.example")
    partner.on("MESSAGE", agrees)
    await trio.sleep(3)
    for _ in range(5):
        await home.request("MESSAGE", "sip:bob@partner.example")
    await trio.sleep(3)
    found = console.plugin.sampler.samples(SamplesParams())
    assert sum(found.messages_in) == pytest.approx(10)
    assert sum(found.messages_out) == pytest.approx(10)
    assert sum(found.requests) == pytest.approx(5)
    assert sum(found.answers_2xx) == pytest.approx(5)
    assert found.flows[-1] >= 1
    assert found.memory[-1] > 1_000_000
    assert found.p50[-1] is None


async def test_times_are_known_while_somebody_watches(console, autojump_clock):
    home, partner = console.proxy.peer("home.example"), console.proxy.peer("partner.example")
    partner.on("MESSAGE", agrees)
    async with console.socket(await console.log_on("viewer")) as socket:
        await socket.subscribe("metrics")
        await trio.sleep(2)
        await home.request("MESSAGE", "sip:bob@partner.example")
        await trio.sleep(3)
        found = console.plugin.sampler.samples(SamplesParams())
        times = [one for one in found.p95 if one is not None]
        assert len(times) >= 2
        assert all(0 <= time < 1 for time in times)
        await trio.sleep(WINDOW + 1)
        assert console.plugin.sampler.samples(SamplesParams(last=1)).p95 == [None]
    await trio.sleep(10)
    assert not console.proxy.kernel.hooks.transaction_ended


async def test_as_many_are_kept_as_are_shown(console, autojump_clock):
    await trio.sleep(2)
    sampler = console.plugin.sampler
    sampler._kept.extend([sampler._kept[-1]] * (KEPT + 100))
    assert len(console.plugin.sampler.samples(SamplesParams(last=KEPT)).time) == KEPT
    found = console.plugin.sampler.samples(SamplesParams(last=7))
    lengths = {len(getattr(found, name)) for name in Samples.model_fields if name != "interval"}
    assert lengths == {7}


async def test_there_are_none_at_first(console):
    assert console.plugin.sampler.samples(SamplesParams()).time == []
