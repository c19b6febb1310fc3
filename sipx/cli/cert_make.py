"""``sipx cert request`` and ``self-signed``: a key, and what is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from sipx.cli.cert_files import (
    FORCE,
    NEW_DAYS,
    OUT,
    directory,
    domains,
    store,
    table,
    write,
)
from sipx.cli.command_line import CommandLine, command_options
from sipx.pem_files import Written

if TYPE_CHECKING:
    from pathlib import Path

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
    """Make a key, and a request for an authority to sign.

    Each DOMAIN becomes a subjectAltName, as DNS name and as sip: URI; a full domain name, no
    wildcard and no address.
    """
    from sipx.certificates import authority

    names = domains(line, domain)
    folder = directory(line, out_dir)
    key_file, csr = folder / f"{names[0]}.key", folder / f"{names[0]}.csr"
    key = authority.new_key(key_type)
    write(
        line,
        Written(key_file, authority.pem_of(key), secret=True),
        Written(csr, authority.request(names, key)),
        force=force,
    )
    line.result(
        {"key_file": str(key_file), "request": str(csr), "names": names},
        [
            f"key:      {key_file}",
            f"request:  {csr}",
            "",
            "Give the request to your authority. Put what it returns, the certificate",
            "and its intermediates, into the cert_file of this table:",
            "",
            *table(names[0], folder / f"{names[0]}.crt", key_file),
        ],
    )


@click.command("self-signed")
@click.argument("domain", nargs=-1, required=True)
@NEW_DAYS
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
    """Make a certificate without an authority, to be pinned."""
    from datetime import UTC, datetime

    from sipx.certificates import authority
    from sipx.identity import certificate_facts

    names = domains(line, domain)
    folder = directory(line, out_dir)
    leaf = authority.self_signed(names, authority.new_key(key_type), datetime.now(UTC), days)
    files = store(line, folder, names[0], leaf, force=force)
    spki = certificate_facts(leaf.certificate).spki
    line.result(
        {"cert_file": str(files[0]), "key_file": str(files[1]), "names": names, "spki": spki},
        [
            *table(names[0], *files),
            "",
            "Partners believe it by its key, in the route to you:",
            "",
            f'pins = ["{spki}"]',
        ],
    )
