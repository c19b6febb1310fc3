"""The control socket: JSON-RPC 2.0 by its rules, and clients that keep none."""

from __future__ import annotations

import json
import logging
import os
import pwd
import stat
from functools import partial

import pytest
import trio
import trio.testing

from sipx.control.outbox import EVENT_BYTES, WRITE_TIMEOUT
from sipx.control.rpc import LONGEST_LINE
from sipx.control.server import CLIENTS, IDLE_TIMEOUT, LINE_TIMEOUT, SUBSCRIPTIONS, serve
from sipx.errors import StartError


def code(answer):
    return answer["error"]["code"]


# ---------------------------------------------------------------- JSON-RPC 2.0


async def test_a_call_is_answered_with_its_id(running):
    client = await running.raw()
    assert await client.ask("echo", {"word": "ab", "times": 2}, id_="x") == {
        "jsonrpc": "2.0",
        "id": "x",
        "result": {"said": "abab", "user": ""},
    }


async def test_parameters_may_stand_by_position(running):
    client = await running.raw()
    assert (await client.ask("echo", ["ab", 3]))["result"]["said"] == "ababab"


@pytest.mark.parametrize(
    ("line", "expected", "id_"),
    [
        (b"{", -32700, None),
        (b"\xff\xfe{}", -32700, None),
        (b"NaN", -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"[" * 65 + b"]" * 65, -32700, None),
        (b'{"jsonrpc": "2.0", "method": "plain", "id": 1e999}', -32600, None),
        (b"5", -32600, None),
        (b"[]", -32600, None),
        (b'{"method": "plain", "id": 4}', -32600, 4),
        (b'{"jsonrpc": "1.0", "method": "plain", "id": 4}', -32600, 4),
        (b'{"jsonrpc": "2.0", "method": 7, "id": 4}', -32600, 4),
        (b'{"jsonrpc": "2.0", "method": "plain", "params": 7, "id": 4}', -32600, 4),
        (b'{"jsonrpc": "2.0", "method": "plain", "id": {}}', -32600, None),
        (b'{"jsonrpc": "2.0", "method": "plain", "id": true}', -32600, None),
        (b'{"jsonrpc": "2.0", "method": "plian", "id": 4}', -32601, 4),
        (b'{"jsonrpc": "2.0", "method": "echo", "id": 4}', -32602, 4),
        (b'{"jsonrpc": "2.0", "method": "echo", "params": {"word": 5}, "id": 4}', -32602, 4),
        (b'{"jsonrpc": "2.0", "method": "echo", "params": ["a", 1, 2], "id": 4}', -32602, 4),
        (b'{"jsonrpc": "2.0", "method": "plain", "params": {"a": 1}, "id": 4}', -32602, 4),
        (b'{"jsonrpc": "2.0", "method": "fail.bug", "id": 4}', -32603, 4),
        (b'{"jsonrpc": "2.0", "method": "fail.lie", "id": 4}', -32603, 4),
        (b'{"jsonrpc": "2.0", "method": "fail.half", "id": 4}', -32603, 4),
        (b'{"jsonrpc": "2.0", "method": "\\ud800", "id": 4}', -32601, 4),
        (b'{"jsonrpc": "2.0", "method": "echo", "params": {"\\ud800": 1}, "id": 4}', -32602, 4),
        (b'{"jsonrpc": "2.0", "method": "plain", "id": 1' + b"0" * 5000 + b"}", -32700, None),
        (b'{"jsonrpc": "2.0", "method": "fail.start", "id": 4}', -32000, 4),
        (b'{"jsonrpc": "2.0", "method": "fail.refused", "id": 4}', -32003, 4),
    ],
)
async def test_what_is_wrong_is_answered_and_the_next_request_is_served(
    running, line, expected, id_
):
    client = await running.raw()
    await client.send(line)
    answer = await client.next()
    assert code(answer) == expected
    assert answer["id"] == id_
    assert answer["error"]["data"]["text"]
    assert (await client.ask("plain"))["result"] == {"text": ""}


