"""What ``sipx check lan`` looks for: weaknesses that are allowed, and what cannot work."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING, Final

from sipx import Finding, Severity, is_private
from sipx_lan.config import NAME, LanConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import KernelConfig
    from sipx_lan.config import ServerConfig

_CLEAR: Final = ("udp", "tcp", "ws")
_ONE_SITE: Final = {4: 24, 6: 64}
"""The shortest prefix that a site has, by version of IP."""


def findings(config: LanConfig, kernel: KernelConfig) -> Iterator[Finding]:
    """Each with its code, what is so, and what to do about it."""
    accounts = config.accounts()
    listeners = list(config.listeners(kernel))
    if config.user is None and not accounts:
        yield Finding(
            "SIPX-A001",
            Severity.WARNING,
            "nobody can log on: [lan] has no user, and there is no [lan.server.NAME]",
            "sipx lan set --user NAME --password-file FILE, or sipx lan add NAME",
        )
    elif not listeners:
        yield Finding(
            "SIPX-A002",
            Severity.FAILURE,
            "no enabled interface is on the LAN side, so nobody can log on",
            f'bind = "..." in [{NAME}], or role = "lan" in an [interface.NAME]',
        )
    yield from _passwordless(config)
    yield from _md5(config)
    yield from _in_clear(config, listeners)
    if "registrar" not in kernel.plugins:  # which says it of patterns too (SIPX-U003)
        yield from _same_users(accounts)
    yield from _certificates(config, listeners)
    yield from _dialled(config, kernel)
    yield from _never_banned(config)


def _passwordless(config: LanConfig) -> Iterator[Finding]:
    remedy = 'password = { file = "..." }'
    if config.user is not None and config.password is None:
        where = ", ".join(config.addresses) or "any private address"
        yield Finding(
            "SIPX-A003",
            Severity.WARNING,
            f"the user {config.user} needs no password: whoever is at {where} is a UC server",
            remedy,
        )
    for name, server in config.accounts().items():
        if server.password is None and not config.has_partner(server):
            where = ", ".join(server.addresses) or "any private address"
            yield Finding(
                "SIPX-A003",
                Severity.WARNING,
                f"the account {name} needs no password: whoever is at {where} is it",
                remedy,
            )


def _md5(config: LanConfig) -> Iterator[Finding]:
    may = [
        name
        for name, server in config.accounts().items()
        if server.password is not None
        and (config.allow_md5 if server.allow_md5 is None else server.allow_md5)
    ]
    if config.allow_md5 and config.password is not None:
        may.insert(0, f"the shared user {config.user}")
    if may:
        yield Finding(
            "SIPX-A004",
            Severity.WARNING,
            f"MD5 is allowed for {', '.join(may)}: who reads a logon can try passwords fast",
            "allow_md5 = false as soon as the clients know SHA-256 (RFC 8760)",
        )


def _in_clear(config: LanConfig, listeners: list[tuple[str, str, str]]) -> Iterator[Finding]:
    """Digest hides the password, and neither the messages nor who sends them."""
    for where, bind, protocol in listeners:
        if protocol in _CLEAR and not is_private(bind):
            at = "every address" if bind == "*" else bind
            yield Finding(
                "SIPX-A005",
                Severity.WARNING,
                f"accounts log on at {where} over {protocol} at {at}: who is on the way reads and "
                "changes what they send",
                'protocol = "tls", or bind to a private address',
            )


def _same_users(accounts: dict[str, ServerConfig]) -> Iterator[Finding]:
    """A pattern may be a pool on purpose; a name that two lists have is seldom meant."""
    owner: dict[str, str] = {}
    for name, server in accounts.items():
        for pattern in server.users.patterns if server.users is not None else ():
            written = pattern.lower()
            if "*" in written:
                continue
            if owner.setdefault(written, name) != name:
                yield Finding(
                    "SIPX-A006",
                    Severity.WARNING,
                    f"the user {pattern} is one of {owner[written]} and of {name}",
                    "name each user for one account, or both accounts by one pattern",
                )


def _certificates(config: LanConfig, listeners: list[tuple[str, str, str]]) -> Iterator[Finding]:
    mutual = any(protocol == "mtls" for _, _, protocol in listeners)
    only_mutual = mutual and all(protocol == "mtls" for _, _, protocol in listeners)
    if only_mutual and config.user is not None:
        yield Finding(
            "SIPX-A008",
            Severity.FAILURE,
            f"the shared user {config.user} has no certificate, and every LAN interface speaks "
            "mtls",
            "a [lan.server.NAME] with a certificate for each server, or another interface",
        )
    for name, server in config.accounts().items():
        if server.kind == "partner":
            continue
        if server.has_certificate and not mutual and server.server is None:
            yield Finding(
                "SIPX-A007",
                Severity.FAILURE,
                f"the account {name} proves itself with a certificate, and no LAN interface "
                "speaks mtls",
                f'protocol = "mtls" in [{NAME}], or in an interface with role = "lan"',
            )
        if only_mutual and not config.has_partner(server):
            yield Finding(
                "SIPX-A008",
                Severity.FAILURE,
                f"the account {name} has no certificate, and every LAN interface speaks mtls",
                "certificate = the name that its certificate proves, or another interface",
            )


def _dialled(config: LanConfig, kernel: KernelConfig) -> Iterator[Finding]:
    spoken = {table.protocol for table in kernel.interface.values() if table.enabled}
    if config.bind is not None:
        spoken.add(config.protocol)
    for name, server in config.accounts().items():
        protocol = config.protocol_to(server)
        if server.server is not None and protocol not in spoken:
            yield Finding(
                "SIPX-A009",
                Severity.FAILURE,
                f"the account {name} is to be connected to over {protocol}, and no enabled "
                "interface speaks that",
                f"add an [interface.NAME] with protocol = {protocol!r}",
            )


def _never_banned(config: LanConfig) -> Iterator[Finding]:
    """A public network that is no single site: strangers may guess from there."""
    for written in config.never_ban:
        network = ip_network(written)
        private = is_private(str(network[0])) and is_private(str(network[-1]))
        if not private and network.prefixlen < _ONE_SITE[network.version]:
            yield Finding(
                "SIPX-A010",
                Severity.WARNING,
                f"never_ban has the public network {written}: whoever is there may guess passwords "
                "and is not banned",
                "the addresses of your edges, SBCs and sites, a /24 or a /64 at most",
            )
