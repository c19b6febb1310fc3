"""The servers of the show: they are started, log on, are stopped, and come back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from sipx.demo.configuration import ADDRESS, PASSWORDS
from sipx.demo.people import PEOPLE, SERVERS, Person
from sipx.demo.server import Server
from sipx.errors import StartError
from sipx.testing.carriers import TcpCarrier
from sipx.testing.registering import Logon

if TYPE_CHECKING:
    from sipx.demo.directory import Directory
    from sipx.demo.ledger import Ledger
    from sipx.testing.carriers import Place


class Servers:
    """``running`` are those that run, by name. ``ring`` is for how many seconds a call rings."""

    def __init__(
        self,
        nursery: trio.Nursery,
        ledger: Ledger,
        directory: Directory,
        *,
        ring: float,
    ) -> None:
        self.running: dict[str, Server] = {}
        self.places: dict[str, Place] = {}
        """Where each listens, or did."""
        self.proxies: dict[str, Place] = {}
        """Where the proxy of each domain lets its servers log on."""
        self.ledger = ledger
        self._directory = directory
        self._nursery = nursery
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
        carrier = TcpCarrier(ADDRESS, port)
        server = Server(
            name, SERVERS[name], carrier, self.ledger, ring=self._ring, number=self._number
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
        """It logs on at the proxy of its domain and registers its people; they are there.

        Raises RefusedError, NoAnswerError.
        """
        server = self.running[name]
        server.proxy = self.proxies[server.domain]
        server.logon = Logon(name, PASSWORDS[name])
        await server.log_on(person for person in PEOPLE if person.server == name)
        self._directory.started(name, server.life)

    def stop(self, name: str) -> None:
        """It dies: its connections end, and what it knew is lost."""
        self._directory.stopped(name)
        del self.running[name]
        self._scopes.pop(name).cancel()
