"""``sipx cert show``: one certificate in full, and what every rule of the proxy says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sipx.cli import config_file
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from sipx.certificates import CertificateStore, OwnCertificate
    from sipx.certificates.probe import Probed
    from sipx.config.model import KernelConfig
    from sipx.identity import PeerCertificate


class Source(NamedTuple):
    """Where the chain was found."""

    what: str
    host: str
    chain: Sequence[x509.Certificate]
    live: Probed | None = None


@click.command()
@click.argument("what", metavar="NAME|FILE|HOST:PORT")
@click.option("--explain", metavar="DOMAIN", help="What each profile says of it for this domain.")
@click.option("--sni", metavar="NAME", help="Ask a live server for this name.")
@click.option("--certificate", metavar="NAME", help="Show a live server this one of ours.")
@click.option(
    "--timeout", type=float, default=8.0, show_default=True, help="Seconds for a live server."
)
@command_options
@click.pass_obj
def show(
    line: CommandLine,
    what: str,
    explain: str | None,
    sni: str | None,
    certificate: str | None,
    timeout: float,
) -> None:
    """A certificate of the configuration, of a file, or of a live server.

    With its whole chain, what [trust] says of it, which policies take it, and the line that pins
    its key. Nothing is believed, only looked at. The exit code is 1 when it would be refused.
    """
    from datetime import UTC, datetime

    from sipx.identity import certificate_facts

    with _certificates(line) as store:
        source = _find(line, store, what, sni, certificate, timeout)
        leaf = certificate_facts(source.chain[0])
        trusted, why = _chain_verdict(store, source.chain)
        profiles = {} if explain is None else _profiles(line, store.config, leaf, explain, source)
    now = datetime.now(UTC)
    data = {
        "what": source.what,
        "chain": [_described(one, now) for one in source.chain],
        "tls": None
        if source.live is None
        else {
            "address": source.live.address,
            "version": source.live.version,
            "cipher": source.live.cipher,
            "wants_our_certificate": source.live.wants_ours,
        },
        "trusted": trusted,
        "why": why,
        "eku": _policies(leaf),
        "spki": leaf.spki,
        "explain": None if explain is None else {"domain": explain, "profiles": profiles},
    }
    line.result(data, list(_text(data)))
    good = trusted and (explain is None or any(verdict["good"] for verdict in profiles.values()))
    if not good:
        raise click.exceptions.Exit(ExitCode.BAD_ANSWER)


# ---------------------------------------------------------------- what is looked at


def _certificates(line: CommandLine) -> Any:
    """The certificates of the configuration, or of a proxy without one."""
    from contextlib import contextmanager

    from sipx.certificates import CertificateStore
    from sipx.config.model import KernelConfig

    @contextmanager
    def without() -> Iterator[CertificateStore]:
        yield CertificateStore(KernelConfig(domains=("example.invalid",)))

    @contextmanager
    def configured() -> Iterator[CertificateStore]:
        with line.dry_run() as dry:
            yield dry.certificates

    return without() if config_file.find(line.config) is None else configured()


def _find(
    line: CommandLine,
    store: CertificateStore,
    what: str,
    sni: str | None,
    certificate: str | None,
    timeout: float,
) -> Source:
    from sipx.certificates import CertificateError
    from sipx.certificates.own import read_certificates

    try:
        if what in store.config.certificate:
            own = store.own(what)
            return Source(f"[certificate.{what}]", "", (own.certificate, *own.chain))
        if Path(what).is_file():
            return Source(what, "", read_certificates(Path(what)))
        ours = None if certificate is None else store.own(certificate)
    except CertificateError as error:
        raise line.failed(str(error)) from None
    return _live(line, what, sni, ours, timeout)


def _live(
    line: CommandLine, what: str, sni: str | None, own: OwnCertificate | None, timeout: float
) -> Source:
    from sipx.addresses import parse_address
    from sipx.certificates.probe import probe

    host, colon, port = what.rpartition(":")
    if not colon or not port.isdecimal() or not 0 < int(port) < 65536:
        raise line.failed(
            f"'{what}' is no [certificate.NAME], no file, and no HOST:PORT such as "
            "sip.partner.example:5061",
            ExitCode.WRONG_USE,
        )
    host = host.strip("[]")
    name = sni if sni is not None else "" if parse_address(host) is not None else host
    try:
        found = probe(host, int(port), server_name=name, own=own, timeout=timeout)
    except (OSError, UnicodeError) as error:
        raise line.failed(f"{what}: {error}", ExitCode.UNREACHABLE) from None
    if not found.chain:
        raise line.failed(f"{what} showed no certificate")
    return Source(what, host, found.chain, found)


# ---------------------------------------------------------------- verdicts


def _chain_verdict(store: CertificateStore, chain: Sequence[x509.Certificate]) -> tuple[bool, str]:
    """What the proxy would find, with the widest EKU policy: that is told for itself."""
    from sipx.certificates import CertificateError
    from sipx.identity import EkuPolicy
    from sipx.tls import Tls, TlsError

    try:
        store.trust()
        found = Tls(store, store.wall).examiner.examine(
            chain[0], chain[1:], accepting=True, policy=EkuPolicy.ANY, who="it"
        )
    except (TlsError, CertificateError) as error:
        return False, str(error)
    if found.general:
        return True, "an authority of [trust] vouches for it"
    routes = ", ".join(sorted(found.partners))
    return True, f"believed as the route {routes} only, by its own ca or pins"


def _policies(leaf: PeerCertificate) -> dict[str, dict[str, str | None]]:
    from sipx.identity import EkuPolicy, eku_refusal

    return {
        policy.value: {
            "connecting to us": eku_refusal(policy, leaf.eku, accepting=True),
            "connected to": eku_refusal(policy, leaf.eku, accepting=False),
        }
        for policy in EkuPolicy
    }


def _profiles(
    line: CommandLine, config: KernelConfig, leaf: PeerCertificate, domain: str, source: Source
) -> dict[str, dict[str, Any]]:
    """Each profile of docs/security.md for one domain."""
    from sipx.cli.cert_make import domains
    from sipx.identity import Partner, by_direct, by_ms_suffix, by_rfc5922, name_refusal

    no_provider = "no provider's suffix is configured: open federation is not there yet"

    wanted = domains(line, [domain])[0].encode()
    names = {wanted} | ({source.host.lower().encode()} if source.host else set())
    targets, dns = _srv(config, wanted.decode())
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
    return {
        profile: {
            "good": proof is not None,
            "why": f"it names {proof.name.decode()}"
            if proof is not None
            else dns_failed or name_refusal(partner, leaf).partition(";")[0],
        }
        for profile, (proof, partner, dns_failed) in verdicts.items()
    }


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


# ---------------------------------------------------------------- text


def _described(certificate: x509.Certificate, now: Any) -> dict[str, Any]:
    from sipx.identity import certificate_facts

    facts = certificate_facts(certificate)
    hash_ = certificate.signature_hash_algorithm
    return {
        "subject": facts.subject,
        "issuer": facts.issuer,
        "serial": f"{facts.serial:x}",
        "valid_from": facts.not_before.isoformat(),
        "valid_until": facts.not_after.isoformat(),
        "days_left": (facts.not_after - now).days,
        "names": sorted(name.decode() for name in facts.ids | facts.wildcards),
        "key": type(certificate.public_key()).__name__.removesuffix("PublicKey"),
        "key_size": getattr(certificate.public_key(), "key_size", None),
        "signature": None if hash_ is None else hash_.name,
        "eku": None if facts.eku is None else sorted(facts.eku),
        "fingerprint": facts.fingerprint,
        "spki": facts.spki,
    }


def _text(data: dict[str, Any]) -> Iterator[str]:
    yield data["what"]
    if data["tls"] is not None:
        tls = data["tls"]
        wants = ", wants a certificate of ours" if tls["wants_our_certificate"] else ""
        yield f"  {tls['address']}, {tls['version']}, {tls['cipher']}{wants}"
    for number, one in enumerate(data["chain"]):
        yield ""
        yield f"{number}  subject      {one['subject']}"
        yield f"   issuer       {one['issuer']}"
        yield f"   serial       {one['serial']}"
        until = f"{one['valid_from'][:10]} to {one['valid_until'][:10]}"
        yield f"   valid        {until}, {one['days_left']} days left"
        yield f"   names        {', '.join(one['names']) or 'none'}"
        size = "" if one["key_size"] is None else f" {one['key_size']} bits"
        signed = one["signature"] or "its own hash"
        yield f"   key          {one['key']}{size}, signed with {signed}"
        yield f"   fingerprint  {one['fingerprint']}"
    yield ""
    yield f"chain:   {'good' if data['trusted'] else 'REFUSED'}: {data['why']}"
    for policy, roles in data["eku"].items():
        for role, why in roles.items():
            yield f"eku:     {policy}, {role}: {'good' if why is None else f'REFUSED: {why}'}"
    if data["explain"] is not None:
        domain = data["explain"]["domain"]
        for profile, verdict in data["explain"]["profiles"].items():
            said = "good" if verdict["good"] else "no"
            yield f"profile: {profile} for {domain}: {said}: {verdict['why']}"
    yield ""
    yield f'pins = ["{data["spki"]}"]'
