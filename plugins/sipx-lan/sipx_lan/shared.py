"""The servers that log on with the shared user, by address: known again after a restart.

A registrar keeps what they have registered. Whose that is has to be known before they are back, or
their users could neither be reached nor be held against another server.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final

import trio

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from sipx import Proxy
    from sipx_lan.accounts import AccountTable

FILE: Final = "shared.json"


class SharedServers:
    """The addresses of these servers in a file, which is only there where a user is shared.

    They prove nothing: whoever comes from there is asked for credentials as before.
    """

    def __init__(self, table: AccountTable, proxy: Proxy) -> None:
        self._table = table
        self._proxy = proxy
        self._written: frozenset[str] | None = None
        """What stands in the file; None: it has not been read yet."""

    def load(self) -> None:
        """Read the file, once."""
        if self._written is not None or self._table.shared is None:
            return
        addresses = self._read()
        self._written = frozenset(addresses)
        for address in addresses:
            self._table.remember(address)

    async def keep(self) -> None:
        """Write the file if there are others now."""
        self.load()
        addresses = self._table.shared_addresses()
        if self._written is None or self._written.issuperset(addresses):
            return
        # What cannot be written is not tried again before there is something new.
        self._written = frozenset(addresses)
        try:
            await trio.to_thread.run_sync(self._write, addresses)
        except OSError as error:
            self._proxy.log.warning(
                "%s cannot be written: %s; after a restart the servers of the shared user are "
                "known again when they have logged on",
                FILE,
                error.strerror or error,
            )

    def _path(self) -> Path:
        return self._proxy.state_dir / FILE

    def _read(self) -> list[str]:
        try:
            found = json.loads(self._path().read_text(encoding="utf-8"))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._proxy.log.warning("%s cannot be read: %s", FILE, error)
            return []
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []

    def _write(self, addresses: Collection[str]) -> None:
        path = self._path()
        beside = path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  # a descriptor
            json.dump(sorted(addresses), file, indent=1)
            file.flush()
            os.fsync(descriptor)
        beside.replace(path)
