"""The methods of the control API: ``lan.accounts``, ``lan.bans`` and ``lan.unban``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sipx import Caller, ControlError, Done, changing
from sipx_lan.bans import source_of
from sipx_lan.state import AccountState, BanState, account_states, ban_states

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Proxy
    from sipx_lan.judge import Judge
    from sipx_lan.observer import Observer


class LanAccounts(BaseModel):
    """Everybody who may log on."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    accounts: tuple[AccountState, ...]
    """Those of the configuration, then the servers that the shared user stands for."""


class LanBans(BaseModel):
    """Who is banned."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    bans: tuple[BanState, ...]
    """The oldest first."""


class Unban(BaseModel):
    """Whose ban is to be ended."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    source: str = ""
    """An address, or the /64 of one; "" ends all bans."""


class LanMethods:
    """What can be asked and done while the proxy runs."""

    def __init__(self, judge: Judge, proxy: Proxy, observer: Observer) -> None:
        self._judge = judge
        self._proxy = proxy
        self._observer = observer

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name."""
        return {
            "lan.accounts": self.list_accounts,
            "lan.bans": self.list_bans,
            "lan.unban": self.unban,
        }

    def list_accounts(self) -> LanAccounts:
        """Everybody who may log on, who has, and on which flows; no secrets."""
        return LanAccounts(accounts=tuple(account_states(self._judge, self._proxy)))

    def list_bans(self) -> LanBans:
        """The sources that get no answer, because they guessed passwords."""
        return LanBans(bans=tuple(ban_states(self._judge.bans, self._proxy)))

    @changing("operator")
    def unban(self, params: Unban, caller: Caller) -> Done:
        """End the ban of a source, or of all; what it has tried is forgotten."""
        found = self._judge.bans.unban(params.source, self._proxy.now())
        if not found and params.source:
            raise ControlError("not found", f"{source_of(params.source)} is not banned")
        for source in found:
            self._observer.ban_ended(source, f"ended by {caller}")
        return Done(text=f"not banned any more: {', '.join(found) or 'there was no ban'}")
