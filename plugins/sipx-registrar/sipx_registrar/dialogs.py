"""Where a request within a dialog goes whose other end logged on (RFC 5626 §5.3, RFC 3261 §16.4).

A proxy cannot move a dialog: whoever has it has it. What it can do is find whoever that is over
the connection that is there now, and say at once that he is gone where he is, so that the other
side cleans up and begins anew with the server that has the user now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeGuard

from sipx import Refuse, SenderKind, Target
from sipx_registrar.states import Health, Order

if TYPE_CHECKING:
    from sipx import Account, Binding, Flow
    from sipx_registrar.server import Server
    from sipx_registrar.servers import Servers

KEPT: Final = 65_536
FLOW_GONE: Final = Refuse(430, "the flow of this dialog has gone")


class Dialogs:
    """Finds the other end of a dialog."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._targets: dict[Flow, Target] = {}
        """The way to accounts over their open flows."""

    def target(self, peer: bytes, flow: Flow | None) -> Target | Refuse | None:
        """The way to the account that a cookie names; None: it is no account of ours."""
        known = self._servers.known
        account = known.peers.get(peer)
        if account is None:
            return None
        server = known.servers.get(account.name)
        if server is not None:
            return self._to_server(server, flow)
        if self._leads_there(flow):
            return self._over(flow, account)
        return self._to_user(account)

    def flow_closed(self, flow: Flow) -> None:
        """It leads nowhere any more."""
        self._targets.pop(flow, None)

    def _leads_there(self, flow: Flow | None) -> TypeGuard[Flow]:
        """Whether the flow that a dialog was made on is still that of its end."""
        return flow is not None and not flow.closed and not self._servers.bindings.has_left(flow)

    def _to_server(self, server: Server, flow: Flow | None) -> Target | Refuse:
        if server.order is Order.MAINTENANCE or server.health is Health.DOWN:
            # Also BYE and NOTIFY: who sends them learns that the dialog is over.
            return self._servers.unreachable
        if self._leads_there(flow):
            return self._over(flow, server.account)
        way = server.way()
        return self._servers.unreachable if way is None else way

    def _to_user(self, account: Account) -> Target | Refuse:
        """Somebody who logs on alone, and whose flow of this dialog is gone.

        A new flow of his will do if there is one only: of several nobody knows which has the
        dialog.
        """
        bindings = self._bindings_of(account)
        open_flows = {b.flow for b in bindings if b.flow is not None and not b.flow.closed}
        if len(open_flows) == 1:
            return self._over(open_flows.pop(), account)
        if any(binding.reg_id for binding in bindings):
            return FLOW_GONE
        return self._servers.unreachable

    def _bindings_of(self, account: Account) -> list[Binding]:
        """What he has registered for himself."""
        names = {account.logon} if account.users is None else {account.logon, *account.users.names}
        places = {
            name if b"@" in name else name.lower() + b"@" + domain
            for name in names
            for domain in self._servers.proxy.domains
        }
        of = self._servers.bindings.of
        found = [binding for place in places for binding in of(place)]
        return [binding for binding in found if binding.owner == account.name]

    def _over(self, flow: Flow, account: Account) -> Target:
        target = self._targets.get(flow)
        if target is None or target.account is not account:
            if len(self._targets) >= KEPT:
                self._targets.clear()
            target = self._targets[flow] = Target(
                trusted=account.kind is SenderKind.UC_SERVER,
                name=account.name,
                partner=account.partner,
                flow=flow,
                account=account,
            )
        return target
