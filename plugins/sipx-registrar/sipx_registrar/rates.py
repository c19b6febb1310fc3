"""How many REGISTERs an account may send: a bucket of tokens for each (REG-4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

BURST: Final = 10
"""Seconds' worth of requests that may come at once: a server that starts registers all users."""


class Rates:
    """``rate`` requests per second and account; ``now`` is the kernel's clock.

    There is one bucket for each account that has ever registered, and those are configured.
    """

    def __init__(self, rate: float, now: Callable[[], float]) -> None:
        self._rate = rate
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}
        """Tokens that are left, and when that was so."""

    def admits(self, account: str) -> bool:
        """Take a token; False where there is none."""
        now = self._now()
        full = self._rate * BURST
        left, then = self._buckets.get(account, (full, now))
        left = min(full, left + (now - then) * self._rate)
        admitted = left >= 1
        self._buckets[account] = (left - 1 if admitted else left, now)
        return admitted
