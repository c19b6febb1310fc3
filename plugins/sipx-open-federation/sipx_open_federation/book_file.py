"""The file of the book: SQLite, written in transactions that outlive ``kill -9``.

WAL mode with ``synchronous = NORMAL``: the end of the process undoes nothing, a power failure may
cost the last moments, never the file.
"""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sipx_open_federation.book import Entry

R = TypeVar("R")

FILE: Final = "partners.sqlite"
VERSION: Final = 1
"""The schema; a file of another one is not touched."""
PIECE: Final = 500
"""Rows of one statement: each step gives up the interpreter's lock, so it is one for many."""
LOCK_PATIENCE: Final = 2.0
"""Seconds that another process is given to let go of the file."""
_COLUMNS: Final = (
    "domain", "first_in", "last_in", "first_out", "last_out", "identity", "profile", "weakness",
    "subject", "issuer", "fingerprint", "not_after", "messages_in", "messages_out", "refused",
    "slowed", "limited",
)  # fmt: skip
_CREATE: Final = """
CREATE TABLE partner (
    domain TEXT PRIMARY KEY, first_in REAL NOT NULL, last_in REAL NOT NULL,
    first_out REAL NOT NULL, last_out REAL NOT NULL, identity TEXT NOT NULL,
    profile TEXT NOT NULL, weakness TEXT NOT NULL, subject TEXT NOT NULL, issuer TEXT NOT NULL,
    fingerprint TEXT NOT NULL, not_after REAL NOT NULL, messages_in INTEGER NOT NULL,
    messages_out INTEGER NOT NULL, refused INTEGER NOT NULL, slowed INTEGER NOT NULL,
    limited INTEGER NOT NULL
) WITHOUT ROWID
"""


class BookFile:
    """``directory`` is asked for when the file is opened, in a thread."""

    def __init__(self, directory: Callable[[], Path]) -> None:
        self._directory = directory
        self._connection: sqlite3.Connection | None = None
        # One at a time: a connection is used by one thread, whichever it is.
        self._limiter = trio.CapacityLimiter(1)

    async def open(self) -> str:
        """Open the file, or make it. What is returned says that a damaged one was set aside, "" if
        none was. Raises OSError.
        """
        if self._connection is not None:
            return ""
        self._connection, lost = await self._in_thread(self._open)
        return lost

    async def load(self, most: int) -> Sequence[Entry]:
        """The partners with the latest contact, the latest last. Raises OSError."""
        return await self._in_thread(partial(self._select, most))

    async def write(self, put: Sequence[Entry], gone: Sequence[str]) -> None:
        """One transaction. Raises OSError; then nothing has changed."""
        rows = [_row(entry) for entry in put]
        await self._in_thread(partial(self._write, rows, gone))

    async def close(self) -> None:
        """Fold the log back and close the file."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._in_thread(connection.close)

    # ------------------------------------------------------------ in a thread

    async def _in_thread(self, work: Callable[[], R]) -> R:
        try:
            return await trio.to_thread.run_sync(work, limiter=self._limiter)
        except sqlite3.Error as error:
            raise OSError(f"{FILE}: {error}") from error

    def _open(self) -> tuple[sqlite3.Connection, str]:
        path = self._directory() / FILE
        try:
            return _opened(path), ""
        except sqlite3.DatabaseError as error:
            # What is locked, full or forbidden may be right again; what is no database never.
            if isinstance(error, sqlite3.OperationalError):
                raise
            aside = _set_aside(path)
            said = f"{path} is damaged ({error}) and was moved to {aside}; its partners are lost"
            return _opened(path), said

    def _select(self, most: int) -> list[Entry]:
        from sipx_open_federation.book import Entry

        found = self._open_connection().execute(
            f"SELECT {', '.join(_COLUMNS)} FROM partner "  # noqa: S608  # our own names
            "ORDER BY max(last_in, last_out) DESC LIMIT ?",
            (most,),
        )
        return [Entry(*row) for row in reversed(found.fetchall())]

    def _write(self, rows: Sequence[tuple[Any, ...]], gone: Sequence[str]) -> None:
        connection = self._open_connection()
        # "with" commits, or rolls back when something is raised.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for at in range(0, len(gone), PIECE):
                names = gone[at : at + PIECE]
                marks = ", ".join("?" * len(names))
                connection.execute(f"DELETE FROM partner WHERE domain IN ({marks})", names)  # noqa: S608
            for at in range(0, len(rows), PIECE):
                piece = rows[at : at + PIECE]
                places = ", ".join(["(" + ", ".join("?" * len(_COLUMNS)) + ")"] * len(piece))
                connection.execute(
                    f"INSERT OR REPLACE INTO partner ({', '.join(_COLUMNS)}) VALUES {places}",  # noqa: S608
                    [value for row in piece for value in row],
                )

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise OSError(f"{FILE} is not open")
        return self._connection


def _opened(path: Path) -> sqlite3.Connection:
    """The file, looked through and ready. Raises OSError and sqlite3.Error."""
    # Made here, so that nobody else could read it even for a moment.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(
        path, timeout=LOCK_PATIENCE, isolation_level=None, check_same_thread=False
    )
    try:
        # Two processes with one file would overwrite each other's counts.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute(_CREATE)
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        elif version != VERSION:
            raise OSError(
                f"{path} is of schema {version}, this sipx writes {VERSION}; "
                "run the sipx that made it, or move the file away"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _set_aside(path: Path) -> Path:
    """Give a damaged file, and what belongs to it, another name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return aside


def _row(entry: Entry) -> tuple[Any, ...]:
    """The values of a row, in the order of the columns, which is that of the fields."""
    return tuple(getattr(entry, each.name) for each in fields(entry))
