"""The four transaction machines of RFC 3261 §17, with RFC 6026 and RFC 4320 worked in.

A machine is a table: (state, event) to (next state, actions). An event without a row is ignored:
that is how late timers and stray retransmissions die. The actions are the small functions below
the tables; they reach the world through the ``Layer`` (send, timers, tables) and through
the transaction's own methods, which its user overrides (``on_response`` and so on).

Client, INVITE (Figure 5 and RFC 6026 §7.2)     Client, others (Figure 6)
    CALLING --1xx--> PROCEEDING                     TRYING --1xx--> PROCEEDING
    CALLING, PROCEEDING --2xx--> ACCEPTED           both --final--> COMPLETED --K--> gone
    both --300-699, send ACK--> COMPLETED
    ACCEPTED --M--> gone, COMPLETED --D--> gone

Server, INVITE (Figure 7 and RFC 6026 §7.1)     Server, others (Figure 8)
    PROCEEDING --2xx--> ACCEPTED --L--> gone        TRYING --1xx--> PROCEEDING
    PROCEEDING --300-699--> COMPLETED               both --final--> COMPLETED --J--> gone
    COMPLETED --ACK--> CONFIRMED --I--> gone
    COMPLETED --H--> gone

A finished transaction of the right-hand column is not kept as an object: the server's answer
alone stays in the table until Timer J, for the retransmissions (``Layer.servers`` maps to bytes
then), and what comes late for a client finds nothing and is dropped (RFC 6026 §7.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from sipx.sip import names
from sipx.sip.compiled import mypyc_attr
from sipx.sip.timers import TICK

if TYPE_CHECKING:
    from sipx.sip.message import Request, Response
    from sipx.sip.timers import Timers, TimerSettings

# States
CALLING: Final = 0
TRYING: Final = 1
PROCEEDING: Final = 2
ACCEPTED: Final = 3
COMPLETED: Final = 4
CONFIRMED: Final = 5
TERMINATED: Final = 6
STATES: Final = (
    "Calling",
    "Trying",
    "Proceeding",
    "Accepted",
    "Completed",
    "Confirmed",
    "Terminated",
)

# Events. Timers carry the letters of the RFCs; those that mean the same share a number.
PROVISIONAL: Final = 0
SUCCESS: Final = 1
FAILURE: Final = 2
REQUEST: Final = 3
ACK: Final = 4
RETRANSMIT: Final = 5  # A, E, G
TIMEOUT: Final = 6  # B, F, H
LINGER: Final = 7  # D, I, K, L, M (J empties the table by itself)
ERROR: Final = 8
TRYING_DUE: Final = 9  # 200 ms, or RFC 4320's 3.5 s
EVENTS: Final = (
    "1xx",
    "2xx",
    "300-699",
    "request",
    "ACK",
    "timer A/E/G",
    "timer B/F/H",
    "timer D/I/K/L/M",
    "transport error",
    "100 due",
)


class FlowLike(Protocol):
    """What a transaction needs of a flow."""

    @property
    def reliable(self) -> bool:
        """Streams are; then nothing is sent twice."""
        ...

    @property
    def send(self) -> Callable[[bytes], bool]:
        """Send a message; False when the flow cannot any more."""
        ...


class Context(Protocol):
    """What the user keeps with a server transaction."""

    def release(self) -> None:
        """The transaction has ended; let go of everything, this transaction's ``context`` too."""
        ...


class Layer(Protocol):
    """What the machines need around them."""

    timers: Timers
    settings: TimerSettings
    servers: dict[bytes, ServerTransaction | bytes]
    clients: dict[bytes, ClientTransaction]

    def undelivered(self, transaction: ServerTransaction, data: bytes) -> None:
        """A response found its flow closed (RFC 3261 §18.2.2)."""
        ...

    def left(self, flow: FlowLike, data: bytes) -> None:
        """Something leaves that the user does not know of: sent again, an ACK, a 100."""
        ...


