"""What ``sipx check registrar`` finds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sipx import Finding, Severity
from sipx_registrar.sqlite import FILE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import Proxy
    from sipx_registrar.config import RegistrarConfig


def findings(config: RegistrarConfig, proxy: Proxy) -> Iterator[Finding]:
    """Of the configuration, and of what is on the disk."""
    if config.store == "memory":
        yield Finding(
            "SIPX-G001",
            Severity.WARNING,
            "registrations do not outlive a restart of sipx: users are not reachable until their "
            "clients and servers have registered again",
            'store = "sqlite"',
        )
    else:
        yield from _file(proxy)
    if config.moved == "replace":
        yield Finding(
            "SIPX-G004",
            Severity.WARNING,
            'moved = "replace": a UC server can take over the users of another one that is up',
            'moved = "refuse", unless users move between servers while both run',
        )
    if config.max_expires > 7 * 86400:
        yield Finding(
            "SIPX-G005",
            Severity.WARNING,
            "max_expires is more than a week: who has gone for good is kept for so long",
            'max_expires = "24h"',
        )


def _file(proxy: Proxy) -> Iterator[Finding]:
    try:
        directory = proxy.state_dir
    except OSError as error:
        yield _not_writable(error.strerror or str(error))
        return
    path = directory / FILE
    there = directory
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        yield _not_writable(f"{there} is no directory")
    elif not os.access(there, os.W_OK | os.X_OK) or (
        path.exists() and not os.access(path, os.R_OK | os.W_OK)
    ):
        yield _not_writable(f"{there} is not writable for this account")
    for damaged in sorted(directory.glob(f"{FILE}.damaged-*[0-9]")):
        yield Finding(
            "SIPX-G003",
            Severity.WARNING,
            f"the file of registrations was damaged once: {damaged}",
            "look after the disk, then delete that file",
        )


def _not_writable(why: str) -> Finding:
    return Finding(
        "SIPX-G002",
        Severity.FAILURE,
        f"registrations cannot be stored: {why}",
        "let the account of the service own the state directory (service.state_dir)",
    )
