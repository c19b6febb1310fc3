"""Results as JSON in pieces are what they are as a whole."""

from __future__ import annotations

import json

import pytest
import trio
from pydantic import BaseModel
from sipx_monitor import slices
from sipx_monitor.web.encoding import SLICE, encoded


class One(BaseModel):
    number: int
    text: str = 'a"\n\u2028ä'


class Some(BaseModel):
    before: str = "x"
    some: tuple[One, ...] = ()
    others: list[One] = []
    numbers: list[int] = list(range(3 * SLICE))
    after: float | None = None


class Only(BaseModel):
    some: tuple[One, ...]


@pytest.mark.parametrize("count", [0, 1, SLICE, SLICE + 1, 5 * SLICE])
async def test_it_is_the_same(count):
    members = tuple(One(number=number) for number in range(count))
    for result in (Some(some=members, others=[One(number=1)]), Only(some=members), One(number=1)):
        assert json.loads(await encoded(result)) == json.loads(result.model_dump_json())


async def test_others_run_meanwhile(nursery, monkeypatch):
    monkeypatch.setattr(slices, "LONGEST", 0.0)
    ran = 0

    async def other():
        nonlocal ran
        while True:
            ran += 1
            await trio.lowlevel.checkpoint()

    nursery.start_soon(other)
    await encoded(Only(some=tuple(One(number=number) for number in range(10 * SLICE))))
    assert ran >= 10 * SLICE
