"""pcapng (draft-ietf-opsawg-pcapng): what Wireshark, tshark and sngrep read.

Each interface of the proxy is one of the file's. A packet's flags say whether a message came in or
went out, its comment what a packet cannot say: the transport above TLS, a mark, a note.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Final

from sipx_monitor.traffic.export.frames import TcpStreams, end_of, udp_frame

if TYPE_CHECKING:
    from sipx_monitor.traffic.message import Message

SECTION: Final = 0x0A0D0D0A
INTERFACE: Final = 1
PACKET: Final = 6
ORDER: Final = 0x1A2B3C4D
ETHERNET: Final = 1
COMMENT: Final = 1
IF_NAME: Final = 2
IF_TSRESOL: Final = 9
SHB_USERAPPL: Final = 4
EPB_FLAGS: Final = 2
INBOUND: Final = 1
OUTBOUND: Final = 2
_MICROSECONDS: Final = b"\x06"
_CONTENT_LENGTH: Final = re.compile(rb"(?im)^(content-length|l)([ \t]*:[ \t]*)([0-9]+)[ \t]*$")


class PcapngWriter:
    """Writes one file: first ``begin()``, then ``packets()`` for each message.

    Files may be joined, each is a section. ``streams`` go on in the section that follows.
    """

    def __init__(self, *, bodies: bool = True, streams: TcpStreams | None = None) -> None:
        self._bodies = bodies
        self._interfaces: dict[str, int] = {}
        self._streams = streams or TcpStreams()

    def begin(self) -> bytes:
        """The section header."""
        head = struct.pack("<IHHq", ORDER, 1, 0, -1)
        return _block(SECTION, head + _options((SHB_USERAPPL, b"sipx")))

    def packets(self, message: Message) -> bytes:
        """The blocks of one message."""
        name = message.way.interface or "(none)"
        number = self._interfaces.get(name)
        blocks: list[bytes] = []
        if number is None:
            number = self._interfaces[name] = len(self._interfaces)
            blocks.append(_interface(name))
        source, target = end_of(message.source), end_of(message.target)
        data = wire_bytes(message, bodies=self._bodies)
        if message.way.transport == "udp":
            frames = [udp_frame(source, target, data)]
        else:
            frames = self._streams.frames(source, target, data, message.seq)
        comment = _comment(message, bodies=self._bodies)
        for at, frame in enumerate(frames):
            blocks.append(_packet(number, message, frame, comment if at == 0 else ""))
        return b"".join(blocks)


def wire_bytes(message: Message, *, bodies: bool) -> bytes:
    """A message as it could have been on the wire: Content-Length says what is there.

    Where a body was not recorded, or a key in it is masked, another length would let a reader wait
    for bytes that never come.
    """
    body = message.body if bodies else b""
    head = message.head
    if message.body_state != "none":
        head = _CONTENT_LENGTH.sub(rb"\g<1>\g<2>%d" % len(body), head)
    return head + b"\r\n\r\n" + body


def _comment(message: Message, *, bodies: bool) -> str:
    lines = [f"transport: {message.way.transport}"]
    if message.peer:
        lines.append(f"peer: {message.peer}")
    if message.marked:
        lines.append(f"mark: {message.marked}")
    if message.note:
        lines.append(f"note: {message.note}")
    if message.fault:
        lines.append(f"malformed: {message.fault}")
    if message.body_state != "none" and not (bodies and message.body_state == "kept"):
        lines.append(f"body: {message.body_type or 'of no type'}, not recorded")
    return "\n".join(lines)


def _interface(name: str) -> bytes:
    options = _options((IF_NAME, name.encode()), (IF_TSRESOL, _MICROSECONDS))
    return _block(INTERFACE, struct.pack("<HHI", ETHERNET, 0, 0) + options)


def _packet(number: int, message: Message, frame: bytes, comment: str) -> bytes:
    moment = max(0, int(message.wall * 1_000_000))
    head = struct.pack(
        "<IIIII", number, moment >> 32 & 0xFFFFFFFF, moment & 0xFFFFFFFF, len(frame), len(frame)
    )
    flags = struct.pack("<I", INBOUND if message.inwards else OUTBOUND)
    given = [(EPB_FLAGS, flags)]
    if comment:
        given.insert(0, (COMMENT, comment.encode("utf-8", "replace")[:8000]))
    return _block(PACKET, head + _padded(frame) + _options(*given))


def _options(*given: tuple[int, bytes]) -> bytes:
    found = [struct.pack("<HH", code, len(value)) + _padded(value) for code, value in given]
    return b"".join((*found, struct.pack("<HH", 0, 0)))


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + length + body + length
