"""Who asks: by a cookie, a bearer token, the header of a reverse proxy, or because all may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import trio

from sipx import Caller
from sipx_monitor.web.guard import SAFE, needs_origin
from sipx_monitor.web.messages import Refused
from sipx_monitor.web.passwords import LONGEST, fits, hashed
from sipx_monitor.web.sessions import Attempts, Sessions

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Secret
    from sipx_monitor.config import MonitorConfig, Role, UserConfig
    from sipx_monitor.web.messages import Request
    from sipx_monitor.web.tokens import Tokens

MOST_WAITING: Final = 4
"""Passwords that are looked at, or wait for that, at the same time."""
LOOK: Final = 20.0
"""Seconds between two looks for what ends by itself: a token, say, that was made to last a day."""
LINK_USER: Final = "console"
"""What somebody is called who came by the link that was printed at the start."""


@dataclass(frozen=True, slots=True)
class Who:
    """Somebody who is known. ``by`` says how they are."""

    user: str
    role: Role
    by: Literal["cookie", "token", "proxy", "none"]

    def caller(self) -> Caller:
        """As methods of the control API see them."""
        return Caller(self.user, role=self.role)


class Access:
    """The doors of one configuration; ``sessions`` and ``attempts`` outlive it."""

    def __init__(self, config: MonitorConfig, tokens: Tokens, now: Callable[[], float]) -> None:
        self._config = config
        self._tokens = tokens
        self.sessions = Sessions(now)
        self.attempts = Attempts(now)
        self._hashing = trio.CapacityLimiter(1)
        self._waiting = 0
        self._nobody = ""
        self.cookie = "sipx_session"
        self._ended = trio.Event()

    def take_over(self, old: Access) -> None:
        """Whoever is logged on stays so, as far as this configuration lets them."""
        self.sessions.take_over(old.sessions)
        self.attempts = old.attempts

    # ------------------------------------------------------------ who asks

    def who(self, request: Request, *, from_proxy: bool) -> Who:
        """Raises Refused for nobody."""
        bearer = _bearer(request)
        if bearer is not None:
            token = self._tokens.find(bearer)
            if token is None:
                raise Refused(
                    401,
                    "this token is not known, or has ended; `sipx console token create NAME` "
                    "makes one",
                    www_authenticate="Bearer",
                )
            return Who(f"token {token.name}", token.role, "token")
        if self._config.auth == "none":
            return Who("anybody", "admin", "none")
        if self._config.auth == "proxy-header" and from_proxy:
            named = self._named(request)
            if named is not None:
                return named
        found = self._session(request)
        if found is None:
            raise Refused(401, "log on first; `sipx console url` shows a link")
        if request.method not in SAFE or request.header("upgrade"):
            needs_origin(request)
        return found

    def _named(self, request: Request) -> Who | None:
        name = request.header(self._config.proxy_header).strip()
        if not name:
            return None
        user = self._user(name)
        if user is None:
            raise Refused(
                403,
                f"{name[:64]} has no role here; add [monitor.user.{name[:64]}] to the "
                "configuration file",
            )
        return Who(name, user.role, "proxy")

    def _user(self, name: str) -> UserConfig | None:
        found = self._config.user.get(name)
        return found if found is not None and found.enabled else None

    def _session(self, request: Request) -> Who | None:
        session = self.sessions.find(request.cookie(self.cookie))
        if session is None:
            return None
        if session.by == "link":
            return Who(session.user, session.role, "cookie")
        # What the file says now counts: a user who is gone is out.
        user = self._user(session.user)
        if user is None or user.password_hash is None or self._config.auth != "password":
            return None
        if not _is_still(user.password_hash, session.proof):
            return None
        return Who(session.user, user.role, "cookie")

    # ------------------------------------------------------------ logging on

    async def log_on(self, request: Request, given: object) -> str:
        """What the cookie of a new session holds. Raises Refused."""
        if not isinstance(given, dict):
            raise Refused(400, 'give {"token": ...} or {"user": ..., "password": ...}')
        address = request.address
        token, user, password = (given.get(key) for key in ("token", "user", "password"))
        if isinstance(token, str):
            # Before anybody has to wait: nobody guesses these, and whoever else is on this machine
            # has the same address and must not be able to keep its administrator out.
            found = self.sessions.redeem(token)
            if found is not None:
                self.attempts.succeeded(address)
                return self._begun(self.sessions.begin(*found, "link", address))
        left = self.attempts.wait(address)
        if left > 0:
            raise Refused(
                429,
                f"too many attempts have failed; try again in {left:.0f} s",
                retry_after=str(int(left) + 1),
            )
        if isinstance(token, str):
            self.attempts.failed(address)
            raise Refused(
                401, "this link was used already, or is too old; `sipx console url` makes another"
            )
        if isinstance(user, str) and isinstance(password, str):
            if self._config.auth != "password":
                raise Refused(403, "nobody logs on here with a password; `sipx console url`")
            if self._waiting >= MOST_WAITING:
                raise Refused(429, "others log on just now; try again", retry_after="2")
            # Counted before it is known: many that are sent at once are no more than one by one.
            under_way = self.attempts.failed(address)
            proof = await self._proof(user, password)
            if proof:
                self.attempts.succeeded(address, under_way)
                role = self._config.user[user].role
                return self._begun(self.sessions.begin(user, role, "password", address, proof))
            raise Refused(401, "the user or the password is wrong")
        raise Refused(400, 'give {"token": ...} or {"user": ..., "password": ...}')

    def _begun(self, token: str) -> str:
        self._end()  # of too many sessions the oldest
        return token

    async def _proof(self, user: str, password: str) -> str:
        """The hash that a password fits, "" when it does not.

        It takes as long for a user that there is not.
        """
        if len(password) > LONGEST:
            return ""
        self._waiting += 1
        try:
            found = self._user(user)
            secret = None if found is None else found.password_hash
            if secret is None:
                if not self._nobody:
                    self._nobody = await trio.to_thread.run_sync(
                        hashed, "nobody", limiter=self._hashing
                    )
                await trio.to_thread.run_sync(fits, password, self._nobody, limiter=self._hashing)
                return ""
            try:
                kept = await trio.to_thread.run_sync(secret.current)
            except (OSError, UnicodeDecodeError) as error:
                why = error.strerror if isinstance(error, OSError) else "its file is no text"
                raise Refused(503, f"the hash of a password cannot be read: {why}") from None
            right = await trio.to_thread.run_sync(fits, password, kept, limiter=self._hashing)
            return kept if right else ""
        finally:
            self._waiting -= 1

    # ------------------------------------------------------------ its end

    def log_off(self, token: str) -> None:
        """End the session of a cookie."""
        self.sessions.end(token)
        self._end()

    async def revoke(self, name: str) -> bool:
        """Let a token work no more; False where there is none. Raises OSError."""
        found = await self._tokens.revoke(name)
        self._end()
        return found

    def _end(self) -> None:
        self._ended.set()
        self._ended = trio.Event()

    async def until_changed(self, who: Callable[[], Who]) -> None:
        """As long as somebody is who they are. Raises Refused when they are nobody any more."""
        role = who().role
        while True:
            with trio.move_on_after(LOOK):
                await self._ended.wait()
            if who().role != role:
                return


def _is_still(kept: Secret, proof: str) -> bool:
    """Whether a hash is that of now: of the configuration, or of its file that is newer."""
    if proof == kept.reveal():
        return True
    try:
        return proof == kept.current()
    except (OSError, UnicodeDecodeError):
        return False


def _bearer(request: Request) -> str | None:
    kind, _, token = request.header("authorization").partition(" ")
    return token.strip() if kind.lower() == "bearer" else None
