"""What the proxy says of a certificate: its chain, its usage, and the profiles for a domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from sipx.certificates import CertificateStore
    from sipx.cli.command_line import CommandLine
    from sipx.config.model import KernelConfig
    from sipx.identity import Partner, PeerCertificate

CONNECTING: Final = "connecting to us"
CONNECTED: Final = "connected to"
_ROLES: Final = {CONNECTING: "when it connects to us", CONNECTED: "when we connect to it"}


def route_of(store: CertificateStore, domain: str) -> Partner | None:
    """The partner whose route is the most specific one for a domain, over TLS."""
    from sipx.domains import DomainTable, canonical_pattern

    routes: dict[bytes, Partner] = {}
    for partner in store.partners:
        try:
            routes.setdefault(canonical_pattern(partner.name), partner)
        except ValueError:
            continue  # the name of a partner is a plugin's, and need not be a domain
    return DomainTable(routes).match(domain.encode())


def domain_of(line: CommandLine, given: str) -> str:
    """The domain of ``--explain`` in canonical form. Exit code 2."""
    from sipx.domains import canonical_domain

    try:
        return canonical_domain(given).decode()
    except ValueError as error:
        raise line.failed(f"--explain: {error}", ExitCode.WRONG_USE) from None


# ---------------------------------------------------------------- chain and usage


def chain_verdict(
    store: CertificateStore, chain: Sequence[x509.Certificate], partner: Partner | None
) -> tuple[bool, str]:
    """What the proxy would find, with the widest EKU policy: that is told for itself.

    With ``partner`` for its route; whom the certificate names is told by the profiles.
    """
    from sipx.certificates import CertificateError
    from sipx.identity import EkuPolicy, certificate_facts, proves
    from sipx.tls import Tls, TlsError
    from sipx.trust import CertificateFault

    where = "" if partner is None else f" by the route {partner.name}"
    if partner is not None and not partner.verify:
        return True, f"not looked at{where}: it takes any certificate"
    facts = certificate_facts(chain[0])
    wanted = None if partner is None else _any_name(partner, facts)
    try:
        if partner is None or not (partner.ca or partner.pins):
            store.trust()
        found = Tls(store, store.wall).examiner.examine(
            chain[0],
            chain[1:],
            accepting=partner is None,
            policy=EkuPolicy.ANY,
            partner=wanted,
            who="it",
        )
    except TlsError as error:
        rule = error.text.rpartition(" did not pass: ")[2]
        if wanted is not None and error.fault is CertificateFault.NO_NAME:
            if proves(wanted, facts) is not None:
                return False, f"none of the authorities that are asked{where} (ca) vouches for it"
            return True, f"believed{where}, as far as the chain goes"
        if error.fault is CertificateFault.WRONG_PURPOSE:
            return True, f"believed{where}, as far as the chain goes"
        return False, f"{rule}; {error.remedy}"
    except CertificateError as error:
        return False, str(error)
    if partner is not None:
        return True, f"believed{where}"
    if found.general:
        return True, "an authority of [trust] vouches for it"
    routes = ", ".join(sorted(found.partners))
    return True, f"believed as the route {routes} only, by its own ca or pins"


def _any_name(partner: Partner, leaf: PeerCertificate) -> Partner:
    """A partner that has the names of this certificate, so that its chain alone decides."""
    from dataclasses import replace

    names = partner.names | leaf.ids | ({leaf.common_name} if leaf.common_name else set())
    pins = frozenset() if partner.ca else partner.pins
    return replace(partner, names=names, profiles=("direct",), pins=pins)


def policies(leaf: PeerCertificate) -> dict[str, dict[str, str | None]]:
    """What each EKU policy says, in both roles; None: it takes it."""
    from sipx.identity import EkuPolicy, eku_refusal

    return {
        policy.value: {
            CONNECTING: eku_refusal(policy, leaf.eku, accepting=True),
            CONNECTED: eku_refusal(policy, leaf.eku, accepting=False),
        }
        for policy in EkuPolicy
    }


def usage_refusal(said: dict[str, dict[str, str | None]], partner: Partner | None) -> str | None:
    """Why its usage is taken in no role, by the route's own policy or by any but "any"; or None."""
    if partner is not None and partner.eku is not None:
        asked = [said[partner.eku.value]]
        why = f"the route {partner.name} has the policy {partner.eku.value}, which does not take it"
    else:
        asked = [roles for policy, roles in said.items() if policy != "any"]
        why = 'only the policy any takes it: eku_policy = "any" in the route'
    return None if any(w is None for roles in asked for w in roles.values()) else why


