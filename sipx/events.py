"""Frozen records for those who watch: nobody can change a message by changing one of these."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


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
