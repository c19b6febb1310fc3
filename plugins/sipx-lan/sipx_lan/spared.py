"""Sources that are never banned: edges, SBCs, the NAT of a site. There one user name is slowed.

Many share such a source, so that whoever guesses behind it must not silence the others.
Without I/O and clock.
"""

from __future__ import annotations

from collections import OrderedDict
from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sipx import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterable

ROWS: Final = 8192
"""Pairs of source and user name that are remembered."""


class Spared:
    """Wrong attempts in a row from sources in ``networks``, by source and user name.

    ``most`` of them deny the user name there for ``window`` seconds. Where more than ``ROWS`` pairs
    are tried the oldest makes room: to have one forgotten costs thousands of wrong attempts.
    """

    def __init__(self, networks: Iterable[str], most: int, window: float) -> None:
        self._networks = tuple(map(ip_network, networks))
        self._most, self._window = most, window
        self._rows: OrderedDict[tuple[str, bytes], tuple[int, float]] = OrderedDict()

    def take_over(self, old: Spared) -> None:
        """Go on with what another one knows; both see the same from now on."""
        self._rows = old._rows

    def covers(self, address: str) -> bool:
        """Whether an address is never banned."""
        if not self._networks:
            return False
        parsed = parse_address(address.partition("%")[0])
        return parsed is not None and any(parsed in network for network in self._networks)

    def covers_all(self, source: str) -> bool:
        """Whether no address of a source (an address, or the /64 of one) can be banned."""
        if not source.endswith("/64"):
            return self.covers(source)
        wanted = ip_network(source)
        return any(
            wanted.prefixlen >= network.prefixlen and wanted.network_address in network
            for network in self._networks
        )

    def failed(self, source: str, name: bytes, now: float) -> tuple[int, float]:
        """A wrong attempt: the how manieth in a row, and for how many seconds it denies."""
        count, last = self._rows.pop((source, name), (0, now))
        count = 1 if now - last >= self._window else count + 1
        self._rows[source, name] = (count, now)
        if len(self._rows) > ROWS:
            self._rows.popitem(last=False)
        return count, self._window if count >= self._most else 0.0

    def denied(self, source: str, name: bytes, now: float) -> bool:
        """Whether this user name is refused from there unseen, the right password too."""
        count, last = self._rows.get((source, name), (0, now))
        return count >= self._most and now - last < self._window

    def succeeded(self, source: str, name: bytes) -> None:
        """Right credentials end a row."""
        self._rows.pop((source, name), None)

    def forget(self, source: str, now: float) -> list[str]:
        """Forget what came from a source, "": from all. Those where a user name was denied."""
        found: dict[str, None] = {}
        for key in [key for key in self._rows if source in ("", key[0])]:
            if self.denied(*key, now):
                found[key[0]] = None
            del self._rows[key]
        return list(found)

    def sweep(self, now: float) -> None:
        """Forget what is old. The oldest stands first."""
        while self._rows:
            _, last = next(iter(self._rows.values()))
            if now - last < self._window:
                return
            self._rows.popitem(last=False)

    def __len__(self) -> int:
        return len(self._rows)
