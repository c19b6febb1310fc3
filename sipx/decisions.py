"""What became of a request, step by step, for those who watch: the hook ``decision_made``.

Whoever decides tells it here, and only while somebody watches: ``ProxyCore.decisions`` is None
otherwise. Nothing here decides anything, and a mistake here costs nothing but the telling.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sipx.decision_words import (
    answered,
    by,
    hop_data,
    key_of,
    origin_of,
    place,
    target_data,
    text_of,
    texts_of,
    why_of,
)
from sipx.errors import Refused
from sipx.escaping import escaped
from sipx.events import ProxyDecision
from sipx.forwarding import next_uri
from sipx.logs import masked
from sipx.reasons import ASKED
from sipx.sip.uri import cached_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue

    from sipx.flows import Flow
    from sipx.forking import AckBranch, AckContext, Branch, ResponseContext
    from sipx.hooks import Hooks
    from sipx.journal import Journal
    from sipx.paths import Paths, Permitted
    from sipx.plugin import Accept, Sender, Target, Targets
    from sipx.reasons import Refusal
    from sipx.resolver import Hop
    from sipx.sip.errors import RemoteError
    from sipx.sip.message import Request, Response

_MOST_TARGETS: Final = 60


class Decisions:
    """Tells every step to the observers. ``discoverer`` knows which discovery has found a domain;
    ``bug`` is told what went wrong here.
    """

    def __init__(
        self,
        hooks: Hooks,
        journal: Journal,
        paths: Paths,
        discoverer: Callable[[bytes], Callable[..., Any] | None],
        bug: Callable[[Exception, str], None],
    ) -> None:
        self._hooks = hooks
        self._journal = journal
        self._paths = paths
        self._discoverer = discoverer
        self._bug = bug

    def _tell(
        self,
        request: Request,
        flow: Flow,
        step: str,
        build: Callable[..., tuple[str, Mapping[str, JsonValue]]],
        *args: object,
    ) -> None:
        make = partial(self._made, step, build, *args)
        self._journal.decided(request, flow, ProxyDecision(step, make))

    def _tell_now(
        self,
        request: Request,
        flow: Flow,
        step: str,
        build: Callable[..., tuple[str, Mapping[str, JsonValue]]],
        *args: object,
    ) -> None:
        """The same for what would be another thing a moment later: branches and contexts move."""
        told = self._made(step, build, *args)
        self._journal.decided(request, flow, ProxyDecision(step, lambda: told))

    def _made(
        self,
        step: str,
        build: Callable[..., tuple[str, Mapping[str, JsonValue]]],
        *args: object,
    ) -> tuple[str, Mapping[str, JsonValue]]:
        try:
            return build(*args)
        except Exception as error:
            self._bug(error, f"telling a step ({step}) to those who watch")
            return "", {}

    def _owner(self, hook: Callable[..., Any] | None) -> str:
        """The plugin of a hook or of a discovery, "" for the proxy itself."""
        return "" if hook is None else self._hooks.owner_of(hook)

    # ------------------------------------------------------------ who sends it

    def sender(
        self, request: Request, flow: Flow, accepted: Accept, asked: Callable[..., Any] | None
    ) -> None:
        """It is accepted."""
        self._tell(request, flow, "sender", self._sender, accepted, flow, self._owner(asked))

    def _sender(
        self, accepted: Accept, flow: Flow, plugin: str
    ) -> tuple[str, Mapping[str, JsonValue]]:
        sender, peer = accepted.sender, flow.peer
        data: dict[str, JsonValue] = {
            "name": sender.name,
            "kind": sender.kind.value,
            "trusted": sender.trusted,
            "row": sender.row,
            "plugin": plugin,
            "credentials": accepted.authorise,
            "account": "" if sender.account is None else sender.account.name,
            "peer": "" if peer is None else peer.name,
            "identities": [] if peer is None else texts_of(sorted(peer.identities)[:_MOST_TARGETS]),
        }
        text = (
            f"{sender.name} sends it, accepted as {sender.kind.value}, "
            f"{'trusted' if sender.trusted else 'not trusted'}{by(plugin, sender.row)}"
        )
        return text, data

    def refused(self, request: Request, flow: Flow, refusal: RemoteError | Refused) -> None:
        """A step of the proxy ends it."""
        asked = refusal.asked if isinstance(refusal, Refused) else None
        self._tell(request, flow, "refused", self._refused, refusal, self._owner(asked))

    def _refused(
        self, refusal: RemoteError | Refused, plugin: str
    ) -> tuple[str, Mapping[str, JsonValue]]:
        if isinstance(refusal, Refused):
            why = refusal.why or (ASKED if refusal.status in (401, 407) else "")
            reason, row = str(refusal.reason), refusal.row
        else:
            why, reason, row = refusal.reason, "malformed", 0
        return self._turned_away(refusal.status, why, reason, row, plugin)

    def invalid(
        self,
        request: Request,
        flow: Flow,
        reply: Response,
        reason: Refusal,
        asked: Callable[..., Any] | None,
    ) -> None:
        """RFC 3261 §16.3 refuses it, or a plugin's own limits do."""
        self._tell(
            request,
            flow,
            "refused",
            self._turned_away,
            reply.status,
            why_of(reply),
            str(reason),
            0,
            self._owner(asked),
        )

    def _turned_away(
        self, status: int, why: str, reason: str, row: int, plugin: str
    ) -> tuple[str, Mapping[str, JsonValue]]:
        how = f"refused with {status}" if status else "refused without an answer"
        said = escaped(masked(why or reason))
        data: dict[str, JsonValue] = {
            "status": status,
            "why": escaped(masked(why)),
            "reason": reason,
            "row": row,
            "plugin": plugin,
        }
        return f"{how[0].upper()}{how[1:]}: {said}{by(plugin, row)}", data

    # ------------------------------------------------------------ where it goes

    def route(self, context: ResponseContext | AckContext, target: Target, *, within: bool) -> None:
        """A cookie or a token of ours leads it (RFC 3261 §16.4)."""
        self._tell(context.request, context.flow, "route", self._route, target, within)

    def _route(self, target: Target, within: bool) -> tuple[str, Mapping[str, JsonValue]]:
        partner = "" if target.partner is None else target.partner.name
        over = "" if target.flow is None else target.flow.name
        data: dict[str, JsonValue] = {
            "within": within,
            "trusted": target.trusted,
            "discovered": target.discovered,
            "partner": partner,
            "account": "" if target.account is None else target.account.name,
            "flow": over,
        }
        what = (
            "It is within a dialog that went through here: it goes to the other end"
            if within
            else "A Path of this proxy leads it"
        )
        who = partner or ("" if target.account is None else target.account.name)
        text = what + (f", {who}" if who else "") + (f", over {over}" if over else "")
        return text, data

    def served(
        self, context: ResponseContext, response: Response, asked: Callable[..., Any] | None
    ) -> None:
        """It is answered here, by a plugin or the proxy itself."""
        self._tell(
            context.request,
            context.flow,
            "served",
            self._served,
            response.status,
            self._owner(asked),
        )

    def _served(self, status: int, plugin: str) -> tuple[str, Mapping[str, JsonValue]]:
        who = f"the plugin {plugin}" if plugin else "the proxy itself"
        data: dict[str, JsonValue] = {"plugin": plugin, "status": status}
        return f"It is for this domain: {who} answers it with {status}", data

    def targets(
        self,
        context: ResponseContext | AckContext,
        targets: Targets,
        asked: Callable[..., Any] | None,
    ) -> None:
        """There is a target set (§16.5)."""
        request, sender = context.request, context.sender
        plugin = self._owner(asked) or self._owner(self._discoverer(cached_uri(request.uri).host))
        told = (request, sender, targets, plugin)
        self._tell(request, context.flow, "targets", self._targets, *told)

    def _targets(
        self,
        request: Request,
        sender: Sender,
        targets: Targets,
        plugin: str,
    ) -> tuple[str, Mapping[str, JsonValue]]:
        groups: list[JsonValue] = [
            [target_data(target, request) for target in group[:_MOST_TARGETS]]
            for group in targets.groups[:_MOST_TARGETS]
        ]
        reasons = self._hooks.explain_targets(request, sender)
        data: dict[str, JsonValue] = {
            "plugin": plugin,
            "groups": groups,
            "hunt": targets.hunt,
            "reasons": [escaped(masked(line)) for line in reasons],
        }
        every = [target for group in targets.groups for target in group]
        names = list(dict.fromkeys(target.name or "a target" for target in every))
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        how = "" if len(every) == 1 else f": {len(every)} targets in {len(targets.groups)} turns"
        row = every[0].row if every else 0
        return f"It goes to {shown or 'nobody'}{how}{by(plugin, row)}", data

    def hops(self, branch: Branch | AckBranch, *, waited: bool) -> None:
        """It is known where a target can be reached (RFC 3263)."""
        context = branch.context
        request, way = context.request, (branch.target, branch.hops, context.permitted)
        self._tell(request, context.flow, "hops", self._hops_of, request, *way, waited)

    def _hops_of(
        self,
        request: Request,
        target: Target,
        hops: tuple[Hop, ...],
        permitted: Permitted | None,
        waited: bool,  # what is told, not how
    ) -> tuple[str, Mapping[str, JsonValue]]:
        uri = next_uri(request, target)
        refused = self._refused_hops(target, uri, permitted)
        data: dict[str, JsonValue] = {
            "target": target.name,
            "hops": [hop_data(hop) for hop in hops],
            "refused": refused,
            "dns": self._dns(target, uri, hops),
            "waited": waited,
        }
        shown = ", ".join(place(hop) for hop in hops[:3])
        more = f" and {len(hops) - 3} more" if len(hops) > 3 else ""
        how = "the DNS was asked" if waited else "known already"
        left = f"; {len(refused)} not tried" if refused else ""
        what = "One hop" if len(hops) == 1 else f"{len(hops)} hops"
        return f"{what} for {target.name or 'it'}, {how}: {shown}{more}{left}", data

    def _refused_hops(
        self, target: Target, uri: bytes, permitted: Permitted | None
    ) -> list[JsonValue]:
        found = self._paths.refused(target, uri, permitted)
        return [{**hop_data(hop), "why": why} for hop, why in found]

    def _dns(self, target: Target, uri: bytes, hops: tuple[Hop, ...]) -> list[JsonValue]:
        """What the DNS has said of the names on the way."""
        now = self._paths.clock()
        return [
            {
                "name": escaped(answer.name),
                "type": answer.type,
                "text": escaped(answer.text),
                "ttl": None if answer.expires == float("inf") else round(answer.expires - now, 1),
            }
            for answer in self._paths.dns_answers(target, uri, hops)
        ]

    # ------------------------------------------------------------ its branches

    def branch(self, branch: Branch | AckBranch, key: bytes, flow: Flow) -> None:
        """It leaves."""
        context = branch.context
        way = (branch.target, branch.hops, branch.index)
        self._tell(
            context.request, context.flow, "branch", self._branch, context.request, *way, key, flow
        )

    def _branch(
        self,
        request: Request,
        target: Target,
        hops: tuple[Hop, ...],
        index: int,
        key: bytes,
        flow: Flow,
    ) -> tuple[str, Mapping[str, JsonValue]]:
        hop = hops[index] if hops else None
        data: dict[str, JsonValue] = {
            "branch": key.decode("ascii", "replace"),
            "target": target.name,
            "uri": text_of(target.uri or request.uri),
            "trusted": target.trusted,
            "hop": index + 1,
            "of": len(hops),
            "name": hop.name if hop is not None else "",
            "address": flow.address,
            "port": flow.port,
            "transport": flow.transport,
            "flow": flow.name,
            "flow_id": flow.id,
            "outbound": flow.outbound,
            "interface": flow.interface.name,
            "partner": "" if flow.peer is None else flow.peer.name,
        }
        name = f"{target.name or (hop.name if hop is not None else '')} at ".removeprefix(" at ")
        text = f"It is sent to {name}{flow.name} from the interface {flow.interface.name}"
        return text, data

    def ended(self, branch: Branch | AckBranch, status: int, why: str) -> None:
        """A branch has ended without a response."""
        context = branch.context
        self._tell_now(context.request, context.flow, "branch", self._ended, branch, status, why)

    def _ended(
        self, branch: Branch | AckBranch, status: int, why: str
    ) -> tuple[str, Mapping[str, JsonValue]]:
        data: dict[str, JsonValue] = {
            "branch": key_of(branch),
            "target": branch.target.name,
            "status": status,
            "why": escaped(why),
        }
        where = place(branch.hops[branch.index]) if branch.hops else branch.target.name or "it"
        if not branch.hops:
            uri = next_uri(branch.context.request, branch.target)
            data["dns"] = self._dns(branch.target, uri, branch.hops)
            data["refused"] = self._refused_hops(branch.target, uri, branch.context.permitted)
        text = f"The way to {where} has ended, as with {status}: {escaped(why) or 'no reason'}"
        return text, data

    def failover(self, context: ResponseContext, branch: Branch, status: int) -> None:
        """The next hop of a target is tried (RFC 3263 §4.3)."""
        self._tell_now(context.request, context.flow, "failover", self._failover, branch, status)

    def _failover(self, branch: Branch, status: int) -> tuple[str, Mapping[str, JsonValue]]:
        following, many = branch.hops[branch.index + 1], len(branch.hops)
        data: dict[str, JsonValue] = {
            "branch": key_of(branch),
            "target": branch.target.name,
            "status": status,
            "hop": branch.index + 2,
            "of": many,
            "next": hop_data(following),
        }
        here, there = place(branch.hops[branch.index]), place(following)
        text = f"{here} did not serve it ({status}): hop {branch.index + 2} of {many}, {there}"
        return text, data

    def answer(
        self, request: Request, flow: Flow, response: Response | None, branch: Branch | None
    ) -> None:
        """The final response goes back; None: nothing does."""
        origin = None if response is None else origin_of(response, branch)
        self._tell(request, flow, "answer", answered, response, origin)
