"""What is to be said about the SRV records of our domains: findings with codes and remedies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.addresses import OWN_LISTENER, parse_address
from sipx.plugin import Finding, Severity
from sipx.resolver import FEDERATION_SERVICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx.addresses import AddressFilter
    from sipx.identity import PeerCertificate
    from sipx.records import SrvRecord
    from sipx.srv_match import DomainAnswer, Here, HostAnswer, SrvAddress
    from sipx.status import InterfaceSummary

DEFAULT_PORT: Final = 5061
"""The port that other servers allow in SRV records where nothing else is agreed."""
TEMPORARY: Final = ("servfail", "timeout")
"""Failures of the name servers, which say nothing about a name."""
_FAILURE, _WARNING, _OK = Severity.FAILURE, Severity.WARNING, Severity.OK


def of_answer(answer: DomainAnswer) -> Iterable[Finding]:
    """What is to be said before a record is looked at."""
    domain = answer.domain
    service = f"{FEDERATION_SERVICE}.{domain}"
    if answer.failure in TEMPORARY:
        yield Finding(
            "SIPX-D004",
            _WARNING,
            f"{domain}: the DNS gave no answer for {service}: {answer.text}",
            "look at the name servers of [dns] or of this machine, then check again",
        )
    elif answer.failure == "refused":
        yield Finding(
            "SIPX-D002",
            _FAILURE,
            f'{domain}: the SRV record {service} has the target ".": it tells partners that this '
            "domain does not federate",
            f"replace it by the record that `sipx dns record {domain}` prints",
        )
    elif answer.failure is not None:
        yield Finding(
            "SIPX-D002",
            _FAILURE,
            f"{domain}: there is no SRV record {service}: partners do not find this domain",
            f"publish the record that `sipx dns record {domain}` prints",
        )
    if answer.alias:
        yield Finding(
            "SIPX-D007",
            _WARNING,
            f"{domain}: {service} is a CNAME for {answer.alias}: not every partner follows that",
            "publish the SRV record itself in its place",
        )


def of_host(head: str, record: SrvRecord, host: HostAnswer) -> Iterable[Finding]:
    """What is to be said about the host that a record names."""
    if parse_address(record.target) is not None:
        yield Finding(
            "SIPX-D005",
            _FAILURE,
            f"{head}: the target is an address, and has to be a host name (RFC 2782)",
            "name a host there, with an A or AAAA record of its own",
        )
    elif host.failure in TEMPORARY:
        yield Finding(
            "SIPX-D004",
            _WARNING,
            f"{head}: the DNS gave no address: {host.text}",
            "look at the name servers, then check again",
        )
    elif not host.addresses:
        yield Finding(
            "SIPX-D005",
            _FAILURE,
            f"{head}: {record.target} has no address, neither A nor AAAA",
            f"publish an A or AAAA record for {record.target}",
        )
    if host.alias:
        yield Finding(
            "SIPX-D007",
            _WARNING,
            f"{head}: {record.target} is a CNAME for {host.alias}; an SRV target must be no alias "
            "(RFC 2782), and not every partner follows it",
            f"give {record.target} an A or AAAA record of its own",
        )
    if record.port != DEFAULT_PORT:
        yield Finding(
            "SIPX-D010",
            _WARNING,
            f"{head}: many partners allow no port but {DEFAULT_PORT} in SRV records",
            f"let an interface listen on {DEFAULT_PORT}, and name that port",
        )


def of_addresses(
    head: str, record: SrvRecord, addresses: Sequence[SrvAddress], here: Here
) -> Iterable[Finding]:
    """What is to be said about the addresses of a target: whose they are, what listens there."""
    away = [found.address for found in addresses if not found.ours]
    if away:
        mine = ", ".join(sorted(_shown(here))) or "none but loopback"
        remedy = (
            "if a NAT or a balancer stands there, write its address into wan.public_address and "
            f"set wan.use_public_address; else correct the address of {record.target}"
        )
        if here.public:
            remedy = (
                f"correct the address of {record.target}; if partners come in there, write it into "
                "wan.public_address"
            )
        yield Finding(
            "SIPX-D006",
            _WARNING,
            f"{head}: {', '.join(away)} is no address of this machine (it has {mine})",
            remedy,
        )
    deaf = [found.address for found in addresses if found.ours and not found.interface]
    if deaf and len(deaf) + len(away) == len(addresses):
        yield Finding(
            "SIPX-D008",
            _FAILURE,
            f"{head}: nothing listens there with mutual TLS: {_what_listens(record.port, here)}",
            f"let an mtls interface listen on port {record.port}, or correct the record",
        )


def of_certificate(
    head: str, domain: str, target: str, profile: str, certificate: PeerCertificate | None
) -> Iterable[Finding]:
    """What is to be said about the names of our certificate, for one record."""
    if certificate is None:
        yield Finding(
            "SIPX-D003",
            _FAILURE,
            f"{head}: there is no certificate to show to partners",
            "name one: [wan] certificate, or that of the interface",
        )
        return
    within = inside(domain, target)
    if not profile:
        wanted = f"{domain} or {target}" if within else domain
        outside = "" if within else f" ({target} lies outside of {domain}, so it does not count)"
        usable = [n for n in sorted(certificate.ids) if inside(domain, n.decode())]
        yield Finding(
            "SIPX-D003",
            _FAILURE,
            f"{head}: partners take no certificate there that does not name {wanted}{outside}; "
            f"{_names(certificate)}",
            f"get one that names {wanted}"
            + (f", or let the record lead to {usable[0].decode()}" if usable else ""),
        )
    elif profile == "rfc5922" and target.encode() not in certificate.ids:
        yield Finding(
            "SIPX-D009",
            _WARNING,
            f"{head}: the certificate names {domain}, but not {target}: partners with Microsoft's "
            "software want the SRV target in it",
            f"get a certificate that names {target} as well",
        )
    elif profile == "rfc5922" and not within:
        yield Finding(
            "SIPX-D009",
            _WARNING,
            f"{head}: {target} lies outside of {domain}: partners with Microsoft's software do not "
            "follow the record",
            f"let the record lead to a host directly below {domain}",
        )
    elif profile == "ms-suffix":
        yield Finding(
            "SIPX-D009",
            _OK,
            f"{head}: the certificate names {target}, but not {domain}: partners that know only "
            "RFC 5922 want the domain itself in it",
            f"a certificate that names {domain} as well satisfies both",
        )


def takes(one: InterfaceSummary) -> bool:
    """Whether partners can be served there: open federation never goes without mutual proof."""
    return one.protocol == "mtls" and one.state == "listening"


def _what_listens(port: int, here: Here) -> str:
    """Why nothing does on this port, from what there is."""
    on_port = [one for one in here.listeners if port in (one.port, one.configured_port)]
    for one in on_port:
        if one.protocol == "mtls":
            return f"interface {one.name} is {one.state}" + (
                f", {one.reason}" if one.reason else ""
            )
    for one in on_port:
        if one.protocol != "udp":
            return f"interface {one.name} has that port, and its protocol is {one.protocol}"
    there = [f"{one.name} on port {one.port}" for one in here.listeners if takes(one)]
    return f"interface {', '.join(there)} does" if there else "no interface does"


def _shown(here: Here) -> Iterable[str]:
    for address in here.addresses:
        parsed = parse_address(address)
        if parsed is not None and not parsed.is_loopback and not parsed.is_link_local:
            yield address
    yield from here.public


def _names(certificate: PeerCertificate) -> str:
    has = [name.decode() for name in sorted(certificate.ids | certificate.wildcards)]
    if not has:
        return "the certificate names no domain"
    more = f" and {len(has) - 5} more" if len(has) > 5 else ""
    star = "; a wildcard proves no SIP domain" if certificate.wildcards else ""
    return f"the certificate names {', '.join(has[:5])}{more}{star}"


def may_be_right(domain: str, refused: Iterable[str]) -> str:
    """What to do where an address is refused that is right, by the words of the refusal."""
    if all(OWN_LISTENER in why for why in refused):
        return f"if {domain} is yours, add it to domains"
    return "if that is right within your network, add it to trust.networks"


def inside(domain: str, target: str) -> bool:
    """Whether a host is the domain itself or directly below it."""
    return target == domain or target.partition(".")[2] == domain


# ---------------------------------------------------------------- the domain of somebody else


def of_partner(answer: DomainAnswer, permitted: AddressFilter) -> Iterable[Finding]:
    """What is to be said about the records of a partner's domain, as this proxy follows them."""
    domain = answer.domain
    service = f"{FEDERATION_SERVICE}.{domain}"
    its = f"the administrator of {domain}"
    if answer.failure in TEMPORARY:
        yield from of_answer(answer)
    elif answer.failure == "refused":
        text = f'{domain}: its SRV record has the target ".": it says that it does not federate'
        yield Finding("SIPX-D002", _FAILURE, text, f"nothing to do here; ask {its}")
    elif answer.failure is not None:
        yield Finding(
            "SIPX-D002",
            _FAILURE,
            f"{domain}: there is no SRV record {service}: it publishes no federation service",
            f"ask {its} for it, or add a static route: `sipx routes add {domain}`",
        )
    elif answer.alias:
        text = f"{domain}: {service} is a CNAME for {answer.alias}; it is followed"
        yield Finding("SIPX-D007", _WARNING, text, f"tell {its}: others may not follow it")
    usable = [
        record
        for record in answer.records
        if any(
            permitted.refusal(address, record.port) is None
            for address in answer.hosts[record.target].addresses
        )
    ]
    # One target that works is enough: then the others are only worth a warning.
    worst = _WARNING if usable else _FAILURE
    for record in answer.records:
        yield from _of_partner_record(domain, record, answer.hosts[record.target], permitted, worst)


