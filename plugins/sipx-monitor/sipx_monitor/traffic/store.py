"""The messages that are kept: a ring bounded by count and by bytes, the oldest go first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sipx import masked
from sipx_monitor.traffic.dialogs import Dialogs
from sipx_monitor.traffic.head import Head
from sipx_monitor.traffic.message import Message
from sipx_monitor.traffic.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx_monitor.traffic.message import Seen

Bodies = Literal["none", "sdp", "all"]
"""Which bodies are kept: none, session descriptions only, all. The others may be chat text."""


class Store:
    """The ring. Messages are numbered from ``first`` to ``last`` without gaps; ``last`` is
    ``first - 1`` where there are none.
    """

    def __init__(self, messages: int, size: int, bodies: Bodies, *, begin: int = 1) -> None:
        self.most_messages = messages
        self.most_bytes = size
        self.bodies = bodies
        self.directed = True
        """Whether it is known which end of each message was the proxy."""
        self.first = begin
        self.last = begin - 1
        self.bytes = 0
        self._messages: dict[int, Message] = {}
        self.transactions = Transactions(self._messages.get)
        self.dialogs = Dialogs()

    def __len__(self) -> int:
        return self.last - self.first + 1

    def get(self, seq: int) -> Message | None:
        """A message that is kept."""
        return self._messages.get(seq)

    def between(self, first: int, last: int) -> Iterator[Message]:
        """The messages from one to another, both included, as far as they are kept."""
        for seq in range(max(first, self.first), min(last, self.last) + 1):
            yield self._messages[seq]

    def add(self, seen: Seen) -> Message:
        """Keep a message, and drop the oldest where there is no room."""
        head = Head(seen.start, seen.lines)
        message = Message(self.last + 1, seen, head)
        text = b"\r\n".join((seen.start, *seen.lines))
        message.size = len(text) + 4 + len(seen.body)
        message.head = masked(text)
        self._keep_body(message, seen)
        self._messages[message.seq] = message
        self.last = message.seq
        self.bytes += message.cost
        self.transactions.add(message, head)
        self.dialogs.add(message)
        while len(self) > self.most_messages or (self.bytes > self.most_bytes and len(self) > 1):
            self._drop_oldest()
        return message

    def clear(self) -> None:
        """Drop all. The numbers go on."""
        while len(self):
            self._drop_oldest()

    def resize(self, messages: int, size: int, bodies: Bodies) -> None:
        """Other bounds, from now on."""
        self.most_messages, self.most_bytes, self.bodies = messages, size, bodies

    def _drop_oldest(self) -> None:
        message = self._messages.pop(self.first)
        self.first += 1
        self.bytes -= message.cost
        self.transactions.forget(message)
        self.dialogs.forget(message)

    def _keep_body(self, message: Message, seen: Seen) -> None:
        body = seen.body
        if not body:
            if seen.without_body:
                message.body_state = "dropped"
            return
        wanted = self.bodies == "all" or (
            self.bodies == "sdp" and message.body_type == "application/sdp"
        )
        message.body_state = "kept" if wanted else "dropped"
        if wanted:
            message.body = masked(body)
