"""How the demonstration is ended from outside."""

import signal

import pytest
import trio
import trio.testing

from sipx.demo.stage import _Ends


class Stopped:
    """In place of a scenario: counts how often it is asked to stop."""

    def __init__(self):
        self.times = 0

    def stop(self):
        self.times += 1


async def test_the_first_signal_ends_in_order_and_the_second_at_once():
    scenario = Stopped()
    ends = _Ends(scenario, None)
    with pytest.RaisesGroup(KeyboardInterrupt):
        async with trio.open_nursery() as nursery:
            await nursery.start(ends.listen)
            signal.raise_signal(signal.SIGINT)
            await trio.testing.wait_all_tasks_blocked()
            assert ends.asked
            assert scenario.times == 1
            signal.raise_signal(signal.SIGTERM)
    assert scenario.times == 1