@mypyc_attr(allow_interpreted_subclasses=True)
class ClientTransaction:
    """One request that was sent, and its state; its user subclasses it and overrides ``on_...``.

    It is no ABC: compiled, a subclass would share the cache of ``isinstance`` with its base.

    ``key`` is the branch of our Via (and the method for CANCEL); ``data`` the bytes to send
    again, empty on streams and when no longer needed.
    """

    __slots__ = ("data", "deadline", "flow", "interval", "key", "layer", "method", "state", "table")

    def begin(self, layer: Layer, key: bytes, method: bytes, data: bytes, flow: FlowLike) -> None:
        """Enter the table, start timers A and B, or E and F, and send."""
        self.layer = layer
        self.key = key
        self.method = method
        self.data = data
        self.flow = flow
        if method == b"INVITE":
            self.table = _CLIENT_INVITE
            self.state = CALLING
        else:
            self.table = _CLIENT_OTHER
            self.state = TRYING
        timers = layer.timers
        interval = self.interval = layer.settings.t1
        self.deadline = timers.now + 64 * interval
        layer.clients[key] = self
        if flow.reliable:
            timers.ask_later(64 * interval, key, layer.clients, TIMEOUT)
        else:
            timers.start(interval, self, RETRANSMIT)
        if not flow.send(data):
            self.event(ERROR, None)
        elif flow.reliable:
            self.data = b""

    def event(self, event: int, response: Response | None) -> None:
        """Go through the table."""
        row = self.table[self.state][event]
        if row is not None:
            self.state = row[0]
            for action in row[1]:
                action(self, response)

    def due(self, event: int, now: float) -> None:
        """A timer of this transaction fired; A/E and B/F share one chain of entries."""
        if event == RETRANSMIT and now >= self.deadline - 0.001:
            event = TIMEOUT
        self.event(event, None)

    def on_response(self, response: Response) -> None:
        """The user gets a response."""
        raise NotImplementedError

    def on_timeout(self) -> None:
        """The user learns that no final response came (§16.8, §17.1.1.2)."""
        raise NotImplementedError

    def on_error(self) -> None:
        """The user learns that the transport failed (§16.9)."""
        raise NotImplementedError

    def ack(self, response: Response) -> bytes:
        """The ACK for a final response of 300 to 699 (§17.1.1.3)."""
        raise NotImplementedError


ClientAction = Callable[[ClientTransaction, "Response | None"], None]


def _pass_up(txn: ClientTransaction, response: Response | None) -> None:
    assert response is not None
    txn.on_response(response)


def _resend_request(txn: ClientTransaction, response: Response | None) -> None:
    """Timer A doubles without bound (§17.1.1.2), Timer E up to T2 (§17.1.2.2)."""
    if txn.flow.reliable:
        return
    txn.layer.left(txn.flow, txn.data)
    if not txn.flow.send(txn.data):
        txn.event(ERROR, None)
        return
    settings = txn.layer.settings
    if txn.method == b"INVITE":
        txn.interval *= 2
    else:
        proceeding = txn.state == PROCEEDING
        txn.interval = settings.t2 if proceeding else min(2 * txn.interval, settings.t2)
    timers = txn.layer.timers
    timers.start(_until(txn.interval, txn.deadline - timers.now), txn, RETRANSMIT)


def _until(interval: float, left: float) -> float:
    """The next turn of a chain of timers: after ``interval``, or what is left if that is less.

    What is left is rounded up to ticks: it is never the same twice, and each length of time has a
    queue of its own that stays.
    """
    return interval if interval <= left else max(1, math.ceil(left / TICK)) * TICK


def _send_ack(txn: ClientTransaction, response: Response | None) -> None:
    assert response is not None
    data = txn.ack(response)
    txn.layer.left(txn.flow, data)
    txn.flow.send(data)


def _linger_d(txn: ClientTransaction, response: Response | None) -> None:
    """Timer D: at least 32 s on UDP, zero on streams."""
    txn.data = b""
    if txn.flow.reliable:
        txn.event(LINGER, None)
    else:
        txn.layer.timers.start(txn.layer.settings.d, txn, LINGER)


def _linger_m(txn: ClientTransaction, response: Response | None) -> None:
    """Timer M (RFC 6026 §7.2): further 2xx of other forks downstream still pass, 64*T1 long."""
    txn.data = b""
    txn.layer.timers.start(txn.layer.settings.timeout, txn, LINGER)


def _forget_client(txn: ClientTransaction, response: Response | None) -> None:
    txn.data = b""
    txn.layer.clients.pop(txn.key, None)


