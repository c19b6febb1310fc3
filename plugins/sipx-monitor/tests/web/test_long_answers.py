"""Long answers: how many there are at once, for whom, and until when."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import trio
import trio.testing
from sipx_monitor.web.long_answers import FOR_VIEWERS, MOST, PATIENCE, LongAnswers

from sipx import Caller, ControlError

HOST = "127.0.0.1:8061"
VIEWER, ADMIN = Caller("vera", role="viewer"), Caller("anna", role="admin")


async def test_viewers_leave_room_for_those_who_have_to_act(autojump_clock):
    long, all_of_them = LongAnswers(), ExitStack()
    for _ in range(FOR_VIEWERS):
        await long.room(all_of_them, "monitor.messages", VIEWER)
    began = trio.current_time()
    with ExitStack() as held, pytest.raises(ControlError, match="read slowly; try again"):
        await long.room(held, "monitor.export", VIEWER)
    assert trio.current_time() - began == PATIENCE
    for _ in range(MOST - FOR_VIEWERS):
        await long.room(all_of_them, "monitor.messages", ADMIN)
    with ExitStack() as held, pytest.raises(ControlError):
        await long.room(held, "monitor.messages", ADMIN)
    await long.room(all_of_them, "status", ADMIN)  # it is short
    all_of_them.close()
    with ExitStack() as held:
        await long.room(held, "monitor.messages", VIEWER)


async def test_who_waits_is_next(autojump_clock, nursery):
    long, first, second = LongAnswers(), ExitStack(), ExitStack()
    for _ in range(FOR_VIEWERS):
        await long.room(first, "monitor.messages", VIEWER)
    nursery.start_soon(long.room, second, "monitor.messages", VIEWER)
    await trio.testing.wait_all_tasks_blocked()
    first.close()
    await trio.testing.wait_all_tasks_blocked()
    assert long._viewers.value == FOR_VIEWERS - 1
    second.close()
    assert (long._viewers.value, long._all.value) == (FOR_VIEWERS, MOST)


def connected(console):
    """A connection whose other end waits until what it writes is read."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    console.nursery.start_soon(console.plugin.server.connection, theirs, console.address)
    return ours


async def test_an_answer_over_http_counts_until_it_is_read(console):
    cookie = await console.log_on("viewer")
    stream = connected(console)
    head = f"GET /api/monitor.messages HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"
    await stream.send_all(head.encode())
    await trio.testing.wait_all_tasks_blocked()
    long = console.plugin.server._long
    assert (long._viewers.value, long._all.value) == (FOR_VIEWERS - 1, MOST - 1)
    assert (await stream.receive_some(65536)).startswith(b"HTTP/1.1 200 ")
    await trio.testing.wait_all_tasks_blocked()
    assert (long._viewers.value, long._all.value) == (FOR_VIEWERS, MOST)


async def test_an_answer_over_the_websocket_counts_until_it_is_read(console):
    long = console.plugin.server._long
    async with console.socket(await console.log_on("viewer")) as socket:
        assert (await socket.ask("monitor.messages"))["result"]["messages"] == []
        await trio.testing.wait_all_tasks_blocked()
        assert long._viewers.value == FOR_VIEWERS
        with ExitStack() as held:
            for _ in range(FOR_VIEWERS):
                await long.room(held, "monitor.messages", VIEWER)
            await socket.send({"id": 7, "method": "monitor.messages", "params": {}})
            assert (await socket.ask("status"))["result"]
        assert (await socket.frame())["id"] == 7


async def test_who_goes_without_reading_makes_room(console):
    cookie = await console.log_on("viewer")
    stream = connected(console)
    head = f"GET /api/monitor.messages HTTP/1.1\r\nHost: {HOST}\r\nCookie: {cookie}\r\n\r\n"
    await stream.send_all(head.encode())
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert console.plugin.server._long._all.value == MOST
