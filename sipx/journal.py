"""What the proxy counts, what it tells observers, and what it says in the log."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sipx.events import Direction, Fault, TransactionRecord
from sipx.sip.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.forking import Branch, ResponseContext
    from sipx.hooks import Hooks
    from sipx.sip.message import Message, Request, Response

log = logging.getLogger("sipx.proxy")

REPEAT: Final = 60.0
"""Seconds for which a refusal of the same source for the same reason is not logged again."""


@dataclass(frozen=True, slots=True)
class JournalStatistics:
    """Counts since the start. ``answers`` by status, 0 for requests left unanswered."""

    answers: dict[int, int]
    refused: dict[str, int]
    dropped: dict[str, int]
    faults: dict[str, int]


class Journal:
    """Counters, and the calls of the observing hooks. An observer that raises changes nothing."""

    def __init__(self, hooks: Hooks, now: Callable[[], float]) -> None:
        self.hooks = hooks
        self.now = now
        self.answers: Counter[int] = Counter()
        self.refusals: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self._logged: dict[tuple[str, str], float] = {}
        self.on_fault: Callable[[Fault], None] | None = None
        """Tests forgive nothing: they set this."""

    def answered(self, status: int) -> None:
        """A request got its final response."""
        self.answers[status] += 1

    def refused(self, request: Request, flow: Flow, status: int, why: str) -> None:
        """A request was refused for a reason an administrator may ask about."""
        self.refusals[why or str(status)] += 1
        if len(self.refusals) > 512:
            self.refusals.clear()
        if self._news(flow.address, why):
            log.info(
                "refused %s from %s with %d: %s",
                request.method.decode("ascii", "replace"),
                flow.name,
                status,
                why or "no reason given",
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

    def dropped(self, flow: Flow, why: str) -> None:
        """Something came in that is not answered."""
        self.drops[why] += 1
        log.debug("dropped input from %s: %s", flow.name, why)

    def fault(self, hook: Callable[..., object], where: str, error: Exception) -> None:
        """A plugin raised: log it with its name and traceback; the request pays, not the proxy."""
        self.faulted(self.hooks.owner(hook), where, error)

    def faulted(self, plugin: str, where: str, error: Exception) -> None:
        """The same, where the plugin is known."""
        self.faults[plugin] += 1
        log.error("plugin %s failed in %s", plugin, where, exc_info=error)
        if self.on_fault is not None:
            self.on_fault(Fault(plugin, where, error))

    # ------------------------------------------------------------ observers

    def trace(self, message: Message, flow: Flow, direction: Direction) -> None:
        """Call ``message_traced`` for all who implement it."""
        self._tell("message_traced", self.hooks.message_traced, message, flow, direction)

    def trace_out(self, message: Message, flow: Flow) -> None:
        """A message that leaves."""
        self.trace(message, flow, Direction.OUT)

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
        client = branch.flow.name if branch is not None and branch.state >= 0 else ""  # type: ignore[attr-defined]  # a Flow
        self._ended(
            request,
            response,
            context.flow,
            context.started,
            client,
            context.sender.name,
            len(context.branches),
        )

    def record_own(self, request: Request, response: Response, flow: Flow, now: float) -> None:
        """Call ``transaction_ended`` for a request that the proxy answered itself."""
        self._ended(request, response, flow, now, "", "", 0)

    def _ended(
        self,
        request: Request,
        response: Response | None,
        flow: Flow,
        started: float,
        client: str,
        sender: str,
        branches: int,
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
            dict(self.answers), dict(self.refusals), dict(self.drops), dict(self.faults)
        )


def _address(message: Message, name: bytes) -> tuple[bytes, bytes]:
    try:
        address = message.from_ if name == b"From" else message.to
    except RemoteError:
        return b"", b""
    return address.uri, address.tag or b""
