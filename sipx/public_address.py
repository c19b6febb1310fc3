"""How an address is written that stands in messages in the place of our own."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final, NamedTuple

from sipx.domains import canonical_domain

AUTO: Final = "auto"
"""In the place of a public address: what a plugin finds."""

_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?|([^:\[\]]+):(\d{1,5})")


class PublicAddress(NamedTuple):
    """What is to stand in messages in the place of an interface's own address.

    ``host`` is an IP address, a name or AUTO; without ``port`` it is the one that is bound.
    """

    host: str
    port: int | None = None


def public_host(text: str) -> str:
    """An IP address or a host name in canonical form, or AUTO. Raises ValueError.

    Nobody reaches us at 0.0.0.0, and nobody but we ourselves at what is no unicast address.
    """
    if text == AUTO:
        return AUTO
    host = canonical_domain(text).decode()
    try:
        numeric = ip_address(host)
    except ValueError:
        return host
    if numeric.is_unspecified or numeric.is_multicast:
        raise ValueError(f"{host} is no address that peers can send to")
    return str(numeric)


def public_address(text: str) -> PublicAddress:
    """``HOST``, ``HOST:PORT``, ``[IPv6]`` or ``[IPv6]:PORT``. Raises ValueError."""
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        return PublicAddress(public_host(text))
    port = found[2] or found[4]
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{port} is no port")
    return PublicAddress(public_host(found[1] or found[3]), int(port) if port else None)
