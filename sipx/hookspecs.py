"""The hooks: when each is called, how often, what each answer means, and the RFC section.

No hook is ``async def``. A hook answers now, or contributes an object that can wait. Hot hooks
are on the way of every message: no I/O, well under 50 microseconds, called with positional
arguments in the order written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx.accounts import Account
    from sipx.events import Direction, ProxyDecision, TransactionRecord
    from sipx.flows import Flow
    from sipx.forking import Branch
    from sipx.identity import Partner
    from sipx.locations import LocationStore
    from sipx.plugin import (
        Check,
        ConsolePanel,
        Discovery,
        InterfaceRequest,
        Later,
        Peer,
        Refuse,
        Sender,
        Service,
        Target,
        Targets,
        Verdict,
    )
    from sipx.sip.message import Request, Response
    from sipx.transport import Transport

hookspec = pluggy.HookspecMarker("sipx")

HOT = (
    "validate_request",
    "authenticate_request",
    "authorise_request",
    "serve_request",
    "determine_targets",
    "dialog_target",
    "forward_request",
    "process_response",
    "transaction_ended",
    "message_traced",
    "bytes_traced",
    "decision_made",
)
"""Hooks that are compiled into tuples of functions of one signature."""

OBSERVERS = (
    "transaction_ended",
    "message_traced",
    "bytes_traced",
    "decision_made",
    "flow_opened",
    "flow_closed",
)
"""Hooks that only observe: whoever has one may come and go while the proxy runs."""


@hookspec
def transports() -> Iterable[Transport]:
    """At start: the transports this plugin brings, each by its name (RFC 3261 §18)."""
    raise AssertionError("a specification is never called")


@hookspec
def interfaces() -> Iterable[InterfaceRequest]:
    """At start: listeners to add to the list of interfaces, beside the TOML tables."""
    raise AssertionError("a specification is never called")


@hookspec
def discoveries() -> Iterable[Discovery]:
    """At start: ways to other domains where no plugin has a target, asked in order (RFC 3263)."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def location_store() -> LocationStore | None:
    """At start: where bindings live (RFC 3261 §10); the first plugin that has a store wins."""
    raise AssertionError("a specification is never called")


@hookspec
def accounts() -> Iterable[Account]:
    """When somebody asks: who may log on, with those that have come since the start."""
    raise AssertionError("a specification is never called")


@hookspec
def option_tags() -> Iterable[bytes]:
    """At start: option tags that this plugin understands in Proxy-Require (RFC 3261 §16.3)."""
    raise AssertionError("a specification is never called")


@hookspec
def services() -> Iterable[Service]:
    """At start: async functions for the plugin's own nursery, restarted when they fail."""
    raise AssertionError("a specification is never called")


@hookspec
def log_handlers() -> Iterable[logging.Handler]:
    """At start: handlers for the logger ``sipx``, fed by a queue so that none blocks SIP."""
    raise AssertionError("a specification is never called")


@hookspec
def take_over(old: object) -> None:
    """At a reload that makes the plugin anew: take from the old one what must not be lost."""
    raise AssertionError("a specification is never called")


@hookspec
def reloaded() -> None:
    """After a reload: another configuration is in force, other plugins may have changed."""
    raise AssertionError("a specification is never called")


@hookspec
def addresses_changed(addresses: frozenset[str]) -> None:
    """When this machine got or lost an address: all that it has now. Observers only."""
    raise AssertionError("a specification is never called")


@hookspec
def commands() -> Iterable[click.Command]:
    """On the command line: subcommands of ``sipx``, listed under the plugin's name."""
    raise AssertionError("a specification is never called")


@hookspec
def checks() -> Iterable[Check]:
    """For ``sipx check``: each check yields findings with a code, a text and a remedy."""
    raise AssertionError("a specification is never called")


@hookspec
def control_methods() -> Mapping[str, Callable[..., object]]:
    """At start: methods for the control API, by name."""
    raise AssertionError("a specification is never called")


