"""Somebody with a good certificate who says that he is somebody else: the refusal of the show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import trio

from sipx.demo.configuration import ADDRESS
from sipx.demo.people import ALICE, DAVE, STRANGER
from sipx.demo.zone import host_of
from sipx.testing.asking import NoAnswerError
from sipx.testing.peer import UserAgent, running
from sipx.testing.tls_carrier import TlsCarrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipx.demo.ledger import Ledger
    from sipx.demo.papers import Papers
    from sipx.demo.scenario import Scenario
    from sipx.sip import Response
    from sipx.testing.carriers import Place

WRITES: Final = "Alice, here is our new bank account."
APPEARS: Final = 1.6
"""Beats from the start of the show."""


class Refusal(NamedTuple):
    """How it ended: who it was, who he said he was, the status, and the proxy's words."""

    who: str
    claimed: str
    status: int
    why: str


class Stranger:
    """The server of a domain that nobody knows. ``proxy`` is where it connects to."""

    def __init__(
        self, papers: Papers, proxy: Place, ledger: Ledger, say: Callable[[str], None]
    ) -> None:
        self.refusal: Refusal | None = None
        """Once it has happened."""
        self._papers = papers
        self._proxy = proxy
        self._ledger = ledger
        self._say = say

    async def run(self, scenario: Scenario) -> None:
        """Wait for the right moment, and try it once."""
        if not await scenario.pause(APPEARS):
            return
        carrier = TlsCarrier(ADDRESS, 0, **self._papers._asdict())
        agent = UserAgent(f"sip:{host_of(STRANGER)}", carrier, proxy=self._proxy)
        async with running(agent):
            await self._write(agent)

    async def _write(self, agent: UserAgent) -> None:
        words = f"MESSAGE from {host_of(STRANGER)}, which says it is {DAVE}, to {ALICE}"
        started = trio.current_time()
        try:
            response = await agent.message(ALICE.uri, WRITES, sender=DAVE.uri)
        except NoAnswerError as error:
            self._ledger.failures.append(f"{words}: {error}")
            return
        self._ledger.turned_away(words, response.status, trio.current_time() - started)
        self.refusal = Refusal(host_of(STRANGER), str(DAVE), response.status, warning(response))
        self._say(
            f"{host_of(STRANGER)} has written to {ALICE.name} as {DAVE}, and is refused with "
            f"{response.status} {response.reason.decode()}: {self.refusal.why}"
        )


def warning(response: Response) -> str:
    """The text of its Warning header (RFC 3261 §20.43); "" where there is none."""
    return (response.get(b"Warning") or b"").partition(b'"')[2].rstrip(b'"').decode()
