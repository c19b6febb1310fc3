"""Which account has proven itself on which flow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import Flow
    from sipx_lan.accounts import AccountTable
    from sipx_lan.entries import Entry

QUIET: Final = 600.0
"""Seconds after which an address behind a UDP socket that says nothing is not in use any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Logon:
    """``proof`` is what proved the account then, ``since`` when (seconds since 1970).

    ``how`` says by what: password, certificate or address.
    """

    name: str
    proof: tuple[object, ...]
    flow: Flow
    since: float
    how: str


class Logons:
    """The flows that accounts have proven themselves on, while they are open."""

    def __init__(self) -> None:
        self._on: dict[int, Logon] = {}
        self._of: dict[str, dict[int, Logon]] = {}

    def __iter__(self) -> Iterator[Logon]:
        return iter(list(self._on.values()))

    def __len__(self) -> int:
        return len(self._on)

    def entry_on(self, flow: Flow, table: AccountTable) -> Entry | None:
        """The account on this flow, as long as it is what it was when it proved itself."""
        logon = self._on.get(flow.id)
        if logon is None or logon.flow is not flow or flow.account != logon.name:
            return None
        entry = table.named(logon.name)
        return entry if entry is not None and entry.proof == logon.proof else None

    def of(self, name: str) -> list[Logon]:
        """All of one account, the oldest first."""
        return list(self._of.get(name, {}).values())

    def current(self, name: str, now: float) -> list[Logon]:
        """Those that are in use, the oldest first: nobody says when he leaves a UDP address."""
        return [
            logon
            for logon in self.of(name)
            if logon.flow.reliable
            or logon.flow.account_until > now
            or now - logon.flow.last_in < QUIET
        ]

    def begin(self, entry: Entry, flow: Flow, how: str, wall: float) -> None:
        """This account has proven itself on this flow. Whoever did so before is there no more."""
        self.end(flow)
        logon = Logon(entry.name, entry.proof, flow, wall, how)
        self._on[flow.id] = logon
        self._of.setdefault(entry.name, {})[flow.id] = logon
        flow.account = entry.name
        flow.account_until = 0.0

    def end(self, flow: Flow) -> Logon | None:
        """Nobody has proven himself on this flow any more."""
        logon = self._on.pop(flow.id, None)
        if logon is None:
            return None
        of = self._of[logon.name]
        del of[flow.id]
        if not of:
            del self._of[logon.name]
        flow.account = ""
        flow.account_until = 0.0
        return logon
