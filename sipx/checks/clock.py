"""The area clock of ``sipx check``: dates of certificates and nonces need a clock that is right."""

from __future__ import annotations

import ctypes
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from sipx.config.model import SECURE
from sipx.plugin import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx.config.load import Settings

RELEASED: Final = datetime(2026, 11, 1, tzinfo=UTC)
"""No clock that is right can be before this version of sipx was made."""
AHEAD: Final = 60.0
"""Seconds by which a file may have been changed in the future: clocks of file servers differ."""
_UNSYNCHRONISED: Final = 0x0040
"""STA_UNSYNC of adjtimex(2)."""


class Kept(NamedTuple):
    """What keeps the clock: whether anything does, and the error it may have, in seconds."""

    synchronised: bool
    error: float


class _Timex(ctypes.Structure):
    """``struct timex`` of Linux, as far as it is read; the rest is room for the system."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 200),
    )


def clock_findings(settings: Settings, now: float | None = None) -> Iterator[Finding]:
    """Whether the clock is kept by somebody, and whether it can be right at all."""
    now = time.time() if now is None else now
    config = settings.kernel
    secured = bool(config.certificate) or any(
        table.enabled and table.protocol in SECURE for table in config.interface.values()
    )
    yield from _impossible(settings, now)
    kept = kept_by()
    said = f"the clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    if kept is None:
        text = f"{said}; whether anything keeps it right, this system does not tell"
        yield Finding("SIPX-K004", Severity.OK, text)
    elif kept.synchronised:
        text = f"{said}, and is kept right (NTP), within {1000 * kept.error:.0f} ms"
        yield Finding("SIPX-K001", Severity.OK, text)
    else:
        # Without TLS no date is compared with it.
        yield Finding(
            "SIPX-K002",
            Severity.WARNING if secured else Severity.OK,
            f"{said}, and nothing keeps it right: one that runs off lets certificates expire early",
            "install chrony or systemd-timesyncd, or let the host of this machine keep it",
        )


def _impossible(settings: Settings, now: float) -> Iterator[Finding]:
    if now < RELEASED.timestamp():
        yield Finding(
            "SIPX-K003",
            Severity.FAILURE,
            f"the clock says {datetime.fromtimestamp(now, UTC):%Y-%m-%d}, and sipx is younger",
            "set the clock, and let NTP keep it",
        )
    try:
        changed = settings.path.stat().st_mtime
    except OSError:
        return  # it was there to be read a moment ago
    if changed > now + AHEAD:
        yield Finding(
            "SIPX-K003",
            Severity.FAILURE,
            f"{settings.path} was changed on {datetime.fromtimestamp(changed, UTC):%Y-%m-%d %H:%M} "
            "UTC, which is in the future: the clock has gone back",
            "set the clock, and let NTP keep it",
        )


def kept_by() -> Kept | None:
    """What the system knows of its clock; None where it does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    asked = _Timex()  # modes 0 changes nothing, and needs no right
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(asked))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    return Kept(not asked.status & _UNSYNCHRONISED, asked.maxerror / 1e6)
