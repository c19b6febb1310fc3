"""Files with users, read again when they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx import UserSet
from sipx_lan.values import read_users

if TYPE_CHECKING:
    from pathlib import Path

    from sipx import Proxy
    from sipx_lan.accounts import AccountTable

LONG: Final = 65_536
"""Bytes of a file above which nobody is to wait until it has been read."""
TROUBLE: Final = "users"
"""What their troubles are called."""
_Mark = tuple[int, int, int]


class UserFiles:
    """The files of all accounts. A file that cannot be used leaves its last good list."""

    def __init__(self, table: AccountTable, proxy: Proxy) -> None:
        self._table = table
        self._proxy = proxy
        # The list was read with the configuration, a moment before: seen again, it is no news.
        self._seen: dict[str, _Mark | None] = {
            entry.name: _mark(entry.users_path)
            for entry in table.entries.values()
            if entry.users_path is not None
        }
        self._troubled: set[str] = set()

    async def look(self) -> None:
        """Read the files that are not what they were, long ones in a thread."""
        for entry in tuple(self._table.entries.values()):
            path, users = entry.users_path, entry.account.users
            if path is None or users is None:
                continue
            mark = _mark(path)
            if mark == self._seen.get(entry.name):
                continue
            self._seen[entry.name] = mark
            try:
                long = mark is not None and mark[1] > LONG
                found = await trio.to_thread.run_sync(_users, path) if long else _users(path)
                users.replace(found)
            except OSError as error:
                self._note(
                    entry.name,
                    f"{path} cannot be read, the list known last holds: {error.strerror}",
                )
            except ValueError as error:
                self._note(entry.name, f"the list known last holds: {error}")
            else:
                self._note(entry.name, "")
                self._proxy.log.info("%s: %d users from %s", entry.name, len(users), path)

    def forget_troubles(self) -> None:
        """Nobody looks any more."""
        for name in self._troubled:
            self._proxy.note_trouble(TROUBLE, name, None)
        self._troubled.clear()

    def _note(self, name: str, text: str) -> None:
        if text or name in self._troubled:
            self._proxy.note_trouble(TROUBLE, name, text)
        if text:
            self._troubled.add(name)
        else:
            self._troubled.discard(name)


def _users(path: Path) -> UserSet:
    """Raises OSError and ValueError."""
    return UserSet(read_users(path))


def _mark(path: Path | None) -> _Mark | None:
    """What tells a file from what it was before; None where there is none."""
    if path is None:
        return None
    try:
        stat = path.stat()
    except OSError:
        return None
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)
