"""Files that only their owner can read: what people write to each other may be in them."""

from __future__ import annotations

import os
import stat
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def begun(path: Path) -> IO[bytes]:
    """The file, empty and open for writing; one that was there is for its owner only from now on.
    Raises OSError.
    """
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb")
    try:
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # and no pipe, and no terminal
            os.fchmod(file.fileno(), 0o600)
            file.truncate()
    except OSError:
        file.close()
        raise
    return file


def write(path: Path, data: bytes) -> None:
    """The whole file at once. Raises OSError."""
    with begun(path) as file:
        file.write(data)
