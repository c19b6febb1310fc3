"""Rules between the kernel's tables, and between them and this machine."""

from __future__ import annotations

import ipaddress
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, NamedTuple

import psutil

from sipx.config.errors import did_you_mean
from sipx.config.model import SECURE, InterfaceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sipx.config.document import KeyPath

Wrong = tuple["KeyPath", str, str]
"""Where, what is wrong, and what would be right."""


class MachineAddress(NamedTuple):
    """An IP address of a network device of this machine, without its scope id."""

    device: str
    address: str
    up: bool


def device_addresses() -> list[MachineAddress]:
    """The IP addresses of this machine, as the system lists its devices."""
    states = psutil.net_if_stats()
    return [
        MachineAddress(
            device, item.address.partition("%")[0], device in states and states[device].isup
        )
        for device, items in psutil.net_if_addrs().items()
        for item in items
        if item.family in (AF_INET, AF_INET6)
    ]


def machine_addresses() -> frozenset[str]:
    """The IP addresses of this machine's network devices, without scope ids."""
    found: set[str] = set()
    for device in psutil.net_if_addrs().values():
        for item in device:
            try:
                found.add(str(ipaddress.ip_address(item.address.partition("%")[0])))
            except ValueError:
                continue  # a hardware address
    return frozenset(found)


def interface_problems(
    interfaces: Mapping[str, InterfaceConfig],
    certificates: frozenset[str],
    wan_certificate: str | None,
    addresses: frozenset[str] | None,
) -> Iterator[Wrong]:
    """What cannot be in the tables [wan] and [interface.NAME].

    ``addresses`` are those of this machine, None to leave them out of account.
    """
    if wan_certificate is not None and wan_certificate not in certificates:
        yield ("wan", "certificate"), *_no_certificate(wan_certificate, certificates)
    for name, interface in interfaces.items():
        path = ("interface", name)
        for own in interface.certificate:
            if own not in certificates:
                yield (*path, "certificate"), *_no_certificate(own, certificates)
        client = interface.client_certificate
        if client is not None and client not in certificates:
            yield (*path, "client_certificate"), *_no_certificate(client, certificates)
        if not interface.enabled:
            continue
        if addresses is not None and not _is_here(interface.bind, addresses):
            yield (
                (*path, "bind"),
                f"{interface.bind} is not an address of this machine",
                f'allowed: {", ".join(sorted(addresses, key=_order))} or "*" for all',
            )
        if interface.protocol in SECURE and not (interface.certificate or wan_certificate):
            yield (
                (*path, "protocol"),
                f"{interface.protocol} needs a certificate",
                f"set interface.{name}.certificate or wan.certificate to a [certificate.NAME]",
            )
    yield from _collisions(interfaces)


def _no_certificate(name: str, certificates: frozenset[str]) -> tuple[str, str]:
    known = f"known: {', '.join(sorted(certificates))}" if certificates else "there is none yet"
    meant = did_you_mean(name, certificates)
    return f"there is no [certificate.{name}]", f"{known}; {meant}" if meant else known


def _is_here(bind: str, addresses: frozenset[str]) -> bool:
    if bind == "*":
        return True
    address = ipaddress.ip_address(bind.partition("%")[0])
    return address.is_unspecified or address.is_loopback or str(address) in addresses


def _order(address: str) -> tuple[int, int]:
    parsed = ipaddress.ip_address(address)
    return parsed.version, int(parsed)


def _collisions(interfaces: Mapping[str, InterfaceConfig]) -> Iterator[Wrong]:
    """Two listeners cannot share an address, a port, and datagrams or streams."""
    seen: list[tuple[str, InterfaceConfig]] = []
    for name, interface in interfaces.items():
        if not interface.enabled or interface.port == 0:
            continue
        for other_name, other in seen:
            if (
                interface.port == other.port
                and (interface.protocol == "udp") == (other.protocol == "udp")
                and _overlap(interface.bind, other.bind)
            ):
                family = "UDP" if interface.protocol == "udp" else "TCP"
                yield (
                    ("interface", name, "port"),
                    f"{family} port {interface.port} on {_all(interface.bind)} is taken by "
                    f"interface.{other_name}, which listens on {_all(other.bind)}",
                    "allowed: one interface for each address and port; "
                    "change bind or port, or set enabled = false in one of them",
                )
                break
        seen.append((name, interface))


def _all(bind: str) -> str:
    return "all addresses" if bind == "*" else bind


def _overlap(one: str, other: str) -> bool:
    """Whether two addresses to listen on have one in common; ``*`` means all IPv4 addresses."""
    a, b = (ipaddress.ip_address("0.0.0.0" if x == "*" else x) for x in (one, other))  # noqa: S104  # compared, not bound
    return a.version == b.version and (a == b or a.is_unspecified or b.is_unspecified)
