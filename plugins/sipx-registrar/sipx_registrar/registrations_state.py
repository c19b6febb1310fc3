"""What is shown of registrations: the models of ``registrar.registrations`` and of the status."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pydantic import BaseModel, ConfigDict, Field

from sipx_registrar.bindings import is_logon_place
from sipx_registrar.events import shown

if TYPE_CHECKING:
    from sipx import Binding

MOST: Final = 1000
"""The largest number that can be asked for at once."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class RegistrationsParams(_Shown):
    """Which registrations."""

    user: str = ""
    """``alice``, ``alice@home.example``, or a pattern with stars; "" for all, and for the logons
    of servers themselves.
    """
    owner: str = ""
    """Only those that this account has made."""
    limit: int = Field(default=100, ge=1, le=MOST)
    """How many at most."""
    offset: int = Field(default=0, ge=0)
    """How many are left out before."""


class RemoveParams(_Shown):
    """Whose registration is taken away."""

    user: str
    """``alice``, or ``alice@home.example`` where there are several domains."""
    contact: str = ""
    """The URI where the user is registered; "" for all."""


class RegistrationState(_Shown):
    """One registration: a user, and a place where the user can be reached."""

    user: str
    """The address-of-record; "" for the logon of a server itself."""
    owner: str
    """The account that made it."""
    contact: str
    expires: float
    """In how many seconds it ends."""
    until: float
    """When it ends, in seconds since 1970."""
    since: float
    """Since when the user is registered there, in seconds since 1970."""
    q: float
    """Its preference, 0 to 1."""
    source: str
    """Where its REGISTER came from: ``tcp:10.0.0.11:5060``."""
    interface: str
    flow: int | None
    """The number of the flow it came over, while that is open."""
    path: tuple[str, ...]
    """Proxies on the way (RFC 3327)."""
    instance: str
    """The client, where it says so (RFC 5626)."""
    reg_id: int
    """Which of the client's flows; 0: it says nothing."""
    bulk: bool
    """Whether it stands for all telephone numbers of its account (RFC 6140)."""
    user_agent: str


class RegistrationList(_Shown):
    """Some of them."""

    registrations: tuple[RegistrationState, ...]
    total: int
    """How many there are of what was asked for."""


class RegistrationCounts(_Shown):
    """What the status shows."""

    store: str
    """Where they live; "" while that cannot be opened."""
    users: int
    """Addresses-of-record."""
    registrations: int
    """Places of these users, and logons of servers."""


def state_of(binding: Binding, now: float) -> RegistrationState:
    """One registration; ``now`` is in seconds since 1970."""
    host = f"[{binding.address}]" if ":" in binding.address else binding.address
    return RegistrationState(
        user="" if is_logon_place(binding.aor) else shown(binding.aor),
        owner=binding.owner,
        contact=shown(binding.contact),
        expires=max(0.0, binding.expires - now),
        until=binding.expires,
        since=binding.since,
        q=binding.q / 1000,
        source=f"{binding.transport}:{host}:{binding.port}",
        interface=binding.interface,
        flow=None if binding.flow is None else binding.flow.id,
        path=tuple(map(shown, binding.path)),
        instance=shown(binding.instance.strip(b'"')),
        reg_id=binding.reg_id,
        bulk=binding.bulk,
        user_agent=shown(binding.user_agent),
    )
