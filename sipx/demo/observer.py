"""The plugin of the demonstration: it sees the messages pass, as any plugin can.

Both proxies have the same one. A message that passes both is one passage, on its whole way.
"""

from __future__ import annotations

import re
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx.events import Direction
from sipx.plugin import hookimpl
from sipx.sip import Request, SipUri

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.sip import NameAddr, Response

    Key = tuple[bytes, bytes, bytes]
    """Of a request and its responses: Call-ID, the tag in From, CSeq."""

MOST: Final = 10_000
"""Messages that wait to be shown, and requests that wait for their answer."""
BETWEEN: Final = "mtls"
"""How the proxies speak to each other, and nobody else but strangers."""
_NOTE: Final = re.compile(rb"<note>([^<]*)</note>")


class Passage(NamedTuple):
    """One message that has arrived where it goes; ``status`` is 0 for a request.

    ``at`` is in seconds since 1970. ``source`` and ``target`` are addresses, ``domain`` is the
    target's. ``way`` are the transports that it came over, with "" first for what a proxy answers
    itself. ``round_trip`` is in seconds, with a final response only: from the request's arrival at
    the first proxy to the response's departure there. ``note`` is what it says, in words.
    """

    at: float
    source: str
    target: str
    method: str
    status: int
    domain: str
    way: tuple[str, ...]
    round_trip: float | None
    note: str


class Observer:
    """Gathers passages until somebody takes them. ``clock`` is monotonic, ``wall`` the time."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._passed: deque[Passage] = deque(maxlen=MOST)
        self._asked: dict[Key, tuple[float, list[str]]] = {}
        self._answers: dict[tuple[Key, int], list[str]] = {}
        self._accounts: dict[Flow, str] = {}
        self._lost: set[str] = set()
        self._loss = trio.Event()

    def take(self) -> list[Passage]:
        """What has passed since the last call."""
        passed = list(self._passed)
        self._passed.clear()
        return passed

    async def lost(self, account: str) -> None:
        """Wait until a connection of this account has ended, once for each loss."""
        while account not in self._lost:
            await self._loss.wait()
        self._lost.remove(account)

    @hookimpl
    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Remember whose connection has ended."""
        if account := self._accounts.pop(flow, ""):
            self._lost.add(account)
            self._loss.set()
            self._loss = trio.Event()

    @hookimpl
    def message_traced(self, message: Request | Response, flow: Flow, direction: Direction) -> None:
        """Note a message when it comes; keep what there is to show when it goes."""
        key = message.call_id, message.from_.tag or b"", message.get(b"CSeq") or b""
        if flow.account:
            self._accounts[flow] = flow.account
        if isinstance(message, Request):
            self._request(message, key, flow.transport, direction)
        elif message.status > 100:  # a 100 goes as far as the next proxy
            self._response(message, key, flow.transport, direction)

    def _request(self, request: Request, key: Key, transport: str, direction: Direction) -> None:
        if direction is Direction.IN:
            if len(self._asked) >= MOST:
                self._asked.clear()
            self._asked.setdefault(key, (self._clock(), []))[1].append(transport)
        elif transport != BETWEEN:
            _, way = self._asked.get(key, (0.0, []))
            if request.method == b"ACK":
                self._asked.pop(key, None)
            self._keep(request, request.method, 0, (*way, transport), None)

    def _response(self, response: Response, key: Key, transport: str, direction: Direction) -> None:
        status = response.status
        if len(self._answers) >= MOST:
            self._answers.clear()
        if direction is Direction.IN:
            self._answers.setdefault((key, status), []).append(transport)
            return
        started, asked = self._asked.get(key, (None, [transport]))
        if transport == BETWEEN != asked[0]:
            self._answers.setdefault((key, status), [""])  # it has farther to go
            return
        way = self._answers.pop((key, status), [""])
        round_trip = None
        if status >= 200:
            self._asked.pop(key, None)
            round_trip = None if started is None else self._clock() - started
        self._keep(response, response.cseq.method, status, (*way, transport), round_trip)

    def _keep(
        self,
        message: Request | Response,
        method: bytes,
        status: int,
        way: tuple[str, ...],
        round_trip: float | None,
    ) -> None:
        ends = [message.from_, message.to]
        if status:
            ends.reverse()  # a response goes to whom the request is from
        source, target = map(_address, ends)
        note = b"" if status else _note(message, method)
        if method == b"REGISTER":  # which the proxy answers itself
            source = "sipx"
            note = b"registered " + _user(message.to) if status == 200 else b""
        self._passed.append(
            Passage(
                self._wall(),
                source,
                target,
                plain(method),
                status,
                target.rpartition("@")[2],
                way,
                round_trip,
                plain(note),
            )
        )


def _note(message: Request | Response, method: bytes) -> bytes:
    if method == b"MESSAGE":
        return message.body
    if method == b"SUBSCRIBE":
        expires = message.get(b"Expires") or b""
        return b"unsubscribe" if expires == b"0" else b"for %b s" % expires
    if method == b"NOTIFY":
        state = (message.get(b"Subscription-State") or b"").partition(b";")[0]
        said = _NOTE.search(message.body)
        return state if state != b"active" or said is None else said[1]
    return b""


def _user(address: NameAddr) -> bytes:
    return SipUri.parse(address.uri).user or b""


def _address(address: NameAddr) -> str:
    uri = SipUri.parse(address.uri)
    return plain(b"%b@%b" % (uri.user, uri.host) if uri.user else uri.host)


def plain(data: bytes) -> str:
    """Text that is safe on a terminal: what cannot be printed is replaced."""
    text = data.decode("utf-8", "replace")
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
