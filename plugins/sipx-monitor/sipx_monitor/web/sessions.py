"""Who is logged on: sessions of browsers, links that work once, and how often one may try.

Only hashes of what opens a door are kept. Times are those of the kernel's clock.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict, deque
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx_monitor.config import Role

IDLE: Final = 12 * 3600.0
"""Seconds after which a session ends that nobody uses."""
LONGEST: Final = 7 * 86_400.0
"""Seconds after which a session ends in any case."""
SESSIONS: Final = 200
LINKS: Final = 50
"""How many there are at most; the oldest goes."""
LINK_LIFE: Final = 3600.0
"""Seconds that a link works, once."""
FAILURES: Final = 5
"""Attempts that may fail from one address within WINDOW."""
ALL_FAILURES: Final = 100
"""Attempts that may fail from all addresses together within WINDOW."""
WINDOW: Final = 300.0
_ADDRESSES: Final = 1000


@dataclass(slots=True)
class Session:
    """Somebody who is logged on. ``by`` says how: a session of a password ends with its user."""

    user: str
    role: Role
    by: Literal["link", "password"]
    begun: float
    used: float
    address: str
    proof: str = ""
    """The hash that the password fitted."""


def digest(token: str) -> str:
    """What is kept of a token; it is random, so that no salt is needed."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


class Sessions:
    """All of them, in memory: a restart of the process ends them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._open: OrderedDict[str, Session] = OrderedDict()
        self._links: OrderedDict[str, tuple[str, Role, float]] = OrderedDict()

    def take_over(self, old: Sessions) -> None:
        """Those of an earlier configuration go on."""
        self._open, self._links = old._open, old._links

    def link(self, user: str, role: Role) -> str:
        """The token of a link that works once."""
        token = secrets.token_urlsafe(24)
        self._links[digest(token)] = (user, role, self._now() + LINK_LIFE)
        while len(self._links) > LINKS:
            self._links.popitem(last=False)
        return token

    def redeem(self, token: str) -> tuple[str, Role] | None:
        """Whom a link stands for; it works no more."""
        found = self._links.pop(digest(token), None)
        if found is None or found[2] < self._now():
            return None
        return found[:2]

    def begin(
        self,
        user: str,
        role: Role,
        by: Literal["link", "password"],
        address: str,
        proof: str = "",
    ) -> str:
        """Begin a session; what its cookie holds."""
        token = secrets.token_urlsafe(32)
        now = self._now()
        self._open[digest(token)] = Session(user, role, by, now, now, address, proof)
        while len(self._open) > SESSIONS:
            self._open.popitem(last=False)
        return token

    def find(self, token: str) -> Session | None:
        """The session of a cookie, which is used by that."""
        if not token:
            return None
        key = digest(token)
        found = self._open.get(key)
        now = self._now()
        if found is None:
            return None
        if now - found.used > IDLE or now - found.begun > LONGEST:
            del self._open[key]
            return None
        found.used = now
        return found

    def end(self, token: str) -> None:
        """End a session."""
        self._open.pop(digest(token), None)

    def __len__(self) -> int:
        return len(self._open)


class Attempts:
    """Failed attempts to log on: few from one address, not many from all of them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failed: OrderedDict[str, deque[float]] = OrderedDict()
        self._all: deque[float] = deque()

    def wait(self, address: str) -> float:
        """Seconds until the next attempt may come from an address; 0: now."""
        since = self._now() - WINDOW
        one = self._failed.get(_source(address), deque())
        return max(_left(one, FAILURES, since), _left(self._all, ALL_FAILURES, since))

    def failed(self, address: str) -> float:
        """One has failed, or is under way and has not succeeded; its time, by which it is known."""
        now = self._now()
        source = _source(address)
        self._failed.setdefault(source, deque()).append(now)
        self._failed.move_to_end(source)
        self._all.append(now)
        while len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)
        return now

    def succeeded(self, address: str, under_way: float | None = None) -> None:
        """One has not, perhaps one that was under way: what failed from there is forgotten."""
        self._failed.pop(_source(address), None)
        if under_way is not None and under_way in self._all:
            self._all.remove(under_way)


def _left(times: deque[float], most: int, since: float) -> float:
    while times and times[0] <= since:
        times.popleft()
    return times[-most] - since if len(times) >= most else 0.0


def _source(address: str) -> str:
    """Whoever has an IPv6 address has a whole /64 of them."""
    found = ip_address(address)
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
