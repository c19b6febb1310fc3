"""Listeners: what is configured, what is really bound, and how peers see it."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

import psutil

from sipx.addresses import parse_address
from sipx.events import InterfaceChanged, PublicAddressChanged
from sipx.former import Former
from sipx.public_address import AUTO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.public_address import PublicAddress
    from sipx.resolver import Hop
    from sipx.transport import Transport


LAN_SIDE: Final = "(the LAN side)"
"""In the place of an address or a name to send from; no interface can be called that."""


class Status(Enum):
    """What an interface does now."""

    OFF = "off"
    STARTING = "starting"
    LISTENING = "listening"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Interface:
    """One listener. ``bind`` is an address or ``*``; ``port`` as configured, 0 for any.

    ``status`` and ``reason`` are what ``sipx status`` shows; ``address`` is what is bound, None
    until then. ``public`` is to stand in messages in its place; ``found`` is what AUTO means there
    now, ``stands_for`` the addresses of a name. ``certificates`` are the names of our own that it
    shows, the first unless SNI asks for another; ``client_certificate`` is shown when it connects;
    ``eku`` is its EKU policy.
    """

    name: str
    bind: str
    port: int
    transport: Transport
    role: str = "wan"
    enabled: bool = True
    public: PublicAddress | None = None
    certificates: tuple[str, ...] = ()
    client_certificate: str | None = None
    eku: str = "federation"
    status: Status = Status.OFF
    reason: str = ""
    address: tuple[str, int] | None = None
    found: str = ""
    stands_for: frozenset[str] = frozenset()
    seen_at: tuple[str, int] | None = None
    """(host, port) as it stands in messages; None until it is bound."""
    sent_by: bytes = b""
    """The same as SIP writes it."""
    draining: bool = False
    """Whether it takes nothing new any more: what is under way finishes, then it closes."""
    closing: bool = False
    """Whether the proxy service ends, and with it this interface and its flows."""

    @property
    def protocol(self) -> str:
        """``udp``, ``tcp``, ..."""
        return self.transport.name

    @property
    def state(self) -> str:
        """What ``sipx status`` shows: off, starting, listening, draining or failed."""
        return "draining" if self.draining else self.status.value

    @property
    def leaving(self) -> bool:
        """Whether flows that end here end because it does, and say nothing of their peers."""
        return self.draining or self.closing

    @property
    def wildcard(self) -> bool:
        """Whether it listens on all addresses of one family."""
        return self.bind in ("*", "0.0.0.0", "::")  # noqa: S104  # compared, not bound

    @property
    def listen_address(self) -> str:
        """The address for bind(2): ``*`` means all IPv4 addresses."""
        return "0.0.0.0" if self.bind == "*" else self.bind  # noqa: S104  # the operator's choice

    def bound(self, address: tuple[str, int]) -> None:
        """The listener is up on ``address``."""
        self.address = address
        self.status = Status.LISTENING
        self.reason = ""
        self.renew()

    @property
    def advertised(self) -> tuple[str, int] | None:
        """What stands in messages in the place of its own address; None where that does itself.

        An address of the other IP family leads nobody here, and is not used.
        """
        if self.public is None or self.address is None:
            return None
        host = self.found if self.public.host == AUTO else self.public.host
        if not host or (parse_address(host) is not None and not self.reaches(host)):
            return None
        return host, self.public.port or self.address[1]

    @property
    def advertised_text(self) -> str:
        """The same as SIP writes it, "" where its own address stands."""
        at = self.advertised
        return "" if at is None else host_port(*at).decode()

    def renew(self) -> bool:
        """Find out where peers are to see it; True if they saw it elsewhere before."""
        if self.address is None:
            return False
        before = self.seen_at
        host, port = self.advertised or self.address
        if self.wildcard and self.advertised is None:
            host = primary_address(ipv6=self.listen_address == "::")
        if before == (host, port):
            return False
        self.seen_at = (host, port)
        self.sent_by = host_port(host, port)
        return before is not None

    def ended(self) -> None:
        """The listener was ended on purpose."""
        self.address = None
        self.status = Status.OFF
        self.reason = ""
        self.draining = self.closing = False

    def same_socket(self, other: Interface) -> bool:
        """Whether a listener with the settings of ``other`` could go on with what is bound here,
        and with the connections: they were judged by role and EKU policy.
        """
        return (
            self.bind == other.bind
            and self.port == other.port
            and self.transport is other.transport
            and self.role == other.role
            and self.eku == other.eku
            and self.enabled == other.enabled
        )

    def collides(self, other: Interface) -> bool:
        """Whether both cannot be bound at the same time."""
        if self.port != other.port or self.port == 0:
            return False
        if self.transport.reliable != other.transport.reliable:
            return False
        return self.reaches(other.listen_address) and (
            self.wildcard or other.wildcard or self.bind == other.bind
        )

    def take(self, other: Interface) -> None:
        """Go on with the settings of ``other``."""
        self.certificates = other.certificates
        self.client_certificate = other.client_certificate
        self.public = other.public

    def failed(self, reason: str) -> None:
        """The listener is not up, and why."""
        self.address = None
        self.status = Status.FAILED
        self.reason = reason

    def via_head(self) -> bytes:
        """The start of a Via line of ours, up to and including the magic cookie."""
        rport = b"" if self.transport.reliable else b";rport"
        return b"Via: SIP/2.0/%b %b%b;branch=z9hG4bK" % (self.transport.via, self.sent_by, rport)

    def uri(self, user: bytes, scheme: bytes = b"sip") -> bytes:
        """A SIP URI that leads to this listener: what stands in Record-Route, Path, Service-Route.

        RFC 3261 §16.6 item 4: it "MUST contain an lr parameter".
        """
        at = user + b"@" if user else b""
        return b"%b:%b%b%b;lr" % (scheme, at, self.sent_by, self._transport_parameter(scheme))

    def contact(self) -> bytes:
        """The Contact line of requests of our own: where we are reached (RFC 3261 §8.1.1.8)."""
        return b"Contact: <sip:%b%b>" % (self.sent_by, self._transport_parameter(b"sip"))

    def _transport_parameter(self, scheme: bytes) -> bytes:
        if self.protocol in ("tls", "mtls"):
            return b"" if scheme == b"sips" else b";transport=tls"
        return b"" if self.protocol == "udp" else b";transport=" + self.protocol.encode()

    def reaches(self, address: str) -> bool:
        """Whether it speaks the address family of ``address``."""
        return (":" in address) == (":" in self.listen_address)

    def own_hosts(self) -> set[tuple[bytes, int]]:
        """All (host, port) under which peers may address this listener."""
        if self.address is None:
            return set()
        port = self.address[1]
        own = {(self.address[0].encode(), port)}
        if self.wildcard:
            family = socket.AF_INET6 if self.listen_address == "::" else socket.AF_INET
            own |= {(a.encode(), port) for a in machine_addresses(family)}
        if self.advertised is not None:
            host, port = self.advertised
            own |= {(name.encode(), port) for name in (host, *self.stands_for)}
        return own


def host_port(host: str, port: int) -> bytes:
    """``host:port`` as SIP writes it, with brackets for IPv6."""
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()


_known: Final[dict[socket.AddressFamily, list[str]]] = {}
"""What this machine had when it could be asked last."""


def machine_addresses(family: socket.AddressFamily) -> list[str]:
    """The addresses of this machine's network devices of one family, without scope ids.

    Those of the last time when the system cannot be asked: it takes a file descriptor, and those
    of a process may all be in use.
    """
    try:
        devices = psutil.net_if_addrs()
    except OSError:
        return list(_known.get(family, ()))
    _known[family] = [
        item.address.split("%")[0]
        for device in devices.values()
        for item in device
        if item.family == family
    ]
    return list(_known[family])


def primary_address(*, ipv6: bool) -> str:
    """The address this machine would use towards the world; loopback when it has no route.

    Connecting a datagram socket sends nothing; the kernel only picks the source address.
    """
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect(("2001:db8::1" if ipv6 else "192.0.2.1", 9))
            return str(probe.getsockname()[0])
    except OSError:
        return "::1" if ipv6 else "127.0.0.1"


class Interfaces:
    """The list of interfaces, and which of them leads to a hop."""

    def __init__(
        self, interfaces: list[Interface], *, wall: Callable[[], float] = time.time
    ) -> None:
        self.all = interfaces
        self.own: frozenset[tuple[bytes, int]] = frozenset()
        """(host, port) of every listener: what makes a URI "ours" (RFC 3261 §16.4)."""
        self.own_routes: frozenset[tuple[bytes, int]] = frozenset()
        """The same with those of before: what makes a Route ours that we have signed."""
        self.own_sent_by: frozenset[bytes] = frozenset()
        """Keys of our own Via sent-by values, as sipx.sip.parser.SentBy writes them."""
        self.former = Former(wall)
        """Where peers saw the interfaces before: dialogs of then still come there."""
        self._places: dict[tuple[bytes, int], list[Interface]] = {}
        self._told: dict[Interface, tuple[str, str]] = {}
        self._at: dict[str, tuple[str, int]] = {}
        self._advertised: dict[str, str] = {}
        """By name: where peers see each, and what it is advertised as."""

    def refresh(self) -> None:
        """Something was bound or lost: what is ours is gathered anew."""
        own: set[tuple[bytes, int]] = set()
        former: set[tuple[bytes, int]] = set()
        for interface in self._first_of_each_name():
            # By name: a listener that was bound anew goes on for the one before it.
            now, before = interface.seen_at, self._at.get(interface.name)
            if now is not None and now != before:
                if before is not None:
                    self.former.add(interface.name, *before)
                self._at[interface.name] = now
            former |= self.former.of(interface.name)
        self._places = {}
        for interface in self.all:
            hosts = interface.own_hosts()
            own |= hosts
            for place in hosts:
                self._places.setdefault(place, []).append(interface)
        # Last: where one listens now goes before where another one listened.
        for interface in self.all:
            for place in self.former.of(interface.name):
                self._places.setdefault(place, []).append(interface)
        self.own = frozenset(own)
        self.own_routes = frozenset(own | former)
        self.own_sent_by = frozenset(b" %b:%d " % pair for pair in self.own_routes)

    def renew(self) -> dict[Interface, bytes]:
        """Find out where peers are to see each; those that moved, with their sent-by of before."""
        moved: dict[Interface, bytes] = {}
        for interface in self.all:
            sent_by = interface.sent_by
            if interface.renew():
                moved[interface] = sent_by
        return moved

    def _first_of_each_name(self) -> Iterable[Interface]:
        """Without those that are about to go because another one has taken their name."""
        return {interface.name: interface for interface in reversed(self.all)}.values()

    def news(self) -> list[InterfaceChanged | PublicAddressChanged]:
        """What is different from the last time that this was asked."""
        found: list[InterfaceChanged | PublicAddressChanged] = []
        now = {interface: (interface.state, interface.reason) for interface in self.all}
        for interface, said in now.items():
            if self._told.get(interface) != said:
                found.append(InterfaceChanged(interface.name, *said))
        names = {interface.name for interface in now}
        gone = [i.name for i in self._told if i not in now and i.name not in names]
        self._told = now
        for interface in self._first_of_each_name():
            if interface.address is not None:
                before = self._advertised.get(interface.name, "")
                at = self._advertised[interface.name] = interface.advertised_text
                if at != before:
                    found.append(PublicAddressChanged(interface.name, before, at))
        return [*found, *(InterfaceChanged(name, "removed") for name in gone)]

    def listening(self) -> list[Interface]:
        """Those that are up and take what is new."""
        return [i for i in self.all if i.status is Status.LISTENING and not i.draining]

    def named(self, name: str) -> Interface:
        """The interface called ``name``. Raises KeyError."""
        for interface in self.all:
            if interface.name == name:
                return interface
        raise KeyError(name)

    def at(self, host: bytes, port: int, transport: bytes) -> Interface | None:
        """The interface that one of our own Record-Route URIs names."""
        wanted = (b"tls", b"mtls") if transport == b"tls" else (transport,)
        for interface in self._places.get((host, port), ()):
            if interface.protocol.encode() in wanted:
                return interface
        return None

    def towards(
        self, hop: Hop, bind: str | None = None, near: Interface | None = None
    ) -> Interface | None:
        """The interface to send from: by transport, then ``bind``, else ``near``, else the first
        on the side of the hop: towards partners, with LAN_SIDE as ``bind`` towards UC servers.

        ``bind`` is an address or an interface's name; one of a name that is not up is any.
        "mtls" serves a hop of "tls" too, and the other way round; the same protocol is preferred.
        """
        side = "lan" if bind == LAN_SIDE else "wan"
        bind = None if bind == LAN_SIDE else bind
        wanted = ("tls", "mtls") if hop.transport in ("tls", "mtls") else (hop.transport,)
        fit = [
            i
            for i in self.listening()
            if i.protocol in wanted and i.reaches(hop.address) and (bind in (None, i.bind, i.name))
        ]
        if not fit and bind is not None:
            named = parse_address(bind) is None and bind != "*"
            fit = [
                i
                for i in self.listening()
                if i.protocol in wanted and (i.wildcard or (named and i.reaches(hop.address)))
            ]
        if near is not None and near in fit:
            return near
        fit.sort(key=lambda i: (i.protocol != hop.transport, i.role != side))
        return fit[0] if fit else None

    def transports(self) -> tuple[str, ...]:
        """The protocols that are up, in the order of the list."""
        return tuple(dict.fromkeys(i.protocol for i in self.listening()))
