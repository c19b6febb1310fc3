"""The table of accounts: who may log on, what proves that it is who, and what it then is."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, Literal

from sipx import (
    Accept,
    Account,
    NextHop,
    Partner,
    Sender,
    SenderKind,
    UserSet,
    address_of_record,
    is_private,
    parse_address,
)
from sipx.sip import RemoteError, cached_uri, digest
from sipx_lan.config import SECURED, LanConfig, ServerConfig

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator
    from pathlib import Path

    from sipx.sip import Request

MAX_SHARED: Final = 1000
"""Servers that one shared account can stand for; beyond it the one unseen for longest goes."""
REMEMBERED: Final = 4096
"""Addresses for which it is remembered who may log on from there."""
_ONLY_MD5: Final = (digest.MD5,)
_KINDS: Final = {
    "server": SenderKind.UC_SERVER,
    "user": SenderKind.USER,
    "partner": SenderKind.PARTNER,
}


@dataclass(slots=True, eq=False)
class Entry:
    """One account as it logs on. ``user`` is in lower case; ``secret`` None: no password.

    ``proof`` is equal as long as the same things prove the account: what was proven on a flow
    counts until it changes. ``shared`` stands for many, one at each address.
    """

    account: Account
    user: bytes
    secret: digest.Secret | None
    algorithms: tuple[bytes, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]
    routes: frozenset[str]
    proof: tuple[object, ...]
    domains: Container[bytes]
    users_path: Path | None = None
    needs_certificate: bool = False
    """Whether a password alone is not enough."""
    shared: bool = False
    _accepts: dict[int, Accept] = field(default_factory=dict)
    _allowed: dict[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name of the account."""
        return self.account.name

    @property
    def logs_on(self) -> bool:
        """False for an account that only authorises static routes."""
        return self.account.kind is not SenderKind.PARTNER

    @property
    def by_address(self) -> bool:
        """Whether nothing but its address speaks for it (row 29)."""
        return self.secret is None and self.account.partner is None

    def comes_from(self, address: str) -> bool:
        """Whether it may log on from this address."""
        known = self._allowed.get(address)
        if known is None:
            known = self._judged(address)
            if len(self._allowed) >= REMEMBERED:
                self._allowed.clear()
            self._allowed[address] = known
        return known

    def _judged(self, text: str) -> bool:
        address = parse_address(text.partition("%")[0])
        if address is None:
            return False
        if self.networks:
            return any(address in network for network in self.networks)
        return not self.by_address or is_private(str(address))

    def accept(self, row: int) -> Accept:
        """Its requests are accepted, by this row of docs/trust.md."""
        found = self._accepts.get(row)
        if found is None:
            account = self.account
            sender = Sender(
                kind=account.kind,
                name=account.name,
                domains=self.domains,
                trusted=account.kind is SenderKind.UC_SERVER,
                row=row,
                account=account,
            )
            found = self._accepts[row] = Accept(sender)
        return found

    def speaks_for(self, request: Request) -> bool:
        """Whether From is one of its users, or itself."""
        users = self.account.users
        if users is None:
            return True
        aor = address_of(request.from_.uri)
        return aor is not None and (aor in users or aor.rpartition(b"@")[0] == self.user)


def address_of(uri: bytes) -> bytes | None:
    """The address-of-record of a SIP URI, None of another."""
    try:
        return address_of_record(cached_uri(uri))
    except RemoteError:
        return None


