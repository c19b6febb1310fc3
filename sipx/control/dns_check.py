"""What is published for a domain, ours or another: ``dns.check``.

It is asked anew, past the cache of the proxy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from sipx.control.dns import DnsMethods, DnsRoute, DnsRouteParams
from sipx.control.dns_record import DomainText, meeting, named
from sipx.escaping import escaped
from sipx.lookup import ResolveError
from sipx.outward import fresh_resolver, outward_filter
from sipx.plugin import Severity
from sipx.public_address import AUTO
from sipx.resolver import FEDERATION_SERVICE
from sipx.srv_findings import TEMPORARY, inside, of_partner
from sipx.srv_match import SrvMatches, domain_answer, here_of, srv_matches
from sipx.status import interfaces_of, public_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.kernel import Kernel
    from sipx.plugin import Finding
    from sipx.records import SrvRecord
    from sipx.resolver import Resolver
    from sipx.srv_match import DomainAnswer
    from sipx.status import PublicSummary


class DnsCheckParams(BaseModel):
    """Whose records."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: DomainText = ""
    """Any domain; "": each of ours."""


class CheckedAddress(BaseModel):
    """One address of an SRV target."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    address: str
    ours: bool
    interface: str
    """Of our domains: what listens there, "" if nothing does."""
    refused: str
    """Of other domains: why it is not sent to, "" if it is."""


class CheckedRecord(BaseModel):
    """One SRV record that is published."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    priority: int
    weight: int
    port: int
    target: str
    alias: str
    """The name that a CNAME has put in the place of the target, "" without."""
    inside: bool
    """Whether the target is the domain, or directly below it."""
    profile: str
    """Of our domains: by what our certificate proves the domain there, "" if by nothing."""
    good: bool
    addresses: tuple[CheckedAddress, ...]


class CheckedName(BaseModel):
    """One name of our certificate, and whether an SRV record leads to it."""

    model_config = ConfigDict(frozen=True)

    name: str
    good: bool
    why: str


class CheckFinding(BaseModel):
    """What is so, and what to do about it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    code: str
    severity: str
    """"ok", "warning" or "failure"."""
    text: str
    remedy: str


class DnsDomain(BaseModel):
    """What is published for one domain, and what is to be said about it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    domain: str
    ours: bool
    service: str
    answer: str
    """What came, and from whom, in words."""
    failure: str
    """"" where there are records; else nxdomain, nodata, refused, servfail or timeout."""
    ttl: float | None
    authentic: bool
    """Whether the name server has validated the answer by DNSSEC."""
    alias: str
    certificate: str
    """Of our domains: the [certificate.NAME] they are compared with."""
    records: tuple[CheckedRecord, ...]
    names: tuple[CheckedName, ...]
    findings: tuple[CheckFinding, ...]
    remembered: str
    """Where the running proxy remembers another answer: which, and for how long."""
    way: DnsRoute | None
    """Of other domains: where a request would go now."""


