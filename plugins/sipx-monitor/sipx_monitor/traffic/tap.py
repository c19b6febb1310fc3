"""The tap: what a plugin's hooks see of each message, noted in microseconds and read later."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sipx import Direction, hookimpl, host_port
from sipx_monitor.traffic.head import Hop, hop_of, split_message
from sipx_monitor.traffic.message import Seen, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx import Flow, ProxyDecision
    from sipx.sip import Request, Response

MOST: Final = 5000
"""Messages and decisions that wait to be read; beyond that they are lost, and counted."""
MOST_BYTES: Final = 32 << 20
"""Of their bodies, and of what is no parsed message."""
_MOST_WAYS: Final = 4096
_TLS: Final = frozenset(("tls", "mtls", "wss"))


_Message = tuple[float, "Flow", bool, bytes, list[bytes], bytes]
_Bytes = tuple[float, "Flow", bool, bytes, str]
_Decision = tuple[float, bytes, bytes, "ProxyDecision"]
"""Plain tuples, told apart by their lengths: nothing cheaper can be made."""


class Decided(NamedTuple):
    """A decision about a request, which its topmost Via names."""

    wall: float
    via: Hop
    method: bytes
    step: str
    text: str
    data: dict[str, Any]


class Tap:
    """What is registered with the kernel while somebody watches.

    A message is noted as it stands, because the kernel edits what it forwards; its lines, which
    are never changed themselves, are not copied.
    """

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._waiting: deque[_Message | _Bytes | _Decision] = deque()
        self._bytes = 0
        self._ways: dict[int, Way] = {}
        self.lost = 0
        """Messages that came faster than they could be read."""

    def __len__(self) -> int:
        return len(self._waiting)

    # ------------------------------------------------------------ on the way of every message

    @hookimpl
    def message_traced(self, message: Request | Response, flow: Flow, direction: Direction) -> None:
        """Note a message that was parsed, or made of its parts."""
        body = message.body
        if self._room(len(body)):
            self._waiting.append(
                (
                    self._clock(),
                    flow,
                    direction is Direction.IN,
                    message.start,
                    message.lines[:],
                    body,
                )
            )

    @hookimpl
    def bytes_traced(self, data: bytes, flow: Flow, direction: Direction, why: str) -> None:
        """Note what passes without being parsed: sent again, or malformed."""
        if self._room(len(data)):
            self._waiting.append((self._clock(), flow, direction is Direction.IN, data, why))

    @hookimpl
    def decision_made(self, request: Request, flow: Flow, decision: ProxyDecision) -> None:
        """Note why a request goes where it goes."""
        if self._room(0):
            via = request.lines[request.layout.via]
            self._waiting.append((self._clock(), via, request.method, decision))

    def _room(self, size: int) -> bool:
        if len(self._waiting) >= MOST or self._bytes > MOST_BYTES:
            self.lost += 1
            return False
        self._bytes += size
        return True

    # ------------------------------------------------------------ later

    def take(self, most: int) -> Iterator[Seen | Decided]:
        """What waits, the oldest first, but not more than so many."""
        offset = self._wall() - self._clock()
        waiting = self._waiting
        while waiting and most > 0:
            most -= 1
            noted = waiting.popleft()
            if len(noted) == 6:
                time, flow, inwards, start, lines, body = noted
                self._bytes -= len(body)
                yield self._seen(time, offset, inwards, flow, start, lines, body, "")
            elif len(noted) == 5:
                time, flow, inwards, data, why = noted
                self._bytes -= len(data)
                start, lines, body, fault = split_message(data)
                yield self._seen(time, offset, inwards, flow, start, lines, body, why or fault)
            else:
                time, via, method, decision = noted
                yield Decided(
                    time + offset,
                    hop_of(via.partition(b":")[2]),
                    method,
                    decision.step,
                    decision.text,
                    dict(decision.data),
                )

    def _seen(
        self,
        time: float,
        offset: float,
        inwards: bool,  # one of the parts of a message
        flow: Flow,
        start: bytes,
        lines: list[bytes],
        body: bytes,
        fault: str,
    ) -> Seen:
        peer = flow.account or (flow.peer.name if flow.peer is not None else "")
        way = self._ways.get(flow.id) or self._way(flow)
        return Seen(time, time + offset, inwards, way, peer, start, lines, body, fault)

    def _way(self, flow: Flow) -> Way:
        interface = flow.interface
        at = interface.address
        if interface.wildcard and interface.advertised is None:
            at = interface.seen_at
        way = Way(
            interface.name,
            flow.transport,
            "" if at is None else host_port(*at).decode(),
            host_port(flow.address, flow.port).decode(),
            flow.transport in _TLS,
        )
        if len(self._ways) >= _MOST_WAYS:
            self._ways.clear()
        self._ways[flow.id] = way
        return way
