"""The port of the console: HTTP and the websocket, with TLS or without, behind a barrier.

Nothing that comes in here reaches SIP: what a connection does wrong costs that connection, and how
many there are, how much they send and how long they take is bounded.
"""

from __future__ import annotations

import errno
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio
from trio_websocket import ConnectionClosed, wrap_server_stream

from sipx_monitor.web.client import GOODBYE, LOGGED_OFF, LONGEST, SUBPROTOCOL, Client
from sipx_monitor.web.http import HttpConnection, internal_error, requests
from sipx_monitor.web.messages import Refused
from sipx_monitor.web.streams import ClientStream

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from trio_websocket import WebSocketConnection

    from sipx import ControlApi
    from sipx_monitor.web.access import Access, Who
    from sipx_monitor.web.feeds import Feeds
    from sipx_monitor.web.long_answers import LongAnswers
    from sipx_monitor.web.messages import Request, Response
    from sipx_monitor.web.site import Site
    from sipx_monitor.web.tls import TlsContext

MAX_CONNECTIONS: Final = 128
"""Connections that ask and are answered; of more the oldest ends."""
MAX_LASTING: Final = 64
"""Websockets and streams of lines; more are refused."""
HANDSHAKE_TIMEOUT: Final = 10.0
"""Seconds for a handshake of TLS or of a websocket."""
ANOTHER_ROLE: Final = 4403
"""The code of the close frame for a client that may do more, or less, than when it came."""
_FIRST: Final = 4096
"""Bytes that are looked at to tell a handshake, whose first byte is 22, from a method of HTTP."""
_OVERLOAD: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)
_GONE: Final = (trio.BrokenResourceError, trio.ClosedResourceError, ConnectionClosed)
"""The client has gone, or did what ends a websocket."""


class Server:
    """Accepts and answers, in the nursery of whoever calls ``serve``."""

    def __init__(
        self,
        site: Site,
        access: Access,
        feeds: Feeds,
        long: LongAnswers,
        control: ControlApi,
        tls: TlsContext | None,
        *,
        boot: str,
        version: str,
        log: logging.LoggerAdapter[Any],
    ) -> None:
        self._site = site
        self._access = access
        self._feeds = feeds
        self._long = long
        self._control = control
        self._tls = tls
        self._boot = boot
        self._version = version
        self._log = log
        self._open: OrderedDict[trio.CancelScope, None] = OrderedDict()
        self._lasting: set[trio.CancelScope] = set()

    @property
    def connections(self) -> tuple[int, int]:
        """How many are open: those that ask, and those that last."""
        return len(self._open), len(self._lasting)

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
                nursery.start_soon(self._accepted, stream)

    async def _accepted(self, stream: trio.SocketStream) -> None:
        try:
            address = stream.socket.getpeername()[0].partition("%")[0]
        except OSError:
            await trio.aclose_forcefully(stream)  # it has gone already
            return
        await self.connection(stream, address)

    async def connection(self, stream: trio.abc.Stream, address: str) -> None:
        """Serve one connection from its first byte to its last. Nothing of it goes any further."""
        while len(self._open) >= MAX_CONNECTIONS:
            oldest, _ = self._open.popitem(last=False)
            oldest.cancel()
        scope = trio.CancelScope()
        self._open[scope] = None
        try:
            with scope:
                await self._serve(stream, address, scope)
        except* _GONE:
            pass  # the other end has gone; there is nobody to tell
        except* Exception as failure:
            self._log.error("internal error with a connection of the console", exc_info=failure)
        finally:
            self._open.pop(scope, None)
            self._lasting.discard(scope)
            await trio.aclose_forcefully(stream)

    async def _serve(self, stream: trio.abc.Stream, address: str, scope: trio.CancelScope) -> None:
        if self._tls is not None:
            stream = front = ClientStream(stream)
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as handshake:
                first = await front.receive_some(_FIRST)
                front.push_back(first)
                if first[:1].isalpha():
                    await requests(HttpConnection(front, address, tls=False), self._in_clear)
                    return
                stream = trio.SSLStream(
                    front, self._tls.current(), server_side=True, https_compatible=True
                )
                await stream.do_handshake()
            if handshake.cancelled_caught:
                return
        connection = HttpConnection(ClientStream(stream), address, tls=self._tls is not None)

        async def handle(request: Request, connection: HttpConnection) -> Response | None:
            return await self._handle(request, connection, scope)

        await requests(connection, handle)

    async def _in_clear(self, request: Request, _: HttpConnection) -> Response:
        """Words for who forgot the s of https; no more, since anybody could read it. Raises
        Refused.
        """
        self._site.admit(request)
        host = request.header("host")
        raise Refused(400, f"this port speaks TLS only: https://{host}{request.path}")

    async def _handle(
        self, request: Request, connection: HttpConnection, scope: trio.CancelScope
    ) -> Response | None:
        try:
            if request.header("upgrade").lower() == "websocket":
                await self._websocket(request, connection, scope)
                return None
            response = await self._site.respond(request, connection)
            if response.lines is not None:
                self._stay(scope)
        except Refused as refused:
            response = refused.response()
        except (*_GONE, ExceptionGroup):
            raise
        except Exception:
            self._log.exception("%r could not be answered", request.path[:200])
            response = internal_error()
        return response

    def _stay(self, scope: trio.CancelScope) -> None:
        """A connection lasts from now on, and is not ended for the sake of new ones."""
        if len(self._lasting) >= MAX_LASTING:
            raise Refused(503, f"{MAX_LASTING} clients watch already", retry_after="30")
        self._open.pop(scope, None)
        self._lasting.add(scope)

    # ------------------------------------------------------------ websocket

    async def _websocket(
        self, request: Request, connection: HttpConnection, scope: trio.CancelScope
    ) -> None:
        """All is checked before the library that speaks it gets the bytes. Raises Refused."""
        from_proxy = self._site.admit(request)
        if request.path != "/ws":
            raise Refused(404, "the websocket is at /ws")
        offered = [one.strip() for one in request.header("sec-websocket-protocol").split(",")]
        if SUBPROTOCOL not in offered:
            raise Refused(400, f"this speaks the subprotocol {SUBPROTOCOL}")
        who = partial(self._access.who, request, from_proxy=from_proxy)
        who()
        self._stay(scope)
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as handshake:
                proposal = await wrap_server_stream(
                    nursery, connection.hand_over(), max_message_size=LONGEST
                )
                socket = await proposal.accept(subprotocol=SUBPROTOCOL)
            if not handshake.cancelled_caught:
                nursery.start_soon(self._until_changed, socket, who, nursery.cancel_scope)
                client = Client(
                    socket, self._control, self._feeds, self._long, who, self._boot, self._log
                )
                await client.run(self._version)
            nursery.cancel_scope.cancel()

    async def _until_changed(
        self, socket: WebSocketConnection, who: Callable[[], Who], scope: trio.CancelScope
    ) -> None:
        """End a websocket whose session has: what it was let to see comes no more."""
        code, why = ANOTHER_ROLE, "what you may do has changed"
        try:
            await self._access.until_changed(who)
        except Refused:
            code, why = LOGGED_OFF, "log on again"
        with trio.move_on_after(GOODBYE):
            await socket.aclose(code, why)
        scope.cancel()
