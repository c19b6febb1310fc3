"""The kernel's tables of the configuration file: their keys, defaults and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_network
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from sipx.config.domains import DomainName
from sipx.config.secrets import Secret
from sipx.config.values import (
    Bind,
    Duration,
    LocalPath,
    LocalPaths,
    NameServer,
    PeerPort,
    Port,
    Size,
    refuse,
    show,
)
from sipx.logs.levels import area_of
from sipx.public_address import PublicAddress, public_address, public_host
from sipx.sip.parser import (
    MAX_BODY,
    MAX_HEAD,
    MAX_HEADER_LINES,
    MAX_ROUTES,
    MAX_START_LINE,
    MAX_VIAS,
    Limits,
)

CONFIG_VERSION: Final = 1
SECURE: Final = frozenset({"tls", "mtls", "wss"})
"""The protocols that need a certificate."""

Protocol = Literal["udp", "tcp", "tls", "mtls", "ws", "wss"]
Count = Annotated[int, Field(ge=1, le=10**9)]
Wait = Annotated[Duration, Field(gt=0)]
Bytes = Annotated[Size, Field(ge=1)]


def _public_address(value: object) -> str:
    if isinstance(value, str):
        with suppress(ValueError):
            return public_host(value)
    allowed = 'an IP address, a host name, or "auto"'
    if isinstance(value, str) and value.rpartition(":")[2].isdecimal() and value.count(":") == 1:
        allowed += "; the port has a key of its own, public_port"
    raise refuse(f"{show(value)} is no address that peers can send to", allowed)


def _advertise(value: object) -> bool | PublicAddress:
    if isinstance(value, bool | PublicAddress):
        return value
    if isinstance(value, str):
        with suppress(ValueError):
            return public_address(value)
    raise refuse(
        f"{show(value)} is no address that peers can send to",
        'true, false, or an address or a name with or without a port: "198.51.100.7:5061"',
    )


def _version(value: object) -> object:
    if isinstance(value, int) and value != CONFIG_VERSION:
        raise refuse(f"version {value} is not known to this sipx", f"{CONFIG_VERSION}")
    return value


def _network(value: object) -> str:
    try:
        return str(ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        raise refuse(f"{show(value)} is no network", 'a network such as "10.0.0.0/8"') from None


Network = Annotated[str, BeforeValidator(_network)]


def _once(values: tuple[str, ...]) -> tuple[str, ...]:
    for number, value in enumerate(values):
        if value in values[:number]:
            raise refuse(f"'{value}' is given twice", "each name once")
    return values


def _some(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise refuse("no domain is given", 'at least one, such as ["example.com"]')
    return values


def _table_name(value: str) -> str:
    if not all(c.isascii() and (c.isalnum() or c in "-_.") for c in value) or not value:
        raise refuse(f"{show(value)} cannot be a name", "letters, digits, '-', '_' and '.'")
    return value


def _names(value: object) -> object:
    """One name or a list of them."""
    given = (value,) if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(name, str) for name in given):
        raise refuse(f"{show(value)} names no certificate", "a name, or a list of names")
    return tuple(given)


def _log_areas(value: object) -> object:
    """Names with dots, quoted or not: ``plugin.udp = "debug"`` is a table in a table for TOML."""
    if not isinstance(value, Mapping):
        return value
    found: dict[str, object] = {}
    for key, inner in value.items():
        if isinstance(inner, Mapping):
            deeper = _log_areas(inner)
            assert isinstance(deeper, dict)
            found |= {f"{key}.{below}": level for below, level in deeper.items()}
        else:
            found[str(key)] = inner
    return found


def _log_area(value: str) -> str:
    try:
        return area_of(value)
    except ValueError:
        raise refuse(f"{show(value)} is no area", 'a name such as "proxy" or "sipx.tls"') from None


Name = Annotated[str, AfterValidator(_table_name)]
LogLevel = Literal["error", "warning", "info", "debug", "trace"]
LogAreas = Annotated[
    dict[Annotated[str, AfterValidator(_log_area)], LogLevel], BeforeValidator(_log_areas)
]
Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
PublicHost = Annotated[str, BeforeValidator(_public_address)]
Advertise = Annotated[
    bool | PublicAddress,
    PlainValidator(_advertise),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "string"}]}),
]


class Table(BaseModel):
    """A table of the kernel; unknown keys are errors, the docstrings of its fields the help."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        validate_default=True,
        arbitrary_types_allowed=True,
    )


