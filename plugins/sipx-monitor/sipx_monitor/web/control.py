"""The methods ``console.*`` and ``monitor.help``: links, tokens, sessions, samples, help pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from sipx import Caller, ControlError, Done, Duration, changing
from sipx_monitor.config import Role  # methods are read with their annotations
from sipx_monitor.web.tokens import TokenError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from sipx_monitor.plugin import Monitor

_FROZEN = ConfigDict(frozen=True, use_attribute_docstrings=True)
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class UrlParams(BaseModel):
    """For whom."""

    model_config = _FROZEN

    role: Role = "admin"
    """What whoever opens the link may do."""


class ConsoleUrl(BaseModel):
    """Where the console is."""

    model_config = _FROZEN

    url: str
    """A link that logs on, once."""
    plain: str
    """The address without it."""
    seconds: float
    """How long the link works."""


class TokenParams(BaseModel):
    """Which token."""

    model_config = _FROZEN

    name: Name
    """What it is called: what uses it, say."""


class NewTokenParams(TokenParams):
    """A new token."""

    role: Role = "viewer"
    """What whoever has it may do."""
    lasting: Duration | None = None
    """How long it works: "90d"; without it until it is revoked."""


class NewToken(BaseModel):
    """A token that was made."""

    model_config = _FROZEN

    name: str
    role: Role
    token: str
    """The token itself; it is not kept and not shown again."""
    expires: float | None
    """Seconds since 1970."""


class TokenState(BaseModel):
    """A token that works."""

    model_config = _FROZEN

    name: str
    role: Role
    created: float
    """Seconds since 1970."""
    created_by: str
    expires: float | None
    """Seconds since 1970; None: never."""


class TokenList(BaseModel):
    """All tokens, by name."""

    model_config = _FROZEN

    tokens: tuple[TokenState, ...]


class ConsoleMethods:
    """What can be asked of the console itself."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "console.url": self.url,
            "console.tokens": self.tokens,
            "console.create_token": self.create_token,
            "console.revoke_token": self.revoke_token,
            "console.metrics": self._monitor.sampler.samples,
        }

    @changing
    def url(self, params: UrlParams, caller: Caller) -> ConsoleUrl:
        """A link to the console that logs on, once; only for who is on this machine."""
        if caller.uid is None:
            raise ControlError(
                "forbidden", "a link is made on the machine itself: `sipx console url`"
            )
        monitor = self._monitor
        if monitor.address is None:
            raise ControlError("not now", "the console does not listen; `sipx status` tells why")
        from sipx_monitor.web.sessions import LINK_LIFE

        token = monitor.access.sessions.link(caller.user, params.role)
        return ConsoleUrl(url=monitor.url(token), plain=monitor.url(), seconds=LINK_LIFE)

    def tokens(self) -> TokenList:
        """The tokens for the HTTP API; what they are is not kept."""
        return TokenList(
            tokens=tuple(
                TokenState(
                    name=token.name,
                    role=token.role,
                    created=token.created,
                    created_by=token.created_by,
                    expires=token.expires,
                )
                for token in self._monitor.tokens.all()
            )
        )

    @changing
    async def create_token(self, params: NewTokenParams, caller: Caller) -> NewToken:
        """Make a token for the HTTP API; it is shown now and never again."""
        if caller.uid is None:
            raise ControlError(
                "forbidden", "a token is made on the machine itself: `sipx console token create`"
            )
        text = await self._written(
            self._monitor.tokens.create, params.name, params.role, caller.user, params.lasting
        )
        made = self._monitor.tokens.find(text)
        assert made is not None
        return NewToken(name=made.name, role=made.role, token=text, expires=made.expires)

    @changing
    async def revoke_token(self, params: TokenParams) -> Done:
        """Let a token work no more."""
        if not await self._written(self._monitor.access.revoke, params.name):
            raise ControlError("not found", f"there is no token {params.name!r}")
        return Done(text=f"the token {params.name} works no more")

    async def _written(self, function: Callable[..., Awaitable[Any]], *args: object) -> Any:
        try:
            return await function(*args)
        except TokenError as error:
            raise ControlError("failed", str(error)) from error
        except OSError as error:
            why = error.strerror or str(error)
            raise ControlError("failed", f"the tokens cannot be written: {why}") from error
