"""The response context (RFC 3261 §16.6 to §16.10): the branches of one request, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from sipx.sip import names
from sipx.sip.message import Request, Response
from sipx.sip.transaction import (
    ACCEPTED,
    PROCEEDING,
    ClientTransaction,
    ServerTransaction,
    request_within,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.decisions import Decisions
    from sipx.flows import Flow
    from sipx.interfaces import Interface
    from sipx.paths import Permitted
    from sipx.plugin import Refuse, Sender, Target
    from sipx.resolver import Hop

TIMER_C: Final = 100
CANCEL_EXPIRED: Final = 101
"""Event numbers of a response context, outside those of the transaction machines."""

# RFC 3261 §16.7 item 6: within 4xx "those that provide information affecting resubmission".
_PREFERRED: Final = (401, 407, 415, 420, 484)

# Serial hunting for SUBSCRIBE and PUBLISH (RFC 3856 §6.6: one subscription, one dialog).
_HUNT_ON: Final = frozenset({404, 408, 430, 480, 503})

_NOBODY: Final = frozenset({430, 480, 500, 502, 503, 504})
"""What stands for a target that could not be reached, or would not serve now."""


class Core(Protocol):
    """What a response context needs of the proxy."""

    @property
    def forward(self) -> Callable[[Branch | AckBranch], None]:
        """Send the branch's copy to its next hop, now or when it has been found."""
        ...

    def respond(self, context: ResponseContext, response: Response, branch: Branch | None) -> None:
        """Pass a response to the server transaction."""
        ...

    def give_up(self, context: ResponseContext) -> None:
        """No response will be sent (RFC 4320 §4.2)."""
        ...

    def start_timer_c(self, context: ResponseContext) -> float:
        """Start Timer C; returns when it is due."""
        ...

    @property
    def decisions(self) -> Decisions | None:
        """Told of every step while somebody watches."""
        ...


class Branch(ClientTransaction):
    """One try to reach one target: a client transaction with a branch parameter of its own.

    ``hops[index]`` is where it goes; what follows is for failover. ``response`` is its final
    response, ours when the network gave none.
    """

    __slots__ = (
        "cancel_sent",
        "cancelled",
        "context",
        "hops",
        "index",
        "response",
        "sent",
        "target",
        "via",
    )

    def __init__(
        self, context: ResponseContext, target: Target, hops: tuple[Hop, ...] = (), index: int = 0
    ) -> None:
        self.context = context
        self.target = target
        self.hops = hops
        self.index = index
        self.response: Response | None = None
        self.cancelled = False
        self.cancel_sent = False
        self.sent: Request | None = None
        self.via = b""
        self.state = -1
        """Not started: its hop is being looked for."""

    def launch(self, key: bytes, data: bytes, flow: Flow) -> None:
        """Start the client transaction on a flow."""
        context = self.context
        self.begin(context.server.layer, key, context.request.method, data, flow)

    def on_response(self, response: Response) -> None:
        """RFC 3261 §16.7."""
        response.remove_top_via()
        self.context.received(self, response)

    def on_timeout(self) -> None:
        """§16.8: as if a 408 had come; the next hop may do better."""
        self.context.failed(self, 408, "no response in time")

    def on_error(self) -> None:
        """§16.9: as if a 503 had come; a peer that refuses us is no gateway to anything."""
        lost: str = self.flow.lost  # type: ignore[attr-defined]  # a Flow
        self.context.failed(self, 502 if lost else 503, lost or "the transport failed")

    def ack(self, response: Response) -> bytes:
        """§17.1.1.3."""
        assert self.sent is not None
        return request_within(self.sent, self.via, b"ACK", response.lines[response.layout.to])

    def cancel(self) -> None:
        """§9.1 and §16.10: only an INVITE, and only once it has had a provisional response."""
        self.cancelled = True
        if self.state == PROCEEDING:
            self.send_cancel()

    def send_cancel(self) -> None:
        """The CANCEL itself, once; it takes the way of the INVITE."""
        if self.sent is None or self.cancel_sent:
            return
        self.cancel_sent = True
        data = request_within(self.sent, self.via, b"CANCEL")
        self.layer.left(self.flow, data)
        Cancel().begin(self.layer, self.key + b" CANCEL", b"CANCEL", data, self.flow)
        # §9.1: without a final response after 64*T1 "the client SHOULD then consider the
        # original transaction cancelled".
        self.layer.timers.start(self.layer.settings.timeout, self.context, CANCEL_EXPIRED)


