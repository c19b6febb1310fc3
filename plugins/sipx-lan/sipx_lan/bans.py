"""Who guesses passwords: wrong attempts are counted, and sources that go on are banned (SEC-12).

Without I/O and clock. A source is an IPv4 address or the /64 of an IPv6 address, as that is what
one customer has. Nothing an attacker sends makes these tables grow beyond their bounds, and what
is counted is counted for the source: who guesses somebody's password does not lock him out.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from hashlib import blake2b
from ipaddress import IPv6Address, IPv6Network
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx import parse_address
from sipx_lan.spared import Spared

if TYPE_CHECKING:
    from sipx_lan.config import LanConfig

SOURCES: Final = 8192
"""Sources whose wrong attempts are remembered, and as many whose bans are."""
MEMORY: Final = 86400.0
"""Seconds for which it is remembered that a source was banned: the longest ban, too."""


@dataclass(frozen=True, slots=True)
class BanLimits:
    """``ban_after`` wrong attempts within ``window`` seconds ban a source for ``ban_time``.

    Sources in the networks of ``never`` are not banned: there ``max_failures`` wrong attempts in a
    row with one user name deny this name for ``window`` seconds.
    """

    ban_after: int
    ban_time: float
    window: float
    max_failures: int = 3
    never: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: LanConfig) -> BanLimits:
        """Those of the table ``[lan]``."""
        return cls(
            config.ban_after,
            config.ban_time,
            config.failure_window,
            config.max_failures,
            config.never_ban,
        )


class Failed(NamedTuple):
    """What a wrong attempt amounts to. ``in_a_row``: of this user name from this source.

    ``banned`` is for how many seconds the source is banned from now on, 0.0: it is not.
    ``failures`` are the source's; ``everywhere`` those with this user name from all sources.
    ``denied`` is for how many seconds the user name is refused from a source that is never banned,
    0.0: it is not; such a source's ``failures`` are those in a row.
    """

    in_a_row: int
    banned: float
    failures: int
    everywhere: int = 0
    denied: float = 0.0


@dataclass(slots=True)
class Ban:
    """A ban of a source, or the memory of one. Times are of the kernel's clock."""

    since: float
    until: float
    times: int
    failures: int
    reported: bool = False
    """Whether it has been told that it has ended."""


@dataclass(slots=True)
class _Attempts:
    """The wrong attempts of one source: when, and with which user name."""

    times: deque[tuple[float, bytes]]
    in_a_row: dict[bytes, int] = field(default_factory=dict)


