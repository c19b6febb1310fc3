"""What is done about the health of UC servers: pings, connections, and the passing of time.

One service looks at all servers twice a second and whenever there is news. It decides nothing: the
state machine of sipx_registrar.server does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import trio

from sipx import SendError
from sipx.sip import Request
from sipx_registrar.states import Health, Order

if TYPE_CHECKING:
    from sipx import Target
    from sipx_registrar.server import Server
    from sipx_registrar.servers import Servers
    from sipx_registrar.ways import Way

TICK: Final = 0.5
"""Seconds between two looks."""
SAMPLE: Final = 10.0
"""Seconds between two samples of the counters that shares are made of."""
SOON: Final = 1.0
"""Seconds until the next ping of a server that has just begun to answer again."""
FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts to connect: 1, 2, 4 ... 30."""
JITTER: Final = 0.2
"""So much more or less than the interval, that servers are not all asked at once."""


@dataclass(slots=True)
class Care:
    """What is under way for one server. Times are seconds of the kernel's clock."""

    next_ping: float
    next_connection: float = 0.0
    connected_at: float = 0.0
    wait: float = FIRST_WAIT
    pinging: bool = False
    connecting: bool = False
    weight: float = 0.0
    """Its weight at the last look."""
    sent: int = 0
    """Its counter of requests at the last look."""
    waiting_since: float | None = None
    """The look before requests went there that nothing was heard after; None: none wait."""


class Watch:
    """Looks after all servers."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers
        self._proxy = servers.proxy
        self._interval = servers.config.ping_interval
        self._timeout = servers.config.ping_timeout
        self._cares: dict[Server, Care] = {}
        self._news: trio.Event | None = None
        self._looked = self._sampled = 0.0

    def wake(self, server: Server | None = None) -> None:
        """There is news of a server, or of which there are: do not wait for the next look."""
        if self._news is None:
            return
        if server is not None and server in self._cares:
            care = self._cares[server]
            if server.health is not Health.UP:
                care.next_ping = 0.0
        self._news.set()

    async def watch_servers(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """As long as the proxy runs."""
        servers = self._servers
        servers.take_charge()
        now = self._proxy.now()
        self._cares.clear()
        self._looked = self._sampled = now
        self._news = trio.Event()
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    self._look(nursery)
                    with trio.move_on_after(TICK):
                        await self._news.wait()
                    self._news = trio.Event()
        finally:
            self._news = None

    # ------------------------------------------------------------ a look

    def _look(self, nursery: trio.Nursery) -> None:
        servers = self._servers
        now = self._proxy.now()
        sample = now - self._sampled >= SAMPLE
        if sample:
            self._sampled = now
        servers.users_changed()
        for server in tuple(servers.known.servers.values()):
            care = self._cares.get(server)
            if care is None:
                first = now if server.health is not Health.UP else self._later(now)
                care = self._cares[server] = Care(next_ping=first, sent=server.sent)
            if server.forget_ended(now):
                servers.ways_changed(server)
            server.time_passes(now)
            if server.health is Health.NEVER and server.dial is None:
                servers.look_for(server)
            weight = server.weight_at(now)
            if weight != care.weight:
                care.weight = weight
                servers.known.version += 1
            if sample:
                server.sample()
            self._see_answers(server, care, now)
            self._act(server, care, now, nursery)
        if len(self._cares) > len(servers.known.servers):
            there = set(servers.known.servers.values())
            self._cares = {one: care for one, care in self._cares.items() if one in there}
        self._looked = now

    def _see_answers(self, server: Server, care: Care, now: float) -> None:
        """Requests that nothing came after for as long as a ping may take call for a ping."""
        if server.sent != care.sent:
            care.sent = server.sent
            if care.waiting_since is None:
                care.waiting_since = self._looked
        if care.waiting_since is None:
            return
        since = care.waiting_since
        if any(way.flow.last_in >= since for way in server.ways):
            care.waiting_since = None
        elif now - since >= self._timeout:
            care.waiting_since = None
            care.next_ping = 0.0

    def _act(self, server: Server, care: Care, now: float, nursery: trio.Nursery) -> None:
        if server.order is Order.MAINTENANCE:
            return
        way = next((way for way in server.ways if not way.flow.closed), None)
        if way is not None:
            if self._interval and not care.pinging and now >= care.next_ping:
                care.pinging = True
                nursery.start_soon(self._ping, server, care, way)
            if now - care.connected_at >= LONGEST_WAIT:
                care.wait = FIRST_WAIT
        elif server.dial_target is None or care.connecting:
            return
        elif now >= care.next_connection:
            # As long as it is registered, or for ever where its place is configured. Whoever takes
            # connections and ends them at once is not called without a pause.
            spread = self._proxy.random.uniform(1 - JITTER, 1 + JITTER)
            care.next_connection = now + care.wait * spread
            care.wait = min(2 * care.wait, LONGEST_WAIT)
            care.connecting = True
            nursery.start_soon(self._connect, server, care, server.dial_target)

    # ------------------------------------------------------------ pings

    async def _ping(self, server: Server, care: Care, way: Way) -> None:
        """RFC 3261 §11: OPTIONS; whatever is answered but 503 and 408 is a sign of life."""
        proxy = self._proxy
        began = proxy.now()
        server.pings += 1
        why = ""
        try:
            with trio.move_on_after(self._timeout) as scope:
                response = await proxy.send_request(self._options(way), way.target)
                if response.status == 408:
                    why = "it answered a ping with 408"
            if scope.cancelled_caught:
                why = f"no answer to a ping within {self._timeout:g} s"
        except SendError as error:
            why = f"a ping: {error}"
        finally:
            care.pinging = False
        now = proxy.now()
        if way.flow.closed:
            care.next_ping = now  # that it was lost says all; another way is asked at once
            return
        if why:
            server.missed(why, now)
        else:
            server.answered(now, now - began)
        care.next_ping = self._next_ping(server, now, missed=bool(why))

    def _next_ping(self, server: Server, now: float, *, missed: bool) -> float:
        if server.health is Health.UP:
            return self._later(now)
        if not missed:
            return now + min(self._interval, SOON)
        return now + min(self._interval, self._timeout)

    def _later(self, now: float) -> float:
        return now + self._interval * self._proxy.random.uniform(1 - JITTER, 1 + JITTER)

    def _options(self, way: Way) -> Request:
        contact = way.contact
        # RFC 6140 §5.2: a contact with bnc is a pattern for contacts, and no Request-URI.
        if not contact or b";bnc" in contact:
            host = way.flow.address
            contact = b"sip:" + (f"[{host}]" if ":" in host else host).encode()
        domain = min(self._proxy.domains)
        tag = b"%x" % self._proxy.random.getrandbits(48)
        return Request.build(
            b"OPTIONS",
            contact,
            (
                (b"From", b"<sip:%b>;tag=%b" % (domain, tag)),
                (b"To", b"<%b>" % contact),
                (b"Accept", b"*/*"),
            ),
        )

    # ------------------------------------------------------------ connections

    async def _connect(self, server: Server, care: Care, target: Target) -> None:
        """A connection to where the server is; again after a while if there is none."""
        proxy = self._proxy
        try:
            flow = await proxy.open_flow(target)
        except SendError as error:
            server.could_not_connect(str(error), proxy.now())
            return
        finally:
            care.connecting = False
        if server.order is Order.MAINTENANCE or not self._servers.has(server):
            flow.close("this server is not wanted any more")
            return
        care.connected_at = care.next_ping = proxy.now()
        self._servers.connected(server, flow)
