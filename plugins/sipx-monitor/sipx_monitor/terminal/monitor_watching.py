"""The messages of a running sipx, also when the link to it is lost meanwhile."""

from __future__ import annotations

from contextlib import aclosing
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final, NamedTuple

import click
import trio

from sipx_monitor.terminal.monitor_sources import NOT_PERMITTED, UNREACHABLE
from sipx_monitor.traffic.models import (
    Batch,
    FollowParams,
    MessageList,
    MessagesParams,
    RecordingState,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from sipx_monitor.terminal.monitor_sources import Source

WAITS: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each of the first attempts to reach sipx again."""
LONGEST_WAIT: Final = 10.0
ENDED: Final = "sipx has ended the connection"


class Lost(NamedTuple):
    """The link is lost, or still is."""

    why: str
    wait: float
    """Seconds until the next attempt."""


class Linked(NamedTuple):
    """The link is there again."""

    anew: bool
    """Whether sipx was started meanwhile: numbers of messages begin again."""
    unrecorded: bool
    """Whether nothing was recorded, up to now."""

    @property
    def missing(self) -> str:
        """What may be missing, in words."""
        if self.anew:
            more = ", and nothing was recorded until now" if self.unrecorded else ""
            return f"sipx was started anew: the numbers begin again{more}"
        return "nothing was recorded while the link was lost" if self.unrecorded else ""


Told = MessageList | Batch | Lost | Linked


class LinkWords:
    """Says where there are only lines that the link is lost and there again: once each, however
    often it is tried.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._said = ""

    def told(self, told: Lost | Linked) -> None:
        """It is lost, or there again."""
        if isinstance(told, Lost):
            text = f"{told.why}; trying again, Ctrl-C ends it"
        else:
            text = "; ".join(filter(None, ("sipx is there again", told.missing)))
        if text != self._said:
            self._say(text)
        self._said = text


NOT_KEPT: Final = "messages before these are not kept any more"


class Watching:
    """Follows a sipx: with one filter, and then perhaps with another."""

    def __init__(self, source: Source, lines: int) -> None:
        self._source = source
        self._lines = lines
        self._process = ""
        """Which process answered last; "" before any has."""

    async def told(self, wanted: str) -> AsyncGenerator[Told, None]:
        """What is kept (no messages where no ``lines`` are wanted), then what passes. Raises click
        exceptions where the first attempt fails, and where sipx refuses.
        """
        since: int | None = None
        while True:
            why = ENDED
            try:
                if since is None:
                    kept = await self._begin(wanted)
                    since = kept.last
                    yield kept
                params = FollowParams.model_validate({"filter": wanted, "since": since})
                async with aclosing(self._source.follow("monitor.follow", params, Batch)) as stream:
                    async for batch in stream:
                        since = batch.seq
                        yield batch
            except click.ClickException as error:
                if error.exit_code != UNREACHABLE or not self._process:
                    raise
                why = error.format_message()
            async with aclosing(self._reach(why)) as attempts:
                async for told in attempts:
                    yield told
            if isinstance(told, Linked) and told.anew and since is not None:
                since = 0

    async def _begin(self, wanted: str) -> MessageList:
        params = MessagesParams.model_validate({"filter": wanted, "limit": max(self._lines, 1)})
        kept = await self._source.call("monitor.messages", params, MessageList)
        self._process = await self._source.process()
        return kept if self._lines else kept.model_copy(update={"messages": ()})

    async def _reach(self, why: str) -> AsyncGenerator[Lost | Linked, None]:
        """Try until sipx answers. What refuses while it starts may not refuse later."""
        for wait in _waits():
            yield Lost(why, wait)
            await trio.sleep(wait)
            try:
                process = await self._source.process()
                state = await self._source.call("monitor.state", None, RecordingState)
            except click.ClickException as error:
                if error.exit_code == NOT_PERMITTED:
                    raise
                why = error.format_message()
            else:
                known, self._process = self._process, process
                yield Linked(process != known, not state.recording)
                return


def _waits() -> Iterator[float]:
    return chain(WAITS, repeat(LONGEST_WAIT))
