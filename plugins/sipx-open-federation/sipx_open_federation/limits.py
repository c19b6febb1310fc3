"""How much a discovered partner may send: it is slowed first, and then refused (SEC-22).

A token bucket for each partner. A message that finds it empty makes a debt, and while there is a
debt nothing is read from the partner's connections: TCP then slows the partner down, and nobody
else waits for it. Only where the debt is larger than a whole burst is a request answered 503, and
only outside dialogs, so that those that live can end.

Certificates are free, and one may name a hundred domains: so what one certificate's key proves is
counted together as well, and whichever limit is exceeded first counts. Not so where a hosting
provider proves the domain, as its customers are strangers to each other, nor where the operator has
said what a domain may.

A connection that several use is held only as long as all of them are in debt; else the one that
is has its requests refused within dialogs, too: a 503 ends the transaction alone, not the dialog
(RFC 5057 §5.1).
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
"""Partners, and keys, whose debts are remembered; beyond it the one that has not been heard for
longest is forgotten.
"""
SHARED: Final = 64
"""Domains of one connection that are remembered."""
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
_BY_KEY: Final = b"key "
"""Before the key of a certificate, where a domain could stand; no domain has a space."""
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
    """What one partner has sent. ``debt`` is as of ``since``; below 0 something is left.

    There is one for each domain, and one for each key that certificates of several domains have.
    """

    allowance: Allowance
    debt: float
    since: float
    held_until: float = 0.0
    flows: set[Flow] = field(default_factory=set)
    told: bool = False

    def owes(self, now: float) -> float:
        """The debt at this time, in messages; never less than a whole burst unspent."""
        return max(self.debt - (now - self.since) * self.allowance.rate, -self.allowance.burst)


@dataclass(slots=True)
class _Users:
    """Who uses one flow. ``keyed`` are the domains that are counted by its certificate's ``key``,
    too; ``others`` those that are not. ``many``: more of these than are remembered.
    """

    key: bytes
    keyed: set[bytes] = field(default_factory=set)
    others: set[bytes] = field(default_factory=set)
    many: bool = False


class Limits:
    """The limits of all discovered partners.

    ``now`` is the kernel's clock, ``random`` its randomness. ``in_dialog(domain, request)`` tells
    whether a request is within a dialog of the partner, ``hosted(domain, flow)`` whether a hosting
    provider speaks for the domain there. ``counted(domain, what)`` hears of each message that had
    to wait ("slowed") or was refused ("limited"), ``told(domain, text)`` of a partner that is over
    its limit, once until it keeps it again.
    """

    def __init__(
        self,
        config: OpenFederationConfig,
        now: Callable[[], float],
        random: Random,
        *,
        in_dialog: Callable[[bytes, Request], bool],
        hosted: Callable[[bytes, Flow], bool] = lambda domain, flow: False,
        counted: Callable[[bytes, Literal["slowed", "limited"]], None] = lambda domain, what: None,
        told: Callable[[bytes, str], None] = lambda domain, text: None,
    ) -> None:
        self._config = config
        self._own = DomainTable(
            {domain: own for domain, own in config.partner.items() if own.enabled}
        )
        self._general = Allowance(
            config.messages_per_second, max(config.burst, 1), config.users_per_day
        )
        self._now = now
        self._random = random
        self._in_dialog = in_dialog
        self._hosted = hosted
        self._counted = counted
        self._told = told
        self._accounts: OrderedDict[bytes, _Account] = OrderedDict()
        """By domain; by a mark and the key where that counts as well."""
        self._flows: dict[Flow, _Users] = {}
        self._enquiries: dict[int, Enquiries] = {}
        self._asks = b""
        """The domain that asks for a user now."""

    def take_over(self, old: Limits) -> None:
        """Go on with the debts of another one, under the limits of this one."""
        self._accounts, self._flows = old._accounts, old._flows
        for name, account in self._accounts.items():
            keyed = name.startswith(_BY_KEY)
            account.allowance = self._general if keyed else self.allowance(name)
        for flow, users in self._flows.items():
            for domain in users.keyed | users.others:
                self._sort(users, domain, flow)
        for most, enquiries in old._enquiries.items():
            self._asked(most).take_over(enquiries)

    # ------------------------------------------------------------ what is allowed

    def allowance(self, domain: bytes) -> Allowance:
        """What a partner may: its own limits, else none for an allowed one, else the general."""
        own = self._own.match(domain)
        if own is None:
            return self._general
        rate, burst, users = self._config.messages_per_second, own.burst, own.users_per_day
        if own.allowed:
            rate = 0.0
        rate = rate if own.messages_per_second is None else own.messages_per_second
        if users is None:
            users = 0 if own.allowed else self._config.users_per_day
        # A bucket that holds nothing would let nothing through at any rate.
        return Allowance(rate, max(self._config.burst if burst is None else burst, 1), users)

    def owes(self, domain: bytes) -> float:
        """How many messages a partner is over its limit now, 0 if it is not."""
        account = self._accounts.get(domain)
        if account is None or not account.allowance.rate:
            return 0.0
        return max(account.owes(self._now()), 0.0)

    # ------------------------------------------------------------ requests

    def admit(self, domain: bytes, request: Request, flow: Flow) -> Refuse | None:
        """Hot, for each request of a discovered partner whose identity has been proven.

        ``domain`` is the one it has proven, that of From. None lets the request on, slowed or not.
        """
        if not flow.id:
            return None  # only explained
        now = self._now()
        users = self._flows.get(flow)
        if users is None or not (domain in users.keyed or domain in users.others):
            users = self._uses(domain, flow, now)
        account = self._account(domain, flow, now)
        by_key = self._account(users.key, flow, now) if domain in users.keyed else None
        # A Route alone says nothing: everybody can write one.
        within = request.layout.route >= 0 and self._in_dialog(domain, request)
        refuse = self._rated(domain, account, by_key, now, flow, within=within)
        if refuse is not None or within:
            return refuse
        return self._curious(domain, request, account, users.key if by_key is not None else b"")

    def _rated(
        self,
        domain: bytes,
        account: _Account,
        by_key: _Account | None,
        now: float,
        flow: Flow,
        *,
        within: bool,
    ) -> Refuse | None:
        """The rate, of the domain and of all that share its key: whichever is exceeded first."""
        slowed = False
        owed: list[tuple[_Account, float]] = []
        for each in (account, by_key):
            if each is None or not each.allowance.rate:
                continue
            debt = each.owes(now) + 1.0
            owed.append((each, debt))
            if debt <= 0.0:
                each.told = each.told and debt > -each.allowance.burst / 2
                continue
            self._tell(domain, each, said=slowed)
            slowed = True
            if self._over(each, debt, now, flow, within=within):
                # What is refused is not owed: a partner that stops gets on again.
                self._counted(domain, "limited")
                return self._too_fast(domain, each, debt)
        for each, debt in owed:
            most = each.allowance.burst + LONGEST_DEBT * each.allowance.rate
            each.debt, each.since = min(debt, most), now
        if slowed:
            self._counted(domain, "slowed")
        return None

    def _tell(self, domain: bytes, account: _Account, *, said: bool) -> None:
        """Once for each time; not of the key what was ``said`` of the domain already."""
        if account.told:
            return
        account.told = True
        if not said:
            rate = f"{account.allowance.rate:g} messages a second"
            self._told(domain, f"more than {rate}: it is slowed down")

    def _over(
        self, account: _Account, debt: float, now: float, flow: Flow, *, within: bool
    ) -> bool:
        """Slow a partner down that owes something; whether it has to be refused as well."""
        self._hold(account, debt, now)
        if debt <= account.allowance.burst:
            return False
        return not within or self._held_for(flow, now) <= 0.0

    def _too_fast(self, domain: bytes, account: _Account, debt: float) -> Refuse:
        rate = account.allowance.rate
        wait = max(debt / rate, LEAST_RETRY) + self._random.random()
        name = domain.decode()
        alone = self._accounts.get(domain) is account
        who = name if alone else f"{name}, with the other domains of its certificate,"
        why = (
            f"the discovered partner is over its limit; {who} sends more than "
            f"{rate:g} messages a second"
        )
        return _busy(why, min(ceil(wait), int(MOST_RETRY)))

    def _hold(self, account: _Account, debt: float, now: float) -> None:
        until = now + min(debt / account.allowance.rate, LONGEST_HOLD)
        if until < account.held_until + STEP:
            return
        account.held_until = until
        for flow in account.flows:
            seconds = self._held_for(flow, now)
            if seconds > 0.0:
                flow.hold(seconds)

    def _held_for(self, flow: Flow, now: float) -> float:
        """For how long nothing is to be read from a flow: until the first of those that use it
        owes nothing any more.
        """
        users = self._flows.get(flow)
        if users is None or users.many:
            return 0.0
        key = self._accounts.get(users.key)
        by_key = 0.0 if key is None else key.held_until
        until = [self._until(domain) for domain in users.others]
        if users.keyed and by_key <= now:
            until += [self._until(domain) for domain in users.keyed]
        elif users.keyed:
            until.append(by_key)
        return min(until, default=0.0) - now

    def _until(self, domain: bytes) -> float:
        account = self._accounts.get(domain)
        return 0.0 if account is None else account.held_until

    # ------------------------------------------------------------ users

    def _curious(
        self, domain: bytes, request: Request, account: _Account, key: bytes
    ) -> Refuse | None:
        """SEC-22: whoever tries name after name is told to wait, whether there is such a user."""
        uri = cached_uri(request.uri)
        if uri.user is None:
            return None
        aor = address_of_record(uri)
        self._asks = domain
        most, name = account.allowance.users, domain.decode()
        seconds = self._asked(most).wait(name, aor)
        if not seconds and key:
            most = self._general.users
            seconds = self._asked(most).wait(key.decode(), aor)
        if not seconds:
            return None
        self._counted(domain, "limited")
        why = (
            f"the discovered partner is over its limit; {name} has asked for more than {most} "
            "different users today"
        )
        return _busy(why, min(ceil(seconds), LONGEST_RETRY))

    def _asked(self, most: int) -> Enquiries:
        found = self._enquiries.get(most)
        if found is None:

            def told(partner: str, seconds: float) -> None:
                text = f"more than {most} different users within a day: {seconds:.0f} s no others"
                self._told(self._asks, text)

            found = self._enquiries[most] = Enquiries(most, self._now, told)
        return found

    # ------------------------------------------------------------ flows

    def closed(self, flow: Flow) -> None:
        """A flow has ended."""
        users = self._flows.pop(flow, None)
        if users is None:
            return
        for name in (users.key, *users.keyed, *users.others):
            account = self._accounts.get(name)
            if account is not None:
                account.flows.discard(flow)

    def _account(self, name: bytes, flow: Flow, now: float) -> _Account:
        """The account of a domain or a key, which uses this flow."""
        account = self._accounts.get(name)
        if account is None:
            allowance = self._general if name.startswith(_BY_KEY) else self.allowance(name)
            account = self._accounts[name] = _Account(allowance, -float(allowance.burst), now)
            if len(self._accounts) > PARTNERS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(name)
        if not flow.closed:
            account.flows.add(flow)
        return account

    def _uses(self, domain: bytes, flow: Flow, now: float) -> _Users:
        """A domain is met on a flow for the first time: it shares what that has to wait."""
        users = self._flows.get(flow)
        if users is None:
            key = b"" if flow.examined is None else flow.examined.certificate.spki.encode()
            users = _Users(_BY_KEY + key)
            if not flow.closed:  # it may have ended while the DNS was asked
                self._flows[flow] = users
        self._sort(users, domain, flow)
        left = self._held_for(flow, now)
        if left > 0.0:
            flow.hold(left)
        return users

    def _sort(self, users: _Users, domain: bytes, flow: Flow) -> None:
        """Whether a domain is counted by its key as well. Not one whose limits the operator has
        set, and none of a hosting provider's.
        """
        keyed = users.key != _BY_KEY and self.allowance(domain) == self._general
        keyed = keyed and not self._hosted(domain, flow)
        users.keyed.discard(domain)
        users.others.discard(domain)
        kept = users.keyed if keyed else users.others
        if len(kept) >= SHARED:
            gone = kept.pop()
            if gone in self._accounts:
                self._accounts[gone].flows.discard(flow)
            users.many = users.many or not keyed
        kept.add(domain)


def _busy(why: str, seconds: int) -> Refuse:
    return Refuse(503, why, ((b"Retry-After", b"%d" % seconds),), ROW)
