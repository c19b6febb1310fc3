"""The control API over HTTP: a method is a path, its parameters are JSON or the query."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from sipx import ControlError
from sipx_monitor.web.encoding import encoded
from sipx_monitor.web.messages import (
    JSON,
    NDJSON,
    Refused,
    Response,
    control_object,
    control_response,
    json_response,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from pydantic import BaseModel

    from sipx import ControlApi
    from sipx_monitor.web.access import Access, Who
    from sipx_monitor.web.feeds import Feeds
    from sipx_monitor.web.http import HttpConnection
    from sipx_monitor.web.long_answers import LongAnswers
    from sipx_monitor.web.messages import Request

BODY: Final = 1 << 20
"""Bytes of parameters."""
LARGE_BODY: Final = 44 << 20
"""Bytes of the parameters of LARGE: 32 MiB of a capture in base64, and a little."""
LARGE: Final = ("monitor.open",)
LARGE_AT_ONCE: Final = 2
LAST_WORDS: Final = 1.0
"""Seconds for an answer when the console ends."""
INNER: Final = ("control.unsubscribe",)
"""Methods that only a connection with streams has."""


class HttpApi:
    """What stands below /api/."""

    def __init__(
        self, control: ControlApi, feeds: Feeds, access: Access, long: LongAnswers
    ) -> None:
        self._control = control
        self._access = access
        self._feeds = feeds
        self._large = 0
        self._long = long

    async def respond(
        self, request: Request, connection: HttpConnection, asks: Callable[[], Who], name: str
    ) -> Response:
        """The answer of a method. ``asks`` says who it is now, and raises Refused for nobody.

        Raises Refused.
        """
        who = asks()
        method = self._control.methods().get(name)
        if method is None or name in INNER:
            raise Refused(404, f"there is no method {name[:100]!r}; control.methods lists them")
        if request.method == "GET":
            if method.changing:
                raise Refused(405, f"{name} changes something: use POST", allow="POST")
            params: Any = {key: _value(text) for key, text in request.query.items()}
        elif request.method == "POST":
            # Before its body is taken: who may not call it cannot fill the memory with it.
            if not who.caller().may(method.role):
                raise Refused(403, f"{name} is for the role {method.role}, and this is {who.role}")
            params = await self._body(request, connection, large=name in LARGE)
        else:
            raise Refused(405, "use GET or POST", allow="GET, POST")
        try:
            if method.stream:
                events = self._control.events(name, params, who.caller())
                return Response(
                    200,
                    content_type=NDJSON,
                    lines=_lines(events, who, asks),
                    until=partial(self._until_changed, asks),
                )
            await self._long.room(request.held, name, who.caller())
            answer = await self._control.call(name, params, who.caller())
        except trio.Cancelled:
            if method.changing:
                await _told_before_the_end(connection, name)
            raise
        except ControlError as error:
            return control_response(error)
        if method.changing:
            self._feeds.poke()
        return Response(200, await encoded(answer), JSON)

    async def _until_changed(self, asks: Callable[[], Who]) -> None:
        """As long as somebody is who they are. Raises Refused."""
        await self._access.until_changed(asks)
        raise _changed()

    async def _body(self, request: Request, connection: HttpConnection, *, large: bool) -> Any:
        if not large:
            return await json_body(request, connection, BODY)
        if self._large >= LARGE_AT_ONCE:
            raise Refused(429, "other captures are being opened; try again", retry_after="5")
        self._large += 1
        try:
            return await json_body(request, connection, LARGE_BODY)
        finally:
            self._large -= 1


async def _told_before_the_end(connection: HttpConnection, name: str) -> None:
    """A reload may end the server that was asked for it, before anybody knows how it ends."""
    text = (
        f"{name} goes on, and ends the console meanwhile; ask `status` how it ended, at the "
        "address that the configuration file names now"
    )
    answer = json_response({"text": text}, 202)
    answer.headers.append(("Connection", "close"))
    with trio.CancelScope(shield=True), trio.move_on_after(LAST_WORDS):
        await connection.respond(answer)


async def json_body(request: Request, connection: HttpConnection, limit: int) -> Any:
    """The JSON of a request, {} of one without a body. Raises Refused."""
    length = request.header("content-length")
    if length.isdigit() and int(length) > limit:
        raise Refused(413, f"the body has more than {limit} bytes")
    data = await connection.body(limit)
    if not data:
        return {}
    # A form of another site can send text, but no JSON (and no other site is let in, besides).
    if request.header("content-type").partition(";")[0].strip().lower() != JSON:
        raise Refused(415, f"the body has to be {JSON}, and Content-Type has to say so")
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise Refused(400, "the body is no JSON") from None


def _value(text: str) -> object:
    """A parameter of a query: lists, objects and null as JSON, the rest is read by the method."""
    if text[:1] in ("[", "{") or text == "null":
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text


def _changed() -> Refused:
    return Refused(401, "what you may do has changed; ask again")


async def _lines(
    events: AsyncGenerator[BaseModel, None], who: Who, asks: Callable[[], Who]
) -> AsyncGenerator[bytes, None]:
    """Each event as JSON, as long as who asked may see it: a token may be revoked meanwhile."""
    try:
        async for event in events:
            if asks().role != who.role:
                raise _changed()
            yield event.model_dump_json().encode()
    except ControlError as error:
        yield json.dumps({"error": control_object(error)}).encode()
    except Refused as refused:
        yield json.dumps({"error": refused.object()}).encode()
    finally:
        await events.aclose()
