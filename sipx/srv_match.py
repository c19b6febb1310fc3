"""Whether a certificate, the SRV records for open federation and what listens belong together.

For each of our domains a partner looks up ``_sipfederationtls._tcp`` (RFC 2782), connects to the
target, and takes the certificate it is shown there if that names the domain (RFC 5922), or the
target where it lies within the domain (Microsoft's rule). ``match_srv`` goes the same way with what
was found and has no I/O; ``srv_matches`` asks the DNS for it.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx.addresses import parse_address
from sipx.identity import by_ms_suffix, by_rfc5922
from sipx.interfaces import machine_addresses
from sipx.lookup import ResolveError
from sipx.plugin import Finding, Severity
from sipx.public_address import AUTO
from sipx.resolver import FEDERATION_SERVICE
from sipx.srv_findings import of_addresses, of_answer, of_certificate, of_host, takes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sipx.config.model import WanConfig
    from sipx.identity import PeerCertificate
    from sipx.records import Kind, SrvRecord
    from sipx.resolver import Resolver
    from sipx.status import InterfaceSummary, PublicSummary

_ANY: Final = {"*": 4, "0.0.0.0": 4, "::": 6}  # noqa: S104  # compared, not bound


# ---------------------------------------------------------------- what is compared


class HostAnswer(NamedTuple):
    """What the DNS says of a host: its addresses, or the kind of failure; ``text`` in words.

    ``alias`` is the name that a CNAME has put in its place, "" without.
    """

    addresses: tuple[str, ...]
    failure: Kind | None = None
    text: str = ""
    alias: str = ""


class DomainAnswer(NamedTuple):
    """The SRV records of a domain in an order to be tried, or the kind of failure, and in words.

    ``expires`` is a time of the kernel's clock, ``authentic`` the AD bit; ``hosts`` has an answer
    for each target.
    """

    domain: str
    records: tuple[SrvRecord, ...]
    hosts: Mapping[str, HostAnswer] = {}
    failure: Kind | None = None
    text: str = ""
    alias: str = ""
    authentic: bool = False
    expires: float = inf


class Here(NamedTuple):
    """What this machine is reached at: ``listeners``, its own ``addresses``, and those in front of
    it where there is a NAT (``public``, addresses and names; ``public_port`` is 0 without one).
    """

    listeners: tuple[InterfaceSummary, ...]
    addresses: frozenset[str]
    public: frozenset[str] = frozenset()
    public_port: int = 0
    runs: bool = True


# ---------------------------------------------------------------- what comes of it


class SrvAddress(NamedTuple):
    """One address of an SRV target. ``ours``: of this machine, or in front of it.

    ``interface`` is what listens there with mutual TLS, "" if nothing does.
    """

    address: str
    ours: bool
    interface: str


@dataclass(frozen=True, slots=True)
class SrvMatch:
    """One SRV record of one of our domains, as a partner would follow it to us.

    ``profile`` and ``name`` are by what the certificate would prove the domain there, "" where it
    would not. ``findings`` say what is good about it, or what is wrong and what to do.
    """

    domain: str
    record: SrvRecord
    profile: str
    name: str
    addresses: tuple[SrvAddress, ...]
    findings: tuple[Finding, ...]

    @property
    def interface(self) -> str:
        """What listens at the first of its addresses that leads here, "" if nothing does."""
        return next((a.interface for a in self.addresses if a.interface), "")

    @property
    def good(self) -> bool:
        """Whether a partner gets through: it leads here, something listens, the name is right."""
        return bool(self.profile and self.interface)


@dataclass(frozen=True, slots=True)
class DomainMatch:
    """All SRV records of one of our domains; ``findings`` are about the domain as a whole, and
    those of its records.
    """

    answer: DomainAnswer
    matches: tuple[SrvMatch, ...]
    findings: tuple[Finding, ...]

    @property
    def domain(self) -> str:
        """The presence domain."""
        return self.answer.domain

    @property
    def good(self) -> bool:
        """Whether a partner gets through by one record at least."""
        return any(match.good for match in self.matches)


@dataclass(frozen=True, slots=True)
class NameMatch:
    """One name of the certificate: the SRV records that lead to it, and those of the domain that it
    is itself. ``why`` is a sentence.
    """

    name: str
    matches: tuple[SrvMatch, ...]
    proven: tuple[SrvMatch, ...]
    why: str

    @property
    def good(self) -> bool:
        """Whether a partner gets through to this name, or through by what it proves."""
        return any(match.good for match in (*self.matches, *self.proven))


@dataclass(frozen=True, slots=True)
class SrvMatches:
    """A certificate beside the SRV records of our domains: by domain and by its names."""

    domains: tuple[DomainMatch, ...]
    names: tuple[NameMatch, ...]
    first: SrvMatch | None = field(init=False)
    """The first record by which a partner gets through, None if there is none."""

    def __post_init__(self) -> None:
        found = (match for domain in self.domains for match in domain.matches if match.good)
        object.__setattr__(self, "first", next(found, None))

    @property
    def good(self) -> bool:
        """Whether each of our domains can be reached."""
        return bool(self.domains) and all(domain.good for domain in self.domains)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Everything that is to be said, domain by domain."""
        return tuple(finding for domain in self.domains for finding in domain.findings)

    @property
    def expires(self) -> float:
        """Until when that holds, a time of the kernel's clock."""
        return min((domain.answer.expires for domain in self.domains), default=inf)