def _report_timeout(txn: ClientTransaction, response: Response | None) -> None:
    txn.on_timeout()


def _report_error(txn: ClientTransaction, response: Response | None) -> None:
    txn.on_error()


class ServerTransaction:
    """One request that came in, and its state.

    ``last`` is the response to be sent again; its user answers with ``respond``. ``context`` is
    the user's (the response context of RFC 3261 §16).
    """

    __slots__ = (
        "context",
        "deadline",
        "flow",
        "interval",
        "key",
        "last",
        "layer",
        "request",
        "sent_by",
        "state",
        "table",
    )

    def __init__(self, layer: Layer, key: bytes, request: Request, flow: FlowLike) -> None:
        self.layer = layer
        self.key = key
        self.sent_by = request.sent_by
        self.request: Request | None = request
        self.flow = flow
        self.interval: float
        self.deadline: float
        self.last = b""
        self.context: Context | None = None
        settings = layer.settings
        layer.servers[key] = self
        if request.method == b"INVITE":
            self.table = _SERVER_INVITE
            self.state = PROCEEDING
            layer.timers.ask_later(settings.trying, key, layer.servers, TRYING_DUE)
        else:
            self.table = _SERVER_OTHER
            self.state = TRYING
            layer.timers.ask_later(settings.late_trying, key, layer.servers, TRYING_DUE)

    def respond(self, status: int, data: bytes) -> bool:
        """The user sends a response. False: the machine does not allow it now, it is not sent."""
        if status < 200:
            event = PROVISIONAL
        elif status < 300:
            event = SUCCESS
        else:
            event = FAILURE
        row = self.table[self.state][event]
        if row is None:
            return False
        self.state = row[0]
        for action in row[1]:
            action(self, data)
        return True

    def event(self, event: int, data: bytes = b"") -> None:
        """Go through the table."""
        row = self.table[self.state][event]
        if row is not None:
            self.state = row[0]
            for action in row[1]:
                action(self, data)

    def due(self, event: int, now: float) -> None:
        """A timer of this transaction fired; G and H share one chain of entries."""
        if event == RETRANSMIT and now >= self.deadline - 0.001:
            event = TIMEOUT
        self.event(event)


ServerAction = Callable[[ServerTransaction, bytes], None]


def _send(txn: ServerTransaction, data: bytes) -> None:
    txn.last = data
    if not txn.flow.send(data):
        txn.layer.undelivered(txn, data)


def _resend(txn: ServerTransaction, data: bytes) -> None:
    if txn.last:
        txn.layer.left(txn.flow, txn.last)
        txn.flow.send(txn.last)


def _send_trying(txn: ServerTransaction, data: bytes) -> None:
    """§17.2.1: 100 within 200 ms unless the user answered; RFC 4320 §4.1 for the others."""
    if not txn.last and txn.request is not None:
        txn.last = txn.request.reply(100).encode()
        txn.layer.left(txn.flow, txn.last)
        txn.flow.send(txn.last)


def _keep_answer(txn: ServerTransaction, data: bytes) -> None:
    """Timer J: 64*T1 on UDP, zero on streams; only the answer is kept for it."""
    layer = txn.layer
    if txn.flow.reliable:
        layer.servers.pop(txn.key, None)
    else:
        layer.servers[txn.key] = data
        layer.timers.forget_later(64 * layer.settings.t1, txn.key, layer.servers)  # type: ignore[arg-type]  # dict is invariant; only pop() is used
    txn.request = None


def _start_g_and_h(txn: ServerTransaction, data: bytes) -> None:
    settings = txn.layer.settings
    timers = txn.layer.timers
    txn.deadline = timers.now + settings.timeout
    txn.interval = settings.t1
    delay = settings.timeout if txn.flow.reliable else settings.t1
    timers.start(delay, txn, RETRANSMIT)
    txn.request = None


def _resend_final(txn: ServerTransaction, data: bytes) -> None:
    """Timer G: doubles up to T2 (§17.2.1)."""
    if txn.flow.reliable:
        return
    txn.layer.left(txn.flow, txn.last)
    txn.flow.send(txn.last)
    txn.interval = min(2 * txn.interval, txn.layer.settings.t2)
    timers = txn.layer.timers
    timers.start(_until(txn.interval, txn.deadline - timers.now), txn, RETRANSMIT)


