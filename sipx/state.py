"""What survives a restart: where it is kept, and the key that signs Record-Route cookies."""

from __future__ import annotations

import logging
import os
import secrets
import tempfile
from pathlib import Path
from typing import Final

log = logging.getLogger("sipx.kernel")

KEY_FILE: Final = "cookie.key"
KEY_BYTES: Final = 32


def state_directory(configured: Path | None) -> Path:
    """``service.state_dir``; else what systemd gives (StateDirectory=), else /var/lib/sipx for
    root and the XDG state directory for others.
    """
    if configured is not None:
        return configured
    given = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    if given:
        return Path(given)
    if os.geteuid() == 0:
        return Path("/var/lib/sipx")
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
    return Path(base) / "sipx"


def cookie_keys(directory: Path) -> list[bytes]:
    """The keys for Record-Route cookies, newest first; made on first use, mode 0600.

    Without a directory that can be written, dialogs do not outlive this process; that is said in
    the log and nothing else fails.
    """
    path = directory / KEY_FILE
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if path.exists():
            keys = [bytes.fromhex(line) for line in path.read_text().split()]
            if keys and all(len(key) >= 16 for key in keys):
                return keys
            log.warning("%s is damaged; a new key is made", path)
        key = secrets.token_bytes(KEY_BYTES)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(key.hex() + "\n")
    except (OSError, ValueError) as error:
        log.warning(
            "cannot keep the key of Record-Route cookies (%s); dialogs will not survive a restart",
            error,
        )
        return [secrets.token_bytes(KEY_BYTES)]
    return [key]


def replace_file(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of what was there, whole or not at all; mode 0600.

    Raises OSError.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    beside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
