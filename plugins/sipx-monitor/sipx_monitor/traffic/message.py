"""One message as it is kept."""

from __future__ import annotations

from sys import intern
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from sipx_monitor.traffic.dialogs import Dialog
    from sipx_monitor.traffic.head import Head
    from sipx_monitor.traffic.transactions import Transaction

OVERHEAD: Final = 2300
"""Bytes that a message costs beside its own text, in a dialog of its own; less in a longer one."""


class Way(NamedTuple):
    """Where a message passed: what its flow says of itself."""

    interface: str
    transport: str
    local: str
    remote: str
    tls: bool


class Seen(NamedTuple):
    """A message at the edge, before anything is known of it. ``time`` is monotonic, ``wall`` in
    seconds since 1970. ``data`` are the bytes where no ``start`` and ``lines`` are there.
    """

    time: float
    wall: float
    inwards: bool
    way: Way
    peer: str
    start: bytes
    lines: list[bytes]
    body: bytes
    fault: str = ""
    note: str = ""
    marked: str = ""
    without_body: bool = False
    """Whether it had a body which whoever recorded it did not keep."""


class Message:
    """A message in the store. Credentials are masked in ``head`` and ``body``.

    ``body_state`` is "none" (it had none), "kept" or "dropped". ``twin`` is the ``seq`` of the same
    message on the other side of the proxy, 0 where there is none.
    """

    __slots__ = (
        "body",
        "body_state",
        "body_type",
        "branch",
        "call_id",
        "cseq",
        "dialog",
        "domains",
        "fault",
        "from_tag",
        "from_uri",
        "head",
        "inwards",
        "leg",
        "marked",
        "method",
        "note",
        "peer",
        "reason",
        "retransmission",
        "rtt",
        "seq",
        "size",
        "status",
        "subscription",
        "time",
        "to_tag",
        "to_uri",
        "transaction",
        "twin",
        "uri",
        "wall",
        "way",
    )

    dialog: Dialog | None
    transaction: Transaction | None
    body_state: Literal["none", "kept", "dropped"]
    rtt: float | None

    def __init__(self, seq: int, seen: Seen, head: Head) -> None:
        self.seq = seq
        self.time = seen.time
        self.wall = seen.wall
        self.inwards = seen.inwards
        self.way = seen.way
        self.peer = seen.peer
        self.note = seen.note
        self.marked = seen.marked
        self.fault = seen.fault or head.fault
        # The messages of a dialog say the same: their texts are one in memory.
        self.method = intern(head.method)
        self.status = head.status
        self.reason = intern(head.reason)
        self.uri = intern(head.uri)
        self.from_uri = intern(head.from_uri)
        self.to_uri = intern(head.to_uri)
        self.from_tag = intern(head.from_tag)
        self.to_tag = intern(head.to_tag)
        self.call_id = intern(head.call_id)
        self.cseq = intern(head.cseq)
        self.branch = head.top.branch.decode("ascii", "backslashreplace")
        self.domains = head.domains
        self.subscription = intern(head.subscription)
        self.body_type = intern(head.body_type)
        self.head = b""
        self.body = b""
        self.body_state = "none"
        self.size = 0
        self.retransmission = False
        self.rtt = None
        self.leg = 0
        self.twin = 0
        self.dialog = None
        self.transaction = None

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return len(self.head) + len(self.body) + OVERHEAD

    @property
    def sdp(self) -> bool:
        """Whether it carries a session description."""
        return self.body_state != "none" and self.body_type == "application/sdp"

    @property
    def source(self) -> str:
        """The address it came from."""
        return self.way.remote if self.inwards else self.way.local

    @property
    def target(self) -> str:
        """The address it went to."""
        return self.way.local if self.inwards else self.way.remote

    @property
    def trusted(self) -> bool | None:
        """Whether its sender was found trustworthy; None where nobody said so."""
        return None if self.transaction is None else self.transaction.trusted

    @property
    def start(self) -> str:
        """Its first line."""
        from sipx_monitor.traffic.head import shown

        return shown(self.head.partition(b"\r\n")[0])

    def lines(self) -> list[bytes]:
        """Its header lines."""
        return self.head.split(b"\r\n")[1:]
