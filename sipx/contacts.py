"""At which ports those inside say they are: the Contacts of dialogs (RFC 3261 §12.1).

Within a dialog somebody outside chooses where his requests go: his Request-URI should be the
Contact that he was given, and may be anything. So that no dialog opens a way to other services of
the machine of a UC server, they go to ports that a UC server has named, and to no others (SEC-09).
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from sipx.cookies import PREFIX, peer_id
from sipx.sip.errors import RemoteError
from sipx.sip.headers import NameAddr
from sipx.sip.uri import SipUri, cached_uri

if TYPE_CHECKING:
    from sipx.sip.message import Message

USUAL: Final = frozenset((5060, 5061))
"""RFC 3261 §19.1.2."""
PEERS: Final = 4096
PORTS: Final = 64
"""Peers that are remembered, and ports of one of them."""
MOST: Final = 8
"""Contact and Record-Route values of one message that are looked at."""


def port_of(uri: SipUri) -> int:
    """The port of a URI; RFC 3261 §19.1.2: the default is 5061 where it asks for TLS."""
    if uri.port is not None:
        return uri.port
    secured = uri.scheme == b"sips" or (uri.transport or b"").lower() == b"tls"
    return 5061 if secured else 5060


def contact_port(message: Message) -> int:
    """The port in the first Contact; 0 where there is none, or none that can be read."""
    return next(iter(_ports_in(_values(message, b"Contact")[:1])), 0)


def inside_ports(message: Message) -> list[int]:
    """Those of the Contact, and of the proxies between it and us (RFC 3261 §12.1).

    What stands below our own Record-Route in a response was written outside.
    """
    values = _values(message, b"Contact")[:1]
    for value in _values(message, b"Record-Route"):
        if PREFIX in value:
            break
        values.append(value)
    return _ports_in(values[:MOST])


def _values(message: Message, name: bytes) -> list[bytes]:
    try:
        return message.get_list(name)
    except RemoteError:
        return []


def _ports_in(values: list[bytes]) -> list[int]:
    ports: list[int] = []
    for value in values:
        try:
            ports.append(port_of(cached_uri(NameAddr.parse(value).uri)))
        except RemoteError:
            continue  # "*", or a Contact that whoever has to answer may refuse
    return ports


class Contacts:
    """The ports that peers inside have named, by what cookies call them."""

    def __init__(self) -> None:
        self._ports: OrderedDict[bytes, OrderedDict[int, None]] = OrderedDict()

    def learn(self, name: str, message: Message) -> None:
        """The Contact of a message that forms or refreshes a dialog, from the peer ``name``."""
        for port in inside_ports(message):
            if port not in USUAL:
                self._learn(peer_id(name), port)

    def _learn(self, peer: bytes, port: int) -> None:
        ports = self._ports.get(peer)
        if ports is None:
            ports = self._ports[peer] = OrderedDict()
            if len(self._ports) > PEERS:
                self._ports.popitem(last=False)
        # A port that is named again and again stays, however many others come and go.
        ports.pop(port, None)
        if len(ports) >= PORTS:
            ports.popitem(last=False)
        ports[port] = None

    def ports(self, peer: bytes, known: int) -> frozenset[int]:
        """Where this peer may be; ``known`` is the port in the cookie, 0 for none."""
        return USUAL.union(self._ports.get(peer, ()), (known,) if known else ())
