"""Flows: "a bidirectional stream of datagrams or a TCP connection between two hosts" (RFC 5626)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sipx.interfaces import host_port

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from sipx.identity import Examination
    from sipx.interfaces import Interface
    from sipx.plugin import Peer
    from sipx.sip.head import Shapes
    from sipx.sip.parser import StreamParser

PING: Final = b"\r\n\r\n"
PONG: Final = b"\r\n"


class Flow(ABC):
    """One way to one peer: a connection, or an address behind a UDP socket.

    ``address`` and ``port`` are the peer's; ``outbound`` tells who opened it. ``peer`` is set by
    the hook ``authenticate_peer``. Times are seconds of the kernel's clock. ``via_head`` and
    ``plain_sent_by`` are the parts of messages that are the same for the whole flow.
    """

    __slots__ = (
        "account",
        "account_until",
        "address",
        "carries_requests",
        "closed",
        "exact_sent_by",
        "examined",
        "id",
        "interface",
        "keep_until",
        "last_in",
        "lost",
        "may_alias",
        "messages_in",
        "messages_out",
        "opened_at",
        "outbound",
        "parser",
        "peer",
        "ping_every",
        "plain_sent_by",
        "port",
        "reliable",
        "secure",
        "shapes",
        "transport",
        "via_head",
    )

    def __init__(
        self, interface: Interface, address: str, port: int, now: float, *, outbound: bool
    ) -> None:
        transport = interface.transport
        self.id = 0
        self.interface = interface
        self.transport = transport.name
        self.reliable = transport.reliable
        self.secure = transport.secure
        self.address = address
        self.port = port
        self.outbound = outbound
        self.opened_at = self.last_in = now
        self.messages_in = self.messages_out = 0
        self.carries_requests = False
        """Whether requests went out here whose transactions must hear of its end."""
        self.closed = False
        self.peer: Peer | None = None
        self.account = ""
        """The account that proved itself here last; set by whoever checked its credentials."""
        self.account_until = 0.0
        """Until when a live registration of that account on this flow authorises its requests."""
        self.examined: Examination | None = None
        """What its peer's certificate was found to be; None where there is none."""
        self.lost = ""
        """Why its peer did not want it after all: then requests on it end with 502."""
        self.may_alias = False
        """Whether its peer may ask for requests on this connection (RFC 5923)."""
        self.keep_until = 0.0
        """Until when it is not closed for being idle: something of its peer's lives longer."""
        self.ping_every = 0.0
        """Seconds between keepalives that its peer asked for; 0: what [limits] says."""
        self.parser: StreamParser | None = None
        self.shapes: Shapes = {}
        """What the parser learned from this peer's datagrams."""
        self.via_head = interface.via_head()
        self.plain_sent_by = b" %b:" % address.encode()
        self.exact_sent_by = b" %b:%d " % (address.encode(), port)

    @property
    def name(self) -> str:
        """``udp:192.0.2.1:5060``: how logs and records call it."""
        return f"{self.transport}:{host_port(self.address, self.port).decode()}"

    @abstractmethod
    def send(self, data: bytes) -> bool:
        """Send one message, or queue it until the end of the batch. False: the flow is dead."""

    @abstractmethod
    def close(self, reason: str) -> None:
        """End it; the transport then reports it closed."""

    def alias(self, port: int) -> None:  # noqa: B027  # only secured connections do something
        """RFC 5923 §8: its peer, which listens on ``port``, takes requests on this connection."""

    def hold(self, seconds: float) -> None:  # noqa: B027  # a datagram socket has other peers
        """Read nothing more from its peer for so long: TCP then slows the peer down."""

    def doubt(self) -> None:  # noqa: B027  # a datagram socket has no connection to lose
        """Its peer may not be reached any more on it: find out."""

    def overdue(self, now: float) -> str | None:
        """Why this flow has to be closed now, or None (SEC-15)."""
        return None

    def same_peer(self, other: Flow) -> bool:
        """Whether a response on ``other`` may answer a request that went out here.

        The connection itself, or one of the same kind from the same address: a peer whose
        connection broke opens a new one (RFC 3261 §18.2.2).
        """
        return self is other or (
            self.transport == other.transport and self.address == other.address
        )


