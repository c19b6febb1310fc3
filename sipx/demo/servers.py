"""The servers of the show: they are started, log on, are stopped, and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx.demo.people import HOME, PARTNER, PEOPLE, Person
from sipx.demo.server import Server
from sipx.errors import StartError
from sipx.testing.registering import Logon

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx.demo.directory import Directory
    from sipx.demo.ledger import Ledger
    from sipx.testing.carriers import Carrier, Place

    MakeCarrier = Callable[[int], Carrier]
    """A carrier that listens on a port; 0 takes a free one."""

PASSWORDS: Final = {"berlin": "Spree-7-Brücken", "munich": "Isar-9-Brücken"}
"""The servers that log on, and how. They are made for this show."""


class Servers:
    """``running`` are those that run, by name. ``carriers`` makes what each listens with."""

    def __init__(
        self,
        nursery: trio.Nursery,
        ledger: Ledger,
        directory: Directory,
        carriers: Mapping[str, MakeCarrier],
        *,
        ring: float,
    ) -> None:
        self.running: dict[str, Server] = {}
        self.places: dict[str, Place] = {}
        """Where each listens, or did."""
        self.proxies: dict[bytes, Place] = {}
        """Where the proxy listens, by what stands in Via."""
        self.ledger = ledger
        self._directory = directory
        self._nursery = nursery
        self._carriers = carriers
        self._ring = ring
        self._number = 0
        self._scopes: dict[str, trio.CancelScope] = {}

    def of(self, person: Person) -> Server | None:
        """The server that speaks for somebody now."""
        return self.running.get(self._directory.serves(person))

    async def listen(self, name: str) -> None:
        """Start a server, at the place where it was before. Raises StartError."""
        self._number += 1
        port = self.places[name][1] if name in self.places else 0
        carrier = self._carriers[name](port)
        server = Server(
            name,
            HOME if name in PASSWORDS else PARTNER,
            carrier,
            self.ledger,
            ring=self._ring,
            number=self._number,
        )
        scope = trio.CancelScope()

        async def serve(*, task_status: trio.TaskStatus[None]) -> None:
            with scope:
                await server.serve(task_status=task_status)

        try:
            await self._nursery.start(serve)
        except* OSError as errors:
            where = carrier.place[0]
            raise StartError(f"no server can listen on {where}: {errors.exceptions[0]}") from None
        self.running[name] = server
        self.places[name] = server.place
        self._scopes[name] = scope

    async def log_on(self, name: str) -> None:
        """It logs on and registers its people, if it is one that does; its people are there.

        Raises RefusedError, NoAnswerError.
        """
        server = self.running[name]
        server.proxy = self.proxies[server.carrier.via]
        if name in PASSWORDS:
            server.logon = Logon(name, PASSWORDS[name])
            await server.log_on(person for person in PEOPLE if person.server == name)
        self._directory.started(name, server.life)

    def stop(self, name: str) -> None:
        """It dies: its connections end, and what it knew is lost."""
        self._directory.stopped(name)
        del self.running[name]
        self._scopes.pop(name).cancel()
