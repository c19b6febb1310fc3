"""The control API over HTTP: every method, every role, errors, streams."""

from __future__ import annotations

import json
from dataclasses import replace

import h11
import pytest
import trio
import trio.testing
from sipx_monitor.web.access import LOOK

HOST = "127.0.0.1:8061"
ORIGIN = f"http://{HOST}"
RANKS = ("viewer", "operator", "admin")


async def test_a_method_is_a_path(console):
    cookie = await console.log_on("viewer")
    answer = await console.ask("GET", "/api/control.version", cookie=cookie)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json["protocol"] == 1
    assert (await console.call("control.version", cookie=cookie)).json == answer.json


async def test_parameters_stand_in_the_query_or_in_the_body(console):
    cookie = await console.log_on("viewer")
    answer = await console.ask("GET", "/api/transactions.list?limit=1&finished=true", cookie=cookie)
    assert answer.json["transactions"] == []
    answer = await console.ask("GET", "/api/transactions.list?limit=x", cookie=cookie)
    assert answer.status == 400
    assert answer.error["code"] == "params"
    assert answer.error["problems"][0]["key"] == "limit"
    answer = await console.call("transactions.list", {"limt": 1}, cookie=cookie)
    assert "did you mean" in answer.error["text"]
    answer = await console.call("transactions.list", [1], cookie=cookie)
    assert answer.status == 200


async def test_a_method_that_there_is_not(console):
    cookie = await console.log_on()
    for name in ("nothing", "control.unsubscribe", "", "../session"):
        answer = await console.ask("GET", f"/api/{name}", cookie=cookie)
        assert (answer.status, answer.error["code"]) == (404, "not found")


async def test_what_changes_something_is_no_link(console):
    cookie = await console.log_on()
    answer = await console.ask("GET", "/api/reload", cookie=cookie)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("role", RANKS)
async def test_a_role_may_call_what_is_for_it_and_nothing_above(console, role):
    """Parameters are wrong on purpose: what is allowed fails for them and does nothing."""
    cookie = await console.log_on(role)
    methods = console.plugin._proxy.control.methods()
    assert {method.role for method in methods.values()} == set(RANKS)
    for name, method in methods.items():
        if name == "control.unsubscribe":
            continue
        answer = await console.call(name, {"no such parameter": 1}, cookie=cookie)
        if RANKS.index(role) >= RANKS.index(method.role):
            assert answer.error["code"] == "params", name
        else:
            assert (answer.status, answer.error["code"]) == (403, "forbidden"), name


async def test_nobody_may_call_anything(console):
    for name in console.plugin._proxy.control.methods():
        for headers in ({}, {"cookie": "sipx_session=x"}, {"authorization": "Bearer sipx_x"}):
            answer = await console.ask("POST", f"/api/{name}", {}, origin=ORIGIN, **headers)
            assert answer.status == 401, name
    assert (await console.ask("GET", "/api/openapi.json")).status == 401


async def test_links_and_tokens_are_made_on_the_machine_only(console):
    cookie = await console.log_on()
    for name, params in (("console.url", {}), ("console.create_token", {"name": "x"})):
        answer = await console.call(name, params, cookie=cookie)
        assert answer.status == 403
        assert "sipx console" in answer.error["text"]


async def test_what_a_caller_is_called_stands_in_the_log(console, caplog):
    caplog.set_level("INFO", "sipx.control")
    cookie = await console.log_on()
    await console.call("dns.flush", cookie=cookie)
    assert "anna called dns.flush" in caplog.messages


async def test_a_body_that_is_too_large(console):
    cookie = await console.log_on()
    answer = await console.ask(
        "POST", "/api/status", b" " * ((1 << 20) + 1), cookie=cookie, origin=ORIGIN
    )
    assert (answer.status, answer.error["code"]) == (413, "too large")
    large = json.dumps({"name": "x", "data_base64": "A" * (2 << 20)}).encode()
    answer = await console.ask("POST", "/api/monitor.open", large, cookie=cookie, origin=ORIGIN)
    assert answer.status != 413


async def test_who_may_not_call_it_cannot_send_its_body(console):
    cookie = await console.log_on("viewer")
    said = await console.raw(
        b"POST /api/process.stop HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nCookie: "
        b"" + cookie.encode() + b"\r\nOrigin: " + ORIGIN.encode() + b"\r\n"
        b"Content-Type: application/json\r\nContent-Length: 99999\r\n\r\n"
    )
    assert said.startswith(b"HTTP/1.1 403 ")


async def test_captures_are_opened_two_at_a_time(console, nursery):
    cookie = await console.log_on()
    head = (
        b"POST /api/monitor.open HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\nCookie: "
        b"" + cookie.encode() + b"\r\nOrigin: " + ORIGIN.encode() + b"\r\n"
        b"Content-Type: application/json\r\nContent-Length: 9999999\r\n\r\n{"
    )
    streams = [console.connect() for _ in range(2)]
    for stream in streams:
        await stream.send_all(head)
    await trio.testing.wait_all_tasks_blocked()
    answer = await console.call("monitor.open", {"name": "x", "data_base64": ""}, cookie=cookie)
    assert answer.status == 429
    for stream in streams:
        await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    answer = await console.call("monitor.open", {"name": "x", "data_base64": ""}, cookie=cookie)
    assert answer.status != 429


