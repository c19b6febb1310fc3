"""``plugins.measure``: how long plugins take, measured for a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from pydantic import BaseModel, ConfigDict, Field

from sipx.control.errors import ControlError
from sipx.control.methods import changing

if TYPE_CHECKING:
    from sipx.kernel import Kernel

AT_ONCE: Final = 4
"""Measurements; each costs two looks at the clock in each hook."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class MeasureParams(_Frozen):
    """For how long."""

    seconds: float = Field(5.0, gt=0, le=20)


class HookTimeSummary(_Frozen):
    """What a plugin took in one hook."""

    plugin: str
    hook: str
    calls: int
    seconds: float
    """In all of them together."""
    mean: float | None
    """Seconds of a call; None without any."""
    longest: float


class MeasuredHooks(_Frozen):
    """Each hook on the way of messages and flows that a plugin has; what took most comes first."""

    seconds: float
    """How long it was measured."""
    hooks: tuple[HookTimeSummary, ...]


class PluginTimeMethods:
    """The method."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    @changing("operator")
    async def measure(self, params: MeasureParams) -> MeasuredHooks:
        """Measure for some seconds how long plugins take in the hooks that messages and flows
        pass. Every message is a little slower meanwhile; at other times nothing is measured.
        """
        hooks = self._kernel.hooks
        if hooks.measurements >= AT_ONCE:
            raise ControlError("busy", f"{AT_ONCE} others measure; try again in some seconds")
        with hooks.measured() as times:
            await trio.sleep(params.seconds)
        return MeasuredHooks(
            seconds=params.seconds,
            hooks=tuple(
                HookTimeSummary(
                    plugin=one.plugin,
                    hook=one.hook,
                    calls=one.calls,
                    seconds=one.seconds,
                    mean=one.seconds / one.calls if one.calls else None,
                    longest=one.longest,
                )
                for one in times.found
            ),
        )
