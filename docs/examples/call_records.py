"""A plugin that writes one line for each request: an observer, and a service that may wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from sipx import Config, DirectoryPath, Proxy, Service, TransactionRecord, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable


class CallRecordsConfig(Config):
    """The TOML table [call-records]."""

    directory: DirectoryPath
    """Where the file `requests.log` is written."""
    queue: int = 1000
    """Records that may wait to be written; more are counted and lost."""


class CallRecords:
    """Append a line for each finished request to a file."""

    Config = CallRecordsConfig

    def __init__(self, config: CallRecordsConfig, proxy: Proxy) -> None:
        self._path = config.directory / "requests.log"
        self._put, self._take = trio.open_memory_channel[TransactionRecord](config.queue)
        self.lost = 0

    @hookimpl
    def transaction_ended(self, record: TransactionRecord) -> None:
        """Hot: only put it into the queue."""
        try:
            self._put.send_nowait(record)
        except trio.WouldBlock:
            self.lost += 1

    @hookimpl
    def services(self) -> Iterable[Service]:
        """The task that writes."""
        return [self.write_records]

    async def write_records(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Append lines until the proxy stops; restarted by the kernel when it fails."""
        async with await trio.open_file(self._path, "ab") as file:
            task_status.started()
            async for record in self._take:
                seconds = record.ended - record.started
                line = b"%b %b %d %.3f\n" % (record.method, record.uri, record.status, seconds)
                await file.write(line)
                await file.flush()
