"""The server that is stopped, and comes back: what becomes of its users meanwhile."""

from __future__ import annotations

from math import inf, isinf
from typing import TYPE_CHECKING, Final

import trio

from sipx.demo.people import BACK, MUNICH, PEOPLE, STOPPED

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.demo.observer import Observer
    from sipx.demo.people import Person
    from sipx.demo.scenario import Scenario
    from sipx.demo.servers import Servers
    from sipx.demo.states import States

    Say = Callable[[str], None]

FIRST: Final = 0.3
"""When the server stops, as a share of the show; and how long it is away, likewise."""
AWAY: Final = 0.25
FIRST_OF_MANY: Final = 10.0
"""The same in seconds where the show has no end; then it happens again and again."""
AWAY_OF_MANY: Final = 10.0
BETWEEN: Final = 30.0


class Outage:
    """Of the server munich. ``observer`` sees that its connection ends, ``states`` how it is."""

    def __init__(self, scenario: Scenario, observer: Observer, states: States, say: Say) -> None:
        self._scenario = scenario
        self._servers = scenario.servers
        self._observer = observer
        self._states = states
        self._say = say
        self._people = [person for person in PEOPLE if person.server == MUNICH]

    async def run(self) -> None:
        """One outage, or one after the other in a show without end."""
        length, unit = self._scenario.length, self._scenario.unit
        if isinf(length):
            first, away, between = FIRST_OF_MANY, AWAY_OF_MANY, BETWEEN
        else:
            first, away, between = FIRST * length, AWAY * length, inf
        while await self._scenario.pause(first / unit):
            await self._stop()
            await self._scenario.pause(away / unit)
            await self._come_back()
            first = between

    async def _stop(self) -> None:
        """Nothing of its people is under way when it dies, so that it is known what is due."""
        async with self._scenario.silence(self._people):
            self._servers.stop(MUNICH)
            await self._observer.lost(MUNICH)
        self._say(f"{MUNICH} has stopped: {_fates(self._people, self._servers)}")
        self._scenario.tell()
        async with trio.open_nursery() as nursery:
            for written in STOPPED:
                nursery.start_soon(self._scenario.message, *written)

    async def _come_back(self) -> None:
        async with self._scenario.silence(self._people):
            await self._servers.listen(MUNICH)
            await self._servers.log_on(MUNICH)
            await self._states.becomes(MUNICH, "up")
        names = " and ".join(person.name for person in self._people)
        self._say(f"{MUNICH} is back and has registered {names}")
        async with trio.open_nursery() as nursery:
            for written in BACK:
                nursery.start_soon(self._scenario.message, *written)


def _fates(people: list[Person], servers: Servers) -> str:
    """What becomes of its people."""
    return ", ".join(
        f"{person.name} " + (f"is served by {server.name}" if server else "cannot be reached")
        for person in people
        for server in (servers.of(person),)
    )
