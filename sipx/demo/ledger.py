"""What was sent, what arrived at the other side as it was sent, and what was answered.

A request counts as delivered when the server that has its receiver has it, with the body it was
sent with. Where no server has him, the proxy has to say so: then it counts as answered by the
proxy. Nothing else is concluded from an answer alone.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

import trio

from sipx.sip import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx.demo.directory import Directory
    from sipx.demo.people import Person
    from sipx.sip import NameAddr, Request

    Key = tuple[bytes, bytes, int, bytes]

KEPT: Final = 2_000
"""The last round trips of a method, and the last failures, that are remembered."""
UNREACHABLE: Final = (480, 430)
"""What the proxy has to answer where nobody has the receiver (RFC 3261 §21.4.18, RFC 5626)."""
REFUSED: Final = 403
"""What the proxy has to answer to whoever cannot prove the domain in From (RFC 3261 §21.4.4)."""


@dataclass(slots=True)
class Tally:
    """The counts of one method. ``round_trips`` are seconds, from sending to the final answer.

    ``by_proxy`` are those that the proxy had to answer itself, and did.
    """

    sent: int = 0
    delivered: int = 0
    by_proxy: int = 0
    answered: int = 0
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))


@dataclass(slots=True)
class _Open:
    """A request of which not everything is known yet; ``server`` "" where the proxy answers."""

    method: str
    server: str
    ends: tuple[str, str]
    body: bytes
    words: str
    delivered: bool = False
    answered: bool = False


class Ledger:
    """The book of all servers. ``directory`` knows what has to arrive where."""

    def __init__(self, directory: Directory) -> None:
        self.tallies: dict[str, Tally] = {}
        """By method."""
        self.arrived: Counter[str] = Counter()
        """Requests delivered, by the life of the server that got them."""
        self.failures: deque[str] = deque(maxlen=KEPT)
        """What went wrong, in words."""
        self._directory = directory
        self._open: dict[Key, _Open] = {}
        self._promised: Counter[str] = Counter()
        self._changed = trio.Event()

    # ------------------------------------------------------------ what is noted

    def promise(self, who: str) -> None:
        """``who`` (``user@host``) is about to get something: it is not over yet."""
        self._promised[who] += 1

    def kept(self, who: str) -> None:
        """What was promised has been done."""
        self._promised[who] -= 1
        self._wake()

    def sent(self, request: Request) -> None:
        """A request leaves its sender."""
        key = _key(request)
        method = request.method.decode()
        if key in self._open:
            return  # the ACK of a 2xx that came twice (RFC 3261 §13.2.2.4)
        self.tallies.setdefault(method, Tally()).sent += 1
        ends = _address(request.from_), _address(request.to)
        # An ACK is never answered.
        self._open[key] = _Open(
            method,
            self._directory.expected(request),
            ends,
            request.body,
            f"{method} from {ends[0]} to {ends[1]}",
            answered=method == "ACK",
        )

    def delivered(self, request: Request, server: str) -> None:
        """A request is at a server."""
        entry = self._open.get(_key(request))
        if entry is None:
            if request.method != b"ACK":
                method = request.method.decode("ascii", "replace")
                self.failures.append(f"{method} at {server}: nobody sent it, or it came twice")
            return
        if entry.delivered:
            self.failures.append(f"{entry.words}: came twice")
        elif entry.server != server:
            self.failures.append(f"{entry.words}: arrived at {server}")
        elif entry.body != request.body:
            self.failures.append(f"{entry.words}: arrived with another body")
        else:
            self.tallies[entry.method].delivered += 1
            self.arrived[server] += 1
        # Nothing better will come of one that went astray.
        entry.delivered = True
        self._close_if_done(request, entry)

    def answered(self, request: Request, status: int, round_trip: float) -> None:
        """The sender has the final response to its request."""
        entry = self._open[_key(request)]
        tally = self.tallies[entry.method]
        if not entry.server and status in UNREACHABLE:
            tally.by_proxy += 1
            entry.delivered = True
        elif status >= 300 or not entry.server:
            due = "" if entry.server else ", and 480 was due"
            self.failed(request, f"was answered {status}{due}")
            return
        tally.answered += 1
        tally.round_trips.append(round_trip)
        entry.answered = True
        self._close_if_done(request, entry)

    def logged_on(self, words: str, status: int, round_trip: float) -> None:
        """A REGISTER has its final response, challenges aside; ``words`` say what it was."""
        tally = self.tallies.setdefault("REGISTER", Tally())
        tally.sent += 1
        if status >= 300 or not status:
            self.failures.append(f"{words}: was answered {status}" if status else words)
            return
        tally.by_proxy += 1
        tally.answered += 1
        tally.round_trips.append(round_trip)

    def turned_away(self, words: str, status: int, round_trip: float) -> None:
        """Somebody sent a MESSAGE that has to be refused with 403; ``words`` say what it was."""
        tally = self.tallies.setdefault("MESSAGE", Tally())
        tally.sent += 1
        if status != REFUSED:
            self.failures.append(f"{words}: was answered {status}, and {REFUSED} was due")
            return
        tally.by_proxy += 1
        tally.answered += 1
        tally.round_trips.append(round_trip)

    def failed(self, request: Request, why: str) -> None:
        """Nothing more will come of a request."""
        entry = self._open.pop(_key(request))
        self.failures.append(f"{entry.words}: {why}")
        self._wake()

    def _close_if_done(self, request: Request, entry: _Open) -> None:
        if entry.delivered and entry.answered:
            del self._open[_key(request)]
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # ------------------------------------------------------------ what is asked

    async def settled(self, people: Iterable[Person] = ()) -> None:
        """Wait until all that was sent or promised has been delivered and answered, or failed.

        With ``people`` only what is from or to one of them.
        """
        names = {str(person) for person in people}
        while self._waits_for(names):
            await self._changed.wait()

    def _waits_for(self, names: set[str]) -> bool:
        if not names:
            return bool(self._open) or self._promised.total() > 0
        return any(names.intersection(entry.ends) for entry in self._open.values()) or any(
            self._promised[name] for name in names
        )

    def missing(self) -> list[str]:
        """What was sent and not delivered, or not answered, or else went wrong; in words."""
        waiting = (
            f"{entry.words}: "
            + ("was delivered, but not answered" if entry.delivered else "was not delivered")
            for entry in self._open.values()
        )
        return [*self.failures, *waiting]

    def total(self) -> Tally:
        """All methods together; round trips without INVITE, which waits for a human being."""
        tallies = self.tallies.values()
        trips = (t.round_trips for method, t in self.tallies.items() if method != "INVITE")
        return Tally(
            sum(t.sent for t in tallies),
            sum(t.delivered for t in tallies),
            sum(t.by_proxy for t in tallies),
            sum(t.answered for t in tallies),
            deque(trip for some in trips for trip in some),
        )


def percentile(values: Iterable[float], percent: float) -> float | None:
    """By nearest rank: the smallest value that ``percent`` of all do not exceed; None of none."""
    ordered: Sequence[float] = sorted(values)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def _key(request: Request) -> Key:
    """Each request of a dialog has a number, counted by each side for itself."""
    cseq = request.cseq
    return request.call_id, request.from_.tag or b"", cseq.number, cseq.method


def _address(address: NameAddr) -> str:
    uri = SipUri.parse(address.uri)
    return b"@".join(filter(None, (uri.user, uri.host))).decode("utf-8", "replace")
