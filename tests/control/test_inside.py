"""The control API as plugins hold it."""

from __future__ import annotations

import pytest
import trio
from pydantic import BaseModel

from sipx import Done, changing
from sipx.control.errors import ControlError
from sipx.control.methods import Caller
from sipx.plugin import hookimpl
from sipx.reload import Plan
from sipx.status import ProxyStatus

ME = Caller("ada")
VIEWER = Caller("eve", role="viewer")
OPERATOR = Caller("otto", role="operator")


class Wait(BaseModel):
    """How a test goes on."""

    raises: bool = False


class Slow:
    """A plugin with a change that lasts."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.ended = trio.Event(), trio.Event(), trio.Event()

    @changing("operator")
    async def change(self, params: Wait) -> Done:
        """Change something, slowly."""
        self.begun.set()
        await self.go_on.wait()
        self.ended.set()
        if params.raises:
            raise ControlError("not now", "it was changed already")
        return Done(text="changed")

    @hookimpl
    def control_methods(self):
        return {"slow.change": self.change}


@pytest.fixture
async def kernel(scene, autojump_clock):
    return (await scene()).kernel


@pytest.fixture
async def slow(kernel):
    plugin = Slow()
    kernel.hooks.register("slow", plugin)
    return plugin


@pytest.fixture
def control(kernel):
    return kernel.handle("lab").control


async def test_a_plugin_finds_and_calls_all_methods(control):
    assert {"status", "control.methods"} <= control.methods().keys()
    assert isinstance(await control.call("status", None, VIEWER), ProxyStatus)
    assert control.schema()["openrpc"]


async def test_a_stream_is_subscribed_to(kernel, control, nursery):
    events = control.events("events", None, VIEWER)
    seen = []

    async def watch():
        seen.append(await anext(events))

    async with trio.open_nursery() as watching:
        watching.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        kernel.report("lab", Plan())
    await events.aclose()
    assert seen[0].plugin == "lab"


async def test_a_change_goes_on_when_whoever_asked_is_cancelled(control, slow, nursery):
    with trio.CancelScope() as asking:

        async def give_up():
            await slow.begun.wait()
            asking.cancel()

        nursery.start_soon(give_up)
        await control.call("slow.change", {}, ME)
    assert asking.cancelled_caught
    assert not slow.ended.is_set()
    slow.go_on.set()
    await slow.ended.wait()


@pytest.mark.parametrize("raises", [True, False])
async def test_what_came_of_a_change_is_answered(control, slow, raises):
    slow.go_on.set()
    if raises:
        with pytest.raises(ControlError, match="changed already"):
            await control.call("slow.change", {"raises": True}, ME)
    else:
        assert await control.call("slow.change", {}, OPERATOR) == Done(text="changed")


async def test_a_change_that_the_end_of_the_process_ends_is_told(kernel, control, slow, nursery):
    async def end():
        await slow.begun.wait()
        kernel.stop(now=True)

    nursery.start_soon(end)
    with pytest.raises(ControlError, match="the process ends"):
        await control.call("slow.change", {}, ME)


@pytest.mark.parametrize(
    ("name", "caller", "role"),
    [
        ("slow.change", VIEWER, "operator"),
        ("service.stop", VIEWER, "operator"),
        ("config.change", OPERATOR, "admin"),
        ("process.stop", OPERATOR, "admin"),
    ],
)
async def test_whoever_may_not_is_told_so(control, slow, name, caller, role):
    with pytest.raises(ControlError) as refused:
        await control.call(name, {}, caller)
    assert refused.value.kind == "forbidden"
    assert refused.value.code == -32005
    assert str(refused.value) == (
        f"{name} is for the role {role}, and {caller.user} is {caller.role}"
    )
    assert not slow.begun.is_set()