@dataclass(frozen=True, slots=True)
class FlowStatistics:
    """How many flows there are."""

    open: int
    opened: int
    closed: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over the flows of one interface, those that have ended included.

    ``outbound`` is how many of the ``open`` ones were opened by this proxy. All but these two
    only grow.
    """

    open: int = 0
    outbound: int = 0
    opened: int = 0
    messages_in: int = 0
    messages_out: int = 0


class _Account:
    """The flows of one interface: the open ones, and what those that ended have carried."""

    __slots__ = ("messages_in", "messages_out", "open", "opened", "outbound")

    def __init__(self) -> None:
        self.open: dict[int, Flow] = {}
        self.outbound = self.opened = self.messages_in = self.messages_out = 0

    def add(self, flow: Flow) -> None:
        self.open[flow.id] = flow
        self.opened += 1
        self.outbound += flow.outbound

    def remove(self, flow: Flow) -> None:
        del self.open[flow.id]
        self.outbound -= flow.outbound
        self.messages_in += flow.messages_in
        self.messages_out += flow.messages_out

    def total(self) -> Traffic:
        flows = self.open.values()
        return Traffic(
            len(flows),
            self.outbound,
            self.opened,
            self.messages_in + sum([flow.messages_in for flow in flows]),
            self.messages_out + sum([flow.messages_out for flow in flows]),
        )


class FlowTable:
    """All flows, and the ones that have something to write at the end of a batch."""

    def __init__(self, *, limit: int = 50_000) -> None:
        self._flows: dict[int, Flow] = {}
        self._strangers: OrderedDict[Flow, float] = OrderedDict()
        self._logged_on: OrderedDict[Flow, float] = OrderedDict()
        """Datagram flows in the order in which they make room, with when they had been heard last
        as they were put at the end."""
        self._accounts: dict[str, _Account] = {}
        self._limit = limit
        self._next = 1
        self._opened = self._closed = 0
        self.dirty: list[Callable[[], None]] = []
        """Flushes due at the end of this batch; a stream flow appends its own once."""

    def __iter__(self) -> Iterator[Flow]:
        return iter(list(self._flows.values()))

    def __len__(self) -> int:
        return len(self._flows)

    def add(self, flow: Flow) -> None:
        """Give the flow its id. In a full table a datagram flow makes room for it."""
        if len(self._flows) >= self._limit:
            self._make_room()
        flow.id = self._next
        self._next += 1
        self._opened += 1
        self._flows[flow.id] = flow
        if not flow.reliable:
            self._strangers[flow] = flow.last_in
        account = self._accounts.get(flow.interface.name)
        if account is None:
            account = self._accounts[flow.interface.name] = _Account()
        account.add(flow)

    def _make_room(self) -> None:
        """Close a datagram flow that has been silent since it was looked at last.

        Those that somebody has logged on over come last. A flow is put at the end only when
        its peer has logged on or was heard, so a flood of new addresses costs no search (SEC-19).
        """
        for waiting in (self._strangers, self._logged_on):
            while waiting:
                flow, heard = waiting.popitem(last=False)
                if flow.account and waiting is self._strangers:
                    self._logged_on[flow] = flow.last_in
                elif flow.last_in > heard:
                    waiting[flow] = flow.last_in
                else:
                    flow.close("table full")
                    return

    def remove(self, flow: Flow) -> bool:
        """Forget the flow; False when it was not there."""
        if self._flows.pop(flow.id, None) is None:
            return False
        if not flow.reliable:
            self._strangers.pop(flow, None)
            self._logged_on.pop(flow, None)
        self._closed += 1
        self._accounts[flow.interface.name].remove(flow)
        return True

    def get(self, number: int) -> Flow | None:
        """The open flow with this id."""
        return self._flows.get(number)

    def connections(self) -> int:
        """How many of them are connections."""
        return sum(flow.reliable for flow in self._flows.values())

    def traffic(self) -> dict[str, Traffic]:
        """What each interface has carried, by its name: a few milliseconds for a full table."""
        return {name: account.total() for name, account in self._accounts.items()}

    def forget_accounts(self, kept: Collection[str]) -> None:
        """Interfaces that are not there any more are not counted any more."""
        for name in [name for name in self._accounts if name not in kept]:
            if not self._accounts[name].open:
                del self._accounts[name]

    def flush(self) -> None:
        """Write what stream flows have queued: one send per connection and batch."""
        dirty = self.dirty
        while dirty:
            due = dirty[:]
            dirty.clear()
            for write in due:
                write()

    def statistics(self) -> FlowStatistics:
        """Counts since the start."""
        return FlowStatistics(len(self._flows), self._opened, self._closed)
