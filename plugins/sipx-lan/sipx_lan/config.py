"""The TOML table ``[lan]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, model_validator

from sipx import (
    Config,
    DomainName,
    DomainPattern,
    Duration,
    Files,
    KernelConfig,
    PeerPort,
    Pins,
    Port,
    Secret,
    parse_address,
    refuse,
)
from sipx_lan.values import (
    AccountName,
    BindAddress,
    Host,
    Networks,
    Realm,
    UserName,
    UsersOf,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Place = tuple[str | int, ...]
Protocol = Literal["udp", "tcp", "tls", "mtls"]
SECURED: Final = ("tls", "mtls")
NAME: Final = "lan"
"""The name of the plugin, of its table, and of the listener it adds."""

_ONLY_SERVERS: Final = ("weight", "max_users", "server")
_NOT_PARTNERS: Final = ("users", "certificate", "ca", "pins")


class ServerConfig(Config):
    """``[lan.server.NAME]``: one account, of a UC server, a user or a partner's server.

    It proves itself with a password, with a certificate over mtls, or with both if both are given.
    """

    user: UserName | None = None
    """The user name it logs on with; without it NAME."""
    password: Secret | None = None
    """Its password."""
    certificate: DomainName | None = None
    """The name that its certificate must prove over mtls."""
    ca: Files = ()
    """Files or directories of authorities: only these vouch for it, not [trust]."""
    pins: Pins = ()
    """SHA-256 hashes of public keys: its certificate has one of them."""
    addresses: Networks = ()
    """Where it may log on from; without it anywhere, without a password private networks."""
    users: UsersOf | None = None
    """Its users: a pattern, a list, or { file = "..." }, which is read again when it changes."""
    kind: Literal["server", "user", "partner"] = "server"
    """"server": a UC server; "user": somebody who logs on alone; "partner": only for routes."""
    weight: Annotated[int, Field(ge=0, le=10_000)] = 1
    """Its share of the users that several servers may serve; 0: none."""
    max_users: Annotated[int, Field(ge=1)] | None = None
    """How many users it may have at most."""
    allow_md5: bool | Literal["only"] | None = None
    """Whether it may log on with MD5; "only": it knows nothing else; without it as in [lan]."""
    routes: tuple[DomainPattern, ...] = ()
    """Domains of untrusted static routes whose requests its credentials authorise."""
    server: Host | None = None
    """Its address or host name, if sipx connects to it by itself."""
    port: PeerPort | None = None
    """The port of server; without it 5061 for tls and mtls, else 5060."""
    protocol: Protocol | None = None
    """How sipx connects to server; without it as in [lan]."""
    comment: str = ""
    """For people: place, contact."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ServerConfig:
        if self.server is None:
            for key in ("port", "protocol"):
                if getattr(self, key) is not None:
                    raise refuse(f"{key} without server", "server = the host to connect to")
        if self.kind == "partner":
            self._authorises()
        if self.kind != "server":
            for key in _ONLY_SERVERS:
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise refuse(f'{key} says nothing for kind = "{self.kind}"', 'kind = "server"')
        if self.ca and not self.has_certificate and self.server is None:
            raise refuse("ca without certificate", "certificate = the name that it must prove")
        return self

    def _authorises(self) -> None:
        """A partner's account is asked for credentials, and nothing else makes sense for it."""
        if not self.routes:
            raise refuse(
                "a partner's account authorises nothing without routes",
                'routes = ["partner.example"], the domains of its static routes',
            )
        for key in _NOT_PARTNERS:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise refuse(f'{key} says nothing for kind = "partner"', "leave it out")
        if self.password is None:
            raise refuse(
                "a partner's account proves nothing without a password",
                'password = { file = "..." }; a certificate belongs into its static route',
            )

    def logon(self, name: str) -> str:
        """The user name of the account called ``name``."""
        return self.user or name

    @property
    def has_certificate(self) -> bool:
        """Whether a certificate proves that it is this one."""
        return self.certificate is not None or bool(self.pins)