class AckContext:
    """An ACK on its way to the far end: forwarded once, without a transaction (§16.11 alike)."""

    __slots__ = (
        "authorised",
        "breadth",
        "cookie",
        "core",
        "done",
        "flow",
        "loop",
        "near",
        "permitted",
        "request",
        "sender",
    )

    def __init__(self, core: Core, request: Request, flow: Flow, sender: Sender) -> None:
        self.core = core
        self.request = request
        self.flow = flow
        self.sender = sender
        self.near: Interface | None = None
        self.permitted: Permitted | None = None
        self.cookie = b""
        self.authorised = False
        self.breadth = 0
        self.loop = b"0"
        self.done = False

    def add_branch(self, target: Target) -> None:
        """Send it towards one target."""
        self.core.forward(AckBranch(self, target))

    def failed(self, branch: AckBranch, status: int, why: str) -> None:
        """An ACK that cannot be delivered is lost: "never answered" (§17)."""
        decisions = self.core.decisions
        if decisions is not None:
            decisions.ended(branch, status, why)


class AckBranch:
    """The one copy of an ACK."""

    __slots__ = ("context", "hops", "index", "response", "sent", "target", "via")

    def __init__(self, context: AckContext, target: Target) -> None:
        self.context = context
        self.target = target
        self.hops: tuple[Hop, ...] = ()
        self.index = 0
        self.response: Response | None = None
        self.sent: Request | None = None
        self.via = b""

    def launch(self, key: bytes, data: bytes, flow: Flow) -> None:
        """Send it; whether it arrives, the retransmitted 2xx will tell the sender."""
        flow.send(data)


class Cancel(ClientTransaction):
    """A CANCEL of ours: hop by hop, its answer is of no interest (§9.1)."""

    __slots__ = ()

    def on_response(self, response: Response) -> None:
        """The INVITE's own final response tells what came of it."""

    def on_timeout(self) -> None:
        """§9.1: the INVITE transaction ends by itself (Timer C stands behind it)."""

    def on_error(self) -> None:
        """The INVITE's transaction has met the same failure."""

    def ack(self, response: Response) -> bytes:
        """Only INVITE has one."""
        raise AssertionError("CANCEL is never acknowledged")


