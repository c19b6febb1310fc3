"""Nonces of a digest server: self-proving, and good for each nonce-count once (RFC 7616 §3.4).

A nonce says when it was made and carries an HMAC over that, the realm and the class of senders
it is for. So any node that has the key can check it, nothing is stored per challenge, and what
is remembered, the counts used, is remembered only for senders that knew the secret.
"""

from __future__ import annotations

import hmac
import re
from typing import Final

_NONCE: Final = re.compile(rb"([0-9a-f]{24})([0-9a-f]{32})")


def make_nonce(now: int, key: bytes, realm: bytes, source: bytes, unique: int) -> bytes:
    """A nonce that any holder of ``key`` can check without having stored it.

    ``now`` is in whole seconds of the server's clock; ``source`` is the class of senders it is
    for (an interface, an address, an account group) and is not readable from it; ``unique`` is a
    random number or a counter below 2**64, so that no two clients count on the same nonce.
    """
    head = b"%08x%016x" % (now & 0xFFFFFFFF, unique & 0xFFFFFFFFFFFFFFFF)
    return head + _nonce_mac(head, key, realm, source)


def check_nonce(
    nonce: bytes, now: int, lifetime: int, key: bytes, realm: bytes, source: bytes
) -> bool:
    """Whether a nonce is ours, for this realm and source, and at most ``lifetime`` seconds old.

    One from the future is honest too (its MAC says so): made by a node whose clock is ahead.
    """
    match = _NONCE.fullmatch(nonce)
    if match is None:
        return False
    ours = hmac.compare_digest(_nonce_mac(match[1], key, realm, source), match[2])
    return ours and abs((now & 0xFFFFFFFF) - _made_at(nonce)) <= lifetime


def _nonce_mac(head: bytes, key: bytes, realm: bytes, source: bytes) -> bytes:
    # The length makes the border between realm and source part of what is signed.
    text = b"%b %d %b %b" % (head, len(realm), realm, source)
    return hmac.digest(key, text, "sha256")[:16].hex().encode()


def _made_at(nonce: bytes) -> int:
    return int(nonce[:8], 16)


class NonceCounts:
    """Refuses a nonce-count that was used before (RFC 7616 §3.4, ``nc``), in bounded memory.

    Counts may arrive out of order, within ``WINDOW`` of the highest. At most ``size`` nonces are
    remembered; when one must be forgotten, every unknown nonce made no later than it is refused
    from then on: the client then gets a new nonce, and a replay gets nothing.
    Only for nonces that `check_nonce` accepted, from senders that proved themselves.
    """

    WINDOW: Final = 128

    __slots__ = ("_forgotten", "_seen", "_size")

    def __init__(self, size: int = 65536) -> None:
        self._size = size
        self._seen: dict[bytes, tuple[int, int]] = {}
        self._forgotten = -1

    def __len__(self) -> int:
        return len(self._seen)

    def accept(self, nonce: bytes, count: int) -> bool:
        """True once for each nonce and count, and remembered; False for a replay."""
        known = self._seen.get(nonce)
        if known is None:
            if count < 1 or _made_at(nonce) <= self._forgotten:
                return False
            if len(self._seen) >= self._size:
                oldest = next(iter(self._seen))
                del self._seen[oldest]
                self._forgotten = max(self._forgotten, _made_at(oldest))
            self._seen[nonce] = (count, 1)
            return True
        highest, used = known
        if count > highest:
            step = min(count - highest, self.WINDOW)
            self._seen[nonce] = (count, (used << step | 1) & ((1 << self.WINDOW) - 1))
            return True
        bit = 1 << (highest - count) if highest - count < self.WINDOW else 0
        if count < 1 or not bit or used & bit:
            return False
        self._seen[nonce] = (highest, used | bit)
        return True
