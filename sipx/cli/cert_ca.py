"""``sipx cert ca``: a private authority for a laboratory, or for partners."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sipx.cli.cert_make import FORCE, directory, domains, store, table, write
from sipx.cli.command_line import CommandLine, command_options

if TYPE_CHECKING:
    from sipx.certificates.authority import PrivateAuthority

DIR = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the authority is; without it `tls` beside the configuration file.",
)
DAYS = click.option("--days", type=click.IntRange(1, 36500), default=398, show_default=True)
EKU = click.option(
    "--eku",
    type=click.Choice(["server", "client", "both"]),
    default="both",
    show_default=True,
    help="What the certificate is for.",
)


@click.group()
def ca() -> None:
    """A private authority: make it, issue certificates, renew them."""


@ca.command("init")
@click.option("--name", default="sipx private CA", show_default=True)
@click.option("--days", type=click.IntRange(1, 36500), default=3650, show_default=True)
@DIR
@FORCE
@command_options
@click.pass_obj
def init(line: CommandLine, name: str, days: int, folder: Path | None, force: bool) -> None:
    """Make the authority: ca.crt for everybody, ca.key for nobody."""
    from datetime import UTC, datetime

    from sipx.certificates.authority import PrivateAuthority, pem_of

    where = directory(line, folder)
    authority = PrivateAuthority.create(name, datetime.now(UTC), days)
    if (where / "ca.crt").exists() and not force:
        raise line.failed(f"{where / 'ca.crt'} is there already; --force makes a new authority")
    write(line, where / "ca.key", pem_of(authority.key), force=force, secret=True)
    write(line, where / "ca.crt", authority.cert_pem, force=force)
    line.result(
        {"ca": str(where / "ca.crt"), "key": str(where / "ca.key")},
        [
            f"authority:  {where / 'ca.crt'}",
            f"its key:    {where / 'ca.key'}",
            "",
            "Partners believe what it issues with this in the route to you:",
            "",
            'ca = "ca.crt"',
        ],
    )


@ca.command("issue")
@click.argument("domain", nargs=-1)
@click.option(
    "--csr",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Sign this request of somebody else, instead of making a key.",
)
@DAYS
@EKU
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
    """A certificate for domains, with a new key; or for a request."""
    from datetime import UTC, datetime

    from cryptography import x509

    where = directory(line, folder)
    authority = _authority(line, where)
    now = datetime.now(UTC)
    if csr is not None:
        if domain:
            raise click.UsageError("either DOMAIN or --csr: a request has its own names")
        try:
            leaf = authority.issue_for(x509.load_pem_x509_csr(csr.read_bytes()), now, days, eku)
        except ValueError as error:
            raise line.failed(f"{csr}: {error}") from None
        path = where / f"{csr.stem}.crt"
        write(line, path, leaf.cert_pem, force=force)
        line.result({"cert_file": str(path)}, f"certificate:  {path}")
        return
    if not domain:
        raise click.UsageError("name a DOMAIN, or a request with --csr")
    names = domains(line, domain)
    files = store(line, where, names[0], authority.issue(names, now, days, eku=eku), force=force)
    _told(line, names, files)


@ca.command("renew")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--new-key", is_flag=True, help="Make a new key as well.")
@DAYS
@EKU
@DIR
@command_options
@click.pass_obj
def renew(
    line: CommandLine, file: Path, new_key: bool, days: int, eku: str, folder: Path | None
) -> None:
    """The same names again, for a certificate FILE that this authority has issued.

    A running proxy takes the new files up by itself.
    """
    from datetime import UTC, datetime

    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from sipx.certificates import CertificateError
    from sipx.certificates.authority import names_of
    from sipx.certificates.own import read_certificates, read_file

    authority = _authority(line, directory(line, folder))
    key_file = file.with_suffix(".key")
    try:
        names = names_of(read_certificates(file)[0])
        key = None if new_key else load_pem_private_key(read_file(key_file), None)
    except (CertificateError, ValueError, TypeError) as error:
        raise line.failed(f"{error}") from None
    if not names:
        raise line.failed(f"{file} names no domain as subjectAltName")
    leaf = authority.issue(names, datetime.now(UTC), days, eku=eku, key=key)  # type: ignore[arg-type]  # it signed before
    files = store(line, file.parent, file.stem, leaf, force=True)
    _told(line, names, files)


@ca.command("list")
@DIR
@command_options
@click.pass_obj
def list_(line: CommandLine, folder: Path | None) -> None:
    """What this authority has issued, as far as the certificates are beside it."""
    from datetime import UTC, datetime

    from sipx.certificates import CertificateError, is_issued_by
    from sipx.certificates.own import read_certificates
    from sipx.identity import certificate_facts

    where = directory(line, folder)
    authority = _authority(line, where)
    now = datetime.now(UTC)
    found: list[dict[str, Any]] = []
    for path in sorted(where.glob("*.crt")):
        try:
            certificate = read_certificates(path)[0]
        except CertificateError:
            continue
        if path.name == "ca.crt" or not is_issued_by(certificate, authority.certificate):
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
    rows = [
        (Path(f["file"]).name, ", ".join(f["names"]), f["valid_until"][:10], str(f["days_left"]))
        for f in found
    ]
    text = line.table(("file", "names", "until", "days"), rows) if rows else "nothing is issued yet"
    line.result({"issued": found}, text)


def _authority(line: CommandLine, folder: Path) -> PrivateAuthority:
    """The authority in a directory. Exit code 1 without."""
    from sipx.certificates import CertificateError
    from sipx.certificates.authority import PrivateAuthority
    from sipx.certificates.own import load_own
    from sipx.config.model import CertificateConfig

    try:
        files = CertificateConfig(cert_file=folder / "ca.crt", key_file=folder / "ca.key")
        own = load_own("ca", files)
    except CertificateError as error:
        raise line.failed(f"{error.text}; `sipx cert ca init` makes an authority") from None
    return PrivateAuthority(own.certificate, own.key)  # type: ignore[arg-type]  # init made it


def _told(line: CommandLine, names: list[str], files: tuple[Path, Path]) -> None:
    data = {"cert_file": str(files[0]), "key_file": str(files[1]), "names": names}
    line.result(data, table(names[0], *files))
