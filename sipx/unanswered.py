"""Requests that nobody answers: the ACK for a 2xx (RFC 3261 §13.2.2.4), and Microsoft's BENOTIFY.

They are routed like requests of their own, without a transaction, and never challenged. What is
wrong with one is logged and counted; its sender hears nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from sipx.cookies import Cookie
from sipx.errors import Refused
from sipx.forking import AckContext
from sipx.loops import loop_hash
from sipx.plugin import Accept, Later, Refuse, Target, Targets
from sipx.reasons import Refusal
from sipx.sip.errors import RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.plugin import Verdict
    from sipx.proxy import ProxyCore
    from sipx.request_targets import Found
    from sipx.sip.message import Request


class Unanswered:
    """Forwards what is never answered."""

    def __init__(self, core: ProxyCore) -> None:
        self._core = core

    def on_request(self, request: Request, flow: Flow) -> None:
        """One that belongs to no transaction."""
        core = self._core
        try:
            if core.validate_request(request, flow) is not None:
                return
            verdict = core.admission.authenticate_request(request, flow)
            if isinstance(verdict, Later):
                core.park(self._later, verdict, core.admission.asked, request, flow)
            else:
                self._authenticated(request, flow, verdict)
        except (RemoteError, Refused) as refusal:
            self.lost(request, flow, refusal)

    async def _later(
        self,
        later: Later[Verdict],
        asked: Callable[..., Any],
        request: Request,
        flow: Flow,
    ) -> None:
        with trio.move_on_after(later.deadline):
            try:
                verdict = await later.fn()
            except Exception as error:
                self._core.journal.fault(asked, "Later", error)
                return
            try:
                self._authenticated(request, flow, verdict)
            except (RemoteError, Refused) as refusal:
                self.lost(request, flow, refusal)

    def _authenticated(self, request: Request, flow: Flow, verdict: Verdict | None) -> None:
        core = self._core
        if isinstance(verdict, Refuse):
            raise Refused(verdict.status, verdict.why, row=verdict.row)
        if not isinstance(verdict, Accept):
            return
        sender = verdict.sender
        if request.from_domain not in sender.domains:
            why = f"{sender.name} may not use this From domain"
            raise Refused(403, why, reason=Refusal.FROM_DOMAIN, row=sender.row)
        context = AckContext(core, request, flow, sender)
        context.loop = loop_hash(request)
        if core.decisions is not None:
            core.decisions.sender(request, flow, verdict, core.admission.asked)
        proven = not verdict.authorise or core.routing.authenticated(request, sender, flow)
        cookie = core.routing.preprocess(request, context)
        if isinstance(cookie, Cookie):
            core.within(cookie, context)
            return
        if not proven:
            return
        if isinstance(cookie, Target):
            if core.decisions is not None:
                core.decisions.route(context, cookie, within=False)
            context.add_branch(cookie)
            return
        core.admission.check_relay(request, sender)
        found = core.targets.determine_targets(request, sender)
        if isinstance(found, Later):
            core.park(self._targets_later, found, core.targets.asked, context)
        elif isinstance(found, Targets) and found.groups:
            self._send(context, found, core.targets.asked)

    def _send(self, context: AckContext, found: Targets, asked: Callable[..., Any]) -> None:
        if self._core.decisions is not None:
            self._core.decisions.targets(context, found, asked)
        context.add_branch(found.groups[0][0])

    async def _targets_later(
        self, later: Later[Found], asked: Callable[..., Any], context: AckContext
    ) -> None:
        with trio.move_on_after(later.deadline):
            try:
                found = await later.fn()
            except Refused as refusal:
                self.lost(context.request, context.flow, refusal)
            except Exception as error:
                self._core.journal.fault(asked, "Later", error)
            else:
                if isinstance(found, Targets) and found.groups:
                    self._send(context, found, asked)

    def lost(self, request: Request, flow: Flow, refusal: RemoteError | Refused) -> None:
        """It goes nowhere, and why."""
        if self._core.decisions is not None:
            self._core.decisions.refused(request, flow, refusal)
        if isinstance(refusal, Refused):
            why, reason, row = refusal.why, refusal.reason, refusal.row
        else:
            why, reason, row = refusal.reason, Refusal.MALFORMED, 0
        self._core.journal.refused(request, flow, 0, why, reason, row)
