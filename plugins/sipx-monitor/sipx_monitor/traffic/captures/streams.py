"""SIP messages out of TCP segments, in whatever order they were captured."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx_monitor.traffic.captures.packets import Carried
    from sipx_monitor.traffic.export.frames import End

MOST_STREAMS: Final = 4096
MOST_WAITING: Final = 256
"""Segments of a stream that wait for one before them, which may never come."""
MOST_MESSAGE: Final = 1 << 20
START: Final = re.compile(rb"(?:[-A-Za-z0-9.!%*_+`'~]{1,40} [^\r\n ]{1,4000} SIP/2\.0|SIP/2\.0 \d)")
"""How a message begins."""
_LENGTH: Final = re.compile(
    rb"\r\n(?:content-length|l)[ \t]*:[ \t]*(\d{1,9})[ \t]*\r\n", re.IGNORECASE
)
_RANGE: Final = 1 << 32


class Streams:
    """All directions of all connections of a file."""

    def __init__(self) -> None:
        self._streams: OrderedDict[tuple[End, End], _Stream] = OrderedDict()

    def messages(self, carried: Carried) -> Iterator[bytes]:
        """The messages that end in this segment."""
        key = carried.source, carried.target
        stream = self._streams.get(key)
        if stream is None or carried.begins:
            stream = self._streams[key] = _Stream()
        self._streams.move_to_end(key)
        if len(self._streams) > MOST_STREAMS:
            self._streams.popitem(last=False)
        assert carried.number is not None
        number = (carried.number + carried.begins) % _RANGE
        yield from stream.feed(number, carried.data)
        if carried.ends:
            self._streams.pop(key, None)

    def rest(self) -> int:
        """Connections that ended within a message."""
        return sum(stream.unfinished for stream in self._streams.values())


class _Stream:
    """One direction of one connection."""

    __slots__ = ("_buffer", "_next", "_waiting")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._next: int | None = None
        self._waiting: dict[int, bytes] = {}

    @property
    def unfinished(self) -> bool:
        """Whether a message has begun and not ended."""
        return START.match(self._buffer) is not None

    def feed(self, number: int, data: bytes) -> Iterator[bytes]:
        """A segment, in whatever order."""
        if not data:
            if self._next is None:
                self._next = number
            return
        if self._next is None:
            self._next = number
        self._waiting[number] = max(self._waiting.get(number, b""), data, key=len)
        self._join()
        if len(self._waiting) > MOST_WAITING:
            # What is missing was never captured: what was begun cannot be ended.
            self._buffer.clear()
            self._next = min(self._waiting, key=self._ahead)
            self._join()
        yield from self._cut()

    def _ahead(self, number: int) -> int:
        assert self._next is not None
        return (number - self._next) % _RANGE

    def _join(self) -> None:
        """Append what follows without a gap; what was there before is left out."""
        assert self._next is not None
        moved = True
        while moved and self._waiting:
            moved = False
            for number in sorted(self._waiting, key=self._ahead):
                data = self._waiting[number]
                behind = (self._next - number) % _RANGE
                if behind >= _RANGE // 2:
                    continue
                del self._waiting[number]
                moved = True
                if behind < len(data):
                    self._buffer += data[behind:]
                    self._next = (self._next + len(data) - behind) % _RANGE

    def _cut(self) -> Iterator[bytes]:
        buffer = self._buffer
        while buffer:
            blank = len(buffer) - len(buffer.lstrip(b"\r\n"))
            if blank:
                del buffer[:blank]
                continue
            if START.match(buffer) is None:
                if not self._skip():
                    return
                continue
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                if len(buffer) > MOST_MESSAGE:
                    buffer.clear()
                return
            found = _LENGTH.search(buffer, 0, end + 2)
            size = end + 4 + (int(found[1]) if found is not None else 0)
            if size > MOST_MESSAGE:
                del buffer[: end + 4]
                continue
            if len(buffer) < size:
                return
            yield bytes(buffer[:size])
            del buffer[:size]

    def _skip(self) -> bool:
        """The capture began within a message, or this is no SIP: go on where a line begins one."""
        buffer = self._buffer
        at = 0
        while (at := buffer.find(b"\n", at)) >= 0:
            at += 1
            if START.match(buffer, at) is not None:
                del buffer[:at]
                return True
        # The beginning of the last line may become one.
        line = buffer.rfind(b"\n") + 1
        if len(buffer) - line > 4096:
            buffer.clear()
        else:
            del buffer[:line]
        return False
