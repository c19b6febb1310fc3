"""Which IP addresses the proxy may be sent to by what outsiders say (SEC-09).

Request-URIs, Route, Contact and Via headers and DNS answers are written by others. Whoever
writes them must not make the proxy talk to the inside of our network, to the machine's own
services, to the metadata service of a cloud, or to itself. The filter looks at the address that
a name led to, never at the name, and is asked again when a connection is made: a name may lead
elsewhere the next time (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

OWN_LISTENER: Final = "is this proxy's own listener"
"""How the refusal of a place where this proxy listens ends."""

MEMO_SIZE: Final = 4096
"""Addresses whose verdict one filter remembers."""

_METADATA: Final[frozenset[IpAddress]] = frozenset(
    (
        IPv4Address("169.254.169.254"),
        IPv4Address("169.254.170.2"),
        IPv4Address("168.63.129.16"),
        IPv4Address("100.100.100.200"),
        IPv4Address("192.0.0.192"),
        IPv6Address("fd00:ec2::254"),
    )
)
# The documentation networks (RFC 5737, RFC 3849) are not in these tables: nothing answers there.
_CLASSES_4: Final = tuple(
    (IPv4Network(network), reason)
    for network, reason in (
        ("0.0.0.0/8", "an unspecified address"),
        ("127.0.0.0/8", "a loopback address"),
        ("169.254.0.0/16", "a link-local address"),
        ("10.0.0.0/8", "a private address"),
        ("172.16.0.0/12", "a private address"),
        ("192.168.0.0/16", "a private address"),
        ("100.64.0.0/10", "a shared address of a carrier's NAT (RFC 6598)"),
        ("192.0.0.0/24", "an address of the IETF protocol assignments (RFC 6890)"),
        ("198.18.0.0/15", "a benchmarking address (RFC 2544)"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
    )
)
_CLASSES_6: Final = tuple(
    (IPv6Network(network), reason)
    for network, reason in (
        ("::/128", "an unspecified address"),
        ("::1/128", "a loopback address"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("fc00::/7", "a private address"),
        ("64:ff9b:1::/48", "an address of a local NAT64 (RFC 8215)"),
        ("100::/64", "a discard-only address (RFC 6666)"),
        ("ff00::/8", "a multicast address"),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_PRIVATE: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)
_ANY: Final = frozenset(("*", "0.0.0.0", "::"))  # noqa: S104 - names of a bind, not a bind


def parse_address(text: str) -> IpAddress | None:
    """The address that ``text`` is in strict form, or None: then it is a name.

    IPv4 is four decimal numbers without leading zeros, IPv6 is RFC 4291 §2.2 without a zone, in
    brackets or not. Forms that only the C library reads (``127.1``, ``0x7f.1``, ``2130706433``)
    are not addresses. An IPv4-mapped IPv6 address is returned as the IPv4 address it is.
    """
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
        if ":" not in text:
            return None
    if "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return _unmapped(address)


def is_private(address: str) -> bool:
    """Whether an address is loopback, RFC 1918, unique local (RFC 4193) or link-local.

    The trust rule for routes without TLS: such an address cannot be reached from the internet.
    False for what is not a numeric address; the zone of an IPv6 address is ignored.
    """
    parsed = parse_address(address.partition("%")[0])
    return parsed is not None and any(parsed in network for network in _PRIVATE)


class AddressFilter:
    """Decides whether an address that outsiders led to may be sent to.

    ``allowed`` are networks that an operator permits although their class is refused. ``own`` are
    the addresses and ports of our listeners, refused even when allowed: a request that reached
    us once must not be sent to us again. The caller names every address of a listener that is
    bound to all of them; ``*``, ``0.0.0.0`` and ``::`` in ``own`` stand for all loopback addresses.

    With ``only`` nothing but ``allowed`` may be sent to, not even a public address; with ``ports``
    only to these.

    Raises ValueError for what is neither a network nor an address.
    """

    __slots__ = ("_allowed", "_memo", "_only", "_own", "_own_any", "_ports")

    def __init__(
        self,
        allowed: Iterable[str | IpNetwork] = (),
        own: Iterable[tuple[str, int]] = (),
        *,
        only: bool = False,
        ports: frozenset[int] | None = None,
    ) -> None:
        self._ports = ports
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)
        listeners = tuple(own)
        self._only = only
        self._own = frozenset(
            (str(_required(address)), port) for address, port in listeners if address not in _ANY
        )
        self._own_any = frozenset(port for address, port in listeners if address in _ANY)
        # address as asked → its canonical spelling, whether loopback, why its class is refused
        self._memo: OrderedDict[str, tuple[str, bool, str | None]] = OrderedDict()

    def refusal(self, address: str, port: int | None = None) -> str | None:
        """Why this address must not be sent to, in words; None when it may.

        Without a port our own listeners cannot be told from other services of this machine, so
        the caller that knows the port gives it.
        """
        known = self._memo.get(address)
        if known is None:
            known = self._judge(address)
            if len(self._memo) >= MEMO_SIZE:
                self._memo.popitem(last=False)
            self._memo[address] = known
        canonical, loopback, reason = known
        if port is not None and (
            (canonical, port) in self._own or (loopback and port in self._own_any)
        ):
            return f"{canonical} port {port} {OWN_LISTENER}"
        if reason is None and self._ports is not None and port not in self._ports:
            return f"{canonical} port {port} is not where this end of the dialog is"
        return reason

    def _judge(self, text: str) -> tuple[str, bool, str | None]:
        address = parse_address(text.partition("%")[0])
        if address is None:
            return text, False, f"{text!r} is not a numeric address"
        canonical = str(address)
        loopback = address.is_loopback or address.is_unspecified
        if any(address in network for network in self._allowed):
            return canonical, loopback, None
        if self._only:
            return canonical, loopback, f"{canonical} is not an address of this dialog"
        reason = _class_of(address)
        if reason is not None:
            return canonical, loopback, f"{canonical} is {reason}"
        for inner, how in _embedded(address):
            reason = _class_of(inner)
            if reason is not None:
                return canonical, loopback, f"{canonical} is {how} for {inner}, {reason}"
        return canonical, loopback, None


def _class_of(address: IpAddress) -> str | None:
    if address in _METADATA:
        return "the metadata service of a cloud"
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _CLASSES_4 if address in network), None)
    return next((reason for network, reason in _CLASSES_6 if address in network), None)


def _embedded(address: IpAddress) -> tuple[tuple[IPv4Address, str], ...]:
    """The IPv4 addresses that packets to ``address`` may end at, and by which mechanism."""
    if isinstance(address, IPv4Address):
        return ()
    if address.sixtofour is not None:
        return ((address.sixtofour, "the 6to4 address (RFC 3056)"),)
    if address.teredo is not None:
        server, client = address.teredo
        how = "a Teredo address (RFC 4380)"
        return ((server, how), (client, how))
    if address in _NAT64:
        return ((IPv4Address(int(address) & 0xFFFFFFFF), "the NAT64 address (RFC 6052)"),)
    if address in _COMPATIBLE:
        return ((IPv4Address(int(address) & 0xFFFFFFFF), "the IPv4-compatible address"),)
    return ()


def _unmapped(address: IpAddress) -> IpAddress:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _required(text: str) -> IpAddress:
    address = parse_address(text)
    if address is None:
        raise ValueError(f"{text!r} is not a numeric address")
    return address