class LanConfig(Config):
    """The TOML table ``[lan]``: where UC servers log on, and with what."""

    user: UserName | None = None
    """The user name that all UC servers share."""
    password: Secret | None = None
    """Their password; may be left out where every LAN interface is private."""
    realm: Realm | None = None
    """The realm of the challenges; without it the first of domains."""
    bind: BindAddress | None = None
    """The address to listen on, "*" for all; without it [interface.NAME] with role = "lan"."""
    port: Port | None = None
    """The port to listen on; without it 5061 for tls and mtls, else 5060."""
    protocol: Protocol = "tcp"
    """What is spoken there: udp, tcp, tls or mtls."""
    certificate: str | None = None
    """The [certificate.NAME] that is shown there; without it that of [wan]."""
    addresses: Networks = ()
    """Where the shared user may log on from; without a password the private networks."""
    allow_md5: bool | Literal["only"] = False
    """Whether MD5 is offered, behind SHA-256; "only": alone, for clients that fail otherwise."""
    max_failures: Annotated[int, Field(ge=1, le=100)] = 3
    """The wrong attempt in a row that is answered 403 in place of a question."""
    ban_after: Annotated[int, Field(ge=1, le=1000)] = 10
    """Wrong attempts of one source within failure_window after which it is banned."""
    ban_time: Annotated[Duration, Field(gt=0, le=86400)] = 600.0
    """How long; twice as long each time that it happens again, a day at most."""
    failure_window: Annotated[Duration, Field(gt=0, le=86400)] = 600.0
    """How long a wrong attempt counts."""
    never_ban: Networks = ()
    """Where many share an address: never banned, only a user name is refused for failure_window."""
    nonce_lifetime: Annotated[Duration, Field(ge=1, le=86400)] = 60.0
    """How long a client may use what it was challenged with."""
    server: dict[AccountName, ServerConfig] = Field(default_factory=dict)
    """The accounts, by name."""

    @model_validator(mode="after")
    def _belongs_together(self) -> LanConfig:
        if self.password is not None and self.user is None:
            raise refuse("password without user", "user = the name that the UC servers log on with")
        if self.user is None and self.addresses:
            raise refuse("addresses without user", "addresses in the [lan.server.NAME] they are of")
        if self.bind is None:
            for key in ("port", "certificate"):
                if getattr(self, key) is not None:
                    raise refuse(f"{key} without bind", "bind = the address to listen on")
        return self

    @property
    def listen_port(self) -> int:
        """The port of the listener."""
        if self.port is None:
            return 5061 if self.protocol in SECURED else 5060
        return self.port

    def accounts(self) -> dict[str, ServerConfig]:
        """Those that are switched on."""
        return {name: server for name, server in self.server.items() if server.enabled}

    def protocol_to(self, server: ServerConfig) -> str:
        """How sipx connects to it."""
        return server.protocol or self.protocol

    def has_partner(self, server: ServerConfig) -> bool:
        """Whether somebody at the other end of TLS can prove to be it."""
        dialled = server.server is not None and self.protocol_to(server) in SECURED
        return server.has_certificate or dialled

    def problems(self, kernel: KernelConfig) -> Iterable[tuple[Place, str, str]]:
        """What one table alone cannot see: duplicates, listeners, accounts without a password."""
        from sipx_lan.problems import problems

        return problems(self, kernel)

    def listeners(self, kernel: KernelConfig) -> Iterator[tuple[str, str, str]]:
        """(key, bind, protocol) of everywhere that accounts can log on."""
        if self.bind is not None:
            yield "lan", self.bind, self.protocol
        for name, interface in kernel.interface.items():
            if interface.enabled and interface.role == "lan":
                yield f"interface.{name}", interface.bind, interface.protocol

    def unnamed(self, server: ServerConfig) -> bool:
        """Whether nothing but an address could say whose certificate it is to be."""
        return (
            server.server is not None
            and self.protocol_to(server) in SECURED
            and not server.has_certificate
            and parse_address(server.server) is not None
        )