# ---------------------------------------------------------------- the DNS is asked


async def srv_matches(
    resolver: Resolver,
    domains: Iterable[str],
    certificate: PeerCertificate | None,
    here: Here,
) -> SrvMatches:
    """Look up the records of our domains, and match them. Failures of the DNS are findings.

    ``certificate`` is the one that partners are shown; the answers come from the resolver's cache
    where they are in it.
    """
    wanted = list(dict.fromkeys(domains))
    answers: dict[str, DomainAnswer] = {}

    async def ask(domain: str) -> None:
        answers[domain] = await domain_answer(resolver, domain)

    async with trio.open_nursery() as nursery:
        for domain in wanted:
            nursery.start_soon(ask, domain)
    for name in [each for each in here.public if parse_address(each) is None]:
        found = await host_answer(resolver, name)
        here = here._replace(public=here.public | set(found.addresses))
    return match_srv([answers[domain] for domain in wanted], certificate, here)


async def domain_answer(resolver: Resolver, domain: str) -> DomainAnswer:
    """The SRV records for open federation of any domain, with the addresses of their targets."""
    try:
        service = await resolver.service(f"{FEDERATION_SERVICE}.{domain}")
    except ResolveError as error:
        return DomainAnswer(domain, (), failure=error.kind, text=error.text)
    hosts: dict[str, HostAnswer] = {}

    async def ask(target: str) -> None:
        hosts[target] = await host_answer(resolver, target)

    async with trio.open_nursery() as nursery:
        for target in dict.fromkeys(record.target for record in service.records):
            nursery.start_soon(ask, target)
    return DomainAnswer(
        domain,
        service.records,
        hosts,
        text=service.text,
        alias=service.alias,
        authentic=service.authentic,
        expires=service.expires,
    )


async def host_answer(resolver: Resolver, host: str) -> HostAnswer:
    """The addresses of an SRV target."""
    try:
        addresses = await resolver.addresses(host)
    except ResolveError as error:
        return HostAnswer((), error.kind, error.text)
    return HostAnswer(addresses, alias=resolver.alias_of(host))


def here_of(listeners: Iterable[InterfaceSummary], wan: WanConfig, known: PublicSummary) -> Here:
    """This machine as it is now.

    A plugin gives ``status.interfaces``, ``proxy.config.wan`` and ``status.public``.
    """
    found = {
        address
        for family in (socket.AF_INET, socket.AF_INET6)
        for address in machine_addresses(family)
    }
    listeners = tuple(listeners)
    # A NAT is in front of us whether or not peers are told of it.
    public = {*known.found.values()} - found
    port = 0
    if wan.use_public_address:
        public |= {wan.public_address, *known.addresses} - {AUTO}
        port = wan.public_port or 0
    for one in listeners:
        if one.advertised:
            public.add(one.advertised.rpartition(":")[0].strip("[]"))
    return Here(listeners, frozenset(found), frozenset(public), port)


# ---------------------------------------------------------------- the match


def match_srv(
    answers: Sequence[DomainAnswer], certificate: PeerCertificate | None, here: Here
) -> SrvMatches:
    """Compare what was found with the certificate and with what listens."""
    domains = tuple(_of_domain(answer, certificate, here) for answer in answers)
    records = [match for domain in domains for match in domain.matches]
    names = sorted(certificate.ids) if certificate is not None else []
    return SrvMatches(domains, tuple(_of_name(name.decode(), domains, records) for name in names))


