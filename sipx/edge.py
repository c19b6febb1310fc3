"""Where messages enter: the kernel as the transports see it."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Final

from sipx.arrival import note_source
from sipx.events import Direction
from sipx.flows import PONG
from sipx.logs import about
from sipx.reasons import OTHER_METHOD, Drop, Refusal, TurnedAway
from sipx.sip.errors import RemoteError
from sipx.sip.message import Message, Request
from sipx.sip.parser import KeepAlive, Limits, parse_datagram
from sipx.streams import StreamFlow

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow, FlowTable
    from sipx.hooks import Hooks
    from sipx.interfaces import Interface
    from sipx.journal import Journal
    from sipx.sip.message import Response
    from sipx.transactions import Transactions
    from sipx.transport import StreamLimits
    from sipx.troubles import Troubles

log = logging.getLogger("sipx.edge")

OTHER_PROTOCOL: Final = b"\x04"
"""RFC 7983 §7: a datagram whose first byte is below this is STUN; no SIP message begins so."""


class Edge:
    """The Receiver of docs/hooks.md: bytes in, parsed messages to the transactions."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        limits: Limits,
        stream_limits: StreamLimits,
        max_connections: int,
        max_connections_per_address: int,
        flows: FlowTable,
        transactions: Transactions,
        hooks: Hooks,
        journal: Journal,
        troubles: Troubles,
    ) -> None:
        self.now = clock
        self.limits = limits
        self.stream_limits = stream_limits
        self.max_connections = max_connections
        self.max_connections_per_address = max_connections_per_address
        self.flows = flows
        self.transactions = transactions
        self.timers = transactions.timers
        self.hooks = hooks
        self.journal = journal
        self.requests = journal.requests
        self.trouble = troubles.note
        self.draining = False
        self.traced = False
        """Whether somebody wants to see messages."""
        self.on_bug: Callable[[Exception], None] | None = None
        self._connections: Counter[str] = Counter()

    # ------------------------------------------------------------ batches

    def batch_begins(self) -> None:
        """Read the clock once for all that is about to be handled."""
        self.timers.now = self.now()

    def batch_ends(self) -> None:
        """Write what stream flows have queued; only then do those who watch hear of it."""
        if self.flows.dirty:
            self.flows.flush()
        if self.journal.waiting:
            self.journal.tell_waiting()

    def flush_later(self, write: Callable[[], None]) -> None:
        """Call ``write`` at the end of the batch."""
        self.flows.dirty.append(write)

    # ------------------------------------------------------------ messages

    def datagram(self, data: bytes, flow: Flow) -> None:
        """One datagram: one message, or a keepalive, or nothing."""
        try:
            message = parse_datagram(data, self.limits, flow.shapes)
        except RemoteError as error:
            if data[:1] < OTHER_PROTOCOL and self._serve(data, flow):
                return
            if data.strip(b"\r\n\0"):
                # Signs of smuggling are not worth an answer by UDP: its source may be forged.
                self._malformed(error, data, flow, answer=not error.fatal)
            return
        self.deliver(message, flow)

    def _serve(self, data: bytes, flow: Flow) -> bool:
        """What is no SIP but STUN, say: the answer of the plugin that knows it goes back."""
        for hook in self.hooks.serve_datagram:
            try:
                answer = hook(data, flow)
            except Exception as error:
                self.journal.fault(hook, "serve_datagram", error)
                continue
            if answer is not None:
                flow.last_in = self.timers.now
                flow.send(answer)
                return True
        return False

    def stream(self, data: bytes, flow: Flow) -> bool:
        """Bytes of a connection; False: it cannot be trusted any more."""
        assert isinstance(flow, StreamFlow)
        parser = flow.parser
        assert parser is not None
        complete = False
        for item in parser.feed(data):
            if isinstance(item, Message):
                complete = True
                self.deliver(item, flow)
            elif isinstance(item, KeepAlive):
                if item is KeepAlive.PING:
                    # RFC 5626 §4.4.1: "it MUST immediately respond with a single CRLF".
                    flow.keep_alive(PONG)
                else:
                    flow.ponged()
            else:
                self._malformed(item, data, flow, answer=True)
        if complete:
            flow.progressed()
        flow.heard(self.timers.now, parser.waiting_for)
        return not parser.failed

    def deliver(self, message: Request | Response, flow: Flow) -> None:
        """A parsed message: to its transaction. A bug of ours costs this message only."""
        flow.last_in = self.timers.now
        flow.messages_in += 1
        try:
            if self.traced:
                self.journal.trace_in(message, flow)
            if isinstance(message, Request):
                try:
                    self.requests[message.method] += 1
                except KeyError:
                    self.requests[OTHER_METHOD] += 1
                line = message.lines[message.layout.via]
                if message.sent_by != flow.exact_sent_by or b"rport" in line:
                    flow = note_source(message, flow)
                self.transactions.on_request(message, flow)
            else:
                self.transactions.on_response(message, flow)
        except RemoteError as error:
            self.journal.dropped(flow, error.reason, Drop.MALFORMED)
        except Exception as error:
            self._bug(error, f"handling a message from {flow.name}", about(flow, message))

    def bug(self, error: Exception, where: str) -> None:
        """A bug of ours is told with its traceback; what it is about pays, and nobody else."""
        self._bug(error, where, {})

    def _bug(self, error: Exception, where: str, fields: dict[str, str]) -> None:
        log.error("internal error while %s", where, exc_info=error, extra=fields)
        self.journal.internal_error()
        if self.on_bug is not None:
            self.on_bug(error)

    def _malformed(self, error: RemoteError, data: bytes, flow: Flow, *, answer: bool) -> None:
        if self.hooks.bytes_traced:
            self.journal.trace_bytes(data, flow, Direction.IN, error.reason)
        if not answer or error.reply is None:
            self.journal.dropped(flow, error.reason, Drop.MALFORMED)
            return
        self.journal.note_drop(flow, error.reason)
        self.journal.refused_for[Refusal.MALFORMED] += 1
        self.journal.answered(OTHER_METHOD, error.status)
        if self.hooks.bytes_traced:
            self.journal.trace_bytes(error.reply, flow, Direction.OUT)
        flow.send(error.reply)

    # ------------------------------------------------------------ flows

    def admits(self, address: str, interface: Interface) -> str | None:
        """SEC-15: whether one more connection is welcome."""
        turned_away = self.journal.turned_away
        if self.draining or interface.draining:
            turned_away[TurnedAway.STOPPING] += 1
            return "shutting down"
        if sum(self._connections.values()) >= self.max_connections:
            turned_away[TurnedAway.TOO_MANY] += 1
            return "too many connections"
        if self._connections[address] >= self.max_connections_per_address:
            turned_away[TurnedAway.TOO_MANY_FROM_ADDRESS] += 1
            return f"too many connections from {address}"
        return None

    def handshake_begins(self, address: str) -> None:
        """A connection counts from its first byte, not from its first message."""
        self._connections[address] += 1

    def handshake_ends(self, address: str) -> None:
        """It has become a flow, or has failed."""
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]

    def opened(self, flow: Flow) -> None:
        """Register a flow and ask who is at its other end."""
        self.flows.add(flow)
        if flow.reliable:
            self.handshake_begins(flow.address)
        for hook in self.hooks.authenticate_peer:
            try:
                flow.peer = hook(flow)
            except Exception as error:
                self.journal.fault(hook, "authenticate_peer", error)
            if flow.peer is not None:
                break
        self.journal.flow_opened(flow)

    def closed(self, flow: Flow, reason: str) -> None:
        """Forget a flow; what waits for an answer on it hears of it."""
        if not self.flows.remove(flow):
            return
        if flow.reliable:
            self.handshake_ends(flow.address)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s closed: %s", flow.name, reason, extra=about(flow))
        self.transactions.flow_failed(flow)
        self.journal.flow_closed(flow, reason)

    def sweep(self) -> None:
        """Close what is overdue; send keepalives."""
        now = self.now()
        self.timers.now = now
        for flow in self.flows:
            reason = flow.overdue(now)
            if reason is not None:
                flow.close(reason)
        self.batch_ends()
