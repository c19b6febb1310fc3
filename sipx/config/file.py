"""The configuration file on the disk: read, changed by one at a time, and what it was before.

Before anything is written the text is parsed, written out again and compared, and checked as a
configuration. It takes the place of the old one in one step, or not at all.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.config.document import Document, etag_of
from sipx.config.history import History, Version
from sipx.config.load import Settings, check
from sipx.errors import SipxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sipx.registry import Registry

BY_HAND: Final = "changed without sipx"
FOUND: Final = "as it was found"
_PATIENCE: Final = 100
"""How often the file is tried to be had for oneself, 20 ms apart."""


class ConflictError(SipxError):
    """The file is not the one that the change was made for."""


class Undo(NamedTuple):
    """A document that goes back, what it does in words, and the version for ``write``."""

    document: Document
    said: str
    restored: int | None


class ConfigFile:
    """A configuration file and its history. ``author`` is who changes it, for the history."""

    def __init__(
        self,
        path: Path,
        state_dir: Path,
        registry: Registry,
        author: str,
        *,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.path = path
        self.unkept = ""
        """Why the last change is not in the history, if it is not."""
        self._target = Path(os.path.realpath(path))
        self._history = History(self._target, state_dir)
        self._registry = registry
        self._author = author
        self._now = now
        self._pause = pause
        self._checked: tuple[str, Settings] | None = None

    def read(self) -> Document:
        """The file as it is now. Raises ConfigError."""
        return Document.read(self.path)

    def check(self, document: Document) -> Settings:
        """The settings of a document that may be written. Raises ConfigError with all problems.

        What only the service can see (its environment, its credentials) is left to the service.
        The same text is not checked again.
        """
        if self._checked is not None and self._checked[0] == document.text:
            return self._checked[1]
        settings = check(document, self._registry, elsewhere=True)
        self._checked = (document.text, settings)
        return settings

    def write(self, document: Document, why: str, *, restored: int | None = None) -> Version:
        """Put a document in the place of the file. Returns the version that it is now.

        Raises ConfigError when it is no valid configuration, ConflictError when the file is no
        longer what the document was read from, OSError when it cannot be written. In all these
        cases the file is as it was.
        """
        self.check(document)
        data = document.encoded()
        with self._alone():
            now = self._target.read_bytes()
            if etag_of(now) != document.etag:
                raise ConflictError(
                    f"{self.path} has been changed by somebody else meanwhile; nothing is "
                    "written: look at it, and make your change again"
                )
            self.unkept = ""
            self._notice(now)
            if data != now:
                self._replace(data)
            return self._keep(data, why, restored)

    def history(self) -> list[Version]:
        """The versions that are kept, oldest first; a change made by hand is noticed now."""
        with contextlib.suppress(OSError), self._alone():
            self._notice(self._target.read_bytes())
        return self._history.versions()

    def version(self, number: int) -> Document:
        """The file as it was. Raises KeyError, and ConfigError where it was no TOML."""
        return Document.from_bytes(self._history.content(number), self.path)

    def undo(self, number: int | None = None) -> Undo:
        """What the file would be: the version before this one, or the one with this number.

        It is not written yet. Raises LookupError without such a version, ConfigError for one that
        was no TOML.
        """
        versions = self.history()
        document = self.read_any()
        if number is not None:
            if number not in [version.number for version in versions]:
                raise LookupError(f"version {number} is not kept")
            document.replace(self._history.content(number))
            return Undo(document, f"back to version {number}", None)
        shown, found = self._history.shown_by(versions), self._history.before(versions)
        if shown is None or found is None:
            raise LookupError("there is no version before this one")
        document.replace(self._history.content(found.number))
        return Undo(document, f"undone: {shown.why}", found.number)

    def read_any(self) -> Document:
        """The file as it is now, for somebody who replaces it: it need not be TOML."""
        return Document.replacing(self._target.read_bytes(), self.path)

    # ------------------------------------------------------------ inside

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No other sipx writes the file meanwhile. The lock is on its directory: the file itself
        is another one after each change."""
        handle = os.open(self._target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for left in range(_PATIENCE, -1, -1):
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not left:
                        raise ConflictError(
                            f"{self.path} is being changed by another program; try again"
                        ) from None
                    self._pause(0.02)
            yield
        finally:
            os.close(handle)

    def _notice(self, data: bytes) -> None:
        """Keep what is there, if it is not what was written last."""
        try:
            versions = self._history.versions()
            if versions and versions[-1].etag == etag_of(data):
                return
            changed = self._target.stat().st_mtime
            why = BY_HAND if versions else FOUND
            self._history.add(data, Version(number=0, time=changed, author="", why=why, etag=""))
        except OSError as error:
            self.unkept = f"{error.filename or self._history.directory}: {error.strerror}"

    def _keep(self, data: bytes, why: str, restored: int | None) -> Version:
        version = Version(
            number=0,
            time=self._now(),
            author=self._author,
            why=why,
            etag=etag_of(data),
            restored=restored,
        )
        try:
            return self._history.add(data, version)
        except OSError as error:
            self.unkept = f"{error.filename or self._history.directory}: {error.strerror}"
            return version

    def _replace(self, data: bytes) -> None:
        """Another content in one step; mode, owner and attributes stay.

        A file that may not be written is not replaced either, though the directory allows it.
        """
        if not os.access(self._target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self._target))
        folder = self._target.parent
        before = self._target.stat()
        handle, name = tempfile.mkstemp(prefix=f".{self._target.name}.", dir=folder)
        beside = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                made = os.fstat(file.fileno())
                if (made.st_uid, made.st_gid) != (before.st_uid, before.st_gid):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o7777)
                _copy_attributes(self._target, file.fileno())
                os.fsync(file.fileno())
            beside.replace(self._target)
        finally:
            beside.unlink(missing_ok=True)
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _copy_attributes(source: Path, handle: int) -> None:
    """Access lists and labels, as far as this file system and these rights allow."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(source):
            with contextlib.suppress(OSError):
                os.setxattr(handle, name, os.getxattr(source, name))
