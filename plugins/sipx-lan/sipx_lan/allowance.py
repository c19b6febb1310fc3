"""How many answers somebody may cause who has not proven anything (docs/trust.md, row 22)."""

from __future__ import annotations

import secrets
from array import array
from hashlib import blake2b
from ipaddress import IPv6Address
from math import inf
from typing import Final

from sipx import parse_address

BUCKETS: Final = 16384
"""Two numbers of 8 bytes each: 256 KiB."""


class Allowance:
    """Buckets of tokens for networks: ``burst`` at once, ``rate`` more each second.

    For datagrams: their source may be forged, and whoever is there would get the answers. So it is
    the network of a source that counts, an IPv4 /24 or an IPv6 /64: spread over the addresses
    of one link the answers would hurt it as much.

    A network always has the same bucket, chosen by a hash whose ``key`` nobody knows. Nothing is
    ever put out to make room, so no number of forged sources fills a bucket again: a table of the
    sources seen last would begin with a new burst whenever one comes back that was put out,
    and a bucket for all besides would let whoever empties it silence everybody. The price is that
    networks may share a bucket, each two with a chance of 1 in ``BUCKETS``.
    """

    def __init__(
        self, rate: float = 20.0, burst: float = 200.0, *, key: bytes | None = None
    ) -> None:
        self._rate, self._burst = rate, burst
        self._key = secrets.token_bytes(16) if key is None else key
        self._left = array("d", [burst]) * BUCKETS
        self._since = array("d", [-inf]) * BUCKETS

    def spend(self, source: str, now: float) -> bool:
        """Whether an address may be answered once more; ``now`` in seconds."""
        bucket = self._bucket(source)
        left = min(self._burst, self._left[bucket] + (now - self._since[bucket]) * self._rate)
        allowed = left >= 1.0
        self._left[bucket] = left - 1.0 if allowed else left
        self._since[bucket] = now
        return allowed

    def _bucket(self, source: str) -> int:
        digest = blake2b(network_of(source), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) % BUCKETS


def network_of(address: str) -> bytes:
    """The /24 of an IPv4 address in 3 bytes, the /64 of an IPv6 address in 8; else the text."""
    parsed = parse_address(address.partition("%")[0])
    if parsed is None:
        return address.encode()
    return parsed.packed[: 8 if isinstance(parsed, IPv6Address) else 3]