async def test_an_unknown_method_is_told_which_was_meant(running):
    client = await running.raw()
    answer = await client.ask("ehco")
    assert "did you mean 'echo'?" in answer["error"]["message"]
    assert "`sipx control methods`" in (await client.ask("zzz"))["error"]["message"]


async def test_of_a_method_without_end_only_the_beginning_is_looked_at(running):
    client = await running.raw()
    answer = await client.ask("x" * 500_000)
    assert len(answer["error"]["message"]) < 200


@pytest.mark.parametrize("batch", [True, False])
async def test_others_run_between_two_requests_that_need_no_answer(running, nursery, batch):
    """A line, or a read, may hold many: together they would take as long as nobody can wait."""
    turns = 0

    async def turn():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    told = []
    client = await running.raw()
    running.ours.asked = lambda: told.append(turns)
    request = {"jsonrpc": "2.0", "method": "who"}
    nursery.start_soon(turn)
    lines = [json.dumps([request] * 50)] if batch else [json.dumps(request)] * 50
    await client.stream.send_all("".join(f"{line}\n" for line in lines).encode())
    assert (await client.ask("plain"))["result"] == {"text": ""}
    assert len(told) == 50
    assert told[-1] - told[0] >= 45
    nursery.cancel_scope.cancel()


async def test_wrong_parameters_are_told_by_name(running):
    client = await running.raw()
    answer = await client.ask("echo", {"times": 0})
    problems = answer["error"]["data"]["problems"]
    assert [problem["key"] for problem in problems] == ["word", "times"]


async def test_a_misspelt_parameter_is_not_taken_for_one_that_was_left_out(running):
    client = await running.raw()
    answer = await client.ask("echo", {"word": "a", "tiems": 2})
    assert code(answer) == -32602
    assert answer["error"]["message"] == "echo has no parameter 'tiems'; did you mean 'times'?"
    assert [problem["key"] for problem in answer["error"]["data"]["problems"]] == ["tiems"]
    answer = await client.ask("echo", {"word": "a", "zzz": 2})
    assert answer["error"]["message"] == "echo has no parameter 'zzz'; it takes times, word"


async def test_a_bug_tells_nothing_of_the_inside_and_is_noted(running):
    client = await running.raw()
    answer = await client.ask("fail.bug")
    assert "secret" not in json.dumps(answer)
    [(owner, name, error)] = running.ours.faults
    assert (owner, name, str(error)) == ("", "fail.bug", "secret inner state")


async def test_a_notification_gets_no_answer_not_even_an_error(running):
    client = await running.raw()
    for name in ("plain", "nonsense", "fail.bug", "count"):
        await client.send({"jsonrpc": "2.0", "method": name})
    assert (await client.ask("plain", id_=9))["id"] == 9


async def test_a_batch_is_answered_as_a_batch_without_its_notifications(running):
    client = await running.raw()
    await client.send(
        [
            {"jsonrpc": "2.0", "method": "echo", "params": ["a"], "id": 1},
            {"jsonrpc": "2.0", "method": "plain"},
            7,
            {"jsonrpc": "2.0", "method": "nonsense", "id": 2},
        ]
    )
    first, second, third = await client.next()
    assert first["result"]["said"] == "a"
    assert (second["id"], code(second)) == (None, -32600)
    assert (third["id"], code(third)) == (2, -32601)
    await client.send([{"jsonrpc": "2.0", "method": "plain"}])
    await client.send([{"jsonrpc": "2.0", "method": "plain", "id": 1}] * 101)
    answer = await client.next()
    assert code(answer) == -32600
    assert "at most 100" in answer["error"]["message"]


async def test_several_requests_in_one_write_are_answered_in_turn(running):
    client = await running.raw()
    await client.send(
        *({"jsonrpc": "2.0", "method": "echo", "params": [str(n)], "id": n} for n in range(20))
    )
    assert [(await client.next())["result"]["said"] for _ in range(20)] == [
        str(n) for n in range(20)
    ]


# ---------------------------------------------------------------- who calls


async def test_the_caller_is_known_by_the_machine_not_by_what_it_says(running):
    client = await running.raw()
    answer = (await client.ask("who"))["result"]
    assert answer == {"said": str(os.getpid()), "user": pwd.getpwuid(os.geteuid()).pw_name}


