"""``sipx dns``: the SRV records of open federation, and the DNS as the proxy sees it."""

from __future__ import annotations

import click

from sipx.cli.dns_cache import cache
from sipx.cli.dns_check import check
from sipx.cli.dns_record import record
from sipx.cli.dns_route import route


@click.group()
def dns() -> None:
    """The records that partners find us by, and how the proxy resolves."""


for command in (record, check, route, cache):
    dns.add_command(command)
