"""The table [log-rotation]."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from sipx import Config, LocalPath, Size


class LogRotationConfig(Config):
    """The TOML table [log-rotation]."""

    directory: LocalPath | None = None
    """Where log files are written; without it the system's usual place."""

    max_size: Annotated[Size, Field(ge=1024)] = 20_000_000
    """When a file would become larger, a new one is begun."""

    keep: Annotated[int, Field(ge=0, le=100_000)] = 10
    """Old files that are kept beside the one being written."""

    delete_daily: bool = False
    """Delete all log files each day, at midnight by the machine's local time."""

    archive: LocalPath | None = None
    """With delete_daily: a directory that files are compressed into before they are deleted."""

    archive_keep: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    """Compressed files of each kind that are kept in the archive."""

    format: Literal["json", "text"] = "json"
    """How lines look: "json" for machines, "text" for people."""

    transactions: bool = False
    """Write a line for each finished request into a file of its own (RFC 6872)."""


def directory_of(config: LogRotationConfig) -> Path:
    """The configured directory; else what systemd gives (LogsDirectory=), else /var/log/sipx for
    root and ``log`` in the XDG state directory for others.
    """
    if config.directory is not None:
        return config.directory
    given = os.environ.get("LOGS_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/log/sipx")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "sipx/log"
