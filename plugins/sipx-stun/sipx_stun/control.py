"""The methods ``stun.status`` and ``stun.detect`` of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import ControlError, changing
from sipx_stun.state import StunState  # noqa: TC001  # methods are read with their annotations

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_stun.detection import Detector


class StunMethods:
    """What can be asked while the proxy runs."""

    def __init__(self, detector: Detector, state: Callable[[], StunState]) -> None:
        self._detector = detector
        self._state = state

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name."""
        return {"stun.status": self.status, "stun.detect": self.detect}

    def status(self) -> StunState:
        """The public address in use, the kind of the NAT, and who said so."""
        return self._state()

    @changing("operator")
    async def detect(self) -> StunState:
        """Ask the servers of the configuration now, and tell what came of it. That takes up to
        a minute where nobody answers; another address counts from when two runs agree.
        """
        if not self._detector.has_servers:
            raise ControlError("not now", "no server is named; set stun.servers")
        if not await self._detector.look_now():
            raise ControlError("not now", "the configuration has changed meanwhile; ask again")
        return self._state()
