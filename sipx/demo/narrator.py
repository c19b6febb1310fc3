"""What open federation does, in words: who asks the DNS, who connects to whom, what proves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipx.demo.people import DOMAINS, STRANGER
from sipx.demo.zone import host_of, service
from sipx.plugin import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable

    import trio

    from sipx.flows import Flow
    from sipx.testing.dns import DnsServer


class Narrator:
    """The plugin that watches one proxy, that of ``domain``. ``say`` shows a line."""

    def __init__(self, domain: str, say: Callable[[str], None]) -> None:
        self._domain = domain
        self._say = say

    @hookimpl
    def flow_opened(self, flow: Flow) -> None:
        """Two proxies have shaken hands: whoever is called has said who he is."""
        if flow.examined is None:
            return
        names = ", ".join(sorted(name.decode() for name in flow.examined.certificate.ids))
        if flow.outbound:
            self._say(
                f"{self._domain} has connected to {names}, and both have shown a certificate. "
                "It is good, and names this host, which the DNS names too and which lies in the "
                "domain: that proves the partner"
            )
        elif names == host_of(STRANGER):
            self._say(f"{names} has connected to {self._domain}, with a good certificate")

    async def listen(self, dns: DnsServer) -> None:
        """Until somebody has asked the DNS who federates for this domain."""
        await dns.wait_asked(service(self._domain), "SRV")
        (other,) = set(DOMAINS) - {self._domain}
        self._say(
            f"{other} asks the DNS who speaks for {self._domain}, "
            f"and is told: {host_of(self._domain)}"
        )


def listen_all(narrators: list[Narrator], dns: DnsServer, nursery: trio.Nursery) -> None:
    """Each in a task of its own."""
    for narrator in narrators:
        nursery.start_soon(narrator.listen, dns)
