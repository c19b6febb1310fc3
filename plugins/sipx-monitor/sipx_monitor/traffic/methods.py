"""The control methods that show messages, dialogs and ladders."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import trio

from sipx import Caller, ControlError
from sipx_monitor.slices import Slices
from sipx_monitor.traffic.ladder import Ladder, LadderParams, sliced_ladder
from sipx_monitor.traffic.lines import Lines
from sipx_monitor.traffic.live import TICK
from sipx_monitor.traffic.models import (
    Batch,
    CaptureParams,
    DialogList,
    DialogsParams,
    DialogSummary,
    FollowParams,
    MessageList,
    MessagesParams,
    MessageSummary,
    MessageText,
    RecordingState,
    SeqParams,
)
from sipx_monitor.traffic.search import newest, oldest
from sipx_monitor.traffic.traffic import sees_bodies, wrong_filters

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from sipx_monitor.traffic.dialogs import Dialog
    from sipx_monitor.traffic.message import Message
    from sipx_monitor.traffic.store import Store
    from sipx_monitor.traffic.traffic import Traffic, Wanted

MOST_IN_BATCH: Final = 500
MOST_IN_LADDER: Final = 2000
MOST_FOLLOWERS: Final = 200
"""Each looks at every message; of viewers there are half as many at most."""


class MessageMethods:
    """``monitor.messages`` and those around it."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._lines = Lines()
        self._followers = self._viewers = 0
        # A list is many times as large while it is made as when it is written down: one at a time.
        self._listing, self._batching, self._looking = trio.Lock(), trio.Lock(), trio.Lock()

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "monitor.messages": self.messages,
            "monitor.follow": self.follow,
            "monitor.message": self.message,
            "monitor.dialogs": self.dialogs,
            "monitor.ladder": self.ladder,
            "monitor.state": self.state,
        }

    async def messages(self, params: MessagesParams, caller: Caller) -> MessageList:
        """Messages that a filter wants, the newest last; ``before`` and ``after`` turn pages."""
        store = await self._traffic.store(params.capture)
        wanted = self._traffic.wanted(params.filter, caller)
        with wrong_filters():
            if params.after is not None and params.before is None:
                found, complete = await oldest(store, wanted, params.limit, after=params.after)
            else:
                found, complete = await newest(
                    store, wanted, params.limit, after=params.after or 0, before=params.before
                )
        return MessageList(
            messages=await self._shown(found, viewer=not sees_bodies(caller)),
            first=store.first,
            last=store.last,
            matched=len(found),
            complete=complete,
            capture=params.capture,
        )

    async def follow(self, params: FollowParams, caller: Caller) -> AsyncIterator[Batch]:
        """Messages as they pass, in at most 20 batches a second. The first batch comes at once.

        While it is followed, messages are recorded. Resume with ``since``: the ``seq`` of the last
        batch.
        """
        wanted = self._traffic.wanted(params.filter, caller)
        viewer = not sees_bodies(caller)
        live = self._traffic.live
        with self._following(viewer=viewer), live.watching():
            await live.settle()
            store = live.store
            at = store.last if params.since is None else params.since
            gap = not store.first - 1 <= at <= store.last
            at = min(max(at, store.first - 1), store.last)
            lost = live.tap.lost
            first = True
            while True:
                news, store = live.news, live.store
                batch, at, dropped = await self._next(store, wanted, at, viewer=viewer)
                dropped += live.tap.lost - lost
                lost = live.tap.lost
                if first or batch or dropped:
                    yield Batch(batch=batch, seq=at, dropped=dropped, gap=gap)
                    first = gap = False
                if at >= store.last:
                    await news.wait()
                await trio.sleep(TICK)

    @contextmanager
    def _following(self, *, viewer: bool) -> Iterator[None]:
        if self._followers >= MOST_FOLLOWERS or (viewer and self._viewers >= MOST_FOLLOWERS // 2):
            raise ControlError("busy", f"{self._followers} follow the messages already; try later")
        self._followers += 1
        self._viewers += viewer
        try:
            yield
        finally:
            self._followers -= 1
            self._viewers -= viewer

    async def _next(
        self, store: Store, wanted: Wanted, at: int, *, viewer: bool
    ) -> tuple[tuple[MessageSummary, ...], int, int]:
        """What is behind ``at``, up to which number, and how many went before they were seen."""
        dropped = max(0, store.first - 1 - at)
        end = store.last
        with wrong_filters():
            found, complete = await oldest(store, wanted, MOST_IN_BATCH, after=at, before=end + 1)
        shower, batch = self._traffic.shower, []
        async with self._batching, Slices() as slices:
            for message in found:
                batch.append(self._lines.line(shower, message, viewer=viewer))
                await slices.next()
        return tuple(batch), end if complete else found[-1].seq, dropped

    async def _shown(self, messages: list[Message], *, viewer: bool) -> tuple[MessageSummary, ...]:
        """Lines of a list, made while others run."""
        shower = self._traffic.shower
        shown: list[MessageSummary] = []
        async with self._listing, Slices() as slices:
            for message in messages:
                shown.append(shower.summary(message, viewer=viewer))
                await slices.next()
        return tuple(shown)

    async def message(self, params: SeqParams, caller: Caller) -> MessageText:
        """One message with its text. Credentials are masked; viewers see no body."""
        message = await self._traffic.message(params.capture, params.seq)
        return await self._traffic.shower.text(message, viewer=not sees_bodies(caller))

    async def dialogs(self, params: DialogsParams, caller: Caller) -> DialogList:
        """The dialogs of the messages that are kept, the newest first: both sides of the proxy."""
        store = await self._traffic.store(params.capture)
        wanted = self._traffic.wanted(params.filter, caller)
        found: list[DialogSummary] = []
        with wrong_filters():
            async with self._looking, Slices() as slices:
                for dialog in store.dialogs.newest():
                    if params.kind not in ("", dialog.kind):
                        continue
                    if params.filter and not await _has(store, dialog, wanted, slices):
                        continue
                    await slices.next()
                    found.append(DialogSummary.of(dialog))
                    if len(found) == params.limit:
                        break
        return DialogList(dialogs=tuple(found))

    async def ladder(self, params: LadderParams) -> Ladder:
        """Who spoke to whom, for one dialog, one Call-ID, or some messages."""
        store = await self._traffic.store(params.capture)
        messages = select(store, params.dialog, params.call_id, params.seqs)
        return await sliced_ladder(messages, directed=store.directed)

    async def state(self, params: CaptureParams) -> RecordingState:
        """What is recorded, why, and what is kept."""
        store = await self._traffic.store(params.capture)
        live = self._traffic.live
        why = live.why
        return RecordingState(
            recording=why != "off",
            why=why,
            kept=len(store),
            bytes=store.bytes,
            limit_messages=store.most_messages,
            limit_bytes=store.most_bytes,
            first=store.first,
            last=store.last,
            bodies=store.bodies,
            watchers=live.watchers,
            lost=live.tap.lost,
            captures=self._traffic.captures.summaries(),
        )


def select(store: Store, dialog: str, call_id: str, seqs: tuple[int, ...]) -> list[Message]:
    """The messages of a dialog, of a Call-ID, or some, in order. Raises ControlError."""
    if (bool(dialog), bool(call_id), bool(seqs)).count(True) != 1:
        raise ControlError("params", "give one of dialog, call_id and seqs")
    if seqs:
        return [found for seq in sorted(set(seqs)) if (found := store.get(seq)) is not None]
    one = store.dialogs.get(dialog) if dialog else store.dialogs.of_call(call_id)
    if one is None:
        raise ControlError("not found", f"no message of the dialog {dialog or call_id!r} is kept")
    messages = [store.get(seq) for seq in list(one.seqs)[-MOST_IN_LADDER:]]
    return [message for message in messages if message is not None]


async def _has(store: Store, dialog: Dialog, wanted: Wanted, slices: Slices) -> bool:
    for seq in list(dialog.seqs):
        await slices.next()
        message = store.get(seq)
        if message is not None and wanted(message):
            return True
    return False
