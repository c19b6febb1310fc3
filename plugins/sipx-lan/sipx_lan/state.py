"""What is shown of accounts and bans: no secret, and nothing that could be used as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from sipx import SenderKind

if TYPE_CHECKING:
    from sipx import Proxy
    from sipx_lan.bans import Bans
    from sipx_lan.entries import Entry
    from sipx_lan.judge import Judge
    from sipx_lan.logons import Logon
    from sipx_lan.observer import Totals

_KINDS = {
    SenderKind.UC_SERVER: "server",
    SenderKind.USER: "user",
    SenderKind.PARTNER: "partner",
}


class AccountState(BaseModel):
    """One account, as it is now."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    name: str
    kind: str
    """server, user or partner."""
    user: str
    """The user name it logs on with."""
    proof: str
    """What it proves itself with: password, certificate, both, or its address."""
    users: str
    """Whose users it has: a pattern, how many of them, or all."""
    logged_on: tuple[str, ...]
    """The flows that it has proven itself on."""
    since: float | None
    """When it did so first, in seconds since 1970; None: it has not."""
    registered: bool
    """Whether a registration of it is alive."""
    trouble: str
    """What does not work with it now, "" if nothing is known."""


class LogonTotals(BaseModel):
    """What came of logons since the start of the process."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    accepted: int
    """Accounts that have proven themselves on a flow."""
    wrong: int
    """Credentials that were wrong."""
    bans: int
    """Sources that were banned for that."""

    @classmethod
    def of(cls, totals: Totals) -> LogonTotals:
        """The counts as they are now."""
        return cls(accepted=totals.accepted, wrong=totals.wrong, bans=totals.bans)


class BanState(BaseModel):
    """A source that gets no answer."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    source: str
    """An address, of IPv6 its /64."""
    since: float
    """When it began, in seconds since 1970."""
    until: float
    """When it ends, likewise."""
    failures: int
    """The wrong attempts that led to it."""
    times: int
    """How often the source has been banned lately, this time included."""


def account_states(judge: Judge, proxy: Proxy, *, most: int | None = None) -> list[AccountState]:
    """Each account: those of the configuration, then the servers of the shared user.

    With ``most`` only so many, users' accounts last: the status has to answer at once.
    """
    now = proxy.now()
    entries = list(judge.table.everybody())
    if most is not None and len(entries) > most:
        entries.sort(key=lambda entry: entry.account.kind is SenderKind.USER)
        del entries[most:]
    return [
        _state(
            entry,
            judge.logons.current(entry.name, now),
            now,
            proxy.trouble("users", entry.name),
        )
        for entry in entries
    ]


def ban_states(bans: Bans, proxy: Proxy) -> list[BanState]:
    """Who is banned now."""
    now, wall = proxy.now(), proxy.wall()
    return [
        BanState(
            source=source,
            since=wall + ban.since - now,
            until=wall + ban.until - now,
            failures=ban.failures,
            times=ban.times,
        )
        for source, ban in bans.current(now).items()
    ]


def _state(entry: Entry, logons: list[Logon], now: float, trouble: str) -> AccountState:
    users = entry.account.users
    if users is None:
        shown = "all" if entry.logs_on else "-"
    else:
        shown = users.patterns[0] if len(users) == 1 else str(len(users))
    return AccountState(
        name=entry.name,
        kind=_KINDS[entry.account.kind],
        user=entry.user.decode(),
        proof=proof_of(entry),
        users=shown,
        logged_on=tuple(logon.flow.name for logon in logons),
        since=min((logon.since for logon in logons), default=None),
        registered=any(logon.flow.account_until > now for logon in logons),
        trouble=trouble,
    )


def proof_of(entry: Entry) -> str:
    """What proves an account, in words."""
    if entry.by_address:
        return "its address"
    words = []
    if entry.secret is not None:
        words.append("password")
    if entry.needs_certificate or entry.secret is None:
        words.append("certificate")
    return " and ".join(words)