async def test_who_changes_something_is_logged_and_who_reads_is_not(running, caplog):
    caplog.set_level(logging.INFO, "sipx.control")
    client = await running.raw()
    await client.ask("plain")
    await client.ask("change", {"word": "hush"})
    lines = [line for line in caplog.messages if "called" in line]
    assert len(lines) == 1
    assert "called change" in lines[0]
    assert f"uid {os.geteuid()}, pid {os.getpid()}" in lines[0]
    assert "hush" not in lines[0]


# ---------------------------------------------------------------- streams


async def test_a_stream_answers_with_its_number_then_sends_events_then_its_end(running):
    client = await running.raw()
    answer = await client.ask("count", {"limit": 2})
    number = answer["result"]["subscription"]
    told = [await client.next() for _ in range(3)]
    assert {line["method"] for line in told} == {"subscription"}
    assert [line["params"] for line in told] == [
        {"subscription": number, "event": {"number": 0, "text": "x"}},
        {"subscription": number, "event": {"number": 1, "text": "x"}},
        {"subscription": number, "end": {"error": None}},
    ]


async def test_two_streams_and_calls_share_a_connection(running):
    client = await running.raw()
    first = (await client.ask("forever"))["result"]["subscription"]
    assert (await client.next())["params"]["subscription"] == first
    second = (await client.ask("count", {"limit": 1}))["result"]["subscription"]
    assert first != second
    assert (await client.next())["params"]["subscription"] == second
    assert "end" in (await client.next())["params"]
    assert (await client.ask("plain"))["result"] == {"text": ""}


async def test_after_unsubscribing_nothing_more_comes(running):
    client = await running.raw()
    number = (await client.ask("forever"))["result"]["subscription"]
    await client.next()
    answer = await client.ask("control.unsubscribe", {"subscription": number})
    assert "result" in answer
    assert (await client.ask("plain", id_=7))["id"] == 7
    assert code(await client.ask("control.unsubscribe", {"subscription": number})) == -32002
    assert code(await client.ask("control.unsubscribe", {"subscription": "x"})) == -32602


async def test_a_stream_that_breaks_ends_with_an_error(running):
    client = await running.raw()
    await client.ask("broken-stream")
    await client.next()
    end = (await client.next())["params"]["end"]
    assert end["error"]["code"] == -32603
    assert "secret" not in json.dumps(end)
    assert (await client.ask("plain"))["result"] == {"text": ""}


async def test_an_event_that_cannot_be_written_ends_its_stream(running):
    client = await running.raw()
    await client.ask("half-stream")
    assert (await client.next())["params"]["end"]["error"]["code"] == -32603
    assert (await client.ask("plain"))["result"] == {"text": ""}


async def test_a_client_has_so_many_streams_and_no_more(running):
    client = await running.raw()
    for _ in range(SUBSCRIPTIONS):
        assert "result" in await client.ask("forever")
        await client.next()
    assert code(await client.ask("forever")) == -32004


async def test_events_that_are_not_read_are_dropped_and_counted(running):
    client = await running.raw()
    limit, size = 3000, 4096
    assert limit * size > 4 * EVENT_BYTES
    await client.ask("count", {"limit": limit, "size": size})
    with trio.fail_after(20):
        await trio.testing.wait_all_tasks_blocked(0.05)
    numbers, dropped = [], 0
    while True:
        params = (await client.next())["params"]
        dropped += params.get("dropped", 0)
        if "end" in params:
            break
        numbers.append(params["event"]["number"])
    assert dropped > 0
    assert len(numbers) + dropped == limit
    assert numbers == sorted(numbers)
    assert numbers[-1] == limit - 1


# ---------------------------------------------------------------- clients that keep no rule


async def test_half_a_line_is_not_waited_for_without_end(running, autojump_clock):
    client = await running.raw()
    began = trio.current_time()
    await client.stream.send_all(b'{"jsonrpc": "2.0", ')
    answer = await client.next(within=1000)
    assert "within" in answer["error"]["message"]
    assert trio.current_time() - began == pytest.approx(LINE_TIMEOUT, abs=1)
    assert await client.next(within=1000) is None