def _linger_l(txn: ServerTransaction, data: bytes) -> None:
    """Timer L (RFC 6026 §7.1): retransmitted INVITEs are absorbed 64*T1 long."""
    txn.request = None
    txn.last = b""
    txn.layer.timers.start(txn.layer.settings.timeout, txn, LINGER)


def _send_only(txn: ServerTransaction, data: bytes) -> None:
    """RFC 6026 §8.5: 2xx responses pass; retransmitting them is the far end's duty."""
    if not txn.flow.send(data):
        txn.layer.undelivered(txn, data)


def _linger_i(txn: ServerTransaction, data: bytes) -> None:
    """Timer I: T4 on UDP, zero on streams."""
    txn.last = b""
    if txn.flow.reliable:
        txn.event(LINGER)
    else:
        txn.layer.timers.start(txn.layer.settings.t4, txn, LINGER)


def _forget_server(txn: ServerTransaction, data: bytes) -> None:
    txn.last = b""
    if txn.context is not None:
        txn.context.release()
    txn.request = None
    txn.layer.servers.pop(txn.key, None)


ClientTable = dict[tuple[int, int], tuple[int, tuple[ClientAction, ...]]]
ServerTable = dict[tuple[int, int], tuple[int, tuple[ServerAction, ...]]]

CLIENT_INVITE: Final[ClientTable] = {
    (CALLING, PROVISIONAL): (PROCEEDING, (_pass_up,)),
    (CALLING, SUCCESS): (ACCEPTED, (_linger_m, _pass_up)),
    (CALLING, FAILURE): (COMPLETED, (_send_ack, _linger_d, _pass_up)),
    (CALLING, RETRANSMIT): (CALLING, (_resend_request,)),
    (CALLING, TIMEOUT): (TERMINATED, (_forget_client, _report_timeout)),
    (CALLING, ERROR): (TERMINATED, (_forget_client, _report_error)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (_pass_up,)),
    (PROCEEDING, SUCCESS): (ACCEPTED, (_linger_m, _pass_up)),
    (PROCEEDING, FAILURE): (COMPLETED, (_send_ack, _linger_d, _pass_up)),
    (PROCEEDING, ERROR): (TERMINATED, (_forget_client, _report_error)),
    (ACCEPTED, SUCCESS): (ACCEPTED, (_pass_up,)),
    (ACCEPTED, LINGER): (TERMINATED, (_forget_client,)),
    (COMPLETED, FAILURE): (COMPLETED, (_send_ack,)),
    (COMPLETED, LINGER): (TERMINATED, (_forget_client,)),
}
CLIENT_OTHER: Final[ClientTable] = {
    (TRYING, PROVISIONAL): (PROCEEDING, (_pass_up,)),
    (TRYING, SUCCESS): (COMPLETED, (_forget_client, _pass_up)),
    (TRYING, FAILURE): (COMPLETED, (_forget_client, _pass_up)),
    (TRYING, RETRANSMIT): (TRYING, (_resend_request,)),
    (TRYING, TIMEOUT): (TERMINATED, (_forget_client, _report_timeout)),
    (TRYING, ERROR): (TERMINATED, (_forget_client, _report_error)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (_pass_up,)),
    (PROCEEDING, SUCCESS): (COMPLETED, (_forget_client, _pass_up)),
    (PROCEEDING, FAILURE): (COMPLETED, (_forget_client, _pass_up)),
    (PROCEEDING, RETRANSMIT): (PROCEEDING, (_resend_request,)),
    (PROCEEDING, TIMEOUT): (TERMINATED, (_forget_client, _report_timeout)),
    (PROCEEDING, ERROR): (TERMINATED, (_forget_client, _report_error)),
}
SERVER_INVITE: Final[ServerTable] = {
    (PROCEEDING, REQUEST): (PROCEEDING, (_resend,)),
    (PROCEEDING, TRYING_DUE): (PROCEEDING, (_send_trying,)),
    (PROCEEDING, PROVISIONAL): (PROCEEDING, (_send,)),
    (PROCEEDING, SUCCESS): (ACCEPTED, (_send_only, _linger_l)),
    (PROCEEDING, FAILURE): (COMPLETED, (_send, _start_g_and_h)),
    (ACCEPTED, SUCCESS): (ACCEPTED, (_send_only,)),
    (ACCEPTED, LINGER): (TERMINATED, (_forget_server,)),
    (COMPLETED, REQUEST): (COMPLETED, (_resend,)),
    (COMPLETED, RETRANSMIT): (COMPLETED, (_resend_final,)),
    (COMPLETED, TIMEOUT): (TERMINATED, (_forget_server,)),
    (COMPLETED, ACK): (CONFIRMED, (_linger_i,)),
    (CONFIRMED, LINGER): (TERMINATED, (_forget_server,)),
}
SERVER_OTHER: Final[ServerTable] = {
    (TRYING, TRYING_DUE): (PROCEEDING, (_send_trying,)),
    (TRYING, SUCCESS): (COMPLETED, (_send, _keep_answer)),
    (TRYING, FAILURE): (COMPLETED, (_send, _keep_answer)),
    (PROCEEDING, REQUEST): (PROCEEDING, (_resend,)),
    (PROCEEDING, SUCCESS): (COMPLETED, (_send, _keep_answer)),
    (PROCEEDING, FAILURE): (COMPLETED, (_send, _keep_answer)),
}
"""RFC 4320 §4.1: no provisional response but our own late 100 leaves for a non-INVITE."""