class Bans:
    """Wrong attempts and bans by source."""

    def __init__(self, limits: BanLimits) -> None:
        self.limits = limits
        self._attempts: OrderedDict[str, _Attempts] = OrderedDict()
        self._bans: OrderedDict[str, Ban] = OrderedDict()
        self._names: OrderedDict[bytes, tuple[float, int]] = OrderedDict()
        self._spared = Spared(limits.never, limits.max_failures, limits.window)

    def take_over(self, old: Bans) -> None:
        """Go on with what another one knows; both see the same from now on."""
        self._attempts, self._bans, self._names = old._attempts, old._bans, old._names
        self._spared.take_over(old._spared)
        for source, ban in self._bans.items():
            if self._spared.covers_all(source):
                ban.until = -inf  # over, and told by the next ``ended``

    def banned(self, address: str, now: float) -> bool:
        """Whether requests from this address get no answer."""
        if not self._bans:
            return False
        ban = self._bans.get(source_of(address))
        # A single address of a banned /64 may be one that is never banned.
        return ban is not None and now < ban.until and not self._spared.covers(address)

    def denied(self, address: str, user: bytes, now: float) -> bool:
        """Whether this user name is refused from ``address``, which is never banned."""
        if not self._spared or not self._spared.covers(address):
            return False
        return self._spared.denied(source_of(address), _name(user), now)

    def failed(self, address: str, user: bytes, now: float) -> Failed:
        """A wrong attempt from ``address`` with this user name, known or not."""
        source, name = source_of(address), _name(user)
        if self._spared.covers(address):
            in_a_row, denied = self._spared.failed(source, name, now)
            return Failed(in_a_row, 0.0, in_a_row, self._everywhere(name, now), denied)
        attempts = self._attempts.pop(source, None) or _Attempts(deque())
        self._attempts[source] = attempts
        if len(self._attempts) > SOURCES:
            self._attempts.popitem(last=False)
        self._forget_old(attempts, now)
        attempts.times.append((now, name))
        attempts.in_a_row[name] = in_a_row = attempts.in_a_row.get(name, 0) + 1
        failures, everywhere = len(attempts.times), self._everywhere(name, now)
        if failures < self.limits.ban_after:
            return Failed(in_a_row, 0.0, failures, everywhere)
        del self._attempts[source]
        return Failed(in_a_row, self._ban(source, failures, now), failures, everywhere)

    def _everywhere(self, name: bytes, now: float) -> int:
        """The wrong attempts with a user name, from all sources, within a window of their own."""
        since, count = self._names.pop(name, (now, 0))
        if now - since >= self.limits.window:
            since, count = now, 0
        self._names[name] = (since, count + 1)
        if len(self._names) > SOURCES:
            self._names.popitem(last=False)
        return count + 1

    def _forget_old(self, attempts: _Attempts, now: float) -> None:
        times = attempts.times
        while times and times[0][0] <= now - self.limits.window:
            times.popleft()
        if len(attempts.in_a_row) > len(times):
            left = {name for _, name in times}
            attempts.in_a_row = {n: k for n, k in attempts.in_a_row.items() if n in left}

    def _ban(self, source: str, failures: int, now: float) -> float:
        """Each time within a day twice as long, a day at most; how long, in seconds."""
        before = self._bans.pop(source, None)
        times = before.times + 1 if before is not None and now - before.until < MEMORY else 1
        seconds = min(self.limits.ban_time * 2.0 ** min(times - 1, 20), MEMORY)
        if len(self._bans) >= SOURCES:
            self._bans.popitem(last=False)
        self._bans[source] = Ban(now, now + seconds, times, failures)
        return seconds

    def succeeded(self, address: str, user: bytes) -> None:
        """Right credentials: the typing errors of this user from here are forgotten.

        Those of other user names are not: somebody with an account could guess others' passwords.
        """
        if not self._attempts and not self._spared:
            return
        source, name = source_of(address), _name(user)
        if self._spared.covers(address):
            self._spared.succeeded(source, name)
            return
        attempts = self._attempts.get(source)
        if attempts is None:
            return
        attempts.in_a_row.pop(name, None)
        attempts.times = deque(item for item in attempts.times if item[1] != name)
        if not attempts.times:
            del self._attempts[source]

    def ended(self, now: float) -> list[str]:
        """The sources whose bans have ended since this was asked last; forgets what is old."""
        found: list[str] = []
        for source, ban in list(self._bans.items()):
            if now < ban.until:
                continue
            if not ban.reported:
                ban.reported = True
                found.append(source)
            if now - ban.until >= MEMORY:
                del self._bans[source]
        for source, attempts in list(self._attempts.items()):
            if not attempts.times or attempts.times[-1][0] <= now - self.limits.window:
                del self._attempts[source]
        for name, (since, _) in list(self._names.items()):
            if now - since >= self.limits.window:
                del self._names[name]
        self._spared.sweep(now)
        return found

    def unban(self, address: str, now: float) -> list[str]:
        """End the ban of a source, as if it had never been; "" ends all. Those that were.

        What a source that is never banned was denied ends likewise.
        """
        wanted = list(self._bans) if not address else [source_of(address)]
        found = [s for s in wanted if (ban := self._bans.get(s)) is not None and now < ban.until]
        for source in wanted:
            self._bans.pop(source, None)
            self._attempts.pop(source, None)
        return found + self._spared.forget(source_of(address) if address else "", now)

    def current(self, now: float) -> dict[str, Ban]:
        """The bans that are in force, by source."""
        return {source: ban for source, ban in self._bans.items() if now < ban.until}

    def __len__(self) -> int:
        return len(self._attempts) + len(self._bans) + len(self._names) + len(self._spared)


def source_of(address: str) -> str:
    """What is counted as one source: an IPv4 address, or the /64 of an IPv6 address.

    A source that is written as such stays what it is; so does what is no address.
    """
    parsed = parse_address(address.partition("%")[0].removesuffix("/64"))
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address if parsed is None else str(parsed)


def _name(user: bytes) -> bytes:
    """A user name in a bounded size."""
    return blake2b(user.lower(), digest_size=8).digest()
