"""One account as it logs on, and how it is made of its table."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import TYPE_CHECKING, Final, Literal

from sipx import (
    LAN_SIDE,
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
    from collections.abc import Container, Iterable
    from pathlib import Path

    from sipx.sip import Request

ONLY_MD5: Final = (digest.MD5,)
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
    names_users: bool = False
    """Whether its table says whose users it has."""
    shared: bool = False
    _accepts: dict[int, Accept] = field(default_factory=dict)

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
        parsed = parse_address(address.partition("%")[0])
        if parsed is None:
            return False
        if self.networks:
            return any(parsed in network for network in self.networks)
        return not self.by_address or is_private(str(parsed))

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


# ---------------------------------------------------------------- from the configuration


def entry_of(
    name: str, server: ServerConfig, config: LanConfig, domains: frozenset[bytes]
) -> Entry:
    """The account of ``[lan.server.NAME]``."""
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
        logon=user.encode().lower(),
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
        names_users=server.users is not None,
    )


def shared_entry(config: LanConfig, domains: frozenset[bytes]) -> Entry | None:
    """The account of ``[lan]``, which stands for one server at each address; None without user."""
    if config.user is None:
        return None
    user = config.user.encode().lower()
    return Entry(
        account=Account(name=user.decode(), kind=SenderKind.UC_SERVER, logon=user),
        user=user,
        secret=_secret(config),
        algorithms=_algorithms(config.allow_md5),
        networks=tuple(map(ip_network, config.addresses)),
        routes=frozenset(),
        proof=(SenderKind.UC_SERVER, user, config.password, config.addresses),
        domains=domains,
        shared=True,
    )


def server_at(name: str, shared: Entry) -> Entry:
    """One of the servers that log on with the shared user."""
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
        return ONLY_MD5
    return (*digest.PREFERRED, digest.MD5) if allow_md5 else digest.PREFERRED


def _hop(server: ServerConfig, config: LanConfig) -> NextHop | None:
    if server.server is None:
        return None
    protocol = config.protocol_to(server)
    port = server.port or (5061 if protocol in SECURED else 5060)
    return NextHop(server.server, port, protocol, LAN_SIDE)


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