def _of_partner_record(
    domain: str, record: SrvRecord, host: HostAnswer, permitted: AddressFilter, worst: Severity
) -> Iterable[Finding]:
    head = f"{domain}: {record.target} port {record.port}"
    its = f"the administrator of {domain}"
    if host.failure in TEMPORARY or not host.addresses:
        for finding in of_host(head, record, host):
            if finding.code in ("SIPX-D004", "SIPX-D005"):
                remedy = finding.remedy if finding.code == "SIPX-D004" else f"tell {its}"
                severity = _WARNING if finding.code == "SIPX-D004" else worst
                yield Finding(finding.code, severity, finding.text, remedy)
        return
    if host.alias:
        yield Finding(
            "SIPX-D007",
            _WARNING,
            f"{head}: {record.target} is a CNAME for {host.alias}, which RFC 2782 forbids; it is "
            "followed",
            f"tell {its}: others may not follow it",
        )
    refused = [why for a in host.addresses if (why := permitted.refusal(a, record.port))]
    if refused:
        every = len(refused) == len(host.addresses)
        yield Finding(
            "SIPX-D014",
            worst if every else _WARNING,
            f"{head}: {'; '.join(dict.fromkeys(refused))}: the DNS of others must not lead there",
            f"tell {its}; {may_be_right(domain, refused)}",
        )
    if not inside(domain, record.target):
        yield Finding(
            "SIPX-D015",
            _WARNING,
            f"{head}: {record.target} lies outside of {domain}: its name proves nothing, the "
            f"certificate there has to name {domain} itself",
            "if it is a hosting provider's that you believe, add its suffix to the providers of "
            "the plugin that discovers",
        )
    if record.port != DEFAULT_PORT:
        yield Finding(
            "SIPX-D010",
            _WARNING,
            f"{head}: the port is not {DEFAULT_PORT}",
            "the plugin that discovers has to allow it (ports)",
        )
    if len(refused) < len(host.addresses):
        where = "within the domain" if inside(domain, record.target) else "outside of the domain"
        yield Finding("SIPX-D001", _OK, f"{head}: {', '.join(host.addresses)}, {where}")