class AccountTable:
    """All accounts that are switched on, and the servers that the shared one stands for."""

    def __init__(self, config: LanConfig, domains: frozenset[bytes]) -> None:
        self._domains = domains
        self.entries = {
            name: _entry(name, server, config, domains)
            for name, server in config.accounts().items()
        }
        self.shared = _shared(config, domains)
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
        self.has_by_address = any(entry.by_address for entry in self._by_user.values())

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
        found = self._at.pop(name, None) or _server_at(name, entry)
        # The last seen stands last, so that the first is the one unseen for longest.
        self._at[name] = found
        if len(self._at) > MAX_SHARED:
            del self._at[next(iter(self._at))]
        return found

    def adopt(self, other: AccountTable) -> None:
        """The servers of the shared account stay known as long as the same proves it."""
        mine, theirs = self.shared, other.shared
        if mine is not None and theirs is not None and mine.proof == theirs.proof:
            self._at = {name: _server_at(name, mine) for name in other._at}

    def proven(self, names: Container[str]) -> Entry | None:
        """The account that a certificate proves, by the names of the partners it proves."""
        for partner in self.partners:
            if partner.name in names:
                return self.entries[partner.name]
        return None

    def dialled(self, address: str, port: int) -> Entry | None:
        """The account whose server sipx connects to at this numeric place."""
        for entry in self.entries.values():
            hop = entry.account.hop
            if hop is not None and hop.host == address and hop.port == port:
                return entry
        return None

    def for_route(self, name: str) -> tuple[Entry, ...]:
        """Whose credentials authorise requests of this static route."""
        return self._routes.get(name, ())

    def by_address(self, request: Request, address: str) -> Entry | None:
        """The account without a password that a request names: in From, of REGISTER in To.

        Itself by its user name anywhere; by one of its users only where it may log on, so that
        another server's user of the same name is asked for credentials.
        """
        if not self.has_by_address:
            return None
        named = [request.from_.uri]
        if request.method == b"REGISTER":
            named.append(request.to.uri)
        aors = [aor for uri in named if (aor := address_of(uri)) is not None]
        for aor in aors:
            entry = self._by_user.get(aor.rpartition(b"@")[0])
            if entry is not None and entry.by_address:
                return entry
        for entry in self.entries.values():
            users = entry.account.users
            if (
                users is not None
                and entry.by_address
                and entry.comes_from(address)
                and any(aor in users for aor in aors)
            ):
                return entry
        return None

    def has_speaker(self, request: Request) -> bool:
        """Whether From is a user of an account that says whose users it has."""
        return any(
            entry.logs_on and entry.account.users is not None and entry.speaks_for(request)
            for entry in self.entries.values()
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
        may = [entry for entry in self._by_user.values() if entry.comes_from(address)]
        listed = [entry for entry in may if entry.networks]
        if listed and all(entry.algorithms == _ONLY_MD5 for entry in listed):
            return _ONLY_MD5
        known = {algorithm for entry in may for algorithm in entry.algorithms}
        return tuple(one for one in digest.KNOWN if one in known) or digest.PREFERRED


# ---------------------------------------------------------------- from the configuration


def _entry(name: str, server: ServerConfig, config: LanConfig, domains: frozenset[bytes]) -> Entry:
    user = server.logon(name)
    kind = _KINDS[server.kind]
    users = None if server.users is None else UserSet(server.users.patterns)
    if users is None and kind is SenderKind.USER:
        users = UserSet((user,))
    partner = _partner(name, server, config) if config.has_partner(server) else None
    account = Account(
        name=name,
        kind=kind,
        users=users,
        logon=user.lower().encode(),
        weight=server.weight if kind is SenderKind.UC_SERVER else 0,
        max_users=server.max_users,
        hop=_hop(server, config),
        partner=partner,
    )
    allow_md5 = config.allow_md5 if server.allow_md5 is None else server.allow_md5
    return Entry(
        account=account,
        user=account.logon,
        secret=_secret(server),
        algorithms=_algorithms(allow_md5),
        networks=tuple(map(ip_network, server.addresses)),
        routes=frozenset(server.routes),
        proof=(
            kind,
            account.logon,
            server.password,
            server.addresses,
            None if partner is None else partner.key,
        ),
        domains=domains,
        users_path=None if server.users is None else server.users.path,
        needs_certificate=server.has_certificate,
    )


def _shared(config: LanConfig, domains: frozenset[bytes]) -> Entry | None:
    if config.user is None:
        return None
    user = config.user.lower().encode()
    return Entry(
        account=Account(name=config.user.lower(), kind=SenderKind.UC_SERVER, logon=user),
        user=user,
        secret=_secret(config),
        algorithms=_algorithms(config.allow_md5),
        networks=tuple(map(ip_network, config.addresses)),
        routes=frozenset(),
        proof=(SenderKind.UC_SERVER, user, config.password, config.addresses),
        domains=domains,
        shared=True,
    )


def _server_at(name: str, shared: Entry) -> Entry:
    return Entry(
        account=Account(name=name, kind=SenderKind.UC_SERVER, logon=shared.user),
        user=shared.user,
        secret=shared.secret,
        algorithms=shared.algorithms,
        networks=shared.networks,
        routes=shared.routes,
        proof=shared.proof,
        domains=shared.domains,
    )


def _secret(table: LanConfig | ServerConfig) -> digest.Secret | None:
    return None if table.password is None else digest.Secret(table.password.reveal().encode())


def _algorithms(allow_md5: bool | Literal["only"]) -> tuple[bytes, ...]:
    if allow_md5 == "only":
        return _ONLY_MD5
    return (*digest.PREFERRED, digest.MD5) if allow_md5 else digest.PREFERRED


def _hop(server: ServerConfig, config: LanConfig) -> NextHop | None:
    if server.server is None:
        return None
    protocol = config.protocol_to(server)
    port = server.port or (5061 if protocol in SECURED else 5060)
    return NextHop(server.server, port, protocol)


def _partner(name: str, server: ServerConfig, config: LanConfig) -> Partner:
    """What proves over TLS that it is this one: the name given, else its own host name."""
    names: Iterable[str] = ()
    if server.certificate is not None:
        names = (server.certificate,)
    elif not server.pins and server.server is not None:
        names = (server.server,)
    return Partner(
        name=name,
        names=frozenset(known.encode() for known in names),
        ca=server.ca,
        pins=frozenset(server.pins),
        mutual=server.server is None or config.protocol_to(server) == "mtls",
    )
