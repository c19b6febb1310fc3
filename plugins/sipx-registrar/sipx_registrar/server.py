"""One UC server: the ways to it, and the state machine that says whether requests go there.

No I/O: whoever calls says what happened and when (``now``, seconds of the kernel's clock); the
clock of people only dates what is shown.

    never seen --logged on, or a ping answered--> up
    up ------- connection lost, a ping missed, 503 -------> suspect
    suspect -- logged on again, a ping or request answered -> up
    suspect -- 5 s without a way or an answer, two vain connections,
               down_after pings missed, logged off -------> down
    down ----- logged on again ---------------------------> suspect, then by pings
    down ----- up_after pings answered -------------------> up, its share grows over slow_start

What the operator wants (draining, maintenance) stands beside that and not in its place: a server
that is drained can be down as well.
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import TYPE_CHECKING, Final

from sipx import SenderKind, Target
from sipx_registrar.hashing import seed_of
from sipx_registrar.states import Health, Order, Rules
from sipx_registrar.ways import Way, dialable, verifiable

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Account, Flow, NextHop

PATIENCE: Final = 5.0
"""Seconds without a way to it after which a server is down."""
VAIN: Final = 2
"""Connections that failed one after the other, after which it is down."""
STEPS: Final = 10
"""In so many steps the share of a server grows that is up again."""
RETRY: Final = 30.0
"""Seconds after which a suspect server is tried again where there are no pings."""
LONGEST_QUIET: Final = 300.0
"""Seconds for which a Retry-After is believed."""
WINDOW: Final = 6
"""Samples of the counter of requests that make up the window."""


class Server:
    """One UC server. ``changed(server, before, after, why)`` is told of every change of state."""

    def __init__(
        self,
        account: Account,
        rules: Rules,
        changed: Callable[[Server, str, str, str], None],
        wall: Callable[[], float],
        hop: NextHop | None = None,
    ) -> None:
        self.account = account
        self.hop = hop
        """Where sipx connects to it, as configured."""
        self.name = account.name
        self.seed = seed_of(account.name)
        self.rules = rules
        self.changed = changed
        self.health = Health.NEVER
        self.order = Order.SERVE
        self.ordered = ""
        """Who wants that, in words."""
        self.wall = wall
        self.since = wall()
        """Since when it is in its state, in seconds since 1970."""
        self.reason = "it has not logged on yet"
        self.ways: list[Way] = []
        """The open ones, the newest first."""
        self.dial: NextHop | None = None
        """Where a connection to it can be opened: as configured, or where its Contact says."""
        self.dial_target: Target | None = None
        self._was_down = False
        self._until = inf
        """When its last logon ends, in seconds since 1970."""
        self.lost_at: float | None = None
        """Since when there is no way to it; None: there is one, or there never was."""
        self.vain = 0
        """Connections of ours that failed, one after the other."""
        self.misses = self.goods = 0
        self.ramp_from = -inf
        """When it came up again after it had been down."""
        self.quiet_until = -inf
        """Until when it asked to be left alone (Retry-After of a 503)."""
        self.sent = self.failures = self.pings = self.pongs = 0
        self.round_trip: float | None = None
        self._samples: deque[int] = deque([0], maxlen=WINDOW)
        if hop is not None:
            self._may_dial(hop)

    def meet(self, account: Account, hop: NextHop | None) -> None:
        """Its account is this one now, and sipx connects to it there."""
        if account is self.account and hop == self.hop:
            return
        dial = hop or (self.dial if self.dial != self.hop else None)
        self.account, self.hop = account, hop
        for way in self.ways:
            way.target = self._target(flow=way.flow)
        self.dial = self.dial_target = None
        if dial is not None:
            self._may_dial(dial)

    # ------------------------------------------------------------ questions

    @property
    def state(self) -> str:
        """In a word, as everybody sees it."""
        drained = self.order is Order.DRAINING and self.health in (Health.UP, Health.SUSPECT)
        shown: Order | Health = self.health
        if drained or self.order is Order.MAINTENANCE:
            shown = self.order
        return str(shown.value)

    @property
    def why(self) -> str:
        """Why it is in its state, in words."""
        return self.reason if self.state == self.health.value else self.ordered

    @property
    def serves(self) -> bool:
        """Whether requests may go there at all."""
        return self.order is not Order.MAINTENANCE and self.health in (Health.UP, Health.SUSPECT)

    def way(self) -> Target | None:
        """The way there now: over its newest open flow, or where it can be dialled."""
        for way in self.ways:
            if not way.flow.closed:
                return way.target
        return self.dial_target

    def weight_at(self, now: float) -> float:
        """Its weight, smaller while its share grows: in steps, so that rankings can be kept."""
        slow = self.rules.slow_start
        passed = now - self.ramp_from
        if passed >= slow or not slow:
            return float(self.account.weight)
        return self.account.weight * (int(passed / slow * STEPS) + 1) / STEPS

    def sent_lately(self) -> int:
        """Requests within the window."""
        return self.sent - self._samples[0]

    def sample(self) -> None:
        """A part of the window is over."""
        self._samples.append(self.sent)

    # ------------------------------------------------------------ ways

    def logged_on(
        self, flow: Flow, contact: bytes, until: float, *, logon: bool, now: float
    ) -> str:
        """It, or a user of it, registered over a flow. Returns what is worth telling, or ""."""
        news = ""
        known = True
        way = next((way for way in self.ways if way.flow is flow), None)
        if way is not None:
            way.until = max(way.until, until) if way.logon and not logon else until
        else:
            known = False
            newest = self.ways[0].flow if self.ways else None
            way = Way(flow, self._target(flow=flow), self.wall(), until)
            # RFC 5626 §4.2: the newest flow wins, at once and as a whole. Requests outside dialogs
            # take it from now on; what is under way on an older one stays there until it closes.
            self.ways.insert(0, way)
            if newest is not None and newest.address != flow.address:
                news = (
                    f"it logged on from {flow.address} while its connection from "
                    f"{newest.address} is open; new requests go to {flow.address}"
                )
        if logon:
            way.logon, way.contact = True, contact
        self._until = until
        if self.hop is None and (logon or not way.logon):
            # The Contact of a user names a place of its server, too; its own counts more.
            there = dialable(contact, flow)
            if there is not None:
                self._may_dial(there)
        why = f"it logged on from {flow.address}"
        if not known and self.health is Health.DOWN and self.rules.pings:
            self.misses = 0
            needed = "" if self.rules.up_after == 1 else f" {self.rules.up_after} times"
            self._become(Health.SUSPECT, f"{why}; it has to answer{needed}")
        elif self.health is Health.NEVER:
            self._become(Health.UP, why)
        self._has_a_way(why, now)
        return news

    def was_at(self, place: NextHop, until: float) -> None:
        """Before sipx was started it had logged on from there, until then."""
        self._until = until
        self._may_dial(place)

    def connected(self, flow: Flow, now: float) -> None:
        """A connection of ours to it is open; whether somebody is there a ping will tell."""
        if all(way.flow is not flow for way in self.ways):
            until = self._until if self.hop is None else inf
            self.ways.insert(0, Way(flow, self._target(flow=flow), self.wall(), until))
        if not self.rules.pings:
            self._has_a_way(f"connected to {flow.address} port {flow.port}", now)

    def logged_off(self, flow: Flow, now: float) -> None:
        """The server itself took back its registration over a flow, which nobody else uses."""
        self.ways = [way for way in self.ways if way.flow is not flow]
        if self.ways:
            return
        self.lost_at = now
        if self.hop is None:
            self.dial = self.dial_target = None
            self._become(Health.DOWN, "it logged off")
        else:
            self._without_a_way("it logged off", now)

    def lost(self, flow: Flow, why: str, now: float) -> None:
        """One of its flows has ended."""
        before = len(self.ways)
        self.ways = [way for way in self.ways if way.flow is not flow]
        if self.ways or len(self.ways) == before:
            return
        self._without_a_way(f"the connection from {flow.address} was lost: {why}", now)

    def forget_ended(self, now: float) -> bool:
        """Registrations end by themselves (RFC 3261 §10.2.1); whether one has."""
        wall = self.wall()
        if self.hop is None and self._until <= wall:
            self.dial = self.dial_target = None
        if all(way.until > wall for way in self.ways):
            return False
        self.ways = [way for way in self.ways if way.until > wall]
        if not self.ways:
            self._without_a_way("its registration has expired", now)
        return True

    def could_not_connect(self, why: str, now: float) -> None:
        """A connection of ours failed."""
        self.vain += 1
        self.failures += 1
        if self.ways:
            return
        self.lost_at = now if self.lost_at is None else self.lost_at
        if self.health is Health.NEVER:
            self.reason = f"no connection: {why}"
        elif self.vain >= VAIN:
            self._become(Health.DOWN, f"no connection: {why}")

    def time_passes(self, now: float) -> None:
        """Patience ends."""
        if self.health is not Health.SUSPECT:
            return
        if self.lost_at is not None:
            if now - self.lost_at >= PATIENCE:
                why = f"{self.reason}; it did not come back within {PATIENCE:g} s"
                self._become(Health.DOWN, why)
        elif not self.rules.pings and now >= self.quiet_until:
            self._is_up("it is tried again, as nobody asks it for signs of life", now)

    def _has_a_way(self, why: str, now: float) -> None:
        returned, self.lost_at, self.vain = self.lost_at is not None, None, 0
        if self.health is Health.SUSPECT and returned and not self.misses and not self._was_down:
            self._become(Health.UP, why)
        elif not self.rules.pings and self.health in (Health.NEVER, Health.DOWN):
            self._is_up(why, now)

    def _without_a_way(self, why: str, now: float) -> None:
        if self.lost_at is None:
            self.lost_at, self.vain = now, 0
        if self.health is Health.UP:
            self.misses = self.goods = 0
            self._become(Health.SUSPECT, why)
        elif self.health is Health.SUSPECT:
            self.reason = why

    # ------------------------------------------------------------ signs of life

    def answered(self, now: float, round_trip: float) -> None:
        """A ping was answered, by anything but 503 and 408."""
        self.pongs += 1
        self.round_trip = round_trip
        self._alive("it answers pings", now)

    def heard(self, now: float) -> None:
        """It answered a request: whoever does that is there (passive health)."""
        if self.health is Health.SUSPECT:
            self._alive("it answers requests", now)

    def _alive(self, why: str, now: float) -> None:
        """Suspect no more at once; but one that was down has to show ``up_after`` signs."""
        self.misses = 0
        self.goods += 1
        if self.ways:
            self.lost_at, self.vain = None, 0
        if self.health is Health.UP or self.lost_at is not None or now < self.quiet_until:
            return
        if not self._was_down or self.goods >= self.rules.up_after:
            self._is_up(why, now)

    def missed(self, why: str, now: float) -> None:
        """A ping, or a request, was not answered; or a ping with 503 or 408."""
        self.failures += 1
        self.goods = 0
        self.misses += 1
        if not self.rules.pings:
            self.quiet_until = max(self.quiet_until, now + RETRY)
        if self.health is Health.UP:
            self._become(Health.SUSPECT, why)
        elif self.health is Health.SUSPECT and self.misses >= self.rules.down_after:
            self._become(Health.DOWN, f"{why}, {self.misses} times one after the other")
        else:
            self.reason = why

    def refused(self, retry_after: float, now: float) -> None:
        """It answered a request with 503. RFC 3261 §21.5.4: nothing else SHOULD be sent there for
        the time that Retry-After names; pings tell whether it is more than busy.
        """
        self.failures += 1
        self.quiet_until = max(self.quiet_until, now + min(retry_after, LONGEST_QUIET))
        if self.health is Health.UP:
            self._become(Health.SUSPECT, "it answered a request with 503")

    def undelivered(self, why: str) -> None:
        """A request did not get there; pings, or connections, tell what it means."""
        self.failures += 1
        if self.health is Health.UP:
            self._become(Health.SUSPECT, why)
        elif self.health is Health.NEVER:
            self.reason = why

    def _is_up(self, why: str, now: float) -> None:
        if self._was_down:
            self.ramp_from = now
        self._become(Health.UP, why)

    # ------------------------------------------------------------ below

    def _become(self, health: Health, why: str) -> None:
        before = self.state
        was = self.health
        self.health, self.reason = health, why
        if health is Health.DOWN:
            self._was_down = True
            self.goods = 0
        elif health is Health.UP:
            self._was_down = False
            self.misses = 0
        if health is not was:
            self._tell(before, why)

    def command(self, order: Order, why: str) -> None:
        """The operator wants something else of it."""
        before = self.state
        if order is not self.order:
            self.order, self.ordered = order, why
            self._tell(before, why)

    def _tell(self, before: str, why: str) -> None:
        self.since = self.wall()
        self.changed(self, before, self.state, why)

    def _may_dial(self, hop: NextHop) -> None:
        if hop != self.hop and not verifiable(hop, self.account):
            return
        if hop != self.dial or self.dial_target is None:
            self.dial = hop
            self.dial_target = self._target(hops=(hop,))

    def _target(self, flow: Flow | None = None, hops: tuple[NextHop, ...] = ()) -> Target:
        return Target(
            hops=hops,
            trusted=self.account.kind is SenderKind.UC_SERVER,
            name=self.name,
            partner=self.account.partner,
            flow=flow,
            account=self.account,
            row=1,
        )
