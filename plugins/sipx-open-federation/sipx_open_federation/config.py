"""The TOML table ``[open-federation]``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sipx import (
    Bind,
    ByDomain,
    Config,
    DomainName,
    DomainPattern,
    Files,
    KernelConfig,
    PeerPort,
    Pins,
    Port,
    canonical_domain,
    parse_address,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NAME: Final = "open-federation"
"""The name of the plugin, of its table, and of the interface it brings."""
PROTOCOL: Final = "mtls"
PROFILES: Final = ("rfc5922", "ms-suffix", "hosting")
"""In the order in which they are tried: the strictest first."""
OWN_TRUST: Final = ("ca", "pins", "eku_policy")
"""What has to be known of a partner before its certificate is seen."""

Place = tuple[str | int, ...]
Complaint = tuple[Place, str, str]


def _depth(value: object) -> int | str:
    """Labels below the domain, or "any"."""
    if value == "any" or (type(value) is int and 1 <= value <= 126):
        return value
    raise refuse(
        f"{value!r} is no depth",
        'how many labels an SRV target may have before the domain, 1 or more; or "any"',
    )


def _profiles(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise refuse(
            "no profile is named, so no certificate would prove anything",
            'one or more of "rfc5922", "ms-suffix", "hosting"',
        )
    return tuple(name for name in PROFILES if name in value)


def _ports(value: object) -> tuple[object, ...]:
    """A list of ports. Strict validation takes a tuple only."""
    if not isinstance(value, list | tuple):
        raise refuse(f"{value!r} is no list of ports", "a list such as [5061]; [] means any port")
    return tuple(value)


def _named(value: tuple[str, ...]) -> tuple[str, ...]:
    """Domains, not addresses."""
    for name in value:
        if parse_address(name) is not None:
            raise refuse(f"{name} is an IP address", 'a domain such as "partner.example"')
    return value


Depth = Annotated[int | Literal["any"], BeforeValidator(_depth)]
Profile = Literal["rfc5922", "ms-suffix", "hosting"]
Patterns = Annotated[tuple[DomainPattern, ...], AfterValidator(_named)]
Suffixes = Annotated[tuple[DomainName, ...], AfterValidator(_named)]
Ports = Annotated[tuple[PeerPort, ...], BeforeValidator(_ports)]
Rate = Annotated[float, Field(ge=0, le=1_000_000)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class PartnerConfig(Config):
    """``[open-federation.partner."DOMAIN"]``: what is different for one partner.

    Patterns such as "*.lab.example" may stand there, too; the most specific table counts, and it
    alone. Keys that are left out are as in [open-federation].
    """

    blocked: bool = False
    """Nothing from this domain and nothing to it, not even by a static route: as in deny."""
    allowed: bool = False
    """An allowed partner: no limits for discovered partners, and it need not be in allow."""
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
    sni: DomainName | None = None
    """The name that is asked for by SNI; without it that of the SRV target."""
    certificate: str | None = None
    """The [certificate.NAME] that this partner is shown when sipx connects to it."""
    ports: Ports | None = None
    """Ports that its SRV records may name; [] means any."""
    messages_per_second: Rate | None = None
    """How many of its messages are taken in the long run; 0: no limit."""
    burst: Count | None = None
    """How many of its messages may come at once."""
    users_per_day: Count | None = None
    """How many different users of yours it may address in a day; 0: no limit."""
    comment: str = ""
    """For people: contract, contact."""

    @model_validator(mode="after")
    def _one_or_the_other(self) -> PartnerConfig:
        if self.blocked and self.allowed:
            raise refuse("blocked and allowed cannot both be true", "one of them")
        return self


class OpenFederationConfig(Config):
    """The TOML table ``[open-federation]``; ``enabled`` is "use open federation"."""

    certificate: str | None = None
    """The [certificate.NAME] that partners are shown; without it that of the interface or [wan]."""
    interface: str | None = None
    """An [interface.NAME] with protocol = "mtls"; without it the plugin brings its own."""
    bind: Bind = "*"
    """The address of its own interface; "*" for all."""
    port: Port = 5061
    """The port of its own interface."""
    allow: Patterns = ("*",)
    """Domains that may be found by DNS: names, "*.example.com" for all below one, "*" for every."""
    deny: Patterns = ()
    """Domains that are blocked, in both directions and by static routes as well."""
    providers: Suffixes = ()
    """Hosting providers: below these names a server may speak for any domain whose SRV is there."""
    profiles: Annotated[tuple[Profile, ...], AfterValidator(_profiles)] = PROFILES
    """By which rules a certificate may prove a domain."""
    suffix_depth: Depth = 1
    """ms-suffix: how many labels an SRV target may have before the domain; or "any"."""
    ports: Ports = (5061,)
    """Ports that SRV records may name; [] means any."""
    messages_per_second: Rate = 20.0
    """How many messages of one discovered partner are taken in the long run; 0: no limit."""
    burst: Count = 40
    """How many of its messages may come at once."""
    users_per_day: Count = 1000
    """How many different users of yours one discovered partner may address a day; 0: no limit."""
    benotify: bool = False
    """Take BENOTIFY and Proxy-Require: ms-benotify, as Microsoft's servers send them."""
    partner: ByDomain[PartnerConfig] = Field(default_factory=dict)
    """What is different for single partners, by domain."""

    @property
    def interface_name(self) -> str:
        """The interface where partners come in, and from which they are connected to."""
        return self.interface or NAME

    def problems(self, kernel: KernelConfig) -> Iterable[Complaint]:
        """What can only be seen beside the kernel's tables."""
        if self.enabled:
            yield from interface_problems(kernel, self.interface, self.bind, self.port)
            yield from self._certificate_problems(kernel)
        yield from self._partner_problems(kernel)

    def _certificate_problems(self, kernel: KernelConfig) -> Iterator[Complaint]:
        named: list[tuple[Place, str | None]] = [(("certificate",), self.certificate)]
        named += [
            (("partner", domain, "certificate"), partner.certificate)
            for domain, partner in self.partner.items()
            if partner.enabled
        ]
        for place, name in named:
            if name is not None and name not in kernel.certificate:
                yield place, f"there is no [certificate.{name}]", known_certificates(kernel)
        if self.certificate is None and not shown_certificate(kernel, self.interface):
            yield certificate_missing(kernel, self.interface)

    def _partner_problems(self, kernel: KernelConfig) -> Iterator[Complaint]:
        own = {canonical_domain(domain).decode() for domain in kernel.domains}
        for domain, partner in self.partner.items():
            if domain in own:
                yield (
                    ("partner", domain),
                    f"{domain} is one of your own domains",
                    "remove the table: open federation leads to other domains",
                )
            if "*" not in domain and parse_address(domain) is not None:
                yield (
                    ("partner", domain),
                    f"{domain} is an IP address, and open federation is between domains",
                    "name the partner's domain, or make a static route to the address",
                )
            for key in OWN_TRUST if "*" in domain else ():
                if getattr(partner, key):
                    yield (
                        ("partner", domain, key),
                        f"{key} has to be known before a certificate is seen, so it cannot "
                        "belong to a pattern",
                        f'write {key} into a table of the domain itself: partner."x.example"',
                    )
            if partner.enabled and partner.allowed and domain in self.deny:
                yield (
                    ("partner", domain, "allowed"),
                    f"{domain} is in deny, which counts more",
                    f'take "{domain}" out of deny, or allowed out of this table',
                )