class WanConfig(Table):
    """[wan]: how the proxy is seen from outside."""

    certificate: str | None = None
    """The [certificate.NAME] of interfaces that name none themselves."""

    use_public_address: bool = False
    """Behind NAT: write the public address into Via, Contact and Record-Route."""

    public_address: PublicHost = "auto"
    """An IP address, a host name, or "auto": what STUN finds."""

    public_port: PeerPort | None = None
    """The port that is written beside the public address; without it the interface's own."""


class InterfaceConfig(Table):
    """[interface.NAME]: one listener."""

    enabled: bool = True
    """False switches this listener off; its settings are kept."""

    bind: Bind = "*"
    """An address of this machine, or "*" for all."""

    port: Port
    """The port to listen on, 0 to 65535; 0 takes a free one."""

    protocol: Protocol
    """How messages arrive: udp, tcp, tls, mtls, ws or wss."""

    certificate: Names = ()
    """The [certificate.NAME] shown to peers; without it that of [wan]. Of a list the first is the
    default, the others are shown to who asks for one of their names (SNI)."""

    client_certificate: str | None = None
    """The [certificate.NAME] shown when this interface connects; without it the first of
    certificate."""

    eku_policy: Literal["strict", "federation", "sip-only", "any"] = "federation"
    """Which extended key usages of peers are taken: "strict" only those of the role, "federation"
    those for servers, clients or SIP domains in either role, "sip-only" those of RFC 5924, "any"
    all."""

    role: Literal["wan", "lan"] = "wan"
    """Which side it is on: "wan" towards partners, "lan" towards the UC servers."""

    advertise: Advertise = True
    """What stands in messages: true the public address as [wan] says, on the WAN side; false this
    one's own; else the address or name that is given here, with or without a port."""


class CertificateConfig(Table):
    """[certificate.NAME]: a certificate with its key, as two PEM files or one PKCS #12 file."""

    cert_file: LocalPath | None = None
    """PEM file with the certificate first, then its chain."""

    key_file: LocalPath | None = None
    """PEM file with the private key; nobody else may be able to read it."""

    pkcs12_file: LocalPath | None = None
    """One file with certificate, chain and key, in place of the two others."""

    pkcs12_password: Secret | None = None
    """What the PKCS #12 file is locked with."""

    warn_before: Duration = 21 * 86400.0
    """How long before its end a certificate is warned about."""

    @model_validator(mode="after")
    def _one_source(self) -> CertificateConfig:
        allowed = "cert_file and key_file, or pkcs12_file"
        pem = (self.cert_file, self.key_file)
        if self.pkcs12_file is None:
            if None in pem:
                lacks = " and ".join(
                    name
                    for name, given in (("cert_file", pem[0]), ("key_file", pem[1]))
                    if given is None
                )
                raise refuse(f"{lacks} missing", allowed)
            if self.pkcs12_password is not None:
                raise refuse("pkcs12_password without pkcs12_file", allowed)
        elif pem != (None, None):
            raise refuse("two certificates in one table", allowed)
        return self


class TrustConfig(Table):
    """[trust]: which certificates of others are believed."""

    ca: Literal["system"] | LocalPath = "system"
    """Certification authorities: "system", a PEM file, or a directory of PEM files."""

    extra_ca: LocalPaths = ()
    """PEM files of further authorities, such as a partner's own."""

    crl: LocalPaths = ()
    """Revocation lists, PEM or DER; a certificate that one of them names is refused."""

    min_tls: Literal["1.2", "1.3"] = "1.2"
    """The oldest version of TLS that is spoken."""

    networks: tuple[Network, ...] = ()
    """Networks such as "10.0.0.0/8" that requests inside a dialog may be sent to, beyond the
    addresses of its two ends; a UC server's may go to public addresses as well."""


class DnsConfig(Table):
    """[dns]: how names are resolved (RFC 3263)."""

    servers: tuple[NameServer, ...] = ()
    """Name servers, each an IP address with or without a port; empty: those of the system."""

    timeout: Wait = 5.0
    """How long one question may take."""

    cache_max_ttl: Duration = 3600.0
    """Answers are asked again after this time even if they claim to live longer."""


