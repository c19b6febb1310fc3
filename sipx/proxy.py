"""The proxy core: RFC 3261 §16, step by step, in its order and its words.

    validate_request (§16.3)  ->  authenticate_request  ->  route preprocessing (§16.4)
      ->  [serve_request]  ->  determine_targets (§16.5)  ->  forward (§16.6)
    responses: Branch.on_response -> ResponseContext.received (§16.7) -> respond

Each step is a plain call in the task that read the message. A request that must wait (for a name,
a connection, a plugin's ``Later``) is parked in a task of the kernel and comes back to the step
it left. This module, sipx/admission.py, which asks who sends it, and sipx/request_targets.py, which
asks where it goes, are the only callers of the hot hooks that decide.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import trio

from sipx.admission import INSIDE, Admission
from sipx.contacts import Contacts
from sipx.cookies import PREFIX, Cookie, Cookies
from sipx.errors import Refused
from sipx.forking import TIMER_C, AckContext, Branch, ResponseContext, warning
from sipx.forwarding import RECORD_ROUTED, demand_path, given_breadth, guard_identity
from sipx.loops import is_loop, loop_hash
from sipx.loose_routing import LooseRouting
from sipx.paths import Permitted
from sipx.plugin import Later, Refuse, Target
from sipx.reasons import Refusal
from sipx.request_targets import Found, RequestTargets
from sipx.sip.errors import RemoteError
from sipx.sip.message import Request, Response, max_forwards
from sipx.sip.transaction import PROCEEDING
from sipx.sip.uri import cached_uri
from sipx.transactions import ONLY_ACK, UNANSWERED
from sipx.unanswered import Unanswered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from sipx.decisions import Decisions
    from sipx.discovery import Discoveries
    from sipx.flows import Flow, FlowTable
    from sipx.forwarding import Forwarder
    from sipx.hooks import Hooks
    from sipx.identity import Partner
    from sipx.interfaces import Interfaces
    from sipx.journal import Journal
    from sipx.plugin import Verdict
    from sipx.sip.transaction import ServerTransaction
    from sipx.sip.uri import SipUri
    from sipx.transactions import Transactions

T = TypeVar("T")
_OWN_URIS: Final = (b"sip:" + PREFIX, b"sips:" + PREFIX)
_HUNTED: Final = (b"SUBSCRIBE", b"PUBLISH")
BENOTIFY_TAG: Final = b"ms-benotify"
_BY_POLICY: Final = (3, 10)
"""Rows of docs/trust.md, table "Outgoing", that the operator's lists decide, and not the DNS."""
_END_AWAY: Final = Refuse(480, "whoever has this dialog cannot be reached now")
_INVALID: Final = {
    420: Refusal.MALFORMED,
    440: Refusal.MALFORMED,
    482: Refusal.LOOP,
    483: Refusal.TOO_MANY_HOPS,
    500: Refusal.PLUGIN_FAULT,
}
"""What counters call the answers of §16.3; all others are those of plugins."""


class Park(Protocol):
    """Run an async function in the kernel's nursery; False when too many are parked."""

    def __call__(self, fn: Callable[..., Awaitable[None]], *args: Any) -> bool:
        """Start ``fn(*args)`` soon."""
        ...


