"""The store "sqlite": one file, written in transactions that outlive ``kill -9``.

The file is in WAL mode. A transaction that has been committed is with the operating system, so
the end of the process cannot undo it. ``synchronous = NORMAL``: the disk is waited for when the
log is folded back, not at each commit, so a power failure may cost the last moments, never the
file; clients register again within minutes.

A batch is one statement, not one for each row: every step of SQLite gives up the interpreter's
lock and has to get it back from a busy event loop, which may take five milliseconds each time.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from sipx import Binding, BindingChange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

R = TypeVar("R")

FILE: Final = "registrations.sqlite"
VERSION: Final = 2
"""The schema. Version 1, whose keys were without the owner, is made one of these; another one is
not touched."""
PIECE: Final = 1000
"""Rows of one statement, and of one piece of ``load``."""
LOCK_PATIENCE: Final = 2.0
"""Seconds that another process is given to let go of the file."""
_COLUMNS: Final = (
    "aor", "key", "contact", "owner", "call_id", "cseq", "expires", "since", "q", "path",
    "instance", "reg_id", "interface", "transport", "address", "port", "bulk", "user_agent",
)  # fmt: skip
_CREATE: Final = """
CREATE TABLE binding (
    aor BLOB NOT NULL, key BLOB NOT NULL, contact BLOB NOT NULL, owner TEXT NOT NULL,
    call_id BLOB NOT NULL, cseq INTEGER NOT NULL, expires REAL NOT NULL, since REAL NOT NULL,
    q INTEGER NOT NULL, path BLOB NOT NULL, instance BLOB NOT NULL, reg_id INTEGER NOT NULL,
    interface TEXT NOT NULL, transport TEXT NOT NULL, address TEXT NOT NULL,
    port INTEGER NOT NULL, bulk INTEGER NOT NULL, user_agent BLOB NOT NULL,
    PRIMARY KEY (aor, key)
) WITHOUT ROWID
"""
_KEY_FROM_1: Final = "CAST(CAST(owner AS BLOB) || x'0A' || key AS BLOB)"
"""`Binding.key`, of a row of version 1."""
_Row = tuple[bytes, bytes, bytes, str, bytes, int, float, float, int, bytes, bytes, int, str, str,
             str, int, int, bytes]  # fmt: skip


class SqliteStore:
    """``directory`` is asked for when the file is opened. ``lost`` is told in words when a damaged
    file had to be set aside.
    """

    name = "sqlite"

    def __init__(self, directory: Callable[[], Path], lost: Callable[[str], None]) -> None:
        self._directory = directory
        self._lost = lost
        self._connection: sqlite3.Connection | None = None
        # One at a time: a connection is used by one thread, whichever it is.
        self._limiter = trio.CapacityLimiter(1)

    async def open(self) -> None:
        """Open the file, or make it. Raises OSError."""
        self._connection, lost = await self._in_thread(self._open)
        if lost:
            self._lost(lost)

    async def load(self) -> AsyncIterator[Sequence[Binding]]:
        """All bindings, in pieces. Raises OSError."""
        cursor = await self._in_thread(self._select)
        known: dict[bytes, bytes] = {}
        while rows := await self._in_thread(partial(cursor.fetchmany, PIECE)):
            yield [_binding(row, known) for row in rows]

    async def write(self, changes: Sequence[BindingChange]) -> None:
        """One transaction. Raises OSError; then nothing has changed."""
        last = {(each.aor, each.key): each.binding for each in changes}
        put = [_row(binding) for binding in last.values() if binding is not None]
        gone = [place for place, binding in last.items() if binding is None]
        await self._in_thread(partial(self._write, put, gone))

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
            said = f"{path} is damaged ({error}) and was moved to {aside}; registrations are lost"
            return _opened(path), said

    def _select(self) -> sqlite3.Cursor:
        return self._open_connection().execute(f"SELECT {', '.join(_COLUMNS)} FROM binding")  # noqa: S608  # our own names

    def _write(self, put: list[_Row], gone: list[tuple[bytes, bytes]]) -> None:
        connection = self._open_connection()
        # "with" commits, or rolls back when something is raised.
        with connection:
            connection.execute("BEGIN IMMEDIATE")
            for at in range(0, len(gone), PIECE):
                pairs = gone[at : at + PIECE]
                places = ", ".join(["(?, ?)"] * len(pairs))
                connection.execute(
                    f"DELETE FROM binding WHERE (aor, key) IN (VALUES {places})",  # noqa: S608
                    [value for pair in pairs for value in pair],
                )
            for at in range(0, len(put), PIECE):
                rows = put[at : at + PIECE]
                places = ", ".join(["(" + ", ".join("?" * len(_COLUMNS)) + ")"] * len(rows))
                connection.execute(
                    f"INSERT OR REPLACE INTO binding ({', '.join(_COLUMNS)}) VALUES {places}",  # noqa: S608
                    [value for row in rows for value in row],
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
        path,
        timeout=LOCK_PATIENCE,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=32,
    )
    try:
        # Two processes with one file would each answer from half of the bindings.
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
        elif version == 1:
            _take_over_1(connection)
        elif version != VERSION:
            raise OSError(
                f"{path} is of schema {version}, this sipx writes {VERSION}; "
                "run the sipx that made it, or move the file away"
            )
    except BaseException:
        connection.close()
        raise
    return connection


def _take_over_1(connection: sqlite3.Connection) -> None:
    """Bring a file of version 1 to this one, all or nothing."""
    columns = ", ".join(_COLUMNS)
    values = columns.replace("key", _KEY_FROM_1)
    connection.execute("BEGIN EXCLUSIVE")
    connection.execute("ALTER TABLE binding RENAME TO binding_1")
    connection.execute(_CREATE)
    connection.execute(f"INSERT INTO binding ({columns}) SELECT {values} FROM binding_1")  # noqa: S608  # our own names
    connection.execute("DROP TABLE binding_1")
    connection.execute(f"PRAGMA user_version = {VERSION}")
    connection.execute("COMMIT")


def _set_aside(path: Path) -> Path:
    """Give a damaged file, and what belongs to it, another name."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for end in ("", "-wal", "-shm"):
        part = path.with_name(path.name + end)
        if part.exists():
            part.rename(aside.with_name(aside.name + end))
    return aside


def _row(binding: Binding) -> _Row:
    return (
        binding.aor,
        binding.key,
        binding.contact,
        binding.owner,
        binding.call_id,
        binding.cseq,
        binding.expires,
        binding.since,
        binding.q,
        b"\n".join(binding.path),
        binding.instance,
        binding.reg_id,
        binding.interface,
        binding.transport,
        binding.address,
        binding.port,
        int(binding.bulk),
        binding.user_agent,
    )


def _binding(row: _Row, known: dict[bytes, bytes]) -> Binding:
    """What a row says. Texts that many bindings share are kept once: ``known`` are those of them
    that are bytes.
    """
    path, user_agent = row[9], row[17]
    return Binding(
        aor=row[0],
        contact=row[2],
        owner=sys.intern(row[3]),
        call_id=row[4],
        cseq=row[5],
        expires=row[6],
        since=row[7],
        q=row[8],
        path=tuple(path.split(b"\n")) if path else (),
        instance=row[10],
        reg_id=row[11],
        interface=sys.intern(row[12]),
        transport=sys.intern(row[13]),
        address=sys.intern(row[14]),
        port=row[15],
        bulk=bool(row[16]),
        user_agent=known.setdefault(user_agent, user_agent),
    )
