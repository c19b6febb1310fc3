"""The SRV records to create, so that partners find our domains: ``dns.record``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from sipx.addresses import is_private, parse_address
from sipx.certificates import CertificateError
from sipx.control.errors import ControlError
from sipx.domains import canonical_domain
from sipx.interfaces import Status
from sipx.resolver import FEDERATION_SERVICE
from sipx.srv_findings import DEFAULT_PORT, inside
from sipx.srv_match import here_of
from sipx.status import public_of

if TYPE_CHECKING:
    from sipx.identity import PeerCertificate
    from sipx.interfaces import Interface
    from sipx.kernel import Kernel

PRIORITY: Final = 1
WEIGHT: Final = 0
TTL: Final = 3600
LONGEST_NAME: Final = 253

DomainText = Annotated[str, Field(max_length=LONGEST_NAME)]


class DnsRecordParams(BaseModel):
    """Which record, and what of it is known better than from the configuration."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: DomainText = ""
    """One of our domains; "": all of them."""
    host: DomainText = ""
    """The target; "": what the certificate names."""
    port: int = Field(0, ge=0, le=65535)
    """0: where an interface listens."""


class Missing(BaseModel):
    """What of a record cannot be said, why, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    what: str
    text: str
    remedy: str


class DnsRecord(BaseModel):
    """The SRV record of one of our domains."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: str
    service: str
    """The name of the record."""
    priority: int
    weight: int
    ttl: int
    host: str
    """The target, "" where it cannot be said."""
    port: int
    """0 where it cannot be said."""
    addresses: tuple[str, ...]
    """What the host's own records have to say, as far as it can be known here."""
    interface: str
    """What listens there."""
    certificate: str
    """The [certificate.NAME] that is shown there."""
    proven: bool
    """Whether that names the domain, or the host within the domain."""
    missing: tuple[Missing, ...]
    notes: tuple[str, ...]


class DnsRecords(BaseModel):
    """The records to be created."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether a running proxy says so."""
    records: tuple[DnsRecord, ...]


