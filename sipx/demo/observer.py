"""The plugin of the demonstration: it sees the messages pass, as any plugin can."""

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

MOST: Final = 10_000
"""Messages that wait to be shown, and requests that wait for their answer."""
_NOTE: Final = re.compile(rb"<note>([^<]*)</note>")


class Passage(NamedTuple):
    """One message that has passed the proxy; ``status`` is 0 for a request.

    ``at`` is in seconds since 1970. ``source`` and ``target`` are addresses, ``domain`` is the
    target's. ``inbound`` and ``outbound`` are transports, ``inbound`` "" for the proxy's own
    answers. ``round_trip`` is in seconds, with a final response only: from the request's arrival
    here to the response's departure. ``note`` is what it says, in words.
    """

    at: float
    source: str
    target: str
    method: str
    status: int
    domain: str
    inbound: str
    outbound: str
    round_trip: float | None
    note: str


class Observer:
    """Gathers passages until somebody takes them. ``clock`` is monotonic, ``wall`` the time."""

    def __init__(self, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._clock = clock
        self._wall = wall
        self._passed: deque[Passage] = deque(maxlen=MOST)
        self._asked: dict[Key, tuple[float, str]] = {}
        self._answered: dict[Key, str] = {}
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
        if direction is Direction.IN:
            self._came(key, message, flow.transport)
        elif isinstance(message, Request):
            _, inbound = self._asked.get(key, (0.0, ""))
            if message.method == b"ACK":
                self._asked.pop(key, None)
            self._keep(message, message.method, 0, inbound, flow.transport, None)
        else:
            started, _ = self._asked.get(key, (None, ""))
            inbound = self._answered.pop(key, "")
            round_trip = None
            if message.status >= 200:
                self._asked.pop(key, None)
                round_trip = None if started is None else self._clock() - started
            method = message.cseq.method
            self._keep(message, method, message.status, inbound, flow.transport, round_trip)

    def _came(self, key: Key, message: Request | Response, transport: str) -> None:
        for waiting in (self._asked, self._answered):
            if len(waiting) >= MOST:
                waiting.clear()
        if isinstance(message, Request):
            self._asked.setdefault(key, (self._clock(), transport))
        else:
            self._answered[key] = transport

    def _keep(
        self,
        message: Request | Response,
        method: bytes,
        status: int,
        inbound: str,
        outbound: str,
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
                inbound,
                outbound,
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
