"""Work in slices: one task at a time, and the others in between."""

from __future__ import annotations

import pytest
import trio
from sipx_monitor import slices
from sipx_monitor.slices import Slices


@pytest.fixture
def short(monkeypatch):
    """Each piece of work is a slice."""
    monkeypatch.setattr(slices, "LONGEST", 0.0)


async def test_quick_work_is_one_slice(monkeypatch):
    monkeypatch.setattr(slices, "LONGEST", 1e9)
    async with Slices() as turn:
        with trio.CancelScope() as scope:
            scope.cancel()
            for _ in range(1000):
                await turn.next()  # no checkpoint at all
    assert not scope.cancelled_caught


class Network(trio.abc.Instrument):
    """What was done between two looks at the network."""

    def __init__(self) -> None:
        self.slices = [0]

    def before_io_wait(self, timeout: float) -> None:
        self.slices.append(0)


async def test_only_one_works_between_two_looks_at_the_network(short):
    network = Network()
    seen = []

    async def work(name):
        async with Slices() as turn:
            for _ in range(20):
                network.slices[-1] += 1
                seen.append(name)
                await turn.next()

    trio.lowlevel.add_instrument(network)
    try:
        async with trio.open_nursery() as workers:
            for name in "abc":
                workers.start_soon(work, name)
    finally:
        trio.lowlevel.remove_instrument(network)
    assert sum(network.slices) == 60
    assert max(network.slices) == 1
    assert max(seen.index(name) for name in "abc") < 5, "nobody waits until another is done"


async def test_who_is_cancelled_or_fails_gives_the_turn_away(short, nursery):
    async def cancelled():
        async with Slices() as turn:
            while True:
                await turn.next()

    async with trio.open_nursery() as workers:
        workers.start_soon(cancelled)
        await trio.lowlevel.checkpoint()
        workers.cancel_scope.cancel()
    with pytest.raises(ValueError, match="the work"):
        async with Slices():
            raise ValueError("the work")
    async with Slices() as turn:
        await turn.next()
