"""The control method that gives messages as a file."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, Field

from sipx import ControlError
from sipx_monitor.slices import Slices
from sipx_monitor.traffic.export.svg import svg_lines, svg_of
from sipx_monitor.traffic.export.writing import TYPES, Format, writer_of
from sipx_monitor.traffic.ladder import sliced_ladder
from sipx_monitor.traffic.methods import select
from sipx_monitor.traffic.models import FROZEN, LONGEST_FILTER, CaptureParams
from sipx_monitor.traffic.search import newest
from sipx_monitor.traffic.traffic import sees_bodies, wrong_filters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sipx import Caller
    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.store import Store
    from sipx_monitor.traffic.traffic import Traffic

MOST_BYTES: Final = 32 << 20
"""The largest file that is given at once."""


class ExportParams(CaptureParams):
    """Which messages, as what. Without one of ``dialog``, ``call_id`` and ``seqs``: all that the
    filter wants.
    """

    format: Format
    filter: str = Field("", max_length=LONGEST_FILTER)
    seqs: tuple[int, ...] = Field((), max_length=100_000)
    dialog: str = ""
    call_id: str = ""


class ExportedFile(BaseModel):
    """A file."""

    model_config = FROZEN

    filename: str
    content_type: str
    messages: int
    """How many are in it."""
    data_base64: str


class ExportMethods:
    """``monitor.export``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """By name."""
        return {"monitor.export": self.export}

    async def export(self, params: ExportParams, caller: Caller) -> ExportedFile:
        """Messages as a file: text, JSON lines, CSV, a ladder as SVG, or pcapng for Wireshark."""
        store = await self._traffic.store(params.capture)
        messages = await self._wanted(store, params, caller)
        if not messages:
            raise ControlError("not found", "no message is to be exported; widen the filter")
        ending, content_type = TYPES[params.format]
        if params.format == "svg":
            data = await _picture(messages, directed=store.directed)
        else:
            data = await self._written(messages, params.format, bodies=sees_bodies(caller))
        return ExportedFile(
            filename=f"{_name(messages[0], params)}.{ending}",
            content_type=content_type,
            messages=len(messages),
            data_base64=base64.b64encode(data).decode(),
        )

    async def _wanted(
        self, store: Store, params: ExportParams, caller: Caller
    ) -> Sequence[Message]:
        wanted = self._traffic.wanted(params.filter, caller)
        if params.dialog or params.call_id or params.seqs:
            found = select(store, params.dialog, params.call_id, params.seqs)
            kept = []
            with wrong_filters():
                async with Slices() as slices:
                    for message in found:
                        if wanted(message):
                            kept.append(message)
                        await slices.next()
            return kept
        with wrong_filters():
            return (await newest(store, wanted, store.most_messages))[0]

    async def _written(self, messages: Sequence[Message], form: Format, *, bodies: bool) -> bytes:
        begin, write = writer_of(form, self._traffic.shower, bodies=bodies)
        parts = [begin]
        size = 0
        async with Slices() as slices:
            for message in messages:
                part = write(message)
                size += len(part)
                if size > MOST_BYTES:
                    raise ControlError(
                        "params",
                        f"this would be more than {MOST_BYTES >> 20} MiB; a filter makes it "
                        "smaller",
                    )
                parts.append(part)
                await slices.next()
        return b"".join(parts)


async def _picture(messages: Sequence[Message], *, directed: bool) -> bytes:
    ladder = await sliced_ladder(messages, directed=directed)
    lines = []
    async with Slices() as slices:
        for line in svg_lines(ladder):
            lines.append(line)
            await slices.next()
    return svg_of(lines)


def _name(first: Message, params: ExportParams) -> str:
    """Of a file: nothing in it comes from a peer but letters and digits."""
    when = datetime.fromtimestamp(first.wall, UTC).strftime("%Y%m%d-%H%M%S")
    call = re.sub(r"[^A-Za-z0-9]+", "-", first.call_id).strip("-")[:32]
    one = params.dialog or params.call_id
    return f"sipx-{when}-{call}" if one and call else f"sipx-{when}"
