"""What several clients watch is looked at once: states that change, and streams of events.

A feed runs while somebody has it, and a while longer, so that a browser that comes back finds what
it has missed.
"""

from __future__ import annotations

import json
from collections import deque
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import trio

from sipx import Caller, ControlError
from sipx_monitor.web.messages import OUR_FAULT, control_object

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping
    from contextlib import AbstractContextManager

    from sipx import ControlApi
    from sipx_monitor.web.outbox import Item
    from sipx_monitor.web.topics import StateTopic, StreamTopic

SHARE: Final = 20.0
"""Looking at a state takes one part in so many of the time: 50 ms come once a second."""
LINGER: Final = 60.0
"""Seconds that a stream is taken and kept when nobody has it any more."""
STATE_LINGER: Final = 4.0
"""Seconds that a state is looked at when nobody has it any more."""
KEPT: Final = 1000
KEPT_BYTES: Final = 1 << 20
"""Events of a stream that are kept for those who come back."""
PACE: Final = 0.05
"""Seconds in which the events of a stream are collected."""
FEEDS: Final = 200
"""Feeds at the same time: each is a topic with parameters."""


class Taker(Protocol):
    """One subscription of one client."""

    def take_state(self, seq: int, shown: bytes) -> None:
        """The state is this now."""

    def take_error(self, seq: int, shown: bytes) -> None:
        """There is no state, for this reason."""

    def take_events(self, seq: int, items: Iterable[Item], *, dropped: int, gap: bool) -> None:
        """These have happened."""


class StateFeed:
    """A state, looked at for all who have it."""

    def __init__(self, control: ControlApi, topic: StateTopic, params: Any, caller: Caller) -> None:
        self._control = control
        self.topic = topic
        self._params = params
        self._caller = caller
        self.takers: set[Taker] = set()
        self.seq = 0
        self._shown: bytes | None = None
        self._error: bytes | None = None
        self._poked = trio.Event()

    def add(self, taker: Taker, since: int | None) -> int:
        """Let somebody have it, the newest state at once, or why there is none. Returns its
        number.
        """
        self.takers.add(taker)
        if self._shown is not None:
            taker.take_state(self.seq, self._shown)
        elif self._error is not None:
            taker.take_error(self.seq, self._error)
        else:
            self._poked.set()
        return self.seq

    def poke(self) -> None:
        """Something has happened: look soon."""
        self._poked.set()

    async def first(self) -> None:
        """Look for the first time. Raises ControlError."""
        if self._shown is None:
            await self._look()

    async def run(self) -> None:
        """Look whenever it is time, until cancelled."""
        while True:
            began = trio.current_time()
            try:
                await self._look()
            except ControlError as error:
                self.failed(error)
            took = trio.current_time() - began
            # Whoever pokes often does not get more than twice a second either.
            await trio.sleep(max(0.5, SHARE * took))
            with trio.move_on_after(max(0.0, self.topic.every - 0.5)):
                await self._poked.wait()
            self._poked = trio.Event()

    async def _look(self) -> None:
        topic = self.topic
        result = await self._control.call(topic.method, self._params, self._caller)
        shown = await topic.show(result)
        self._error = None
        if shown != self._shown:
            self._shown = shown
            self.seq += 1
            for taker in self.takers:
                taker.take_state(self.seq, shown)

    def failed(self, error: ControlError) -> None:
        """There is no state now."""
        shown = json.dumps(control_object(error)).encode()
        if shown != self._error:
            self._error, self._shown = shown, None
            self.seq += 1
            for taker in self.takers:
                taker.take_error(self.seq, shown)


