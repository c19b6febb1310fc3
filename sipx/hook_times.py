"""How long plugins take in the hooks that are on the way of messages, while somebody measures."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable


OWNER: Final = "sipx_owner"
"""Where a measured function says whose it is: an answer may be waited for longer than measured."""


class HookTime:
    """What one plugin took in one hook."""

    __slots__ = ("calls", "hook", "longest", "plugin", "seconds")

    def __init__(self, plugin: str, hook: str) -> None:
        self.plugin = plugin
        self.hook = hook
        self.calls = 0
        self.seconds = 0.0
        self.longest = 0.0


class HookTimes:
    """One measurement. An answer that is waited for (`Later`) takes no time in its hook."""

    def __init__(self, clock: Callable[[], float] = perf_counter) -> None:
        self._clock = clock
        self._found: dict[tuple[str, str], HookTime] = {}

    @property
    def found(self) -> list[HookTime]:
        """Each hook of each plugin, asked or not; those that took most come first."""
        return sorted(self._found.values(), key=lambda one: (-one.seconds, one.plugin, one.hook))

    def timed(self, plugin: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, measured."""
        time, clock = self._found.setdefault((plugin, hook), HookTime(plugin, hook)), self._clock

        def measured(*given: Any) -> Any:
            begun = clock()
            try:
                return function(*given)
            finally:
                spent = clock() - begun
                time.calls += 1
                time.seconds += spent
                if spent > time.longest:
                    time.longest = spent

        setattr(measured, OWNER, plugin)
        return measured