# ---------------------------------------------------------------- the interface, and what it shows


def interface_problems(
    kernel: KernelConfig, name: str | None, bind: str, port: int
) -> Iterator[Complaint]:
    """What is wrong with the interface for federation: the one called ``name``, or an own one."""
    if name is None:
        yield from _collisions(kernel, bind, port)
        return
    table = kernel.interface.get(name)
    fit = ", ".join(_fit(kernel)) or "none yet; without this key the plugin brings its own"
    if table is None:
        yield ("interface",), f"there is no [interface.{name}]", f"known: {fit}"
        return
    if table.protocol != PROTOCOL:
        yield (
            ("interface",),
            f"[interface.{name}] speaks {table.protocol}, and federation needs mutual TLS",
            f'set its protocol = "mtls", or name another one; known: {fit}',
        )
    if table.role != "wan":
        yield (
            ("interface",),
            f"[interface.{name}] is on the LAN side, where partners are not let in",
            f'set its role = "wan", or name another one; known: {fit}',
        )
    if not table.enabled:
        yield (
            ("interface",),
            f"[interface.{name}] is switched off",
            f"set its enabled = true, or name another one; known: {fit}",
        )


def _fit(kernel: KernelConfig) -> list[str]:
    return sorted(
        name
        for name, table in kernel.interface.items()
        if table.protocol == PROTOCOL and table.role == "wan" and table.enabled
    )


def _collisions(kernel: KernelConfig, bind: str, port: int) -> Iterator[Complaint]:
    """Two listeners at one place: the second of them would fail to start."""
    if NAME in kernel.interface:
        yield (
            ("interface",),
            f"[interface.{NAME}] has the name of the interface that the plugin brings itself",
            f'interface = "{NAME}" uses yours; or give yours another name',
        )
    for name, table in kernel.interface.items():
        same = table.enabled and port != 0 and table.port == port and table.protocol != "udp"
        if same and (bind == table.bind or "*" in (bind, table.bind)):
            hint = (
                f'interface = "{name}", if partners may come there' if name in _fit(kernel) else ""
            )
            yield (
                ("port",),
                f"[interface.{name}] listens on port {port} already",
                hint or "another port for one of the two, or different addresses in bind",
            )


def shown_certificate(kernel: KernelConfig, interface: str | None) -> str | None:
    """The certificate that partners are shown where none is named for them."""
    table = kernel.interface.get(interface) if interface is not None else None
    if table is not None and (
        own := table.client_certificate or next(iter(table.certificate), None)
    ):
        return own
    return kernel.wan.certificate


def known_certificates(kernel: KernelConfig) -> str:
    """The remedy for a name that is not there."""
    known = ", ".join(sorted(kernel.certificate))
    return f"known: {known}" if known else "add [certificate.NAME] with cert_file and key_file"


def certificate_missing(kernel: KernelConfig, interface: str | None) -> Complaint:
    """Mutual TLS without a certificate of our own."""
    if kernel.certificate:
        remedy = f'certificate = "NAME"; {known_certificates(kernel)}'
    else:
        remedy = (
            'add [certificate.main] with cert_file and key_file, and certificate = "main" here; '
            "'sipx cert request' makes a key and what an authority wants to see"
        )
    where = f"nor have [interface.{interface}] and [wan]" if interface else "nor has [wan]"
    wrong = f"partners are shown no certificate: none is named here, {where} one"
    return ("certificate",), wrong, remedy
