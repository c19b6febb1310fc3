"""What ``sipx check servers`` finds: of the configuration, as nothing runs then."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from sipx import Finding, Severity
from sipx_registrar.states import Order

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx_registrar.server import Server
    from sipx_registrar.servers import Servers


def findings(servers: Servers) -> Iterator[Finding]:
    """All of them."""
    servers.load()
    there = servers.ordered()
    if not servers.known.accounts:
        # The shared user of [lan] has no account before a server has logged on as it: whether
        # anybody can, lan says itself (SIPX-A001).
        if not any(each.name == "lan" and each.enabled for each in servers.proxy.status().plugins):
            yield Finding(
                "SIPX-U001",
                Severity.WARNING,
                "there is no account that could log on",
                "list the plugin lan and add [lan.server.NAME], or [lan] user and password",
            )
        return
    yield from _shares(there)
    yield from _patterns(there)
    orders = servers.orders.read()
    for server in there:
        order = orders.get(server.name, Order.SERVE)
        if order is not Order.SERVE:
            yield Finding(
                "SIPX-U004",
                Severity.WARNING,
                f"UC server {server.name} is out of service, as you said ({order.value})",
                f"`sipx servers resume {server.name}` ends that",
            )
    if there and not servers.config.ping_interval:
        yield Finding(
            "SIPX-U005",
            Severity.WARNING,
            "ping_interval = 0: a UC server that hangs with its connection open is not noticed",
            'ping_interval = "30s"',
        )


def _shares(there: list[Server]) -> Iterator[Finding]:
    everybody = [server for server in there if server.account.users is None]
    if everybody and not any(server.account.weight for server in everybody):
        names = ", ".join(server.name for server in everybody)
        yield Finding(
            "SIPX-U002",
            Severity.FAILURE,
            f"the weight of every UC server that may serve everybody is 0 ({names}): users whom "
            "nobody has registered are served by none",
            "give one of them a weight of 1 or more",
        )
    if len(everybody) > 1:
        total = sum(server.account.weight for server in everybody)
        shared = ", ".join(
            f"{one.name} {one.account.weight / total:.0%}" for one in everybody if total
        )
        yield Finding(
            "SIPX-U006",
            Severity.OK,
            f"{len(everybody)} UC servers share the users whom nobody has registered: {shared}",
        )


def _patterns(there: list[Server]) -> Iterator[Finding]:
    """Users that are written at two servers are shared by both, which may be meant or not."""
    written = Counter(
        pattern
        for server in there
        if server.account.users is not None
        for pattern in server.account.users.patterns
    )
    for pattern, count in written.items():
        if count > 1:
            names = [
                server.name
                for server in there
                if server.account.users is not None and pattern in server.account.users.patterns
            ]
            yield Finding(
                "SIPX-U003",
                Severity.WARNING,
                f"the users '{pattern}' belong to {' and '.join(names)}: which of them serves a "
                "user is decided by a hash of his address",
                "name them at one server only, unless these know the same users",
            )
