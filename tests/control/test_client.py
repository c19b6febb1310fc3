"""The command line's end of the control socket: answers, streams, and plain sentences."""

from __future__ import annotations

import json
import os
import socket
import threading
from contextlib import contextmanager
from functools import partial

import pytest
import trio
from pydantic import BaseModel

from sipx.control.client import Client, Forbidden, Unreachable
from sipx.control.errors import ControlError
from sipx.control.methods import Done
from sipx.errors import StartError

from .conftest import Event, Limit, Said, Word


def in_thread(function, *args):
    """A blocking client beside the server of the same test."""
    return trio.to_thread.run_sync(function, *args)


async def use(running, function):
    """What a function does with a client."""

    def work():
        with Client(running.path, timeout=5) as client:
            return function(client)

    return await in_thread(work)


async def test_a_call_gives_the_model(running):
    answer = await use(running, lambda c: c.call("echo", Word(word="a", times=2), Said))
    assert answer == Said(said="aa")


async def test_what_was_not_set_is_left_to_the_service(running):
    params = Word.model_construct(_fields_set={"word"}, word="a", times=7)
    assert (await use(running, lambda c: c.call("echo", params, Said))).said == "a"


async def test_plain_values_do_as_well(running):
    assert await use(running, lambda c: c.call_json("echo", ["ab"])) == {"said": "ab", "user": ""}


async def test_an_error_is_raised_with_its_kind_and_words(running):
    with pytest.raises(ControlError, match="not now; later") as caught:
        await use(running, lambda c: c.call("fail.refused", None, Done))
    assert caught.value.kind == "not now"


async def test_the_process_that_answers_is_known(running):
    assert await use(running, lambda c: c.pid) == os.getpid()


async def test_a_stream_gives_events_until_its_end(running):
    found = await use(running, lambda c: list(c.stream("count", Limit(limit=3), Event)))
    assert [event.number for event in found] == [0, 1, 2]


async def test_a_stream_that_breaks_raises(running):
    def work(client):
        events = client.stream("broken-stream", None, Event)
        assert next(events).number == 0
        next(events)

    with pytest.raises(ControlError, match="the log has the traceback"):
        await use(running, work)


async def test_a_stream_may_be_left_and_the_client_used_on(running):
    def work(client):
        assert next(client.stream("forever", None, Event)).number == 0
        return client.call("echo", Word(word="a"), Said).said

    assert await use(running, work) == "a"


async def test_an_answer_that_takes_too_long_is_not_waited_for(running):
    with pytest.raises(Unreachable, match="does not answer in time"):
        await use(running, lambda c: c.call("wait", None, Done, timeout=0.05))


async def test_the_end_of_the_service_is_waited_for(tmp_path, api):
    from sipx.control.server import serve

    path = tmp_path / "control.sock"
    async with trio.open_nursery() as service:
        await service.start(partial(serve, api, path))
        ready = trio.Event()

        def work():
            with Client(path) as client:
                trio.from_thread.run_sync(ready.set)
                return client.wait_for_end(10)

        async def end():
            await ready.wait()
            service.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            with trio.CancelScope(shield=True):
                assert await in_thread(work)


class Other(BaseModel):
    said: int


async def test_an_answer_of_another_form_is_a_sentence(running):
    with pytest.raises(Unreachable, match=r"in another form .*\(said\).*restart it"):
        await use(running, lambda c: c.call("echo", Word(word="a"), Other))


# ---------------------------------------------------------------- nobody, or somebody else


def test_no_socket(tmp_path):
    with pytest.raises(Unreachable, match=r"there is no control socket .*sipx run"):
        Client(tmp_path / "absent.sock")


def test_nobody_listens(tmp_path):
    path = tmp_path / "old.sock"
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(path))
    with pytest.raises(Unreachable, match="nobody listens on the control socket"):
        Client(path)


def test_a_file_that_is_no_socket(tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    with pytest.raises(Unreachable, match="nobody listens"):
        Client(path)


def test_a_path_that_is_too_long(tmp_path):
    with pytest.raises(StartError, match="at most 107 bytes"):
        Client(tmp_path / ("x" * 120))


def test_a_socket_that_this_account_may_not_use(tmp_path, monkeypatch):
    path = tmp_path / "control.sock"
    path.touch(0o600)

    def denied(self, address):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", denied)
    with pytest.raises(Forbidden, match=r"may not use the control socket .*control\.sock: it bel"):
        Client(path)


@contextmanager
def answering(path, *lines):
    """A program on a socket that answers each request with the next of these lines, then ends."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def serve():
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as file:
                for line in lines:
                    file.readline()
                    connection.sendall(line)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield
        thread.join(5)


def version(protocol):
    result = {"protocol": protocol, "sipx": "9.9"}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "result": result}).encode() + b"\n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (version(99), "sipx 9.9 and speaks version 99 of the control protocol, this command"),
        (b"220 smtp.example ESMTP\n", "is not a sipx service"),
        (b"[]\n", "is not a sipx service"),
        (b"", "ended the connection"),
        (
            b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no such"}}\n',
            "does not speak the control protocol of this sipx: no such",
        ),
        (
            b'{"jsonrpc": "2.0", "id": 1, "result": {"protocol": "x"}}\n',
            "in another form than this sipx expects",
        ),
    ],
)
def test_who_listens_is_not_our_service(tmp_path, line, said):
    path = tmp_path / "other.sock"
    with answering(path, line), pytest.raises(Unreachable, match=said):
        Client(path, timeout=5)


def test_a_service_that_sends_us_away_says_why(tmp_path):
    path = tmp_path / "busy.sock"
    line = {"jsonrpc": "2.0", "id": None, "error": {"code": -32004, "message": "too many"}}
    told = json.dumps(line).encode() + b"\n"
    with answering(path, told), pytest.raises(Unreachable, match="too many"):
        Client(path, timeout=5)
