"""Who is told of a registration: those who watch, the log, and the table of servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sipx_registrar.bindings import is_logon_place
from sipx_registrar.events import Expired, OwnerChanged, Registered, Unregistered, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sipx import Account, Binding, Proxy
    from sipx.sip import Request
    from sipx_registrar.register import Decided
    from sipx_registrar.servers import Servers

QUIET: Final = 1.0
"""Seconds in which the same refusal is not logged again."""
MOST_SAID: Final = 1000


class News:
    """Tells of what is committed, never of what may yet fail."""

    def __init__(self, proxy: Proxy, servers: Servers) -> None:
        self._proxy = proxy
        self._servers = servers
        self._said: dict[tuple[str, str], float] = {}
        """When a refusal was logged last, by the account and the words of us."""

    def refused(self, request: Request, account: Account, status: int, why: str) -> None:
        """A REGISTER was refused. The log is told once a second of one account and reason: a
        server may register ten thousand users in a moment, and none of them be its own.
        """
        now = self._proxy.now()
        key = (account.name, why)
        if now - self._said.get(key, -QUIET) < QUIET:
            return
        if len(self._said) >= MOST_SAID:
            self._said.clear()
        self._said[key] = now
        to = shown(request.get(b"To") or b"")
        self._proxy.log.info("%s may not register %s: %d %s", account.name, to, status, why)

    def registered(self, decided: Decided) -> None:
        """A REGISTER was committed, and is answered now."""
        asked, before, after = decided.registration, decided.before, decided.after
        if after is before:
            return
        self.changed(before, after)
        new = [each for each in after if each not in before]
        if new:
            until = max(each.expires for each in new)
            self._servers.registered(
                asked.account, asked.flow, new[0].contact, logon=asked.logon, until=until
            )
        else:
            self._servers.unregistered(asked.account, asked.flow, logon=asked.logon)

    def changed(self, before: Sequence[Binding], after: Sequence[Binding]) -> None:
        """The bindings of one place are others now."""
        old = {each.key: each for each in before}
        for binding in after:
            if old.pop(binding.key, None) is None:
                self._appeared(binding)
        for binding in old.values():
            self._proxy.report(Unregistered(_user(binding), binding.owner, shown(binding.contact)))
            if is_logon_place(binding.aor):
                self._proxy.log.info("%s has logged off", binding.owner)
        if before and after:
            self._owners(before, after)

    def expired(self, bindings: Iterable[Binding]) -> None:
        """These were not refreshed."""
        for binding in bindings:
            self._proxy.report(Expired(_user(binding), binding.owner, shown(binding.contact)))
            if is_logon_place(binding.aor):
                self._proxy.log.warning(
                    "the logon of %s has expired: it was not refreshed", binding.owner
                )

    def _appeared(self, binding: Binding) -> None:
        self._proxy.report(
            Registered(_user(binding), binding.owner, shown(binding.contact), binding.expires)
        )
        if is_logon_place(binding.aor):
            self._proxy.log.info(
                "%s has logged on from %s:%s port %d",
                binding.owner,
                binding.transport,
                binding.address,
                binding.port,
            )

    def _owners(self, before: Sequence[Binding], after: Sequence[Binding]) -> None:
        """SEC-11: whoever loses a user can read of it."""
        were = tuple(sorted({each.owner for each in before}))
        are = tuple(sorted({each.owner for each in after}))
        if were == are:
            return
        user = _user(after[0])
        self._proxy.report(OwnerChanged(user, were, are))
        self._proxy.log.warning(
            "%s is registered by %s now, before by %s", user, ", ".join(are), ", ".join(were)
        )


def _user(binding: Binding) -> str:
    return "" if is_logon_place(binding.aor) else shown(binding.aor)
