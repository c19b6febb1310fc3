"""A pcapng file that all messages are written to; at some size it is put aside and begun anew."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import trio

from sipx_monitor.traffic.export.frames import TcpStreams
from sipx_monitor.traffic.export.pcapng import PcapngWriter

if TYPE_CHECKING:
    from io import FileIO
    from pathlib import Path

    from sipx import Proxy
    from sipx_monitor.traffic.message import Message

EVERY: Final = 0.5
"""Seconds between two writes."""
MOST_WAITING: Final = 16 << 20
"""Bytes that wait for a slow disk; what comes beyond is not written, and told of."""
TROUBLE: Final = "capture file"


class CaptureFile:
    """``path``, then ``path.1`` for the one before it, and so on up to ``keep``."""

    def __init__(self, path: Path, size: int, keep: int, proxy: Proxy) -> None:
        self._path = path
        self._most = size
        self._keep = keep
        self._proxy = proxy
        self._streams = TcpStreams()
        self._writer = PcapngWriter(streams=self._streams)
        self._waiting = bytearray()
        self._lost = 0
        """Messages that the disk was too slow for, since it was written to."""

    def add(self, message: Message) -> None:
        """Write a message, soon."""
        if len(self._waiting) > MOST_WAITING:
            self._lost += 1
            return
        self._waiting += self._writer.packets(message)

    async def run(self) -> None:
        """Write until cancelled, and then what is left. A disk that fails is told of."""
        try:
            while True:
                await trio.sleep(EVERY)
                await self._flush()
        finally:
            with trio.CancelScope(shield=True):
                await self._flush()

    async def _flush(self) -> None:
        if not self._waiting:
            return
        data, self._waiting = bytes(self._waiting), bytearray()
        # A file may begin with any message, so each write is a section with its own interfaces.
        writer, self._writer = self._writer, PcapngWriter(streams=self._streams)
        try:
            await trio.to_thread.run_sync(self._write, writer.begin() + data)
        except OSError as error:
            self._proxy.note_trouble(
                TROUBLE, str(self._path), f"{self._path} cannot be written: {error.strerror}"
            )
        else:
            lost, self._lost = self._lost, 0
            missing = f"{lost} messages are not in {self._path}: the disk is too slow"
            self._proxy.note_trouble(TROUBLE, str(self._path), missing if lost else "")

    def _write(self, data: bytes) -> None:
        """In a thread. Others than the owner may not read it: it holds what people say."""
        path = self._path
        if path.exists() and path.stat().st_size + len(data) > self._most:
            self._put_aside()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "ab", buffering=0) as file:
            size = os.fstat(handle).st_size
            try:
                _write_all(file, data)
            except OSError:
                # A full disk takes a part: behind half a block nobody could read the rest.
                os.ftruncate(handle, size)
                raise

    def _put_aside(self) -> None:
        for number in range(self._keep, 0, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
