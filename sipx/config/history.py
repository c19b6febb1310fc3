"""The last versions of a configuration file, with when, by whom and why, in the state directory.

A version is the file as it was after a change. Each is two files that only their owner can read,
since a configuration may hold secrets: ``000012.toml``, and ``000012.json`` about it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from sipx.config.document import etag_of

if TYPE_CHECKING:
    from pathlib import Path

KEPT: Final = 20
FOLDER: Final = "config-history"
_NUMBER: Final = re.compile(r"(\d{6,})\.json\Z")


class Version(BaseModel):
    """The file after one change. ``etag`` tells its content from any other.

    ``restored`` is the version that an undo went back to.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    time: float
    author: str
    why: str
    etag: str
    restored: int | None = None


class History:
    """The versions of one file. Methods raise OSError where the directory cannot be used."""

    def __init__(self, path: Path, state_dir: Path) -> None:
        place = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        self.directory = state_dir / FOLDER / f"{path.stem}-{place}"

    def versions(self) -> list[Version]:
        """All that are kept, oldest first. What is damaged is left out."""
        found: list[Version] = []
        try:
            names = [path.name for path in self.directory.iterdir()]
        except FileNotFoundError:
            return []
        for name in sorted(names, key=lambda name: (len(name), name)):
            if not _NUMBER.match(name):
                continue
            try:
                found.append(Version.model_validate_json((self.directory / name).read_bytes()))
            except (OSError, ValidationError):
                continue
        return found

    def content(self, number: int) -> bytes:
        """The file in a version. Raises KeyError."""
        try:
            return (self.directory / f"{number:06}.toml").read_bytes()
        except FileNotFoundError:
            raise KeyError(number) from None

    def add(self, data: bytes, version: Version) -> Version:
        """Keep a version under the next number, and forget those beyond the last 20."""
        self._make()
        before = self.versions()
        number = before[-1].number + 1 if before else 1
        version = version.model_copy(update={"number": number, "etag": etag_of(data)})
        self._write(f"{number:06}.toml", data)
        self._write(f"{number:06}.json", version.model_dump_json().encode() + b"\n")
        for old in [*before, version][:-KEPT]:
            for suffix in ("json", "toml"):
                with contextlib.suppress(FileNotFoundError):
                    (self.directory / f"{old.number:06}.{suffix}").unlink()
        return version

    @staticmethod
    def shown_by(versions: list[Version]) -> Version | None:
        """The version whose content the file has now: an undo stands for what it went back to."""
        kept = {version.number: version for version in versions}
        found = versions[-1] if versions else None
        while found is not None and found.restored is not None:
            found = kept.get(found.restored)
        return found

    @classmethod
    def before(cls, versions: list[Version]) -> Version | None:
        """What an undo goes back to: the version before the one that the file shows.

        So undoing again goes further back. None when there is none.
        """
        shown = cls.shown_by(versions)
        rest = versions
        while shown is not None:
            rest = rest[: rest.index(shown)]
            if not rest:
                return None
            if rest[-1].etag != versions[-1].etag:
                return rest[-1]
            shown = cls.shown_by(rest)
        return None

    def _make(self) -> None:
        self.directory.parent.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self.directory.parent, self.directory):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)
                self._give(folder)

    def _give(self, path: Path) -> None:
        """What root makes belongs to the account of the service, which the state belongs to."""
        if os.geteuid() == 0:
            owner = self.directory.parent.parent.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    def _write(self, name: str, data: bytes) -> None:
        """The whole file or nothing, for its owner alone."""
        beside = self.directory / f".{name}.{os.getpid()}"
        handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._give(beside)
            beside.replace(self.directory / name)
        finally:
            beside.unlink(missing_ok=True)
