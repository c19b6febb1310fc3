"""Flows over connections: framing, write queues with a bound, deadlines (SEC-15)."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Final

from sipx.flows import PING, Flow
from sipx.sip.parser import StreamParser

if TYPE_CHECKING:
    from sipx.interfaces import Interface
    from sipx.transport import Receiver

READ_SIZE: Final = 65536
LONGEST_HOLD: Final = 5.0
"""Seconds for which a peer may not be read from: less than the deadline of half a message."""


class StreamFlow(Flow):
    """A connection. A transport subclasses it and says how bytes are written and how it ends.

    ``send`` only queues; what a batch has queued is written at its end in one piece
    (``flush``). ``waiting`` is True while the transport waits for the peer to read: then the
    queue grows up to ``receiver.stream_limits.write_queue`` bytes, and beyond it the connection
    is closed.
    """

    __slots__ = (
        "_began",
        "_doubted",
        "_ping_sent",
        "_pinged",
        "_queued",
        "_size",
        "_spoke",
        "held_until",
        "pongs",
        "receiver",
        "waiting",
        "was_held",
    )

    def __init__(
        self,
        interface: Interface,
        address: str,
        port: int,
        receiver: Receiver,
        *,
        outbound: bool,
    ) -> None:
        super().__init__(interface, address, port, receiver.now(), outbound=outbound)
        self.receiver = receiver
        self.parser = StreamParser(receiver.limits)
        self.waiting = False
        self._queued: list[bytes] = []
        self._size = 0
        self._doubted = False
        self._began = 0.0
        """When the unfinished message began, 0 when there is none."""
        self._spoke = False
        self._ping_sent = 0.0
        self._pinged = self.opened_at
        self.held_until = 0.0
        """Nothing is read before; the transport sees to it."""
        self.was_held = False
        self.pongs = 0

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Write now what the kernel takes, and keep the rest until the peer reads."""

    def send(self, data: bytes) -> bool:
        """Queue a message; False when the connection is gone or its peer does not read."""
        if self.closed:
            return False
        queued = self._queued
        if not queued and not self.waiting:
            self.receiver.flush_later(self.flush)
        queued.append(data)
        self._size += len(data)
        self.messages_out += 1
        if self._size > self.receiver.stream_limits.write_queue:
            self.close("the peer does not read what it is sent")
            return False
        return True

    def keep_alive(self, data: bytes) -> None:
        """Queue line breaks, which are no message (RFC 5626 §4.4.1)."""
        if self.send(data):
            self.messages_out -= 1

    def flush(self) -> None:
        """Write all that is queued in one piece."""
        queued = self._queued
        if queued and not self.waiting and not self.closed:
            data = queued[0] if len(queued) == 1 else b"".join(queued)
            queued.clear()
            self._size = 0
            self.write(data)

    def heard(self, now: float, waiting_for: str) -> None:
        """Bytes came in; ``waiting_for`` is what an unfinished message lacks."""
        self._spoke = True
        self.last_in = now
        if not waiting_for:
            self._began = 0.0
        elif not self._began:
            self._began = now

    def progressed(self) -> None:
        """A message was completed: the clock of the next one starts anew."""
        self._began = 0.0

    def hold(self, seconds: float) -> None:
        """Read nothing more for so long, LONGEST_HOLD at most; a longer hold stays."""
        until = self.receiver.now() + min(seconds, LONGEST_HOLD)
        self.held_until = max(self.held_until, until)
        self.was_held = True

    def ponged(self) -> None:
        """RFC 5626 §4.4.1: the single CRLF that answers our ping."""
        if self._ping_sent:
            self._ping_sent = 0.0
            self.pongs += 1
            assert self.parser is not None
            self.parser.pong_taken()

    def doubt(self) -> None:
        """A NAT may have forgotten the connection: a keepalive, soon, and not only when it is due,
        finds out before a request does. Only for those that we opened (RFC 5626 §4.4.1).
        """
        self._doubted = self.outbound

    def overdue(self, now: float) -> str | None:
        """SEC-15: what this peer owes us for too long. Sends keepalives on the way."""
        limits = self.receiver.stream_limits
        if not self._spoke and not self.outbound and now - self.opened_at > limits.first_message:
            return "no message after connecting"
        if self._began:
            assert self.parser is not None
            part = self.parser.waiting_for
            allowed = limits.body if part == "body" else limits.head
            if now - self._began > allowed:
                return f"the {part} of a message did not arrive in time"
        # A peer that has answered a ping once is held to it; others may not know RFC 5626.
        if self._ping_sent and self.pongs and now - self._ping_sent > limits.pong:
            return "no answer to a keepalive"
        if now - self.last_in > limits.idle and now > self.keep_until:
            return "idle"
        if self._doubted:
            self._doubted = False
            self._ping_sent = self._ping_sent or now
            self.keep_alive(PING)
        elif self.ping_every:
            if now - self._pinged >= self.ping_every:
                self._pinged = now
                self._ping_sent = self._ping_sent or now
                self.keep_alive(PING)
        elif self.outbound and now - self.last_in > limits.keepalive and not self._ping_sent:
            self._ping_sent = now
            self.keep_alive(PING)
        return None
