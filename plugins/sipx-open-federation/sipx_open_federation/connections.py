"""Connections to partners: kept while there are subscriptions, and opened anew where one breaks.

A subscription in either direction (RFC 6665) is known from its SUBSCRIBE and its NOTIFYs. As long
as one lives, no connection with its partner is closed for being idle; and if all of them have
gone, one is opened again, after the delays of RFC 5626 §4.5, to whatever the DNS names then. What
has no subscription is closed when it is idle, and opened when there is something to send.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import trio

from sipx import Refuse, SenderKind, SendError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sipx import Branch, Discovered, Flow, Proxy, Target
    from sipx.sip import Request, Response

MOST: Final = 100_000
MOST_EACH: Final = 4096
"""Subscriptions that are remembered, of all and of one partner; beyond it connections are kept
for no more of them.
"""
MOST_BYTES: Final = 256
"""Of a Call-ID that is remembered; others are of nobody who means it well."""
LONGEST: Final = 86_400.0
"""Seconds for which one subscription keeps a connection; a refresh counts anew."""
USUAL: Final = 3600
"""Seconds of a subscription that says nothing (RFC 3856 §6.4)."""
SWEEP: Final = 30.0
"""Seconds between two looks for what has ended."""
AT_ONCE: Final = 8
"""Partners that are connected to at the same time, without those that go first."""
PATIENCE: Final = 15.0
"""Seconds that one of them is given."""
STABLE: Final = 120.0
"""Seconds after which a connection counts as one that works (RFC 5626 §4.5)."""
BASE_NONE: Final = 30.0
BASE_SOME: Final = 90.0
LONGEST_DELAY: Final = 1800.0
"""RFC 5626 §4.5: base-time where all flows have failed, where not all have, and max-time."""
ENDS: Final = frozenset({404, 405, 410, 416, 480, 481, 482, 483, 484, 485, 489, 501, 604})
"""RFC 6665 §4.1.2.2: answers to a refresh, or to a NOTIFY, that end the subscription."""

_STATE: Final = re.compile(
    rb"([^;\s]+)\s*(?:;(?:.*;)?\s*expires\s*=\s*(\d{1,10})\s*(?:;|\Z))?", re.I
)
"""Subscription-State (RFC 6665 §8.2.3): the state, and for how long it stays."""


class Ties(NamedTuple):
    """What connects us with a partner now. ``next_try``: seconds until it is connected to, None
    where nothing is to be done.
    """

    subscriptions: int
    flows: int
    failures: int
    next_try: float | None


@dataclass(slots=True, eq=False)
class _Tie:
    """``subscriptions``: until when each lives, by its Call-ID. ``target``: where it was reached
    last. ``due``: when to connect.
    """

    subscriptions: dict[bytes, float] = field(default_factory=dict)
    latest: float = 0.0
    flows: set[Flow] = field(default_factory=set)
    target: Target | None = None
    failures: int = 0
    due: float = inf

    def keep(self) -> None:
        """No flow is closed for being idle before the last subscription has ended."""
        for flow in self.flows:
            flow.keep_until = self.latest

    def sweep(self, now: float) -> int:
        """Forget what has ended; returns how many that are."""
        ended = [key for key, until in self.subscriptions.items() if until <= now]
        for key in ended:
            del self.subscriptions[key]
        self.latest = max(self.subscriptions.values(), default=0.0)
        self.keep()
        return len(ended)


class Connections:
    """The connections of all discovered partners. ``discover`` says where a domain is now;
    ``reached(domain, flow)`` hears of a connection that has come back; ``first`` are partners
    that wait for no others.
    """

    def __init__(
        self,
        proxy: Proxy,
        discover: Callable[[bytes], Awaitable[Discovered | Refuse | None]],
        *,
        reached: Callable[[bytes, Flow], None] = lambda domain, flow: None,
        first: Callable[[bytes], bool] = lambda domain: False,
    ) -> None:
        self._proxy = proxy
        self._discover = discover
        self._reached = reached
        self._first = first
        self._ties: dict[bytes, _Tie] = {}
        self._count = 0
        """Subscriptions of all partners."""
        self._users: dict[Flow, set[bytes]] = {}
        """The domains that use a flow."""
        self._woken = trio.Event()
        self._limiter = trio.CapacityLimiter(AT_ONCE)

    def take_over(self, old: Connections) -> None:
        """Go on with what another one knows."""
        self._ties, self._users, self._count = old._ties, old._users, old._count
        for tie in self._ties.values():
            if tie.due < inf or (tie.latest and not tie.flows):
                tie.due = min(tie.due, self._proxy.now() + self._delay(tie))

    def drop(self, unwanted: Callable[[bytes], bool]) -> None:
        """Keep no connection any more with partners that are ``unwanted``."""
        for domain in [domain for domain in self._ties if unwanted(domain)]:
            for key in list(self._ties[domain].subscriptions):
                self._end(domain, key)

    def of(self, domain: bytes) -> Ties:
        """What there is with a partner."""
        tie = self._ties.get(domain)
        if tie is None:
            return Ties(0, 0, 0, None)
        wait = None if tie.due == inf else max(tie.due - self._proxy.now(), 0.0)
        return Ties(len(tie.subscriptions), len(tie.flows), tie.failures, wait)

    # ------------------------------------------------------------ what is seen

    def on_response(self, response: Response, branch: Branch) -> None:
        """Hot, the hook ``process_response``: subscriptions begin, go on and end."""
        method = response.cseq_method
        if method not in (b"SUBSCRIBE", b"NOTIFY") or response.status < 200:
            return
        partner = branch.target.partner
        context = branch.context
        if partner is not None and partner.discovered:
            flow = cast("Flow", branch.flow)
        elif context.sender.kind is SenderKind.DISCOVERED and context.sender.partner is not None:
            partner, flow = context.sender.partner, context.flow
        else:
            return
        domain, key = partner.domain, response.call_id
        if response.status in ENDS:
            self._end(domain, key)
        elif response.status < 300:
            if method == b"SUBSCRIBE":
                self._begin(domain, key, _expires(response, context.request))
            tie = self._ties.get(domain)
            if tie is not None and key in tie.subscriptions:
                self._use(domain, tie, flow)
                if branch.target.hops and branch.target.partner is partner:
                    tie.target = branch.target

    def on_forward(self, request: Request, target: Target) -> None:
        """Hot, the hook ``forward_request``: a NOTIFY says how its subscription is."""
        if request.method != b"NOTIFY":
            return
        key, partner = request.call_id, target.partner
        far = b"" if partner is None else partner.domain
        for domain in (request.from_domain, far):
            if domain in self._ties and key in self._ties[domain].subscriptions:
                self._notified(domain, key, request)
                return

    def _notified(self, domain: bytes, key: bytes, request: Request) -> None:
        state = _STATE.match(request.get(b"Subscription-State") or b"")
        if state is None:
            return
        if state[1].lower() == b"terminated":
            self._end(domain, key)
        elif state[2] and int(state[2]):
            self._begin(domain, key, float(state[2]))

    def on_closed(self, flow: Flow) -> None:
        """The hook ``flow_closed``: whoever has subscriptions needs a connection."""
        now = self._proxy.now()
        for domain in self._users.pop(flow, ()):
            tie = self._ties[domain]
            tie.flows.discard(flow)
            if tie.latest <= now or any(each.outbound for each in tie.flows):
                continue
            # One that broke at once says no more than one that never came about.
            tie.failures = 0 if now - flow.opened_at >= STABLE else tie.failures + 1
            self._try_later(domain, tie, "its connection has broken")

    def _begin(self, domain: bytes, key: bytes, seconds: float) -> None:
        if not seconds:
            self._end(domain, key)
            return
        tie = self._ties.get(domain) or _Tie()
        if key not in tie.subscriptions:
            many = self._count >= MOST or len(tie.subscriptions) >= MOST_EACH
            if many or len(key) > MOST_BYTES:
                return
            self._count += 1
        self._ties[domain] = tie
        until = self._proxy.now() + min(seconds, LONGEST)
        tie.subscriptions[key] = until
        if until > tie.latest:
            tie.latest = until
            tie.keep()

    def _end(self, domain: bytes, key: bytes) -> None:
        tie = self._ties.get(domain)
        if tie is None or tie.subscriptions.pop(key, None) is None:
            return
        self._count -= 1
        if not tie.subscriptions:
            # With others left, the next look finds out which of them lives longest.
            tie.latest = 0.0
            tie.keep()
            tie.due = inf

    def _use(self, domain: bytes, tie: _Tie, flow: Flow) -> None:
        if flow.closed or flow in tie.flows:
            return
        tie.flows.add(flow)
        flow.keep_until = max(flow.keep_until, tie.latest)
        self._users.setdefault(flow, set()).add(domain)
        if flow.outbound:
            tie.due = inf

    # ------------------------------------------------------------ connecting again

    def _delay(self, tie: _Tie) -> float:
        """RFC 5626 §4.5: base-time, doubled with every failure; of that 50 to 100 %."""
        base = BASE_SOME if tie.flows else BASE_NONE
        longest = min(LONGEST_DELAY, base * 2.0 ** min(tie.failures, 16))
        return float(self._proxy.random.uniform(longest / 2, longest))

    def _try_later(self, domain: bytes, tie: _Tie, why: str) -> None:
        seconds = self._delay(tie)
        tie.due = self._proxy.now() + seconds
        self._woken.set()
        self._proxy.log.info(
            "%s: %s; there are %d subscriptions, so it is connected to in %.0f s",
            domain.decode(),
            why,
            len(tie.subscriptions),
            seconds,
        )

    async def service(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Look for what has ended, and connect to those whose time has come."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            while True:
                now = self._proxy.now()
                for domain, tie in self._ties.items():
                    if tie.due <= now:
                        tie.due = inf
                        nursery.start_soon(self._connect, domain, tie)
                due = min((tie.due for tie in self._ties.values()), default=inf)
                with trio.move_on_after(min(max(due - now, 0.0), SWEEP)):
                    await self._woken.wait()
                self._woken = trio.Event()
                self._sweep()

    def _sweep(self) -> None:
        now = self._proxy.now()
        for domain, tie in list(self._ties.items()):
            self._count -= tie.sweep(now)
            if tie.subscriptions:
                continue
            tie.due = inf
            for flow in tie.flows:
                self._users[flow].discard(domain)
            del self._ties[domain]

    async def _connect(self, domain: bytes, tie: _Tie) -> None:
        """Try all targets; where none is reached, try again later."""
        # A server that takes connections and says nothing keeps nobody waiting who matters.
        async with nullcontext() if self._first(domain) else self._limiter:
            try:
                with trio.fail_after(PATIENCE):
                    flow = await self._reach(domain, tie.target)
            except trio.TooSlowError:
                self._failed(domain, tie, f"not reached within {PATIENCE:g} s")
                return
            except SendError as error:
                if error.status == 403:
                    self._proxy.log.info("%s is not connected to: %s", domain.decode(), error)
                else:
                    self._failed(domain, tie, str(error))
                return
        self._reached(domain, flow)
        if self._ties.get(domain) is tie:
            self._use(domain, tie, flow)
            self._proxy.log.info("%s is connected to again: %s", domain.decode(), flow.name)

    def _failed(self, domain: bytes, tie: _Tie, why: str) -> None:
        if self._ties.get(domain) is tie and tie.subscriptions:
            tie.failures += 1
            self._try_later(domain, tie, why)

    async def _reach(self, domain: bytes, last: Target | None) -> Flow:
        """A connection to the first target that can be reached. Raises SendError.

        Where the DNS has nothing to say any more it is tried where the partner was before: its
        dialogs have outlived its record.
        """
        found = await self._discover(domain)
        if isinstance(found, Refuse):
            raise SendError(found.why, found.status)
        groups = found.targets.groups if found is not None else ((last,),) if last else ()
        failure = SendError("the DNS names no server", 404)
        for target in (target for group in groups for target in group):
            try:
                return await self._proxy.open_flow(target)
            except SendError as error:
                failure = error.with_traceback(None)
        raise failure


def _expires(response: Response, request: Request) -> float:
    """RFC 6665 §4.2.1.1: the 2xx says for how long; one that does not has meant what was asked."""
    for message in (response, request):
        seconds = _seconds(message.get(b"Expires"))
        if seconds is not None:
            return seconds
    return USUAL


def _seconds(text: bytes | None) -> float | None:
    """A delta-seconds (RFC 3261 §25.1); None for what is none."""
    if text is None or not text.isdigit() or len(text) > 10:
        return None
    return float(text)
