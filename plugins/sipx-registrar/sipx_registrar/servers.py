"""The UC servers: the table of them, and what the plugin asks of it.

What is known of servers is in one `Known`, which outlives reloads of the plugin.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from sipx import Check, Refuse, SenderKind, peer_id
from sipx_registrar.answers import retry_after, why_not_delivered
from sipx_registrar.dialogs import Dialogs
from sipx_registrar.explaining import explanation
from sipx_registrar.health import Watch
from sipx_registrar.known import Known
from sipx_registrar.orders import Orders
from sipx_registrar.server import Server
from sipx_registrar.server_checks import findings
from sipx_registrar.servers_control import ServerMethods
from sipx_registrar.servers_state import ServerChanged, row_of, shares
from sipx_registrar.states import Health, Order, Rules
from sipx_registrar.targets import Chooser
from sipx_registrar.ways import hop_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import click
    from pydantic import BaseModel

    from sipx import Account, Branch, Flow, NextHop, Proxy, Sender, Service, Target, Targets
    from sipx.sip import Request, Response
    from sipx_registrar.bindings import Bindings
    from sipx_registrar.config import RegistrarConfig

GRACE: Final = 60.0
"""Seconds after the start for which the bindings of a server hold that has not come back yet."""


class Servers:
    """What the registrar knows of UC servers, and where requests for their users go."""

    def __init__(self, config: RegistrarConfig, proxy: Proxy, bindings: Bindings) -> None:
        self.config = config
        self.proxy = proxy
        self.bindings = bindings
        self.rules = rules_of(config)
        self.known = Known(rules_of(config))
        self.unreachable = Refuse(
            480,
            "nobody who serves this user can be reached now",
            ((b"Retry-After", b"%d" % max(1, round(config.retry_after))),),
        )
        self.orders = Orders(proxy)
        self._loaded = False
        self._we_close = False
        self._chooser = Chooser(self)
        self._dialogs = Dialogs(self)
        self._watch = Watch(self)

    # ------------------------------------------------------------ who there is

    def load(self) -> None:
        """Learn the accounts, once: before that nobody can have asked for them."""
        if not self._loaded:
            self.accounts_changed()

    def accounts_changed(self) -> None:
        """At the start and after a reload: who there is now."""
        self._loaded = True
        known = self.known
        found = {account.name: account for account in self.proxy.accounts()}
        known.accounts = found
        known.peers = {peer_id(name): account for name, account in found.items()}
        for name in [name for name in known.servers if not _is_server(found.get(name))]:
            gone = known.servers.pop(name)
            self.proxy.note_trouble("server", name, None)
            self.proxy.log.info("UC server %s is no account any more", name)
            known.flows = {flow: at for flow, at in known.flows.items() if at is not gone}
            for way in gone.ways:
                if way.flow.outbound:
                    way.flow.close("the account of this server is gone")
        for account in found.values():
            if _is_server(account):
                self._meet(account)
        self._users_changed()
        known.version += 1
        self._watch.wake()

    def has(self, server: Server) -> bool:
        """Whether this is one of those that there are now."""
        return self.known.servers.get(server.name) is server

    def shows_up(self, account: Account) -> None:
        """Somebody has logged on; if he was not known before, he is now. Costs nothing else: users
        by the thousand may log on.
        """
        self.load()
        known = self.known
        if account.name in known.accounts:
            return
        known.accounts[account.name] = account
        known.peers[peer_id(account.name)] = account
        if _is_server(account):
            self._meet(account)
            self._users_changed()
        known.version += 1
        self._watch.wake()

    def _meet(self, account: Account) -> Server:
        known = self.known
        server = known.servers.get(account.name)
        if server is None:
            server = Server(
                account, known.rules, self.changed, self.proxy.wall, self._hop_of(account)
            )
            self._obey(server)
            known.servers[account.name] = server
        else:
            server.meet(account, self._hop_of(account))
        return server

    def _hop_of(self, account: Account) -> NextHop | None:
        """Where sipx connects to a server: from the LAN side, where its requests are known."""
        hop = account.hop
        if hop is None or hop.bind is not None:
            return hop
        for interface in self.proxy.status().interfaces:
            if interface.role == "lan" and interface.protocol == hop.transport:
                return replace(hop, bind=interface.name)
        return hop

    def _obey(self, server: Server) -> None:
        """What was wanted of it before sipx was started is wanted still."""
        order = self.orders.of(server.name)
        if order is not server.order:
            server.order, server.ordered = order, "an operator wanted it before the start of sipx"

    def users_changed(self) -> None:
        """Lists of users may have been read again, in place."""
        if self._users_changed():
            self.known.version += 1

    def _users_changed(self) -> bool:
        users: dict[str, object] = {
            name: None if server.account.users is None else server.account.users.patterns
            for name, server in self.known.servers.items()
        }
        changed = users != self.known.users
        self.known.users = users
        return changed

    def changed(self, server: Server, before: str, after: str, why: str) -> None:
        """A server is in another state: that is logged, an event, and another choice of targets."""
        self.known.version += 1
        log = self.proxy.log
        fine = after in ("up", "never seen") or before == after or self._we_close
        said = log.info if fine else log.warning
        now = f"still {after}" if after == before else f"{after}, was {before}"
        said("UC server %s: %s: %s", server.name, now, why)
        self.proxy.report(ServerChanged(server.name, before, after, why))
        if server.order is not Order.MAINTENANCE and server.health is Health.DOWN:
            self.proxy.note_trouble("server", server.name, f"it is down: {server.reason}")
        elif server.health is Health.UP:
            self.proxy.note_trouble("server", server.name, "")

    def take_charge(self) -> None:
        """The service begins: what is known goes by this configuration from now on."""
        self.orders.load()
        known, now = self.known, self.proxy.now()
        if known.started is None:
            known.started = now
        rules = known.rules
        rules.pings, rules.slow_start = self.rules.pings, self.rules.slow_start
        rules.down_after, rules.up_after = self.rules.down_after, self.rules.up_after
        self.load()
        for server in known.servers.values():
            server.changed = self.changed
            self._obey(server)
        known.version += 1

    def look_for(self, server: Server) -> None:
        """sipx was started anew: where the server was when it logged on, it may be still."""
        for binding in self.bindings.logon_of(server.name):
            there = hop_of(binding)
            if there is not None:
                server.was_at(there, binding.expires)

    def ways_changed(self, server: Server) -> None:
        """Ways to a server have ended without a flow having been closed."""
        known = self.known
        open_ones = {way.flow for way in server.ways}
        for flow in [flow for flow, at in known.flows.items() if at is server]:
            if flow not in open_ones:
                del known.flows[flow]
        known.version += 1

    # ------------------------------------------------------------ registrations

    def registered(
        self, account: Account, flow: Flow, contact: bytes, *, logon: bool, until: float
    ) -> None:
        """A REGISTER of this account was answered 200; ``until`` is seconds since 1970."""
        self.shows_up(account)
        known = self.known
        server = known.servers.get(account.name)
        if server is None:
            return  # somebody who logs on alone: his bindings are all there is to know
        if flow.closed:
            return
        ways = len(server.ways)
        news = server.logged_on(flow, contact, until, logon=logon, now=self.proxy.now())
        known.flows[flow] = server
        if len(server.ways) != ways:
            known.version += 1
            self._watch.wake(server)
        if news:
            self.proxy.log.warning("UC server %s: %s", server.name, news)
            self.proxy.report(ServerChanged(server.name, server.state, server.state, news))

    def unregistered(self, account: Account, flow: Flow, *, logon: bool) -> None:
        """A REGISTER that removed bindings was answered 200."""
        server = self.known.servers.get(account.name)
        if server is None or not logon or self.bindings.on_flow(flow):
            return  # the connection is still there, or users of the server are still bound to it
        server.logged_off(flow, self.proxy.now())
        self.known.flows.pop(flow, None)
        self.known.version += 1
        self._watch.wake(server)

    def admits(self, account: Account) -> Refuse | None:
        """Why a REGISTER of this account is refused now."""
        self.load()
        server = self.known.servers.get(account.name)
        order = self.orders.of(account.name) if server is None else server.order
        if order is not Order.MAINTENANCE:
            return None
        return Refuse(503, f"{account.name} is in maintenance", self.unreachable.headers)

    def is_down(self, name: str) -> bool:
        """Whether a server's bindings do not hold their users."""
        self.load()
        server = self.known.servers.get(name)
        if server is None:
            return name not in self.known.accounts
        if server.health is Health.NEVER:
            started = self.known.started
            return started is not None and self.proxy.now() - started > GRACE
        return server.health is Health.DOWN

    def flow_closed(self, flow: Flow, reason: str) -> None:
        """A flow has ended."""
        self._dialogs.flow_closed(flow)
        server = self.known.flows.pop(flow, None)
        if server is None:
            return
        self.known.version += 1
        left = len(server.ways)
        # What ends because its interface does, at a stop or a reload, is no news of the server.
        self._we_close = flow.interface.leaving
        server.lost(flow, reason, self.proxy.now())
        self._we_close = False
        if server.ways and len(server.ways) != left:
            newest = server.ways[0].flow.name
            self.proxy.log.info(
                "UC server %s: a connection has ended (%s); %s is used", server.name, reason, newest
            )
        self._watch.wake(server)

    # ------------------------------------------------------------ requests

    def determine_targets(self, request: Request, sender: Sender) -> Targets | Refuse | None:
        """Where a request goes."""
        if not self._loaded:
            self.load()
        return self._chooser.determine(request, sender)

    def dialog_target(
        self, peer: bytes, flow: Flow | None, sender: Sender
    ) -> Target | Refuse | None:
        """Where a request within a dialog goes."""
        if not self._loaded:
            self.load()
        return self._dialogs.target(peer, flow)

    def explain_targets(self, request: Request, sender: Sender) -> Sequence[str]:
        """Why, a line for each step."""
        self.load()
        return explanation(self._chooser, request, sender)

    def forward_request(self, request: Request, target: Target) -> None:
        """A copy is on its way: one more request for a server."""
        server = self.known.servers.get(target.name)
        if server is not None:
            server.sent += 1

    def process_response(self, response: Response, branch: Branch) -> None:
        """What a server answered says how it is; so does what it failed to answer."""
        if len(branch.context.branches) > 1:
            for other in branch.context.branches:
                if other is not branch and other.response is not None:
                    self._answered(other, other.response)
        # The answer that goes on may be one of ours in the place of its 503 (RFC 3261 §16.7).
        self._answered(branch, branch.response or response)

    def _answered(self, branch: Branch, response: Response) -> None:
        server = self.known.servers.get(branch.target.name)
        if server is None:
            return
        # Only what was parsed has come from there; what stands for no answer was made here.
        own = not getattr(response, "cseq_method", b"")
        if own:
            if why := why_not_delivered(response):
                self.proxy.note_trouble("server", server.name, why)
                server.undelivered(why)
                self._watch.wake(server)
        elif response.status == 503:
            server.refused(retry_after(response), self.proxy.now())
        elif server.health is Health.UP:
            return
        elif server.ways:
            server.heard(self.proxy.now())
        elif branch.state >= 0:
            # Over a connection to a place of one of its users: there it is.
            flow = cast("Flow", branch.flow)
            if not flow.closed:
                self.connected(server, flow)
                server.heard(self.proxy.now())

    def connected(self, server: Server, flow: Flow) -> None:
        """There is a connection to a server that it did not open itself."""
        server.connected(flow, self.proxy.now())
        self.known.flows[flow] = server
        self.known.version += 1
        self._watch.wake(server)

    # ------------------------------------------------------------ life

    def services(self) -> Sequence[Service]:
        """What watches the servers."""
        return [self._watch.watch_servers]

    def take_over(self, old: Servers) -> None:
        """A reload made this anew; both know the same from now on."""
        self.known = old.known
        self.orders = old.orders

    # ------------------------------------------------------------ seen and steered

    def ordered(self) -> list[Server]:
        """The servers by name."""
        return [self.known.servers[name] for name in sorted(self.known.servers)]

    async def command(self, server: Server, order: Order, why: str) -> None:
        """The operator wants something else of a server. Raises ControlError."""
        await self.orders.note(server.name, order)
        server.command(order, why)
        if order is Order.MAINTENANCE:
            for way in tuple(server.ways):
                way.flow.close("the operator has disconnected it")
            self.proxy.note_trouble("server", server.name, None)
        self._watch.wake(server)

    def status_sections(self) -> Mapping[str, BaseModel | Sequence[BaseModel]]:
        """What the status shows."""
        self.load()
        servers = self.ordered()
        if not servers:
            return {}
        share = shares(servers)
        return {"servers": [row_of(one, self.bindings, share[one.name]) for one in servers]}

    def control_methods(self) -> Mapping[str, Callable[..., object]]:
        """Methods of the control API."""
        return ServerMethods(self).methods()

    @staticmethod
    def commands() -> list[click.Command]:
        """``sipx servers``; asked of a class, before there is a configuration."""
        from sipx_registrar.servers_commands import servers

        return [servers]

    def checks(self) -> list[Check]:
        """For ``sipx check``."""
        return [Check("servers", lambda: findings(self))]


def rules_of(config: RegistrarConfig) -> Rules:
    """What the configuration says of the state machine."""
    return Rules(
        pings=config.ping_interval > 0,
        down_after=config.down_after,
        up_after=config.up_after,
        slow_start=config.slow_start,
    )


def _is_server(account: Account | None) -> bool:
    return account is not None and account.kind is SenderKind.UC_SERVER
