"""Changes that are meant and not made yet: the bindings as they will be once all is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx import BindingChange

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipx import Binding
    from sipx_registrar.bindings import Bindings


class Draft:
    """The bindings with the changes of some REGISTERs, in the order in which these came.

    RFC 3261 §10.3 item 8: bindings "MUST be committed (that is, made visible to the proxy or
    redirect server) if and only if all binding updates and additions succeed".
    """

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self._places: dict[bytes, tuple[Binding, ...]] = {}
        self._owned: dict[str, int] = {}

    def of(self, aor: bytes) -> tuple[Binding, ...]:
        """The bindings of an address-of-record."""
        found = self._places.get(aor)
        return tuple(self._bindings.of(aor)) if found is None else found

    def owned_by(self, owner: str) -> int:
        """How many addresses-of-record an account will have bindings of."""
        return self._bindings.owned_by(owner) + self._owned.get(owner, 0)

    def put(self, aor: bytes, after: tuple[Binding, ...]) -> None:
        """These are the bindings of an address-of-record from now on."""
        old = {each.owner for each in self.of(aor)}
        new = {each.owner for each in after}
        for owner in old ^ new:
            self._owned[owner] = self._owned.get(owner, 0) + (1 if owner in new else -1)
        self._places[aor] = after

    def changes(self) -> list[BindingChange]:
        """What a store has to be told, and the table."""
        return [change for aor, after in self._places.items() for change in self._at(aor, after)]

    def _at(self, aor: bytes, after: tuple[Binding, ...]) -> Iterator[BindingChange]:
        before = {each.key: each for each in self._bindings.of(aor)}
        for binding in after:
            if before.pop(binding.key, None) is not binding:
                yield BindingChange(aor, binding.key, binding)
        for key in before:
            yield BindingChange(aor, key, None)
