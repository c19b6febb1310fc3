"""From a message that passed to its packet."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sipx import parse_address
from sipx_hep.codec import Place, endpoints, identity, packet
from sipx_hep.privacy import shown

if TYPE_CHECKING:
    from sipx import Flow
    from sipx_hep.config import HepConfig
    from sipx_hep.outbox import Traced

_MOST: Final = 4096
"""Flows whose chunks are remembered."""


_CALL_ID: Final = re.compile(rb"(?im)^(?:call-id|i)[ \t]*:[ \t]*(\S+)")


class Packets:
    """Makes packets; what is the same for all messages of a flow is made once."""

    def __init__(self, config: HepConfig) -> None:
        key = config.password.reveal() if config.password is not None else ""
        self._config = config
        self._identity = identity(config.capture_id, key.encode(), config.node_name.encode())
        self._endpoints: dict[tuple[int, bool], bytes] = {}

    def of(self, one: Traced) -> bytes:
        """The packet of a message."""
        key = (one.flow.id, one.outgoing)
        where = self._endpoints.get(key)
        if where is None:
            if len(self._endpoints) >= _MOST:
                self._endpoints.clear()
            where = self._endpoints[key] = _where(one.flow, outgoing=one.outgoing)
        data = shown(one.data, self._config.bodies, mask=self._config.mask)
        call_id = call_id_of(one.data) if one.call_id is None else one.call_id
        return packet(one.time, (where, self._identity), call_id, data)


def call_id_of(data: bytes) -> bytes:
    """The Call-ID of a message that nobody has parsed; empty where there is none."""
    found = _CALL_ID.search(data.partition(b"\r\n\r\n")[0])
    return b"" if found is None else found[1]


def _where(flow: Flow, *, outgoing: bool) -> bytes:
    near, far = _near(flow), Place(flow.address, flow.port)
    source, destination = (near, far) if outgoing else (far, near)
    return endpoints(source, destination, datagrams=not flow.reliable)


def _near(flow: Flow) -> Place:
    """Our end: the address of the interface, as bound, or else as peers see it.

    A connection of ours begins at another port; that of the interface makes both ways one ladder.
    """
    interface = flow.interface
    port = interface.address[1] if interface.address is not None else interface.port
    wanted = 6 if ":" in flow.address else 4
    for found in (interface.address, interface.seen_at):
        address = None if found is None else parse_address(found[0])
        if address is not None and address.version == wanted and not address.is_unspecified:
            return Place(str(address), port)
    return Place("::" if wanted == 6 else "0.0.0.0", port)  # noqa: S104  # named, not bound
