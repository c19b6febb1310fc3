"""What is recorded, and when: the tap is on while somebody watches, or always."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Final, Literal, Protocol

import trio

from sipx_monitor.slices import Slices
from sipx_monitor.traffic.store import Store
from sipx_monitor.traffic.tap import Decided, Tap
from sipx_monitor.traffic.transactions import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sipx import Proxy
    from sipx_monitor.traffic.message import Message, Seen
    from sipx_monitor.traffic.store import Bodies

TICK: Final = 0.05
"""Seconds between two looks at what the tap has noted: so many batches a second, 20, at most."""
LINGER: Final = 10.0
"""Seconds that recording goes on behind the last watcher: who turns a page misses nothing."""

Why = Literal["always", "watched", "asked", "off"]


class Recorded(Protocol):
    """The part of the configuration that says what is recorded."""

    @property
    def record(self) -> Literal["watched", "always"]:
        """When messages are recorded."""
        ...

    @property
    def keep_messages(self) -> int:
        """How many are kept."""
        ...

    @property
    def keep_bytes(self) -> int:
        """How much memory they may take."""
        ...

    @property
    def capture_bodies(self) -> Bodies:
        """Which bodies are kept."""
        ...

    @property
    def pcap_file(self) -> Path | None:
        """A file that all messages are written to."""
        ...

    @property
    def pcap_size(self) -> int:
        """How large it may become."""
        ...

    @property
    def pcap_keep(self) -> int:
        """How many older ones are kept."""
        ...


class Live:
    """The recording of what passes now. It outlives the plugin that a reload replaces, so that
    nothing is lost and whoever follows it goes on.
    """

    def __init__(self, config: Recorded, proxy: Proxy) -> None:
        self._proxy = proxy
        self._always = config.record == "always" or config.pcap_file is not None
        self.store = Store(config.keep_messages, config.keep_bytes, config.capture_bodies)
        self.tap = Tap(proxy.now, proxy.wall)
        self.watchers = 0
        self._watched_until = self._asked_until = float("-inf")
        self._running = False
        self._tapped = ExitStack()
        self._begun = trio.Event()
        """Set while the tap is on."""
        self.news = trio.Event()
        """Set, and replaced, when messages have come."""
        self.on_message: list[Callable[[Message], None]] = []
        """Who is told of each message that was read."""

    def configure(self, config: Recorded) -> None:
        """Record as another configuration says, from now on."""
        self._always = config.record == "always" or config.pcap_file is not None
        self.store.resize(config.keep_messages, config.keep_bytes, config.capture_bodies)

    @property
    def why(self) -> Why:
        """Why messages are recorded now."""
        now = self._proxy.now()
        if self._always:
            return "always"
        if now < self._asked_until:
            return "asked"
        return "watched" if self.watchers or now < self._watched_until else "off"

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Somebody watches: messages are recorded, from now on."""
        self.watchers += 1
        self._begin()
        try:
            yield
        finally:
            self.watchers -= 1
            if not self.watchers:
                self._watched_until = self._proxy.now() + LINGER

    def ask(self, seconds: float | None) -> None:
        """Record for so long, whoever watches; None: no longer than somebody does."""
        if seconds is None:
            self._asked_until = self._watched_until = float("-inf")
        else:
            self._asked_until = self._proxy.now() + seconds
            self._begin()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Record whenever it is wanted, until cancelled."""
        self._running = True
        try:
            self._begin()
            task_status.started()
            while True:
                if self.why == "off":
                    self._end()
                    await self.settle()
                    await self._begun.wait()
                await trio.sleep(TICK)
                await self.settle()
        finally:
            self._running = False
            self._end()

    def _begin(self) -> None:
        """Turn the tap on at once, if it is wanted and not on yet."""
        if self._running and not self._begun.is_set() and self.why != "off":
            self._tapped.enter_context(self._proxy.watch(self.tap))
            self._begun.set()

    def _end(self) -> None:
        self._tapped.close()
        self._begun = trio.Event()

    async def settle(self) -> None:
        """Read all that the tap has noted until now, in slices that let others run."""
        left = len(self.tap)
        if not left:
            return
        try:
            async with Slices() as slices:
                for noted in self.tap.take(left):
                    self._read(noted)
                    await slices.next()
        finally:
            self.news.set()
            self.news = trio.Event()

    def _read(self, noted: Seen | Decided) -> None:
        if isinstance(noted, Decided):
            self._decide(noted)
            return
        message = self.store.add(noted)
        for told in self.on_message:
            told(message)

    def _decide(self, decided: Decided) -> None:
        method = decided.method.decode("ascii", "backslashreplace")
        transactions = self.store.transactions
        found = transactions.of_request(decided.via.branch, decided.via.sent_by, method)
        if found is not None:
            step = Step(decided.wall, decided.step, decided.text, decided.data)
            transactions.decide(found, step)
