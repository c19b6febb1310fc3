"""``sipx monitor`` as people and programs use it, against a service that runs."""

from __future__ import annotations

import json
import threading
from contextlib import aclosing

import pytest
import trio
from click.testing import CliRunner
from sipx_monitor.terminal.monitor import monitor
from sipx_monitor.terminal.monitor_websocket import WebsocketSource, address_of
from sipx_monitor.traffic.models import Batch, FollowParams

from sipx import CommandLine


def test_a_line_for_each_message(service):
    call_id = service.message()
    result = service("monitor", "--no-follow", "-f", f"callid:{call_id}")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line.split()[2] for line in lines] == ["in", "out", "in", "out"]
    assert " MESSAGE " in lines[0]
    assert " 200 OK (MESSAGE) " in lines[3]
    assert lines[3].rstrip().endswith("ms")
    assert "\x1b" not in result.output


def test_json_lines_for_programs(service):
    call_id = service.message()
    words = ("monitor", "--no-follow", "-f", f"callid:{call_id}", "-n", "2")
    for option in ("--jsonl", "--json"):
        found = service.json(*words, option)
        assert [one["status"] for one in found] == [200, 200]
        assert found[0]["call_id"] == call_id


def test_what_comes_is_followed_until_it_is_enough(service):
    results = []
    words = ("monitor", "-n", "0", "--count", "4", "-f", "method:MESSAGE to:followed")
    thread = threading.Thread(target=lambda: results.append(service(*words)))
    thread.start()
    while thread.is_alive():
        service.message("followed@partner.example")
        thread.join(0.1)
    [result] = results
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4


def test_dialogs(service):
    call_id = service.message()
    result = service("monitor", "--dialogs", "-f", f"callid:{call_id}", "--plain")
    head, row = result.stdout.splitlines()
    assert head.split()[:3] == ["began", "kind", "state"]
    assert row.split()[1:5] == ["chat", "answered", "200", "4"]
    [found] = service.json("monitor", "--dialogs", "-f", f"callid:{call_id}", "--jsonl")
    assert found["call_id"] == call_id
    nothing = service("monitor", "--dialogs", "-f", "callid:none", "--plain")
    assert (nothing.exit_code, nothing.stdout) == (0, "")
    assert "no dialog is kept" in nothing.stderr


def test_a_ladder_with_both_sides(service):
    call_id = service.message()
    result = service("monitor", "--ladder", call_id)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("MESSAGE") == 2
    assert result.stdout.count("200 OK") == 2
    assert " sipx " in result.stdout.splitlines()[0]
    [found] = service.json("monitor", "--ladder", call_id, "--json")
    assert len(found["participants"]) == 3


def test_a_dialog_that_nobody_knows(service):
    result = service("monitor", "--ladder", "nobody")
    assert result.exit_code == 1
    assert "no message of the dialog 'nobody' is kept" in result.stderr


# ---------------------------------------------------------------- what goes wrong


def alone(*words):
    return CliRunner().invoke(monitor, list(words), obj=CommandLine())


def test_a_filter_that_is_wrong_is_told_with_its_place(tmp_path):
    result = alone("-f", "method:INVITE and (", "--socket", str(tmp_path / "none"))
    assert result.exit_code == 2
    assert "\n  method:INVITE and (\n                     ^" in result.stderr


def test_without_a_service(tmp_path):
    result = alone("--socket", str(tmp_path / "none"))
    assert result.exit_code == 4
    assert "no running service" in result.stderr


def test_two_views_at_once():
    result = alone("--ladder", "x", "--dialogs")
    assert result.exit_code == 2


# ---------------------------------------------------------------- a console elsewhere


@pytest.fixture(scope="module")
def console(service):
    """The address of the console, and a token for it."""
    url = service.sipx("console", "url").strip().partition("#")[0]
    made = service.sipx("console", "token", "create", "test", "--role", "viewer", "--json")
    return url, json.loads(made)["token"]


def test_the_same_over_http_and_the_websocket(service, console):
    url, token = console
    call_id = service.message()
    wanted = ("--url", url, "--token", token, "-f", f"callid:{call_id}")
    result = alone(*wanted, "--count", "4")
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 4
    results = []
    words = ("--url", url, "--token", token, "-n", "0", "--count", "2", "-f", "to:elsewhere")
    thread = threading.Thread(target=lambda: results.append(alone(*words)))
    thread.start()
    while thread.is_alive():
        service.message("elsewhere@partner.example")
        thread.join(0.1)
    assert results[0].exit_code == 0, results[0].output
    assert len(results[0].stdout.splitlines()) == 2


async def test_who_has_enough_leaves_the_websocket_in_order(service, console):
    url, token = console
    source = WebsocketSource(CommandLine(), address_of(url), token, None)
    call_id = service.message()
    asked = FollowParams.model_validate({"filter": f"callid:{call_id}", "since": 0})
    with trio.fail_after(20):
        async with aclosing(source.follow("monitor.follow", asked, Batch)) as stream:
            async for batch in stream:
                assert {one.call_id for one in batch.batch} <= {call_id}
                break


def test_the_token_may_stand_in_the_environment(service, console, monkeypatch):
    url, token = console
    monkeypatch.setenv("SIPX_TOKEN", token)
    call_id = service.message()
    assert alone("--url", url, "--ladder", call_id).exit_code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 5, "give a token of `sipx console token create`"),
        (("--token", "wrong"), 5, "token"),
        (("--token", "wrong", "--ladder", "x"), 5, "token"),
    ],
)
def test_who_is_not_let_in(service, console, words, code, said):
    result = alone("--url", console[0], *words)
    assert result.exit_code == code
    assert said in result.stderr


def test_a_filter_that_the_console_refuses(service, console):
    # A viewer sees no body, and cannot look for one.
    url, token = console
    result = alone("--url", url, "--token", token, "--no-follow", "-f", "body:hello")
    assert result.exit_code == 1
    assert "filter: " in result.stderr


def test_nobody_listens_there():
    result = alone("--url", "http://127.0.0.1:1", "--token", "x")
    assert result.exit_code == 4
    assert "it cannot be reached: Connection refused" in result.stderr


@pytest.mark.parametrize(
    "url", ["ftp://host", "https://", "http://127.0.0.1:1/#token=x", "https://a:b@host",
            "http://host.example:8061"],
)  # fmt: skip
def test_addresses_of_no_console(url):
    result = alone("--url", url)
    assert result.exit_code == 2
    assert "--url: " in result.stderr
