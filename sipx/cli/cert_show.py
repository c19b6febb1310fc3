"""``sipx cert show``: one certificate in full, and what every rule of the proxy says of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from sipx.cli import config_file
from sipx.cli.cert_files import refused
from sipx.cli.cert_text import described, validity, wrapped
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from sipx.certificates import CertificateError, CertificateStore
    from sipx.certificates.probe import Probed


class Source(NamedTuple):
    """Where the chain was found. ``error``: what is wrong beside it, such as the key.

    ``refusal``: why a live server did not want us.
    """

    what: str
    host: str
    chain: Sequence[x509.Certificate]
    live: Probed | None = None
    error: CertificateError | None = None
    refusal: str | None = None


def _finite(ctx: click.Context, param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter("is no number of seconds")
    return value


@click.command()
@click.argument("what", metavar="NAME|FILE|HOST:PORT")
@click.option("--explain", metavar="DOMAIN", help="What each profile says of it for this domain.")
@click.option("--sni", metavar="NAME", help="Ask a live server for this name.")
@click.option(
    "--certificate",
    metavar="NAME",
    help="Show a live server this one of ours, and tell if it is refused.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=300),
    callback=_finite,
    default=8.0,
    show_default=True,
    help="Seconds for a live server, all in all.",
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
    """Show one of ours, of a file, or of a live server.

    With its whole chain, what [trust] says of it, which policies take it, and the line that pins
    its key; with --explain by the route of that domain, where there is one. Nothing is believed,
    only looked at. The exit code is 1 when it would be refused,
    and 4 when the server cannot be reached.
    """
    from datetime import UTC, datetime

    from sipx.cli import cert_explain
    from sipx.identity import certificate_facts

    domain = None if explain is None else cert_explain.domain_of(line, explain)
    with _certificates(line) as store:
        source = _find(line, store, what, sni, certificate, timeout)
        leaf = certificate_facts(source.chain[0])
        route = None if domain is None else cert_explain.route_of(store, domain)
        trusted, why = cert_explain.chain_verdict(store, source.chain, route)
        profiles = (
            {}
            if domain is None
            else cert_explain.profiles(store.config, leaf, domain, source.host, route)
        )
    eku = cert_explain.policies(leaf)
    usage = cert_explain.usage_refusal(eku, route)
    now = datetime.now(UTC)
    data = {
        "what": source.what,
        "error": _error(source.error),
        "chain": [described(one, now) for one in source.chain],
        "tls": _tls(source),
        "trusted": trusted,
        "why": why,
        "eku": eku,
        "eku_refusal": usage,
        "spki": leaf.spki,
        "explain": None
        if domain is None
        else {
            "domain": domain,
            "route": None if route is None else route.name,
            "profiles": profiles,
        },
    }
    line.result(data, list(_text(data)))
    if source.error is not None:
        line.say(str(source.error))
    asked = profiles if route is None else {"direct": profiles["direct"]}
    proven = domain is None or any(verdict["good"] for verdict in asked.values())
    if not (trusted and usage is None and proven and source.error is None):
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
    from sipx.cli import cert_live
    from sipx.config.errors import did_you_mean

    try:
        if what in store.config.certificate:
            return _configured(store, what)
        path = Path(what)
        if what and _is_there(path) and path.is_dir():
            raise line.failed(f"{what} is a directory: name a file in it", ExitCode.WRONG_USE)
        if what and _is_there(path):
            return Source(what, "", _of_file(path))
        if certificate is not None and certificate not in store.config.certificate:
            meant = did_you_mean(certificate, store.config.certificate)
            raise line.failed(
                f"--certificate: there is no [certificate.{certificate}]; "
                f"{meant or '`sipx cert list` lists them'}",
                ExitCode.WRONG_USE,
            )
        own = None if certificate is None else store.own(certificate)
    except OSError as error:
        raise refused(line, error, what[:80]) from None
    meant = did_you_mean(what, store.config.certificate)
    otherwise = (
        f"'{what}' is no [certificate.NAME], no file, and no HOST:PORT such as "
        f"sip.partner.example:5061{'; ' if meant else ''}{meant}"
    )
    place = cert_live.place_of(line, what, otherwise)
    if sni is not None:
        place = place._replace(name=cert_live.sni_of(line, sni))
    found = cert_live.looked_at(line, what, place, own, timeout)
    host = "" if "%" in place.host else place.host
    return Source(what, host, found.chain, found, None, cert_live.refusal_of(found, own))


def _is_there(path: Path) -> bool:
    """Whether this is a path of something; what is too long for one or has a NUL is none."""
    try:
        path.lstat()
    except PermissionError:
        raise
    except (OSError, ValueError):
        return False
    return True


def _configured(store: CertificateStore, name: str) -> Source:
    """A certificate of ours; where only its key is at fault, the certificate all the same."""
    from sipx.certificates import CertificateError
    from sipx.certificates.own import read_certificates

    what = f"[certificate.{name}]"
    try:
        own = store.own(name)
    except CertificateError as error:
        path = store.config.certificate[name].cert_file
        if path is None:
            raise
        try:
            return Source(what, "", read_certificates(path), error=error)
        except CertificateError:
            raise error from None
    return Source(what, "", (own.certificate, *own.chain))


def _of_file(path: Path) -> list[x509.Certificate]:
    from sipx.certificates import CertificateError
    from sipx.certificates.own import certificates_in, read_file

    data = read_file(path)
    found = certificates_in(data)
    if found:
        return found
    if not data.strip():
        remedy = "name another file"
        raise CertificateError("SIPX-T002", f"{path} is empty", remedy)
    remedy = "PEM, DER and PKCS #7 are read; a PKCS #12 file goes through `sipx cert import` first"
    raise CertificateError("SIPX-T002", f"{path} holds no certificate that can be read", remedy)


# ---------------------------------------------------------------- what is said


def _error(error: CertificateError | None) -> dict[str, str] | None:
    if error is None:
        return None
    return {"code": error.code, "text": error.text, "remedy": error.remedy}


def _tls(source: Source) -> dict[str, Any] | None:
    live = source.live
    if live is None:
        return None
    return {
        "address": live.address,
        "version": live.version,
        "cipher": live.cipher,
        "wants_our_certificate": live.wants_ours,
        "refusal": source.refusal,
    }


def _text(data: dict[str, Any]) -> Iterator[str]:
    yield data["what"]
    tls = data["tls"]
    if tls is not None:
        yield f"  {tls['address']}, {tls['version']}, {tls['cipher']}"
        if tls["wants_our_certificate"]:
            yield "  it wants a certificate of ours: --certificate NAME shows it one"
        elif tls["refusal"] is not None:
            yield from wrapped("  ", tls["refusal"])
    for number, one in enumerate(data["chain"]):
        yield ""
        yield from _of_one(number, one)
    yield ""
    said = "good" if data["trusted"] else "REFUSED"
    yield from wrapped("chain:   ", f"{said}: {data['why']}")
    yield from _of_eku(data)
    if data["explain"] is not None:
        domain = data["explain"]["domain"]
        for profile, verdict in data["explain"]["profiles"].items():
            said = "good" if verdict["good"] else "no"
            yield from wrapped("profile: ", f"{profile} for {domain}: {said}: {verdict['why']}")
    yield ""
    yield f'pins = ["{data["spki"]}"]'


def _of_one(number: int, one: dict[str, Any]) -> Iterator[str]:
    """One certificate; what authorities have no use for is told of the first alone."""
    yield from wrapped(f"{number:<2} subject      ", one["subject"])
    yield from wrapped("   issuer       ", one["issuer"])
    yield f"   serial       {one['serial']}"
    yield f"   valid        {validity(one)}"
    if number == 0 or one["names"]:
        yield from wrapped("   names        ", ", ".join(one["names"]) or "none")
    if number == 0:
        yield from wrapped("   speaks for   ", ", ".join(one["identities"]) or "no domain")
        purposes = "any, it does not say" if one["eku"] is None else ", ".join(one["eku"])
        yield from wrapped("   used for     ", purposes or "nothing that can be read")
    size = "" if one["key_size"] is None else f" {one['key_size']} bits"
    yield f"   key          {one['key']}{size}, signed with {one['signature'] or 'its own hash'}"
    yield f"   fingerprint  {one['fingerprint']}"


def _of_eku(data: dict[str, Any]) -> Iterator[str]:
    from sipx.cli.cert_explain import policy_line

    label = "eku:     "
    for policy, roles in data["eku"].items():
        yield from wrapped(label, f"{policy}: {policy_line(roles)}")
        label = " " * len(label)
    if data["eku_refusal"] is not None:
        yield from wrapped(label, f"REFUSED: {data['eku_refusal']}")
