"""What is told of logons and bans: events for those who watch, and lines in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx import SenderKind, harmless
from sipx_lan.bans import source_of
from sipx_lan.digest import LONGEST_USER
from sipx_lan.events import BanEnded, LoggedOff, LoggedOn, LogonRefused, SourceBanned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sipx import Account, Flow, Proxy
    from sipx_lan.bans import Failed
    from sipx_lan.logons import Logon

MANY: Final = 100
"""Wrong attempts with one user name within failure_window that are worth a line in the log."""


@dataclass(slots=True)
class Totals:
    """Since the start of the process: logons, wrong credentials, bans."""

    accepted: int = 0
    wrong: int = 0
    bans: int = 0


class Observer:
    """Tells, and counts. No password, nonce or digest reaches it."""

    def __init__(self, proxy: Proxy) -> None:
        self._report = proxy.report
        self._log = proxy.log
        self.totals = Totals()

    def logged_on(self, account: Account, flow: Flow, how: str, before: Sequence[Logon]) -> None:
        """An account has proven itself; ``before`` are the flows that it has already.

        A server at two addresses may be two servers with one account; users have several devices.
        """
        name = account.name
        self.totals.accepted += 1
        others = dict.fromkeys(logon.flow.address for logon in before)
        elsewhere = tuple(address for address in others if address != flow.address)
        self._report(LoggedOn(name, flow.address, flow.name, how, elsewhere))
        if elsewhere and account.kind is SenderKind.UC_SERVER:
            self._log.warning(
                "%s logged on from %s (%s) while it is logged on from %s",
                name,
                flow.name,
                how,
                ", ".join(elsewhere),
            )
        elif before:
            self._log.debug("%s logged on again from %s (%s)", name, flow.name, how)
        else:
            self._log.info("%s logged on from %s (%s)", name, flow.name, how)

    def logged_off(self, logon: Logon, reason: str, *, last: bool) -> None:
        """A flow is not an account's any more; ``last``: it has no other."""
        flow = logon.flow
        self._report(LoggedOff(logon.name, flow.address, flow.name, reason))
        if last:
            self._log.info("%s is not logged on any more: %s: %s", logon.name, flow.name, reason)
        else:
            self._log.debug("%s lost %s: %s", logon.name, flow.name, reason)

    def failed(self, user: bytes, address: str, failed: Failed) -> None:
        """Wrong credentials. One line for each ban, in a form that other programs can read."""
        shown = str(harmless(user[:LONGEST_USER]))
        self.totals.wrong += 1
        self._report(LogonRefused(shown, address, failed.in_a_row))
        # An operator who mistyped a password has to find out which; the ban bounds these lines.
        self._log.info(
            "wrong credentials for '%s' from %s (%d in a row)", shown, address, failed.in_a_row
        )
        if failed.everywhere == MANY:
            # Sources are banned, accounts never: or whoever guesses could lock their owners out.
            self._log.warning("%d wrong logons as %s, from whatever sources", MANY, shown)
        if failed.denied:
            self._log.warning(
                "'%s' is refused from %s for %d s after %d wrong logons in a row",
                shown,
                address,
                failed.denied,
                failed.in_a_row,
            )
        if not failed.banned:
            return
        source = source_of(address)
        self.totals.bans += 1
        self._report(SourceBanned(source, failed.banned, failed.failures))
        whole = "" if source == address else f" (all of {source})"
        self._log.warning(
            "banned %s for %d s after %d wrong logons%s",
            address,
            failed.banned,
            failed.failures,
            whole,
        )

    def ban_ended(self, source: str, reason: str) -> None:
        """A source is answered again."""
        self._report(BanEnded(source, reason))
        self._log.info("%s is not banned any more: %s", source, reason)