class LogConfig(Table):
    """[log]: what is written down."""

    level: LogLevel = "info"
    """The least important level that is still written."""

    format: Literal["auto", "text", "json"] = "auto"
    """How lines on stderr look: "text" for people, "json" for machines; "auto" is text on a
    terminal and JSON elsewhere."""

    levels: LogAreas = {}
    """Levels of single areas, such as "sipx.tls" or "plugin.static-routes"."""


class ServiceConfig(Table):
    """[service]: the running process."""

    stop_timeout: Duration = 15.0
    """How long transactions may take to finish when the proxy stops."""

    control_socket: LocalPath | None = None
    """The Unix socket that the command line talks to; without it one in the runtime directory."""

    control_group: str = ""
    """The group whose members may use that socket too; without it the process's own group."""

    state_dir: LocalPath | None = None
    """Where plugins keep what must survive a restart; without it the system's usual place."""


class LimitsConfig(Table):
    """[limits]: what one peer, or all together, may ask for at most."""

    start_line: Bytes = MAX_START_LINE
    """Bytes of the first line of a message."""

    head: Bytes = MAX_HEAD
    """Bytes of a message before its body."""

    header_lines: Count = MAX_HEADER_LINES
    """Header lines of a message."""

    vias: Count = MAX_VIAS
    """Via entries of a message."""

    routes: Count = MAX_ROUTES
    """Route entries of a message."""

    body: Size = MAX_BODY
    """Bytes of a body."""

    first_message_timeout: Wait = 10.0
    """How long a new connection may take until its first message is whole."""

    handshake_timeout: Wait = 8.0
    """How long a TLS handshake may take that a peer has begun."""

    head_timeout: Wait = 10.0
    """How long the head of a message may take from its first byte."""

    body_timeout: Wait = 10.0
    """How long a body may take from the end of its head."""

    idle_timeout: Wait = 600.0
    """After this time without traffic a connection is closed."""

    keepalive: Wait = 100.0
    """How often connections opened by the proxy send a keepalive (RFC 5626 §4.4.1)."""

    connect_timeout: Wait = 4.0
    """How long opening a connection may take before the next hop is tried."""

    max_connections: Count = 2000
    """Connections at the same time."""

    max_connections_per_address: Count = 200
    """Connections at the same time from one address."""

    write_queue: Bytes = 2**20
    """Bytes that may wait to be written to one connection; more closes it."""

    max_transactions: Count = 200_000
    """Transactions at the same time; a new request beyond that gets 503."""

    parked_requests: Count = 5000
    """Requests that may wait for DNS, a connection or a plugin at the same time."""

    udp_request_size: Bytes = 1300
    """A larger request goes by a stream transport instead of UDP (RFC 3261 §18.1.1)."""

    def messages(self) -> Limits:
        """The part that the parser asks about."""
        return Limits(
            start_line=self.start_line,
            head=self.head,
            header_lines=self.header_lines,
            vias=self.vias,
            routes=self.routes,
            body=self.body,
        )


class KernelConfig(Table):
    """The configuration file without the tables of the plugins."""

    config_version: Annotated[int, BeforeValidator(_version)] = CONFIG_VERSION
    """The version of this file's format."""

    domains: Annotated[tuple[DomainName, ...], AfterValidator(_once), AfterValidator(_some)]
    """The presence domains served here."""

    plugins: Annotated[tuple[str, ...], AfterValidator(_once)] = ()
    """The plugins of this proxy, in the order in which they are asked."""

    wan: WanConfig = WanConfig()
    """How the proxy is seen from outside."""

    interface: dict[Name, InterfaceConfig] = Field(default_factory=dict)
    """The listeners, by name."""

    certificate: dict[Name, CertificateConfig] = Field(default_factory=dict)
    """Certificates with their keys, by name."""

    trust: TrustConfig = TrustConfig()
    """Which certificates of others are believed."""

    dns: DnsConfig = DnsConfig()
    """How names are resolved."""

    log: LogConfig = LogConfig()
    """What is written down."""

    service: ServiceConfig = ServiceConfig()
    """The running process."""

    limits: LimitsConfig = LimitsConfig()
    """What one peer, or all together, may ask for at most."""


AT_START: Final = ("service.control_socket", "service.control_group", "service.state_dir")
"""Keys that a running process cannot take up."""
KERNEL_KEYS: Final = frozenset(KernelConfig.model_fields)
"""Top-level keys that are the kernel's own; no plugin can have such a name."""
