"""The control methods that open and close captures."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

import trio
from pydantic import BaseModel, Field

from sipx import ControlError, Done
from sipx_monitor.slices import Slices
from sipx_monitor.traffic.captures.errors import CaptureError
from sipx_monitor.traffic.captures.reading import CaptureReader
from sipx_monitor.traffic.models import FROZEN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx_monitor.traffic.captures.reading import Capture
    from sipx_monitor.traffic.traffic import Traffic

MOST_BYTES: Final = 32 << 20
_PIECE: Final = 1 << 17
"""Characters of base64 that are decoded at once; a multiple of four."""


class OpenParams(BaseModel):
    """A file."""

    model_config = FROZEN

    name: str = Field(max_length=200)
    data_base64: str = Field(max_length=(MOST_BYTES + 2) // 3 * 4)
    """What is in it: pcapng, pcap or JSON lines, 32 MiB at most."""


class OpenedCapture(BaseModel):
    """What was found in a file."""

    model_config = FROZEN

    id: str
    """For the parameter ``capture`` of the other methods."""
    name: str
    messages: int
    first: int
    last: int
    packets: int
    other: int
    """Packets without SIP."""
    directed: bool
    """Whether the file says which end of each message was the proxy."""
    notes: tuple[str, ...]


class CloseParams(BaseModel):
    """Which capture."""

    model_config = FROZEN

    capture: str


class CaptureMethods:
    """``monitor.open`` and ``monitor.close``."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._one_at_a_time = trio.Lock()

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """Both by name."""
        return {"monitor.open": self.open, "monitor.close": self.close}

    async def open(self, params: OpenParams) -> OpenedCapture:
        """Open a capture: of sipx, Wireshark, tshark, sngrep. The messages are read like live ones.

        It stays open, for all who use the console, until it is closed.
        """
        captures = self._traffic.captures
        async with self._one_at_a_time:
            captures.check_room()
            capture = await self._read(params)
            found = captures.add(capture)
        store = capture.store
        return OpenedCapture(
            id=found,
            name=capture.name,
            messages=len(store),
            first=store.first,
            last=store.last,
            packets=capture.packets,
            other=capture.other,
            directed=store.directed,
            notes=tuple(capture.notes),
        )

    def close(self, params: CloseParams) -> Done:
        """Close a capture and forget its messages."""
        closed = self._traffic.captures.close(params.capture)
        return Done(text=f"{closed.name or params.capture} is closed")

    async def _read(self, params: OpenParams) -> Capture:
        reader = CaptureReader(await _decoded(params.data_base64), _plain(params.name))
        try:
            async with Slices() as slices:
                for _ in reader:
                    await slices.next()
        except CaptureError as error:
            raise ControlError("params", f"{_plain(params.name) or 'the file'}: {error}") from None
        return reader.capture


async def _decoded(text: str) -> bytes:
    parts: list[bytes] = []
    try:
        for at in range(0, len(text), _PIECE):
            parts.append(base64.b64decode(text[at : at + _PIECE], validate=True))
            await trio.lowlevel.checkpoint()
    except (binascii.Error, ValueError):
        raise ControlError("params", "data_base64 is not base64") from None
    return b"".join(parts)


def _plain(name: str) -> str:
    """The name of a file, without its directory."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char if char.isprintable() else " " for char in last)