def policy_line(roles: dict[str, str | None]) -> str:
    """The verdict of one policy in a few words."""
    refusals = {role: why for role, why in roles.items() if why is not None}
    if not refusals:
        return "good"
    wants = " and ".join(dict.fromkeys(why.rpartition(" wants ")[2] for why in refusals.values()))
    when = f" {_ROLES[next(iter(refusals))]}" if len(refusals) == 1 else ""
    return f"refused{when}: it wants {wants}"


# ---------------------------------------------------------------- profiles


def profiles(
    config: KernelConfig, leaf: PeerCertificate, domain: str, host: str, partner: Partner | None
) -> dict[str, dict[str, Any]]:
    """Each profile of docs/security.md for one domain; ``direct`` as the route has it, if any."""
    from sipx.identity import Partner, by_direct, by_ms_suffix, by_rfc5922, name_refusal

    no_provider = "no provider's suffix is configured: open federation is not there yet"

    wanted = domain.encode()
    names = {wanted} | ({host.lower().encode()} if host else set())
    targets, dns = _srv(config, domain)
    verdicts = {
        "rfc5922": (by_rfc5922(leaf, wanted), Partner("", wanted, profiles=("rfc5922",)), ""),
        "direct": (by_direct(leaf, names), Partner("", names=frozenset(names)), ""),
        "ms-suffix": (
            by_ms_suffix(leaf, wanted, targets),
            Partner("", names=frozenset(targets)),
            dns,
        ),
        "hosting": (None, Partner(""), no_provider),
    }
    found = {
        profile: {
            "good": proof is not None,
            "why": f"it names {proof.name.decode()}"
            if proof is not None
            else dns_failed or name_refusal(asked, leaf).partition(";")[0],
        }
        for profile, (proof, asked, dns_failed) in verdicts.items()
    }
    if partner is not None:
        found["direct"] = _by_route(partner, leaf)
    return found


def _by_route(partner: Partner, leaf: PeerCertificate) -> dict[str, Any]:
    from sipx.identity import name_refusal, proves

    proof = proves(partner, leaf)
    if not partner.verify:
        good, why = True, "it takes any certificate"
    elif proof is None:
        good, why = False, name_refusal(partner, leaf)
    elif leaf.spki in partner.pins:
        good, why = True, "its key is pinned"
    else:
        weakness = f", {proof.weakness}" if proof.weakness else ""
        good, why = True, f"it names {proof.name.decode()}{weakness}"
    return {"good": good, "why": f"by the route {partner.name}: {why}"}


def _srv(config: KernelConfig, domain: str) -> tuple[tuple[bytes, ...], str]:
    """The targets of ``_sipfederationtls._tcp``, or why there are none."""
    import trio

    from sipx.interfaces import host_port
    from sipx.lookup import DnsSettings, ResolveError
    from sipx.resolver import Resolver

    servers = tuple(host_port(s.host, s.port).decode() for s in config.dns.servers)
    settings = DnsSettings(servers, timeout=config.dns.timeout)

    async def ask() -> tuple[bytes, ...]:
        records = await Resolver(settings).srv(f"_sipfederationtls._tcp.{domain}")
        return tuple(record.target.rstrip(".").lower().encode() for record in records)

    try:
        return trio.run(ask), ""
    except ResolveError as error:
        return (), f"no SRV target to compare it with: {error}"
