"""Where the commands ask: what a service says that is no answer, and how streams end."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from sipx_monitor.terminal.console import console
from sipx_monitor.terminal.monitor_sources import SocketSource
from sipx_monitor.terminal.monitor_websocket import address_of

from sipx import CommandLine, ControlError, Done


class Client:
    """In the place of the client of the control socket."""

    def __init__(self, *events, error=None):
        self.events = events
        self.error = error

    def call(self, name, params, result):
        if self.error:
            raise self.error
        return Done(text=name)

    def stream(self, name, params, event):
        yield from self.events
        if self.error:
            raise self.error


class Line(CommandLine):
    """A command line whose service is that client."""

    def __init__(self, client):
        super().__init__()
        self.client = client

    @contextmanager
    def control(self):
        try:
            yield self.client
        except ControlError as error:
            raise self.failed(f"the running sipx: {error.text}") from error


async def test_questions_are_asked_in_a_thread():
    assert (await SocketSource(Line(Client())).call("a.b", None, Done)).text == "a.b"


@pytest.mark.parametrize(
    ("kind", "said"),
    [("method", "does not have the plugin monitor"), ("not found", "the running sipx: it is gone")],
)
async def test_what_is_no_answer(kind, said):
    source = SocketSource(Line(Client(error=ControlError(kind, "it is gone"))))
    with pytest.raises(Exception, match=said) as caught:
        await source.call("monitor.state", None, Done)
    assert caught.value.exit_code == 1


def test_the_console_of_a_sipx_without_the_plugin():
    client = Client(error=ControlError("method", "there is no method 'console.url'"))
    client.call_json = lambda name, params=None: client.call(name, params, None)
    for words in (["url"], ["token", "list"]):
        result = CliRunner().invoke(console, words, obj=Line(client))
        assert result.exit_code == 1
        assert "`sipx plugins enable monitor` adds it" in result.stderr


async def test_a_stream_ends_with_its_events():
    source = SocketSource(Line(Client(Done(text="1"), Done(text="2"))))
    assert [one.text async for one in source.follow("a.b", None, Done)] == ["1", "2"]


async def test_what_ended_it_is_raised():
    client = Client(Done(text="1"), error=ControlError("busy", "too many"))
    stream = SocketSource(Line(client)).follow("a.b", None, Done)
    assert (await anext(stream)).text == "1"
    with pytest.raises(Exception, match="too many"):
        await anext(stream)


@pytest.mark.parametrize(
    ("url", "http", "websocket"),
    [
        ("https://a.example:8061", "https://a.example:8061", "wss://a.example:8061/ws"),
        ("wss://a.example/sipx/ws", "https://a.example/sipx", "wss://a.example/sipx/ws"),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1", "ws://127.0.0.1:1/ws"),
        ("http://localhost:1", "http://localhost:1", "ws://localhost:1/ws"),
        ("http://[::1]:1", "http://[::1]:1", "ws://[::1]:1/ws"),
        ("a.example", "https://a.example", "wss://a.example/ws"),
    ],
)
def test_addresses(url, http, websocket):
    place = address_of(url)
    assert (place.http, place.websocket) == (http, websocket)
