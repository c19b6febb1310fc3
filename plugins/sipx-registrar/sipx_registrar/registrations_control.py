"""The methods of the control API about registrations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio

from sipx import Caller, ControlError, UserSet, changing, pattern_refusal
from sipx_registrar.bindings import is_logon_place
from sipx_registrar.events import shown
from sipx_registrar.registrations_state import (
    RegistrationList,
    RegistrationsParams,
    RemoveParams,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence

    from sipx import Proxy
    from sipx_registrar.bindings import Bindings
    from sipx_registrar.writing import Writing

SLICE: Final = 2000
"""Places that are looked at without letting others run: about a millisecond."""


class RegistrationMethods:
    """What can be asked about registrations, and how one is ended."""

    def __init__(self, proxy: Proxy, bindings: Bindings, writing: Writing) -> None:
        self._proxy = proxy
        self._bindings = bindings
        self._writing = writing

    def methods(self) -> Mapping[str, Callable[..., object]]:
        """All of them by name."""
        return {"registrar.registrations": self.list, "registrar.remove": self.remove}

    async def list(self, params: RegistrationsParams) -> RegistrationList:
        """The registrations: who is where, since when, until when, and by whose word."""
        now = self._proxy.wall()
        wanted: Container[bytes] | None = None
        places: Iterable[bytes] = tuple(self._bindings.places())
        if params.user:
            if wrong := pattern_refusal(params.user):
                raise ControlError("params", wrong)
            wanted = UserSet((params.user,))
            if "*" not in params.user:
                places = self._spelled_out(params.user)
        found = []
        total = 0
        first, last = params.offset, params.offset + params.limit
        for number, place in enumerate(places, 1):
            if number % SLICE == 0:
                await trio.lowlevel.checkpoint()
            if wanted is not None and (is_logon_place(place) or place not in wanted):
                continue
            for binding in self._bindings.of(place):
                if params.owner in ("", binding.owner):
                    if first <= total < last:
                        found.append(state_of(binding, now))
                    total += 1
        return RegistrationList(registrations=tuple(found), total=total)

    @changing("operator")
    async def remove(self, params: RemoveParams, caller: Caller) -> RegistrationList:
        """End registrations of a user: the client is not told, and may register again."""
        now = self._proxy.wall()
        there = [
            binding
            for place in self._spelled_out(params.user)
            for binding in self._bindings.of(place)
        ]
        if not there:
            raise ControlError("not found", f"{params.user} is not registered")
        if len({binding.aor for binding in there}) > 1:
            users = " and ".join(sorted({shown(binding.aor) for binding in there}))
            raise ControlError("params", f"{params.user} is registered as {users}; name one")
        gone = [each for each in there if params.contact in ("", shown(each.contact))]
        if not gone:
            places = ", ".join(shown(each.contact) for each in there)
            raise ControlError(
                "not found",
                f"{params.user} is not registered at {params.contact}; registered at: {places}",
            )
        refuse = await self._writing.remove(gone)
        if refuse is not None:
            raise ControlError("failed", refuse.why)
        return RegistrationList(
            registrations=tuple(state_of(each, now) for each in gone), total=len(gone)
        )

    def _spelled_out(self, user: str) -> Sequence[bytes]:
        """The addresses-of-record that a name without stars can mean."""
        name = user.strip().lower()
        if "@" in name:
            return [name.encode()]
        return [f"{name}@".encode() + domain for domain in sorted(self._proxy.domains)]
