"""HTTP/1.1 for a few readers (RFC 9112): h11 speaks it, trio carries it.

Nobody can hold on to it: a request has to arrive, and its answer to be taken, within seconds; of
too many connections the oldest is ended; whatever comes in ends at most its own connection.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import h11
import trio

from sipx_metrics.pages import Page, plain

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    Answer = Callable[[bytes, bytes, str], Page]
    """What answers: method, target, the value of Accept."""

MAX_CONNECTIONS: Final = 32
MAX_HEAD: Final = 8192
"""Bytes of a request's head."""
HEAD_TIMEOUT: Final = 10.0
"""Seconds for a request to arrive whole."""
IDLE_TIMEOUT: Final = 90.0
"""Seconds between two requests on one connection; a scrape usually comes every 15 to 60."""
WRITE_TIMEOUT: Final = 10.0
"""Seconds for an answer to be taken."""
LINGER: Final = 1.0
"""Seconds and (below) bytes for what still comes in after the last answer."""
LINGER_BYTES: Final = 65536
_READ: Final = 4096
_OVERLOAD: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Server:
    """Accepts and answers, in the nursery of whoever calls ``serve``."""

    def __init__(self, answer: Answer, log: logging.LoggerAdapter[Any]) -> None:
        self._answer = answer
        self._log = log
        self._open: OrderedDict[trio.CancelScope, None] = OrderedDict()

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    async def serve(self, listener: trio.SocketListener) -> None:
        """Accept until cancelled; then all connections end."""
        async with listener, trio.open_nursery() as nursery:
            while True:
                try:
                    stream = await listener.accept()
                except OSError as error:
                    if error.errno not in _OVERLOAD:
                        raise
                    await trio.sleep(0.1)
                    continue
                while len(self._open) >= MAX_CONNECTIONS:
                    oldest, _ = self._open.popitem(last=False)
                    oldest.cancel()
                scope = trio.CancelScope()
                self._open[scope] = None
                nursery.start_soon(self._connection, stream, scope)

    async def _connection(self, stream: trio.SocketStream, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await self._requests(stream)
        except _GONE:
            pass  # the other end has gone; there is nobody to tell
        except Exception:
            self._log.exception("internal error while answering over HTTP")
        finally:
            self._open.pop(scope, None)
            await trio.aclose_forcefully(stream)

    async def _requests(self, stream: trio.SocketStream) -> None:
        """One request after the other, as long as both sides want that."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        patience = HEAD_TIMEOUT
        while True:
            head, last = False, True
            try:
                request = await _request(connection, stream, patience)
                if request is None:
                    return
                head, last = request.method == b"HEAD", not _is_over(connection)
                page = self._page(request)
            except h11.RemoteProtocolError as error:
                page = plain(error.error_status_hint, "this is no request that is served here\n")
            await _respond(connection, stream, page, head=head, last=last)
            if connection.our_state is not h11.DONE:
                await _linger(stream)
                return
            connection.start_next_cycle()
            patience = IDLE_TIMEOUT

    def _page(self, request: h11.Request) -> Page:
        accept = ", ".join(v.decode("latin-1") for n, v in request.headers if n == b"accept")
        try:
            return self._answer(request.method, request.target, accept)
        except Exception:
            self._log.exception("%s could not be answered", request.target.decode("ascii"))
            return plain(500, "this could not be gathered; the log tells why\n")


async def _request(
    connection: h11.Connection, stream: trio.SocketStream, patience: float
) -> h11.Request | None:
    """The next request; None when there is none any more, or it takes too long.

    ``patience`` is for its first byte; from then on HEAD_TIMEOUT counts. Raises
    RemoteProtocolError.
    """
    with trio.move_on_after(patience) as waiting:
        begun = connection.trailing_data[0] != b""
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                return event
            if event is not h11.NEED_DATA:
                return None
            data = await stream.receive_some(_READ)
            if data and not begun:
                begun = True
                waiting.deadline = trio.current_time() + HEAD_TIMEOUT
            connection.receive_data(data)
    return None


def _is_over(connection: h11.Connection) -> bool:
    """Whether the request has come whole: one whose body we would have to wait for is the last."""
    while True:
        event = connection.next_event()
        if not isinstance(event, h11.Data):
            return isinstance(event, h11.EndOfMessage)


async def _respond(
    connection: h11.Connection, stream: trio.SocketStream, page: Page, *, head: bool, last: bool
) -> None:
    """Send the answer. One that is not taken in time ends the connection."""
    headers = [
        ("Content-Type", page.content_type),
        ("Content-Length", str(len(page.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        *page.headers,
    ]
    if last:
        headers.append(("Connection", "close"))
    events: list[h11.Event] = [
        h11.Response(
            status_code=page.status,
            headers=headers,
            reason=HTTPStatus(page.status).phrase.encode(),
        )
    ]
    if not head:
        events.append(h11.Data(data=page.body))
    data = b"".join(connection.send(event) or b"" for event in (*events, h11.EndOfMessage()))
    with trio.move_on_after(WRITE_TIMEOUT) as writing:
        await stream.send_all(data)
    if writing.cancelled_caught:
        raise trio.BrokenResourceError


async def _linger(stream: trio.SocketStream) -> None:
    """Say that this was all, and wait a moment for the other end to have read it.

    Closing while bytes wait unread would take the answer from it (RFC 9112 §9.6).
    """
    await stream.send_eof()
    taken = 0
    with trio.move_on_after(LINGER):
        while taken < LINGER_BYTES:
            data = await stream.receive_some(_READ)
            if not data:
                return
            taken += len(data)
