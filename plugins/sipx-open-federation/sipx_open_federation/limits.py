"""How much a discovered partner may send: it is slowed first, and then refused (SEC-22).

A token bucket for each partner. A message that finds it empty makes a debt, and while there is a
debt nothing is read from the partner's connections: TCP then slows the partner down, and nobody
else waits for it. Only where the debt is larger than a whole burst is a request answered 503, and
only outside dialogs, so that those that live can end.

A hosting provider speaks for many domains over one connection. That is held only as long as all
domains that use it are in debt; else the one that is has its requests refused within dialogs,
too: a 503 ends the transaction alone, not the dialog (RFC 5057 §5.1).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Final, Literal

from sipx import DomainTable, Enquiries, Refuse, address_of_record
from sipx.sip import cached_uri

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from sipx import Flow
    from sipx.sip import Request
    from sipx_open_federation.config import OpenFederationConfig

PARTNERS: Final = 4096
"""Partners whose debts are remembered; beyond it the one that was heard first is forgotten."""
SHARED: Final = 64
"""Domains of one connection that are remembered; with more of them it is never held."""
LONGEST_DEBT: Final = 60.0
"""Seconds after which a partner that has become quiet owes nothing, whatever it has sent."""
LONGEST_HOLD: Final = 5.0
"""Seconds for which a flow is held at once: what `Flow.hold` takes at most."""
STEP: Final = 0.05
"""Seconds by which a hold has to be longer than the one before for all flows to be told."""
LEAST_RETRY: Final = 1.0
MOST_RETRY: Final = 5.0
LONGEST_RETRY: Final = 3600
"""Seconds of Retry-After: over the rate between the first two, over the users at most the last."""
ROW: Final = 8
"""Of docs/trust.md, "Incoming requests"."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one partner may: messages per second, how many at once, different users per day.

    0 is no limit.
    """

    rate: float
    burst: int
    users: int


@dataclass(slots=True)
class _Account:
    """What one partner has sent. ``debt`` is as of ``since``; below 0 something is left."""

    allowance: Allowance
    debt: float
    since: float
    held_until: float = 0.0
    flows: set[Flow] = field(default_factory=set)
    told: bool = False

    def owes(self, now: float) -> float:
        """The debt at this time, in messages; never less than a whole burst unspent."""
        return max(self.debt - (now - self.since) * self.allowance.rate, -self.allowance.burst)


class Limits:
    """The limits of all discovered partners.

    ``now`` is the kernel's clock, ``random`` its randomness. ``counted(domain, what)`` hears of
    each message that had to wait ("slowed") or was refused ("limited"), ``told(domain, text)`` of
    a partner that is over its limit, once until it keeps it again.
    """

    def __init__(
        self,
        config: OpenFederationConfig,
        now: Callable[[], float],
        random: Random,
        *,
        counted: Callable[[bytes, Literal["slowed", "limited"]], None] = lambda domain, what: None,
        told: Callable[[bytes, str], None] = lambda domain, text: None,
    ) -> None:
        self._config = config
        self._own = DomainTable(
            {domain: own for domain, own in config.partner.items() if own.enabled}
        )
        self._now = now
        self._random = random
        self._counted = counted
        self._told = told
        self._accounts: OrderedDict[bytes, _Account] = OrderedDict()
        self._domains: dict[Flow, set[bytes]] = {}
        """Which partners use a flow."""
        self._enquiries: dict[int, Enquiries] = {}

    def take_over(self, old: Limits) -> None:
        """Go on with the debts of another one, under the limits of this one."""
        self._domains = old._domains
        self._accounts = old._accounts
        for domain, account in self._accounts.items():
            account.allowance = self.allowance(domain)
        for most, enquiries in old._enquiries.items():
            self._asked(most).take_over(enquiries)

    # ------------------------------------------------------------ what is allowed

    def allowance(self, domain: bytes) -> Allowance:
        """What a partner may: its own limits, else none for an allowed one, else the general."""
        config = self._config
        rate, burst, users = config.messages_per_second, config.burst, config.users_per_day
        own = self._own.match(domain)
        if own is not None:
            if own.allowed:
                rate, users = 0.0, 0
            rate = rate if own.messages_per_second is None else own.messages_per_second
            burst = burst if own.burst is None else own.burst
            users = users if own.users_per_day is None else own.users_per_day
        # A bucket that holds nothing would let nothing through at any rate.
        return Allowance(rate, max(burst, 1), users)

    def owes(self, domain: bytes) -> float:
        """How many messages a partner is over its limit now, 0 if it is not."""
        account = self._accounts.get(domain)
        return 0.0 if account is None else max(account.owes(self._now()), 0.0)

    # ------------------------------------------------------------ requests

    def admit(self, domain: bytes, request: Request, flow: Flow) -> Refuse | None:
        """Hot, for each request of a discovered partner whose identity has been proven.

        ``domain`` is the one it has proven, that of From. None lets the request on, slowed or not.
        """
        if not flow.id:
            return None  # only explained
        account = self._accounts.get(domain)
        if account is None:
            account = self._open(domain)
        allowance = account.allowance
        within = request.layout.route >= 0
        if allowance.rate:
            now = self._now()
            if flow not in account.flows:
                self._uses(domain, account, flow)
            owed = account.owes(now) + 1.0
            if owed > 0.0:
                refuse = self._over(domain, account, owed, now, flow, within=within)
                if refuse is not None:
                    return refuse
            elif account.told and owed <= -allowance.burst / 2:
                account.told = False
            account.debt = min(owed, allowance.burst + LONGEST_DEBT * allowance.rate)
            account.since = now
        if within or not allowance.users:
            return None
        return self._curious(domain, request, allowance.users)

    def _over(
        self, domain: bytes, account: _Account, owed: float, now: float, flow: Flow, *, within: bool
    ) -> Refuse | None:
        """Slow a partner down that owes something; a 503 where that is too much."""
        allowance = account.allowance
        self._hold(account, owed, now)
        if not account.told:
            account.told = True
            self._told(domain, f"more than {allowance.rate:g} messages a second: it is slowed down")
        if owed <= allowance.burst or (within and not self._unheld(flow)):
            self._counted(domain, "slowed")
            return None
        # What is refused is not owed: a partner that stops gets on again.
        self._counted(domain, "limited")
        wait = max(owed / allowance.rate, LEAST_RETRY) + self._random.random()
        why = (
            f"the discovered partner is over its limit; {domain.decode()} sends more than "
            f"{allowance.rate:g} messages a second"
        )
        return _busy(why, min(ceil(wait), int(MOST_RETRY)))

    def _hold(self, account: _Account, owed: float, now: float) -> None:
        until = now + min(owed / account.allowance.rate, LONGEST_HOLD)
        if until < account.held_until + STEP:
            return
        account.held_until = until
        for flow in account.flows:
            seconds = self._all_owe(flow, now)
            if seconds > 0.0:
                flow.hold(min(seconds, until - now))

    def _all_owe(self, flow: Flow, now: float) -> float:
        """For how long all partners of a flow are to be held; 0 where one of them is not."""
        domains = self._domains[flow]
        if len(domains) == 1:
            return LONGEST_HOLD
        if len(domains) >= SHARED:
            return 0.0
        accounts = [self._accounts.get(domain) for domain in domains]
        return min(0.0 if each is None else each.held_until - now for each in accounts)

    def _unheld(self, flow: Flow) -> bool:
        """Whether others use a flow, so that their debts do not hold it."""
        return len(self._domains[flow]) > 1

    def _curious(self, domain: bytes, request: Request, most: int) -> Refuse | None:
        """SEC-22: whoever tries name after name is told to wait, whether there is such a user."""
        uri = cached_uri(request.uri)
        if uri.user is None:
            return None
        seconds = self._asked(most).wait(domain.decode(), address_of_record(uri))
        if not seconds:
            return None
        self._counted(domain, "limited")
        why = (
            f"the discovered partner is over its limit; {domain.decode()} has asked for more than "
            f"{most} different users today"
        )
        return _busy(why, min(ceil(seconds), LONGEST_RETRY))

    def _asked(self, most: int) -> Enquiries:
        found = self._enquiries.get(most)
        if found is None:

            def told(partner: str, seconds: float) -> None:
                text = (
                    f"more than {most} different users within a day: no others for {seconds:.0f} s"
                )
                self._told(partner.encode(), text)

            found = self._enquiries[most] = Enquiries(most, self._now, told)
        return found

    # ------------------------------------------------------------ flows

    def closed(self, flow: Flow) -> None:
        """A flow has ended."""
        for domain in self._domains.pop(flow, ()):
            account = self._accounts.get(domain)
            if account is not None:
                account.flows.discard(flow)

    def _open(self, domain: bytes) -> _Account:
        allowance = self.allowance(domain)
        account = _Account(allowance, -float(allowance.burst), self._now())
        self._accounts[domain] = account
        if len(self._accounts) > PARTNERS:
            gone, oldest = self._accounts.popitem(last=False)
            for flow in oldest.flows:
                self._domains[flow].discard(gone)
        return account

    def _uses(self, domain: bytes, account: _Account, flow: Flow) -> None:
        domains = self._domains.setdefault(flow, set())
        if len(domains) < SHARED:
            domains.add(domain)
            account.flows.add(flow)
        left = account.held_until - self._now()
        if left > 0.0 and len(domains) == 1:
            flow.hold(left)


def _busy(why: str, seconds: int) -> Refuse:
    return Refuse(503, why, ((b"Retry-After", b"%d" % seconds),), ROW)
