"""UC servers and users log on: the hooks of the plugin ``lan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx import (
    Account,
    Check,
    Flow,
    InterfaceRequest,
    Partner,
    Peer,
    Proxy,
    Sender,
    Service,
    Target,
    Verdict,
    hookimpl,
)
from sipx_lan.config import NAME, LanConfig
from sipx_lan.judge import Judge
from sipx_lan.observer import Observer
from sipx_lan.shared import SharedServers
from sipx_lan.user_files import UserFiles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx.sip import Request

SWEEP: Final = 5.0
"""Seconds between two looks at bans that end and at files that change."""

CLOSING: Final = 2.0
"""Seconds that are given to a last write."""

SHOWN: Final = 100
"""Accounts that the status shows at most; ``sipx lan show`` shows all."""


class Lan:
    """UC servers and users log on, with a password, a certificate or from a private address."""

    Config = LanConfig

    def __init__(self, config: LanConfig, proxy: Proxy) -> None:
        self._config = config
        self._proxy = proxy
        self._observer = Observer(proxy)
        self.judge = Judge(config, proxy, self._observer)
        self._files = UserFiles(self.judge.table, proxy)
        self._shared = SharedServers(self.judge.table, proxy)

    # ------------------------------------------------------------ start and reload

    @hookimpl
    def interfaces(self) -> Iterable[InterfaceRequest]:
        """The listener of ``[lan]``."""
        config = self._config
        if config.bind is None:
            return []
        return [
            InterfaceRequest(
                NAME, config.bind, config.listen_port, config.protocol, "lan", config.certificate
            )
        ]

    @hookimpl
    def take_over(self, old: Lan) -> None:
        """Logons, bans and challenges hold on through a reload."""
        self.judge.take_over(old.judge)
        self._observer.totals = old._observer.totals

    @hookimpl
    def reloaded(self) -> None:
        """Whose password, certificate or addresses are others now has to prove itself anew."""
        logons = self.judge.logons
        for logon in logons:
            if logons.entry_on(logon.flow, self.judge.table) is None:
                logons.end(logon.flow)
                last = not logons.of(logon.name)
                self._observer.logged_off(logon, "its settings have changed", last=last)

    @hookimpl
    def services(self) -> Iterable[Service]:
        """One task: bans that end, files with users that change."""
        return [self.keep]

    async def keep(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Every few seconds, as long as the proxy runs."""
        task_status.started()
        try:
            while True:
                for source in self.judge.bans.ended(self._proxy.now()):
                    self._observer.ban_ended(source, "its time is over")
                await self._files.look()
                await self._shared.keep()
                await trio.sleep(SWEEP)
        finally:
            self._files.forget_troubles()
            with trio.move_on_after(CLOSING, shield=True):
                await self._shared.keep()

    # ------------------------------------------------------------ who there is

    @hookimpl
    def accounts(self) -> Iterable[Account]:
        """Everybody who may log on; of the shared user each server that has."""
        self._shared.load()
        return [entry.account for entry in self.judge.table]

    @hookimpl
    def partners(self) -> Iterable[Partner]:
        """Whom a certificate proves."""
        return self.judge.table.partners

    @hookimpl
    def authenticate_peer(self, flow: Flow) -> Peer | None:
        """Whose certificate is at the other end, if that is an account's."""
        examined = flow.examined
        if examined is None:
            return None
        entry = self.judge.table.proven(examined.partners)
        if entry is None:
            return None
        profile = examined.partners[entry.name].profile
        return Peer(entry.name, examined.certificate.ids, profile)

    @hookimpl
    def flow_closed(self, flow: Flow, reason: str) -> None:
        """Whoever was logged on there is not any more."""
        logons = self.judge.logons
        logon = logons.end(flow)
        if logon is not None:
            self._observer.logged_off(logon, reason, last=not logons.of(logon.name))

    # ------------------------------------------------------------ requests

    @hookimpl
    def authorise_request(
        self, request: Request, flow: Flow, sender: Sender | None
    ) -> Verdict | None:
        """On the LAN side who logged on, or is asked for credentials; see docs/trust.md. And the
        credentials that the sender of an untrusted static route needs.
        """
        if sender is None:
            return self.judge.authenticate(request, flow)
        return self.judge.authorise(request, flow, sender)

    @hookimpl
    def forward_request(self, request: Request, target: Target) -> None:
        """Credentials for our realm end here, whoever sent them."""
        self.judge.digest.consume(request)

    # ------------------------------------------------------------ seen and steered

    @hookimpl
    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """``sipx status`` shows the accounts, how often who logged on, and who is banned."""
        from sipx_lan.state import LogonTotals, account_states, ban_states

        return {
            "accounts": account_states(self.judge, self._proxy, most=SHOWN),
            "logons": LogonTotals.of(self._observer.totals),
            "bans": ban_states(self.judge.bans, self._proxy),
        }

    @hookimpl
    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """``lan.accounts``, ``lan.bans``, ``lan.unban``."""
        from sipx_lan.control import LanMethods

        return LanMethods(self.judge, self._proxy, self._observer).methods()

    @hookimpl
    def commands(self) -> Iterable[click.Command]:
        """``sipx lan``."""
        from sipx_lan.commands import lan

        return [lan]

    @hookimpl
    def checks(self) -> Iterable[Check]:
        """For ``sipx check lan``."""
        from sipx_lan.checks import findings

        return [Check(NAME, lambda: findings(self._config, self._proxy.config))]
