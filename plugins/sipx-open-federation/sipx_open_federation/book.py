"""The discovered partners: whom there has been contact with, how they proved who they are, and how
much was exchanged. Kept across restarts.

The truth is in memory; a service writes what has changed every few seconds, in one transaction
and in a thread, so a request costs no disk. Only who has proven a domain, or was reached after
proving it, is written down: strangers cannot fill the book.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import trio

from sipx_open_federation.book_file import BookFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sipx import PeerCertificate, Proof

MOST: Final = 4096
"""Partners in the book; beyond it the one without contact for longest is forgotten."""
MOST_CHANGES: Final = 2 * MOST
"""Changes that wait for a file that cannot be written. What is gone beyond them stays in the file;
the partners of the latest contact are read from it."""
INTERVAL: Final = 5.0
"""Seconds between two writes."""
CLOSING: Final = 5.0
"""Seconds that the last write may take."""

Direction = Literal["in", "out"]
What = Literal["in", "out", "refused", "slowed", "limited"]
COUNTED: Final[tuple[What, ...]] = ("in", "out", "refused", "slowed", "limited")


@dataclass(slots=True, eq=False)
class Entry:
    """One partner. Times are seconds since 1970, 0.0 for never.

    ``in`` is what it began, ``out`` what we began. ``identity`` is the name of its certificate that
    proved it, ``profile`` by which profile, ``weakness`` what speaks against that.
    """

    domain: str
    first_in: float = 0.0
    last_in: float = 0.0
    first_out: float = 0.0
    last_out: float = 0.0
    identity: str = ""
    profile: str = ""
    weakness: str = ""
    subject: str = ""
    issuer: str = ""
    fingerprint: str = ""
    not_after: float = 0.0
    messages_in: int = 0
    messages_out: int = 0
    refused: int = 0
    slowed: int = 0
    limited: int = 0

    @property
    def first(self) -> float:
        """The first contact of all."""
        return min(filter(None, (self.first_in, self.first_out)), default=0.0)

    @property
    def last(self) -> float:
        """The last contact of all."""
        return max(self.last_in, self.last_out)


class Book:
    """All discovered partners.

    ``directory`` gives the place of the file when it is opened (None: nothing is kept), ``wall``
    the time of people. ``trouble`` hears in words why the file cannot be used, "" once it can.
    """

    def __init__(
        self,
        directory: Callable[[], Path] | None,
        wall: Callable[[], float],
        trouble: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._wall = wall
        self._trouble = trouble
        self._file = None if directory is None else BookFile(directory)
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        """The one without contact for longest first."""
        self._changed: dict[str, None] = {}
        """What the file does not know yet; of what is gone from the book it is deleted."""
        self._loaded = False
        self.totals: Counter[What] = Counter()
        """What was counted of all partners since the start."""

    def take_over(self, old: Book) -> None:
        """Go on with the pages of another one, whose service has ended."""
        self._entries, self._changed, self._loaded = old._entries, old._changed, old._loaded
        self.totals = old.totals

    # ------------------------------------------------------------ written down

    def met(
        self,
        domain: bytes,
        direction: Direction,
        *,
        proof: Proof | None = None,
        certificate: PeerCertificate | None = None,
    ) -> None:
        """A partner has proven its domain: on a connection where it asks ("in"), or where it was
        asked ("out"). From then on its messages are counted.
        """
        name = domain.decode()
        entry = self._entries.get(name) or self._begin(name)
        self._touch(entry, direction)
        if proof is not None:
            entry.profile, entry.weakness = proof.profile, proof.weakness
            entry.identity = proof.name.decode("ascii", "backslashreplace")
        if certificate is not None and certificate.fingerprint != entry.fingerprint:
            entry.subject, entry.issuer = certificate.subject, certificate.issuer
            entry.fingerprint = certificate.fingerprint
            entry.not_after = certificate.not_after.timestamp()
        self._changed[name] = None

    def count(self, domain: bytes, what: What) -> None:
        """One more message of a partner that is known; of others nothing is kept. Hot.

        "in": its request was let in, "out": it has answered one of ours, "refused": its request was
        not let in, "limited": because it is over its limit, "slowed": it was let in, and waits.
        """
        name = domain.decode()
        entry = self._entries.get(name)
        if entry is None:
            return
        self.totals[what] += 1
        if what == "in":
            entry.messages_in += 1
            self._touch(entry, "in")
        elif what == "out":
            entry.messages_out += 1
            self._touch(entry, "out")
        elif what == "refused":
            entry.refused += 1
        elif what == "slowed":
            entry.slowed += 1
        else:
            entry.limited += 1
        self._changed[name] = None

    def _touch(self, entry: Entry, direction: Direction) -> None:
        now = self._wall()
        if direction == "in":
            entry.first_in = entry.first_in or now
            entry.last_in = now
        else:
            entry.first_out = entry.first_out or now
            entry.last_out = now
        self._entries.move_to_end(entry.domain)

    def forget(self, domain: bytes) -> bool:
        """Take a partner out; False where it is not in. It is in again with the next contact."""
        name = domain.decode()
        gone = self._entries.pop(name, None)
        if gone is not None:
            self._changed[name] = None
        return gone is not None

    def _begin(self, name: str) -> Entry:
        entry = self._entries[name] = Entry(name)
        if len(self._entries) > MOST:
            oldest, _ = self._entries.popitem(last=False)
            if len(self._changed) < MOST_CHANGES:
                self._changed[oldest] = None
        return entry

    # ------------------------------------------------------------ read

    def entries(self) -> Sequence[Entry]:
        """All of them, the one with the latest contact first."""
        return tuple(reversed(self._entries.values()))

    def entry(self, domain: bytes) -> Entry | None:
        """What is known of one partner."""
        return self._entries.get(domain.decode())

    def __len__(self) -> int:
        return len(self._entries)

    # ------------------------------------------------------------ kept

    async def service(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Read the file before the first request, write what changes, and at the end once more."""
        if self._file is None:
            task_status.started()
            return
        opened = await self._open(self._file)
        task_status.started()
        try:
            while True:
                await trio.sleep(INTERVAL)
                opened = opened or await self._open(self._file)
                if opened:
                    await self.write()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(CLOSING):
                if opened:
                    await self.write()
                await self._file.close()

    async def _open(self, file: BookFile) -> bool:
        """Without the file the book is kept in memory, and it is tried again and again."""
        try:
            lost = await file.open()
            if not self._loaded:
                self._merge(await file.load(MOST))
                self._loaded = True
        except OSError as error:
            self._trouble(f"the discovered partners cannot be kept: {error}")
            return False
        self._trouble(lost)
        return True

    def _merge(self, found: Sequence[Entry]) -> None:
        """What the file knows is older than what is in memory, if there is something already."""
        newer = self._entries
        self._entries = OrderedDict((entry.domain, entry) for entry in found)
        for name in self._changed:
            if name not in newer:
                self._entries.pop(name, None)
        for name, entry in newer.items():
            known = self._entries.pop(name, None)
            if known is not None:
                _add(entry, known)
            self._entries[name] = entry
        while len(self._entries) > MOST:
            oldest, _ = self._entries.popitem(last=False)
            self._changed[oldest] = None

    async def write(self) -> None:
        """Bring the file up to date, if something has changed."""
        if self._file is None or not self._changed:
            return
        changed, self._changed = self._changed, {}
        put = [self._entries[name] for name in changed if name in self._entries]
        gone = [name for name in changed if name not in self._entries]
        try:
            await self._file.write(put, gone)
        except OSError as error:
            self._changed = {**changed, **self._changed}
            self._trouble(f"the discovered partners cannot be kept: {error}")
        else:
            self._trouble("")


def _add(entry: Entry, older: Entry) -> None:
    """What was known of a partner before."""
    entry.first_in = older.first_in or entry.first_in
    entry.first_out = older.first_out or entry.first_out
    entry.last_in = max(entry.last_in, older.last_in)
    entry.last_out = max(entry.last_out, older.last_out)
    entry.messages_in += older.messages_in
    entry.messages_out += older.messages_out
    entry.refused += older.refused
    entry.slowed += older.slowed
    entry.limited += older.limited
    if not entry.fingerprint:
        entry.subject, entry.issuer = older.subject, older.issuer
        entry.fingerprint, entry.not_after = older.fingerprint, older.not_after
    if not entry.profile:
        entry.identity, entry.profile = older.identity, older.profile
        entry.weakness = older.weakness
