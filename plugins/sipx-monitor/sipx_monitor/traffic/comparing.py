"""The control methods that compare: two messages, and what the proxy changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, TypeVar

import trio
from pydantic import BaseModel

from sipx import Caller, ControlError
from sipx_monitor.traffic.diff import Change, diff
from sipx_monitor.traffic.models import FROZEN, CaptureParams, MessageSummary, SeqParams
from sipx_monitor.traffic.reasons import changes, why
from sipx_monitor.traffic.traffic import sees_bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.traffic import Traffic

Found = TypeVar("Found", Change, tuple[Change, str])


class DiffParams(CaptureParams):
    """Which two messages."""

    a: int
    b: int


class DiffLine(BaseModel):
    """One line of both messages."""

    model_config = FROZEN

    op: Literal["same", "changed", "added", "removed", "moved"]
    name: str
    """The name of the header; "(first line)" or "(body)" for what is none."""
    a: str
    b: str
    why: str = ""
    """Which rule asks for it, where sipx made the difference."""


class Diff(BaseModel):
    """Two messages, line by line."""

    model_config = FROZEN

    a: MessageSummary
    b: MessageSummary
    lines: tuple[DiffLine, ...]


class CompareMethods:
    """``monitor.diff`` and ``monitor.changes``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._one_at_a_time = trio.CapacityLimiter(1)

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """Both by name."""
        return {"monitor.diff": self.diff, "monitor.changes": self.changes}

    async def diff(self, params: DiffParams, caller: Caller) -> Diff:
        """How two messages differ, header by header."""
        a = await self._traffic.message(params.capture, params.a)
        b = await self._traffic.message(params.capture, params.b)
        forwarded = a.inwards and not b.inwards and b.twin == a.seq
        bodies, response = sees_bodies(caller), bool(b.status)
        lines = [
            (change, why(change, response=response) if forwarded and change.op != "same" else "")
            for change in await self._found(diff, a, b, bodies=bodies)
        ]
        return self._shown(a, b, lines, bodies=bodies)

    async def changes(self, params: SeqParams, caller: Caller) -> Diff:
        """What sipx changed in a message that it forwarded, and by which rule: as it came (a) and
        as it left (b), whichever of the two is asked for.
        """
        message = await self._traffic.message(params.capture, params.seq)
        if not message.twin:
            how = "was not forwarded" if message.inwards else "is sipx's own"
            raise ControlError(
                "not found",
                f"message {message.seq} is on one side of sipx only: it {how}",
            )
        other = await self._traffic.message(params.capture, message.twin)
        a, b = (message, other) if message.inwards else (other, message)
        bodies = sees_bodies(caller)
        found = await self._found(changes, a, b, bodies=bodies)
        return self._shown(a, b, found, bodies=bodies)

    async def _found(
        self, compare: Callable[..., list[Found]], a: Message, b: Message, *, bodies: bool
    ) -> list[Found]:
        """Beside SIP, and one at a time: it may take a part of a second."""
        return await trio.to_thread.run_sync(
            partial(compare, a, b, bodies=bodies), limiter=self._one_at_a_time
        )

    def _shown(
        self, a: Message, b: Message, lines: Iterable[tuple[Change, str]], *, bodies: bool
    ) -> Diff:
        shower = self._traffic.shower
        return Diff(
            a=shower.summary(a, viewer=not bodies),
            b=shower.summary(b, viewer=not bodies),
            lines=tuple(
                DiffLine(op=change.op, name=change.name, a=change.a, b=change.b, why=said)
                for change, said in lines
            ),
        )
