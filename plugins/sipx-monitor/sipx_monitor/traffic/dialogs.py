"""Dialogs: all messages of one Call-ID, on both sides of the proxy, and what they have come to.

A proxy changes neither Call-ID nor tags (RFC 3261 §16.6), so the legs of a call share them.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sipx_monitor.traffic.message import Message

STATES: Final = ("trying", "ringing", "established", "ended", "failed", "answered")
_KIND: Final = {
    "INVITE": "call",
    "ACK": "call",
    "BYE": "call",
    "CANCEL": "call",
    "PRACK": "call",
    "UPDATE": "call",
    "INFO": "call",
    "REFER": "call",
    "MESSAGE": "chat",
    "SUBSCRIBE": "presence",
    "NOTIFY": "presence",
    "PUBLISH": "presence",
    "REGISTER": "registration",
    "OPTIONS": "options",
}
_BEGINS: Final = frozenset(("INVITE", "SUBSCRIBE"))
"""What makes a dialog (RFC 3261 §12, RFC 6665 §4.1)."""
MOST_LEGS: Final = 32


class Leg:
    """One neighbour of the proxy in a dialog."""

    __slots__ = ("direction", "peer", "tags", "way")

    def __init__(self, message: Message) -> None:
        self.way = message.way
        self.peer = message.peer
        self.direction = "in" if message.inwards else "out"
        """Which way its first message went."""
        self.tags: tuple[str, ...] = ()
        """The tags of those who are reached over it."""


class Dialog:
    """What is known of one."""

    __slots__ = (
        "_midway",
        "answered_at",
        "call_id",
        "ended",
        "first_seq",
        "from_uri",
        "id",
        "kind",
        "last",
        "last_seq",
        "legs",
        "messages",
        "method",
        "retransmissions",
        "seqs",
        "started",
        "state",
        "status",
        "to_uri",
    )

    def __init__(self, message: Message) -> None:
        self.id = dialog_id(message.call_id)
        self.call_id = message.call_id
        self.method = message.method
        self.kind = _KIND.get(message.method, "other")
        self.state = "trying"
        self.status = 0
        self.from_uri = message.from_uri
        self.to_uri = message.to_uri
        self.started = self.last = message.wall
        self.answered_at: float | None = None
        self.ended: float | None = None
        self.messages = self.retransmissions = 0
        self.legs: list[Leg] = []
        self.seqs: list[int] = []
        self.first_seq = self.last_seq = message.seq
        self._midway = self.kind == "call" and self.method != "INVITE"
        """Whether the recording began in the middle of it."""
        if self._midway:
            self.state = "established"
            self.answered_at = message.wall

    @property
    def duration(self) -> float:
        """Seconds from the answer, or else from the beginning, to the end or the last message."""
        begin = self.started if self.answered_at is None else self.answered_at
        return max(0.0, (self.last if self.ended is None else self.ended) - begin)

    def add(self, message: Message) -> None:
        """Another message of it."""
        message.leg = self._leg_of(message)
        self.seqs.append(message.seq)
        self.last_seq = message.seq
        self.last = message.wall
        self.messages += 1
        if message.retransmission:
            self.retransmissions += 1
        if message.status:
            if message.leg == 0:
                self._answered(message)
        else:
            self._asked(message)

    def told(self, message: Message) -> None:
        """It is known who is at the other end of a message."""
        leg = self.legs[message.leg]
        leg.peer = leg.peer or message.peer

    # ------------------------------------------------------------ state

    def _asked(self, message: Message) -> None:
        method = message.method
        if method == "BYE" and self.kind == "call":
            self._end("ended", message)
        elif method == "NOTIFY" and message.subscription == "terminated":
            if self.kind == "presence":
                self._end("ended", message)
        elif self.kind == "call":
            if method == "INVITE" and self.state == "failed":
                # Once more, with credentials, say.
                self.state, self.ended = "trying", None
        elif method == self.method and method not in _BEGINS and not message.retransmission:
            self.state, self.ended = "trying", None

    def _answered(self, message: Message) -> None:
        status = message.status
        if message.method != self.method or self.state == "ended" or self._midway:
            return
        if status < 200:
            if status > 100 and self.state == "trying":
                self.state = "ringing"
            return
        if self.state == "established" and self.method in _BEGINS:
            return
        self.status = status
        if status < 300:
            if self.method in _BEGINS:
                self.state = "established"
                self.answered_at = message.wall
            else:
                self._end("answered", message)
        elif status in (401, 407):
            self.state = "trying"
        else:
            self._end("failed", message)

    def _end(self, state: str, message: Message) -> None:
        if self.ended is None or self.state != state:
            self.state = state
            self.ended = message.wall

    # ------------------------------------------------------------ legs

    def _leg_of(self, message: Message) -> int:
        way = message.way
        known = next((at for at, leg in enumerate(self.legs) if leg.way == way), None)
        found = self._find_leg(message) if known is None else known
        leg = self.legs[found]
        if message.peer and not leg.peer:
            leg.peer = message.peer
        # Who a request is from is reached where it came from; who it is to, where it goes.
        from_here = message.inwards ^ bool(message.status)
        tag = message.from_tag if from_here else message.to_tag
        if tag and tag not in leg.tags and len(leg.tags) < MOST_LEGS:
            leg.tags += (tag,)
        return found

    def _find_leg(self, message: Message) -> int:
        """A connection that was made anew goes on with the leg of the one before it."""
        from_here = message.inwards ^ bool(message.status)
        tag = message.from_tag if from_here else message.to_tag
        for at, leg in enumerate(self.legs):
            same = leg.way[:2] == message.way[:2]  # the interface and the transport
            if same and tag and tag in leg.tags and leg.way.transport != "udp":
                return at
        if len(self.legs) >= MOST_LEGS:
            return MOST_LEGS - 1
        self.legs.append(Leg(message))
        return len(self.legs) - 1


class Dialogs:
    """All of those whose messages are kept, by Call-ID."""

    def __init__(self) -> None:
        self._by_id: dict[str, Dialog] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, name: str) -> Dialog | None:
        """By its id."""
        return self._by_id.get(name)

    def of_call(self, call_id: str) -> Dialog | None:
        """By its Call-ID."""
        return self._by_id.get(dialog_id(call_id))

    def newest(self) -> list[Dialog]:
        """All, the newest first."""
        return list(reversed(self._by_id.values()))

    def add(self, message: Message) -> None:
        """Find the dialog of a message. One without a Call-ID has none."""
        if not message.call_id:
            return
        name = dialog_id(message.call_id)
        dialog = self._by_id.get(name)
        if dialog is None:
            dialog = self._by_id[name] = Dialog(message)
        message.dialog = dialog
        dialog.add(message)

    def forget(self, message: Message) -> None:
        """A message is not kept any more: it is the oldest of all."""
        dialog = message.dialog
        if dialog is None:
            return
        del dialog.seqs[0]
        if dialog.seqs:
            dialog.first_seq = dialog.seqs[0]
        else:
            del self._by_id[dialog.id]


def dialog_id(call_id: str) -> str:
    """Short, and the same for the same Call-ID."""
    return blake2b(call_id.encode(), digest_size=6).hexdigest()
