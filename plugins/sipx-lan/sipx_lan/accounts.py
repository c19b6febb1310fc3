"""The table of accounts: who may log on, and what proves that it is who."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx import parse_address
from sipx.sip import digest
from sipx_lan.entries import (
    ONLY_MD5,
    Entry,
    address_of,
    entry_of,
    server_at,
    shared_entry,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    from sipx.sip import Request
    from sipx_lan.config import LanConfig

REMEMBERED: Final = 4096
"""Addresses for which it is remembered what is offered there."""
MAX_SHARED: Final = 1000
"""Servers that one shared account can stand for; beyond it the one unseen for longest goes."""


class AccountTable:
    """All accounts that are switched on, and the servers that the shared one stands for."""

    def __init__(self, config: LanConfig, domains: frozenset[bytes]) -> None:
        self._domains = domains
        self.entries = {
            name: entry_of(name, server, config, domains)
            for name, server in config.accounts().items()
        }
        self.shared = shared_entry(config, domains)
        self._by_user = {entry.user: entry for entry in self.entries.values()}
        if self.shared is not None:
            self._by_user[self.shared.user] = self.shared
        self._at: dict[str, Entry] = {}
        self.partners = tuple(
            entry.account.partner
            for entry in self.entries.values()
            if entry.account.partner is not None
        )
        self._routes: dict[str, tuple[Entry, ...]] = {}
        for entry in self.entries.values():
            for route in entry.routes:
                self._routes[route] = (*self._routes.get(route, ()), entry)
        self._algorithms_at: dict[str, tuple[bytes, ...]] = {}
        self._anywhere = {
            algorithm
            for entry in self._by_user.values()
            if not entry.networks
            for algorithm in entry.algorithms
        }
        self._hosts: dict[IPv4Address | IPv6Address, list[Entry]] = {}
        self._networks: list[tuple[IPv4Network | IPv6Network, Entry]] = []
        for entry in self._by_user.values():
            for network in entry.networks:
                if network.num_addresses == 1:
                    self._hosts.setdefault(network[0], []).append(entry)
                else:
                    self._networks.append((network, entry))
        self._at_hop = {
            (hop.host, hop.port): entry
            for entry in self.entries.values()
            if (hop := entry.account.hop) is not None
        }
        # Those that are looked through: of many users' accounts none, as each is its own user.
        self._with_users = [
            entry for entry in self.entries.values() if entry.logs_on and entry.names_users
        ]
        self._has_by_address = any(entry.by_address for entry in self._by_user.values())

    def __iter__(self) -> Iterator[Entry]:
        """Those that can log on, each server of the shared one by itself."""
        yield from (entry for entry in self.entries.values() if entry.logs_on)
        yield from self._at.values()

    def everybody(self) -> Iterator[Entry]:
        """These and those that only authorise static routes."""
        yield from self.entries.values()
        yield from self._at.values()

    def named(self, name: str) -> Entry | None:
        """The account called ``name``."""
        return self.entries.get(name) or self._at.get(name)

    def of_user(self, username: bytes) -> Entry | None:
        """The account that a user name means; ``user@domain`` of one of our domains as well."""
        user, at, host = username.lower().rpartition(b"@")
        if at and host in self._domains:
            return self._by_user.get(user)
        return self._by_user.get(username.lower())

    def at(self, entry: Entry, address: str) -> Entry:
        """The account itself: of the shared one that of the server at this address."""
        if not entry.shared:
            return entry
        name = f"{entry.user.decode()}@{address}"
        found = self._at.pop(name, None) or server_at(name, entry)
        # The last seen stands last, so that the first is the one unseen for longest.
        self._at[name] = found
        if len(self._at) > MAX_SHARED:
            del self._at[next(iter(self._at))]
        return found

    def shared_addresses(self) -> list[str]:
        """The addresses of the servers that the shared account stands for."""
        return [name.rpartition("@")[2] for name in self._at]

    def remember(self, address: str) -> None:
        """A server at this address had logged on with the shared account, if it still may."""
        if self.shared is not None and self.shared.comes_from(address):
            self.at(self.shared, address)

    def adopt(self, other: AccountTable) -> None:
        """The servers of the shared account stay known as long as the same proves it."""
        mine, theirs = self.shared, other.shared
        if mine is not None and theirs is not None and mine.proof == theirs.proof:
            self._at = {name: server_at(name, mine) for name in other._at}

    def proven(self, names: Iterable[str]) -> Entry | None:
        """The account that a certificate proves, by the names of the partners it proves."""
        for name in names:
            entry = self.entries.get(name)
            if entry is not None and entry.account.partner is not None:
                return entry
        return None

    def dialled(self, address: str, port: int) -> Entry | None:
        """The account whose server sipx connects to at this numeric place."""
        return self._at_hop.get((address, port))

    def for_route(self, name: str) -> tuple[Entry, ...]:
        """Whose credentials authorise requests of this static route."""
        return self._routes.get(name, ())

    def by_address(self, request: Request, address: str) -> Entry | None:
        """The account without a password that a request names: in From, of REGISTER in To.

        Itself by its user name anywhere; by one of its users only where it may log on, so that
        another server's user of the same name is asked for credentials.
        """
        if not self._has_by_address:
            return None
        named = [request.from_.uri]
        if request.method == b"REGISTER":
            named.append(request.to.uri)
        aors = [aor for uri in named if (aor := address_of(uri)) is not None]
        for aor in aors:
            entry = self._by_user.get(aor.rpartition(b"@")[0])
            if entry is not None and entry.by_address:
                return entry
        for entry in self._with_users:
            if (
                entry.by_address
                and entry.comes_from(address)
                and any(entry.account.may_serve(aor) for aor in aors)
            ):
                return entry
        return None

    def has_speaker(self, request: Request) -> bool:
        """Whether From is somebody of whom an account says that it is its user."""
        aor = address_of(request.from_.uri)
        if aor is None:
            return False
        entry = self._by_user.get(aor.rpartition(b"@")[0])
        return (entry is not None and entry.logs_on) or any(
            entry.account.may_serve(aor) for entry in self._with_users
        )

    def algorithms_at(self, address: str) -> tuple[bytes, ...]:
        """What is offered there, best first: what some account may use that may log on from there.

        MD5 alone where the only accounts that name this address among theirs know nothing else. The
        address decides, and not whom a request names: so nobody learns who has an account.
        """
        found = self._algorithms_at.get(address)
        if found is None:
            if len(self._algorithms_at) >= REMEMBERED:
                self._algorithms_at.clear()
            found = self._algorithms_at[address] = self._offered(address)
        return found

    def _offered(self, address: str) -> tuple[bytes, ...]:
        listed = self._listing(address)
        if listed and all(entry.algorithms == ONLY_MD5 for entry in listed):
            return ONLY_MD5
        known = {algorithm for entry in listed for algorithm in entry.algorithms}
        known |= self._anywhere
        return tuple(one for one in digest.KNOWN if one in known) or digest.PREFERRED

    def _listing(self, address: str) -> list[Entry]:
        """The accounts that name this address among theirs."""
        parsed = parse_address(address.partition("%")[0])
        if parsed is None:
            return []
        wide = [entry for network, entry in self._networks if parsed in network]
        return wide + self._hosts.get(parsed, [])
