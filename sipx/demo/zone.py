"""The DNS of the demonstration: for each domain the record that open federation asks for.

The server is the one that sipx is tested with; it runs on loopback and knows nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.demo.people import STRANGER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipx.testing.carriers import Place


def host_of(domain: str) -> str:
    """The host that stands for a domain's proxy; its certificate names it."""
    return f"sip.{domain}"


def service(domain: str) -> str:
    """The name that is asked for (``_sipfederationtls._tcp``, then the domain)."""
    return f"_sipfederationtls._tcp.{domain}"


def record(domain: str, port: int) -> str:
    """The SRV record of a domain (RFC 2782): priority, weight, port, host."""
    return f"{service(domain)} SRV 0 0 {port} {host_of(domain)}"


def zone(proxies: Mapping[str, Place]) -> str:
    """All records, for proxies that listen, by their domains."""
    lines = []
    for domain, (address, port) in proxies.items():
        lines += [record(domain, port), f"{host_of(domain)} A {address}"]
    # It is somebody, too: what it says of itself would be believed.
    address = next(iter(proxies.values()))[0]
    lines += [record(STRANGER, 5061), f"{host_of(STRANGER)} A {address}"]
    return "\n".join(lines)
