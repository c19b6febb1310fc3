"""What this plugin reports to those who watch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoggedOn:
    """An account has proven itself on a flow. ``how``: password, certificate or address.

    ``elsewhere`` are the addresses that it is logged on from besides.
    """

    account: str
    address: str
    flow: str
    how: str
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggedOff:
    """A flow that an account had proven itself on is not its own any more, and why."""

    account: str
    address: str
    flow: str
    reason: str


@dataclass(frozen=True, slots=True)
class LogonRefused:
    """Wrong credentials: ``failures`` in a row for this user name from this source."""

    user: str
    address: str
    failures: int


@dataclass(frozen=True, slots=True)
class SourceBanned:
    """A source gets no answer for ``seconds``. ``source`` is an address, of IPv6 its /64."""

    source: str
    seconds: float
    failures: int


@dataclass(frozen=True, slots=True)
class BanEnded:
    """A source is answered again: ``reason`` says whether time passed or somebody ended it."""

    source: str
    reason: str
