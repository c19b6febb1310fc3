"""Who a request comes from, and what every accepted sender is held to (docs/trust.md).

    authenticate_request  ->  [authorise_request]  ->  From domain  ->  method  ->  relay

The plugins say who the sender is; the checks that follow are the kernel's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sipx.errors import Refused
from sipx.plugin import Accept, Challenge, Later, Refuse, Sender
from sipx.reasons import Refusal
from sipx.sip.uri import cached_uri
from sipx.trust import (
    Action,
    Certificate,
    Incoming,
    Role,
    SenderKind,
    allowed_methods,
    decide_incoming,
    method_refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.hooks import Hooks
    from sipx.journal import Journal
    from sipx.loose_routing import LooseRouting
    from sipx.plugin import Verdict
    from sipx.sip.message import Request, Response

INSIDE: Final = (SenderKind.UC_SERVER, SenderKind.USER)
"""Who may send requests to other domains."""


def _nobody() -> None:
    """Stands for the hook before any has answered."""


class Admission:
    """Asks the plugins who sends a request, and admits it or not."""

    def __init__(
        self, domains: frozenset[bytes], hooks: Hooks, journal: Journal, routing: LooseRouting
    ) -> None:
        self.domains = domains
        self.hooks = hooks
        self.journal = journal
        self.routing = routing
        self.benotify = False
        """Whether a plugin understands ms-benotify, and with it the method BENOTIFY."""
        self.asked: Callable[..., Any] = _nobody
        """The hook that answered last."""
        self._limit: tuple[Callable[..., Any], Response] | None = None
        """The plugin's limit that was reached last, as its hook, and what it answered."""

    def limits_of_plugins(self, request: Request, flow: Flow) -> Response | None:
        """What the plugins refuse before anybody is asked who sends it. Raises Refused."""
        for hook in self.hooks.validate_request:
            try:
                reply = hook(request, flow)
            except Exception as error:
                self.journal.fault(hook, "validate_request", error)
                return request.reply(500)
            if isinstance(reply, Refuse):
                reason = Refusal.PLUGIN
                raise Refused(reply.status, reply.why, reply.headers, reason, reply.row, hook)
            if reply is not None:
                self._limit = (hook, reply)
                return reply
        return None

    def who_answered(self, reply: Response) -> Callable[..., Any] | None:
        """The hook that this answer is from, None where it is the proxy's own."""
        return self._limit[0] if self._limit is not None and self._limit[1] is reply else None

    def authenticate_request(self, request: Request, flow: Flow) -> Verdict | Later[Verdict] | None:
        """The first plugin that knows the sender decides; a plugin that raises denies.

        Whom nobody knows by certificate or address, credentials may prove: so a static route
        goes before the question for a password, in whatever order plugins are listed.
        """
        for hook in self.hooks.authenticate_request:
            try:
                verdict = hook(request, flow)
            except Exception as error:
                self.journal.fault(hook, "authenticate_request", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if verdict is not None:
                self.asked = hook
                return verdict
        return self._by_credentials(request, flow, None)

    def _by_credentials(
        self, request: Request, flow: Flow, sender: Sender | None
    ) -> Verdict | None:
        """What credentials, or a live registration on this flow, say of a sender."""
        for hook in self.hooks.authorise_request:
            try:
                verdict = hook(request, flow, sender)
            except Exception as error:
                self.journal.fault(hook, "authorise_request", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if verdict is not None:
                self.asked = hook
                return verdict
        return None

    def admit(self, verdict: Verdict | None, request: Request, flow: Flow) -> Accept:
        """The verdict, then the From-domain check that follows every accepted sender.

        ``authorise`` of the answer tells whether credentials were asked for, and were right.
        """
        if isinstance(verdict, Accept):
            asked = verdict.authorise
            if asked and not self.routing.authenticated(request, verdict.sender, flow):
                verdict = self._authorise(verdict, request, flow)
            sender = verdict.sender
            if request.from_domain not in sender.domains:
                raise Refused(
                    403,
                    f"{sender.name} may not use this From domain",
                    reason=Refusal.FROM_DOMAIN,
                    row=sender.row,
                )
            self._check_method(request, sender, flow)
            return verdict if verdict.authorise == asked else Accept(sender, asked)
        if verdict is None:
            raise self._unknown(request, flow)
        if isinstance(verdict, Challenge):
            reason, headers = Refusal.CHALLENGED, verdict.headers
            raise Refused(verdict.status, "", headers, reason, verdict.row, self.asked)
        reason = Refusal.SENDER_REFUSED if verdict.status else Refusal.BANNED
        headers = verdict.headers
        raise Refused(verdict.status, verdict.why, headers, reason, verdict.row, self.asked)

    def _check_method(self, request: Request, sender: Sender, flow: Flow) -> None:
        """Who is inside may use every method, known or not, but the one that begins compression."""
        inside = sender.kind in INSIDE
        if inside and request.method != b"NEGOTIATE":
            return
        role = Role.LAN if inside else flow.interface.role
        refusal = method_refusal(request.method, role, benotify=self.benotify)
        if refusal is not None:
            allow = allowed_methods(registrar=inside, benotify=self.benotify)
            raise Refused(405, refusal, ((b"Allow", allow),), Refusal.METHOD)

    def _unknown(self, request: Request, flow: Flow) -> Refused:
        """Nobody knows the sender: the row for "no route match" says why that is refused."""
        decision = decide_incoming(
            Incoming(
                protocol=flow.transport,
                role=Role(flow.interface.role),
                certificate=Certificate.NONE if flow.examined is None else Certificate.OK,
                from_ours=request.from_domain in self.domains,
            )
        )
        why = "the sender is not known here"
        if flow.examined is not None and decision.action is Action.REFUSE:
            why = f"{decision.reason}; the certificate: {flow.examined.certificate.describe()}"
        return Refused(403, why, reason=Refusal.SENDER_UNKNOWN, row=decision.row)

    def _authorise(self, accepted: Accept, request: Request, flow: Flow) -> Accept:
        """Untrusted routes: digest, or a live registration on this flow; nobody answers: 403."""
        verdict = self._by_credentials(request, flow, accepted.sender)
        if isinstance(verdict, Accept):
            return verdict
        if isinstance(verdict, Challenge):
            reason, headers = Refusal.CHALLENGED, verdict.headers
            raise Refused(verdict.status, "", headers, reason, verdict.row, self.asked)
        if isinstance(verdict, Refuse):
            reason = Refusal.NOT_AUTHORISED if verdict.status else Refusal.BANNED
            headers = verdict.headers
            raise Refused(verdict.status, verdict.why, headers, reason, verdict.row, self.asked)
        raise Refused(
            403,
            f"{accepted.sender.name} is not trustworthy and no plugin can authorise its requests",
            reason=Refusal.NOT_AUTHORISED,
        )

    def check_relay(self, request: Request, sender: Sender) -> None:
        """SEC-01: outside peers may reach our domains only."""
        if sender.kind not in INSIDE and cached_uri(request.uri).host not in self.domains:
            raise Refused(403, "relaying denied", reason=Refusal.RELAY, row=sender.row)