class ProxyCore:
    """The transaction user of a proxy (RFC 3261 §16)."""

    def __init__(
        self,
        *,
        domains: frozenset[bytes],
        hooks: Hooks,
        interfaces: Interfaces,
        transactions: Transactions,
        cookies: Cookies,
        flows: FlowTable,
        journal: Journal,
        forwarder: Forwarder,
        park: Park,
        discoveries: Discoveries,
        partners: Iterable[Partner] = (),
    ) -> None:
        self.domains = domains
        self.hooks = hooks
        self.interfaces = interfaces
        self.transactions = transactions
        self.timers = transactions.timers
        self.discoveries = discoveries
        self.targets = RequestTargets(domains, hooks, journal, discoveries)
        self.routing = LooseRouting(
            interfaces, cookies, flows, self.targets.dialog_target, partners, discoveries.partner
        )
        self.admission = Admission(domains, hooks, journal, self.routing)
        self.journal = journal
        self.forwarder = forwarder
        self.forward = forwarder.forward
        """§16.6 for one branch, or as far as it gets without waiting."""
        self.park = park
        self.unanswered = Unanswered(self)
        self.contacts = Contacts()
        self.decisions: Decisions | None = None
        """Told of every step while somebody watches; None while nobody does."""
        self.traced = False
        """Whether somebody wants to see messages."""
        self.understand(hooks.option_tags())
        self.draining = False

    def understand(self, tags: frozenset[bytes]) -> None:
        """These option tags may stand in Proxy-Require (§16.3 item 5).

        With ms-benotify there is a method BENOTIFY, which like ACK is never answered.
        """
        self.understood = tags
        self.admission.benotify = BENOTIFY_TAG in tags
        self.transactions.unanswered = UNANSWERED if BENOTIFY_TAG in tags else ONLY_ACK

    # ------------------------------------------------------------ requests

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A new request with its server transaction."""
        try:
            reply = self.validate_request(request, flow)
            if reply is not None:
                if reply.status >= 300:
                    reason = self._invalid(reply.status, flow)
                    self.journal.refused_for[reason] += 1
                    if self.decisions is not None:
                        asked = self.admission.who_answered(reply)
                        self.decisions.invalid(request, flow, reply, reason, asked)
                self.answer(request, transaction, flow, reply)
                return
            verdict = self.admission.authenticate_request(request, flow)
            if isinstance(verdict, Later):
                go_on = partial(self._authenticated, request, transaction, flow)
                asked = self.admission.asked
                self._wait_for(verdict, self.admission, asked, go_on, request, transaction, flow)
            else:
                self._authenticated(request, transaction, flow, verdict)
        except (RemoteError, Refused) as refusal:
            self.refuse(request, transaction, flow, refusal)

    def _authenticated(
        self,
        request: Request,
        transaction: ServerTransaction,
        flow: Flow,
        verdict: Verdict | None,
    ) -> None:
        accepted = self.admission.admit(verdict, request, flow)
        sender = accepted.sender
        context = ResponseContext(self, request, transaction, flow, sender)
        context.started = self.timers.now
        context.authorised = accepted.authorise
        context.loop = loop_hash(request)
        if self.decisions is not None:
            self.decisions.sender(request, flow, accepted, self.admission.asked)
        if request.method in RECORD_ROUTED:
            if sender.partner is not None:
                self.discoveries.met(sender.partner)
            elif sender.kind in INSIDE:
                self.contacts.learn(sender.name, request)
        if request.layout.route >= 0 or request.uri.startswith(_OWN_URIS):
            cookie = self.routing.preprocess(request, context)
            if isinstance(cookie, Target):
                if self.decisions is not None:
                    self.decisions.route(context, cookie, within=False)
                context.add_branch(cookie)
                return
            if cookie is not None:
                if request.method == b"REGISTER":
                    raise Refused(403, "REGISTER is of no dialog", reason=Refusal.ROUTE)
                self.within(cookie, context)
                return
        uri = cached_uri(request.uri)
        if request.method == b"REGISTER" and uri.user is not None and uri.host in self.domains:
            # §10.2: "The "userinfo" and "@" components of the SIP URI MUST NOT be present." With
            # them it would go to the user: to a server that takes for granted whom we let in.
            raise RemoteError("A REGISTER is for a domain, not for a user")
        if uri.user is None and (uri.host in self.domains or self.routing.is_ours(uri)):
            reply = self.targets.serve_request(request, sender, flow)
            if isinstance(reply, Later):
                served = partial(self._served, context)
                asked = self.targets.asked
                self._wait_for(reply, self.targets, asked, served, request, transaction, flow)
                return
            if reply is not None:
                self._served(context, reply)
                return
        self.admission.check_relay(request, sender)
        targets = self.targets.determine_targets(request, sender)
        if isinstance(targets, Later):
            go_on = partial(self._targets_known, context)
            asked = self.targets.asked
            self._wait_for(targets, self.targets, asked, go_on, request, transaction, flow)
        else:
            self._targets_known(context, targets)

    def within(self, cookie: Cookie, context: ResponseContext | AckContext) -> None:
        """A request within a dialog of ours goes to its other end. Raises Refused."""
        sender = context.sender
        if sender.kind in INSIDE:
            context.permitted = Permitted(cookie.addresses)
        else:
            if context.request.to.tag is None:
                # RFC 3261 §12.2.1.1. The cookie is good for a Call-ID, which may be used again:
                # whoever is let in to one user would ask for all others by it (SEC-22).
                why = "a request within a dialog has a tag in To, and this one has none"
                raise Refused(403, why, reason=Refusal.ROUTE)
            ports = self.contacts.ports(*self.routing.far_end(cookie, sender, context.flow))
            context.permitted = Permitted(cookie.addresses, only=True, ports=ports)
        peer = self.routing.discovered_end(cookie, sender, context.flow)
        if peer is not None:
            domain = context.request.to_domain
            if not self.discoveries:
                # Open federation was switched off: nothing is said to strangers any more.
                raise self.targets.no_way_to(domain)
            if not self.discoveries.is_known(peer, domain):
                if not self.park(self._meet_again, cookie, context, peer, domain):
                    raise Refused(503, "too many requests are waiting", reason=Refusal.OVERLOAD)
                return
        self._to_other_end(cookie, context)

    def _to_other_end(self, cookie: Cookie, context: ResponseContext | AckContext) -> None:
        target = self.routing.other_end(cookie, context.sender, context.flow)
        if self.decisions is not None:
            self.decisions.route(context, target, within=True)
        if target.account is not None and isinstance(context, ResponseContext):
            context.unreachable = _END_AWAY
        context.add_branch(target)

    async def _meet_again(
        self, cookie: Cookie, context: ResponseContext | AckContext, peer: bytes, domain: bytes
    ) -> None:
        """A dialog with a discovered partner is older than this process, or than its settings: the
        DNS tells once more what the partner has to prove. Its domain stands in To, and its name in
        the cookie.
        """
        request, flow = context.request, context.flow
        refuse = await self.discoveries.meet(domain)
        if context.done:
            return
        try:
            # A dialog outlives its record in the DNS, but not what the operator has decided since.
            if refuse is not None and (
                refuse.row in _BY_POLICY or self.discoveries.partner(peer) is None
            ):
                raise self.targets.refusal(refuse)
            self._to_other_end(cookie, context)
        except (RemoteError, Refused) as refusal:
            if isinstance(context, ResponseContext):
                self.refuse(request, context.server, flow, refusal)
            else:
                self.unanswered.lost(request, flow, refusal)

    def _served(self, context: ResponseContext, response: Response) -> None:
        """A plugin is the user agent server of this request."""
        if self.decisions is not None:
            self.decisions.served(context, response, self.targets.asked)
        if response.status >= 300:
            self.journal.refused_for[Refusal.REGISTRATION] += 1
        self.answer(context.request, context.server, context.flow, response)
        context.release()

    def _targets_known(self, context: ResponseContext, targets: Found) -> None:
        request = context.request
        if targets is None:
            if request.method == b"OPTIONS" and self._is_domain(cached_uri(request.uri)):
                # §11: nobody else is asked: it is this proxy that serves the domain.
                self.targets.asked = _capabilities
                self._served(context, _capabilities(request))
                return
            raise self.targets.nowhere(request)
        if isinstance(targets, Refuse):
            raise self.targets.refusal(targets)
        if request.method == b"REGISTER" and context.flow.interface.role == "lan":
            demand_path(request)
        context.unreachable = targets.unreachable
        if self.decisions is not None:
            self.decisions.targets(context, targets, self.targets.asked)
        groups = targets.groups
        if len(groups) == 1 and len(groups[0]) == 1:
            context.add_branch(groups[0][0])
            return
        self.forwarder.set_breadth(context, groups)
        context.hunting = targets.hunt or request.method in _HUNTED
        if not context.next_group():
            raise self.targets.nowhere(request)

    def _wait_for(
        self,
        later: Later[T],
        asking: Admission | RequestTargets,
        asked: Callable[..., Any],
        go_on: Callable[[T], None],
        request: Request,
        transaction: ServerTransaction,
        flow: Flow,
    ) -> None:
        """Park a request until a plugin has its answer (docs/hooks.md, "Later"): ``asked`` it was.

        A request that was cancelled in the meantime has been answered, and goes nowhere.
        """

        async def wait() -> None:
            try:
                try:
                    with trio.fail_after(later.deadline):
                        answer = await later.fn()
                except trio.TooSlowError:
                    raise Refused(
                        504, "a plugin did not answer in time", reason=Refusal.PLUGIN_TIMEOUT
                    ) from None
                except Refused:
                    raise
                except Exception as error:
                    self.journal.fault(asked, "Later", error)
                    raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
                if transaction.state <= PROCEEDING:
                    asking.asked = asked
                    go_on(answer)
            except (RemoteError, Refused) as refusal:
                if transaction.state <= PROCEEDING:
                    self.refuse(request, transaction, flow, refusal)

        if not self.park(wait):
            raise Refused(
                503,
                "too many requests are waiting",
                ((b"Retry-After", b"5"),),
                Refusal.OVERLOAD,
            )

    # ------------------------------------------------------------ §16.3

    def validate_request(self, request: Request, flow: Flow) -> Response | None:
        """§16.3; a response refuses the request. Raises RemoteError (416, 400) and Refused."""
        # Item 1, reasonable syntax: the parser has seen to it. Item 2, the scheme: raises 416.
        uri = cached_uri(request.uri)
        if uri.headers is not None:
            # §19.1.1: header fields are "not allowed" in a Request-URI.
            raise RemoteError("Header fields in the Request-URI")
        layout = request.layout
        # RFC 5393 §5.3.3: what may not be sent to even one target is answered 440. Raises
        # RemoteError now, not when the request has been parked.
        if layout.max_breadth >= 0 and given_breadth(request) < 1:
            return request.reply(440)
        # Item 3: "If the request contains a Max-Forwards header field with a field value of zero
        # (0), the element MUST NOT forward the request." It may answer OPTIONS.
        i = layout.max_forwards
        to_us = uri.user is None and self.routing.is_ours(uri)
        if i >= 0 and max_forwards(request.lines[i])[0] == 0 and not to_us:
            return request.reply(483, headers=warning("Max-Forwards has run out"))
        if to_us:
            reply = self._to_ourselves(request)
            if reply is not None:
                return reply
        # Item 4, loops (RFC 5393 §4.2.2).
        own = self.transactions.own_sent_by
        if (
            layout.vias > 1 or request.sent_by in own or b"," in request.lines[layout.via]
        ) and is_loop(request, own):
            return request.reply(482, headers=warning("this request has been here before"))
        # Item 5: "If the request contains a Proxy-Require header field with one or more option-
        # tags this element does not understand".
        if layout.proxy_require >= 0:
            tags = [
                tag
                for tag in request.get_list(b"Proxy-Require")
                if tag.lower() not in self.understood
            ]
            if tags:
                return request.reply(420, headers=((b"Unsupported", b", ".join(tags)),))
        # Item 6, authorisation, is authenticate_request. Before it: the plugins' own limits.
        reply = self.admission.limits_of_plugins(request, flow)
        if reply is not None:
            return reply
        if (self.draining or flow.interface.draining) and not self._within_dialog(request):
            return request.reply(503, headers=((b"Retry-After", b"10"),))
        return None

    def _invalid(self, status: int, flow: Flow) -> Refusal:
        """What counters call a response of ``validate_request``."""
        if status == 503 and (self.draining or flow.interface.draining):
            return Refusal.STOPPING
        return _INVALID.get(status, Refusal.PLUGIN)

    def _to_ourselves(self, request: Request) -> Response | None:
        """A request whose Request-URI is this proxy: OPTIONS is answered, without details."""
        if request.method == b"OPTIONS" and request.layout.route < 0:
            return _capabilities(request)
        return None

    def _is_domain(self, uri: SipUri) -> bool:
        """Whether a URI is one of our domains, and nobody in it."""
        return uri.user is None and uri.host in self.domains

    def _within_dialog(self, request: Request) -> bool:
        return request.layout.route >= 0 or request.to.tag is not None

    # ------------------------------------------------------------ responses

    def respond(self, context: ResponseContext, response: Response, branch: Branch | None) -> None:
        """§16.7 items 9 and 10: a response goes upstream."""
        if branch is not None:
            if response.layout.border:
                # RFC 3325 §5 speaks of messages, not of requests alone.
                guard_identity(response, branch.target.trusted, context.sender.trusted)
            if (
                response.status < 300
                and context.sender.kind not in INSIDE
                and context.request.method in RECORD_ROUTED
            ):
                self.contacts.learn(branch.target.name, response)
            for hook in self.hooks.process_response:
                try:
                    hook(response, branch)
                except Exception as error:
                    self.journal.fault(hook, "process_response", error)
        server = context.server
        request = context.request
        if context.flow.reliable and response.layout.content_length < 0:
            response.add(b"Content-Length", b"%d" % len(response.body))
        sent = server.respond(response.status, response.encode())
        if response.status >= 200 and not context.answered:
            context.answered = True
            self.journal.answered(request.method, response.status)
            if self.hooks.transaction_ended:
                self.journal.record(context, response, branch)
            if self.decisions is not None:
                self.decisions.answer(request, context.flow, response, branch)
        if self.traced and sent:
            self.journal.trace_out(response, context.flow)
        if context.done:
            if request.method != b"INVITE":
                context.release()
            else:
                context.settle()

    def give_up(self, context: ResponseContext) -> None:
        """RFC 4320 §4.2: silence instead of a 408."""
        self.transactions.abandon(context.server)
        self.journal.answered(context.request.method, 0)
        if self.hooks.transaction_ended:
            self.journal.record(context, None, None)
        if self.decisions is not None:
            self.decisions.answer(context.request, context.flow, None, None)
        context.release()

    def start_timer_c(self, context: ResponseContext) -> float:
        """§16.6 item 11: Timer C MUST be larger than 3 minutes."""
        timers = self.timers
        delay = self.transactions.settings.c
        timers.start(delay, context, TIMER_C)
        return timers.now + delay

    def answer(
        self, request: Request, transaction: ServerTransaction, flow: Flow, response: Response
    ) -> None:
        """A final response of our own, outside any response context."""
        sent = transaction.respond(response.status, response.encode())
        self.journal.answered(request.method, response.status)
        if self.hooks.transaction_ended:
            self.journal.record_own(request, response, flow, self.timers.now)
        if self.decisions is not None:
            self.decisions.answer(request, flow, response, None)
        if self.traced and sent:
            self.journal.trace_out(response, flow)

    def refuse(
        self,
        request: Request,
        transaction: ServerTransaction,
        flow: Flow,
        refusal: RemoteError | Refused,
    ) -> None:
        """Turn an exception of a step into its response."""
        if self.decisions is not None:
            self.decisions.refused(request, flow, refusal)
        if isinstance(refusal, RemoteError):
            reply = request.reply(refusal.status, headers=warning(refusal.reason))
            reason = Refusal.MALFORMED
        else:
            reason = refusal.reason
            if not refusal.status:
                self._ignore(request, transaction, flow, refusal)
                return
            headers = refusal.headers + (warning(refusal.why) if refusal.why else ())
            reply = request.reply(refusal.status, headers=headers)
        row = refusal.row if isinstance(refusal, Refused) else 0
        self.journal.refused(request, flow, reply.status, str(refusal), reason, row)
        self.answer(request, transaction, flow, reply)
        if transaction.context is not None:
            transaction.context.release()

    def _ignore(
        self, request: Request, transaction: ServerTransaction, flow: Flow, refusal: Refused
    ) -> None:
        """A plugin wants no answer at all: who is banned learns nothing, and costs little."""
        self.journal.refused(request, flow, 0, refusal.why, refusal.reason, refusal.row)
        self.journal.answered(request.method, 0)
        self.transactions.abandon(transaction)

    # ------------------------------------------------------------ ACK and CANCEL

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK for a 2xx, or a BENOTIFY."""
        self.unanswered.on_request(request, flow)

    def on_cancel(
        self,
        request: Request,
        transaction: ServerTransaction,
        invite: ServerTransaction | None,
        flow: Flow,
    ) -> None:
        """§16.10: our own 200, then CANCEL for every pending branch; 481 when nothing matches."""
        if invite is None:
            self.journal.refused_for[Refusal.NO_TRANSACTION] += 1
            self.answer(request, transaction, flow, request.reply(481))
            return
        self.answer(request, transaction, flow, request.reply(200))
        if isinstance(invite.context, ResponseContext):
            invite.context.cancel()
        elif invite.state == PROCEEDING and invite.request is not None:
            # A plugin still looks for its sender.
            parked = invite.request
            self.answer(parked, invite, flow, parked.reply(487))


def _capabilities(request: Request) -> Response:
    """The answer to OPTIONS (§11.2), without details."""
    return request.reply(200, headers=((b"Accept", b"*/*"),))