async def test_a_line_that_trickles_in_has_one_deadline(running, autojump_clock):
    client = await running.raw()
    began = trio.current_time()
    with pytest.raises(trio.BrokenResourceError):  # noqa: PT012  # the server closes while we send
        while True:
            await client.stream.send_all(b" ")
            await trio.sleep(1)
    assert trio.current_time() - began == pytest.approx(LINE_TIMEOUT, abs=3)


async def test_a_client_that_asks_nothing_is_let_go_unless_it_has_a_stream(running, autojump_clock):
    idle, watching = await running.raw(), await running.raw()
    await watching.ask("forever")
    await watching.next()
    await trio.sleep(3 * IDLE_TIMEOUT)
    assert await idle.next() is None
    assert "result" in await watching.ask("plain")


async def test_a_line_without_end_is_refused_at_its_limit(running, nursery):
    client = await running.raw()

    async def pour():
        with pytest.raises(trio.BrokenResourceError):
            await client.stream.send_all(b"x" * (10 * LONGEST_LINE))

    nursery.start_soon(pour)
    answer = await client.next()
    assert code(answer) == -32600
    assert str(LONGEST_LINE) in answer["error"]["message"]
    other = await running.raw()
    assert "result" in await other.ask("plain")


async def test_who_never_reads_is_cut_off_and_delays_nobody(running, autojump_clock):
    client = await running.raw()
    answer = {"jsonrpc": "2.0", "method": "echo", "params": ["x" * 100_000], "id": 1}
    with pytest.raises(trio.BrokenResourceError), trio.fail_after(10 * WRITE_TIMEOUT):  # noqa: PT012  # whichever write it is
        while True:
            await client.send(answer)
    other = await running.raw()
    assert "result" in await other.ask("plain")


async def test_who_goes_in_the_middle_of_a_call_costs_nobody_anything(running):
    client = await running.raw()
    await client.send({"jsonrpc": "2.0", "method": "wait", "id": 1})
    watching = await running.raw()
    await watching.ask("forever")
    await client.stream.aclose()
    await watching.stream.aclose()
    running.ours.tick.set()
    other = await running.raw()
    assert "result" in await other.ask("plain")


async def test_a_slow_method_of_one_client_delays_no_other(running):
    slow = await running.raw()
    await slow.send({"jsonrpc": "2.0", "method": "wait", "id": 1})
    other = await running.raw()
    assert "result" in await other.ask("plain")
    running.ours.tick.set()
    assert "result" in await slow.next()


async def test_clients_beyond_the_limit_are_told_so(running):
    clients = [await running.raw() for _ in range(CLIENTS)]
    for client in clients:
        assert "result" in await client.ask("plain")
    late = await running.raw()
    assert code(await late.next()) == -32004
    assert await late.next() is None
    await clients[0].stream.aclose()
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert "result" in await (await running.raw()).ask("plain")


# ---------------------------------------------------------------- the file


async def test_the_socket_is_for_owner_and_group_whatever_the_umask(nursery, tmp_path, api):
    old = os.umask(0)
    try:
        path = tmp_path / "control.sock"
        await nursery.start(partial(serve, api, path))
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_second_service_says_who_has_the_socket(running):
    with pytest.raises(StartError, match=rf"process {os.getpid()} listens on the control socket"):
        await serve(running.api, running.path)
    assert "result" in await (await running.raw()).ask("plain")


async def test_the_socket_goes_with_the_server(tmp_path, api):
    path = tmp_path / "control.sock"
    async with trio.open_nursery() as own:
        await own.start(partial(serve, api, path))
        assert path.is_socket()
        own.cancel_scope.cancel()
    assert not path.exists()


async def test_a_group_that_is_not_there_is_told_and_the_owner_alone_can_use_it(
    nursery, tmp_path, api
):
    path, told = tmp_path / "control.sock", []
    await nursery.start(partial(serve, api, path, "no-such-group", trouble=told.append))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    [text] = told
    assert "there is no group 'no-such-group'" in text
    assert "groupadd" in text
