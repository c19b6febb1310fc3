"""A request that a testing user agent has sent, as a client transaction (RFC 3261 §17.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from sipx.errors import SipxError
from sipx.sip.transaction import ClientTransaction, request_within

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.sip import Request, Response
    from sipx.testing.peer import UserAgent


class NoAnswerError(SipxError):
    """A request got no final response: nobody answered in time, or the connection broke."""


class Asking(ClientTransaction):
    """A request of ours under way; ``final`` is set when ``done``."""

    __slots__ = (
        "agent",
        "done",
        "failure",
        "final",
        "on_2xx",
        "on_provisional",
        "request",
        "via_line",
    )

    def prepare(self, agent: UserAgent, request: Request, via: bytes) -> None:
        """Remember what ACK and CANCEL are made of."""
        self.agent = agent
        self.request = request
        self.via_line = via
        self.done = trio.Event()
        self.final: Response | None = None
        self.failure = ""
        self.on_provisional: Callable[[Response], None] | None = None
        self.on_2xx: Callable[[Response], None] | None = None

    def on_response(self, response: Response) -> None:
        """The first final response counts; a 2xx that comes again wants its ACK again."""
        if response.status < 200:
            if self.on_provisional is not None:
                self.on_provisional(response)
        elif self.final is None:
            self.final = response
            self.done.set()
        elif self.on_2xx is not None:
            self.on_2xx(response)

    def on_timeout(self) -> None:
        """Timer B or F."""
        self._failed("nobody answered in time")

    def on_error(self) -> None:
        """The wire broke."""
        self._failed("the connection broke")

    def _failed(self, why: str) -> None:
        self.failure = why
        self.done.set()

    def ack(self, response: Response) -> bytes:
        """RFC 3261 §17.1.1.3."""
        to = response.lines[response.layout.to]
        return request_within(self.request, self.via_line, b"ACK", to)

    def cancel(self) -> None:
        """RFC 3261 §9.1: a CANCEL on the same way, as a transaction of its own."""
        data = request_within(self.request, self.via_line, b"CANCEL")
        agent = self.agent
        own = Asking()
        own.prepare(agent, self.request, self.via_line)
        own.begin(agent.transactions, self.key + b" CANCEL", b"CANCEL", data, self.flow)

    async def answer(self) -> Response:
        """Wait for the final response. Raises NoAnswerError."""
        await self.done.wait()
        if self.final is None:
            start = self.request.start.decode("ascii", "replace")
            raise NoAnswerError(f"{start}: {self.failure}")
        return self.final
