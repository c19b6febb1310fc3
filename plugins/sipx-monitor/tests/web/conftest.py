"""A console without sockets: its own server, spoken to over streams in memory."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import h11
import pytest
import trio
import trio.testing
from trio_websocket import wrap_client_stream

HOST = "127.0.0.1:8061"
ORIGIN = f"http://{HOST}"


class Answer:
    """What came back."""

    def __init__(self, response: h11.Response, body: bytes) -> None:
        self.status = response.status_code
        self.headers = {name.decode(): value.decode() for name, value in response.headers}
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def cookie(self) -> str:
        return self.headers["set-cookie"].partition(";")[0]


class Socket:
    """A client of the websocket."""

    def __init__(self, connection) -> None:
        self.connection = connection
        self.events = []
        self._last = 0

    async def ask(self, method: str, **params):
        """The answer to a request; events that come before it are put aside."""
        self._last += 1
        await self.send({"id": self._last, "method": method, "params": params})
        while True:
            frame = await self.frame()
            if frame.get("id") == self._last:
                return frame
            self.events.append(frame)

    async def subscribe(self, topic: str, **params) -> dict:
        answer = await self.ask("subscribe", topic=topic, **params)
        return answer["result"]

    async def send(self, value) -> None:
        await self.connection.send_message(value if isinstance(value, str) else json.dumps(value))

    async def frame(self) -> dict:
        with trio.fail_after(60):
            return json.loads(await self.connection.get_message())

    async def event(self, subscription: int | None = None) -> dict:
        """The next event, of one subscription if one is named."""
        while True:
            frame = self.events.pop(0) if self.events else await self.frame()
            if subscription is None or frame.get("subscription") == subscription:
                return frame


class Console:
    """The console of a running proxy."""

    def __init__(self, proxy, nursery) -> None:
        self.proxy = proxy
        self.nursery = nursery
        self.plugin = proxy.plugin("monitor")
        self.address = "127.0.0.1"

    def connect(self) -> trio.StapledStream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.nursery.start_soon(self.plugin.server.connection, theirs, self.address)
        return ours

    async def raw(self, *parts: bytes) -> bytes:
        """Everything that comes back until the server ends the connection."""
        stream = self.connect()
        try:
            for part in parts:
                await stream.send_all(part)
            await trio.testing.wait_all_tasks_blocked()
            await stream.send_eof()
            found = b""
            while data := await stream.receive_some(65536):
                found += data
        except trio.BrokenResourceError:
            return b""
        return found

    async def ask(self, method: str, path: str, body=None, **headers) -> Answer:
        """One request; names of headers with _ for -."""
        given = {"host": HOST, "connection": "close"}
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            given |= {"content-type": "application/json", "content-length": str(len(data))}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        client = h11.Connection(h11.CLIENT)
        request = h11.Request(
            method=method, target=path, headers=[(k, v) for k, v in given.items() if v is not None]
        )
        sent = (client.send(request) or b"") + (client.send(h11.Data(data=data)) or b"")
        stream = self.connect()
        await stream.send_all(sent + (client.send(h11.EndOfMessage()) or b""))
        response, found = None, b""
        with trio.fail_after(60):
            while True:
                event = client.next_event()
                if event is h11.NEED_DATA:
                    client.receive_data(await stream.receive_some(65536))
                elif isinstance(event, h11.InformationalResponse):
                    await stream.aclose()
                    return Answer(event, b"")
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    found += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    await stream.aclose()
                    return Answer(response, found)

    async def log_on(self, role: str = "admin", user: str = "anna") -> str:
        """A session; its cookie as it stands in a header."""
        token = self.plugin.access.sessions.link(user, role)
        answer = await self.ask("POST", "/session", {"token": token}, origin=ORIGIN)
        assert answer.status == 200, answer.body
        return answer.cookie

    async def call(self, method: str, params=None, *, cookie: str) -> Answer:
        return await self.ask("POST", f"/api/{method}", params or {}, cookie=cookie, origin=ORIGIN)

    @asynccontextmanager
    async def socket(self, cookie: str, *, stream=None, **headers):
        """A client of the websocket, behind its hello."""
        given = {"cookie": cookie, "origin": ORIGIN, **headers}
        async with trio.open_nursery() as nursery:
            connection = await wrap_client_stream(
                nursery,
                self.connect() if stream is None else stream,
                HOST,
                "/ws",
                subprotocols=["sipx.v1"],
                extra_headers=[(name.encode(), value.encode()) for name, value in given.items()],
            )
            found = Socket(connection)
            found.hello = await found.frame()
            yield found
            with trio.move_on_after(1):
                await connection.aclose()
            nursery.cancel_scope.cancel()


@pytest.fixture
def start_console(sipx_proxy, nursery):
    """Start a console: ``await start_console(auth="password", user={...})``."""

    async def start(plugins=("monitor",), tables=None, **monitor) -> Console:
        proxy = await sipx_proxy(plugins=plugins, monitor={"port": 0, **monitor}, **(tables or {}))
        return Console(proxy, nursery)

    return start


@pytest.fixture
async def console(start_console):
    """A console with its defaults."""
    return await start_console()
