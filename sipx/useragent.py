"""Requests of our own (RFC 3261 §8.1): what plugins send with ``Proxy.send_request``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx.paths import NoHop, Paths
from sipx.plugin import SendError, Target
from sipx.sip.transaction import ClientTransaction, request_within

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.interfaces import Interface
    from sipx.resolver import Hop
    from sipx.sip.message import Request, Response
    from sipx.transactions import Transactions


WITH_CONTACT: Final = frozenset((b"OPTIONS", b"INVITE", b"SUBSCRIBE", b"NOTIFY", b"REFER"))
"""Methods whose requests have a Contact."""


class OwnRequest(ClientTransaction):
    """A client transaction whose user waits for its final response."""

    __slots__ = ("_sent", "_via", "done", "failure", "response")

    def prepare(self, sent: Request, via: bytes) -> None:
        """Remember what an ACK would be made of."""
        self._sent = sent
        self._via = via
        self.done = trio.Event()
        self.response: Response | None = None
        self.failure = 0

    def on_response(self, response: Response) -> None:
        """Wake the caller with a final response."""
        if response.status >= 200 and self.response is None:
            self.response = response
            self.done.set()

    def on_timeout(self) -> None:
        """§8.1.3.1: a timeout is treated as a 408."""
        self.failure = 408
        self.done.set()

    def on_error(self) -> None:
        """§8.1.3.1: a fatal transport error is treated as a 503."""
        self.failure = 503
        self.done.set()

    def ack(self, response: Response) -> bytes:
        """§17.1.1.3."""
        return request_within(self._sent, self._via, b"ACK", response.lines[response.layout.to])


class UserAgentClient:
    """Sends requests of the proxy itself."""

    def __init__(
        self,
        transactions: Transactions,
        paths: Paths,
        rng: random.Random,
        batch_begins: Callable[[], None],
        batch_ends: Callable[[], None],
    ) -> None:
        self._transactions = transactions
        self._paths = paths
        self._rng = rng
        self._batch_begins = batch_begins
        self._batch_ends = batch_ends

    async def send_request(self, request: Request, target: Target) -> Response:
        """Send to the first hop that answers; see sipx.plugin.Proxy. Raises SendError."""
        if target.uri is not None:
            request.set_uri(target.uri)
        for value in reversed(target.route):
            request.add_first(b"Route", value)
        self._complete(request)
        failure = SendError("the target has no hop", 503)
        hops = await self._hops(target, request.uri)
        if target.discovered:
            hops, _ = await self._first(target, hops)
        for hop in hops:
            try:
                flow = await self._reach(target, hop)
            except SendError as error:
                failure = error
                continue
            own = await self._try(request, flow)
            if own.response is not None and own.response.status != 503:
                return own.response
            status = 503 if own.response is not None else own.failure
            failure = SendError(f"{flow.name} did not serve the request", status)
        raise failure

    async def open_flow(self, target: Target) -> Flow:
        """The flow to the first hop that can be reached. Raises SendError."""
        failure = SendError("the target has no hop", 503)
        hops = await self._hops(target, target.uri or b"")
        if target.discovered:
            return (await self._first(target, hops))[1]
        for hop in hops:
            try:
                return await self._reach(target, hop)
            except SendError as error:
                failure = error
        raise failure

    async def _hops(self, target: Target, uri: bytes) -> tuple[Hop | None, ...]:
        """Where to try it, in order; None stands for the target's own flow. Raises SendError."""
        if target.flow is not None:
            return (None,)
        try:
            return await self._paths.hops(target, uri, None)
        except NoHop as error:
            raise SendError(error.why, error.status) from error

    async def _first(
        self, target: Target, hops: tuple[Hop | None, ...]
    ) -> tuple[tuple[Hop, ...], Flow]:
        """Of what was discovered the first that can be reached. Raises SendError."""
        places = tuple(hop for hop in hops if hop is not None)
        bind = target.hops[0].bind if target.hops else None
        known = self._paths.open_among(places, bind, target.partner)
        try:
            return known or await self._paths.first_flow(
                self._paths.by_health(places), bind, partner=target.partner
            )
        except NoHop as error:
            raise SendError(error.why, error.status) from error

    async def _reach(self, target: Target, hop: Hop | None) -> Flow:
        """The flow to a hop. Raises SendError."""
        if hop is None:
            if target.flow is None or target.flow.closed:
                raise SendError("the flow has gone", 430)
            return target.flow
        bind = target.hops[0].bind if target.hops else None
        try:
            return await self._paths.flow(hop, bind, partner=target.partner)
        except NoHop as error:
            raise SendError(error.why, error.status) from error

    async def _try(self, request: Request, flow: Flow) -> OwnRequest:
        key = b"z9hG4bK%xg0" % self._rng.getrandbits(64)
        via = flow.via_head + key[7:]
        lines = [via, *contact_of(request, flow.interface), *request.lines]
        data = b"\r\n".join([request.start, *lines, b"", request.body])
        own = OwnRequest()
        own.prepare(request, via)
        flow.carries_requests = True
        self._batch_begins()
        self._transactions.left(flow, data)
        own.begin(self._transactions, key, request.method, data, flow)
        self._batch_ends()
        await own.done.wait()
        return own

    def _complete(self, request: Request) -> None:
        """§8.1.1: what every request has to have."""
        if request.get(b"Max-Forwards") is None:
            request.add(b"Max-Forwards", b"70")
        if request.get(b"Call-ID") is None:
            request.add(b"Call-ID", b"%x" % self._rng.getrandbits(96))
        if request.get(b"CSeq") is None:
            request.add(b"CSeq", b"1 " + request.method)
        cseq = request.cseq
        request.cseq_number = b"%d" % cseq.number


def contact_of(request: Request, interface: Interface) -> tuple[bytes, ...]:
    """The Contact line that a request of our own still lacks, where it may have one.

    RFC 3261 §11.1: "A Contact header field MAY be present in an OPTIONS"; §8.1.1.8: it MUST in what
    can establish a dialog. RFC 3428 §4 forbids it in a MESSAGE.
    """
    if request.method not in WITH_CONTACT or request.get(b"Contact") is not None:
        return ()
    return (interface.contact(),)
