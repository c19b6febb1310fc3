"""What happens: people watch each other's presence, write to each other, and call."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from itertools import cycle
from math import inf
from typing import TYPE_CHECKING, Final

import trio

from sipx.demo.people import (
    AVAILABLE,
    CALLS,
    ON_THE_PHONE,
    PEOPLE,
    STATES,
    TALK,
    WATCHES,
    Person,
)
from sipx.testing.asking import NoAnswerError
from sipx.testing.sessions import Call, RefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from sipx.demo.server import Server
    from sipx.demo.servers import Servers
    from sipx.testing.sessions import Subscription

_NOTED: Final = (NoAnswerError, RefusedError)
"""What the ledger knows already: the show goes on."""
SUBSCRIBED_FOR: Final = 600
"""Seconds that a subscription asks for; it is refreshed long before."""

LOST_ACK: Final = 5.0
"""Seconds after which nobody waits for an ACK any more."""


class Scenario:
    """``servers`` have logged on. ``seconds`` is how long it lasts, 0 for without end.

    ``rate`` is messages per second, a few at least.
    ``unit`` is the beat: a second, or less in a short show.
    ``stop()`` ends it early; what is under way then comes to its end.
    """

    def __init__(self, servers: Servers, *, seconds: float, rate: float) -> None:
        self.servers = servers
        self.length = seconds or inf
        self._rate = rate
        self.unit = beat(seconds)
        self._stopped = trio.Event()
        self._news = trio.Event()
        self._ends = inf
        self._busy: set[Person] = set()
        self._held: frozenset[Person] = frozenset()
        self._changed = trio.Event()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()

    async def run(self, *others: Callable[[], Awaitable[None]]) -> None:
        """Until the time is over, or ``stop``; then everybody hangs up and unsubscribes.

        ``others`` run beside it, and end by themselves.
        """
        # The end takes its time too: the whole show lasts as long as it should.
        self._ends = trio.current_time() + self.length - self.unit / 2
        async with trio.open_nursery() as nursery:
            for number, (watcher, watched) in enumerate(WATCHES):
                nursery.start_soon(self._watch, watcher, watched, number)
            nursery.start_soon(self._change_states)
            nursery.start_soon(self._write)
            nursery.start_soon(self._call)
            for other in others:
                nursery.start_soon(other)
            with trio.move_on_at(self._ends):
                await self._stopped.wait()
            self.stop()

    async def pause(self, beats: float) -> bool:
        """Wait; False when it is time to end."""
        with trio.move_on_after(beats * self.unit):
            await self._stopped.wait()
        return not self._stopped.is_set()

    # ------------------------------------------------------------ silence

    @asynccontextmanager
    async def silence(self, people: Iterable[Person]) -> AsyncIterator[None]:
        """Nothing is under way from or to these people while the block lasts."""
        self._held = frozenset(people)
        try:
            while self._busy & self._held:
                await self._changed.wait()
            await self.servers.ledger.settled(self._held)
            yield
        finally:
            self._held = frozenset()
            self._wake()

    def _wake(self) -> None:
        """Somebody has hung up, or a silence has ended."""
        self._changed.set()
        self._changed = trio.Event()

    async def _may_speak(self, *people: Person) -> None:
        """Wait until none of these people has to be left alone."""
        while self._held.intersection(people):
            await self._changed.wait()

    def tell(self) -> None:
        """A server has gone: whoever subscribed looks whether he is still heard."""
        self._news.set()
        self._news = trio.Event()
        for person in PEOPLE:
            self._turn(person, AVAILABLE)

    # ------------------------------------------------------------ presence

    async def _watch(self, watcher: Person, watched: Person, number: int) -> None:
        """Subscriptions: begun, refreshed again and again, ended; begun anew when one is lost."""
        more = await self.pause(0.1 * number)
        while more:
            await self._may_speak(watcher, watched)
            server = self.servers.of(watcher)
            if server is not None:
                with suppress(*_NOTED):
                    subscription = await server.subscribe(
                        watched.uri, expires=SUBSCRIBED_FOR, sender=watcher.uri
                    )
                    await self._keep(subscription, server, (watcher, watched), number)
            more = await self.pause(1)

    async def _keep(
        self, subscription: Subscription, server: Server, both: tuple[Person, Person], number: int
    ) -> None:
        """Refresh it until the end, and end it; or until one of its two servers has gone."""
        while await self._pause_or_news(4 + 0.3 * number):
            await self._may_speak(*both)
            if self.servers.running.get(server.name) is not server:
                return
            if (await subscription.refresh(SUBSCRIBED_FOR)).status >= 300:
                return
        await trio.sleep(0.05 * number * self.unit)  # one after the other, so that it is seen
        await self._may_speak(*both)
        if self.servers.running.get(server.name) is server:
            await subscription.unsubscribe()

    async def _pause_or_news(self, beats: float) -> bool:
        """The same as ``pause``, ended early by ``tell``."""
        news = self._news
        async with trio.open_nursery() as nursery:

            async def wait(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(wait, news)
            nursery.start_soon(wait, self._stopped)
            await trio.sleep(beats * self.unit)
            nursery.cancel_scope.cancel()
        return not self._stopped.is_set()

    async def _change_states(self) -> None:
        states = cycle(STATES)
        for person in cycle(PEOPLE):
            if not await self.pause(1.2):
                return
            if person not in self._busy:
                self._turn(person, next(states))

    def _turn(self, person: Person, state: str) -> None:
        """All who watch him are told, by whichever server they subscribed at."""
        if self._held:
            return
        for server in self.servers.running.values():
            if server.domain == person.domain:
                server.turn(person, state)

    # ------------------------------------------------------------ messages

    async def _write(self) -> None:
        async with trio.open_nursery() as nursery:
            for sender, receiver, text in cycle(TALK):
                with trio.move_on_after(min(1 / self._rate, self.length / 4)):
                    await self._stopped.wait()
                if self._stopped.is_set():
                    return
                nursery.start_soon(self.message, sender, receiver, text)

    async def message(self, sender: Person, receiver: Person, text: str) -> None:
        """Write, unless the sender's server is away or one of both has to be left alone."""
        server = self.servers.of(sender)
        if server is None or self._held.intersection((sender, receiver)):
            return
        with suppress(*_NOTED):
            await server.message(receiver.uri, text, sender=sender.uri)

    # ------------------------------------------------------------ calls

    async def _call(self) -> None:
        """One call after the other; caller and callee hang up in turn."""
        hangs_up = cycle((True, False))
        for caller, callee in cycle(CALLS):
            if not await self.pause(1) or trio.current_time() + 1.5 * self.unit > self._ends:
                return
            both = frozenset((caller, callee))
            if both & self._held:
                continue
            near, far = self.servers.of(caller), self.servers.of(callee)
            if near is None or far is None:
                continue
            self._busy |= both
            try:
                with suppress(*_NOTED):
                    await self._talk(caller, callee, near, far, caller_hangs_up=next(hangs_up))
            finally:
                self._busy -= both
                self._wake()

    async def _talk(
        self, caller: Person, callee: Person, near: Server, far: Server, *, caller_hangs_up: bool
    ) -> None:
        call = await near.call(callee.uri, sender=caller.uri)
        for person in (caller, callee):
            self._turn(person, ON_THE_PHONE)
        await self.pause(2)
        other = _other_end(call, far)
        with trio.move_on_after(LOST_ACK):
            await other.acknowledged.wait()
        await (call if caller_hangs_up else other).hangup()
        for person in (caller, callee):
            self._turn(person, AVAILABLE)


def _other_end(call: Call, far: Server) -> Call:
    """The callee's side of a call; the caller's own where there is none."""
    key = (call.dialog.call_id, call.dialog.remote_tag)
    other = far.dialogs.get(key)
    return other if isinstance(other, Call) else call


def beat(seconds: float) -> float:
    """Seconds of one beat in a show of a length: everything that there is to see fits in."""
    return min(1.0, seconds / 8) if seconds else 1.0
