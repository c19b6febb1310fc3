"""The methods of the control API about partners."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sipx import Caller, ControlError, Done, canonical_domain, changing
from sipx_open_federation.partners_state import (
    ForgetParams,
    PartnerList,
    PartnersParams,
    state_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Proxy
    from sipx_open_federation.book import Entry
    from sipx_open_federation.relations import Relations


class PartnerMethods:
    """What can be asked and done while the proxy runs."""

    def __init__(self, relations: Relations, proxy: Proxy) -> None:
        self._relations = relations
        self._proxy = proxy

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name."""
        return {"federation.partners": self.list_partners, "federation.forget": self.forget}

    def list_partners(self, params: PartnersParams) -> PartnerList:
        """The discovered partners: who they are, what proves it, what was exchanged."""
        found = self._asked_for(params)
        some = found[params.offset : params.offset + params.limit]
        states = tuple(state_of(entry, self._relations, self._proxy) for entry in some)
        return PartnerList(partners=states, total=len(found))

    def _asked_for(self, params: PartnersParams) -> list[Entry]:
        book = self._relations.book
        wanted = params.domain.strip().lower()
        if wanted and "*" not in wanted:
            entry = book.entry(_domain(wanted))
            found = [] if entry is None else [entry]
        else:
            pattern = re.compile(".*".join(map(re.escape, wanted.split("*"))) if wanted else ".*")
            found = [entry for entry in book.entries() if pattern.fullmatch(entry.domain)]
        if params.connected:
            connected = self._relations.connected()
            found = [entry for entry in found if entry.domain.encode() in connected]
        return found

    @changing("operator")
    def forget(self, params: ForgetParams, caller: Caller) -> Done:
        """Take a partner out of the list; with the next contact it is in again."""
        domain = _domain(params.domain)
        if not self._relations.book.forget(domain):
            raise ControlError("not found", f"there is no partner {domain.decode()}")
        return Done(text=f"{domain.decode()} is forgotten")


def _domain(text: str) -> bytes:
    """Raises ControlError."""
    try:
        return canonical_domain(text)
    except ValueError as error:
        raise ControlError("params", str(error)) from None
