"""The method ``federation.status`` of the control API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx_open_federation.federation_state import FederationState, federation_state

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx import Proxy
    from sipx_open_federation.relations import Relations


class FederationMethods:
    """What can be asked while the proxy runs."""

    def __init__(self, relations: Relations, proxy: Proxy) -> None:
        self._relations = relations
        self._proxy = proxy

    def methods(self) -> dict[str, Callable[..., object]]:
        """By name."""
        return {"federation.status": self.status}

    async def status(self) -> FederationState:
        """Whether partners can reach us: the certificate, the SRV records that match it, what
        listens there, and who is connected now. Asks the DNS.
        """
        return await federation_state(self._relations, self._proxy, running=True)
