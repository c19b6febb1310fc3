"""What happens: people watch each other's presence, write to each other, and call."""

from __future__ import annotations

from contextlib import suppress
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
    from collections.abc import Mapping

    from sipx.demo.server import Server
    from sipx.testing.sessions import Subscription

_NOTED: Final = (NoAnswerError, RefusedError)
"""What the ledger knows already: the show goes on."""
SUBSCRIBED_FOR: Final = 600
"""Seconds that a subscription asks for; it is refreshed long before."""

LOST_ACK: Final = 5.0
"""Seconds after which nobody waits for an ACK any more."""


class Scenario:
    """``servers`` by domain. ``seconds`` is how long it lasts, 0 for without end.

    ``rate`` is messages per second, a few at least.
    ``unit`` is the beat: a second, or less in a short show.
    ``stop()`` ends it early; what is under way then comes to its end.
    """

    def __init__(self, servers: Mapping[str, Server], *, seconds: float, rate: float) -> None:
        self._servers = servers
        self._length = seconds or inf
        self._rate = rate
        self.unit = beat(seconds)
        self._stopped = trio.Event()
        self._ends = inf
        self._busy: set[Person] = set()

    def stop(self) -> None:
        """Begin nothing new."""
        self._stopped.set()

    async def run(self) -> None:
        """Until the time is over, or ``stop``; then everybody hangs up and unsubscribes."""
        # The end takes its time too: the whole show lasts as long as it should.
        self._ends = trio.current_time() + self._length - self.unit / 2
        async with trio.open_nursery() as nursery:
            for number, (watcher, watched) in enumerate(WATCHES):
                nursery.start_soon(self._watch, watcher, watched, number)
            nursery.start_soon(self._change_states)
            nursery.start_soon(self._write)
            nursery.start_soon(self._call)
            with trio.move_on_at(self._ends):
                await self._stopped.wait()
            self.stop()

    async def _pause(self, beats: float) -> bool:
        """Wait; False when it is time to end."""
        with trio.move_on_after(beats * self.unit):
            await self._stopped.wait()
        return not self._stopped.is_set()

    # ------------------------------------------------------------ presence

    async def _watch(self, watcher: Person, watched: Person, number: int) -> None:
        """One subscription: begun, refreshed again and again, ended."""
        if not await self._pause(0.1 * number):
            return
        server = self._servers[watcher.domain]
        with suppress(*_NOTED):
            subscription = await server.subscribe(
                watched.uri, expires=SUBSCRIBED_FOR, sender=watcher.uri
            )
            await self._refresh(subscription, number)
            await trio.sleep(0.05 * number * self.unit)  # one after the other, so that it is seen
            await subscription.unsubscribe()

    async def _refresh(self, subscription: Subscription, number: int) -> None:
        while await self._pause(4 + 0.3 * number):
            await subscription.refresh(SUBSCRIBED_FOR)

    async def _change_states(self) -> None:
        states = cycle(STATES)
        for person in cycle(PEOPLE):
            if not await self._pause(1.2):
                return
            if person not in self._busy:
                self._turn(person, next(states))

    def _turn(self, person: Person, state: str) -> None:
        self._servers[person.domain].turn(person, state)

    # ------------------------------------------------------------ messages

    async def _write(self) -> None:
        async with trio.open_nursery() as nursery:
            for sender, receiver, text in cycle(TALK):
                with trio.move_on_after(min(1 / self._rate, self._length / 4)):
                    await self._stopped.wait()
                if self._stopped.is_set():
                    return
                nursery.start_soon(self._message, sender, receiver, text)

    async def _message(self, sender: Person, receiver: Person, text: str) -> None:
        with suppress(*_NOTED):
            await self._servers[sender.domain].message(receiver.uri, text, sender=sender.uri)

    # ------------------------------------------------------------ calls

    async def _call(self) -> None:
        """One call after the other; caller and callee hang up in turn."""
        hangs_up = cycle((True, False))
        for caller, callee in cycle(CALLS):
            if not await self._pause(1) or trio.current_time() + 1.5 * self.unit > self._ends:
                return
            with suppress(*_NOTED):
                await self._talk(caller, callee, caller_hangs_up=next(hangs_up))

    async def _talk(self, caller: Person, callee: Person, *, caller_hangs_up: bool) -> None:
        near, far = self._servers[caller.domain], self._servers[callee.domain]
        call = await near.call(callee.uri, sender=caller.uri)
        both = {caller, callee}
        self._busy |= both
        try:
            for person in both:
                self._turn(person, ON_THE_PHONE)
            await self._pause(2)
        finally:
            self._busy -= both
        other = _other_end(call, far)
        with trio.move_on_after(LOST_ACK):
            await other.acknowledged.wait()
        await (call if caller_hangs_up else other).hangup()
        for person in both:
            self._turn(person, AVAILABLE)


def _other_end(call: Call, far: Server) -> Call:
    """The callee's side of a call; the caller's own where there is none."""
    key = (call.dialog.call_id, call.dialog.remote_tag)
    other = far.dialogs.get(key)
    return other if isinstance(other, Call) else call


def beat(seconds: float) -> float:
    """Seconds of one beat in a show of a length: everything that there is to see fits in."""
    return min(1.0, seconds / 8) if seconds else 1.0
