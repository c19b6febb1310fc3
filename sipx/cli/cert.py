"""``sipx cert``: the certificates of this proxy, of files, and of live partners."""

from __future__ import annotations

import click

from sipx.cli.cert_ca import ca
from sipx.cli.cert_import import import_
from sipx.cli.cert_list import list_
from sipx.cli.cert_make import request, self_signed
from sipx.cli.cert_show import show


@click.group()
def cert() -> None:
    """Certificates: list, show, request, import, an authority."""


for command in (list_, show, request, self_signed, import_, ca):
    cert.add_command(command)
