"""What ``sipx check federation`` looks for: what cannot work, what counts otherwise than it looks,
and what is weaker than it has to be. What the DNS says of us is in the area dns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipx import (
    CertificateError,
    DomainSet,
    Finding,
    Severity,
    by_ms_suffix,
    by_rfc5922,
    certificate_facts,
)
from sipx_open_federation.config import NAME, OWN_TRUST, shown_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import PeerCertificate, Proxy
    from sipx_open_federation.config import OpenFederationConfig, PartnerConfig

AREA: Final = "federation"
_WEAK: Final = {
    "allow_wildcard": "whoever holds a wildcard certificate of the parent domain is believed",
    "accept_cn": "a common name is no longer checked by authorities",
}
_ROUTES: Final = "routes"
"""The section of the status where static routes show themselves, if there are any."""
_OUTRUN: Final = (*OWN_TRUST, "allow_wildcard", "accept_cn", "sni", "certificate", "ports")
"""Keys that say nothing for a domain with a static route, which has its own."""


def findings(config: OpenFederationConfig, proxy: Proxy) -> Iterator[Finding]:
    """Each with its code, what is so, and what to do about it."""
    tables = {domain: table for domain, table in config.partner.items() if table.enabled}
    yield _summary(config, tables)
    yield from _lists(config)
    yield from _tables(config, tables)
    yield from _weaknesses(config, tables)
    yield from _certificates(config, proxy)
    yield from _interface(config, proxy)
    yield from _routes(tables, proxy)


def _summary(config: OpenFederationConfig, tables: dict[str, PartnerConfig]) -> Finding:
    who = "every domain" if "*" in config.allow else ", ".join(config.allow) or "no domain"
    blocked = len(config.deny) + sum(table.blocked for table in tables.values())
    allowed = sum(table.allowed for table in tables.values())
    more = [f"{blocked} blocked"] if blocked else []
    more += [f"{allowed} allowed by name"] if allowed else []
    text = f"open federation with {who}" + (f" ({', '.join(more)})" if more else "")
    if config.allow or allowed:
        return Finding("SIPX-F001", Severity.OK, text)
    return Finding(
        "SIPX-F001",
        Severity.WARNING,
        "open federation is switched on, and with no domain: allow is empty",
        f'allow = ["*"], or names of domains; or enabled = false in [{NAME}]',
    )


def _lists(config: OpenFederationConfig) -> Iterator[Finding]:
    if "*" in config.deny:
        yield Finding(
            "SIPX-F002",
            Severity.WARNING,
            'deny has "*": every domain but yours is blocked, those with static routes as well',
            f"to have no open federation, enabled = false in [{NAME}]; to choose domains, allow",
        )
        return
    denied = DomainSet(config.deny)
    for pattern in config.allow:
        if pattern in config.deny or ("*" not in pattern and pattern.encode() in denied):
            yield Finding(
                "SIPX-F003",
                Severity.WARNING,
                f"{pattern} is in allow and by deny it is blocked; deny counts",
                "take it out of one of the two",
            )


def _tables(config: OpenFederationConfig, tables: dict[str, PartnerConfig]) -> Iterator[Finding]:
    """Tables whose words do not count, or count for less than they seem to."""
    denied = DomainSet(config.deny)
    for domain, table in tables.items():
        if table.allowed and "*" not in domain and domain.encode() in denied:
            yield Finding(
                "SIPX-F003",
                Severity.WARNING,
                f"{domain} is an allowed partner, and by a pattern in deny it is blocked; deny "
                "counts",
                "make the pattern in deny narrower, or take allowed out of its table",
            )
        for wider, other in tables.items():
            if other.blocked and not table.blocked and _within(domain, wider):
                yield Finding(
                    "SIPX-F004",
                    Severity.WARNING,
                    f"{domain} is not blocked, though {wider} is: its own table counts alone",
                    f'if it is to be blocked: blocked = true in [{NAME}.partner."{domain}"]',
                )


def _within(domain: str, pattern: str) -> bool:
    """Whether a domain or pattern is one of those that another pattern means."""
    if domain == pattern or not pattern.startswith("*"):
        return False
    return pattern == "*" or domain.removeprefix("*.").endswith(pattern[1:])


def _weaknesses(
    config: OpenFederationConfig, tables: dict[str, PartnerConfig]
) -> Iterator[Finding]:
    for domain, table in tables.items():
        for key, said in _WEAK.items():
            if getattr(table, key):
                yield Finding(
                    "SIPX-F005",
                    Severity.WARNING,
                    f"partner {domain}: {key}: {said}",
                    "ask the partner for a certificate with its name as subjectAltName",
                )
    for provider in config.providers:
        if "." not in provider:
            yield Finding(
                "SIPX-F006",
                Severity.WARNING,
                f"providers: everybody below {provider} may speak for any domain whose SRV record "
                "is there",
                "name the provider's own domain, such as online.lync.com",
            )
    if not config.ports:
        yield Finding(
            "SIPX-F007",
            Severity.WARNING,
            "ports is empty: whoever has an SRV record makes sipx connect to any port",
            "ports = [5061]; single partners may have others in their tables",
        )
    for key, what in (("messages_per_second", "messages"), ("users_per_day", "addresses")):
        if not getattr(config, key):
            yield Finding(
                "SIPX-F008",
                Severity.WARNING,
                f"{key} = 0: discovered partners may try as many {what} as they like",
                f"leave {key} out, and promote the partners that need more",
            )


def _certificates(config: OpenFederationConfig, proxy: Proxy) -> Iterator[Finding]:
    """Whether partners can believe the certificate that they are shown."""
    name = config.certificate or shown_certificate(proxy.config, config.interface)
    if name is None:
        return
    try:
        own = proxy.tls.certificates.own(name)
    except CertificateError as error:
        yield Finding(
            "SIPX-F009",
            Severity.FAILURE,
            f"certificate {name} cannot be used: {error}",
            "sipx check certs tells more",
        )
        return
    facts = certificate_facts(own.certificate)
    for domain in sorted(proxy.domains):
        yield _believed(name, facts, domain)


def _believed(name: str, facts: PeerCertificate, domain: bytes) -> Finding:
    shown = domain.decode()
    if by_rfc5922(facts, domain) is not None:
        text = f"certificate {name} proves {shown} to every partner (rfc5922)"
        return Finding("SIPX-F010", Severity.OK, text)
    hosts = sorted(h.decode() for h in facts.ids if by_ms_suffix(facts, domain, [h]) is not None)
    if hosts:
        return Finding(
            "SIPX-F010",
            Severity.OK,
            f"certificate {name} proves {shown} where its SRV record names {' or '.join(hosts[:3])}"
            " (ms-suffix)",
        )
    has = ", ".join(each.decode() for each in sorted(facts.ids)[:3]) or "no domain"
    return Finding(
        "SIPX-F011",
        Severity.FAILURE,
        f"certificate {name} names {has}: no partner believes {shown}",
        f"get one that names {shown}, or the host directly below it that its SRV record names",
    )


def _interface(config: OpenFederationConfig, proxy: Proxy) -> Iterator[Finding]:
    table = proxy.config.interface.get(config.interface) if config.interface else None
    if table is None or config.certificate is None:
        return
    shown = table.certificate or tuple(filter(None, (proxy.config.wan.certificate,)))
    if config.certificate not in shown:
        has = ", ".join(shown) or "none"
        yield Finding(
            "SIPX-F012",
            Severity.WARNING,
            f"who connects to [interface.{config.interface}] is shown {has}, and whom sipx "
            f"connects to {config.certificate}",
            f'certificate = "{config.certificate}" in [interface.{config.interface}] as well',
        )


def _routes(tables: dict[str, PartnerConfig], proxy: Proxy) -> Iterator[Finding]:
    """A static route goes before discovery; its table has keys of its own."""
    routes: Any = proxy.status().sections.get(_ROUTES)
    if not isinstance(routes, list):
        return
    for route in routes:
        domain = route.get("domain") if isinstance(route, dict) and route.get("enabled") else None
        table = tables.get(domain) if isinstance(domain, str) else None
        if table is None:
            continue
        said = [key for key in _OUTRUN if getattr(table, key)]
        if table.blocked:
            yield Finding(
                "SIPX-F013",
                Severity.WARNING,
                f"{domain} has a static route, and its table says blocked: nothing uses the route",
                "switch the route off, or take blocked out of the table",
            )
        elif said:
            yield Finding(
                "SIPX-F013",
                Severity.WARNING,
                f"{domain} has a static route, which goes before: {', '.join(said)} of its table "
                "here counts for nothing",
                f'say it in [static-routes.route."{domain}"], or take the route away',
            )
