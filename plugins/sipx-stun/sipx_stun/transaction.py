"""One request: when it is sent again, what counts as its answer, and how it ended.

No socket and no clock: whoever has them asks `Transaction.poll` what to send now, waits until
``due`` at most, and hands over what arrives. All times are seconds of the caller's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx_stun.codec import (
    BINDING,
    COOKIE,
    MOST,
    Address,
    Kind,
    StunError,
    StunMessage,
    binding_request,
    decode,
)

if TYPE_CHECKING:
    from random import Random

_THIS_NETWORK: Final = ip_network("0.0.0.0/8")
MOST_REFUSALS: Final = 4
"""Requests that ICMP refuses, while nothing else comes, until that is believed."""


class Schedule(NamedTuple):
    """When a request is sent, in seconds since the first time, and when it has failed."""

    sends: tuple[float, ...]
    end: float

    def within(self, timeout: float) -> Schedule:
        """The same, cut off after ``timeout`` seconds."""
        return Schedule(tuple(at for at in self.sends if at < timeout), min(self.end, timeout))


PATIENT: Final = Schedule((0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5), 39.5)
"""RFC 8489 §6.2.1 with its defaults: "requests would be sent at times 0 ms, 500 ms, 1500 ms,
3500 ms, 7500 ms, 15500 ms, and 31500 ms", and given up after 39500 ms."""
BRISK: Final = Schedule((0.0, 0.1, 0.3, 0.7, 1.5, 3.1, 4.7, 6.3, 7.9), 9.5)
"""RFC 3489 §9.3: "requests would be sent at times 0ms, 100ms, 300ms, 700ms, 1500ms, 3100ms,
4700ms, 6300ms, and 7900ms. At 9500ms, the client considers the transaction to have failed". More
of them in less time: where a server is known to be there and silence says something."""


class Ending(StrEnum):
    """How a transaction ended."""

    ANSWERED = "answered"
    SILENT = "silent"
    REFUSED = "refused"
    """The server answered with an error."""
    UNREACHABLE = "unreachable"
    """ICMP, or this machine itself, said that the request did not arrive."""
    USELESS = "useless"
    """What came was no answer: from elsewhere, malformed, or with an address that cannot be."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a transaction; ``text`` says why there is no answer, if there is none."""

    ending: Ending
    text: str
    message: StunMessage | None = None
    mapped: Address = ("", 0)
    """Where the server saw us; there always is one in an answer."""


def place(address: Address) -> str:
    """An address and its port for people: "203.0.113.1 port 3478"."""
    return f"{address[0]} port {address[1]}"


def refusal_of(mapped: Address, server: Address) -> str:
    """Why a mapped address cannot be what ``server`` sees us at; "" where it can.

    A loopback address can where the server has one itself. Addresses of no network, that of all
    machines, and IPv4 in the guise of IPv6 are what only a broken server or a liar tells.
    """
    ours, theirs = ip_address(mapped[0]), ip_address(server[0])
    if ours.version != theirs.version:
        return f"{mapped[0]} is no IPv{theirs.version} address"
    nowhere = ours.is_unspecified or ours.is_multicast or ours in _THIS_NETWORK or mapped[1] == 0
    if nowhere or (ours.is_reserved and not ours.is_loopback):
        return f"{place(mapped)} is nowhere"
    if ours.is_loopback and not theirs.is_loopback:
        return f"{mapped[0]} is a loopback address"
    return ""


class Transaction:
    """A Binding request to ``server``, begun ``now``; ``outcome`` is None until it has ended.

    ``change`` are flags of CHANGE-REQUEST, and ``answers_from`` where the answer then has to come
    from. ``rng`` makes the transaction id, which nobody may guess (RFC 8489 §5).
    """

    def __init__(
        self,
        server: Address,
        schedule: Schedule,
        now: float,
        rng: Random,
        *,
        change: int = 0,
        answers_from: Address | None = None,
    ) -> None:
        self.server = server
        self.outcome: Outcome | None = None
        self._transaction = COOKIE + rng.randbytes(12)
        self._request = binding_request(self._transaction, change)
        self._answers_from = answers_from or server
        self._schedule = schedule
        self._begun = now
        self._sent = 0
        self._useless = ""
        self._unreachable = ""
        self._refusals: set[int] = set()

    @property
    def due(self) -> float:
        """When `poll` has something to do again."""
        sends = self._schedule.sends
        after = sends[self._sent] if self._sent < len(sends) else self._schedule.end
        return self._begun + after

    def poll(self, now: float) -> bytes | None:
        """What is to be sent now, if anything; after the last wait the outcome is there."""
        if self.outcome is not None or now < self.due:
            return None
        if now >= self._begun + self._schedule.end:
            self._give_up()
            return None
        # What was missed meanwhile is not made up for: one request asks as much as three.
        while now >= self.due and self._sent < len(self._schedule.sends):
            self._sent += 1
        return self._request

    def receive(self, data: bytes, source: Address) -> None:
        """A datagram that came from ``source``: the answer, or nothing at all."""
        if self.outcome is not None:
            return
        try:
            message = decode(data)
        except StunError as error:
            self._ignore(source, f"a malformed answer: {error}")
            return
        # RFC 8489 §6.3: "the agent checks that the transaction ID matches a transaction that is
        # still in progress".
        if message.kind not in {Kind.SUCCESS, Kind.ERROR} or message.method != BINDING:
            return
        if message.transaction != self._transaction:
            return
        # RFC 8489 §6.3.1.2 (RFC 5780 §6.1 with CHANGE-REQUEST) says where it is sent from. One
        # from elsewhere may be of anybody who saw the request.
        if source != self._answers_from:
            self._useless = f"the answer came from {place(source)}"
        elif len(data) > MOST:
            self._useless = f"an answer of {len(data)} bytes"
        elif message.unknown:
            # RFC 8489 §6.3.3: "If the success response contains unknown comprehension-required
            # attributes, the response is discarded". §6.3.4 says the same of errors.
            self._useless = f"the answer has an unknown attribute 0x{message.unknown[0]:04x}"
        elif message.kind is Kind.ERROR:
            self._end(Ending.REFUSED, f"error {message.error or 'without a code'}")
        elif message.mapped is None:
            self._useless = "the answer tells no address"
        elif refusal := refusal_of(message.mapped, self.server):
            self._useless = f"the answer tells an address that cannot be: {refusal}"
        else:
            self.outcome = Outcome(Ending.ANSWERED, "", message, message.mapped)

    def unreachable(self, text: str) -> None:
        """ICMP says that a request did not arrive, in words.

        Anybody may have written that, or a server be just starting; an answer counts more. So it
        is the end only after some requests that nothing else came of.
        """
        self._unreachable = text
        self._refusals.add(self._sent)
        if len(self._refusals) >= MOST_REFUSALS and self.outcome is None:
            self._give_up()

    def unsendable(self, text: str) -> None:
        """The machine itself does not send the request: no route, no such address."""
        if self.outcome is None:
            self._end(Ending.UNREACHABLE, text)

    def _ignore(self, source: Address, why: str) -> None:
        if source == self._answers_from:
            self._useless = why

    def _give_up(self) -> None:
        if self._useless:
            self._end(Ending.USELESS, self._useless)
        elif self._unreachable:
            self._end(Ending.UNREACHABLE, self._unreachable)
        else:
            self._end(Ending.SILENT, "no answer")

    def _end(self, ending: Ending, text: str) -> None:
        self.outcome = Outcome(ending, text)
