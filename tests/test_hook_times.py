"""Hooks are measured while somebody asks for it, and stand there bare otherwise."""

from __future__ import annotations

import pytest

from sipx.hook_times import HookTimes
from sipx.hooks import Hooks
from sipx.plugin import hookimpl


class Slow:
    """A plugin whose clock goes on in its hooks."""

    def __init__(self):
        self.now = 0.0

    @hookimpl
    def flow_closed(self, flow, reason):
        self.now += flow
        if reason:
            raise ValueError(reason)

    @hookimpl
    def flow_opened(self, flow):
        """Take no time."""


@pytest.fixture
def slow():
    return Slow()


@pytest.fixture
def hooks(slow):
    made = Hooks(["slow"])
    made.register("slow", slow)
    return made


def test_calls_are_counted_and_measured_whatever_comes_of_them(slow):
    times = HookTimes(lambda: slow.now)
    function = times.timed("slow", "flow_closed", slow.flow_closed)
    function(2, "")
    with pytest.raises(ValueError, match="gone"):
        function(5, "gone")
    times.timed("slow", "flow_opened", slow.flow_opened)
    first, second = times.found
    assert (first.hook, first.calls, first.seconds, first.longest) == ("flow_closed", 2, 7.0, 5.0)
    assert (second.hook, second.calls, second.seconds) == ("flow_opened", 0, 0.0)


def test_nothing_stands_between_while_nobody_measures(hooks, slow):
    bare = (slow.flow_closed,)
    assert hooks.flow_closed == bare
    with hooks.measured() as times:
        (measured,) = hooks.flow_closed
        assert measured != slow.flow_closed
        assert hooks.owner(measured) == "slow"
        measured(1, "")
    assert hooks.flow_closed == bare
    assert hooks.measurements == 0
    assert [one.calls for one in times.found if one.hook == "flow_closed"] == [1]
    # Who waits for an answer longer than that is known by name all the same.
    assert hooks.owner(measured) == "slow"


def test_two_may_measure_at_once(hooks):
    with hooks.measured() as one:
        hooks.flow_opened[0]("f")
        with hooks.measured() as two:
            hooks.flow_opened[0]("f")
    counts = [[t.calls for t in times.found if t.hook == "flow_opened"] for times in (one, two)]
    assert counts == [[2], [1]]


def test_a_reload_does_not_end_it(hooks):
    with hooks.measured() as times:
        hooks.become(hooks.with_plugins({"other": Slow()}))
        hooks.flow_opened[0]("f")
    found = {(one.plugin, one.hook): one.calls for one in times.found}
    assert found["other", "flow_opened"] == 1
    assert found["slow", "flow_opened"] == 0
