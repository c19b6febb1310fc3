"""Weighted rendezvous hashing: which of several servers an address-of-record belongs to.

Every server draws a number for every key, and the highest wins. The number depends on the key and
the server's name alone (Thaler and Ravishankar, "Using name-based mappings to increase hit rates",
1998), so that nobody has to remember anything: processes agree, and so does one that was restarted.
Without a server only what was its own moves, to wherever the second highest number is; with one
more only what it wins moves. A weight multiplies ``-1/ln(u)`` of an even draw ``u`` (Schindelhauer
and Schomaker, "Weighted distributed hash tables", 2005): shares are in proportion to the weights,
and a weight that changes moves keys to or from its own server only.

Key and name are hashed once each, and mixed by the finaliser of SplitMix64 (Steele, Lea and Flood,
2014), whose every output bit depends on every input bit: a hash of both for each pair costs twice
as much.
"""

from __future__ import annotations

from hashlib import blake2b
from math import log
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")

_NAME: Final = b"sipx-server"
_KEY: Final = b"sipx-key"
_64: Final = (1 << 64) - 1
_DRAWS: Final = float(1 << 52)
"""So many different draws: each of them, and one half more, is exact as a float."""


def seed_of(name: str) -> int:
    """What a server brings into its draws; made once for each server."""
    return int.from_bytes(blake2b(name.encode(), digest_size=8, person=_NAME).digest(), "big")


def point_of(key: bytes) -> int:
    """What a key brings into the draws."""
    return int.from_bytes(blake2b(key, digest_size=8, person=_KEY).digest(), "big")


def score(seed: int, point: int, weight: float) -> float:
    """The number that a server draws for a key, above 0; ``weight`` is above 0."""
    x = seed ^ point
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _64
    x ^= x >> 31
    return -weight / log(((x >> 12) + 0.5) / _DRAWS)


def ranked(key: bytes, members: Iterable[tuple[T, int, float]]) -> list[T]:
    """Members as (item, seed, weight), the winner first; without those whose weight is 0.

    Two that drew the same number stand in the order of their seeds, not in that of ``members``.
    """
    point = point_of(key)
    drawn = [(-score(seed, point, weight), seed, item) for item, seed, weight in members if weight]
    drawn.sort(key=_by_draw)
    return [item for _, _, item in drawn]


def _by_draw(one: tuple[float, int, object]) -> tuple[float, int]:
    return one[0], one[1]
