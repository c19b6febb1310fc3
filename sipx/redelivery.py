"""A response whose connection has gone: where else its sender can be reached (RFC 3261 §18.2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipx.events import Direction
from sipx.paths import SECURED, NoHop, Paths, Permitted, same_peer_as
from sipx.plugin import Target
from sipx.reasons import Drop
from sipx.resolver import Hop
from sipx.sip.parser import parse_datagram

if TYPE_CHECKING:
    from sipx.flows import Flow
    from sipx.identity import Partner
    from sipx.journal import Journal
    from sipx.proxy import Park


class Redelivery:
    """Opens a connection to the sender of a request, for a response that lost its own."""

    def __init__(self, paths: Paths, journal: Journal, park: Park) -> None:
        self._paths = paths
        self._journal = journal
        self._park = park

    def deliver(self, flow: Any, port: int, data: bytes) -> None:
        """Send ``data`` to where the request on ``flow`` came from, ``port`` as in its sent-by."""
        partner: Partner | None = None
        if flow.transport in SECURED:
            if flow.examined is None:
                self._lost(flow, "its TLS connection has gone")
                return
            partner = same_peer_as(flow.examined.certificate)
        self._park(self._deliver, flow, port, data, partner)

    async def _deliver(self, flow: Any, port: int, data: bytes, partner: Partner | None) -> None:
        received = Hop(flow.address, port, flow.transport, flow.address)
        try:
            new = await self._paths.flow(received, near=flow.interface, partner=partner)
        except NoHop as failure:
            try:
                new = await self._flow_to_sent_by(flow, data, partner)
            except NoHop:
                self._lost(flow, failure.why)
                return
        if self._journal.hooks.bytes_traced:
            self._journal.trace_bytes(data, new, Direction.OUT)
        new.send(data)

    async def _flow_to_sent_by(self, flow: Any, data: bytes, partner: Partner | None) -> Flow:
        """RFC 3263 §5: if the address failed, the name in sent-by is looked up, by SRV where it
        has no port. Raises NoHop.
        """
        via = parse_datagram(data).vias[0]
        uri = b"sip:" + via.sent_by + b";transport=" + flow.transport.encode()
        failure = NoHop(503, "no hop")
        for hop in await self._paths.hops(Target(), uri, Permitted(frozenset({flow.address}))):
            try:
                return await self._paths.flow(hop, near=flow.interface, partner=partner)
            except NoHop as error:
                failure = NoHop(error.status, error.why)
        raise failure

    def _lost(self, flow: Any, why: str) -> None:
        self._journal.dropped(flow, f"response not deliverable: {why}", Drop.UNDELIVERABLE)
