"""Who may log on: the accounts of UC servers and users, as plugins share them.

Whoever knows passwords and certificates tells the kernel its accounts by the hook ``accounts``;
whoever knows where users are reads them there. Neither needs the other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx.sip.uri import SipUri, unescape

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.identity import Partner
    from sipx.plugin import NextHop
    from sipx.trust import SenderKind

MAX_STARS: Final = 2
"""Stars in one pattern: nobody needs more of them to tell users by."""


def address_of_record(uri: SipUri) -> bytes:
    """``user@host`` as a location service knows it (RFC 3261 §10.3 item 5): without parameters,
    without escapes, and in lower case: a registrar's name space is its own, and ``Alice`` and
    ``alice`` are one person in it. Without a user part the host alone.
    """
    if uri.user is None:
        return uri.host
    return unescape(uri.user).lower() + b"@" + uri.host


class UserSet:
    """Users by name or pattern: ``alice``, ``alice@a.example``, ``*.berlin``, ``+4930*``, ``*``.

    A pattern without ``@`` holds in each of the presence domains. ``*`` stands for any text, at
    most twice in a pattern. ``in`` takes an address-of-record. ``replace`` changes it in place:
    a list that is read again is seen by all who hold it.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        self.replace(patterns)

    def replace(self, patterns: Iterable[str] | UserSet) -> None:
        """These are the users from now on. Raises ValueError, and then nothing has changed.

        Another UserSet costs nothing: that of a long list can be made in a thread.
        """
        if isinstance(patterns, UserSet):
            vars(self).update(vars(patterns))
            return
        exact: set[bytes] = set()
        alternatives: list[str] = []
        kept = tuple(dict.fromkeys(pattern.strip().lower() for pattern in patterns))
        for pattern in kept:
            if wrong := pattern_refusal(pattern):
                raise ValueError(wrong)
            user, at, host = pattern.rpartition("@")
            name = user if at else pattern
            if "*" in pattern:
                ends = "@" + re.escape(host) if at else "@[^@]*"
                alternatives.append(_expression(name.split("*")) + ends)
            else:
                exact.add(pattern.encode())
        self.patterns = kept
        self._exact = frozenset(exact)
        self._matches = re.compile("|".join(alternatives).encode(), re.DOTALL).fullmatch
        self._has_stars = bool(alternatives)

    @property
    def names(self) -> frozenset[bytes]:
        """Those that are written out, without stars."""
        return self._exact

    def __len__(self) -> int:
        return len(self.patterns)

    def __contains__(self, aor: object) -> bool:
        if not isinstance(aor, bytes):
            return False
        if aor in self._exact:
            return True
        user = aor.rpartition(b"@")[0]
        # An escaped "@" in a user part makes it no address of another domain.
        if user in self._exact and b"@" not in user:
            return True
        return self._has_stars and self._matches(aor) is not None

    def pattern_of(self, aor: bytes) -> str:
        """The pattern that covers an address-of-record, for people; "" where none does."""
        user = aor.rpartition(b"@")[0]
        names = {aor} if b"@" in user else {aor, user}
        for pattern in self.patterns:
            if pattern.encode() in names or ("*" in pattern and aor in UserSet((pattern,))):
                return pattern
        return ""


def _expression(parts: list[str]) -> str:
    """A regular expression for the texts between stars.

    The middle of a pattern with two stars is looked for once, where it stands first: no later
    place leaves more for what follows. To try them all would be quadratic, and the names that are
    looked for come from outside (SEC-19).
    """
    first, *others = map(re.escape, parts)
    between = "".join(f"(?>.*?{part})" for part in others[:-1])
    return f"{first}{between}.*{others[-1]}"


def pattern_refusal(pattern: str) -> str:
    """Why this is no pattern for users, in words; "" if it is one."""
    if not pattern:
        return "an empty text names nobody"
    if pattern.count("*") > MAX_STARS:
        return f"'{pattern}' has more than {MAX_STARS} stars"
    if any(character.isspace() or not character.isprintable() for character in pattern):
        return f"'{pattern}' has a space or a control character in it"
    if pattern.count("@") > 1 or pattern.startswith("@") or pattern.endswith("@"):
        return f"'{pattern}' is no user@domain"
    if "*" in pattern.rpartition("@")[2] and "@" in pattern:
        return f"'{pattern}' has a star in its domain; leave the domain out for all of yours"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Account:
    """Somebody who may log on.

    ``name`` is that of its Sender and of the Targets that lead to it. ``kind`` is UC_SERVER, or
    USER for somebody who logs on alone. ``users`` are whom it may register and speak for, and
    whose requests it is given; None: everybody in the presence domains. ``logon`` is the user
    name it logs on with: a REGISTER for that name is the logon of the server itself.
    """

    name: str
    kind: SenderKind
    users: UserSet | None = None
    logon: bytes = b""
    weight: int = 1
    """Its share of the users that several servers may serve; 0: none."""
    max_users: int | None = None
    hop: NextHop | None = None
    """Where sipx connects to it by itself; None: it comes to us."""
    partner: Partner | None = None
    """What proves over TLS that it is this one."""

    def may_serve(self, aor: bytes) -> bool:
        """Whether this address-of-record is one of its users."""
        return self.users is None or aor in self.users
