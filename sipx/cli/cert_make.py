"""``sipx cert request``, ``self-signed`` and ``import``: files that a certificate table names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipx.cli import config_file
from sipx.cli.command_line import CommandLine, command_options
from sipx.cli.exits import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

OUT = click.option(
    "--out-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the files go; without it `tls` beside the configuration file.",
)
FORCE = click.option("--force", is_flag=True, help="Write over files that are there.")
KEY_TYPE = click.option(
    "--key-type",
    type=click.Choice(["ec", "rsa"]),
    default="ec",
    show_default=True,
    help="EC P-256 or RSA 3072.",
)


@click.command()
@click.argument("domain", nargs=-1, required=True)
@KEY_TYPE
@OUT
@FORCE
@command_options
@click.pass_obj
def request(
    line: CommandLine, domain: tuple[str, ...], key_type: str, out_dir: Path | None, force: bool
) -> None:
    """A key, and the request that an authority turns into a certificate.

    Each DOMAIN becomes a subjectAltName, as DNS name and as sip: URI.
    """
    from sipx.certificates import authority

    names = domains(line, domain)
    key = authority.new_key(key_type)
    folder = directory(line, out_dir)
    key_file, csr = folder / f"{names[0]}.key", folder / f"{names[0]}.csr"
    write(line, key_file, authority.pem_of(key), force=force, secret=True)
    write(line, csr, authority.request(names, key), force=force)
    line.result(
        {"key_file": str(key_file), "request": str(csr), "names": names},
        [
            f"key:      {key_file}",
            f"request:  {csr}",
            "",
            "Give the request to your authority. Put what it returns, the certificate and its",
            f"intermediates, into {folder / names[0]}.crt, and then:",
            "",
            *table(names[0], folder / f"{names[0]}.crt", key_file),
        ],
    )


@click.command("self-signed")
@click.argument("domain", nargs=-1, required=True)
@click.option("--days", type=click.IntRange(1, 36500), default=398, show_default=True)
@KEY_TYPE
@OUT
@FORCE
@command_options
@click.pass_obj
def self_signed(
    line: CommandLine,
    domain: tuple[str, ...],
    days: int,
    key_type: str,
    out_dir: Path | None,
    force: bool,
) -> None:
    """A certificate without an authority, for partners that pin its key."""
    from datetime import UTC, datetime

    from sipx.certificates import authority
    from sipx.identity import certificate_facts

    names = domains(line, domain)
    leaf = authority.self_signed(names, authority.new_key(key_type), datetime.now(UTC), days)
    files = store(line, directory(line, out_dir), names[0], leaf, force=force)
    spki = certificate_facts(leaf.certificate).spki
    line.result(
        {"cert_file": str(files[0]), "key_file": str(files[1]), "names": names, "spki": spki},
        [
            *table(names[0], *files),
            "",
            "Partners believe it by its key:",
            "",
            f'pins = ["{spki}"]',
        ],
    )


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--name", help="What the files are called; without it the name of FILE.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Holds the password of a PKCS #12 file; without it you are asked.",
)
@OUT
@FORCE
@command_options
@click.pass_obj
def import_(
    line: CommandLine,
    file: Path,
    name: str | None,
    password_file: Path | None,
    out_dir: Path | None,
    force: bool,
) -> None:
    """Take a PKCS #12 file, as Windows exports it, or a PEM file with certificate and key."""
    from sipx.certificates import CertificateError
    from sipx.certificates.authority import Leaf
    from sipx.certificates.own import load_own
    from sipx.config.model import CertificateConfig
    from sipx.config.secrets import Secret

    stem = name or file.stem
    if file.read_bytes()[:4096].lstrip().startswith(b"-----"):
        read = CertificateConfig(cert_file=file, key_file=file)
    else:
        password = _password(file, password_file)
        read = CertificateConfig(
            pkcs12_file=file, pkcs12_password=Secret(password) if password else None
        )
    try:
        own = load_own(stem, read)
    except CertificateError as error:
        raise line.failed(str(error)) from None
    leaf = Leaf(own.certificate, own.key, own.chain)  # type: ignore[arg-type]  # any key has a PEM
    files = store(line, directory(line, out_dir), stem, leaf, force=force)
    line.result(
        {
            "cert_file": str(files[0]),
            "key_file": str(files[1]),
            "names": sorted(one.decode() for one in own.facts.ids),
            "chain": len(own.chain),
            "valid_until": own.facts.not_after.isoformat(),
        },
        [own.facts.describe(), "", *table(stem, *files)],
    )


def _password(file: Path, password_file: Path | None) -> str:
    if password_file is not None:
        return password_file.read_text(encoding="utf-8").rstrip("\r\n")
    return str(click.prompt(f"password of {file}", hide_input=True, default="", err=True))


# ---------------------------------------------------------------- shared by the commands


def domains(line: CommandLine, given: Sequence[str]) -> list[str]:
    """The domains in canonical form. Exit code 2 for what is none."""
    from sipx.domains import canonical_domain

    try:
        return list(dict.fromkeys(canonical_domain(one).decode() for one in given))
    except ValueError as error:
        raise line.failed(str(error), ExitCode.WRONG_USE) from None


def directory(line: CommandLine, given: Path | None) -> Path:
    """Where files go: ``tls`` beside the configuration file, made if need be."""
    found = config_file.find(line.config)
    folder = given or (Path() if found is None else found.path.parent) / "tls"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def write(line: CommandLine, path: Path, data: bytes, *, force: bool, secret: bool = False) -> None:
    """Write a whole file or none; what is there stays unless it is forced. Exit code 1."""
    if path.exists() and not force:
        raise line.failed(f"{path} is there already; --force writes over it")
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    opener: Callable[[str, int], int] = lambda name, flags: os.open(  # noqa: E731  # open() wants it
        name, flags, 0o600 if secret else 0o644
    )
    with open(fresh, "xb", opener=opener) as file:
        file.write(data)
    fresh.replace(path)


def store(
    line: CommandLine, folder: Path, stem: str, leaf: object, *, force: bool
) -> tuple[Path, Path]:
    """Write a certificate with its chain, and its key."""
    from sipx.certificates.authority import Leaf

    assert isinstance(leaf, Leaf)
    certificate, key = folder / f"{stem}.crt", folder / f"{stem}.key"
    if certificate.exists() and not force:
        raise line.failed(f"{certificate} is there already; --force writes over it")
    write(line, key, leaf.key_pem, force=force, secret=True)
    write(line, certificate, leaf.cert_pem, force=force)
    return certificate, key


def table(name: str, certificate: Path, key: Path) -> list[str]:
    """The lines for the configuration file."""
    safe = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
    return [
        f"[certificate.{safe}]",
        f'cert_file = "{certificate.absolute()}"',
        f'key_file = "{key.absolute()}"',
    ]
