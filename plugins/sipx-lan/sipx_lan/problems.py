"""What cannot be between the accounts, and between them and the kernel's tables."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

from sipx import is_private
from sipx_lan.config import NAME, SECURED, LanConfig

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sipx import KernelConfig
    from sipx_lan.config import Place

    Problem = tuple[Place, str, str]


def problems(config: LanConfig, kernel: KernelConfig) -> Iterator[Problem]:
    """Each with its place, what is wrong, and the remedy."""
    if config.bind is not None:
        yield from _listener(config, kernel)
    yield from _twice(config)
    yield from _dialled(config)
    yield from _without_password(config, kernel)


def _listener(config: LanConfig, kernel: KernelConfig) -> Iterator[Problem]:
    if NAME in kernel.interface:
        yield (
            ("bind",),
            "there is an [interface.lan] besides, and the listener of [lan] has the same name",
            'leave bind out and set role = "lan" there, or give that interface another name',
        )
    known = ", ".join(sorted(kernel.certificate)) or "there is none yet"
    if config.certificate is not None and config.certificate not in kernel.certificate:
        yield (
            ("certificate",),
            f"there is no [certificate.{config.certificate}]",
            f"known: {known}",
        )
    if config.protocol in SECURED and not (config.certificate or kernel.wan.certificate):
        yield (
            ("protocol",),
            f"{config.protocol} needs a certificate",
            f"set lan.certificate or wan.certificate to a [certificate.NAME]; known: {known}",
        )
    for name, interface in kernel.interface.items():
        if (
            interface.enabled
            and interface.port == config.listen_port != 0
            and (interface.protocol == "udp") == (config.protocol == "udp")
            and _overlap(interface.bind, str(config.bind))
        ):
            yield (
                ("port",) if config.port is not None else ("bind",),
                f"port {config.listen_port} is taken by interface.{name}",
                "another port, or another address",
            )


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses to listen on have one in common."""
    anywhere = ("*", "0.0.0.0", "::")  # noqa: S104  # compared, not bound
    if (":" in one) != (":" in other):
        return False
    return one == other or one in anywhere or other in anywhere


def _twice(config: LanConfig) -> Iterator[Problem]:
    """Two accounts of one user name, or of one certificate, could not be told apart."""
    users: dict[str, str] = {}
    certificates: dict[str, str] = {}
    if config.user is not None:
        users[config.user.lower()] = "lan.user, which all UC servers share"
    for name, server in config.accounts().items():
        user = server.logon(name)
        place: Place = ("server", name, "user") if server.user else ("server", name)
        if (other := users.get(user.lower())) is not None:
            yield (
                place,
                f"the user '{user}' is that of {other}, too",
                f"another user, or {NAME}.server.{name}.enabled = false",
            )
        users[user.lower()] = f"lan.server.{name}"
        proven = server.certificate
        if proven is None:
            continue
        if proven in certificates:
            yield (
                ("server", name, "certificate"),
                f"{proven} proves lan.server.{certificates[proven]} already",
                "a certificate with a name of its own for each",
            )
        certificates[proven] = name


def _dialled(config: LanConfig) -> Iterator[Problem]:
    for name, server in config.accounts().items():
        if config.unnamed(server):
            yield (
                ("server", name, "server"),
                f"nothing says what the certificate of {server.server} has to name",
                "certificate = the name it must prove, or pins of its key",
            )


def _without_password(config: LanConfig, kernel: KernelConfig) -> Iterator[Problem]:
    """Row 29 of docs/trust.md: such an account is for private networks only."""
    public = [where for where, bind, _ in config.listeners(kernel) if not is_private(bind)]
    candidates: list[tuple[str, Place, tuple[str, ...]]] = []
    if config.user is not None and config.password is None:
        candidates.append(("the shared user", (), config.addresses))
    candidates += [
        (f"the account {name}", ("server", name), server.addresses)
        for name, server in config.accounts().items()
        if server.password is None and not config.has_partner(server)
    ]
    for who, place, addresses in candidates:
        if public:
            yield (
                place or ("user",),
                f"{who} has no password, and {public[0]} is not bound to a private address",
                'password = { file = "..." }, or bind to a private or loopback address'
                + ("" if not place else ", or a certificate over mtls"),
            )
        yield from _public_addresses(who, (*place, "addresses"), addresses)


def _public_addresses(who: str, place: Place, addresses: Iterable[str]) -> Iterator[Problem]:
    for number, text in enumerate(addresses):
        network = ip_network(text)
        if not (is_private(str(network[0])) and is_private(str(network[-1]))):
            yield (
                (*place, number),
                f"{who} has no password, and {text} is not a private network",
                "private networks, or a password",
            )
