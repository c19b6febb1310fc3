"""RFC 3261 §16.4: which Route entries are ours, and what the cookie in them says of the dialog."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.contacts import port_of
from sipx.cookies import (
    AUTHENTICATED,
    FAR_BY_FLOW,
    FAR_DISCOVERED,
    FLOW_PREFIX,
    NEAR_BY_FLOW,
    NEAR_DISCOVERED,
    PREFIX,
    TRUSTED,
    Cookie,
    Cookies,
    peer_id,
)
from sipx.errors import Refused
from sipx.plugin import Refuse, Sender, Target
from sipx.reasons import Refusal
from sipx.sip.headers import NameAddr
from sipx.sip.uri import SipUri, cached_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sipx.flows import Flow, FlowTable
    from sipx.forking import AckContext, ResponseContext
    from sipx.identity import Partner
    from sipx.interfaces import Interface, Interfaces
    from sipx.sip.message import Request

_ANYBODY: Final = peer_id("")
"""Stands in the cookie of a dialog with a target that has no name."""
_IN_DIALOG: Final = Target(name="dialog")
_IN_TRUSTED_DIALOG: Final = Target(name="dialog", trusted=True)
_MOST: Final = 4096
_IN_DISCOVERED_DIALOG: Final = Target(name="dialog", discovered=True)
_BY_FLOW: Final = (NEAR_BY_FLOW, FAR_BY_FLOW)
_DISCOVERED: Final = (NEAR_DISCOVERED, FAR_DISCOVERED)


class LooseRouting:
    """Takes our own Route entries off. ``partners``: who may be at the far end over TLS.

    ``logged_on`` asks the plugins for the way to somebody who logged on: the hook dialog_target.
    ``met`` tells who was discovered, by what a cookie calls him.
    """

    def __init__(
        self,
        interfaces: Interfaces,
        cookies: Cookies,
        flows: FlowTable,
        logged_on: Callable[[bytes, Flow | None, Sender], Target | Refuse | None],
        partners: Iterable[Partner],
        met: Callable[[bytes], Partner | None],
    ) -> None:
        self.interfaces = interfaces
        self.cookies = cookies
        self.flows = flows
        self.logged_on = logged_on
        self.met = met
        self.know(partners)

    def know(self, partners: Iterable[Partner]) -> None:
        """These are the partners from now on."""
        self._partners = {peer_id(partner.name): partner for partner in partners}
        self._targets: dict[tuple[bytes, bool], Target] = {}

    def preprocess(
        self, request: Request, context: ResponseContext | AckContext
    ) -> Cookie | Target | None:
        """§16.4: our own Route values go; what a valid cookie among them says is returned.

        A flow token in their place gives the Target that it leads to. A cookie or token of ours
        that does not check out, and a Route to somebody else outside a dialog of ours, are
        refused: 403.
        """
        uri = cached_uri(request.uri)
        user = uri.user
        cookie: Cookie | Target | None = None
        if user is not None and user.startswith(PREFIX) and self.leads_here(uri, request):
            # "If the Request-URI of the request contains a value this proxy previously placed into
            # a Record-Route header field, the proxy MUST replace the Request-URI in the request
            # with the last value from the Route header field, and remove that value".
            cookie = self._checked(user, request, context.sender)
            routes = request.get_list(b"Route")
            if not routes:
                raise Refused(400, "a strict router has to leave a Route", reason=Refusal.ROUTE)
            request.set_uri(NameAddr.parse(routes.pop()).uri)
            _set_routes(request, routes)
        while request.layout.route >= 0:
            # "If the first value in the Route header field indicates this proxy, the proxy MUST
            # remove that value from the request."
            routes = request.get_list(b"Route")
            route = SipUri.parse(NameAddr.parse(routes[0]).uri)
            if not self.leads_here(route, request):
                break
            if route.user is not None and route.user.startswith(FLOW_PREFIX):
                cookie = self._by_token(route.user, context.sender)
            elif route.user is not None and route.user.startswith(PREFIX):
                cookie = self._checked(route.user, request, context.sender)
                context.cookie = route.user
                context.near = self._named(route)
            _set_routes(request, routes[1:])
        if request.layout.route >= 0 and cookie is None:
            raise Refused(
                403,
                "a Route to another host is not followed outside a dialog",
                reason=Refusal.ROUTE,
            )
        return cookie

    def is_ours(self, uri: SipUri) -> bool:
        """Whether a URI names one of our listeners."""
        return (uri.host, port_of(uri)) in self.interfaces.own

    def leads_here(self, route: SipUri, request: Request) -> bool:
        """Whether a Route names us, or an address that we had before, with a signature of ours.

        Somebody else may have that address by now, another sipx even: its cookies look alike.
        """
        place, user = (route.host, port_of(route)), route.user
        if place in self.interfaces.own:
            return True
        if user is None or place not in self.interfaces.own_routes:
            return False
        if user.startswith(FLOW_PREFIX):
            return self.cookies.check_flow_token(user) is not None
        return self.cookies.check(user, request.call_id) is not None

    def other_end(self, cookie: Cookie, sender: Sender, flow: Flow) -> Target:
        """The far end of a dialog of ours, for a request of ``sender`` on ``flow``.

        Somebody who logged on is reached over its flow, wherever its Contact leads (RFC 5626
        §5.3). Over TLS anybody else has to be whom the dialog was made with: a Contact or
        Record-Route is data from outside, and often no more than an address. Raises Refused.
        """
        there = 1 - self._end_of(cookie, sender, flow)
        far = cookie.peers[there]
        if cookie.flags & _BY_FLOW[there]:
            return self._by_flow(far, self.flows.get(cookie.flows[there]), sender)
        discovered = bool(cookie.flags & _DISCOVERED[there])
        partner = self.met(far) if discovered else self._partners.get(far)
        trusted = bool(cookie.flags & TRUSTED)
        if partner is None:
            if discovered:
                # Nobody knows what it has to prove: what its Contact names, and over TLS.
                return _IN_DISCOVERED_DIALOG
            return _IN_TRUSTED_DIALOG if trusted else _IN_DIALOG
        target = self._targets.get((far, trusted))
        if target is None or target.partner is not partner:
            target = Target(name="dialog", trusted=trusted, partner=partner, discovered=discovered)
            if len(self._targets) > _MOST:
                self._targets.clear()
            self._targets[far, trusted] = target
        return target

    def far_end(self, cookie: Cookie, sender: Sender, flow: Flow) -> tuple[bytes, int]:
        """What the cookie calls the other end of a dialog, and the port that it was reached at."""
        there = 1 - self._end_of(cookie, sender, flow)
        return cookie.peers[there], cookie.ports[there]

    def discovered_end(self, cookie: Cookie, sender: Sender, flow: Flow) -> bytes | None:
        """What the cookie calls the other end of a dialog, if that was discovered."""
        there = 1 - self._end_of(cookie, sender, flow)
        return cookie.peers[there] if cookie.flags & _DISCOVERED[there] else None

    def authenticated(self, request: Request, sender: Sender, flow: Flow) -> bool:
        """Row 27 of docs/trust.md: whether this is within a dialog that credentials for this very
        flow have formed: then they are not asked for again.
        """
        if request.layout.route < 0:
            return False
        user = SipUri.parse(NameAddr.parse(request.get_list(b"Route")[0]).uri).user
        cookie = self.cookies.check(user, request.call_id)
        if cookie is None or peer_id(sender.name) not in cookie.peers:
            return False
        end = self._end_of(cookie, sender, flow)
        proven = cookie.flags & (_BY_FLOW[end] | (0 if end else AUTHENTICATED))
        return bool(proven) and cookie.flows[end] == flow.id

    def within(self, request: Request, name: str) -> bool:
        """Whether a request is within a dialog that ``name`` is one end of, by our own cookie."""
        if request.layout.route < 0 or request.to.tag is None:
            return False
        user = SipUri.parse(NameAddr.parse(request.get_list(b"Route")[0]).uri).user
        cookie = self.cookies.check(user, request.call_id)
        return cookie is not None and peer_id(name) in cookie.peers

    def _end_of(self, cookie: Cookie, sender: Sender, flow: Flow) -> int:
        """Which end of the dialog sends: 0 who asked, 1 who was asked."""
        near = peer_id(sender.name)
        first, second = cookie.peers
        if first == second:
            return int(cookie.flows[0] != flow.id and cookie.flows[1] == flow.id)
        return int(first != near and (second == near or first != _ANYBODY))

    def _by_flow(self, peer: bytes, flow: Flow | None, sender: Sender) -> Target:
        target = self.logged_on(peer, flow, sender)
        if isinstance(target, Refuse):
            raise Refused(target.status, target.why, target.headers, Refusal.USER_UNREACHABLE)
        if target is None:
            if flow is None:
                # RFC 5626 §5.3: "it MUST discard the request" or send "a 430 (Flow Failed)".
                raise Refused(430, "the flow has gone", reason=Refusal.USER_UNREACHABLE)
            return Target(name="dialog", flow=flow)
        return target

    def _by_token(self, user: bytes, sender: Sender) -> Target:
        """RFC 5626 §5.3: the flow that a Path of ours names, for whom it was given to."""
        token = self.cookies.check_flow_token(user)
        if token is None or token.peer != peer_id(sender.name):
            raise Refused(
                403, "this Route was not written by this proxy for you", reason=Refusal.ROUTE
            )
        flow = self.flows.get(token.flow)
        if flow is None:
            raise Refused(430, "the flow has gone", reason=Refusal.USER_UNREACHABLE)
        return Target(flow=flow)

    def _checked(self, user: bytes, request: Request, sender: Sender) -> Cookie:
        """SEC-03: of this dialog, and shown by one of its two ends (docs/trust.md, row 27)."""
        cookie = self.cookies.check(user, request.call_id)
        if cookie is None or not {peer_id(sender.name), _ANYBODY}.intersection(cookie.peers):
            raise Refused(
                403,
                "this Route was not written by this proxy for this dialog",
                reason=Refusal.ROUTE,
            )
        return cookie

    def _named(self, route: SipUri) -> Interface | None:
        transport = b"tls" if route.scheme == b"sips" else (route.transport or b"udp")
        return self.interfaces.at(route.host, port_of(route), transport.lower())


def _set_routes(request: Request, routes: list[bytes]) -> None:
    """Replace the Route set."""
    request.remove(b"Route")
    for value in reversed(routes):
        request.add_first(b"Route", value)
