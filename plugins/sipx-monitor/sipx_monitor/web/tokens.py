"""Tokens for programs that use the HTTP API: kept hashed, with a name, a role and an end."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import trio

from sipx import replace_file
from sipx_monitor.web.sessions import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipx_monitor.config import Role

FILE: Final = "tokens.json"
MARK: Final = "sipx_"
"""What every token begins with, so that one is found where it has no business."""
MOST: Final = 100


class TokenError(ValueError):
    """What is wrong, and what to do."""


@dataclass(frozen=True, slots=True)
class Token:
    """One of them. Times are seconds since 1970; ``expires`` None: never."""

    name: str
    role: Role
    hash: str
    created: float
    created_by: str
    expires: float | None


class Tokens:
    """All of them; they are written in a thread."""

    def __init__(self, directory: Callable[[], Path], wall: Callable[[], float]) -> None:
        self._directory = directory
        self._wall = wall
        self._by_hash: dict[str, Token] = {}
        self._writing = trio.Lock()

    def read(self) -> None:
        """Read what is kept: a small file, once at the start. Raises OSError, ValueError."""
        try:
            data = json.loads((self._directory() / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        try:
            found = [Token(**one) for one in data["tokens"]]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{FILE} is not what was written here: {error}") from error
        self._by_hash = {token.hash: token for token in found}

    def all(self) -> list[Token]:
        """Those that work, by name."""
        now = self._wall()
        return sorted(
            (t for t in self._by_hash.values() if t.expires is None or t.expires > now),
            key=lambda token: token.name,
        )

    def find(self, text: str) -> Token | None:
        """The token that somebody shows."""
        found = self._by_hash.get(digest(text)) if text.startswith(MARK) else None
        if found is None or (found.expires is not None and found.expires <= self._wall()):
            return None
        return found

    async def create(self, name: str, role: Role, by: str, lasting: float | None) -> str:
        """Make one; this is the only time that it is seen. Raises OSError, TokenError."""
        async with self._writing:
            kept = self.all()
            if any(token.name == name for token in kept):
                raise TokenError(
                    f"there is a token {name!r} already; revoke it, or take another name"
                )
            if len(kept) >= MOST:
                raise TokenError(f"there are {MOST} tokens already; revoke some")
            text = MARK + secrets.token_urlsafe(32)
            now = self._wall()
            expires = None if lasting is None else now + lasting
            await self._write([*kept, Token(name, role, digest(text), now, by, expires)])
        return text

    async def revoke(self, name: str) -> bool:
        """Let a token work no more; False where there is none. Raises OSError."""
        async with self._writing:
            kept = self.all()
            left = [token for token in kept if token.name != name]
            if len(left) == len(kept):
                return False
            await self._write(left)
        return True

    async def _write(self, tokens: list[Token]) -> None:
        text = json.dumps({"tokens": [asdict(token) for token in tokens]}, indent=1)
        await trio.to_thread.run_sync(lambda: replace_file(self._directory() / FILE, text.encode()))
        self._by_hash = {token.hash: token for token in tokens}
