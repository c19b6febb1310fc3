"""Refuse requests from the domains listed in a file that the operator edits live."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import trio
from pydantic import Field

from sipx import Config, DomainSet, Duration, FilePath, Proxy, Service, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.sip import Request, Response


class BlocklistConfig(Config):
    """The TOML table [blocklist]."""

    path: FilePath
    """A file with one domain on each line; `*.example.com` covers what is below it."""

    reload: Annotated[Duration, Field(gt=0)] = 60.0
    """How often the file is read again."""


class Blocklist:
    """Refuse requests from the domains in a file."""

    Config = BlocklistConfig

    def __init__(self, config: BlocklistConfig, proxy: Proxy) -> None:
        self._config = config
        self._log = proxy.log
        self._domains = DomainSet()

    @hookimpl
    def validate_request(self, request: Request) -> Response | None:
        """403 for a listed domain; None lets everything else on."""
        if request.from_domain in self._domains:
            return request.reply(403)
        return None

    @hookimpl
    def services(self) -> Iterable[Service]:
        """One task that reads the file."""
        return [self.watch]

    async def watch(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Read the list before the first request is taken, then every `reload` seconds."""
        self._read()
        task_status.started()
        while True:
            await trio.sleep(self._config.reload)
            try:
                self._read()
            except (OSError, ValueError) as error:
                self._log.warning("%s: %s; the old list stays", self._config.path, error)

    def _read(self) -> None:
        self._domains = DomainSet(self._config.path.read_text().split())
