"""Dialogs between the two networks, and where it stands in messages how they go on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol, TypeVar

from sipx.sip import NameAddr, Request, Response, SipUri
from sipx.testing import Call, Notifier

from .lab import INSIDE, PUBLIC
from .two_networks import LAN, WAN

if TYPE_CHECKING:
    from sipx.testing import Subscription, UserAgent


Session = TypeVar("Session", Call, Notifier)
LAN_SIDE, WAN_SIDE = f"{INSIDE}:{LAN}", f"{PUBLIC}:{WAN}"


class Both(Protocol):
    """A user inside, and one outside."""

    ada: UserAgent
    bob: UserAgent


def public(address: str) -> str:
    """The table that says how this site is seen from outside."""
    return f'\n[wan]\nuse_public_address = true\npublic_address = "{address}"\n'


def both_ways(net: Both) -> tuple[tuple[UserAgent, UserAgent], ...]:
    """Who asks, and who is asked."""
    return (net.ada, net.bob), (net.bob, net.ada)


# ---------------------------------------------------------------- what is written on messages


def sent_by(message: Request | Response) -> list[str]:
    """The places in its Via headers, the last one written first."""
    return [value.split()[1].partition(b";")[0].decode() for value in message.get_list(b"Via")]


def places(message: Request | Response, header: bytes) -> list[str]:
    """The places in the URIs of a header, in their order."""
    uris = [SipUri.parse(NameAddr.parse(value).uri) for value in message.get_list(header)]
    return [f"{uri.host.decode()}:{uri.port}" for uri in uris]


def recorded(message: Request | Response) -> list[str]:
    """The places in its Record-Route headers, the last one written first."""
    return places(message, b"Record-Route")


def lines_with(message: Request | Response, address: str) -> set[str]:
    """The names of the header lines in which an address stands."""
    alone = re.compile(rb"(?<![\d.])%b(?![\d.])" % re.escape(address.encode()))
    lines = message.encode().partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return {line.partition(b":")[0].decode() for line in lines if alone.search(line)}


# ---------------------------------------------------------------- dialogs


def _other_end(agent: UserAgent, call_id: bytes, kind: type[Session]) -> Session:
    """What an agent has of a dialog that somebody else began."""
    found = (one for (its, _), one in agent.dialogs.items() if its == call_id)
    return next(one for one in found if isinstance(one, kind))


class Dialogs:
    """Presence in both directions, and a call in each."""

    def __init__(self, net: Both) -> None:
        self.net = net
        self.subscriptions: list[tuple[Subscription, Notifier]] = []
        self.calls: list[Call] = []

    @classmethod
    async def begin(cls, net: Both) -> Dialogs:
        made = cls(net)
        for watcher, watched in both_ways(net):
            subscription = await watcher.subscribe(watched.uri)
            assert b"open" in (await subscription.next_notify()).body
            notifier = _other_end(watched, subscription.request.call_id, Notifier)
            made.subscriptions.append((subscription, notifier))
            call = await watcher.call(watched.uri)
            await _other_end(watched, call.dialog.call_id, Call).acknowledged.wait()
            made.calls.append(call)
        return made

    async def go_on(self) -> None:
        """Each end of each sends something that the other end takes."""
        for number, (subscription, notifier) in enumerate(self.subscriptions):
            assert (await notifier.notify(b"gone for lunch %d" % number)).status == 200
            assert (await subscription.next_notify()).body == b"gone for lunch %d" % number
            assert (await subscription.refresh()).status == 200
            assert b"open" in (await subscription.next_notify()).body
        for call in self.calls:
            assert (await call.reinvite()).status == 200

    async def end(self) -> None:
        for subscription, _ in self.subscriptions:
            assert (await subscription.unsubscribe()).status == 200
        for call in self.calls:
            assert (await call.hangup()).status == 200
