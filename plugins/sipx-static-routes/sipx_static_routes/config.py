"""The TOML table ``[static-routes]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BeforeValidator, Field, model_validator

from sipx import (
    ByDomain,
    Config,
    Files,
    IPAddress,
    KernelConfig,
    PeerPort,
    Pins,
    config_refusals,
    insecure_trust_reason,
    is_private,
    listed,
    one_or_more,
    refuse,
)
from sipx import parse_address as numeric

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[str | int, ...]
SECURED: Final = ("tls", "mtls")
_TLS_KEYS: Final = (
    "certificate",
    "ca",
    "pins",
    "eku_policy",
    "allow_wildcard",
    "accept_cn",
    "sni",
    "verify",
)


def _servers(value: object) -> tuple[object, ...]:
    """One server or a list of them."""
    given = listed(value, "no server is named", "an IP address or host name, or a list of them")
    if not given:
        raise refuse("no server is named", "an IP address or host name, or a list of them")
    return given


def _server(value: object) -> str:
    """An address or a host name."""
    if not isinstance(value, str) or not _is_host(value):
        raise refuse(
            f"{value!r} is no server", "an IP address or a host name, without scheme or port"
        )
    return value


def _reason(value: object) -> str:
    """``yes, `` and why: nobody writes that by accident."""
    if not isinstance(value, str) or insecure_trust_reason(value) is None:
        raise refuse(f"{value!r} gives no reason", '"yes, " and the reason in words')
    return value


_TEXT: Final = {"type": "string", "minLength": 1}
Servers = Annotated[
    tuple[Annotated[str, BeforeValidator(_server)], ...],
    BeforeValidator(_servers),
    one_or_more(_TEXT, 1),
]


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
    server: Servers
    """"Access server": an IP address or host name, or a list that is tried in order."""
    port: PeerPort | None = None
    """The port of the access server; without it 5061 for tls and mtls, else 5060."""
    protocol: Literal["udp", "tcp", "tls", "mtls"] = "udp"
    """How the access server is spoken to: udp, tcp, tls or mtls."""
    bind: IPAddress | None = None
    """"Bind to IP address": the local address to send from; without it that of an interface on the
    side of the server, "lan" for your own domains."""
    insecure_trust: Annotated[str, BeforeValidator(_reason)] | None = None
    """``"yes, REASON"`` lets a server on a public address be trusted by its address alone."""
    certificate: str | None = None
    """The [certificate.NAME] that this partner is shown; without it that of the interface."""
    ca: Files = ()
    """Files or directories of authorities: only these vouch for this partner, not [trust]."""
    pins: Pins = ()
    """SHA-256 hashes of public keys: its certificate has one of them; without ca that suffices."""
    eku_policy: Literal["strict", "federation", "sip-only", "any"] | None = None
    """Which extended key usages its certificate may have; without it that of the interface."""
    allow_wildcard: bool = False
    """Take a wildcard certificate for one of its names: a weakness."""
    accept_cn: bool = False
    """Take a common name where there is no subjectAltName: a weakness."""
    sni: str | None = None
    """The name that is asked for by SNI; without it that of the server, else the domain."""
    verify: Literal["on", "off"] = "on"
    """"off" takes any certificate of a tls server in a private network."""
    comment: str = ""
    """For people: contract, contact."""

    @property
    def peer_port(self) -> int:
        """The port that is spoken to."""
        return self.port or (5061 if self.protocol in SECURED else 5060)

    @model_validator(mode="after")
    def _tls_only(self) -> RouteConfig:
        if self.protocol not in SECURED:
            for key in _TLS_KEYS:
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise refuse(
                        f"{key} says nothing for the protocol {self.protocol}",
                        'leave it out, or set protocol = "mtls"',
                    )
        if self.verify == "off":
            if self.protocol != "tls":
                raise refuse("verify = 'off' would open mtls to anybody", 'verify = "on"')
            if not all(numeric(server) and is_private(server) for server in self.server):
                raise refuse(
                    "verify = 'off' on a way that is not private",
                    "servers by their addresses in a private network, "
                    "or pins of the certificates that you know",
                )
        return self


class StaticRoutesConfig(Config):
    """The TOML table ``[static-routes]``; ``enabled`` is "use static routes"."""

    route: ByDomain[RouteConfig] = Field(default_factory=dict)
    """The routes, by domain."""

    def problems(self, kernel: KernelConfig) -> Iterable[tuple[Place, str, str]]:
        """What no single route can see: addresses that cannot be trusted by themselves."""
        for domain, route in self.route.items():
            if route.certificate is not None and route.certificate not in kernel.certificate:
                known = ", ".join(sorted(kernel.certificate)) or "there is none yet"
                yield (
                    ("route", domain, "certificate"),
                    f"there is no [certificate.{route.certificate}]",
                    f"known: {known}",
                )
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
