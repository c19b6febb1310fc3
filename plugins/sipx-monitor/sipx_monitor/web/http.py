"""HTTP/1.1 on one connection (RFC 9112): h11 speaks it, trio carries it.

A request has to arrive within seconds and its answer to be taken within seconds; what does not fit
is answered and ends this connection.
"""

from __future__ import annotations

import json
from contextlib import ExitStack, aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import h11
import trio

from sipx_monitor.slices import Slices
from sipx_monitor.web.guard import protect
from sipx_monitor.web.messages import OUR_FAULT, Refused, Request, Response, error_response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sipx_monitor.web.streams import ClientStream

MAX_HEAD: Final = 16384
"""Bytes of a request's head."""
HEAD_TIMEOUT: Final = 10.0
"""Seconds from the first byte of a request to the end of its head."""
IDLE_TIMEOUT: Final = 75.0
"""Seconds between two requests on one connection."""
BODY_PATIENCE: Final = 15.0
"""Seconds in which BODY_STEP bytes of a body have to come."""
BODY_STEP: Final = 65536
LINGER: Final = 1.0
LINGER_BYTES: Final = 1 << 18
"""Seconds and bytes for what still comes in after the last answer."""
KEEP_ALIVE: Final = 20.0
"""Seconds after which an empty line is sent on a stream of lines that has nothing to say."""
PIECES: Final = 16
"""Chunks of a body nobody wants that are looked through for its end."""
_READ: Final = 65536
_READ_HEAD: Final = 4096
"""Bytes of a head that are read at once: more than MAX_HEAD and these is never looked at."""


