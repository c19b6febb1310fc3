"""How an address is written that stands in messages in the place of our own."""

from __future__ import annotations

import re
from ipaddress import ip_network
from typing import Final, NamedTuple

from sipx.addresses import parse_address
from sipx.domains import canonical_domain

AUTO: Final = "auto"
"""In the place of a public address: what a plugin finds."""

_THIS_NETWORK: Final = ip_network("0.0.0.0/8")
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
    numeric = parse_address(host)
    if numeric is None:
        return host
    nowhere = numeric.is_unspecified or numeric.is_multicast or numeric in _THIS_NETWORK
    if nowhere or (numeric.is_reserved and not numeric.is_loopback):
        raise ValueError(f"{host} is no address that peers can send to")
    return str(numeric)


def found_address(text: str) -> str:
    """An IP address that a plugin found, in canonical form. Raises ValueError."""
    host = public_host(text)
    if parse_address(host) is None:
        raise ValueError(f"{text!r} is no IP address")
    return host


def public_address(text: str) -> PublicAddress:
    """``HOST``, ``HOST:PORT``, ``[IPv6]`` or ``[IPv6]:PORT``. Raises ValueError."""
    found = _WITH_PORT.fullmatch(text)
    if found is None:
        return PublicAddress(public_host(text))
    port = found[2] or found[4]
    if port is not None and not 1 <= int(port) <= 65535:
        raise ValueError(f"{port} is no port")
    return PublicAddress(public_host(found[1] or found[3]), int(port) if port else None)