class DnsCheck(BaseModel):
    """The domains that were checked."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    live: bool
    """Whether a running proxy says so."""
    domains: tuple[DnsDomain, ...]


class CheckMethods:
    """The method ``dns.check``."""

    def __init__(self, kernel: Kernel, *, live: bool = True) -> None:
        self._kernel = kernel
        self._live = live

    async def check(self, params: DnsCheckParams) -> DnsCheck:
        """What is published for our domains, beside our certificate, our interfaces and the
        addresses of this machine; or for another domain, as this proxy would follow it.
        """
        ours = sorted(domain.decode() for domain in self._kernel.domains)
        wanted = [named(params.domain)] if params.domain else ours
        found = [
            await (self._ours(domain) if domain in ours else self._others(domain))
            for domain in wanted
        ]
        return DnsCheck(live=self._live, domains=tuple(found))

    async def _ours(self, domain: str) -> DnsDomain:
        certificate, matches = await own_matches(self._kernel, [domain], runs=self._live)
        [found] = matches.domains
        records = tuple(
            CheckedRecord(
                **self._record_fields(found.answer, match.record),
                profile=match.profile,
                good=match.good,
                addresses=tuple(
                    CheckedAddress(
                        address=a.address, ours=a.ours, interface=a.interface, refused=""
                    )
                    for a in match.addresses
                ),
            )
            for match in found.matches
        )
        return DnsDomain(
            **self._domain_fields(found.answer, found.findings),
            ours=True,
            certificate=certificate,
            records=records,
            names=tuple(
                CheckedName(name=escaped(n.name), good=n.good, why=escaped(n.why))
                for n in matches.names
            ),
            way=None,
        )

    async def _others(self, domain: str) -> DnsDomain:
        kernel = self._kernel
        answer = await domain_answer(fresh_resolver(kernel), domain)
        permitted = outward_filter(kernel)
        here = here_of((), kernel.config.wan, public_of(kernel)).addresses
        records: list[CheckedRecord] = []
        for record in answer.records:
            addresses = tuple(
                CheckedAddress(
                    address=address,
                    ours=address in here,
                    interface="",
                    refused=permitted.refusal(address, record.port) or "",
                )
                for address in answer.hosts[record.target].addresses
            )
            fields = self._record_fields(answer, record)
            good = any(not a.refused for a in addresses)
            records.append(CheckedRecord(**fields, profile="", good=good, addresses=addresses))
        way = await DnsMethods(kernel, live=self._live).route(
            DnsRouteParams(uri=f"sip:check@{domain}", method="MESSAGE")
        )
        used = {(hop.name, hop.port) for target in way.targets for hop in target.hops}
        allowed = {f"{answer.domain}: {name} port {port}:" for name, port in used}
        findings = [
            _otherwise(finding) if finding.code == "SIPX-D002" and way.status == 0 else finding
            for finding in of_partner(answer, permitted)
            if not (finding.code == "SIPX-D010" and finding.text.startswith(tuple(allowed)))
        ]
        return DnsDomain(
            **self._domain_fields(answer, findings),
            ours=False,
            certificate="",
            records=tuple(records),
            names=(),
            way=way,
        )

    def _domain_fields(self, answer: DomainAnswer, findings: Iterable[Finding]) -> dict[str, Any]:
        now = self._kernel.clock()
        return {
            "domain": answer.domain,
            "service": f"{FEDERATION_SERVICE}.{answer.domain}",
            "answer": escaped(answer.text),
            "failure": answer.failure or "",
            "ttl": None if answer.failure else round(max(answer.expires - now, 0.0), 1),
            "authentic": answer.authentic,
            "alias": escaped(answer.alias),
            "findings": tuple(shown_finding(finding) for finding in findings),
            "remembered": self._remembered(answer),
        }

    @staticmethod
    def _record_fields(answer: DomainAnswer, record: SrvRecord) -> dict[str, Any]:
        return {
            "priority": record.priority,
            "weight": record.weight,
            "port": record.port,
            "target": escaped(record.target),
            "alias": escaped(answer.hosts[record.target].alias),
            "inside": inside(answer.domain, record.target),
        }

    def _remembered(self, answer: DomainAnswer) -> str:
        """What the running proxy goes by until it asks again, if that is something else."""
        if not self._live or answer.failure in TEMPORARY:
            return ""
        resolver = self._kernel.resolver
        try:
            known = resolver.cached_service(f"{FEDERATION_SERVICE}.{answer.domain}")
        except ResolveError as error:
            return escaped(error.text) if answer.records else ""
        if known is None or set(known.records) == set(answer.records):
            return ""
        left = max(known.expires - self._kernel.clock(), 0.0)
        return f"{escaped(known.text)} (for another {left:.0f} s)"


async def own_matches(
    kernel: Kernel,
    domains: list[str] | None = None,
    *,
    runs: bool = True,
    known: PublicSummary | None = None,
) -> tuple[str, SrvMatches]:
    """Our domains in the DNS, asked anew, beside each certificate that partners are shown; and the
    name of the certificate that fits best.

    ``known`` is what a proxy that runs knows of the public address, where this one does not.
    """
    wanted = sorted(d.decode() for d in kernel.domains) if domains is None else domains
    resolver = fresh_resolver(kernel)
    public = await _looked_up(resolver, known or public_of(kernel))
    here = here_of(interfaces_of(kernel), kernel.config.wan, public)._replace(runs=runs)
    met = meeting(kernel)
    if not met:
        return "", await srv_matches(resolver, wanted, None, here)
    best: tuple[str, SrvMatches] | None = None
    for interface, name, facts in met:
        only = tuple(one for one in here.listeners if one.name == interface.name)
        found = await srv_matches(resolver, wanted, facts, here._replace(listeners=only))
        if best is None or _goodness(found) > _goodness(best[1]):
            best = (name, found)
    assert best is not None
    return best


async def _looked_up(resolver: Resolver, public: PublicSummary) -> PublicSummary:
    """With what the name of a public address leads to, where nobody has asked for it yet."""
    if not public.used or public.addresses or public.setting == AUTO:
        return public
    try:
        addresses = await resolver.addresses(public.setting)
    except ResolveError:
        return public  # what is said of the SRV record, or by the area of the name, tells
    return public.model_copy(update={"addresses": addresses})


def _goodness(found: SrvMatches) -> int:
    return sum(domain.good for domain in found.domains)


def shown_finding(finding: Finding) -> CheckFinding:
    """A finding as the control API shows it."""
    return CheckFinding(
        code=finding.code,
        severity=finding.severity.value,
        text=escaped(finding.text),
        remedy=escaped(finding.remedy),
    )


def _otherwise(finding: Finding) -> Finding:
    """That a domain has no record for federation, where a message goes another way."""
    remedy = "nothing to do here: a message goes another way, by a static route or RFC 3263"
    return replace(finding, severity=Severity.WARNING, remedy=remedy)
