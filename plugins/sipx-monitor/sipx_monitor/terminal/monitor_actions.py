"""What keys of the live view want of the service: another view, or a sentence."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import trio
from rich.text import Text

from sipx import Done
from sipx_monitor.terminal.monitor_diff import ask, shown, title
from sipx_monitor.terminal.monitor_rows import clean, clock
from sipx_monitor.terminal.monitor_texts import TextView
from sipx_monitor.terminal.monitor_views import LadderView
from sipx_monitor.terminal.private_files import write
from sipx_monitor.traffic.deciding import DecisionParams, DecisionTrace
from sipx_monitor.traffic.exporting import ExportedFile, ExportParams
from sipx_monitor.traffic.ladder import Ladder, LadderParams
from sipx_monitor.traffic.models import MessageText, SeqParams
from sipx_monitor.traffic.recording import MarkParams

if TYPE_CHECKING:
    from sipx_monitor.terminal.monitor_sources import Source
    from sipx_monitor.traffic.models import MessageSummary

COLOURS: Final = ("yellow", "red", "green", "blue", "")
"""What a mark becomes, one after the other; "" takes it away."""


class Actions:
    """Asks ``source``. Raises click exceptions in its words."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def ladder(self, call_id: str) -> LadderView:
        """The dialog of a Call-ID."""
        params = LadderParams.model_validate({"call_id": call_id})
        return LadderView(await self._source.call("monitor.ladder", params, Ladder))

    async def text(self, seq: int) -> TextView:
        """A message as it stood on the wire."""
        return TextView.of(
            await self._source.call("monitor.message", SeqParams(seq=seq), MessageText)
        )

    async def compare(self, seqs: tuple[int, ...]) -> TextView:
        """Of one message what sipx changed in it, of two how they differ."""
        found = await ask(self._source, seqs)
        lines = shown(found.a, found.b, found.lines)
        return TextView(title(found, changes=len(seqs) == 1), lines)

    async def decision(self, seq: int) -> TextView:
        """Why the request of a message went where it went."""
        found = await self._source.call("monitor.decision", DecisionParams(seq=seq), DecisionTrace)
        lines: list[Text] = []
        for step in found.steps:
            lines.append(
                Text.assemble(
                    (clock(step.time), "bright_black"), f"  {step.step:<9} ", clean(step.text)
                )
            )
            lines += [
                Text(f"{'':24}{name}: {clean(said)}", "bright_black")
                for name, value in step.data.items()
                for said in _said(value)
            ]
        if not found.complete:
            lines.append(Text("it has no final answer yet", "yellow"))
        return TextView(f"why: {found.method}", lines, seq, prose=True)

    async def copied(self, seq: int) -> str:
        """The whole text of a message, as it may be shown."""
        found = await self._source.call("monitor.message", SeqParams(seq=seq), MessageText)
        return found.text

    async def mark(self, one: MessageSummary) -> MessageSummary:
        """The message with the next colour; a colour that is not ours goes."""
        at = COLOURS.index(one.marked) if one.marked in COLOURS else len(COLOURS) - 2
        colour = COLOURS[(at + 1) % len(COLOURS)]
        params = MarkParams.model_validate({"seqs": [one.seq], "colour": colour})
        await self._source.call("monitor.mark", params, Done)
        return one.model_copy(update={"marked": colour})

    async def save(self, *, wanted: str = "", call_id: str = "") -> str:
        """Write messages into a file of this directory, named by the service; what was done."""
        params = ExportParams.model_validate(
            {"format": "pcapng", "filter": wanted, "call_id": call_id}
        )
        found = await self._source.call("monitor.export", params, ExportedFile)
        # The name is made of letters and digits, but nobody has to believe that.
        path = Path(found.filename.replace("/", "-").lstrip("."))
        try:
            await trio.to_thread.run_sync(write, path, base64.b64decode(found.data_base64))
        except OSError as error:
            raise click.ClickException(f"{path} cannot be written: {error.strerror}") from None
        return f"{found.messages} messages in {path}"


def _said(value: object) -> list[str]:
    """A value of a step, in lines: a list has one for each of its entries."""
    if isinstance(value, list):
        return [line for one in value for line in _said(one)]
    if isinstance(value, dict):
        parts = (f"{name} {' '.join(_said(one))}" for name, one in value.items() if _is_some(one))
        return [", ".join(parts)]
    if not _is_some(value):
        return []
    return [value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)]


def _is_some(value: object) -> bool:
    return value not in (None, "", [], {})