def _of_domain(
    answer: DomainAnswer, certificate: PeerCertificate | None, here: Here
) -> DomainMatch:
    matches = tuple(_of_record(answer, record, certificate, here) for record in answer.records)
    findings = [*of_answer(answer), *(f for match in matches for f in match.findings)]
    return DomainMatch(answer, matches, tuple(findings))


def _of_record(
    answer: DomainAnswer, record: SrvRecord, certificate: PeerCertificate | None, here: Here
) -> SrvMatch:
    host = answer.hosts.get(record.target, HostAnswer((), "nodata"))
    addresses = tuple(_place(address, record, here) for address in host.addresses)
    profile, name = _proof(answer.domain, record.target, certificate)
    head = f"{answer.domain}: {record.target} port {record.port}"
    findings = [
        *of_host(head, record, host),
        *of_addresses(head, record, addresses, here),
        *of_certificate(head, answer.domain, record.target, profile, certificate),
    ]
    made = SrvMatch(answer.domain, record, profile, name, addresses, ())
    if made.good:
        at = next(a.address for a in addresses if a.interface)
        listens = "listens" if here.runs else "is to listen"
        text = (
            f"{head}: the SRV record leads to {at}, where interface {made.interface} {listens}, "
            f"and the certificate names {name} ({profile})"
        )
        findings.insert(0, Finding("SIPX-D001", Severity.OK, text))
    return SrvMatch(answer.domain, record, profile, name, addresses, tuple(findings))


def _proof(domain: str, target: str, certificate: PeerCertificate | None) -> tuple[str, str]:
    """By which profile a partner takes the certificate there, and which of its names it is."""
    if certificate is None:
        return "", ""
    asked = domain.encode()
    proof = by_rfc5922(certificate, asked) or by_ms_suffix(certificate, asked, [target.encode()])
    return ("", "") if proof is None else (proof.profile, proof.name.decode())


def _place(address: str, record: SrvRecord, here: Here) -> SrvAddress:
    """Whose address it is, and what listens there."""
    in_front = address in here.public or record.target in here.public
    for one in here.listeners:
        if takes(one) and _is_at(one, address, record.port, here, in_front=in_front):
            return SrvAddress(address, True, one.name)
    return SrvAddress(address, in_front or _is_ours(address, here), "")


def _is_ours(address: str, here: Here) -> bool:
    numeric = parse_address(address)
    return (
        address in here.addresses
        or (numeric is not None and numeric.is_loopback)
        or any(address in (one.address, one.bind) for one in here.listeners)
    )


def _is_at(one: InterfaceSummary, address: str, port: int, here: Here, *, in_front: bool) -> bool:
    if in_front and one.role == "wan":
        if one.advertised:
            return port == int(one.advertised.rpartition(":")[2])
        return port in ({here.public_port} if here.public_port else {one.port})
    if one.port != port:
        return False
    family = _ANY.get(one.bind)
    if family is None:
        return one.address == address
    return address in here.addresses and (6 if ":" in address else 4) == family


def _of_name(name: str, domains: Sequence[DomainMatch], records: Sequence[SrvMatch]) -> NameMatch:
    to_it = tuple(match for match in records if match.record.target == name)
    proven = tuple(match for match in records if match.domain == name)
    through = next((match for match in to_it if match.good), None)
    itself = next((match for match in proven if match.good), None)
    if through is not None:
        at = next(a.address for a in through.addresses if a.interface)
        why = (
            f"the SRV record of {through.domain} leads to it, {at} port {through.record.port}, "
            f"interface {through.interface}"
        )
    elif itself is not None:
        record = itself.record
        why = f"it proves the domain, whose SRV record leads to {record.target} port {record.port}"
    elif to_it:
        wrong = next((f for m in to_it for f in m.findings if f.severity is not Severity.OK), None)
        said = "nothing is known of it" if wrong is None else wrong.text.partition(": ")[2]
        why = f"the SRV record of {to_it[0].domain} leads to it, but no partner to us: {said}"
    elif any(domain.domain == name for domain in domains):
        why = "it proves the domain, but no SRV record of that leads here"
    else:
        ours = ", ".join(domain.domain for domain in domains) or "no domain"
        why = f"no SRV record of {ours} leads to it"
    return NameMatch(name, to_it, proven, why)