class ResponseContext:
    """All that is known of one forwarded request (§16.2: "response context").

    ``near`` is the interface that the dialog's own Record-Route names, ``permitted`` what its
    cookie allows (None: the hops come from configuration), ``cookie`` that cookie as it was
    written; ``breadth`` is the Max-Breadth left for its branches (RFC 5393 §5.3.3); ``authorised``
    tells that credentials were asked for and right.
    """

    __slots__ = (
        "answered",
        "authorised",
        "branches",
        "breadth",
        "cancelled",
        "cookie",
        "core",
        "done",
        "flow",
        "groups",
        "hunting",
        "loop",
        "near",
        "permitted",
        "reached",
        "request",
        "sender",
        "server",
        "started",
        "timer_c",
        "unreachable",
    )

    def __init__(
        self, core: Core, request: Request, server: ServerTransaction, flow: Flow, sender: Sender
    ) -> None:
        self.core = core
        self.request = request
        self.server = server
        self.flow = flow
        self.sender = sender
        self.branches: list[Branch] = []
        self.groups: list[tuple[Target, ...]] = []
        """What is left of the target set."""
        self.done = False
        """A final response has been passed on (or none ever will)."""
        self.answered = False
        """The final response has been counted and recorded; a call may bring its 2xx again."""
        self.cancelled = False
        self.hunting = False
        self.reached = False
        """Somebody has given a final response of his own, which is no 503."""
        self.unreachable: Refuse | None = None
        """What is answered when nobody could be reached."""
        self.authorised = False
        self.timer_c = 0.0
        self.near: Interface | None = None
        self.permitted: Permitted | None = None
        self.cookie = b""
        self.breadth = 0
        self.loop = b""
        self.started = 0.0
        server.context = self

    # ------------------------------------------------------------ forwarding

    def add_branch(self, target: Target) -> None:
        """§16.6 for one target."""
        if self.request.method == b"INVITE":
            self.timer_c = self.core.start_timer_c(self)
        branch = Branch(self, target)
        self.branches.append(branch)
        self.core.forward(branch)

    def next_group(self) -> bool:
        """Try the next targets of the set; False when there are none."""
        if self.cancelled or not self.groups:
            return False
        if self.request.method == b"INVITE":
            self.timer_c = self.core.start_timer_c(self)
        branches = [Branch(self, target) for target in self.groups.pop(0)]
        self.branches += branches
        for branch in branches:
            self.core.forward(branch)
        return True

    # ------------------------------------------------------------ responses

    def received(self, branch: Branch, response: Response) -> None:
        """§16.7 for one response."""
        status = response.status
        if status < 200:
            if branch.cancelled:
                branch.send_cancel()
            if status > 100 and not self.done:
                if self.timer_c:
                    self.timer_c = self.core.start_timer_c(self)
                self.core.respond(self, response, branch)
            return
        if status < 300:
            first = not self.done
            branch.response = response
            if first or self.request.method == b"INVITE":
                self.done = True
                self.core.respond(self, response, branch)
            if first and len(self.branches) > 1:
                self.cancel_pending()
            return
        if branch.response is not None:
            return
        if status == 503 and self._fail_over(branch, status):
            return
        self.reached = self.reached or status != 503
        branch.response = response
        if status >= 600:
            self.groups.clear()
            if self.request.method == b"INVITE":
                self.cancel_pending()
            else:
                self._answer([response])
                return
        self._maybe_answer()

    def failed(self, branch: Branch, status: int, why: str) -> None:
        """A branch ended without a response: no hop, transport error, timeout."""
        if branch.response is not None or self.done:
            return
        decisions = self.core.decisions
        if decisions is not None:
            decisions.ended(branch, status, why)
        if (status != 408 or self.request.method == b"INVITE") and self._fail_over(branch, status):
            return
        branch.response = self.request.reply(status, headers=warning(why) if why else ())
        self._maybe_answer()

    def _fail_over(self, branch: Branch, status: int) -> bool:
        """RFC 3263 §4.3: the next hop of the same target, as a new client transaction."""
        if self.cancelled or self.done or branch.index + 1 >= len(branch.hops):
            return False
        decisions = self.core.decisions
        if decisions is not None:
            decisions.failover(self, branch, status)
        following = Branch(self, branch.target, branch.hops, branch.index + 1)
        self.branches[self.branches.index(branch)] = following
        branch.response = self.request.reply(503)
        self.core.forward(following)
        return True

    def _maybe_answer(self) -> None:
        """§16.7 items 5 and 6: when all branches have ended, the best response goes back."""
        if self.done or any(branch.response is None for branch in self.branches):
            return
        responses = [branch.response for branch in self.branches if branch.response is not None]
        if self.hunting and responses and responses[-1].status not in _HUNT_ON:
            self.groups.clear()
        if not self.next_group():
            self._answer(responses)

    def _answer(self, responses: list[Response]) -> None:
        if self.request.method != b"INVITE":
            # RFC 4320 §4.2: "MUST NOT send a 408 (Request Timeout) response to a non-INVITE".
            responses = [r for r in responses if r.status != 408]
            if not responses:
                self.done = True
                self.core.give_up(self)
                return
        best = best_response(responses)
        source = next((b for b in self.branches if b.response is best), None)
        self.done = True
        if self.cancelled and best.status in (408, 500, 503):
            best = self.request.reply(487)
        elif self.unreachable is not None and not self.reached and best.status in _NOBODY:
            refusal = self.unreachable
            best = self.request.reply(
                refusal.status, headers=refusal.headers + warning(refusal.why)
            )
        if best.status in (401, 407):
            best = merge_challenges(best, responses)
        if best.status == 503:
            # §16.7 item 6: a 503 from downstream is about the next hop, not about us.
            best = self.request.reply(500, headers=_warnings_of(best))
        self.core.respond(self, best, source)

    def release(self) -> None:
        """Nothing will be asked of this context any more: let go of what it held together."""
        self.done = True
        self.branches = []
        self.groups = []
        self.server.context = None
        self.request = _GONE

    def settle(self) -> None:
        """An INVITE has its final response: what further 2xx and ACKs need is kept, no more.

        It is kept for 64*T1 (RFC 6026), so its size is what calls cost in memory.
        """
        self.request = _SETTLED
        for branch in self.branches:
            if branch.response is not None:
                branch.response = _ANSWERED
                if branch.state == ACCEPTED:
                    branch.sent = None

    # ------------------------------------------------------------ cancelling

    def cancel(self) -> None:
        """A CANCEL came from upstream (§16.10)."""
        if self.done or self.cancelled:
            return
        self.cancelled = True
        self.groups.clear()
        if not self.branches:
            # A plugin still looks for its targets.
            self._answer([self.request.reply(487)])
            return
        self.cancel_pending()
        self._maybe_answer()

    def cancel_pending(self) -> None:
        """§16.7 item 10: CANCEL for every branch that has no final response."""
        if self.request.method != b"INVITE":
            return
        for branch in self.branches:
            if branch.response is None and not branch.cancelled:
                branch.cancel()
                if branch.state < 0:
                    # It still looks for its hop: nobody has it who could answer.
                    branch.response = self.request.reply(487)

    def due(self, event: int, now: float) -> None:
        """Timer C (§16.8); entries that a provisional response has overtaken do nothing."""
        if self.done:
            return
        if event == CANCEL_EXPIRED:
            for branch in self.branches:
                if branch.cancel_sent and branch.response is None:
                    branch.response = self.request.reply(487)
            self._maybe_answer()
            return
        if now < self.timer_c - 0.001:
            return
        for branch in self.branches:
            if branch.response is None:
                if branch.state >= 0:
                    branch.cancel()
                branch.response = self.request.reply(408)
        self.groups.clear()
        self._maybe_answer()


