"""Frozen records for those who watch: nobody can change a message by changing one of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import JsonValue


class Direction(Enum):
    """Which way a message crossed the proxy's edge."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One finished request, shaped after the SIP common log format (RFC 6872 §4).

    Times are seconds of the kernel's clock. ``status`` is 0 when no response was sent (ACK, or
    a request other than INVITE that timed out: RFC 4320 §4.2).
    """

    started: float
    ended: float
    method: bytes
    uri: bytes
    status: int
    from_uri: bytes
    from_tag: bytes
    to_uri: bytes
    to_tag: bytes
    call_id: bytes
    cseq: bytes
    server: str
    """Name of the flow the request came on: ``udp:192.0.2.1:5060``."""
    client: str
    """Name of the flow of the branch that answered, "" when the proxy answered itself."""
    sender: str
    """Name of the accepted sender, "" when it was refused."""
    interface: str
    branches: int
    server_transaction: bytes = b""
    """The branch of the topmost Via of the request."""
    client_transaction: bytes = b""
    """The branch that the proxy gave to the try that answered; empty where there was none."""


class ProxyDecision:
    """One step in what became of a request, for whoever wants to know why.

    ``step`` is one of

    =========  =====================================================================
    sender     who sends it, and which plugin says so
    refused    it goes no further: the status, and why
    route      it is within a dialog, or a Path of ours leads it (RFC 3261 §16.4)
    served     a plugin, or the proxy itself, is the user agent server
    targets    the target set (§16.5), and which plugin has it
    hops       where a target can be reached (RFC 3263), what the DNS said, what is not tried
    branch     it leaves for one hop, or has ended without a response
    failover   the next hop is tried
    answer     the final response that goes back, and where it came from
    =========  =====================================================================

    ``text`` is an English sentence, ``data`` the same for programs. Both are made when they are
    first asked for, so that a step costs SIP little: ask soon, but not on the way of the message.
    """

    __slots__ = ("_make", "_told", "step")

    def __init__(self, step: str, make: Callable[[], tuple[str, Mapping[str, JsonValue]]]) -> None:
        self.step = step
        self._make = make
        self._told: tuple[str, Mapping[str, JsonValue]] | None = None

    @property
    def text(self) -> str:
        """A sentence."""
        return self._tell()[0]

    @property
    def data(self) -> Mapping[str, JsonValue]:
        """The same for programs."""
        return self._tell()[1]

    def _tell(self) -> tuple[str, Mapping[str, JsonValue]]:
        if self._told is None:
            self._told = self._make()
        return self._told


@dataclass(frozen=True, slots=True)
class InterfaceChanged:
    """A listener is in another state: "off", "starting", "listening", "draining", "failed", or
    "removed" from the configuration.
    """

    name: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProxyChanged:
    """The proxy service is "running", "draining" or "stopped"."""

    state: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read again: what came of it, or why the old one runs on."""

    changes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A plugin broke a promise: which, where, and what it raised."""

    plugin: str
    where: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class PublicAddressChanged:
    """An interface is advertised as something else: ``host:port`` in the place of its own address,
    "" where that stands itself.
    """

    interface: str
    before: str
    now: str
