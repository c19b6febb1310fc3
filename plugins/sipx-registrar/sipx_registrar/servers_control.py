"""The methods of the control API about servers: ``registrar.servers``, ``registrar.drain`` ..."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from sipx import Caller, ControlError, changing
from sipx_registrar.servers_state import (
    ServerList,
    ServerParams,
    ServersParams,
    ServerState,
    shares,
    state_of,
)
from sipx_registrar.states import Order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipx_registrar.server import Server
    from sipx_registrar.servers import Servers


class ServerMethods:
    """What can be asked about servers, and what they can be told."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {
            "registrar.servers": self.list,
            "registrar.drain": self.drain,
            "registrar.resume": self.resume,
            "registrar.disconnect": self.disconnect,
        }

    def list(self, params: ServersParams) -> ServerList:
        """The UC servers: state, since when, address, flows, users, weight, pings, share."""
        servers = self._servers
        servers.load()
        if params.name:
            self._named(params.name)
        there = servers.ordered()
        share = shares(there)
        now, wall = servers.proxy.now(), servers.proxy.wall()
        return ServerList(
            servers=tuple(
                state_of(one, servers.bindings, share[one.name], now=now, wall=wall)
                for one in there
                if params.name in ("", one.name)
            )
        )

    @changing("operator")
    async def drain(self, params: ServerParams, caller: Caller) -> ServerState:
        """Give a server no users and no conversations any more that others may serve.

        What is under way goes on, and so does what only this server may serve.
        """
        return await self._command(params.name, Order.DRAINING, f"{caller.user} drains it")

    @changing("operator")
    async def resume(self, params: ServerParams, caller: Caller) -> ServerState:
        """Let a server serve again that was drained or disconnected."""
        return await self._command(params.name, Order.SERVE, f"{caller.user} lets it serve again")

    @changing("operator")
    async def disconnect(self, params: ServerParams, caller: Caller) -> ServerState:
        """Close the connections of a server and let it not log on again until ``resume``."""
        return await self._command(
            params.name, Order.MAINTENANCE, f"{caller.user} has disconnected it"
        )

    async def _command(self, name: str, order: Order, why: str) -> ServerState:
        servers = self._servers
        server = self._named(name)
        await servers.command(server, order, why)
        share = shares(servers.ordered())[name]
        now, wall = servers.proxy.now(), servers.proxy.wall()
        return state_of(server, servers.bindings, share, now=now, wall=wall)

    def _named(self, name: str) -> Server:
        servers = self._servers
        servers.load()
        known = servers.known.servers
        if name in known:
            return known[name]
        near = get_close_matches(name, known, n=1, cutoff=0.6)
        there = ", ".join(sorted(known)) or "none, as no plugin knows an account of one"
        said = f"did you mean '{near[0]}'?" if near else f"there are: {there}"
        raise ControlError("not found", f"there is no UC server '{name}'; {said}")
