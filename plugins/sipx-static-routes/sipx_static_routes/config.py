"""The TOML table ``[static-routes]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field

from sipx import (
    ByDomain,
    Config,
    IPAddress,
    KernelConfig,
    PeerPort,
    config_refusals,
    insecure_trust_reason,
    refuse,
)
from sipx import parse_address as numeric

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[str | int, ...]


def _servers(value: object) -> tuple[str, ...]:
    """One server or a list of them: addresses or host names."""
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise refuse("no server is named", "an IP address or host name, or a list of them")
    for server in given:
        if not isinstance(server, str) or not _is_host(server):
            raise refuse(
                f"{server!r} is no server", "an IP address or a host name, without scheme or port"
            )
    return tuple(given)


def _reason(value: object) -> str:
    """``yes, `` and why: nobody writes that by accident."""
    if not isinstance(value, str) or insecure_trust_reason(value) is None:
        raise refuse(f"{value!r} gives no reason", '"yes, " and the reason in words')
    return value


def _is_host(text: str) -> bool:
    if numeric(text) is not None:
        return True
    labels = text.rstrip(".").split(".")
    return (
        all(
            label and len(label) <= 63 and label.replace("-", "").replace("_", "").isalnum()
            for label in labels
        )
        and not labels[-1].isdigit()
    )


class RouteConfig(Config):
    """``[static-routes.route."DOMAIN"]``: one partner domain, or one of our own.

    The domain is the key, so it cannot stand twice; ``"*.lab.example"`` and ``"*"`` are patterns.
    A route for a domain of ``domains`` leads to its UC server.
    """

    trusted: bool = False
    """"Trustworthy": requests from the server are accepted by its address alone."""
    server: Annotated[tuple[str, ...], BeforeValidator(_servers)]
    """"Access server": an IP address or host name, or a list that is tried in order."""
    port: PeerPort = 5060
    """The port of the access server."""
    protocol: Literal["udp", "tcp", "tls", "mtls"] = "udp"
    """How the access server is spoken to: udp, tcp, tls or mtls."""
    bind: IPAddress | None = None
    """"Bind to IP address": the local address to send from; the system's choice without it."""
    insecure_trust: Annotated[str, BeforeValidator(_reason)] | None = None
    """``"yes, REASON"`` lets a server on a public address be trusted by its address alone."""
    comment: str = ""
    """For people: contract, contact."""


class StaticRoutesConfig(Config):
    """The TOML table ``[static-routes]``; ``enabled`` is "use static routes"."""

    route: ByDomain[RouteConfig] = Field(default_factory=dict)
    """The routes, by domain."""

    def problems(self, kernel: KernelConfig) -> Iterable[tuple[Place, str, str]]:
        """What no single route can see: addresses that cannot be trusted by themselves."""
        for domain, route in self.route.items():
            if not route.enabled:
                continue
            # Requests of the route arrive on any interface that speaks its protocol.
            binds = dict.fromkeys(
                interface.bind
                for interface in kernel.interface.values()
                if interface.enabled and interface.protocol == route.protocol
            )
            wrongs = dict.fromkeys(
                wrong
                for bind in binds
                for wrong in config_refusals(
                    protocol=route.protocol,
                    trusted=route.trusted,
                    bind=bind,
                    servers=route.server,
                    insecure_trust=route.insecure_trust,
                )
            )
            for wrong in wrongs:
                yield (
                    ("route", domain, "trusted"),
                    wrong,
                    'set trusted = false, use mtls, or insecure_trust = "yes, <reason>"',
                )
