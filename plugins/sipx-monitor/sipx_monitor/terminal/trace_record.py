"""What ``sipx trace record`` writes: messages that a running sipx gives, in one file."""

from __future__ import annotations

import base64
import sys
from contextlib import aclosing
from typing import IO, TYPE_CHECKING, Final

import click
import trio

from sipx_monitor.terminal.monitor_sources import UNREACHABLE
from sipx_monitor.terminal.monitor_watching import NOT_KEPT, Linked, LinkWords, Lost, Watching
from sipx_monitor.terminal.private_files import begun
from sipx_monitor.traffic.captures.jsonl import jsonl_messages
from sipx_monitor.traffic.export.pcapng import PcapngWriter
from sipx_monitor.traffic.exporting import ExportedFile, ExportParams
from sipx_monitor.traffic.models import MessageList
from sipx_monitor.traffic.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sipx import CommandLine
    from sipx_monitor.terminal.monitor_sources import Source
    from sipx_monitor.terminal.monitor_watching import Told
    from sipx_monitor.traffic.models import MessageSummary

ENDINGS: Final = {".pcapng": "pcapng", ".jsonl": "jsonl", ".csv": "csv", ".txt": "text"}
PIECE: Final = 200
"""Messages that are asked for at once."""
KEPT: Final = 5000
"""Messages of those that are kept already, at most."""
_LONGEST: Final = 7 * 86400.0


def form_of(path: Path) -> str:
    """What the name of a file says. Raises ValueError."""
    if str(path) == "-":
        return "pcapng"
    found = ENDINGS.get(path.suffix.lower())
    if found is None:
        raise ValueError(
            f"{path}: the name has to end with one of {', '.join(ENDINGS)}, which says its form"
        )
    return found


def seconds_of(text: str | None) -> float | None:
    """``10m``, as in a configuration file. Raises ValueError."""
    from pydantic import TypeAdapter, ValidationError

    from sipx import Duration

    if text is None:
        return None
    try:
        found = float(TypeAdapter(Duration).validate_python(text))
    except ValidationError:
        found = 0.0
    if not 0 < found <= _LONGEST:
        raise ValueError(f"--for {text}: allowed is text such as 30s, 10m, 1h, up to 7d")
    return found


class Recording:
    """One file. For pcapng the messages are taken as JSON lines and written here, so that each
    connection is one stream in it from the beginning to the end.
    """

    def __init__(self, line: CommandLine, source: Source, path: Path, form: str) -> None:
        self._line = line
        self._source = source
        self._path = path
        self._form = form
        self._link = LinkWords(line.say)
        self._file: IO[bytes] | None = None
        self._writer = PcapngWriter()
        self._headed = False
        self.messages = self.lost = 0

    async def run(self, wanted: str, *, seconds: float | None, count: int, kept: bool) -> None:
        """Until the time is over or so many are there; else until Ctrl-C."""
        until = "" if seconds is not None or count else "; Ctrl-C ends it"
        watching = Watching(self._source, KEPT if kept else 0)
        with trio.CancelScope() as scope:
            async with aclosing(watching.told(wanted)) as everything:
                async for told in everything:
                    if self._file is None:
                        self._open()
                        if seconds is not None:
                            scope.deadline = trio.current_time() + seconds
                        self._line.say(f"recording into {self._name}{until}")
                    await self._told(told, count)
                    if count and self.messages >= count:
                        break

    def end(self) -> None:
        """Close the file, where there is one, and say what is in it."""
        if self._file is None:
            return
        if str(self._path) != "-":
            self._file.close()
        lost = f"; {self.lost} were lost" if self.lost else ""
        self._line.say(f"{self.messages} messages in {self._name}{lost}")
        self._file = None

    @property
    def _name(self) -> str:
        return "stdout" if str(self._path) == "-" else str(self._path)

    def _open(self) -> None:
        try:
            if str(self._path) == "-":
                self._file = sys.stdout.buffer
            else:
                self._file = begun(self._path)
            if self._form == "pcapng":
                self._file.write(self._writer.begin())
        except OSError as error:
            raise self._line.failed(f"{self._name} cannot be written: {error.strerror}") from None

    async def _told(self, told: Told, count: int) -> None:
        if isinstance(told, Lost | Linked):
            self._link.told(told)
        elif isinstance(told, MessageList):
            await self._take(told.messages, count)
        else:
            if told.gap:
                self._line.say(NOT_KEPT)
            self.lost += told.dropped
            await self._take(told.batch, count)

    async def _take(self, messages: Sequence[MessageSummary], count: int) -> None:
        wanted = messages[: count - self.messages] if count else messages
        for at in range(0, len(wanted), PIECE):
            await self._piece([one.seq for one in wanted[at : at + PIECE]])

    async def _piece(self, seqs: list[int]) -> None:
        form = "jsonl" if self._form == "pcapng" else self._form
        params = ExportParams.model_validate({"format": form, "seqs": seqs})
        try:
            found = await self._source.call("monitor.export", params, ExportedFile)
        except click.ClickException as error:
            if error.exit_code != UNREACHABLE:
                raise
            self.lost += len(seqs)  # with the link, which is told where it is followed
            return
        data = base64.b64decode(found.data_base64)
        if self._form == "pcapng":
            data = self._packets(data)
        elif self._headed and form in ("csv", "jsonl"):
            data = data.partition(b"\n")[2]
        self._headed = True
        assert self._file is not None
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            raise self._line.failed(f"{self._name} cannot be written: {error.strerror}") from None
        self.messages += found.messages
        self.lost += len(seqs) - found.messages

    def _packets(self, lines: bytes) -> bytes:
        """JSON lines as the packets of a pcapng file."""
        store = Store(PIECE, 1 << 30, "all")
        found = (seen for seen in jsonl_messages(lines) if seen is not None)
        return b"".join(self._writer.packets(store.add(seen)) for seen in found)