async def test_a_query_with_too_many_parameters(console):
    cookie = await console.log_on()
    answer = await console.ask("GET", "/api/status?" + "&".join(["a=b"] * 101), cookie=cookie)
    assert answer.status == 400


class Lines:
    """A stream of lines as a client reads it."""

    def __init__(self, stream) -> None:
        self.stream = stream
        self.client = h11.Connection(h11.CLIENT)
        self.text = b""

    async def begin(self, path: str, cookie: str, **headers: str) -> h11.Response:
        headers = [("host", HOST), ("cookie", cookie), *headers.items()]
        request = h11.Request(method="GET", target=path, headers=headers)
        data = self.client.send(request) + self.client.send(h11.EndOfMessage())
        await self.stream.send_all(data)
        return await self.event()

    async def event(self):
        while (event := self.client.next_event()) is h11.NEED_DATA:
            self.client.receive_data(await self.stream.receive_some(65536))
        return event

    async def line(self) -> dict:
        while b"\n" not in self.text:
            self.text += bytes((await self.event()).data)
            self.text = self.text.lstrip(b"\n")  # it only shows that it lives
        line, _, self.text = self.text.partition(b"\n")
        return json.loads(line)


async def test_a_stream_is_lines_until_the_client_goes(console, autojump_clock):
    cookie = await console.log_on("viewer")
    lines = Lines(console.connect())
    response = await lines.begin("/api/events", cookie)
    assert response.status_code == 200
    assert (b"content-type", b"application/x-ndjson") in response.headers
    await trio.testing.wait_all_tasks_blocked()
    console.proxy.kernel.report("monitor", AssertionError("noticed"))
    assert (await lines.line())["kind"] == "AssertionError"
    assert console.plugin.server.connections == (0, 1)
    watching = len(console.proxy.kernel.watchers)
    await lines.stream.aclose()
    await trio.sleep(1)
    assert console.plugin.server.connections == (0, 0)
    assert len(console.proxy.kernel.watchers) == watching - 1


async def test_a_stream_with_nothing_to_say_shows_that_it_lives(console, autojump_clock):
    lines = Lines(console.connect())
    await lines.begin("/api/events", await console.log_on("viewer"))
    assert bytes((await lines.event()).data) == b"\n"


async def ended(lines: Lines) -> float:
    """How long it takes until a stream says that it may not be seen, and ends."""
    began = trio.current_time()
    assert (await lines.line())["error"]["code"] == "unauthenticated"
    took = trio.current_time() - began
    while not isinstance(await lines.event(), h11.EndOfMessage):
        pass
    return took


async def test_a_stream_with_nothing_to_say_ends_with_its_session(console, autojump_clock):
    cookie = await console.log_on("viewer")
    lines = Lines(console.connect())
    await lines.begin("/api/events", cookie)
    await trio.testing.wait_all_tasks_blocked()
    assert (await console.ask("DELETE", "/session", cookie=cookie, origin=ORIGIN)).status == 204
    assert await ended(lines) < 0.1
    await trio.sleep(1)
    assert console.plugin.server.connections == (0, 0)


async def test_a_stream_with_nothing_to_say_ends_with_its_role(console, autojump_clock):
    lines = Lines(console.connect())
    await lines.begin("/api/events", await console.log_on("operator"))
    await trio.testing.wait_all_tasks_blocked()
    [session] = console.plugin.access.sessions._open.values()
    session.role = "viewer"
    await console.log_on()
    assert await ended(lines) < 0.1


async def test_a_stream_with_nothing_to_say_ends_with_its_time(console, autojump_clock):
    """Nobody ends a token whose time is over."""
    token = await console.plugin.tokens.create("grafana", "viewer", "root", 3600)
    lines = Lines(console.connect())
    await lines.begin("/api/events", "", authorization=f"Bearer {token}")
    await trio.testing.wait_all_tasks_blocked()
    [known] = console.plugin.tokens._by_hash.values()
    console.plugin.tokens._by_hash = {known.hash: replace(known, expires=0.0)}
    assert await ended(lines) <= LOOK


async def test_a_stream_ends_for_who_may_not_see_it_any_more(console, autojump_clock):
    cookie = await console.log_on("viewer")
    lines = Lines(console.connect())
    await lines.begin("/api/events", cookie)
    await trio.testing.wait_all_tasks_blocked()
    console.proxy.kernel.report("monitor", AssertionError("seen"))
    assert (await lines.line())["kind"] == "AssertionError"
    assert (await console.ask("DELETE", "/session", cookie=cookie, origin=ORIGIN)).status == 204
    console.proxy.kernel.report("monitor", RuntimeError("not seen"))
    assert (await lines.line())["error"]["code"] == "unauthenticated"
    while not isinstance(await lines.event(), h11.EndOfMessage):
        pass
    await trio.sleep(1)
    assert console.plugin.server.connections == (0, 0)


async def test_an_error_may_quote_what_is_no_text(console):
    cookie = await console.log_on("viewer")
    answer = await console.call("monitor.messages", b'{"\\ud800": 1}', cookie=cookie)
    assert (answer.status, answer.error["code"]) == (400, "params")
    assert answer.error["problems"][0]["text"].startswith("\ud800")
