"""A user agent for tests, demonstrations and load: sipx's own machines around a socket.

    alice = UserAgent("sip:alice@a.example", UdpCarrier(), proxy=("127.0.0.1", 5060))
    async with running(alice):
        assert (await alice.message("sip:bob@b.example", "hello")).status == 200

It is a user agent of RFC 3261 §8 and §12: requests inside a dialog go where the route set leads,
responses where the request came from. It answers by itself what a telephone would answer
(sipx.testing.answers), unless a handler is set for the method, or ``answers=False``: then the
test takes requests with ``receive`` and answers with ``reply``.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import trio

from sipx.sip import NameAddr, RemoteError, Request, Response, SipUri
from sipx.sip.timers import TICK, Timers, TimerSettings
from sipx.sip.transaction import ACCEPTED, ServerTransaction, server_key
from sipx.testing import answers as automatic
from sipx.testing.asking import Asking, NoAnswerError
from sipx.testing.dialog import Dialog, Headers, new_request
from sipx.testing.sessions import (
    Call,
    Invitation,
    Notifier,
    RefusedError,
    Subscription,
    subscribe_headers,
)
from sipx.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from sipx.flows import Flow
    from sipx.testing.carriers import Carrier, Place, Wire
    from sipx.testing.registering import Logon

    Handler = Callable[["UserAgent", Request], Awaitable[None]]

FORMS_DIALOGS: Final = (b"INVITE", b"SUBSCRIBE", b"REFER")
KEPT: Final = 10_000
"""Requests that wait for ``receive``; beyond it the oldest are dropped."""


class UserAgent:
    """One user agent. ``uri`` is its address-of-record, ``proxy`` where it sends requests to.

    Without ``proxy`` requests go where their Request-URI says, which then has a numeric host.
    ``answers`` switches the automatic answers; ``ring`` is the number of seconds between 180 and
    200. ``received`` and ``sent`` count messages by method and status; ``malformed`` holds what
    came in and could not be parsed.
    """

    def __init__(
        self,
        uri: str,
        carrier: Carrier,
        *,
        proxy: Place | None = None,
        answers: bool = True,
        ring: float = 0.0,
        settings: TimerSettings | None = None,
        seed: int | None = None,
    ) -> None:
        self.uri = uri
        self.carrier = carrier
        self.proxy = proxy
        self.ring = ring
        self.received: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self.malformed: list[bytes] = []
        self.dialogs: dict[tuple[bytes, bytes], Call | Subscription | Notifier] = {}
        self.handlers: dict[bytes, Handler] = dict(automatic.HANDLERS) if answers else {}
        self._answers = answers
        self.logon: Logon | None = None
        """Answers challenges (sipx.testing.registering)."""
        self.presence = "open"
        """What its automatic NOTIFYs say."""
        self._random = random.Random(seed)
        self.timers = Timers()
        self.transactions = Transactions(settings or TimerSettings(), self.timers)
        self.transactions.user = self
        self._inbox: deque[Request] = deque(maxlen=KEPT)
        self._arrival = trio.Event()
        self._ready = trio.Event()
        self._nursery: trio.Nursery | None = None

    # ------------------------------------------------------------ life

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; ``place`` is known after ``started()``. Raises OSError."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.timers.now = trio.current_time()
            await nursery.start(self.carrier.serve, self._deliver, self._trouble)
            host, port = self.carrier.place
            self.transactions.own_sent_by = frozenset((b" %b:%d " % (host.encode(), port),))
            nursery.start_soon(self._tick)
            self._ready.set()
            task_status.started()

    async def _tick(self) -> None:
        while True:
            await trio.sleep(TICK)
            self.timers.tick(trio.current_time())

    @property
    def place(self) -> Place:
        """The address and port it listens on."""
        return self.carrier.place

    @property
    def contact(self) -> bytes:
        """Its Contact, as a URI."""
        host, port = self.carrier.place
        user = SipUri.parse(self.uri.encode()).user or b"agent"
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        transport = b";transport=" + self.carrier.via.lower() if self.carrier.reliable else b""
        return b"sip:%b@%b%b" % (user, at.encode(), transport)

    def start_soon(self, fn: Callable[..., Awaitable[object]], *args: Any) -> None:
        """Run something as long as this user agent lives."""
        assert self._nursery is not None, "the user agent is not running"
        self._nursery.start_soon(fn, *args)

    # ------------------------------------------------------------ what comes in

    def _deliver(self, message: Request | Response, wire: Wire) -> None:
        self.timers.now = trio.current_time()
        flow = cast("Flow", wire)
        try:
            if isinstance(message, Request):
                self.transactions.on_request(message, flow)
            else:
                self.received[str(message.status)] += 1
                self.transactions.on_response(message, flow)
        except RemoteError:
            self.malformed.append(message.encode())

    def _trouble(self, data: bytes, error: RemoteError) -> None:
        self.malformed.append(data)

    def on_request(self, request: Request, transaction: ServerTransaction, flow: Flow) -> None:
        """A new request: to its handler, or to whoever calls ``receive``."""
        self.received[request.method.decode()] += 1
        handler = self.handlers.get(request.method)
        if handler is not None:
            self.start_soon(handler, self, request)
        elif self._answers and request.method not in automatic.HANDLERS:
            self.reply(request, 405, headers=((b"Allow", automatic.ALLOW),))
        self._keep(request)

    def on_ack(self, request: Request, flow: Flow) -> None:
        """The ACK for a 2xx."""
        self.received["ACK"] += 1
        call = self.session(request)
        if isinstance(call, Call):
            call.acknowledged.set()
        self._keep(request)

    def on_cancel(
        self,
        request: Request,
        transaction: ServerTransaction,
        invite: ServerTransaction | None,
        flow: Flow,
    ) -> None:
        """RFC 3261 §9.2: 200 for the CANCEL, 487 for the INVITE if it is still open."""
        self.received["CANCEL"] += 1
        self._keep(request)
        self.reply(request, 200 if invite is not None else 481)
        if invite is not None and invite.request is not None:
            self.reply(invite.request, 487)

    def _keep(self, request: Request) -> None:
        self._inbox.append(request)
        self._arrival.set()

    async def receive(self, method: str | None = None) -> Request:
        """The next request that has not been taken, of one method if that is given.

        Automatic answers have been sent, or are being sent, for those that have a handler.
        """
        while True:
            for request in self._inbox:
                if method is None or request.method == method.encode():
                    self._inbox.remove(request)
                    return request
            self._arrival = trio.Event()
            await self._arrival.wait()

    def on(self, method: str, handler: Handler | None) -> None:
        """Let ``await handler(agent, request)`` answer a method; None: nobody, ``receive`` it."""
        if handler is None:
            self.handlers.pop(method.encode(), None)
        else:
            self.handlers[method.encode()] = handler

    def session(self, request: Request) -> Call | Subscription | Notifier | None:
        """What a request inside a dialog belongs to."""
        return self.dialogs.get((request.call_id, request.to.tag or b""))

    def reply(
        self,
        request: Request,
        status: int,
        *,
        headers: Headers = (),
        body: bytes = b"",
    ) -> Response:
        """Answer a request that came in. Raises LookupError when its transaction has ended.

        A response that forms a dialog gets Contact and the Record-Route of the request.
        """
        transaction = self.transactions.servers.get(server_key(request))
        if not isinstance(transaction, ServerTransaction):
            raise LookupError(f"{request.method.decode()} has been answered, or was given up")
        if 100 < status < 300 and request.method in FORMS_DIALOGS:
            routes = request.get_all(b"Record-Route")
            headers = (
                *((b"Record-Route", route) for route in routes),
                (b"Contact", b"<" + self.contact + b">"),
                *headers,
            )
        response = request.reply(status, headers=headers, body=body)
        data = response.encode()
        self.sent[str(status)] += 1
        self.timers.now = trio.current_time()
        transaction.respond(status, data)
        if request.method == b"INVITE" and 200 <= status < 300:
            call = self.session(request)
            if not isinstance(call, Call):
                call = Call(self, Dialog.of_callee(request, response))
                self.dialogs[call.dialog.key] = call
            call.acknowledged = trio.Event()
            self.start_soon(self._repeat_2xx, transaction, data, status, call)
        return response

    async def _repeat_2xx(
        self, transaction: ServerTransaction, data: bytes, status: int, call: Call
    ) -> None:
        """RFC 3261 §13.3.1.4: a 2xx is sent again until its ACK comes, whatever the transport."""
        settings = self.transactions.settings
        interval = settings.t1
        with trio.move_on_after(settings.timeout):
            while not call.acknowledged.is_set():
                with trio.move_on_after(interval):
                    await call.acknowledged.wait()
                    return
                interval = min(2 * interval, settings.t2)
                if transaction.state != ACCEPTED:
                    return
                transaction.respond(status, data)

    # ------------------------------------------------------------ what goes out

    def new(
        self,
        method: str,
        to: str,
        *,
        sender: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
    ) -> Request:
        """A request outside any dialog, without its Via; ``sender`` replaces our own URI."""
        tag = b"%x" % self._random.getrandbits(48)
        return new_request(
            method.encode(),
            to.encode(),
            from_=b"<%b>;tag=%b" % ((sender or self.uri).encode(), tag),
            to=b"<" + to.encode() + b">",
            call_id=b"%x" % self._random.getrandbits(96),
            cseq=1,
            headers=headers,
            body=body,
        )

    async def ask(self, request: Request) -> Asking:
        """Send a request (which has no Via yet) as a client transaction. Raises NoAnswerError."""
        wire = await self._wire_for(request)
        key, via = self._new_via()
        data = b"\r\n".join([request.start, via, *request.lines, b"", request.body])
        self.timers.now = trio.current_time()
        flow = cast("Flow", wire)
        asking = Asking()
        asking.prepare(self, request, via)
        wire.carries_requests = True
        self.sent[request.method.decode()] += 1
        asking.begin(self.transactions, key, request.method, data, flow)
        return asking

    async def send(self, request: Request) -> Response:
        """Send a request and wait for its final response. Raises NoAnswerError."""
        response = await (await self.ask(request)).answer()
        return response if self.logon is None else await self.logon.repeat(self, request, response)

    async def send_ack(self, request: Request) -> None:
        """Send an ACK for a 2xx: RFC 3261 §13.2.2.4, no transaction, its own branch."""
        wire = await self._wire_for(request)
        _, via = self._new_via()
        self.sent["ACK"] += 1
        wire.send(b"\r\n".join([request.start, via, *request.lines, b"", request.body]))

    def _new_via(self) -> tuple[bytes, bytes]:
        host, port = self.carrier.place
        key = b"z9hG4bK%x" % self._random.getrandbits(64)
        at = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        rport = b"" if self.carrier.reliable else b";rport"
        via = b"Via: SIP/2.0/%b %b%b;branch=%b" % (self.carrier.via, at.encode(), rport, key)
        return key, via

    async def _wire_for(self, request: Request) -> Wire:
        """RFC 3261 §8.1.2: the first Route, else the outbound proxy, else the Request-URI."""
        await self._ready.wait()
        routes = request.get_list(b"Route")
        if routes or self.proxy is None:
            uri = SipUri.parse(NameAddr.parse(routes[0]).uri if routes else request.uri)
            wanted = (uri.transport or b"udp").lower()
            if wanted != self.carrier.via.lower():
                raise NoAnswerError(f"the route wants {wanted.decode()}, which is not spoken here")
            place = (uri.host.decode(), uri.port or 5060)
        else:
            place = self.proxy
        try:
            return await self.carrier.wire_to(place)
        except OSError as error:
            raise NoAnswerError(f"{place[0]} port {place[1]}: {error}") from error

    # ------------------------------------------------------------ what a person would do

    async def request(
        self,
        method: str,
        to: str,
        *,
        sender: str | None = None,
        headers: Iterable[tuple[bytes, bytes]] = (),
        body: bytes = b"",
    ) -> Response:
        """Any request outside a dialog; its final response. Raises NoAnswerError."""
        return await self.send(self.new(method, to, sender=sender, headers=headers, body=body))

    async def message(self, to: str, text: str, *, sender: str | None = None) -> Response:
        """An instant message (RFC 3428). Raises NoAnswerError."""
        plain = ((b"Content-Type", b"text/plain"),)
        return await self.request("MESSAGE", to, sender=sender, headers=plain, body=text.encode())

    async def subscribe(
        self, to: str, *, event: str = "presence", expires: int = 3600, sender: str | None = None
    ) -> Subscription:
        """Subscribe (RFC 6665): waits for the 2xx and the first NOTIFY.

        Raises RefusedError for another final response, NoAnswerError for none or no NOTIFY.
        """
        headers = subscribe_headers(self, event, expires)
        request = self.new("SUBSCRIBE", to, sender=sender, headers=headers)
        subscription = Subscription(self, request, event.encode())
        key = (request.call_id, request.from_.tag or b"")
        self.dialogs[key] = subscription
        try:
            subscription.accepted(await self.send(request))
            with trio.fail_after(self.transactions.settings.timeout):  # Timer N
                await subscription.first.wait()
        except trio.TooSlowError:
            del self.dialogs[key]
            raise NoAnswerError(f"{to}: accepted the subscription, but sent no NOTIFY") from None
        except RefusedError:
            del self.dialogs[key]
            raise
        return subscription

    async def invite(self, to: str, *, sender: str | None = None) -> Invitation:
        """Send an INVITE and return at once, so that it can be watched or cancelled."""
        headers = ((b"Contact", b"<" + self.contact + b">"), (b"Content-Type", b"application/sdp"))
        request = self.new("INVITE", to, sender=sender, headers=headers, body=automatic.sdp(self))
        return Invitation(self, await self.ask(request))

    async def call(self, to: str, *, sender: str | None = None) -> Call:
        """INVITE, 2xx, ACK. Raises RefusedError (another final response) or NoAnswerError."""
        return await (await self.invite(to, sender=sender)).answered()


@asynccontextmanager
async def running(agent: UserAgent) -> AsyncIterator[UserAgent]:
    """``async with running(UserAgent(...)) as agent``: serve while the block lasts."""
    async with trio.open_nursery() as nursery:
        await nursery.start(agent.serve)
        yield agent
        nursery.cancel_scope.cancel()