class RecordMethods:
    """The method ``dns.record``."""

    def __init__(self, kernel: Kernel, *, live: bool = True) -> None:
        self._kernel = kernel
        self._live = live

    def record(self, params: DnsRecordParams) -> DnsRecords:
        """The SRV record to create for each of our domains, so that partners find it."""
        ours = sorted(domain.decode() for domain in self._kernel.domains)
        wanted = ours
        if params.domain:
            wanted = [named(params.domain)]
            if wanted[0] not in ours:
                raise ControlError(
                    "params",
                    f"{wanted[0]} is none of the domains of this proxy ({', '.join(ours)}); "
                    f"`sipx dns check {wanted[0]}` looks at what others publish",
                )
        host = named(params.host) if params.host else ""
        if host and parse_address(host) is not None:
            raise ControlError("params", f"{host} is an address; an SRV target is a host name")
        records = tuple(self._record(domain, host, params.port) for domain in wanted)
        return DnsRecords(live=self._live, records=records)

    def _record(self, domain: str, host: str, port: int) -> DnsRecord:
        met = meeting(self._kernel)
        interface, certificate, facts = met[0] if met else (None, "", None)
        for one in met:
            if one[2] is not None and _hosts(domain, one[2]):
                interface, certificate, facts = one
                break
        missing: list[Missing] = []
        notes: list[str] = []
        if not host:
            host, lacks = self._host(domain, interface, certificate, facts)
            missing += lacks
        if not port:
            port, lacks = self._port(interface)
            missing += lacks
        proven = facts is not None and _proves(domain, host, facts)
        if host and facts is not None and not proven:
            notes.append(
                f"the certificate '{certificate}' names neither {domain} nor {host} as a host "
                "directly below it: partners will refuse it"
            )
        elif host and not inside(domain, host):
            notes.append(
                f"{host} lies outside of {domain}: partners with Microsoft's software do not "
                "follow the record"
            )
        elif host and facts is not None and host.encode() not in facts.ids:
            notes.append(
                f"the certificate '{certificate}' does not name {host}: partners with Microsoft's "
                "software want the target in it"
            )
        if port and port != DEFAULT_PORT:
            notes.append(f"many partners allow no port but {DEFAULT_PORT} in SRV records")
        addresses = self._addresses(interface)
        if host and not addresses:
            notes.append(
                f"{host} needs an A or AAAA record with the address at which the internet reaches "
                "this machine; it cannot be known here"
            )
        return DnsRecord(
            domain=domain,
            service=f"{FEDERATION_SERVICE}.{domain}",
            priority=PRIORITY,
            weight=WEIGHT,
            ttl=TTL,
            host=host,
            port=port,
            addresses=addresses,
            interface="" if interface is None else interface.name,
            certificate=certificate,
            proven=proven,
            missing=tuple(missing),
            notes=tuple(notes),
        )

    def _host(
        self,
        domain: str,
        interface: Interface | None,
        certificate: str,
        facts: PeerCertificate | None,
    ) -> tuple[str, list[Missing]]:
        if facts is None:
            if interface is None:
                why, remedy = "no interface for partners has a certificate", "add an mtls interface"
            elif not certificate:
                why = f"interface {interface.name} has no certificate"
                remedy = "name one: [wan] certificate, or that of the interface"
            else:
                why = f"certificate '{certificate}' cannot be read"
                remedy = "`sipx check certs` says what is wrong with it"
            return "", [Missing(what="host", text=why, remedy=f"{remedy}, or give --host NAME")]
        hosts = _hosts(domain, facts)
        public = self._kernel.config.wan.public_address
        if public in hosts:
            return public, []
        if hosts:
            return hosts[0], []
        has = ", ".join(name.decode() for name in sorted(facts.ids)) or "no domain"
        example = f"sip.{domain}"
        if domain.encode() in facts.ids:
            why = f"the certificate '{certificate}' names {domain}, and no host below it"
            remedy = f"give the host that has this machine's address: --host {example}"
        else:
            why = f"the certificate '{certificate}' names {has}, which is not {domain} or below it"
            remedy = f"get one that names {example}, and {domain} if your authority does that"
        return "", [Missing(what="host", text=why, remedy=remedy)]

    def _port(self, interface: Interface | None) -> tuple[int, list[Missing]]:
        if interface is None:
            why = "no interface with mutual TLS is on the WAN side"
            remedy = "add one: `sipx interfaces add NAME --protocol mtls`, or give --port NUMBER"
            if not self._kernel.proxy.discoveries:
                why = "federation is off, and no interface with mutual TLS is on the WAN side"
                remedy = (
                    f"switch on the plugin that discovers partners (`sipx plugins`); else {remedy}"
                )
            return 0, [Missing(what="port", text=why, remedy=remedy)]
        wan = self._kernel.config.wan
        if wan.use_public_address and wan.public_port:
            return wan.public_port, []
        bound = interface.address
        if bound is not None and bound[1] and (self._live or interface.port):
            return bound[1], []
        if not self._live:
            why = f"interface {interface.name} takes a free port, which is known while it runs"
        else:
            said = f", {interface.reason}" if interface.reason else ""
            why = f"interface {interface.name} does not listen: it is {interface.state}{said}"
        return 0, [Missing(what="port", text=why, remedy="set its port, or give --port NUMBER")]

    def _addresses(self, interface: Interface | None) -> tuple[str, ...]:
        """Addresses that the host can have: the public one, or those of this machine."""
        wan = self._kernel.config.wan
        known = self._kernel.advertising.addresses_of(wan.public_address)
        if wan.use_public_address and known:
            return known
        if interface is None:
            return ()
        bound = [interface.bind]
        if interface.wildcard:
            here = here_of((), wan, public_of(self._kernel)).addresses
            bound = sorted(address for address in here if interface.reaches(address))
        return tuple(a for a in bound if parse_address(a) is not None and not is_private(a))


def meeting(kernel: Kernel) -> list[tuple[Interface, str, PeerCertificate | None]]:
    """Where partners that nobody has configured meet us: each interface with mutual TLS on the WAN
    side, with each of its certificates; those that listen come first.
    """
    found: list[tuple[Interface, str, PeerCertificate | None]] = []
    fit = [i for i in kernel.interfaces.all if i.enabled and i.protocol == "mtls"]
    fit = [i for i in fit if i.role == "wan"]
    for interface in sorted(fit, key=lambda i: i.status is not Status.LISTENING):
        for name in interface.certificates or ("",):
            facts: PeerCertificate | None = None
            if name:
                try:
                    facts = kernel.certificates.own(name).facts
                except CertificateError:
                    facts = None  # what is wrong with it is told by `sipx check certs`
            found.append((interface, name, facts))
    return found


def _hosts(domain: str, facts: PeerCertificate) -> list[str]:
    """The names of a certificate directly below a domain; those that look like a server's first."""
    names = [name.decode() for name in facts.ids]
    below = [name for name in names if name != domain and inside(domain, name)]
    return sorted(below, key=lambda name: (not name.startswith("sip."), name))


def _proves(domain: str, host: str, facts: PeerCertificate) -> bool:
    if domain.encode() in facts.ids:
        return True
    return bool(host) and inside(domain, host) and host.encode() in facts.ids


def named(text: str) -> str:
    """A domain in canonical form. Raises ControlError."""
    try:
        return canonical_domain(text.rstrip(".")).decode()
    except ValueError as error:
        raise ControlError("params", str(error)) from error
