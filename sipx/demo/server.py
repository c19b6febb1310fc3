"""A server of the show: a testing user agent that keeps book, and its users' presence."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import trio

from sipx.demo.people import AVAILABLE
from sipx.sip import NameAddr, SipUri
from sipx.sip.headers import MAX_EXPIRES, digits
from sipx.testing.asking import NoAnswerError
from sipx.testing.dialog import Dialog
from sipx.testing.peer import UserAgent
from sipx.testing.registering import register
from sipx.testing.sessions import Notifier, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sipx.demo.ledger import Ledger
    from sipx.demo.people import Person
    from sipx.flows import Flow
    from sipx.sip import Request
    from sipx.sip.transaction import ServerTransaction
    from sipx.testing.asking import Asking
    from sipx.testing.carriers import Carrier
    from sipx.testing.registering import Registration

ENDED: Final = "terminated;reason=timeout"
"""Subscription-State of the last NOTIFY."""
REGISTERED_FOR: Final = 120
"""Seconds that a registration asks for; it is refreshed when half of them have passed."""


class Server(UserAgent):
    """Speaks for people of ``domain``; every request it sends or gets is in the ledger.

    ``life`` tells it from one of the same name that was stopped before. ``proxy`` is set once the
    domain's proxy listens.
    """

    def __init__(
        self, name: str, domain: str, carrier: Carrier, ledger: Ledger, *, ring: float, number: int
    ) -> None:
        super().__init__(f"sip:{name}@{domain}", carrier, ring=ring)
        self.name = name
        self.life = f"{name}/{number}"
        self.domain = domain
        self.ledger = ledger
        self._states: dict[bytes, str] = {}
        self._watchers: dict[bytes, dict[Notifier, trio.Lock]] = {}
        self.on("SUBSCRIBE", _accept_watcher)

    # ------------------------------------------------------------ logging on

    async def log_on(self, people: Iterable[Person]) -> None:
        """REGISTER for itself and for its people, kept until it ends.

        Raises RefusedError, NoAnswerError.
        """
        aors = (self.uri, *(person.uri for person in people))
        for aor in aors:
            registration = await register(self, aor, expires=REGISTERED_FOR, sender=self.uri)
            self.start_soon(self._stay, registration)

    async def _stay(self, registration: Registration) -> None:
        with suppress(NoAnswerError, RefusedError):  # the ledger has it
            await registration.keep()

    # ------------------------------------------------------------ the book

    async def ask(self, request: Request) -> Asking:
        """Send a request, and note what becomes of it. Raises NoAnswerError."""
        if request.method == b"REGISTER":
            return await self._ask_registrar(request)
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

    async def _ask_registrar(self, request: Request) -> Asking:
        """A challenge is no answer yet, unless credentials were sent already."""
        started = trio.current_time()
        asking = await super().ask(request)
        await asking.done.wait()
        status = asking.final.status if asking.final is not None else 0
        if status != 401 or request.get(b"Authorization") is not None:
            words = f"REGISTER of {SipUri.parse(request.to.uri).user!r} by {self.name}"
            self.ledger.logged_on(words, status, trio.current_time() - started)
        return asking

    async def send_ack(self, request: Request) -> None:
        """Send an ACK, and note it. Raises NoAnswerError."""
        self.ledger.sent(request)
        try:
            await super().send_ack(request)
        except NoAnswerError as error:
            self.ledger.failed(request, str(error))
            raise

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A request is here; OPTIONS asks only whether we live."""
        if request.method != b"OPTIONS":
            self.ledger.delivered(request, self.life)
        super().on_request(request, transaction, flow)

    def on_ack(self, request: Request, flow: Flow) -> None:
        """An ACK is here."""
        self.ledger.delivered(request, self.life)
        super().on_ack(request, flow)

    # ------------------------------------------------------------ presence

    def turn(self, person: Person, state: str) -> None:
        """Somebody's presence changes: all who watch are told."""
        user = person.name.encode()
        self._states[user] = state
        for watcher, turns in self._watchers.get(user, {}).items():
            self.ledger.promise(_address(watcher))
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
        response = self.reply(request, 200, headers=((b"Expires", b"%d" % expires),))
        if isinstance(known, Notifier):
            watcher = known
        else:
            watcher = Notifier(self, Dialog.of_callee(request, response), b"presence")
            self.dialogs[watcher.dialog.key] = watcher
            watchers[watcher] = trio.Lock()
        turns = watchers[watcher]
        self.ledger.promise(_address(watcher))
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
                document = pidf(b"%b@%b" % (user, self.domain.encode()), state)
                with suppress(NoAnswerError):  # the ledger has it
                    response = await watcher.notify(document, subscription)
                    if response.status >= 300:
                        # RFC 6665 §4.2.2: whoever cannot be told is no watcher any more.
                        self._watchers[user].pop(watcher, None)
                        self.dialogs.pop(watcher.dialog.key, None)
        self.ledger.kept(_address(watcher))


def _address(watcher: Notifier) -> str:
    """``user@host`` of a watcher."""
    uri = SipUri.parse(NameAddr.parse(watcher.dialog.remote).uri)
    return f"{(uri.user or b'').decode()}@{uri.host.decode()}"


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