class StreamFeed:
    """The events of a stream, for all who have it; the last ones are kept."""

    def __init__(
        self, control: ControlApi, topic: StreamTopic, params: Any, caller: Caller, first: int
    ) -> None:
        self._control = control
        self.topic = topic
        self._params = params
        self._caller = caller
        self.takers: set[Taker] = set()
        self.seq = self._lost = first
        """The number of the last event, and of the last that is not kept any more."""
        self._kept: deque[Item] = deque()
        self._bytes = 0
        self._new: list[bytes] = []
        self._some = trio.Event()

    def add(self, taker: Taker, since: int | None) -> int:
        """Let somebody have it, with what came behind the event ``since``. Returns the number of
        the last one.
        """
        self.takers.add(taker)
        if since is None:
            missed = list(self._kept) if self.topic.backlog else []
            gap = False
        else:
            gap = not self._lost <= since <= self.seq
            missed = list(self._kept)[0 if gap else since - self._lost :]
        if missed or gap:
            taker.take_events(self.seq, missed, dropped=0, gap=gap)
        return self.seq

    async def run(self) -> None:
        """Take the events until they end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell)
            try:
                await self._take()
            except ControlError as error:
                self.failed(error)
            nursery.cancel_scope.cancel()

    async def _take(self) -> None:
        events = self._control.events(self.topic.method, self._params, self._caller)
        async with aclosing(events) as taken:
            async for event in taken:
                self._new.append(event.model_dump_json().encode())
                self._some.set()
                await trio.lowlevel.checkpoint()

    async def _tell(self) -> None:
        while True:
            await self._some.wait()
            self._some = trio.Event()
            shown, self._new = self._new, []
            new = list(enumerate(shown, self.seq + 1))
            self.seq += len(new)
            self._kept += new
            self._bytes += sum(map(len, shown))
            while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
                self._bytes -= len(self._kept.popleft()[1])
                self._lost += 1
            for taker in self.takers:
                taker.take_events(self.seq, new, dropped=0, gap=False)
            await trio.sleep(PACE)

    def failed(self, error: ControlError) -> None:
        """It has ended."""
        shown = json.dumps(control_object(error)).encode()
        for taker in self.takers:
            taker.take_error(self.seq, shown)


Feed = StateFeed | StreamFeed
AnyFeed = TypeVar("AnyFeed", StateFeed, StreamFeed)


class Feeds:
    """All of them, in a nursery of their own."""

    def __init__(
        self,
        control: ControlApi,
        watching: Mapping[str, Callable[[], AbstractContextManager[None]]],
        log: logging.LoggerAdapter[Any],
    ) -> None:
        self._control = control
        self._watching = watching
        self._log = log
        self._feeds: dict[tuple[str, str, str], tuple[Feed, trio.CancelScope]] = {}
        self._nursery: trio.Nursery | None = None
        self._first = 0

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be where feeds can run, until cancelled."""
        async with trio.open_nursery() as self._nursery:
            self._nursery.start_soon(self._watch)
            task_status.started()
            await trio.sleep_forever()

    async def _watch(self) -> None:
        """Whatever happens may have changed any state."""
        events = self._control.events("events", {}, Caller("console"))
        async with aclosing(events) as taken:
            async for _ in taken:
                self.poke()

    def poke(self) -> None:
        """Look at all states soon: something has happened, or was changed."""
        for feed, _ in self._feeds.values():
            if isinstance(feed, StateFeed):
                feed.poke()

    async def state(self, topic: StateTopic, params: Any, caller: Caller) -> StateFeed:
        """The feed of a state. Raises ControlError when there is none."""
        key = self._key(topic.name, params, caller)
        known = self._known(key)
        if known is None:
            feed = StateFeed(self._control, topic, params, caller)
            await feed.first()
            known = self._known(key)  # another may have been faster
            if known is None:
                return self._begin(key, feed)
        assert isinstance(known, StateFeed)
        return known

    def stream(self, topic: StreamTopic, params: Any, caller: Caller) -> StreamFeed:
        """The feed of a stream. Raises ControlError for wrong parameters."""
        key = self._key(topic.name, params, caller)
        known = self._known(key)
        if known is not None:
            assert isinstance(known, StreamFeed)
            return known
        # What was given out before is behind the first of this one: there is a gap between them.
        self._first += 1_000_000
        return self._begin(key, StreamFeed(self._control, topic, params, caller, self._first))

    def leave(self, feed: Feed, taker: Taker) -> None:
        """Somebody does not want it any more."""
        feed.takers.discard(taker)

    def _key(self, topic: str, params: Any, caller: Caller) -> tuple[str, str, str]:
        return topic, json.dumps(params, sort_keys=True), caller.role

    def _known(self, key: tuple[str, str, str]) -> Feed | None:
        """The feed that runs; one that is being ended takes nobody in, and may take a while."""
        found = self._feeds.get(key)
        return None if found is None or found[1].cancel_called else found[0]

    def _begin(self, key: tuple[str, str, str], feed: AnyFeed) -> AnyFeed:
        assert self._nursery is not None
        # Who only looks leaves room for those who have to act.
        viewers = sum(role == "viewer" for _, _, role in self._feeds) if key[2] == "viewer" else 0
        if len(self._feeds) >= FEEDS or viewers >= FEEDS // 2:
            raise ControlError("busy", f"{len(self._feeds)} different things are watched already")
        scope = trio.CancelScope()
        self._feeds[key] = (feed, scope)
        self._nursery.start_soon(self._run, key, feed, scope)
        return feed

    async def _run(self, key: tuple[str, str, str], feed: Feed, scope: trio.CancelScope) -> None:
        try:
            with scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_until_idle, feed, scope)
                    with self._watching.get(feed.topic.watches, nullcontext)():
                        await feed.run()
                    nursery.cancel_scope.cancel()
        except* Exception as failure:
            self._log.error("internal error while %s was watched", key[0], exc_info=failure)
            feed.failed(ControlError("internal", OUR_FAULT))
        finally:
            found = self._feeds.get(key)
            if found is not None and found[0] is feed:  # another may have begun meanwhile
                del self._feeds[key]


async def _until_idle(feed: Feed, scope: trio.CancelScope) -> None:
    """End a feed that nobody has had for a while."""
    patience = STATE_LINGER if isinstance(feed, StateFeed) else LINGER
    since = trio.current_time()
    while True:
        await trio.sleep(patience / 4)
        if feed.takers:
            since = trio.current_time()
        elif trio.current_time() - since >= patience:
            scope.cancel()
