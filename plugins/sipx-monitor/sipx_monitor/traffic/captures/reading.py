"""A capture file as messages in a store of its own."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

from sipx import host_port
from sipx_monitor.traffic.captures.containers import (
    is_pcap,
    is_pcapng,
    pcap_packets,
    pcapng_packets,
)
from sipx_monitor.traffic.captures.errors import CaptureError
from sipx_monitor.traffic.captures.jsonl import is_jsonl, jsonl_messages
from sipx_monitor.traffic.captures.packets import LINKS, Packets
from sipx_monitor.traffic.captures.streams import START, Streams
from sipx_monitor.traffic.head import split_message
from sipx_monitor.traffic.message import Seen, Way
from sipx_monitor.traffic.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx_monitor.traffic.captures.containers import Packet
    from sipx_monitor.traffic.captures.packets import Carried
    from sipx_monitor.traffic.export.frames import End

MOST_MESSAGES: Final = 100_000
MOST_BYTES: Final = 128 << 20
"""Of memory that the messages of one capture take."""
_SIP_PORTS: Final = (5060, 5061)
_COMMENT: Final = re.compile(r"^(transport|peer|mark|note|body|malformed): (.*)$", re.MULTILINE)
_TRANSPORTS: Final = frozenset(("udp", "tcp", "tls", "mtls", "ws", "wss"))
_COLOURS: Final = frozenset(("red", "orange", "yellow", "green", "blue", "purple", "grey"))


@dataclass
class Capture:
    """A file that was opened. ``ours`` tells that it says which way each message went."""

    name: str
    store: Store
    ours: bool = False
    packets: int = 0
    other: int = 0
    """Packets that hold no SIP."""
    unfinished: int = 0
    """Connections that ended within a message."""
    notes: list[str] = field(default_factory=list)
    """What a reader should know."""


def read_capture(data: bytes, name: str = "") -> Capture:
    """Read a whole file at once. Raises CaptureError."""
    reader = CaptureReader(data, name)
    for _ in reader:
        pass
    return reader.capture


class CaptureReader:
    """Reads a file step by step: iterate over it, and ``capture`` has all at the end.

    Raises CaptureError.
    """

    def __init__(self, data: bytes, name: str = "") -> None:
        self._data = data
        self._packets = Packets()
        self._streams = Streams()
        self._found: list[tuple[Seen, End | None, End | None]] = []
        self._ends: Counter[str] = Counter()
        self._links: Counter[int] = Counter()
        self._size = 0
        self.capture = Capture(name, Store(MOST_MESSAGES, MOST_BYTES, "all"))

    def __iter__(self) -> Iterator[None]:
        data = self._data
        if is_pcapng(data):
            yield from self._from_packets(pcapng_packets(data))
        elif is_pcap(data):
            yield from self._from_packets(pcap_packets(data))
        elif is_jsonl(data):
            self.capture.ours = True
            for seen in jsonl_messages(data):
                if seen is not None:
                    self._keep(seen)
                yield
        else:
            raise CaptureError(_what_it_is(data))
        if not self._found:
            raise CaptureError(self._nothing())
        self.capture.store.directed = self.capture.ours
        for seen, source, target in self._found:
            self.capture.store.add(self._placed(seen, source, target))
            yield
        self._found.clear()

    # ------------------------------------------------------------ packets

    def _from_packets(self, packets: Iterator[Packet | None]) -> Iterator[None]:
        said = section = 0
        for packet in packets:
            if packet is None:
                yield
                continue
            if packet.section != section:
                # Another recording begins: what was under way in the one before has no end.
                self.capture.unfinished += self._streams.rest()
                section, self._streams = packet.section, Streams()
            self.capture.packets += 1
            self._links[packet.link] += 1
            carried = self._packets.carried(packet.link, packet.data)
            found = 0
            if carried is not None:
                for data in self._messages(carried):
                    found += 1
                    said += packet.inwards is not None
                    self._keep(
                        _seen(packet, carried, data), carried, undirected=packet.inwards is None
                    )
                    yield
            if not found and (carried is None or carried.number is None):
                self.capture.other += 1
            yield
        self.capture.ours = bool(self._found) and said == len(self._found)
        self.capture.unfinished += self._streams.rest()
        if self.capture.unfinished:
            self.capture.notes.append(f"{self.capture.unfinished} connections end within a message")

    def _messages(self, carried: Carried) -> Iterator[bytes]:
        if carried.number is not None:
            return self._streams.messages(carried)
        data = carried.data.lstrip(b"\r\n")
        sip = START.match(data) is not None or (
            # What comes to the port of SIP and is no STUN, keepalive or the like is shown as well.
            data[:1].isalpha()
            and b"\n" in data
            and not {carried.source.port, carried.target.port}.isdisjoint(_SIP_PORTS)
        )
        return iter((data,) if sip else ())

    def _keep(
        self, seen: Seen, carried: Carried | None = None, *, undirected: bool = False
    ) -> None:
        if carried is not None and undirected:
            self._found.append((seen, carried.source, carried.target))
        else:
            self._found.append((seen, None, None))
        self._size += len(seen.body) + sum(map(len, seen.lines)) + 2000
        if len(self._found) > MOST_MESSAGES or self._size > MOST_BYTES:
            raise CaptureError(
                f"it holds more than {MOST_MESSAGES} messages, or than {MOST_BYTES >> 20} MiB of "
                "them; cut it into smaller files with editcap"
            )
        if carried is not None:
            self._ends.update(_places(carried.source, carried.target))

    def _placed(self, seen: Seen, source: End | None, target: End | None) -> Seen:
        """Where the file says nothing of directions, the capture was made where most passed."""
        if source is None or target is None:
            return seen
        came_from, went_to = _places(source, target)
        inwards = self._ends[went_to] >= self._ends[came_from]
        ends = (_text(target), _text(source)) if inwards else (_text(source), _text(target))
        return seen._replace(inwards=inwards, way=seen.way._replace(local=ends[0], remote=ends[1]))

    def _nothing(self) -> str:
        packets = self.capture.packets
        unknown = [link for link in self._links if link not in LINKS]
        if unknown:
            known = ", ".join(sorted(set(LINKS.values())))
            return f"its packets have link type {unknown[0]}, which is not read; read are {known}"
        if not packets:
            return "it holds no packets"
        return (
            f"none of its {packets} packets holds a SIP message; what was encrypted with TLS "
            "cannot be read here"
        )


def _seen(packet: Packet, carried: Carried, data: bytes) -> Seen:
    start, lines, body, fault = split_message(data)
    said = dict(_COMMENT.findall(packet.comment))
    transport = said.get("transport", "")
    if transport not in _TRANSPORTS:
        transport = "udp" if carried.number is None else "tcp"
    if packet.cut and not fault:
        fault = "the capture kept only a part of it"
    source, target = _text(carried.source), _text(carried.target)
    inwards = packet.inwards is not False
    local, remote = (target, source) if inwards else (source, target)
    return Seen(
        packet.wall,
        packet.wall,
        inwards,
        Way(packet.interface, transport, local, remote, transport in ("tls", "mtls", "wss")),
        said.get("peer", ""),
        start,
        lines,
        body,
        said.get("malformed", fault),
        said.get("note", ""),
        said["mark"] if said.get("mark") in _COLOURS else "",
        "body" in said,
    )


def _places(source: End, target: End) -> tuple[str, str]:
    """Two machines by their addresses, two programs of one machine by their ports."""
    if source.ip != target.ip:
        return str(source.ip), str(target.ip)
    return _text(source), _text(target)


def _text(end: End) -> str:
    ip = end.ip
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return host_port(str(ip), end.port).decode()


def _what_it_is(data: bytes) -> str:
    if not data:
        return "the file is empty"
    if data[:2] == b"\x1f\x8b":
        return "it is compressed; unpack it with gunzip first"
    if data[:2] == b"PK":
        return "it is a ZIP archive; unpack it first"
    return "it is neither pcapng, pcap nor JSON lines of sipx"
