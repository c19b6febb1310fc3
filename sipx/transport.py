"""What a transport is, and the kernel as it sees it (RFC 3261 §18)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.flows import Flow
    from sipx.identity import Partner
    from sipx.interfaces import Interface
    from sipx.resolver import Hop
    from sipx.sip.parser import Limits


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Deadlines of connections in seconds, and the bound of a write queue in bytes (SEC-15)."""

    first_message: float = 10.0
    head: float = 10.0
    body: float = 10.0
    idle: float = 600.0
    keepalive: float = 100.0
    handshake: float = 8.0
    pong: float = 10.0
    write_queue: int = 1 << 20


class Receiver(Protocol):
    """The kernel as a transport sees it. Nothing here waits."""

    @property
    def limits(self) -> Limits:
        """The sizes above which input is refused."""
        ...

    @property
    def stream_limits(self) -> StreamLimits:
        """The deadlines and bounds of connections."""
        ...

    def flush_later(self, write: Callable[[], None]) -> None:
        """Call ``write`` at the end of this batch."""
        ...

    def now(self) -> float:
        """Seconds of the kernel's clock."""
        ...

    def datagram(self, data: bytes, flow: Flow) -> None:
        """One datagram came in on ``flow``."""
        ...

    def stream(self, data: bytes, flow: Flow) -> bool:
        """Bytes came in on ``flow``; False: the stream is to be closed."""
        ...

    def batch_begins(self) -> None:
        """Before the first message of a batch: the clock is read once for all of it."""
        ...

    def batch_ends(self) -> None:
        """After a batch: what was queued on stream flows is written now."""
        ...

    def opened(self, flow: Flow) -> None:
        """A flow came into being."""
        ...

    def closed(self, flow: Flow, reason: str) -> None:
        """A flow ended; requests that wait for it fail as RFC 3261 §16.9 says."""
        ...

    def admits(self, address: str, interface: Interface) -> str | None:
        """None if one more connection from ``address`` is welcome there, else why not."""
        ...

    def handshake_begins(self, address: str) -> None:
        """A connection that is no flow yet counts as one from now on."""
        ...

    def handshake_ends(self, address: str) -> None:
        """It has become a flow, or has failed."""
        ...

    def bug(self, error: Exception, where: str) -> None:
        """Something that no transport expects went wrong with one connection; it costs no other."""
        ...

    def trouble(self, kind: str, name: str, text: str) -> None:
        """What does not work, in words, for the log and the status; "" says that it works again.

        ``kind`` is "interface" or "partner", ``name`` the interface's or the partner's.
        """
        ...


class Bound(Protocol):
    """Where a transport says that it listens."""

    def started(self, value: tuple[str, int]) -> None:
        """The address and port that are really bound."""
        ...


class Transport(Protocol):
    """RFC 3261 §18: how messages of one protocol reach the network.

    ``name`` is the protocol of the TOML files (``udp``); ``via`` what stands in a Via header
    (``UDP``). ``reliable`` and ``secure`` steer timers and ``sips``.
    """

    name: str
    via: bytes
    reliable: bool
    secure: bool
    default_port: int

    async def listen(
        self,
        interface: Interface,
        receiver: Receiver,
        *,
        task_status: Bound,
    ) -> None:
        """Serve ``interface`` until cancelled; ``started()`` with the address really bound.

        Raises OSError when the address cannot be bound: the kernel shows that as the
        interface's status and tries again.
        """
        ...

    def flow_to(
        self, interface: Interface, address: str, port: int, partner: Partner | None = None
    ) -> Flow | None:
        """A flow that is there already, or can be made without waiting; else None.

        A secured transport gives only one whose other end was proven to be ``partner``.
        """
        ...

    async def connect(self, interface: Interface, hop: Hop, partner: Partner | None = None) -> Flow:
        """Open a flow. Raises OSError; the kernel sets the deadline.

        A secured transport raises TlsError when the other end is not ``partner``.
        """
        ...
