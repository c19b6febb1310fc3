"""Domains as they are compared, and tables and sets of domain patterns (SEC-21).

Every domain that a decision rests on is brought into one canonical form first, the one that
``SipUri.host`` has: lower case, no dot at the end, A-labels (RFC 5890), IP addresses without
brackets. A pattern is a domain, ``*.lab.example`` (every domain below it at any depth, not
``lab.example`` itself) or ``*`` (every domain). The most specific pattern wins. An IP address is
matched only by itself: whoever may speak for every domain may not speak for an address.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import idna

from sipx.sip.errors import RemoteError
from sipx.sip.uri import canonical_host, canonical_ipv6, is_ip_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

T = TypeVar("T")

MAX_DOMAIN: Final = 253
"""Octets of the longest domain name (RFC 1035 §2.3.4, without the root's dot)."""

_MAX_TEXT: Final = 1024
_LABEL: Final = re.compile(rb"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


def canonical_domain(text: str | bytes) -> bytes:
    """The one spelling of a domain or IP address by which domains are compared.

    Lower case, one trailing dot taken off, internationalised names as A-labels, IPv6 without
    brackets in the form of RFC 5952. Raises ValueError, with words for people, for all else:
    ports, users, escapes, stars, empty or overlong labels.
    """
    shown = repr(text.decode("latin-1") if isinstance(text, bytes) else text)
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{shown[:40]}… is too long for a domain name")
    try:
        name = text.encode("ascii") if isinstance(text, str) else text
        name.decode("ascii")
    except UnicodeEncodeError:
        name = _a_labels(str(text), shown)
    except UnicodeDecodeError:
        raise ValueError(f"{shown} is not ASCII: write the A-labels (xn--…)") from None
    if b":" in name:
        return _ipv6(name, shown)
    name = name.removesuffix(b".").lower()
    if len(name) > MAX_DOMAIN:
        raise ValueError(f"{shown[:40]}… is longer than {MAX_DOMAIN} characters")
    for label in name.split(b"."):
        if _LABEL.fullmatch(label) is None:
            raise ValueError(f"{shown} is not a domain name: {_wrong_label(label)}")
    try:
        return canonical_host(name)
    except RemoteError:
        raise ValueError(f"{shown} is neither a domain name nor an IP address") from None


def _a_labels(text: str, shown: str) -> bytes:
    """IDNA 2008: that of 2003 takes some letters for others, "straße" for "strasse"."""
    try:
        return idna.encode(text.removesuffix("."), uts46=True)
    except idna.IDNAError as error:
        raise ValueError(f"{shown} is not an internationalised domain name: {error}") from None


def _ipv6(name: bytes, shown: str) -> bytes:
    bare = name[1:-1] if name.startswith(b"[") and name.endswith(b"]") else name
    try:
        return canonical_ipv6(bare)
    except RemoteError:
        raise ValueError(
            f"{shown} is neither a domain name nor an IPv6 address; "
            "a port or a scheme does not belong to it"
        ) from None


def _wrong_label(label: bytes) -> str:
    if not label:
        return "there is nothing between two dots"
    if len(label) > 63:
        return "a part between dots is longer than 63 characters"
    return f"{label.decode()!r} has other characters than letters, digits and inner hyphens"


def canonical_pattern(text: str | bytes) -> bytes:
    """A pattern in canonical form: ``*``, ``*.`` and a domain, or a domain or IP address.

    Raises ValueError, with words for people.
    """
    start = text[:2] if isinstance(text, bytes) else text[:2].encode("utf-8", "replace")
    if start == b"*":
        return b"*"
    if start != b"*.":
        return canonical_domain(text)
    domain = canonical_domain(text[2:])
    if is_ip_address(domain):
        raise ValueError(f"{text!r}: there are no domains below an IP address")
    return b"*." + domain


class DomainTable(Generic[T]):
    """A value for each of several domain patterns; values are anything but None.

    Immutable. Raises ValueError for a malformed pattern and for two spellings of one pattern.
    """

    __slots__ = ("_any", "_below", "_exact", "_patterns")

    def __init__(self, values: Mapping[str, T] | Mapping[bytes, T]) -> None:
        self._exact: dict[bytes, T] = {}
        self._below: dict[bytes, T] = {}
        self._any: T | None = None
        self._patterns: dict[bytes, T] = {}
        for text, value in values.items():
            pattern = canonical_pattern(text)
            if pattern in self._patterns:
                raise ValueError(f"{text!r} is there twice, in two spellings")
            self._patterns[pattern] = value
            if pattern == b"*":
                self._any = value
            elif pattern.startswith(b"*."):
                self._below[pattern[2:]] = value
            else:
                self._exact[pattern] = value

    def match(self, domain: bytes) -> T | None:
        """The value of the most specific pattern that covers ``domain`` (canonical), or None."""
        found = self._exact.get(domain)
        if found is not None or not (self._below or self._any is not None):
            return found
        # What is longer than a domain name can be is none: the walk ends after 127 labels.
        if not domain or len(domain) > MAX_DOMAIN or is_ip_address(domain):
            return None
        if self._below:
            below = self._below
            dot = domain.find(b".")
            while dot >= 0:
                found = below.get(domain[dot + 1 :])
                if found is not None:
                    return found
                dot = domain.find(b".", dot + 1)
        return self._any

    def items(self) -> Iterable[tuple[bytes, T]]:
        """The canonical patterns with their values, in the order they were given."""
        return self._patterns.items()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._patterns)

    def __len__(self) -> int:
        return len(self._patterns)


class DomainSet:
    """A set of domains given by patterns; ``domain in it`` wants the canonical form.

    Immutable. Iteration yields the canonical patterns. A pattern may be given twice. Raises
    ValueError for a malformed pattern.
    """

    __slots__ = ("_table",)

    def __init__(self, patterns: Iterable[str | bytes] = ()) -> None:
        self._table: DomainTable[bytes] = DomainTable(
            {pattern: pattern for pattern in map(canonical_pattern, patterns)}
        )

    def __contains__(self, domain: object) -> bool:
        return isinstance(domain, bytes) and self._table.match(domain) is not None

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._table)

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"DomainSet({[pattern.decode() for pattern in self]})"
