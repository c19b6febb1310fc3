"""What the proxy counts, what it tells observers, and what it says in the log."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sipx.events import Direction, Fault, ProxyDecision, TransactionRecord
from sipx.logs import TRACE, about
from sipx.reasons import ASKED, METHODS, OTHER_METHOD, Drop, Refusal, TurnedAway
from sipx.sip.errors import RemoteError
from sipx.sip.parser import Limits, parse_datagram

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.forking import Branch, ResponseContext
    from sipx.hooks import Hooks
    from sipx.sip.message import Message, Request, Response

log = logging.getLogger("sipx.proxy")
messages = logging.getLogger("sipx.trace")

REPEAT: Final = 60.0
"""Seconds for which a refusal of the same source for the same reason is not logged again."""
_ANY_SIZE: Final = Limits(*(1 << 30,) * 6)
"""What leaves may be larger than what may come in."""
MOST_WORDS: Final = 512
"""Different texts that are counted; beyond that their counts begin anew."""


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """Counts since the start. ``answers`` by method and status, 0 for requests left unanswered.

    ``refused`` and ``dropped`` are by the texts of the log, and begin anew when there are too many
    of those; ``refusals``, ``drops`` and ``turned_away`` (connections) are by the fixed words of
    sipx.reasons, and only grow. ``faults`` are by plugin.
    """

    requests: dict[str, int]
    answers: dict[tuple[str, int], int]
    refused: dict[str, int]
    dropped: dict[str, int]
    refusals: dict[Refusal, int]
    drops: dict[Drop, int]
    turned_away: dict[TurnedAway, int]
    faults: dict[str, int]

    def by_status(self) -> dict[int, int]:
        """The answers of all methods together."""
        found: Counter[int] = Counter()
        for (_, status), number in self.answers.items():
            found[status] += number
        return dict(found)


class Journal:
    """Counters, and the calls of the observing hooks. An observer that raises changes nothing."""

    def __init__(self, hooks: Hooks, now: Callable[[], float]) -> None:
        self.hooks = hooks
        self.now = now
        self.requests: dict[bytes, int] = dict.fromkeys((*sorted(METHODS), OTHER_METHOD), 0)
        """Requests that came in, by method."""
        self.answers: dict[tuple[bytes, int], int] = {}
        """Final answers by method and status, 0 for requests left unanswered."""
        self.refused_for: Counter[Refusal] = Counter()
        self.dropped_for: Counter[Drop] = Counter()
        self.turned_away: Counter[TurnedAway] = Counter()
        self.refusals: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._logged: dict[tuple[str, str], float] = {}
        self.waiting: list[tuple[Any, ...]] = []
        """What those who watch are told at the end of the batch, behind all that leaves in it."""
        self.on_fault: Callable[[Fault], None] | None = None
        """Tests forgive nothing: they set this."""
        self.levels_changed()

    def answered(self, method: bytes, status: int) -> None:
        """A request got its final response."""
        try:
            self.answers[method, status] += 1
        except KeyError:
            key = (method if method in METHODS else OTHER_METHOD, status)
            self.answers[key] = self.answers.get(key, 0) + 1

    def refused(
        self,
        request: Request,
        flow: Flow,
        status: int,
        why: str,
        reason: Refusal = Refusal.OTHER,
        row: int = 0,
    ) -> None:
        """A request was refused for a reason an administrator may ask about; ``row`` is that of
        docs/trust.md, 0 for none.
        """
        self.refused_for[reason] += 1
        if reason is Refusal.CHALLENGED:
            why = why or ASKED
        self.refusals[why or str(status)] += 1
        if len(self.refusals) > MOST_WORDS:
            self.refusals.clear()
        if log.isEnabledFor(logging.INFO) and self._news(flow.address, why):
            log.info(
                "refused %s from %s %s: %s%s",
                request.method.decode("ascii", "replace"),
                flow.name,
                f"with {status}" if status else "without an answer",
                why or "no reason given",
                f" [row {row}]" if row else "",
                extra=about(flow, request),
            )

    def _news(self, address: str, why: str) -> bool:
        """SEC-18: who is refused for the same reason again and again is logged now and then."""
        now = self.now()
        key = (address, why)
        if now - self._logged.get(key, -REPEAT) < REPEAT:
            return False
        if len(self._logged) >= 1024:
            self._logged.clear()
        self._logged[key] = now
        return True

    def dropped(self, flow: Flow, why: str, reason: Drop = Drop.OTHER) -> None:
        """Something came in that is not answered."""
        self.dropped_for[reason] += 1
        self.note_drop(flow, why)

    def note_drop(self, flow: Flow, why: str) -> None:
        """What is wrong with what came in, in words."""
        self.drops[why] += 1
        if len(self.drops) > MOST_WORDS:
            self.drops.clear()
        if log.isEnabledFor(logging.DEBUG):
            log.debug("dropped input from %s: %s", flow.name, why, extra=about(flow))

    def internal_error(self) -> None:
        """A bug of ours cost a message."""
        self.dropped_for[Drop.INTERNAL_ERROR] += 1
        self.drops["internal error"] += 1

    def fault(self, hook: Callable[..., object], where: str, error: Exception) -> None:
        """A plugin raised: log it with its name and traceback; the request pays, not the proxy."""
        self.faulted(self.hooks.owner(hook), where, error)

    def faulted(self, plugin: str, where: str, error: Exception) -> None:
        """The same, where the plugin is known."""
        self.faults[plugin] += 1
        log.error("plugin %s failed in %s", plugin, where, exc_info=error, extra={"plugin": plugin})
        if self.on_fault is not None:
            self.on_fault(Fault(plugin, where, error))

    # ------------------------------------------------------------ the trace

    def levels_changed(self) -> None:
        """The levels of the log have changed: messages are watched only while that is written."""
        self.hooks.watch_messages(self._tell_message if messages.isEnabledFor(TRACE) else None)

    def _tell_message(self, message: Message, flow: Flow, direction: Direction) -> None:
        """One line for a message: its first line and where it passes; no other header, no body."""
        messages.log(
            TRACE,
            "%s %s",
            direction.value,
            message.start.decode("utf-8", "backslashreplace"),
            extra={"cseq": _cseq(message), **about(flow, message)},
        )

    # ------------------------------------------------------------ observers

    def trace_in(self, message: Message, flow: Flow) -> None:
        """A message that has come, as it stands now: it is edited on its way."""
        if self.waiting:
            self.tell_waiting()
        self._tell("message_traced", self.hooks.message_traced, message, flow, Direction.IN)

    def trace_out(self, message: Message, flow: Flow) -> None:
        """A message that has left."""
        self.waiting.append((self._trace_out, message, flow))

    def _trace_out(self, message: Message, flow: Flow) -> None:
        self._tell("message_traced", self.hooks.message_traced, message, flow, Direction.OUT)

    def trace_sent(self, data: bytes, flow: Flow) -> None:
        """A request that leaves, as it is on the wire."""
        self.waiting.append((self._trace_sent, data, flow))

    def _trace_sent(self, data: bytes, flow: Flow) -> None:
        try:
            message = parse_datagram(data, _ANY_SIZE)
        except RemoteError as error:  # a plugin may have written anything into it
            self._trace_bytes(data, flow, Direction.OUT, error.reason)
        else:
            self._trace_out(message, flow)

    def trace_bytes(self, data: bytes, flow: Flow, direction: Direction, why: str = "") -> None:
        """Bytes that are no message, or are sent once more."""
        if self.waiting:
            self.tell_waiting()
        self._trace_bytes(data, flow, direction, why)

    def _trace_bytes(self, data: bytes, flow: Flow, direction: Direction, why: str) -> None:
        self._tell("bytes_traced", self.hooks.bytes_traced, data, flow, direction, why)

    def trace_left(self, flow: Any, data: bytes) -> None:
        """Bytes that leave without their user: a Flow, and what it is given."""
        self.trace_bytes(data, flow, Direction.OUT)

    def decided(self, request: Request, flow: Flow, decision: ProxyDecision) -> None:
        """A step in what becomes of a request."""
        self.waiting.append((self._decided, request, flow, decision))

    def _decided(self, request: Request, flow: Flow, decision: ProxyDecision) -> None:
        self._tell("decision_made", self.hooks.decision_made, request, flow, decision)

    def tell_waiting(self) -> None:
        """Tell those who watch what has happened since they were told last, in its order."""
        waiting, self.waiting = self.waiting, []
        for tell, *told in waiting:
            tell(*told)

    def flow_opened(self, flow: Flow) -> None:
        """Call ``flow_opened`` for all who implement it."""
        self._tell("flow_opened", self.hooks.flow_opened, flow)

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Call ``flow_closed`` for all who implement it."""
        self._tell("flow_closed", self.hooks.flow_closed, flow, reason)

    def record(
        self, context: ResponseContext, response: Response | None, branch: Branch | None
    ) -> None:
        """Call ``transaction_ended`` for a request that was forwarded."""
        request = context.request
        client, key = "", b""
        if branch is not None and branch.state >= 0:
            client, key = branch.flow.name, branch.key  # type: ignore[attr-defined]  # a Flow
        self._ended(
            request,
            response,
            context.flow,
            context.started,
            client,
            context.sender.name,
            len(context.branches),
            key,
        )

    def record_own(self, request: Request, response: Response, flow: Flow, now: float) -> None:
        """Call ``transaction_ended`` for a request that the proxy answered itself."""
        self._ended(request, response, flow, now, "", "", 0, b"")

    def _ended(
        self,
        request: Request,
        response: Response | None,
        flow: Flow,
        started: float,
        client: str,
        sender: str,
        branches: int,
        client_transaction: bytes,
    ) -> None:
        from_uri, from_tag = _address(request, b"From")
        to_uri, to_tag = _address(response or request, b"To")
        record = TransactionRecord(
            started=started,
            ended=self.now(),
            method=request.method,
            uri=request.uri,
            status=response.status if response is not None else 0,
            from_uri=from_uri,
            from_tag=from_tag,
            to_uri=to_uri,
            to_tag=to_tag,
            call_id=request.call_id,
            cseq=request.cseq_number,
            server=flow.name,
            client=client,
            sender=sender,
            interface=flow.interface.name,
            branches=branches,
            server_transaction=request.branch,
            client_transaction=client_transaction,
        )
        self._tell("transaction_ended", self.hooks.transaction_ended, record)

    def _tell(self, where: str, hooks: tuple[Callable[..., Any], ...], *args: object) -> None:
        for hook in hooks:
            try:
                hook(*args)
            except Exception as error:
                self.fault(hook, where, error)

    def statistics(self) -> JournalStatistics:
        """Copies of the counts."""
        return JournalStatistics(
            requests={method.decode(): number for method, number in self.requests.items()},
            answers={(key[0].decode(), key[1]): number for key, number in self.answers.items()},
            refused=dict(self.refusals),
            dropped=dict(self.drops),
            refusals=dict(self.refused_for),
            drops=dict(self.dropped_for),
            turned_away=dict(self.turned_away),
            faults=dict(self.faults),
        )


def _cseq(message: Message) -> str:
    try:
        cseq = message.cseq
    except RemoteError:
        return ""
    return f"{cseq.number} {cseq.method.decode('ascii', 'backslashreplace')}"


def _address(message: Message, name: bytes) -> tuple[bytes, bytes]:
    try:
        address = message.from_ if name == b"From" else message.to
    except RemoteError:
        return b"", b""
    return address.uri, address.tag or b""