def _rows(table: dict[tuple[int, int], tuple[int, tuple[object, ...]]]) -> list[list[object]]:
    """The same table indexed by state and event: two list look-ups per event."""
    return [[table.get((s, e)) for e in range(len(EVENTS))] for s in range(len(STATES))]


_ClientRows = Sequence[Sequence["tuple[int, tuple[ClientAction, ...]] | None"]]
_ServerRows = Sequence[Sequence["tuple[int, tuple[ServerAction, ...]] | None"]]
_CLIENT_INVITE: Final[_ClientRows] = _rows(CLIENT_INVITE)  # type: ignore[arg-type, assignment]  # reshaped, same items
_CLIENT_OTHER: Final[_ClientRows] = _rows(CLIENT_OTHER)  # type: ignore[arg-type, assignment]  # reshaped, same items
_SERVER_INVITE: Final[_ServerRows] = _rows(SERVER_INVITE)  # type: ignore[arg-type, assignment]  # reshaped, same items
_SERVER_OTHER: Final[_ServerRows] = _rows(SERVER_OTHER)  # type: ignore[arg-type, assignment]  # reshaped, same items


# ---------------------------------------------------------------- matching and derived requests


def server_key(request: Request) -> bytes:
    """What identifies the server transaction of a request.

    RFC 3261 §17.2.3: branch, sent-by and method of the topmost Via, ACK counting as INVITE.
    Without the magic cookie the RFC 2543 rule stands: Request-URI, tags, Call-ID, CSeq number
    and the topmost Via as a whole (the To tag is left out: the ACK has one, its INVITE none).
    """
    method = request.method
    if method == b"ACK":
        method = b"INVITE"
    if len(request.branch) > 7 and request.branch.startswith(b"z9hG4bK"):
        return request.branch + request.sent_by + method
    lines, layout = request.lines, request.layout
    return b"\0".join(
        (
            request.uri,
            request.from_.tag or b"",
            request.call_id,
            request.cseq_number,
            lines[layout.via],
            method,
        )
    )


def request_within(sent: Request, via: bytes, method: bytes, to: bytes | None = None) -> bytes:
    """The bytes of an ACK (§17.1.1.3) or CANCEL (§9.1) that belongs to the INVITE ``sent``.

    Same Request-URI, topmost Via, Call-ID, From, CSeq number and Route set; To from the response
    for an ACK. ``via`` is our whole Via line.
    """
    lines, layout = sent.lines, sent.layout
    own = [method + b" " + sent.uri + b" SIP/2.0", via]
    own += [lines[i] for i in layout.all(names.ROUTE)]
    own += [
        b"Max-Forwards: 70",
        lines[layout.from_],
        lines[layout.to] if to is None else to,
        lines[layout.call_id],
        b"CSeq: %b %b" % (sent.cseq_number, method),
        b"Content-Length: 0",
        b"",
        b"",
    ]
    return b"\r\n".join(own)
