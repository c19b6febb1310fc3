"""What was sent, what arrived at the other side as it was sent, and what was answered.

A request counts as delivered when the user agent of the domain in its To has it, with the body it
was sent with. Nothing is concluded from an answer alone.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final

import trio

from sipx.sip import SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx.sip import NameAddr, Request

    Key = tuple[bytes, bytes, int, bytes]

KEPT: Final = 2_000
"""The last round trips of a method, and the last failures, that are remembered."""


@dataclass(slots=True)
class Tally:
    """The counts of one method. ``round_trips`` are seconds, from sending to the final answer."""

    sent: int = 0
    delivered: int = 0
    answered: int = 0
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))


@dataclass(slots=True)
class _Open:
    """A request of which not everything is known yet."""

    method: str
    domain: bytes
    body: bytes
    words: str
    delivered: bool = False
    answered: bool = False


class Ledger:
    """The book of both servers."""

    def __init__(self) -> None:
        self.tallies: dict[str, Tally] = {}
        """By method."""
        self.failures: deque[str] = deque(maxlen=KEPT)
        """What went wrong, in words."""
        self._open: dict[Key, _Open] = {}
        self._promised = 0
        self._changed = trio.Event()

    # ------------------------------------------------------------ what is noted

    def promise(self) -> None:
        """Somebody is about to send something: it is not over yet."""
        self._promised += 1

    def kept(self) -> None:
        """What was promised has been done."""
        self._promised -= 1
        self._changed.set()

    def sent(self, request: Request) -> None:
        """A request leaves its sender."""
        key = _key(request)
        method = request.method.decode()
        if key in self._open:
            return  # the ACK of a 2xx that came twice (RFC 3261 §13.2.2.4)
        self.tallies.setdefault(method, Tally()).sent += 1
        to = request.to
        # An ACK is never answered.
        self._open[key] = _Open(
            method,
            _host(to),
            request.body,
            f"{method} from {_address(request.from_)} to {_address(to)}",
            answered=method == "ACK",
        )

    def delivered(self, request: Request, domain: str) -> None:
        """A request is at the server of ``domain``."""
        entry = self._open.get(_key(request))
        if entry is None:
            if request.method != b"ACK":
                method = request.method.decode("ascii", "replace")
                self.failures.append(f"{method} at {domain}: nobody sent it, or it came twice")
            return
        if entry.domain != domain.encode():
            self.failures.append(f"{entry.words}: arrived at {domain}")
        elif entry.body != request.body:
            self.failures.append(f"{entry.words}: arrived with another body")
        else:
            self.tallies[entry.method].delivered += 1
            entry.delivered = True
            self._close_if_done(request, entry)

    def answered(self, request: Request, status: int, round_trip: float) -> None:
        """The sender has the final response to its request."""
        entry = self._open[_key(request)]
        if status >= 300:
            self.failed(request, f"was answered {status}")
            return
        tally = self.tallies[entry.method]
        tally.answered += 1
        tally.round_trips.append(round_trip)
        entry.answered = True
        self._close_if_done(request, entry)

    def failed(self, request: Request, why: str) -> None:
        """Nothing more will come of a request."""
        entry = self._open.pop(_key(request))
        self.failures.append(f"{entry.words}: {why}")
        self._changed.set()

    def _close_if_done(self, request: Request, entry: _Open) -> None:
        if entry.delivered and entry.answered:
            del self._open[_key(request)]
            self._changed.set()

    # ------------------------------------------------------------ what is asked

    async def settled(self) -> None:
        """Wait until all that was sent or promised has been delivered and answered, or failed."""
        while self._open or self._promised:
            self._changed = trio.Event()
            await self._changed.wait()

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


def _host(address: NameAddr) -> bytes:
    return SipUri.parse(address.uri).host


def _address(address: NameAddr) -> str:
    return address.uri.removeprefix(b"sip:").decode("utf-8", "replace")
