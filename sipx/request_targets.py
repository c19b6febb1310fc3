"""Where a request goes: RFC 3261 §16.5, "Determining Request Targets".

The plugins say it, in their order; where none does, for a domain that is not ours, what they bring
as discoveries is asked (sipx/discovery.py). A plugin that raises costs the request: 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipx.errors import Refused
from sipx.plugin import Later, Refuse, Sender, Target, Targets
from sipx.reasons import Refusal
from sipx.sip.uri import cached_uri, is_ip_address
from sipx.trust import Lookup, Outgoing, SenderKind, decide_outgoing

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.discovery import Discoveries
    from sipx.flows import Flow
    from sipx.hooks import Hooks
    from sipx.journal import Journal
    from sipx.sip.message import Request, Response

Found = Targets | Refuse | None


def _nobody() -> None:
    """Stands for the hook before any has answered."""


class RequestTargets:
    """Asks the plugins who serves a request, and where it goes."""

    def __init__(
        self,
        domains: frozenset[bytes],
        hooks: Hooks,
        journal: Journal,
        discoveries: Discoveries,
    ) -> None:
        self.domains = domains
        self.hooks = hooks
        self.journal = journal
        self.discoveries = discoveries
        self.asked: Callable[..., Any] = _nobody
        """The hook that answered last."""

    def serve_request(
        self, request: Request, sender: Sender, flow: Flow
    ) -> Response | Later[Response] | None:
        """A request to a domain or to this proxy: the first plugin that serves it answers."""
        for hook in self.hooks.serve_request:
            try:
                response = hook(request, sender, flow)
            except Exception as error:
                self.journal.fault(hook, "serve_request", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if response is not None:
                self.asked = hook
                return response
        return None

    def determine_targets(self, request: Request, sender: Sender) -> Found | Later[Found]:
        """The first plugin that has a target set decides, then the first discovery."""
        for hook in self.hooks.determine_targets:
            try:
                targets = hook(request, sender)
            except Exception as error:
                self.journal.fault(hook, "determine_targets", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if targets is not None:
                self.asked = hook
                return targets
        host = cached_uri(request.uri).host
        if not self.discoveries or host in self.domains or is_ip_address(host):
            return None
        self.asked = self.discoveries.targets
        return self.discoveries.targets(host)

    def dialog_target(
        self, peer: bytes, flow: Flow | None, sender: Sender
    ) -> Target | Refuse | None:
        """The way to somebody who logged on, for a request within a dialog."""
        for hook in self.hooks.dialog_target:
            try:
                target = hook(peer, flow, sender)
            except Exception as error:
                self.journal.fault(hook, "dialog_target", error)
                raise Refused(500, reason=Refusal.PLUGIN_FAULT) from error
            if target is not None:
                return target
        return None

    def refusal(self, refuse: Refuse) -> Refused:
        """The word of a plugin, or of a discovery, that there is no target."""
        reason = Refusal.NO_ROUTE if refuse.row else Refusal.PLUGIN
        if refuse.status in (430, 480):
            reason = Refusal.USER_UNREACHABLE
        return Refused(refuse.status, refuse.why, refuse.headers, reason, refuse.row, self.asked)

    def nowhere(self, request: Request) -> Refused:
        """Nobody has a target: rows 2, 8, 10 and 11 of docs/trust.md, "Outgoing"."""
        return self.no_way_to(cached_uri(request.uri).host)

    def no_way_to(self, host: bytes) -> Refused:
        """The same of a domain or an address."""
        decision = decide_outgoing(
            Outgoing(
                sender=SenderKind.UC_SERVER,
                named=not is_ip_address(host),
                ours=host in self.domains,
                open_federation_on=bool(self.discoveries),
                srv=Lookup.NOTHING,
            )
        )
        reason = Refusal.USER_UNKNOWN if host in self.domains else Refusal.NO_ROUTE
        return Refused(decision.status or 404, decision.reason, reason=reason, row=decision.row)
