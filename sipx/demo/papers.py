"""The certificates of the demonstration: made for one show, by an authority that all believe."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from sipx.certificates.authority import PrivateAuthority
from sipx.demo.people import DOMAINS, STRANGER
from sipx.demo.zone import host_of

if TYPE_CHECKING:
    from pathlib import Path


class Papers(NamedTuple):
    """Where a domain's certificate and key are, and the authority that vouches for all."""

    cert_file: Path
    key_file: Path
    ca: Path


def make_papers(directory: Path) -> dict[str, Papers]:
    """A certificate for each domain's host, with its key, by domain.

    They name the hosts of the SRV records and not the domains, as certificates that one can buy
    for a server do.
    """
    now = datetime.now(UTC)
    authority = PrivateAuthority.create("sipx demo CA", now, days=1)
    ca = directory / "ca.crt"
    ca.write_bytes(authority.cert_pem)
    papers = {}
    for domain in (*DOMAINS, STRANGER):
        leaf = authority.issue([host_of(domain)], now, days=1)
        paper = Papers(directory / f"{domain}.crt", directory / f"{domain}.key", ca)
        paper.cert_file.write_bytes(leaf.cert_pem)
        paper.key_file.touch(mode=0o600)
        paper.key_file.write_bytes(leaf.key_pem)
        papers[domain] = paper
    return papers
