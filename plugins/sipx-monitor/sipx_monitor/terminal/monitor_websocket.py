"""The console of a sipx elsewhere as a source: questions over HTTP, streams over its websocket."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, Request, build_opener

import trio
from pydantic import BaseModel, ValidationError
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    open_websocket_url,
)

from sipx import parse_address
from sipx_monitor.terminal.monitor_sources import (
    BAD_ANSWER,
    NOT_PERMITTED,
    UNREACHABLE,
    process_of,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    import click

    from sipx import CommandLine

    M = TypeVar("M", bound=BaseModel)

PATIENCE: Final = 30.0
"""Seconds that an answer may take."""
TOPICS: Final = {"monitor.follow": "messages"}
"""What a stream of the control API is called on the websocket."""
HTTPS: Final = 443
LONGEST: Final = 16 << 20
"""Bytes of one message of the websocket."""
_NOT_NOW: Final = (502, 503, 504)
"""What a reverse proxy answers while sipx is not there, and sipx while it starts."""
_SCHEMES: Final = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


class Place(NamedTuple):
    """Where a console is."""

    host: str
    """With the port, where one is given."""
    path: str
    tls: bool

    @property
    def http(self) -> str:
        """Where it is asked."""
        return f"http{'s' if self.tls else ''}://{self.host}{self.path}"

    @property
    def websocket(self) -> str:
        """Where it is followed."""
        return f"ws{'s' if self.tls else ''}://{self.host}{self.path}/ws"


def address_of(url: str) -> Place:
    """The parts of a URL. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a console; write https://HOST:PORT")
    if parts.fragment:
        raise ValueError(
            "this link works once and in a browser; give the address alone, and a token of "
            "`sipx console token create` with --token or in $SIPX_TOKEN"
        )
    if parts.username is not None:
        raise ValueError("a password does not belong there; give a token with --token")
    tls = _SCHEMES[parts.scheme] == "wss"
    if not tls and not _is_here(parts.hostname):
        raise ValueError(f"{url!r}: a token could be read on the way; write https://{parts.netloc}")
    return Place(parts.netloc, parts.path.rstrip("/").removesuffix("/ws"), tls)


def _is_here(host: str) -> bool:
    """Whether it is this machine."""
    address = parse_address(host)
    return host == "localhost" if address is None else address.is_loopback


class WebsocketSource:
    """A console that lets the token in."""

    def __init__(self, line: CommandLine, place: Place, token: str, ca_file: str | None) -> None:
        self._line = line
        self._place = place
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca_file) if place.tls else None

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    # ------------------------------------------------------------ questions

    async def call(self, name: str, params: BaseModel | None, result: type[M]) -> M:
        """Ask over HTTP."""
        data = await trio.to_thread.run_sync(self._post, name, params, abandon_on_cancel=True)
        return self._parsed(result, data)

    def _post(self, name: str, params: BaseModel | None) -> bytes:
        asked = Request(  # noqa: S310  # the schemes are checked
            f"{self._place.http}/api/{name}",
            data=b"{}" if params is None else params.model_dump_json(exclude_unset=True).encode(),
            headers={**self._headers(), "Content-Type": "application/json"},
            method="POST",
        )
        opener = build_opener(HTTPSHandler(context=self._tls))
        try:
            with opener.open(asked, timeout=PATIENCE) as answer:
                found: bytes = answer.read()
                return found
        except HTTPError as error:
            with error:
                raise self._refused(error.code, error.read()) from None
        except (URLError, OSError) as error:
            raise self._unreachable(error) from None

    def _refused(self, status: int, body: bytes) -> click.ClickException:
        try:
            text = str(json.loads(body)["error"]["text"])
        except (ValueError, KeyError, TypeError):
            text = f"it answered {status}, and is perhaps no console"
        if status == 401 and not self._token:
            text += "; give a token of `sipx console token create` with --token or in $SIPX_TOKEN"
        if status in (401, 403):
            return self._failed(text, NOT_PERMITTED)
        return self._failed(text, UNREACHABLE if status in _NOT_NOW else BAD_ANSWER)

    # ------------------------------------------------------------ streams

    async def follow(
        self, name: str, params: BaseModel | None, event: type[M]
    ) -> AsyncGenerator[M, None]:
        """Subscribe to the topic of a stream."""
        wanted = {} if params is None else params.model_dump(mode="json", exclude_none=True)
        request = {
            "id": 1,
            "method": "subscribe",
            "params": {"topic": TOPICS[name], **wanted},
        }
        try:
            await self._try_tls()
            async with open_websocket_url(
                self._place.websocket,
                ssl_context=self._tls,
                subprotocols=["sipx.v1"],
                extra_headers=[(k.encode(), v.encode()) for k, v in self._headers().items()],
                message_queue_size=8,
                connect_timeout=PATIENCE,
                max_message_size=LONGEST,
            ) as socket:
                await socket.send_message(json.dumps(request))
                while True:
                    told = json.loads(await socket.get_message())
                    if "error" in told:
                        raise self._failed(str(told["error"].get("text")), BAD_ANSWER)
                    if told.get("topic") == TOPICS[name]:
                        yield self._parsed(event, json.dumps(told))
        except ConnectionClosed as error:
            why = f": {error.reason.reason}" if error.reason and error.reason.reason else ""
            raise self._failed(f"the connection was ended{why}", UNREACHABLE) from None
        except ConnectionRejected as error:
            raise self._refused(error.status_code, error.body or b"") from None
        except (HandshakeError, OSError, trio.BrokenResourceError) as error:
            raise self._unreachable(error) from None

    async def process(self) -> str:
        """Which process answers."""
        return await process_of(self)

    async def _try_tls(self) -> None:
        """A handshake that fails is told at once; trio-websocket would wait for its timeout."""
        if self._tls is None:
            return
        parts = urlsplit(self._place.http)
        assert parts.hostname is not None
        stream = await trio.open_ssl_over_tcp_stream(
            parts.hostname, parts.port or HTTPS, ssl_context=self._tls, https_compatible=True
        )
        try:
            await stream.do_handshake()
        finally:
            await trio.aclose_forcefully(stream)

    # ------------------------------------------------------------ what goes wrong

    def _parsed(self, model: type[M], data: str | bytes) -> M:
        try:
            return model.model_validate_json(data)
        except ValidationError as error:
            where = ".".join(map(str, error.errors()[0]["loc"]))
            text = f"it answers in another form than this sipx expects ({where}): another version?"
            raise self._failed(text, UNREACHABLE) from error

    def _unreachable(self, error: BaseException) -> click.ClickException:
        reason = getattr(error, "reason", None)
        inner = reason if isinstance(reason, BaseException) else error
        inner = inner.__cause__ if isinstance(inner.__cause__, OSError) else inner
        if isinstance(inner, ssl.SSLCertVerificationError):
            said = f"its certificate is not taken: {inner.verify_message}; see --cacert"
        elif isinstance(inner, OSError) and inner.strerror:
            said = inner.strerror
        else:
            said = str(inner) or type(inner).__name__
        return self._failed(f"it cannot be reached: {said}", UNREACHABLE)

    def _failed(self, text: str, code: int) -> click.ClickException:
        return self._line.failed(f"the console at {self._place.http}: {text}", code)