@hookspec
def console_panels() -> Iterable[ConsolePanel]:
    """At start: JavaScript modules of this plugin's package, for the console (docs/panels.md)."""
    raise AssertionError("a specification is never called")


@hookspec
def status_sections() -> Mapping[str, BaseModel | Sequence[BaseModel]]:
    """When the status is asked for: what else it shows, by title; answers in a millisecond."""
    raise AssertionError("a specification is never called")


@hookspec
def partners() -> Iterable[Partner]:
    """At start: who may be at the other end of TLS, and what proves it (RFC 5922 §7)."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def authenticate_peer(flow: Flow) -> Peer | None:
    """Once per flow, when it opens: who is at the other end, from its certificate or address."""
    raise AssertionError("a specification is never called")


@hookspec
def flow_opened(flow: Flow) -> None:
    """Once per flow: it can be used now (RFC 5626 §3.1 says what a flow is). Observers only."""
    raise AssertionError("a specification is never called")


@hookspec
def flow_closed(flow: Flow, reason: str) -> None:
    """Once per flow: it has ended, and why. Observers only."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def serve_datagram(data: bytes, flow: Flow) -> bytes | None:
    """A datagram of another protocol at a SIP port, such as STUN (RFC 5626 §8): the answer."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def validate_request(request: Request, flow: Flow) -> Response | Refuse | None:
    """Hot, every request: a Response or Refuse refuses it, None lets it on (RFC 3261 §16.3)."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def authenticate_request(request: Request, flow: Flow) -> Verdict | Later[Verdict] | None:
    """Hot, every request but CANCEL and ACK for us: who sends it; if nobody knows, 403."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def authorise_request(request: Request, flow: Flow, sender: Sender | None) -> Verdict | None:
    """Hot, where the verdict above asks for it, or there is none: credentials; else 403."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def serve_request(
    request: Request, sender: Sender, flow: Flow
) -> Response | Later[Response] | None:
    """Hot, requests to a domain or to this proxy itself: a user agent server (RFC 3261 §10.3)."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def determine_targets(
    request: Request, sender: Sender
) -> Targets | Refuse | Later[Targets | Refuse] | None:
    """Hot, requests outside dialogs: the target set (RFC 3261 §16.5); if nobody knows, 404."""
    raise AssertionError("a specification is never called")


@hookspec(firstresult=True)
def dialog_target(peer: bytes, flow: Flow | None, sender: Sender) -> Target | Refuse | None:
    """Hot, requests within a dialog with somebody who logged on: the way there now (RFC 5626)."""
    raise AssertionError("a specification is never called")


@hookspec
def explain_targets(request: Request, sender: Sender) -> Iterable[str]:
    """For ``sipx routes explain``: why the targets are what they are, a line for each step."""
    raise AssertionError("a specification is never called")


@hookspec
def forward_request(request: Request, target: Target) -> None:
    """Hot, once per branch: may edit this branch's own copy (RFC 3261 §16.6)."""
    raise AssertionError("a specification is never called")


@hookspec
def process_response(response: Response, branch: Branch) -> None:
    """Hot, every response that will be forwarded, our Via taken off (RFC 3261 §16.7)."""
    raise AssertionError("a specification is never called")


@hookspec
def transaction_ended(record: TransactionRecord) -> None:
    """Hot, once per request: a record shaped after SIP CLF (RFC 6872). Observers only."""
    raise AssertionError("a specification is never called")


@hookspec
def message_traced(message: Request | Response, flow: Flow, direction: Direction) -> None:
    """Hot, every message at the edge, only if somebody implements it. Observers only."""
    raise AssertionError("a specification is never called")


@hookspec
def bytes_traced(data: bytes, flow: Flow, direction: Direction, why: str) -> None:
    """Hot, what crosses the edge beside: sent again, made here, malformed. Observers only."""
    raise AssertionError("a specification is never called")


@hookspec
def decision_made(request: Request, flow: Flow, decision: ProxyDecision) -> None:
    """Hot, each step of a request, only if somebody implements it. Observers only."""
    raise AssertionError("a specification is never called")
