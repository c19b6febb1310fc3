"""The transaction machines as conversations: what comes in, what goes out, and when.

    machine = Transcript.client("INVITE")
    machine.starts().sends("INVITE").after(0.5).sends("INVITE").receives(180).tells(180)

Nothing runs by itself: time passes in ``after``, and whatever the machine does has to be named
by the next steps. What is sent too early, too often or not at all is an AssertionError.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final, cast

from sipx.sip import Request, parse_datagram
from sipx.sip.timers import TICK, Timers, TimerSettings
from sipx.sip.transaction import (
    CLIENT_INVITE,
    CLIENT_OTHER,
    EVENTS,
    SERVER_INVITE,
    SERVER_OTHER,
    STATES,
    ClientTransaction,
    ServerTransaction,
    request_within,
)
from sipx.testing.wire import a_request, an_answer, gist
from sipx.transactions import Transactions

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.sip.message import Response

Row = tuple[str, str, str]
"""Table, state, event: one row of one machine."""

TABLES: Final = {
    "client INVITE": CLIENT_INVITE,
    "client other": CLIENT_OTHER,
    "server INVITE": SERVER_INVITE,
    "server other": SERVER_OTHER,
}
DRIFT: Final = 1e-6
"""Each tick comes this much later than the one before, as clocks are never exact."""


def all_rows() -> set[Row]:
    """Every row of every table."""
    return {
        (name, STATES[state], EVENTS[event])
        for name, table in TABLES.items()
        for state, event in cast("dict[tuple[int, int], object]", table)
    }


class Line:
    """The flow of a transcript: what is sent is kept; ``broken`` refuses to send."""

    transport = "udp"
    address = "192.0.2.1"

    def __init__(self, *, reliable: bool) -> None:
        self.reliable = reliable
        self.broken = False
        self.carries_requests = True
        self.sent: deque[bytes] = deque()

    def send(self, data: bytes) -> bool:
        """Keep it."""
        if self.broken:
            return False
        self.sent.append(data)
        return True

    def same_peer(self, other: Line) -> bool:
        """A transcript has one line."""
        return self is other


class _Watched:
    """A table that notes which of its rows are used."""

    def __init__(self, name: str, table: Any, rows: set[Row]) -> None:
        self._name = name
        self._table = table
        self._rows = rows

    def __getitem__(self, state: int) -> _WatchedState:
        return _WatchedState(self, state)

    def row(self, state: int, event: int) -> Any:
        """A look-up of the machine."""
        found = self._table[state][event]
        if found is not None:
            self._rows.add((self._name, STATES[state], EVENTS[event]))
        return found


class _WatchedState:
    def __init__(self, table: _Watched, state: int) -> None:
        self._table = table
        self._state = state

    def __getitem__(self, event: int) -> Any:
        return self._table.row(self._state, event)


class _Client(ClientTransaction):
    """The client machine of a transcript."""

    __slots__ = ("request", "told", "via")

    request: Request
    told: deque[str | int]
    via: bytes

    def on_response(self, response: Response) -> None:
        self.told.append(response.status)

    def on_timeout(self) -> None:
        self.told.append("timeout")

    def on_error(self) -> None:
        self.told.append("error")

    def ack(self, response: Response) -> bytes:
        to = response.lines[response.layout.to]
        return request_within(self.request, self.via, b"ACK", to)


class Transcript:
    """One machine and its world. Made by ``client`` or ``server``; every step returns itself.

    ``last`` is what ``sends`` saw last, in bytes. ``rows`` collects the rows of the tables that
    were used, across transcripts if it is shared.
    """

    def __init__(
        self,
        *,
        reliable: bool = False,
        settings: TimerSettings | None = None,
        rows: set[Row] | None = None,
    ) -> None:
        self.line = Line(reliable=reliable)
        self.timers = Timers()
        self.transactions = Transactions(settings or TimerSettings(), self.timers)
        self.transactions.user = self
        self.transactions.own_sent_by = frozenset((b" 192.0.2.9:5060 ",))
        self.rows = set() if rows is None else rows
        self.told: deque[str | int] = deque()
        self.machine: ClientTransaction | ServerTransaction | None = None
        self.request = a_request()
        self.last = b""
        self._data = b""
        self._clock = 0.0
        self._ticks = 0

    # ------------------------------------------------------------ a client

    @classmethod
    def client(cls, method: str = "MESSAGE", **options: Any) -> Transcript:
        """A client transaction for a request of ours; options are those of the class."""
        transcript = cls(**options)
        via = b"Via: SIP/2.0/UDP 192.0.2.9:5060;branch=z9hG4bKours"
        request = a_request(method, via=(via,))
        transcript.request = request
        transcript._data = request.encode()
        request.drop_line(0)
        machine = _Client()
        machine.request = request
        machine.via = via
        machine.told = transcript.told
        transcript.machine = machine
        return transcript

    def starts(self) -> Transcript:
        """The user sends its request."""
        machine = self.machine
        assert isinstance(machine, ClientTransaction)
        self._quiet()
        machine.begin(self.transactions, b"z9hG4bKours", self.request.method, self._data, self.line)
        self._watch(machine)
        return self

    # ------------------------------------------------------------ a server

    @classmethod
    def server(cls, method: str = "MESSAGE", **options: Any) -> Transcript:
        """A server transaction; it begins when the request ``receives`` for the first time."""
        transcript = cls(**options)
        transcript.request = a_request(method)
        return transcript

    def answers(self, status: int) -> Transcript:
        """The user responds."""
        assert isinstance(self.machine, ServerTransaction)
        self._quiet()
        self.machine.respond(status, self.request.reply(status, to_tag=b"b").encode())
        return self

    # ------------------------------------------------------------ what happens to it

    def receives(self, message: str | int) -> Transcript:
        """A response with this status, or a request with this method, arrives."""
        self._quiet()
        flow = cast("Flow", self.line)
        if isinstance(message, int):
            self.transactions.on_response(an_answer(self._data, message), flow)
        elif message == "ACK":
            self.transactions.on_request(a_request("ACK", to_tag=b"b"), flow)
        else:
            self.transactions.on_request(a_request(message), flow)
        return self

    def after(self, seconds: float) -> Transcript:
        """Time passes; what the machine does at its end has to be named next, nothing before."""
        self._quiet()
        end = self._clock + seconds
        while self._clock < end - TICK / 2:
            self._quiet()
            self._clock = min(self._clock + TICK, end)
            self._ticks += 1
            self.timers.tick(self._clock + self._ticks * DRIFT)
        return self

    def breaks(self) -> Transcript:
        """From now on nothing can be sent."""
        self._quiet()
        self.line.broken = True
        return self

    def loses_its_flow(self) -> Transcript:
        """The connection ends (RFC 3261 §17.1.4)."""
        self._quiet()
        self.transactions.flow_failed(cast("Flow", self.line))
        return self

    # ------------------------------------------------------------ what it does

    def sends(self, message: str | int) -> Transcript:
        """The next thing it sent is this method or status."""
        assert self.line.sent, f"{message} is not sent at {self._clock:g} s"
        data = self.line.sent.popleft()
        assert gist(data) == message, f"{gist(data)} instead of {message} at {self._clock:g} s"
        self.last = data
        return self

    def tells(self, what: str | int) -> Transcript:
        """Its user has been told of a status, a method, "timeout" or "error"."""
        assert self.told, f"its user is not told of {what} at {self._clock:g} s"
        told = self.told.popleft()
        assert told == what, f"its user is told {told} instead of {what} at {self._clock:g} s"
        return self

    def nothing(self) -> Transcript:
        """Nothing is sent, nobody is told."""
        self._quiet()
        return self

    def is_in(self, state: int) -> Transcript:
        """The state it is in."""
        assert self.machine is not None
        assert STATES[self.machine.state] == STATES[state]
        return self

    def is_gone(self) -> Transcript:
        """Nothing is kept of it any more."""
        self._quiet()
        assert not self.transactions.clients
        assert not self.transactions.servers
        return self

    def ends(self) -> Transcript:
        """A whole minute later nothing has happened and nothing is left of it."""
        return self.after(60).is_gone()

    # ------------------------------------------------------------ the user of the server

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A new transaction."""
        self.told.append(request.method.decode())
        self._watch(transaction)

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK that is none of a transaction."""
        self.told.append("ACK")

    def on_cancel(
        self,
        request: Request,
        transaction: ServerTransaction,
        invite: ServerTransaction | None,
        flow: Flow,
    ) -> None:
        """A CANCEL."""
        self.told.append("CANCEL" if invite is not None else "CANCEL of nothing")

    # ------------------------------------------------------------ below

    def _watch(self, machine: ClientTransaction | ServerTransaction) -> None:
        kind = "client" if isinstance(machine, ClientTransaction) else "server"
        method = "INVITE" if self.request.method == b"INVITE" else "other"
        name = f"{kind} {method}"
        machine.table = cast("Any", _Watched(name, machine.table, self.rows))
        self.machine = machine

    def _quiet(self) -> None:
        sent = [gist(data) for data in self.line.sent]
        assert not sent, f"sent without being asked for at {self._clock:g} s: {sent}"
        assert not self.told, f"its user is told {list(self.told)} at {self._clock:g} s"


class Pair:
    """A client and a server machine joined in memory, with chosen messages lost on the way.

    ``lost`` names messages by side and number: ``"c0"`` is the first that the client sends,
    ``"s1"`` the second that the server sends. The server's user gives ``answers``, each so many
    seconds after the request came. ``requests`` is how often that user was asked, ``told`` what
    the client's user heard, with the time; ``sent`` counts the messages of each side.
    """

    LATENCY: Final = 0.01

    def __init__(
        self,
        method: str,
        answers: tuple[tuple[float, int], ...],
        *,
        reliable: bool = False,
        lost: frozenset[str] = frozenset(),
    ) -> None:
        self.client = Transcript.client(method, reliable=reliable)
        self.server = Transcript.server(method, reliable=reliable)
        self.answers = list(answers)
        self.lost = lost
        self.requests = 0
        self.told: list[tuple[float, str | int]] = []
        self.sent = {"c": 0, "s": 0}
        self._way: list[tuple[float, str, bytes]] = []
        self._due: list[tuple[float, int]] = []
        self._request: Request | None = None

    def run(self, seconds: float) -> Pair:
        """Let so much time pass from the first sending on."""
        client, server = self.client, self.server
        client.starts()
        now, step = 0.0, Pair.LATENCY
        while now < seconds:
            self._carry(now)
            now += step
            client.timers.tick(now)
            server.timers.tick(now)
            while self._due and self._due[0][0] <= now:
                self._answer(self._due.pop(0)[1])
        self._carry(now)
        return self

    def _answer(self, status: int) -> None:
        machine = self.server.machine
        assert isinstance(machine, ServerTransaction)
        assert self._request is not None
        machine.respond(status, self._request.reply(status, to_tag=b"b").encode())

    def _carry(self, now: float) -> None:
        """Move what was sent; what is under way arrives one step later."""
        arriving, self._way = self._way, []
        for _, side, data in arriving:
            self._arrive(now, side, data)
        for side, transcript in (("c", self.client), ("s", self.server)):
            while transcript.line.sent:
                data = transcript.line.sent.popleft()
                if f"{side}{self.sent[side]}" not in self.lost:
                    self._way.append((now, side, data))
                self.sent[side] += 1
        while self.client.told:
            self.told.append((round(now, 2), self.client.told.popleft()))
        while self.server.told:
            if self.server.told.popleft() != "ACK":
                self.requests += 1
                self._due = [(now + delay, status) for delay, status in self.answers]

    def _arrive(self, now: float, side: str, data: bytes) -> None:
        message = parse_datagram(data)
        to = self.server if side == "c" else self.client
        flow = cast("Flow", to.line)
        if isinstance(message, Request):
            if self._request is None:
                self._request = message
            to.transactions.on_request(message, flow)
        else:
            to.transactions.on_response(message, flow)
