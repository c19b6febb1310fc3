"""What is registered is written before it is answered, and many REGISTERs share one write.

REGISTERs that come while a write is under way wait for the next one: they are decided in the
order in which they came, each knowing what those before it will have changed; then all changes
are one transaction, and when that is committed all are answered. So the rate of commits does not
depend on the rate of REGISTERs. With the store "memory" nobody waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Final

import trio

from sipx import BindingChange, Refuse, StartError
from sipx_registrar.drafts import Draft
from sipx_registrar.memory import MemoryStore
from sipx_registrar.reading import Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sipx import Binding, LocationStore, Proxy
    from sipx_registrar.bindings import Bindings
    from sipx_registrar.news import News
    from sipx_registrar.reading import Registration
    from sipx_registrar.register import Decided, Register

MOST: Final = 1000
"""REGISTERs of one transaction."""
SLICE: Final = 50
"""REGISTERs that are decided without letting others run."""
SWEEP: Final = 1.0
"""Seconds between two looks for what has expired."""
PATIENCE: Final = 3.0
"""Seconds that a REGISTER waits for its write, and at most SWEEP more; the kernel waits 5."""
CLOSING: Final = 5.0
"""Seconds that a store may take to close."""
TROUBLE: Final = ("store", "registrations")

Place = tuple[tuple["Binding", ...], tuple["Binding", ...]]
"""The bindings of a place before and after a change."""


@dataclass(eq=False, slots=True)
class Job:
    """Something to be written: a REGISTER, bindings that are taken away, or bindings that have
    expired and may have come back since.

    Once ``done`` is set either ``refused`` says why it was not made, or what was ``decided`` and
    ``removed`` is so. ``given_up``: nobody waits for it any more, but it may yet be made.
    """

    registration: Registration | None = None
    remove: Sequence[Binding] = ()
    forget: Sequence[Binding] = ()
    done: trio.Event = field(default_factory=trio.Event)
    decided: Decided | None = None
    refused: Refuse | None = None
    removed: list[Place] = field(default_factory=list)
    given_up: bool = False
    since: float = field(default_factory=trio.current_time)


@dataclass(eq=False, slots=True)
class Waiting:
    """What outlives a reload: the jobs, and the name of the store that holds what the table does,
    "" as long as the table is not loaded.
    """

    jobs: list[Job] = field(default_factory=list)
    arrived: trio.Event = field(default_factory=trio.Event)
    complete_in: str = ""


class Writing:
    """The way to the store that ``choose`` names; ``news`` is told of what is committed."""

    def __init__(
        self,
        proxy: Proxy,
        bindings: Bindings,
        register: Register,
        *,
        choose: Callable[[], LocationStore],
        news: News,
        retry_after: float,
    ) -> None:
        self._proxy = proxy
        self._bindings = bindings
        self._register = register
        self._choose = choose
        self._news = news
        self._retry_after = retry_after
        self._waiting = Waiting()
        self._owed: list[Binding] = []
        """What has expired and is still in the store."""
        self._under_way: Sequence[Job] = ()
        """The jobs of the transaction that is under way."""
        self.store: LocationStore | None = None
        """The one in use, while it is open."""

    def take_over(self, old: Writing) -> None:
        """Go on with what waits; the services of the old one have ended."""
        self._waiting = old._waiting

    # ------------------------------------------------------------ for those who ask

    @property
    def at_once(self) -> bool:
        """Whether nothing has to be waited for."""
        return isinstance(self.store, MemoryStore) and not self._waiting.jobs

    def now(self, asked: Registration) -> Decided:
        """Decide and commit without waiting. Raises Refused."""
        draft = Draft(self._bindings)
        decided = self._register.decide(asked, draft)
        if decided.after is not decided.before:
            draft.put(asked.place, decided.after)
            self._bindings.apply(draft.changes())
        self._news.registered(decided)
        return decided

    def later(self, asked: Registration) -> Callable[[], Awaitable[Decided | Refuse]]:
        """Decide, write, commit; what is awaited gives the answer when nothing can undo it.

        The place in the order is taken now: tasks that are started together run in any order.
        """
        job = Job(registration=asked)
        self._add(job)
        return partial(self._committed, job)

    async def _committed(self, job: Job) -> Decided | Refuse:
        if not await self._wait(job):
            return self._not_now()
        return job.refused or job.decided or self._not_now()

    async def remove(self, bindings: Sequence[Binding]) -> Refuse | None:
        """Take bindings away, as an operator wants it."""
        job = Job(remove=bindings)
        self._add(job)
        return job.refused if await self._wait(job) else self._not_now()

    def look_again(self) -> None:
        """Another store may be wanted."""
        self._waiting.arrived.set()

    async def _wait(self, job: Job) -> bool:
        if self.store is not None:
            await job.done.wait()  # or until _put_off
        else:
            with trio.move_on_after(PATIENCE):
                await job.done.wait()
            job.given_up = not job.done.is_set()
        return not job.given_up

    def _put_off(self) -> None:
        """Nobody waits longer than PATIENCE. One look each second is less than a deadline each."""
        long_ago = trio.current_time() - PATIENCE
        for job in (*self._under_way, *self._waiting.jobs):
            if job.since < long_ago and not job.done.is_set():
                job.given_up = True
                job.done.set()

    def _add(self, job: Job) -> None:
        self._waiting.jobs.append(job)
        self._waiting.arrived.set()

    def _not_now(self) -> Refuse:
        seconds = b"%d" % ceil(self._retry_after)
        return Refuse(503, "registrations cannot be stored now", ((b"Retry-After", seconds),))

    # ------------------------------------------------------------ the service

    async def registrations(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Load what is stored, then write what comes. Raises StartError for a store that cannot
        be opened.
        """
        told = False
        while True:
            store = self._choose()
            opened = False
            try:
                await self._begin(store)
                opened = True
                if not told:
                    task_status.started()
                    told = True
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._sweep)
                    await self._write(store)
                    nursery.cancel_scope.cancel()
            finally:
                self.store = None
                if opened:
                    self._proxy.note_trouble(*TROUBLE, None)
                await self._close(store)

    async def _begin(self, store: LocationStore) -> None:
        try:
            await store.open()
            if not self._waiting.complete_in:
                await self._load(store)
            elif self._waiting.complete_in != store.name:
                await self._copy_into(store)
        except OSError as error:
            said = f"registrations cannot be kept ({store.name}): {error.strerror or error}"
            self._proxy.note_trouble(*TROUBLE, said)
            raise StartError(said) from error
        self._waiting.complete_in = store.name
        self._proxy.note_trouble(*TROUBLE, "")
        self.store = store

    async def _close(self, store: LocationStore) -> None:
        with trio.move_on_after(CLOSING, shield=True):
            try:
                await store.close()
            except OSError as error:
                self._proxy.log.error("registrations (%s): cannot be closed: %s", store.name, error)

    async def _load(self, store: LocationStore) -> None:
        """What has not expired goes into the table, the rest out of the store in a moment."""
        began = self._proxy.now()
        count = 0
        async for piece in store.load():
            now = self._proxy.wall()
            live = [BindingChange(each.aor, each.key, each) for each in piece if each.expires > now]
            self._bindings.apply(live)
            self._owed += [each for each in piece if each.expires <= now]
            count += len(live)
        if count or self._owed:
            self._proxy.log.info(
                "%d registrations read (%s), %d more had expired; %.1f s",
                count,
                store.name,
                len(self._owed),
                self._proxy.now() - began,
            )

    async def _copy_into(self, store: LocationStore) -> None:
        """Another store is used from now on: it gets all that is known, and keeps nothing else."""
        if isinstance(store, MemoryStore):
            return
        places = tuple(self._bindings.places())
        known = {(each.aor, each.key) for place in places for each in self._bindings.of(place)}
        stale = [
            BindingChange(each.aor, each.key, None)
            async for piece in store.load()
            for each in piece
            if (each.aor, each.key) not in known
        ]
        for at in range(0, len(stale), MOST):
            await store.write(stale[at : at + MOST])
        for at in range(0, len(places), MOST):
            await store.write(
                [
                    BindingChange(each.aor, each.key, each)
                    for place in places[at : at + MOST]
                    for each in self._bindings.of(place)
                ]
            )
        self._proxy.log.info("%d registrations written (%s)", len(known), store.name)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP)
            self._put_off()
            ended = self._bindings.take_due()
            if ended:
                self._news.expired(ended)
            if ended or self._owed:
                self._add(Job(forget=[*ended, *self._owed]))
                self._owed.clear()

    # ------------------------------------------------------------ one transaction after the other

    async def _write(self, store: LocationStore) -> None:
        """Write what waits, until another store is wanted."""
        while True:
            await self._waiting.arrived.wait()
            self._waiting.arrived = trio.Event()
            if self._choose() is not store:
                self._waiting.arrived.set()
                return
            while self._waiting.jobs:
                # In place: the list is that of a reload's other side, too.
                batch = self._waiting.jobs[:MOST]
                del self._waiting.jobs[:MOST]
                await self._transaction(store, [job for job in batch if not job.given_up])

    async def _transaction(self, store: LocationStore, jobs: Sequence[Job]) -> None:
        draft = Draft(self._bindings)
        forget: list[BindingChange] = []
        self._under_way = jobs
        try:
            for number, job in enumerate(jobs, 1):
                self._decide(job, draft, forget)
                if number % SLICE == 0:
                    await trio.lowlevel.checkpoint()
            changes = draft.changes()
            written = [*forget, *changes]
            if written and not isinstance(store, MemoryStore):
                await store.write(written)
            self._bindings.apply(changes)
        except OSError as error:
            self._failed(store, jobs, error)
        else:
            self._proxy.note_trouble(*TROUBLE, "")
            self._tell(jobs)
        finally:
            self._under_way = ()
            for job in jobs:
                if not job.done.is_set():
                    job.refused = job.refused or self._not_now()
                    job.done.set()

    def _decide(self, job: Job, draft: Draft, forget: list[BindingChange]) -> None:
        if job.registration is not None:
            try:
                decided = self._register.decide(job.registration, draft)
            except Refused as refused:
                job.refused = refused.answer
                return
            job.decided = decided
            if decided.after is not decided.before:
                draft.put(job.registration.place, decided.after)
        for binding in job.remove:
            before = draft.of(binding.aor)
            after = tuple(each for each in before if each.key != binding.key)
            if len(after) != len(before):
                draft.put(binding.aor, after)
                job.removed.append((before, after))
        forget += [
            BindingChange(gone.aor, gone.key, None)
            for gone in job.forget
            if all(each.key != gone.key for each in draft.of(gone.aor))
        ]

    def _failed(self, store: LocationStore, jobs: Sequence[Job], error: OSError) -> None:
        """RFC 3261 §10.3 item 8: "If any one of them fails (for example, because the back-end
        database commit failed), the request MUST fail with a 500 (Server Internal Error)".
        """
        said = f"registrations cannot be stored ({store.name}): {error.strerror or error}"
        self._proxy.note_trouble(*TROUBLE, f"{said}; REGISTER is refused until they can")
        for job in jobs:
            job.refused = job.refused or Refuse(500, "registrations cannot be stored now")
            self._owed += job.forget

    def _tell(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.decided is not None:
                self._news.registered(job.decided)
            for place in job.removed:
                self._news.changed(*place)
            job.done.set()