_GONE: Final = Request.build(b"NONE", b"sip:invalid", ())
_SETTLED: Final = Request.build(b"INVITE", b"sip:invalid", ())
"""Stand for the request of a finished context; timers may still hold the context itself."""
_ANSWERED: Final = Response()
_ANSWERED.status = 0
"""Stands for the final response of a branch whose INVITE is settled."""


def best_response(responses: list[Response]) -> Response:
    """§16.7 item 6: a 6xx wins; else the lowest class, and in 4xx what helps to try again.

    A 503 loses against any other 5xx: it will be turned into a 500.
    """

    def rank(response: Response) -> tuple[int, int]:
        status = response.status
        if status >= 600:
            return 0, 0
        within = 0 if status in _PREFERRED else 1
        if status == 503:
            within = 2
        return status // 100, within

    return min(responses, key=rank)


def merge_challenges(best: Response, responses: list[Response]) -> Response:
    """§16.7 item 7: every challenge of every 401 and 407 goes upstream."""
    for other in responses:
        if other is best or other.status not in (401, 407):
            continue
        for header in (names.PROXY_AUTHENTICATE, names.WWW_AUTHENTICATE):
            name = names.CANONICAL[header]
            for value in other.get_all(name):
                best.add(name, value)
    return best


def warning(text: str) -> tuple[tuple[bytes, bytes], ...]:
    """A Warning header (RFC 3261 §20.43, code 399) with a sentence of our own."""
    safe = text.replace("\\", "/").replace('"', "'").encode("ascii", "replace")
    return ((b"Warning", b'399 sipx "' + safe + b'"'),)


def _warnings_of(response: Response) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((b"Warning", value) for value in response.get_all(b"Warning"))
