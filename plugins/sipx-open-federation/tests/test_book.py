"""The list of discovered partners: what is written down, and that it outlives the process."""

from __future__ import annotations

import sqlite3
from dataclasses import fields
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import trio
from sipx_open_federation import book_file
from sipx_open_federation.book import COUNTED, MOST, MOST_CHANGES, Book, Entry

from sipx import PeerCertificate, Proof

if TYPE_CHECKING:
    from pathlib import Path

NEAR = b"partner.example"
ENDS = datetime(2027, 3, 1, tzinfo=UTC)
CERTIFICATE = PeerCertificate(
    subject="CN=sip.partner.example",
    issuer="CN=Some Authority",
    serial=7,
    not_before=datetime(2026, 3, 1, tzinfo=UTC),
    not_after=ENDS,
    ids=frozenset({b"sip.partner.example"}),
    wildcards=frozenset(),
    hosts=frozenset({b"sip.partner.example"}),
    common_name=None,
    eku=None,
    spki="aa",
    fingerprint="bb",
)
PROOF = Proof("ms-suffix", b"sip.partner.example")


class Clock:
    """The time of people, as it is said."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def of(directory: Path, clock: Clock, troubles: list[str] | None = None) -> Book:
    said: list[str] = [] if troubles is None else troubles
    return Book(lambda: directory, clock, said.append)


async def written(book: Book) -> None:
    """The service runs, and ends."""
    async with trio.open_nursery() as nursery:
        await nursery.start(book.service)
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------- in memory


def test_contact_is_written_down_by_direction() -> None:
    clock = Clock()
    book = Book(None, clock)
    book.met(NEAR, "in", proof=PROOF, certificate=CERTIFICATE)
    clock.now += 10
    book.met(NEAR, "in")
    clock.now += 10
    book.met(NEAR, "out")
    entry = book.entry(NEAR)
    assert entry is not None
    assert (entry.first_in, entry.last_in) == (1_000_000.0, 1_000_010.0)
    assert (entry.first_out, entry.last_out) == (1_000_020.0, 1_000_020.0)
    assert (entry.first, entry.last) == (1_000_000.0, 1_000_020.0)
    assert (entry.messages_in, entry.messages_out) == (0, 0)
    assert (entry.identity, entry.profile) == ("sip.partner.example", "ms-suffix")
    assert (entry.subject, entry.not_after) == ("CN=sip.partner.example", ENDS.timestamp())


def test_what_is_counted() -> None:
    book = Book(None, Clock())
    book.met(NEAR, "in")
    for what in COUNTED:
        book.count(NEAR, what)
    entry = book.entry(NEAR)
    assert entry is not None
    assert (entry.messages_in, entry.messages_out) == (1, 1)
    assert entry.first_out == entry.last_in == 1_000_000.0
    assert (entry.refused, entry.slowed, entry.limited) == (1, 1, 1)


def test_who_has_proven_nothing_is_not_written_down() -> None:
    book = Book(None, Clock())
    book.count(NEAR, "refused")
    assert len(book) == 0


def test_the_latest_contact_stands_first_and_the_oldest_goes() -> None:
    book = Book(None, Clock())
    for number in range(MOST):
        book.met(b"d%d.example" % number, "in")
    book.met(b"d0.example", "out")
    book.met(b"new.example", "in")
    assert len(book) == MOST
    assert [entry.domain for entry in book.entries()[:2]] == ["new.example", "d0.example"]
    assert book.entry(b"d1.example") is None


def test_forgetting() -> None:
    book = Book(None, Clock())
    book.met(NEAR, "in")
    assert book.forget(NEAR)
    assert not book.forget(NEAR)
    assert book.entries() == ()


# ---------------------------------------------------------------- on disk


def test_a_column_for_each_field() -> None:
    assert tuple(each.name for each in fields(Entry)) == book_file._COLUMNS


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    clock = Clock()
    book = of(tmp_path, clock)
    book.met(NEAR, "in", proof=PROOF, certificate=CERTIFICATE)
    clock.now += 5
    book.met(b"other.example", "out")
    book.count(NEAR, "limited")
    await written(book)

    again = of(tmp_path, clock)
    await written(again)
    assert [entry.domain for entry in again.entries()] == ["other.example", "partner.example"]
    assert again.entry(NEAR) is not None
    before, after = book.entry(NEAR), again.entry(NEAR)
    assert before is not None
    assert after is not None
    assert book_file._row(after) == book_file._row(before)


async def test_what_was_forgotten_stays_forgotten(tmp_path: Path) -> None:
    clock = Clock()
    book = of(tmp_path, clock)
    book.met(NEAR, "in")
    await written(book)
    again = of(tmp_path, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(again.service)
        assert again.forget(NEAR)
        await again.write()
        nursery.cancel_scope.cancel()
    third = of(tmp_path, clock)
    await written(third)
    assert len(third) == 0


async def test_contact_before_the_file_was_read_is_added_to_what_it_says(tmp_path: Path) -> None:
    clock = Clock()
    book = of(tmp_path, clock)
    book.met(NEAR, "in", proof=PROOF)
    await written(book)
    clock.now += 100
    book = of(tmp_path, clock)
    book.met(NEAR, "in")
    book.count(NEAR, "in")
    await written(book)
    clock.now += 100
    again = of(tmp_path, clock)
    again.met(NEAR, "in")
    again.count(NEAR, "in")
    await written(again)
    entry = again.entry(NEAR)
    assert entry is not None
    assert (entry.first_in, entry.last_in) == (1_000_000.0, 1_000_200.0)
    assert entry.messages_in == 2
    assert entry.profile == "ms-suffix"


async def test_after_a_reload_the_new_book_goes_on(tmp_path: Path) -> None:
    clock = Clock()
    old = of(tmp_path, clock)
    old.met(NEAR, "in")
    old.count(NEAR, "in")
    await written(old)
    new = of(tmp_path, clock)
    new.take_over(old)
    old.count(NEAR, "in")
    await written(new)
    entry = new.entry(NEAR)
    assert entry is not None
    assert entry.messages_in == 2


async def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / book_file.FILE).write_bytes(b"this is no database" * 1000)
    troubles: list[str] = []
    book = of(tmp_path, Clock(), troubles)
    book.met(NEAR, "in")
    await written(book)
    assert "is damaged" in troubles[0]
    assert list(tmp_path.glob("partners.sqlite.damaged-*"))
    again = of(tmp_path, Clock())
    await written(again)
    assert len(again) == 1


async def test_without_a_disk_the_book_is_kept_in_memory(tmp_path: Path) -> None:
    troubles: list[str] = []
    book = of(tmp_path / "is" / "not" / "there", Clock(), troubles)
    book.met(NEAR, "in")
    await written(book)
    assert troubles[0].startswith("the discovered partners cannot be kept: ")
    assert len(book) == 1


async def test_a_write_that_fails_is_made_up_for(tmp_path: Path) -> None:
    troubles: list[str] = []
    book = of(tmp_path, Clock(), troubles)
    async with trio.open_nursery() as nursery:
        await nursery.start(book.service)
        book.met(NEAR, "in")
        assert book._file is not None
        connection = book._file._open_connection()
        await trio.to_thread.run_sync(
            partial(connection.execute, "ALTER TABLE partner RENAME TO elsewhere")
        )
        await book.write()
        assert "no such table" in troubles[-1]
        await trio.to_thread.run_sync(
            partial(connection.execute, "ALTER TABLE elsewhere RENAME TO partner")
        )
        await book.write()
        assert troubles[-1] == ""
        nursery.cancel_scope.cancel()
    again = of(tmp_path, Clock())
    await written(again)
    assert len(again) == 1


async def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / book_file.FILE)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    troubles: list[str] = []
    await written(of(tmp_path, Clock(), troubles))
    assert "is of schema 99" in troubles[0]


def test_what_a_file_that_cannot_be_written_has_to_learn_is_bounded() -> None:
    book = Book(None, lambda: 0.0)
    for number in range(MOST_CHANGES + MOST):
        book.met(b"%d.example" % number, "in")
    assert len(book) == MOST
    assert len(book._changed) <= MOST_CHANGES + MOST


async def test_nobody_else_reads_the_file(tmp_path: Path) -> None:
    book = of(tmp_path, Clock())
    book.met(NEAR, "in")
    await written(book)
    mode = await trio.to_thread.run_sync((tmp_path / book_file.FILE).stat)
    assert mode.st_mode & 0o077 == 0
