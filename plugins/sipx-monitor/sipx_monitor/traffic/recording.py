"""The control methods that change something: marks, notes, what is kept, what is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from sipx import ControlError, Done, changing
from sipx_monitor.traffic.models import CaptureParams

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx_monitor.traffic.traffic import Traffic

Colour = Literal["", "red", "orange", "yellow", "green", "blue", "purple", "grey"]
LONGEST_RECORDING = 7 * 86400.0


class MarkParams(CaptureParams):
    """Which messages get which mark."""

    seqs: tuple[int, ...] = Field(max_length=5000)
    colour: Colour = "yellow"
    """"" takes the mark and its note away."""
    note: str = Field("", max_length=500)


class RecordParams(CaptureParams):
    """How long."""

    seconds: float | None = Field(None, gt=0, le=LONGEST_RECORDING)
    """Without it recording ends when nobody watches."""


class RecordingMethods:
    """``monitor.mark``, ``monitor.clear`` and ``monitor.record``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "monitor.mark": self.mark,
            "monitor.clear": self.clear,
            "monitor.record": self.record,
        }

    @changing("operator")
    async def mark(self, params: MarkParams) -> Done:
        """Mark messages in a colour, with a note; exports keep both."""
        store = await self._traffic.store(params.capture)
        marked = 0
        for seq in params.seqs:
            message = store.get(seq)
            if message is not None:
                message.marked = params.colour
                message.note = params.note if params.colour else ""
                marked += 1
        if params.seqs and not marked:
            raise ControlError("not found", "none of these messages is kept any more")
        what = f"marked {params.colour}" if params.colour else "no longer marked"
        return Done(text=f"{marked} message{'' if marked == 1 else 's'} {what}")

    @changing("operator")
    async def clear(self, params: CaptureParams) -> Done:
        """Forget all messages that are kept. Recording goes on, and the numbers do."""
        store = await self._traffic.store(params.capture)
        count = len(store)
        store.clear()
        return Done(text=f"{count} message{'' if count == 1 else 's'} forgotten")

    @changing("operator")
    def record(self, params: RecordParams) -> Done:
        """Record for some time, also while nobody watches; without ``seconds`` no longer."""
        self._traffic.live.ask(params.seconds)
        if params.seconds is not None:
            return Done(text=f"recording for {params.seconds:g} seconds")
        why = self._traffic.live.why
        return Done(text="not recording" if why == "off" else f"still recording: {why}")
