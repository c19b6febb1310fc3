"""``sipx cert ca``: a private authority for a laboratory, or for partners."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sipx.cli.cert_files import (
    FORCE,
    NEW_DAYS,
    checked_stem,
    directory,
    domains,
    on_disk,
    refused,
    store,
    table,
    warn_of_end,
    write,
)
from sipx.cli.command_line import CommandLine, command_options
from sipx.pem_files import RESERVED, Written

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from sipx.certificates.authority import Key, PrivateAuthority

DIR = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    help="Where the authority is; without it `tls` beside the configuration file.",
)
LONGEST_NAME: Final = 64
"""Characters of the longest common name (X.520)."""

_EKUS = click.Choice(["server", "client", "both"])
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False, readable=False)


@click.group()
def ca() -> None:
    """A private authority: make it, issue, renew, list."""


@ca.command("init")
@click.option("--name", default="sipx private CA", show_default=True, help="What it is called.")
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    default=3650,
    show_default=True,
    help="How long it is valid; what it issues ends with it.",
)
@DIR
@FORCE
@command_options
@click.pass_obj
def init(line: CommandLine, name: str, days: int, folder: Path | None, force: bool) -> None:
    """Make the authority: ca.crt to give away, ca.key to keep."""
    from datetime import UTC, datetime

    from sipx.certificates.authority import PrivateAuthority, pem_of

    if not 0 < len(name.strip()) <= LONGEST_NAME:
        raise click.UsageError(f"--name: a name has 1 to {LONGEST_NAME} characters")
    where = directory(line, folder)
    certificate, key = where / f"{RESERVED}.crt", where / f"{RESERVED}.key"
    with on_disk(line, f"{where} cannot be looked at"):
        if not force and (certificate.exists() or key.exists()):
            raise line.failed(
                f"there is an authority already in {where}; --force makes a new one, and then "
                "nobody believes what the old one has issued"
            )
    authority = PrivateAuthority.create(name, datetime.now(UTC), days)
    write(
        line,
        Written(key, pem_of(authority.key), secret=True),
        Written(certificate, authority.cert_pem),
        force=force,
    )
    line.result(
        {"ca": str(certificate), "key": str(key)},
        [
            f"authority:  {certificate}",
            f"its key:    {key}",
            "",
            "Partners believe what it issues with this in the route to you, and the",
            "file of the authority beside their configuration:",
            "",
            'ca = "ca.crt"',
        ],
    )


@ca.command("issue")
@click.argument("domain", nargs=-1)
@click.option("--csr", type=_FILE, help="Sign this request of somebody else; no key is made.")
@NEW_DAYS
@click.option(
    "--eku", type=_EKUS, default="both", show_default=True, help="What the certificate is for."
)
@DIR
@FORCE
@command_options
@click.pass_obj
def issue(
    line: CommandLine,
    domain: tuple[str, ...],
    csr: Path | None,
    days: int,
    eku: str,
    folder: Path | None,
    force: bool,
) -> None:
    """Issue a certificate for domains, or for a request."""
    from datetime import UTC, datetime

    if (csr is None) == (not domain):
        raise click.UsageError(
            "name a DOMAIN, or a request with --csr"
            if csr is None
            else "either DOMAIN or --csr: a request has its own names"
        )
    names = domains(line, domain)
    stem = names[0] if csr is None else checked_stem(line, csr.stem, "rename the request")
    where = directory(line, folder, make=False)
    authority = _authority(line, where)
    now = datetime.now(UTC)
    if csr is not None:
        _issue_for(line, authority, csr, where / f"{stem}.crt", now, days, eku, force)
        return
    try:
        leaf = authority.issue(names, now, days, eku=eku)
    except ValueError as error:
        raise line.failed(str(error)) from None
    files = store(line, where, stem, leaf, force=force)
    warn_of_end(line, authority.ends, days, now)
    _told(line, leaf.certificate, files)


def _issue_for(
    line: CommandLine,
    authority: PrivateAuthority,
    csr: Path,
    path: Path,
    now: datetime,
    days: int,
    eku: str,
    force: bool,
) -> None:
    """A certificate for a request; what of it was left out is said on stderr."""
    from sipx.certificates.authority import left_out, read_request
    from sipx.certificates.own import read_file
    from sipx.identity import certificate_facts

    try:
        asked = read_request(read_file(csr))
        leaf = authority.issue_for(asked, now, days, eku)
    except OSError as error:
        raise refused(line, error) from None
    except ValueError as error:
        raise line.failed(f"{csr}: {error}") from None
    write(line, Written(path, leaf.cert_pem), force=force)
    left = left_out(asked)
    if left:
        line.say(f"left out, because a certificate for SIP proves domains: {', '.join(left)}")
    warn_of_end(line, authority.ends, days, now)
    names = sorted(name.decode() for name in certificate_facts(leaf.certificate).ids)
    line.result(
        {"cert_file": str(path), "names": names},
        [f"certificate:  {path}", f"speaks for:   {', '.join(names)}"],
    )


@ca.command("renew")
@click.argument("file", type=_FILE)
@click.option("--new-key", is_flag=True, help="Make a new key as well.")
@NEW_DAYS
@click.option("--eku", type=_EKUS, help="What it is for from now on; without it as before.")
@DIR
@command_options
@click.pass_obj
def renew(
    line: CommandLine, file: Path, new_key: bool, days: int, eku: str | None, folder: Path | None
) -> None:
    """Renew a certificate FILE: the same names, a later end.

    Only what this authority has issued is renewed. A running proxy takes the new files up by
    itself.
    """
    from datetime import UTC, datetime

    from sipx.certificates.own import read_certificates

    authority = _authority(line, directory(line, folder, make=False))
    file = file.absolute()
    now = datetime.now(UTC)
    try:
        old = read_certificates(file)[0]
        # Whether it is ours at all is asked first; the key beside it may be missing for that.
        leaf = authority.renew(old, now, days, eku=eku)
        if not new_key:
            leaf = authority.renew(old, now, days, eku=eku, key=_key(line, file, old))
    except OSError as error:
        raise refused(line, error, str(file)) from None
    except ValueError as error:
        raise line.failed(f"{file}: {error}") from None
    key_file = file.with_suffix(".key")
    files = [Written(file, leaf.cert_pem)]
    if new_key:
        files.append(Written(key_file, leaf.key_pem, secret=True))
    write(line, *files, force=True)
    warn_of_end(line, authority.ends, days, now)
    _told(line, leaf.certificate, (file, key_file))


def _key(line: CommandLine, file: Path, old: x509.Certificate) -> Key:
    """The key beside a certificate. Exit code 1 without, or where it is that of another one."""
    from sipx.certificates.own import belongs, read_key

    path = file.with_suffix(".key")
    if not path.exists():
        raise line.failed(
            f"{file} has no key beside it ({path.name}): if it was issued for a request, use "
            "`ca issue --csr`; else --new-key"
        )
    key = read_key(path)
    if not belongs(old, key):
        raise line.failed(f"the key in {path} does not belong to {file}: use --new-key")
    return key  # type: ignore[return-value]  # the authority has certified it


@ca.command("list")
@DIR
@command_options
@click.pass_obj
def list_(line: CommandLine, folder: Path | None) -> None:
    """List what it has issued, by the files beside it."""
    from datetime import UTC, datetime

    from sipx.certificates import CertificateError, is_issued_by
    from sipx.certificates.own import read_certificates
    from sipx.identity import certificate_facts

    where = directory(line, folder, make=False)
    authority = _authority(line, where)
    now = datetime.now(UTC)
    found: list[dict[str, Any]] = []
    for path in sorted(where.glob("*.crt")):
        try:
            certificate = read_certificates(path)[0]
        except CertificateError as error:
            line.say(f"{error.text}: not listed")
            continue
        if certificate == authority.certificate:
            continue
        if not is_issued_by(certificate, authority.certificate):
            continue
        facts = certificate_facts(certificate)
        found.append(
            {
                "file": str(path),
                "names": sorted(name.decode() for name in facts.ids),
                "serial": f"{facts.serial:x}",
                "valid_until": facts.not_after.isoformat(),
                "days_left": (facts.not_after - now).days,
            }
        )
    line.result({"issued": found}, _listed(line, found))


def _listed(line: CommandLine, found: Sequence[dict[str, Any]]) -> list[str]:
    from sipx.cli.cert_text import wrapped

    if not found:
        return ["nothing is issued yet"]
    lines: list[str] = []
    for one in found:
        days = one["days_left"]
        left = f"{days} days left" if days >= 0 else "EXPIRED"
        lines.append(f"{Path(one['file']).name}: until {one['valid_until'][:10]}, {left}")
        lines += wrapped("  ", ", ".join(one["names"]) or "no domain")
    return lines


def _authority(line: CommandLine, folder: Path) -> PrivateAuthority:
    """The authority in a directory. Exit code 1 without, 5 where its key may not be read."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    from sipx.certificates.authority import PrivateAuthority
    from sipx.certificates.own import owned, read_certificates, read_key

    certificate, key_file = folder / f"{RESERVED}.crt", folder / f"{RESERVED}.key"
    with on_disk(line, f"{folder} cannot be looked at"):
        if not certificate.exists() and not key_file.exists():
            raise line.failed(
                f"there is no authority in {folder}: `sipx cert ca init` makes one, --dir names "
                "another folder"
            )
    try:
        own = owned("ca", read_certificates(certificate), read_key(key_file), key_file)
    except OSError as error:
        raise refused(line, error) from None
    if not isinstance(own.key, (ec.EllipticCurvePrivateKey, rsa.RSAPrivateKey)):
        raise line.failed(f"the key in {key_file} is neither EC nor RSA: use another authority")
    mode = key_file.stat().st_mode & 0o777
    if os.name == "posix" and mode & 0o077:
        line.say(f"others may read {key_file} (mode {mode:03o}): chmod 600 {key_file}")
    return PrivateAuthority(own.certificate, own.key)


def _told(line: CommandLine, certificate: x509.Certificate, files: tuple[Path, Path]) -> None:
    from sipx.identity import certificate_facts

    facts = certificate_facts(certificate)
    names = sorted(name.decode() for name in facts.ids)
    data = {
        "cert_file": str(files[0]),
        "key_file": str(files[1]),
        "names": names,
        "valid_until": facts.not_after.isoformat(),
    }
    line.result(data, table(files[0].stem, *files))
