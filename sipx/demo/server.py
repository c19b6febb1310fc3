"""The server of one domain: a testing user agent that keeps book, and its users' presence."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from sipx.demo.people import AVAILABLE
from sipx.sip import SipUri
from sipx.sip.headers import MAX_EXPIRES, digits
from sipx.testing.asking import NoAnswerError
from sipx.testing.dialog import Dialog
from sipx.testing.peer import UserAgent
from sipx.testing.sessions import Notifier

if TYPE_CHECKING:
    from sipx.demo.ledger import Ledger
    from sipx.demo.people import Person
    from sipx.flows import Flow
    from sipx.sip import Request
    from sipx.sip.transaction import ServerTransaction
    from sipx.testing.asking import Asking
    from sipx.testing.carriers import Carrier

ENDED: Final = "terminated;reason=timeout"
"""Subscription-State of the last NOTIFY."""


class Server(UserAgent):
    """Speaks for all users of ``domain``; every request it sends or gets is in the ledger.

    ``proxy`` is set once the proxy listens.
    """

    def __init__(self, domain: str, carrier: Carrier, ledger: Ledger, *, ring: float) -> None:
        super().__init__(f"sip:server@{domain}", carrier, ring=ring)
        self.domain = domain
        self.ledger = ledger
        self._states: dict[bytes, str] = {}
        self._watchers: dict[bytes, dict[Notifier, trio.Lock]] = {}
        self.on("SUBSCRIBE", _accept_watcher)

    # ------------------------------------------------------------ the book

    async def ask(self, request: Request) -> Asking:
        """Send a request, and note what becomes of it. Raises NoAnswerError."""
        self.ledger.sent(request)
        started = trio.current_time()
        try:
            asking = await super().ask(request)
        except NoAnswerError as error:
            self.ledger.failed(request, str(error))
            raise
        self.start_soon(self._note_answer, asking, started)
        return asking

    async def _note_answer(self, asking: Asking, started: float) -> None:
        await asking.done.wait()
        if asking.final is None:
            self.ledger.failed(asking.request, asking.failure)
        else:
            round_trip = trio.current_time() - started
            self.ledger.answered(asking.request, asking.final.status, round_trip)

    async def send_ack(self, request: Request) -> None:
        """Send an ACK, and note it. Raises NoAnswerError."""
        self.ledger.sent(request)
        try:
            await super().send_ack(request)
        except NoAnswerError as error:
            self.ledger.failed(request, str(error))
            raise

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A request is here."""
        self.ledger.delivered(request, self.domain)
        super().on_request(request, transaction, flow)

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK is here."""
        self.ledger.delivered(request, self.domain)
        super().on_ack(request, flow)

    # ------------------------------------------------------------ presence

    def turn(self, person: Person, state: str) -> None:
        """Somebody's presence changes: all who watch are told."""
        user = person.name.encode()
        self._states[user] = state
        for watcher, turns in self._watchers.get(user, {}).items():
            self.ledger.promise()
            self.start_soon(self._tell, watcher, turns, user, "active;expires=3600")

    async def accept_watcher(self, request: Request) -> None:
        """SUBSCRIBE (RFC 6665 §4.2.1): 200, and at once a NOTIFY with the state."""
        user = SipUri.parse(request.to.uri).user or b""
        watchers = self._watchers.setdefault(user, {})
        known = self.session(request)
        if request.to.tag is not None and (
            not isinstance(known, Notifier) or known not in watchers
        ):
            self.reply(request, 481)
            return
        expires = digits(request.get(b"Expires") or b"3600", MAX_EXPIRES)
        self.ledger.promise()
        response = self.reply(request, 200, headers=((b"Expires", b"%d" % expires),))
        if isinstance(known, Notifier):
            watcher = known
        else:
            watcher = Notifier(self, Dialog.of_callee(request, response), b"presence")
            self.dialogs[watcher.dialog.key] = watcher
            watchers[watcher] = trio.Lock()
        turns = watchers[watcher]
        if expires:
            await self._tell(watcher, turns, user, f"active;expires={expires}")
        else:
            del watchers[watcher]
            await self._tell(watcher, turns, user, ENDED)

    async def _tell(
        self, watcher: Notifier, turns: trio.Lock, user: bytes, subscription: str
    ) -> None:
        """One NOTIFY after the other, and none behind the one that ends the subscription."""
        async with turns:
            if subscription == ENDED or watcher in self._watchers[user]:
                state = self._states.get(user, AVAILABLE)
                with suppress(NoAnswerError):  # the ledger has it
                    await watcher.notify(
                        pidf(b"%b@%b" % (user, self.domain.encode()), state), subscription
                    )
        self.ledger.kept()


async def _accept_watcher(agent: UserAgent, request: Request) -> None:
    assert isinstance(agent, Server)
    await agent.accept_watcher(request)


def pidf(address: bytes, state: str) -> bytes:
    """A presence document (RFC 3863) whose note says what the state is."""
    basic = b"open" if state == AVAILABLE else b"closed"
    return (
        b'<?xml version="1.0"?>'
        b'<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="pres:%b"><tuple id="a">'
        b"<status><basic>%b</basic></status></tuple><note>%b</note></presence>"
        % (address, basic, state.encode())
    )