class HttpConnection:
    """One connection, one request after the other."""

    def __init__(self, stream: ClientStream, address: str, *, tls: bool) -> None:
        self._stream = stream
        self._address = address
        self._tls = tls
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        self._raw = b""
        """What came of the request that is handled now, as it came."""
        self._head = False

    async def request(self, patience: float) -> Request | None:
        """The head of the next request; None when there is none, or it takes too long.

        ``patience`` is for its first byte. Raises Refused for what is no request.
        """
        with trio.move_on_after(patience) as waiting:
            begun = self._raw != b""
            if begun:
                waiting.deadline = trio.current_time() + HEAD_TIMEOUT
            while True:
                event = self._event()
                if isinstance(event, h11.Request):
                    return self._read(event)
                if event is not h11.NEED_DATA:
                    return None
                data = await self._stream.receive_some(_READ_HEAD)
                if data and not begun:
                    begun = True
                    waiting.deadline = trio.current_time() + HEAD_TIMEOUT
                self._raw += data
                self._receive(data)
        return None

    def _read(self, event: h11.Request) -> Request:
        self._head = event.method == b"HEAD"
        headers: dict[str, str] = {}
        for raw_name, raw_value in event.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            if name in headers:
                if name in ("host", "origin", "authorization", "content-type"):
                    raise Refused(400, f"the request has several headers {name}")
                headers[name] += ("; " if name == "cookie" else ", ") + value
            else:
                headers[name] = value
        if "transfer-encoding" in headers and "content-length" in headers:
            # What is in front may have believed the other (RFC 9112, 6.1).
            raise Refused(400, "the request says twice how long its body is", connection="close")
        return Request(
            method=event.method.decode("ascii"),
            target=event.target.decode("ascii"),
            headers=headers,
            address=self._address,
            tls=self._tls,
        )

    def hand_over(self) -> ClientStream:
        """The stream, with everything put back that came of the request being handled."""
        self._stream.push_back(self._raw)
        self._raw = b""
        return self._stream

    async def body(self, limit: int) -> bytes:
        """The whole body. Raises Refused when it is too long, or takes too long."""
        if self._h11.they_are_waiting_for_100_continue:
            go_on = self._h11.send(h11.InformationalResponse(status_code=100, headers=[]))
            await self._stream.send_all(go_on or b"")
        parts: list[bytes] = []
        size = 0
        self._raw = b""
        with trio.move_on_after(BODY_PATIENCE) as waiting:
            step = BODY_STEP
            while True:
                # A body may come in chunks of one byte each, and thousands of them at once.
                async with Slices() as slices:
                    while (event := self._event()) is not h11.NEED_DATA:
                        if isinstance(event, h11.EndOfMessage):
                            return b"".join(parts)
                        if not isinstance(event, h11.Data):
                            raise Refused(400, "the body is not whole")
                        size += len(event.data)
                        if size > limit:
                            raise Refused(413, f"the body has more than {limit} bytes")
                        parts.append(bytes(event.data))
                        if size >= step:
                            step = size + BODY_STEP
                            waiting.deadline = trio.current_time() + BODY_PATIENCE
                        await slices.next()
                self._receive(await self._stream.receive_some(_READ))
        raise Refused(408, "the body does not come")

    def _event(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint, f"this is no request: {error}") from error

    def _receive(self, data: bytes) -> None:
        try:
            self._h11.receive_data(data)
        except h11.RemoteProtocolError as error:
            raise Refused(error.error_status_hint, f"this is no request: {error}") from error

    # ------------------------------------------------------------ answers

    async def respond(self, response: Response) -> bool:
        """Send an answer, protected as all of them are; whether another request may follow."""
        protect(response)
        if response.lines is not None:
            await self._respond_lines(response)
            return False
        last = not self._is_over()
        headers = [*response.headers]
        if response.status not in (204, 304):
            headers.append(("Content-Length", str(len(response.body))))
        if last:
            headers.append(("Connection", "close"))
        events: list[h11.Event] = [_head(response, headers)]
        if not self._head and response.body:
            events.append(h11.Data(data=response.body))
        events.append(h11.EndOfMessage())
        await self._stream.send_all(b"".join(self._h11.send(event) or b"" for event in events))
        if self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            await self._linger()
            return False
        self._raw = bytes(self._h11.trailing_data[0])
        self._h11.start_next_cycle()
        return True

    async def _respond_lines(self, response: Response) -> None:
        """Lines as they come, until there are no more or the client goes."""
        assert response.lines is not None
        headers = [*response.headers, ("Connection", "close"), ("Transfer-Encoding", "chunked")]
        async with aclosing(response.lines) as lines, trio.open_nursery() as nursery:
            self._is_over()
            await self._send(_head(response, headers))
            lock = trio.Lock()
            nursery.start_soon(self._until_gone, nursery.cancel_scope)
            nursery.start_soon(self._keep_alive, lock)
            if response.until is not None:
                nursery.start_soon(self._until_refused, response.until, lock, nursery.cancel_scope)
            async for line in lines:
                async with lock:
                    await self._send(h11.Data(data=line + b"\n"))
            async with lock:
                await self._send(h11.EndOfMessage())
            nursery.cancel_scope.cancel()

    async def _send(self, event: h11.Event) -> None:
        await self._stream.send_all(self._h11.send(event) or b"")

    async def _keep_alive(self, lock: trio.Lock) -> None:
        """A client that is gone without a word is noticed when something is written to it."""
        while True:
            await trio.sleep(KEEP_ALIVE)
            async with lock:
                await self._send(h11.Data(data=b"\n"))

    async def _until_gone(self, scope: trio.CancelScope) -> None:
        while await self._stream.receive_some(_READ):
            pass
        scope.cancel()

    async def _until_refused(
        self, until: Callable[[], Awaitable[None]], lock: trio.Lock, scope: trio.CancelScope
    ) -> None:
        """End a stream that may not be seen any more, also where it has nothing to say."""
        try:
            await until()
        except Refused as refused:
            async with lock:
                line = json.dumps({"error": refused.object()}).encode()
                await self._send(h11.Data(data=line + b"\n"))
                await self._send(h11.EndOfMessage())
                scope.cancel()

    def _is_over(self) -> bool:
        """Whether the request has come whole: one whose body we would have to wait for is the last.

        It is also when its body makes no sense, or has more than PIECES: the answer is ready.
        """
        if self._h11.their_state is h11.DONE:
            return True
        try:
            for _ in range(PIECES):
                event = self._h11.next_event()
                if not isinstance(event, h11.Data):
                    return isinstance(event, h11.EndOfMessage)
        except h11.RemoteProtocolError:
            pass
        return False

    async def _linger(self) -> None:
        """Say that this was all, and wait a moment for the other end to have read it.

        Closing while bytes wait unread would take the answer from it (RFC 9112 §9.6).
        """
        await self._stream.send_eof()
        taken = 0
        with trio.move_on_after(LINGER):
            while taken < LINGER_BYTES:
                data = await self._stream.receive_some(_READ)
                if not data:
                    return
                taken += len(data)


def _head(response: Response, headers: list[tuple[str, str]]) -> h11.Response:
    return h11.Response(
        status_code=response.status,
        headers=[("Content-Type", response.content_type), *headers],
        reason=HTTPStatus(response.status).phrase.encode(),
    )


async def requests(
    connection: HttpConnection,
    handle: Callable[[Request, HttpConnection], Awaitable[Response | None]],
) -> None:
    """Answer one request after the other, as long as both sides want that."""
    patience = HEAD_TIMEOUT
    while True:
        with ExitStack() as held:
            try:
                request = await connection.request(patience)
                if request is None:
                    return
                held.enter_context(request.held)
                response = await handle(request, connection)
            except Refused as refused:
                response = refused.response()
            if response is None or not await connection.respond(response):
                return
        patience = IDLE_TIMEOUT


def internal_error() -> Response:
    """What is said of a fault of ours."""
    return error_response(500, "internal", OUR_FAULT)
