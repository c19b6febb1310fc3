"""A stream as the console's connections use it: bytes put back in front, and no endless writing."""

from __future__ import annotations

from typing import Final

import trio

PATIENCE: Final = 30.0
"""Seconds that a client may take to read CHUNK bytes of what is written to it."""
CHUNK: Final = 65536


class ClientStream(trio.abc.Stream):
    """A stream whose reader gets ``pushed_back`` bytes again, and whose writer waits in bounds."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._front = b""

    def push_back(self, data: bytes) -> None:
        """Let the next readers have these bytes first."""
        self._front = data + self._front

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """What was put back, then what comes."""
        if self._front:
            await trio.lowlevel.checkpoint()
            count = len(self._front) if max_bytes is None else max_bytes
            data, self._front = self._front[:count], self._front[count:]
            return data
        return bytes(await self._stream.receive_some(max_bytes))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Write. Raises BrokenResourceError when the client does not get on with reading."""
        view = memoryview(data)
        for start in range(0, len(view), CHUNK) or (0,):
            with trio.move_on_after(PATIENCE) as scope:
                await self._stream.send_all(view[start : start + CHUNK])
            if scope.cancelled_caught:
                raise trio.BrokenResourceError("the client does not read")

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until something can be written."""
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Say that nothing more comes, where the stream below can say so."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()
