"""Certificates and keys on the disk: what files may be called, and how they are written."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

RESERVED: Final = "ca"
"""The stem of the private authority's own files."""
FOLDER: Final = "tls"
"""Where files go, beside the configuration file."""


class Written(NamedTuple):
    """A file to be written; ``secret`` ones only their owner can read."""

    path: Path
    data: bytes
    secret: bool = False


def stem_problem(stem: str) -> str:
    """Why files cannot be called so: no path, and not like the authority's. "" if they can."""
    if not stem.strip(". ") or any(c in "/\\" or not c.isprintable() for c in stem):
        return (
            f"'{stem}' is no name for a file: it goes into a folder and has no separators of a path"
        )
    if stem.lower() == RESERVED:
        return f"'{stem}' is reserved for ca.crt and ca.key of the private authority"
    return ""


def replace_all(*files: Written) -> None:
    """Write all files or none, each in the place of what is there. Raises OSError, which names the
    file.
    """
    fresh: list[tuple[Path, Path]] = []
    try:
        for one in files:
            with _named(one.path):
                fresh.append((_fresh(one), one.path))
        for new, path in fresh:
            with _named(path):
                new.replace(path)
    finally:
        for new, _ in fresh:
            with contextlib.suppress(OSError):
                new.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _fresh(one: Written) -> Path:
    """The new file beside the one whose place it takes, for the same owner."""
    fresh = one.path.with_name(one.path.name + ".new")
    fresh.unlink(missing_ok=True)
    opener: Callable[[str, int], int] = lambda name, flags: os.open(  # noqa: E731  # open() wants it
        name, flags, 0o600 if one.secret else 0o644
    )
    with open(fresh, "xb", opener=opener) as file:
        file.write(one.data)
        if one.path.exists():
            before = one.path.stat()
            with contextlib.suppress(PermissionError):
                os.fchown(file.fileno(), before.st_uid, before.st_gid)
    return fresh
