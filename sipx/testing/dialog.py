"""Dialogs of RFC 3261 §12 without I/O: their state, and the requests that are sent inside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sipx.sip import NameAddr, Request, SipUri

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.sip import Response

Headers = tuple[tuple[bytes, bytes], ...]
"""Header lines as (name, value)."""


@dataclass(slots=True, eq=False)
class Dialog:
    """One side of a dialog. ``route_set`` holds Route values, topmost first."""

    call_id: bytes
    local: bytes
    """Our address with our tag: the value of From in our requests."""
    local_tag: bytes
    remote: bytes
    """The other side's address with its tag, if it has one."""
    remote_tag: bytes
    remote_target: bytes
    route_set: tuple[bytes, ...]
    local_cseq: int

    @classmethod
    def of_caller(cls, request: Request, response: Response) -> Dialog:
        """RFC 3261 §12.1.2: what the sender of ``request`` makes of a 2xx.

        "The route set MUST be set to the list of URIs in the Record-Route header field from the
        response, taken in reverse order".
        """
        return cls(
            call_id=request.call_id,
            local=_text(request, b"From"),
            local_tag=request.from_.tag or b"",
            remote=_text(response, b"To"),
            remote_tag=response.to.tag or b"",
            remote_target=_contact(response) or request.uri,
            route_set=tuple(reversed(response.get_list(b"Record-Route"))),
            local_cseq=request.cseq.number,
        )

    @classmethod
    def of_callee(cls, request: Request, response: Response) -> Dialog:
        """RFC 3261 §12.1.1: what the receiver of ``request`` makes of its own 2xx."""
        return cls(
            call_id=request.call_id,
            local=_text(response, b"To"),
            local_tag=response.to.tag or b"",
            remote=_text(request, b"From"),
            remote_tag=request.from_.tag or b"",
            remote_target=_contact(request) or request.from_.uri,
            route_set=tuple(request.get_list(b"Record-Route")),
            local_cseq=0,
        )

    @classmethod
    def of_notified(cls, subscribe: Request, notify: Request) -> Dialog:
        """RFC 6665 §4.4.1: the subscriber's dialog begins with the first NOTIFY."""
        return cls(
            call_id=subscribe.call_id,
            local=_text(subscribe, b"From"),
            local_tag=subscribe.from_.tag or b"",
            remote=_text(notify, b"From"),
            remote_tag=notify.from_.tag or b"",
            remote_target=_contact(notify) or subscribe.uri,
            route_set=tuple(notify.get_list(b"Record-Route")),
            local_cseq=subscribe.cseq.number,
        )

    @property
    def key(self) -> tuple[bytes, bytes]:
        """Call-ID and local tag: what finds this side of the dialog for a request."""
        return self.call_id, self.local_tag

    def target_refreshed(self, message: Request | Response) -> None:
        """RFC 3261 §12.2: a target refresh request, or its 2xx, moves the remote target."""
        self.remote_target = _contact(message) or self.remote_target

    def request(
        self,
        method: bytes,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
        *,
        cseq: int | None = None,
    ) -> Request:
        """RFC 3261 §12.2.1.1: a request inside the dialog, without its Via.

        ``cseq`` is given for the ACK of a 2xx only, which repeats the number of its INVITE.
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self.remote_target, list(self.route_set)
        if routes and not SipUri.parse(NameAddr.parse(routes[0]).uri).lr:
            # "If the first URI of the route set does not contain the lr parameter": its owner is
            # a strict router, wants itself as the Request-URI, and the target as the last Route.
            routes.append(b"<" + uri + b">")
            uri = NameAddr.parse(routes.pop(0)).uri
        return new_request(
            method,
            uri,
            from_=self.local,
            to=self.remote,
            call_id=self.call_id,
            cseq=cseq,
            headers=(*((b"Route", route) for route in routes), *headers),
            body=body,
        )


def new_request(
    method: bytes,
    uri: bytes,
    *,
    from_: bytes,
    to: bytes,
    call_id: bytes,
    cseq: int,
    headers: Iterable[tuple[bytes, bytes]] = (),
    body: bytes = b"",
) -> Request:
    """A request with the headers that RFC 3261 §8.1.1 asks of all, except Via."""
    request = Request.build(
        method,
        uri,
        [
            (b"Max-Forwards", b"70"),
            (b"From", from_),
            (b"To", to),
            (b"Call-ID", call_id),
            (b"CSeq", b"%d " % cseq + method),
            *headers,
        ],
        body,
    )
    request.cseq_number = b"%d" % cseq
    return request


def _text(message: Request | Response, name: bytes) -> bytes:
    value = message.get(name)
    assert value is not None
    return value


def _contact(message: Request | Response) -> bytes:
    contacts = message.get_list(b"Contact")
    return NameAddr.parse(contacts[0]).uri if contacts else b""
