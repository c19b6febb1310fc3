"""RFC 3261 §16.6: the copy that leaves on one branch, and the way out for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx.contacts import contact_port
from sipx.cookies import (
    AUTHENTICATED,
    FAR_BY_FLOW,
    FAR_DISCOVERED,
    NEAR_BY_FLOW,
    NEAR_DISCOVERED,
    TRUSTED,
    Cookies,
)
from sipx.errors import Refused
from sipx.paths import NoHop, Paths
from sipx.reasons import Refusal
from sipx.sip import names
from sipx.sip.errors import RemoteError
from sipx.sip.headers import NameAddr, digits, split_list
from sipx.sip.message import Message, Request, max_forwards
from sipx.sip.uri import SipUri
from sipx.trust import identity_headers_kept

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from sipx.decisions import Decisions
    from sipx.flows import Flow
    from sipx.forking import AckBranch, AckContext, Branch, ResponseContext
    from sipx.hooks import Hooks
    from sipx.interfaces import Interface
    from sipx.journal import Journal
    from sipx.plugin import Target
    from sipx.proxy import Park
    from sipx.resolver import Hop
    from sipx.sip.timers import Timers

RECORD_ROUTED: Final = frozenset((b"INVITE", b"SUBSCRIBE", b"NOTIFY", b"REFER"))
"""Methods that form or refresh dialogs; RFC 6665 §4.3 wants every NOTIFY among them."""

MAX_BREADTH: Final = 60
"""RFC 5393 §5.3.3: what a request without Max-Breadth gets, and the most we let pass."""

_MAX_BREADTH_LINE: Final = b"Max-Breadth: %d" % MAX_BREADTH


class Forwarder:
    """Finds the way for a branch and sends its copy. ``sequence`` numbers our branches."""

    def __init__(
        self,
        *,
        hooks: Hooks,
        paths: Paths,
        cookies: Cookies,
        timers: Timers,
        journal: Journal,
        park: Park,
        batch_begins: Callable[[], None],
        batch_ends: Callable[[], None],
        sequence: int,
        udp_request_size: int,
    ) -> None:
        self.hooks = hooks
        self.paths = paths
        self.cookies = cookies
        self.timers = timers
        self.journal = journal
        self.park = park
        self.batch_begins = batch_begins
        self.batch_ends = batch_ends
        self.sequence = sequence
        self.udp_request_size = udp_request_size
        self.decisions: Decisions | None = None
        """Told of every step while somebody watches; None while nobody does."""
        self.watched = False
        """Whether somebody wants to see the steps of requests, or messages."""

    # ------------------------------------------------------------ the way out

    def forward(self, branch: Branch | AckBranch) -> None:
        """Send the branch now if its hop and its flow are there; else park it."""
        context = branch.context
        target = branch.target
        try:
            flow: Flow | None
            if not branch.hops:
                ready = self.paths.ready(target, self.timers.now)
                if ready is not None:
                    branch.hops = ready[1]
                    if self.decisions is not None:
                        self.decisions.hops(branch, waited=False)
                    self.launch(branch, ready[0])
                    return
                if target.flow is not None:
                    if target.flow.closed:
                        raise NoHop(430, "the flow to this user has gone")
                    self.launch(branch, target.flow)
                    return
                hops = self.paths.hops_now(
                    target, next_uri(context.request, target), context.permitted
                )
                if hops is None:
                    self._park(branch)
                    return
                branch.hops = self.paths.by_health(hops)
                if self.decisions is not None:
                    self.decisions.hops(branch, waited=False)
            elif branch.index:
                # A failover: the hop before this one did not serve.
                self.paths.failed(branch.hops[branch.index - 1])
            if target.discovered and len(branch.hops) > 1 and not branch.index:
                there = self.paths.open_among(branch.hops, _bind(target), target.partner)
                if there is not None:
                    branch.hops = there[0]
            flow = self.paths.flow_now(
                branch.hops[branch.index], _bind(target), context.near, target.partner
            )
            if flow is None:
                self._park(branch)
                return
            self._launch_to_hop(branch, flow)
        except NoHop as failure:
            context.failed(branch, failure.status, failure.why)  # type: ignore[arg-type]  # each context has its own kind of branch

    def _park(self, branch: Branch | AckBranch) -> None:
        if not self.park(self._find, branch):
            raise NoHop(503, "too many requests are waiting for a connection")

    async def _find(self, branch: Branch | AckBranch) -> None:
        """Ask DNS, connect, send."""
        context, target = branch.context, branch.target
        failure: NoHop | None = None
        flow: Flow | None = None
        try:
            if not branch.hops:
                uri = next_uri(context.request, target)
                hops = await self.paths.hops(target, uri, context.permitted)
                branch.hops = self.paths.by_health(hops)
                if self.decisions is not None:
                    self.decisions.hops(branch, waited=True)
            if target.discovered:
                left = branch.hops[branch.index :]
                branch.hops, branch.index = left[-1:], 0  # if all fail there is no other to try
                branch.hops, flow = await self.paths.first_flow(
                    left, _bind(target), context.near, target.partner
                )
            else:
                hop = branch.hops[branch.index]
                flow = await self.paths.flow(hop, _bind(target), context.near, target.partner)
        except NoHop as error:
            # Its traceback would lead back to this frame, and the frame to it.
            failure = error.with_traceback(None)
        self.batch_begins()
        if branch.response is None and not context.done:
            if flow is not None:
                self._launch_to_hop(branch, flow)
            elif failure is not None:
                context.failed(branch, failure.status, failure.why)  # type: ignore[arg-type]  # each context has its own kind of branch
        self.batch_ends()

    def _launch_to_hop(self, branch: Branch | AckBranch, flow: Flow) -> None:
        if branch.index == 0:
            self.paths.keep(branch.target, flow, branch.hops)
        self.launch(branch, flow)

    def launch(self, branch: Branch | AckBranch, flow: Flow) -> None:
        """Build the copy for this flow and start the branch.

        §18.1.1: "If a request is within 200 bytes of the path MTU, or if it is larger than 1300
        bytes and the path MTU is unknown, the request MUST be sent using an RFC 2914 congestion
        controlled transport protocol, such as TCP."
        """
        key, data = self.build(branch, flow)
        if not key:
            return
        if not flow.reliable and len(data) > self.udp_request_size and branch.hops:
            hop = branch.hops[branch.index]
            stream = self.paths.tcp_hop(hop)
            if stream is not None:
                connected = self.paths.flow_now(stream)
                if connected is not None:
                    flow = connected
                    key, data = self.build(branch, flow)
                elif self.park(self._by_tcp, branch, hop, stream, flow):
                    return
        flow.carries_requests = True
        if self.watched:
            self._tell(branch, key, data, flow)
        branch.launch(key, data, flow)

    def _tell(self, branch: Branch | AckBranch, key: bytes, data: bytes, flow: Flow) -> None:
        if self.hooks.message_traced:
            self.journal.trace_sent(data, flow)
        if self.decisions is not None:
            self.decisions.branch(branch, key, flow)

    async def _by_tcp(
        self, branch: Branch | AckBranch, hop: Hop, stream: Hop, datagram: Flow
    ) -> None:
        """A large request by TCP; §18.1.1: if that is refused, by UDP after all."""
        flow: Flow = datagram
        try:
            flow = await self.paths.flow(stream)
        except NoHop:
            self.paths.refused_tcp(hop)
        self.batch_begins()
        if branch.response is None and not branch.context.done:
            key, data = self.build(branch, flow)
            flow.carries_requests = True
            if self.watched:
                self._tell(branch, key, data, flow)
            branch.launch(key, data, flow)
        self.batch_ends()

    # ------------------------------------------------------------ the copy

    def build(self, branch: Branch | AckBranch, flow: Flow) -> tuple[bytes, bytes]:
        """§16.6 items 1 to 9: our branch parameter, and the bytes to send.

        An empty branch: the request cannot go this way, and its context has been told.
        """
        context = branch.context
        target = branch.target
        request = context.request
        layout = request.layout
        # Item 1: "The proxy starts with a copy of the received request."
        copy = request.copy()
        # Item 2: the Request-URI.
        if target.uri is not None:
            copy.set_uri(target.uri)
        if not flow.secure and copy.uri.startswith(b"sips:"):
            context.failed(branch, 416, "a sips URI needs TLS on every hop")  # type: ignore[arg-type]  # each context has its own kind of branch
            return b"", b""
        # Item 3: Max-Forwards. "If the copy does not contain a Max-Forwards header field, the
        # proxy MUST add one with a field value, which SHOULD be 70."
        head = [copy.start, b""]
        i = layout.max_forwards
        if i >= 0:
            copy.lines[i] = max_forwards(copy.lines[i])[1]
        else:
            head.append(b"Max-Forwards: 70")
        if layout.max_breadth < 0 and not context.breadth:
            head.append(_MAX_BREADTH_LINE)
        else:
            self._set_breadth(copy, context.breadth)
        if layout.border:
            guard_identity(copy, context.sender.trusted, target.trusted, context.sender.domains)
        # Item 4: Record-Route, above those that are there.
        if copy.method in RECORD_ROUTED:
            head[2:2] = self.record_routes(context, target, flow, copy)
        elif copy.method == b"REGISTER" and supports_path(copy):
            head[2:2] = [self._path(context, target, flow)]
        # Item 5: what plugins add. Item 6: the Route set.
        if target.route:
            for value in reversed(target.route):
                copy.add_first(b"Route", value)
        for hook in self.hooks.forward_request:
            try:
                hook(copy, target)
            except Exception as error:
                self.journal.fault(hook, "forward_request", error)
        if copy.layout.route >= 0:
            _postprocess_route(copy)
        head[0] = copy.start
        # Item 8: Via, with a branch that is unique and carries the loop hash (RFC 5393 §4.2.1).
        self.sequence += 1
        key = b"z9hG4bK%xg%b" % (self.sequence, context.loop)
        head[1] = via = flow.via_head + key[7:]
        # Item 9: "If the request will be sent to the next hop using a stream-based transport and
        # the copy contains no Content-Length header field, the proxy MUST insert one".
        if flow.reliable and copy.layout.content_length < 0:
            head.append(b"Content-Length: %d" % len(copy.body))
        if copy.method == b"INVITE":
            branch.sent = copy
            branch.via = via
        return key, b"\r\n".join([*head, *copy.lines, b"", copy.body])

    def record_routes(
        self,
        context: ResponseContext | AckContext,
        target: Target,
        flow: Flow,
        copy: Request,
    ) -> list[bytes]:
        """§16.6 item 4 and RFC 5658: one Record-Route, two when the dialog changes interfaces.

        Both carry the same cookie; the topmost is the one that the callee's side uses.
        """
        near = context.flow
        cookie = context.cookie or self._cookie(context, target, flow, copy)
        scheme = b"sips" if copy.uri.startswith(b"sips:") else b"sip"
        lines = [_record_route(scheme, cookie, flow.interface)]
        if near.interface is not flow.interface:
            lines.append(_record_route(scheme, cookie, near.interface))
        return lines

    def _cookie(
        self,
        context: ResponseContext | AckContext,
        target: Target,
        flow: Flow,
        copy: Request,
    ) -> bytes:
        """Who is at the ends of this new dialog, and how each will be reached."""
        sender, near = context.sender, context.flow
        flags = TRUSTED if sender.trusted and target.trusted else 0
        ends = [0, 0]
        if sender.account is not None:
            flags |= NEAR_BY_FLOW
            ends[0] = near.id
        elif context.authorised:
            flags |= AUTHENTICATED
            ends[0] = near.id
        if target.account is not None or target.flow is not None:
            flags |= FAR_BY_FLOW
            ends[1] = flow.id
        if sender.partner is not None:
            flags |= NEAR_DISCOVERED
        if target.discovered:
            flags |= FAR_DISCOVERED
        return self.cookies.make(
            copy.call_id,
            near.address,
            flow.address,
            flags,
            (sender.name, target.name),
            (ends[0], ends[1]),
            (contact_port(copy), flow.port if flow.outbound or not flow.reliable else 0),
        )

    def _path(self, context: ResponseContext | AckContext, target: Target, flow: Flow) -> bytes:
        """RFC 3327 §5.2: "the edge proxy MUST insert" itself, as whoever it goes to reaches it;
        the token leads back to the flow that it came on.

        RFC 5626 §5.1: with "ob" where the client itself is at the other end of that flow.
        """
        uri = flow.interface.uri(self.cookies.flow_token(context.flow.id, target.name))
        first = len(context.request.vias) == 1
        return b"Path: <" + uri + (b";ob>" if first else b">")

    def set_breadth(self, context: ResponseContext, groups: tuple[tuple[Target, ...], ...]) -> None:
        """RFC 5393 §5.3.3: the branches of a fork share the Max-Breadth of the request.

        A parallel group that is wider than that is tried one after the other instead, which is
        always allowed; SUBSCRIBE and PUBLISH are never forked (RFC 3856 §6.6).
        """
        request = context.request
        given = given_breadth(request) if request.layout.max_breadth >= 0 else MAX_BREADTH
        breadth = min(given, MAX_BREADTH)
        groups = _each_once(groups)
        widest = max(map(len, groups), default=1)
        if request.method in (b"SUBSCRIBE", b"PUBLISH") or widest > breadth:
            groups = tuple((target,) for group in groups for target in group)
            widest = 1
        context.groups = list(groups)
        context.breadth = max(1, breadth // max(1, widest))

    def _set_breadth(self, copy: Request, share: int) -> None:
        i = copy.layout.max_breadth
        if i < 0:
            copy.add(b"Max-Breadth", b"%d" % share)
            return
        if share or given_breadth(copy) > MAX_BREADTH:
            copy.lines[i] = b"Max-Breadth: %d" % (share or MAX_BREADTH)


def given_breadth(request: Request) -> int:
    """The value of its Max-Breadth header field. Raises RemoteError."""
    line = request.lines[request.layout.max_breadth]
    return digits(line[line.find(b":") + 1 :], 2**31 - 1)


def _each_once(groups: tuple[tuple[Target, ...], ...]) -> tuple[tuple[Target, ...], ...]:
    """§16.5: a target that stands in the set already "MUST NOT" be added to it again."""
    seen: set[tuple[object, ...]] = set()
    kept: list[tuple[Target, ...]] = []
    for group in groups:
        fresh: list[Target] = []
        for target in group:
            key = (target.uri, target.hops, target.flow)
            if key not in seen:
                seen.add(key)
                fresh.append(target)
        if fresh:
            kept.append(tuple(fresh))
    return tuple(kept)


def supports_path(request: Request) -> bool:
    """Whether a REGISTER may be given a Path (RFC 3327 §5.2)."""
    return b"path" in [tag.lower() for tag in request.get_list(b"Supported")]


def demand_path(request: Request) -> None:
    """RFC 3327 §5.2: where users log on through this proxy, it is the edge that they are reached
    by, and nobody could reach them without its Path. Raises Refused.
    """
    if not supports_path(request):
        raise Refused(
            421,
            "a REGISTER through this proxy has to support path",
            ((b"Require", b"path"),),
            Refusal.MALFORMED,
        )


def next_uri(request: Request, target: Target) -> bytes:
    """Where RFC 3263 starts (§16.6 item 7): the topmost Route, else the Request-URI."""
    if target.route:
        return NameAddr.parse(target.route[0]).uri
    i = request.layout.route
    if i < 0:
        return request.uri
    line = request.lines[i]
    return NameAddr.parse(split_list(line[line.find(b":") + 1 :])[0]).uri


def _bind(target: Target) -> str | None:
    return target.hops[0].bind if target.hops else None


def _record_route(scheme: bytes, cookie: bytes, interface: Interface) -> bytes:
    return b"Record-Route: <" + interface.uri(cookie, scheme) + b">"


def guard_identity(
    message: Message,
    source_trusted: bool,
    target_trusted: bool,
    domains: Container[bytes] | None = None,
) -> None:
    """RFC 3325 §5: asserted identities live inside a trust domain; marks of trust do as well.

    With ``domains`` an identity is kept only if it lies in one of them, as the From address must.
    """
    privacy = any(
        b"id" in (token.strip() for token in value.lower().split(b";"))
        for value in message.get_all(b"Privacy")
    )
    both = source_trusted and target_trusted
    kept = identity_headers_kept(source_trusted, target_trusted, privacy)
    for i in reversed(range(len(message.lines))):
        header = message.layout.ids[i]
        if header not in names.BORDER:
            continue
        if header == names.P_ASSERTED_IDENTITY:
            if kept and (domains is None or _asserts_within(message.lines[i], domains)):
                continue
        elif both:
            continue
        message.drop_line(i)


def _asserts_within(line: bytes, domains: Container[bytes]) -> bool:
    """Whether all identities of a P-Asserted-Identity line are telephone numbers or covered."""
    try:
        for value in split_list(line[line.find(b":") + 1 :]):
            uri = NameAddr.parse(value).uri
            if uri[:4].lower() != b"tel:" and SipUri.parse(uri).host not in domains:
                return False
    except RemoteError:
        return False
    return True


def _postprocess_route(copy: Request) -> None:
    """§16.6 item 6: a first Route without lr is a strict router."""
    routes = copy.get_list(b"Route")
    first = SipUri.parse(NameAddr.parse(routes[0]).uri)
    if first.lr:
        return
    copy.remove(b"Route")
    for value in reversed((*routes[1:], b"<" + copy.uri + b">")):
        copy.add_first(b"Route", value)
    copy.set_uri(NameAddr.parse(routes[0]).uri)
