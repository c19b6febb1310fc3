"""The running transactions: which message belongs to which machine (RFC 3261 §17.1.3, §17.2.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipx.sip.timers import TICK
from sipx.sip.transaction import (
    ACCEPTED,
    ACK,
    ERROR,
    FAILURE,
    PROCEEDING,
    PROVISIONAL,
    REQUEST,
    SUCCESS,
    TERMINATED,
    ClientTransaction,
    FlowLike,
    ServerTransaction,
    server_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.interfaces import Interface
    from sipx.sip.message import Request, Response
    from sipx.sip.timers import Timers, TimerSettings


ONLY_ACK: Final = frozenset((b"ACK",))
UNANSWERED: Final = frozenset((b"ACK", b"BENOTIFY"))
"""Methods that nobody waits for an answer to; BENOTIFY is Microsoft's NOTIFY of that kind."""


class User(Protocol):
    """The transaction user: the proxy core (RFC 3261 §16)."""

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A new request; its transaction is waiting for a response."""
        ...

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK that belongs to no transaction: one for a 2xx. So is a BENOTIFY, if understood."""
        ...

    def on_cancel(
        self,
        request: Request,
        transaction: ServerTransaction,
        invite: ServerTransaction | None,
        flow: Flow,
    ) -> None:
        """A CANCEL, with the transaction it asks to cancel if there is one."""
        ...


class Transactions:
    """The two tables. ``strays`` counts responses that matched nothing (and were dropped)."""

    def __init__(self, settings: TimerSettings, timers: Timers, *, limit: int = 200_000) -> None:
        self.settings = settings
        self.timers = timers
        self.limit = limit
        self.servers: dict[bytes, ServerTransaction | bytes] = {}
        self.clients: dict[bytes, ClientTransaction] = {}
        self.user: User | None = None
        self.own_sent_by: frozenset[bytes] = frozenset()
        self.reopen: Callable[[FlowLike, int, bytes], None] | None = None
        """Delivers a response whose connection has gone: flow, port, bytes."""
        self.on_bytes: Callable[[FlowLike, bytes], None] | None = None
        """Told what leaves besides the messages of the user, while somebody watches."""
        self.unanswered = ONLY_ACK
        """Methods whose requests have no transaction when they are new."""
        self.strays = 0
        self.absorbed = 0
        self.turned_away = 0
        """Requests that found the table full."""

    def on_request(self, request: Request, flow: Flow) -> None:
        """§17.2.3: to its transaction, or to the user as a new one."""
        key = server_key(request)
        found = self.servers.get(key)
        method = request.method
        user = self.user
        assert user is not None
        if found is None:
            if method in self.unanswered:
                user.on_ack(request, flow)
                return
            if len(self.servers) >= self.limit:
                # §16.2 lets an overloaded proxy answer without keeping state.
                busy = request.reply(503, headers=((b"Retry-After", b"5"),))
                data = busy.encode()
                self.left(flow, data)
                flow.send(data)
                self.turned_away += 1
                return
            transaction = ServerTransaction(self, key, request, flow)
            if method == b"CANCEL":
                user.on_cancel(request, transaction, self._cancelled(request, key, flow), flow)
            else:
                user.on_request(request, transaction, flow)
        elif isinstance(found, bytes):
            # A finished transaction is only its answer; an empty one was never answered.
            self.absorbed += 1
            if found:
                self.left(flow, found)
                flow.send(found)
        elif method == b"ACK":
            if found.state == ACCEPTED:
                user.on_ack(request, flow)
            else:
                found.event(ACK)
        else:
            self.absorbed += 1
            found.event(REQUEST)

    def _cancelled(self, cancel: Request, key: bytes, flow: Flow) -> ServerTransaction | None:
        """§9.2: the transaction that a CANCEL would match if it had another method.

        Only from the hop that sent the request: a third party could guess a branch.
        """
        found = self.servers.get(key[: -len(cancel.method)] + b"INVITE")
        if isinstance(found, ServerTransaction):
            origin = found.flow
            if origin is flow or flow.same_peer(origin):  # type: ignore[arg-type]  # a Flow
                return found
        return None

    def on_response(self, response: Response, flow: Flow) -> None:
        """§17.1.3: to its client transaction.

        RFC 6026 §7.2: "a response that does not match any client transaction ... MUST NOT be
        forwarded". §18.1.2: one whose topmost Via is not ours is discarded.
        """
        method = response.cseq_method
        key = response.branch
        if method == b"CANCEL":
            key += b" CANCEL"
        found = self.clients.get(key)
        if (
            found is None
            or found.method != method
            or (found.flow is not flow and not flow.same_peer(found.flow))  # type: ignore[arg-type]  # a Flow
            or response.sent_by not in self.own_sent_by
        ):
            self.strays += 1
            return
        status = response.status
        found.event(PROVISIONAL if status < 200 else SUCCESS if status < 300 else FAILURE, response)

    def flow_failed(self, flow: Flow) -> None:
        """§17.1.4: what waits for a response on a connection that ended learns of it."""
        if flow.carries_requests:
            for client in [c for c in self.clients.values() if c.flow is flow]:
                client.event(ERROR, None)

    def abandon(self, transaction: ServerTransaction) -> None:
        """Never answer this request; absorb its retransmissions (RFC 4320 §4.2, Timer F)."""
        transaction.state = TERMINATED  # its late 100 (RFC 4320 §4.1) would be an answer, too
        transaction.request = None
        self.servers[transaction.key] = b""
        self.timers.forget_later(self.settings.timeout, transaction.key, self.servers)  # type: ignore[arg-type]  # dict is invariant; only pop() is used

    def left(self, flow: FlowLike, data: bytes) -> None:
        """Something leaves that its user does not know of."""
        if self.on_bytes is not None:
            self.on_bytes(flow, data)

    def undelivered(self, transaction: ServerTransaction, data: bytes) -> None:
        """§18.2.2: "the server SHOULD open a connection to the IP address in the received
        parameter, if present, using the port in the sent-by value".
        """
        if self.reopen is not None and transaction.flow.reliable:
            port = int(transaction.sent_by.rstrip().rpartition(b":")[2]) or 5060
            self.reopen(transaction.flow, port, data)

    def idle(self, interface: Interface | None = None) -> bool:
        """Whether no request waits for its final response; ``interface``: none of its flows."""
        if interface is None:
            return not any(
                isinstance(server, ServerTransaction) and server.request is not None
                for server in self.servers.values()
            )
        return not any(
            isinstance(server, ServerTransaction)
            and server.request is not None
            and server.flow.interface is interface  # type: ignore[attr-defined]  # a Flow
            for server in self.servers.values()
        ) and not any(
            client.state <= PROCEEDING and client.flow.interface is interface  # type: ignore[attr-defined]  # a Flow
            for client in self.clients.values()
        )

    def until_next_look(self) -> float:
        """Seconds until ``idle`` is worth asking again: it may have to look at all of them."""
        return TICK * (1 + len(self.servers) // 20_000)

    def clear(self) -> None:
        """All listeners have ended: what is left can reach nobody any more."""
        self.servers.clear()
        self.clients.clear()
        self.timers.clear()
