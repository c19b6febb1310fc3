"""What the registrar reports to those who watch (``Proxy.report``)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Registered:
    """A user is at a place where it was not before; a refreshed registration is no event.

    ``user`` is an address-of-record, "" for the logon of a server itself. ``until`` is in seconds
    since 1970.
    """

    user: str
    owner: str
    contact: str
    until: float


@dataclass(frozen=True, slots=True)
class Unregistered:
    """A user is at this place no more: its server, another server or an operator said so."""

    user: str
    owner: str
    contact: str


@dataclass(frozen=True, slots=True)
class Expired:
    """A registration was not refreshed in time."""

    user: str
    owner: str
    contact: str


@dataclass(frozen=True, slots=True)
class OwnerChanged:
    """Other servers have registered a user now: their names, in the order of the alphabet."""

    user: str
    before: tuple[str, ...]
    after: tuple[str, ...]


def shown(raw: bytes) -> str:
    """What came from a client, as text for people."""
    return raw.decode("utf-8", "backslashreplace")


@dataclass(frozen=True, slots=True)
class PartnerOverLimit:
    """A partner has asked for as many different users as it may in a day (``partner_users``).

    ``seconds``: for how long others are refused.
    """

    partner: str
    users: int
    seconds: float
