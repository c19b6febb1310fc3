"""Where the commands get the traffic from: the control socket, or a console's websocket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

import trio
from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from sipx import CommandLine

M = TypeVar("M", bound=BaseModel)

UNREACHABLE, NOT_PERMITTED, BAD_ANSWER = 4, 5, 1
"""Exit codes (docs/cli.md)."""


class Process(BaseModel):
    """What `service.status` says of who answers."""

    pid: int
    since: float


class Source(Protocol):
    """A running sipx that can be asked, and followed."""

    async def call(self, name: str, params: BaseModel | None, result: type[M]) -> M:
        """What a method answers. Raises click exceptions with the exit codes of sipx."""
        ...

    def follow(
        self, name: str, params: BaseModel | None, event: type[M]
    ) -> AsyncGenerator[M, None]:
        """The events of a stream."""
        ...

    async def process(self) -> str:
        """Which process answers: after a new start it is another one."""
        ...


async def process_of(source: Source) -> str:
    """The same, of a source that can be asked."""
    found = await source.call("service.status", None, Process)
    return f"{found.pid} since {found.since:.3f}"


class SocketSource:
    """The sipx of this machine. Its client is synchronous and runs in threads."""

    def __init__(self, line: CommandLine) -> None:
        self._line = line

    async def call(self, name: str, params: BaseModel | None, result: type[M]) -> M:
        """Ask over a connection of its own."""
        return await trio.to_thread.run_sync(
            self._ask, name, params, result, abandon_on_cancel=True
        )

    def _ask(self, name: str, params: BaseModel | None, result: type[M]) -> M:
        with self._line.control() as client, self._line.needs("monitor"):
            return client.call(name, params, result)

    async def follow(
        self, name: str, params: BaseModel | None, event: type[M]
    ) -> AsyncGenerator[M, None]:
        """Each event is waited for in a thread; the end of the connection ends that."""
        with self._line.control() as client, self._line.needs("monitor"):
            events = client.stream(name, params, event)
            while True:
                one = await trio.to_thread.run_sync(next, events, None, abandon_on_cancel=True)
                if one is None:
                    return
                yield one

    async def process(self) -> str:
        """Which process answers."""
        return await process_of(self)
