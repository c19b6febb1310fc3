"""Files that only their owner can read: what people write to each other may be in them."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def begun(path: Path) -> IO[bytes]:
    """The file, empty and open for writing. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def write(path: Path, data: bytes) -> None:
    """The whole file at once. Raises OSError."""
    with begun(path) as file:
        file.write(data)
