"""From an old file to a compressed one: ``NAME-2026-11-25.000017.log.gz``."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sipx_log_rotation.calendar import day_of

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

MODE: Final = 0o640
_OLD: Final = re.compile(r"(.+)\.(\d{6,})\.log\Z")


class Archive:
    """A directory of compressed files; of each log the newest ``keep`` stay."""

    def __init__(self, directory: Path, keep: int, zone: tzinfo | None = None) -> None:
        self.directory = directory
        self._keep = keep
        self._zone = zone

    def take(self, path: Path) -> None:
        """Compress ``path`` and delete it. Raises OSError; then it is still there.

        The day in the name is the one on which the last line was written.
        """
        found = _OLD.match(path.name)
        assert found is not None
        name, number = found[1], found[2]
        self.directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        written = path.stat()
        day = day_of(written.st_mtime, self._zone).isoformat()
        part = self.directory / f".{path.name}.part"
        try:
            with path.open("rb") as source:
                fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, MODE)
                with os.fdopen(fd, "wb") as target:
                    with gzip.GzipFile(
                        path.name, "wb", fileobj=target, mtime=written.st_mtime
                    ) as to:
                        shutil.copyfileobj(source, to, 1 << 20)
                    target.flush()
                    os.fsync(target.fileno())
            os.utime(part, (written.st_atime, written.st_mtime))
            part.rename(self._free(f"{name}-{day}.{number}"))
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        path.unlink(missing_ok=True)
        for old in self.files(name)[self._keep :]:
            old.unlink(missing_ok=True)

    def _free(self, stem: str) -> Path:
        """A name that nobody has: numbers begin anew when all files have gone."""
        path = self.directory / f"{stem}.log.gz"
        again = 1
        while path.exists():
            again += 1
            path = self.directory / f"{stem}-{again}.log.gz"
        return path

    def files(self, name: str) -> list[Path]:
        """The compressed files of a log, the newest first."""
        pattern = re.compile(
            rf"{re.escape(name)}-(\d{{4}}-\d\d-\d\d)\.(\d{{6,}})(?:-(\d+))?\.log\.gz\Z"
        )
        try:
            names = [path.name for path in self.directory.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [
            (m[1], int(m[3] or 1), int(m[2]), each) for each in names if (m := pattern.match(each))
        ]
        return [self.directory / each for *_, each in sorted(found, reverse=True)]
