"""Addresses that we were seen at before: dialogs of then still name them in their Routes.

RFC 3261 §12.2.1.1: the route set of a dialog is never changed, so what stood in a Record-Route once
comes back for as long as the dialog lives, over a restart too.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Annotated, Final

import trio
from pydantic import BaseModel, Field, ValidationError

from sipx.state import replace_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

log = logging.getLogger("sipx.kernel")

LASTS: Final = 30 * 86_400.0
"""Seconds for which a former address is still recognised: longer than dialogs live."""
MOST: Final = 256
"""Former addresses that are remembered at most; the oldest are forgotten first."""
LARGEST: Final = 1 << 20
"""Bytes; a file that is larger was not written here."""
FILE: Final = "former-addresses.json"


class _Kept(BaseModel):
    """One former address in the file."""

    interface: str
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    until: Annotated[float, Field(allow_inf_nan=False)]


class _File(BaseModel):
    former: list[_Kept]


class Former:
    """(host, port) by the name of the interface, each until a time in seconds since 1970."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._until: dict[tuple[str, bytes, int], float] = {}
        self.changes = 0

    def add(self, interface: str, host: str, port: int) -> None:
        """Peers saw ``interface`` there until now."""
        key = (interface, host.encode(), port)
        self._until.pop(key, None)
        self._until[key] = self._wall() + LASTS
        while len(self._until) > MOST:
            del self._until[next(iter(self._until))]
        self.changes += 1

    def of(self, interface: str) -> frozenset[tuple[bytes, int]]:
        """Where it was seen before."""
        now = self._wall()
        return frozenset(
            (host, port)
            for (name, host, port), until in self._until.items()
            if name == interface and until > now
        )

    def __iter__(self) -> Iterator[tuple[str, str, int, float]]:
        now = self._wall()
        for (name, host, port), until in self._until.items():
            if until > now:
                yield name, host.decode(), port, until

    def remember(self, interface: str, host: str, port: int, until: float) -> None:
        """What was read from the file. A clock that is not right yet, as that of a machine which
        begins in 1970, does not make it shorter.
        """
        self._until[interface, host.encode(), port] = until


class FormerFile:
    """Where they are kept; ``path`` None keeps nothing."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._written = 0
        self._failed = False

    def read(self, former: Former) -> None:
        """What a process before this one has left. A file that cannot be used is told of."""
        if self._path is None:
            return
        try:
            with self._path.open("rb") as file:
                data = file.read(LARGEST + 1)
            kept = _File.model_validate_json(data if len(data) <= LARGEST else b"")
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            said = "damaged" if isinstance(error, ValidationError) else error.strerror
            log.warning(
                "%s is not read (%s): dialogs from before a change of the public address may end",
                self._path,
                said,
            )
            return
        for one in kept.former[-MOST:]:
            former.remember(one.interface, one.host, one.port, one.until)

    async def write(self, former: Former) -> None:
        """Keep them, if there are others than those that were kept last."""
        if self._path is None or former.changes == self._written:
            return
        changes = former.changes
        text = json.dumps(
            {
                "former": [
                    {"interface": name, "host": host, "port": port, "until": until}
                    for name, host, port, until in former
                ]
            },
            indent=1,
        )
        try:
            await trio.to_thread.run_sync(_put, self._path, text.encode())
        except OSError as error:
            if not self._failed:
                log.warning(
                    "cannot keep former public addresses in %s (%s)", self._path, error.strerror
                )
            self._failed = True
        else:
            self._written, self._failed = changes, False


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, data)
