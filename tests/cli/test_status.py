"""``sipx status`` as the operator sees it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import click
import pytest
import trio

from sipx.cli.status_text import status_lines
from sipx.status import PublicSummary


async def test_a_healthy_service_is_shown_and_is_0(service):
    run = await service()
    found = await run("status")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert f"is running, pid {os.getpid()}, up for" in lines[0]
    assert "home.example" in lines[1]
    assert any(line.split()[:3] == ["udp", "listening", "udp"] for line in lines)
    assert lines[-1] == "healthy"


async def test_the_same_as_json(service):
    run = await service()
    found = await run.json("status")
    assert found["healthy"] is True
    assert found["service"]["pid"] == os.getpid()
    assert [i["name"] for i in found["interfaces"]] == ["udp", "tcp"]


async def test_what_is_wrong_is_told_with_its_remedy_and_is_1(service):
    run = await service()
    run.kernel.interfaces.named("udp").failed("Address already in use")
    found = await run("status")
    assert found.exit_code == 1
    assert "failure: interface udp: cannot listen on 127.0.0.1 port 5060 (udp)" in found.stdout
    assert "`sipx check` tells who has the address" in found.stdout
    assert found.stdout.splitlines()[-1] == "not healthy: 1 failure"


@pytest.mark.parametrize(("broken", "code"), [(False, 0), (True, 1)])
async def test_quiet_says_nothing_but_the_exit_code(service, broken, code):
    run = await service()
    if broken:
        run.kernel.interfaces.named("udp").failed("Address already in use")
    found = await run("status", "--quiet")
    assert (found.exit_code, found.output) == (code, "")


def test_without_a_service_it_is_4_and_a_sentence(line, monkeypatch, tmp_path):
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "absent.sock"))
    for words in (("status",), ("status", "--quiet"), ("status", "--json")):
        found = line(*words)
        assert (found.exit_code, found.stdout) == (4, "")
        assert "no running service: there is no control socket" in found.stderr


async def test_traffic_refusals_and_troubles_are_shown_by_reason(service):
    run = await service()
    kernel = run.kernel
    kernel.journal.answered(b"MESSAGE", 200)
    kernel.journal.answered(b"MESSAGE", 403)
    kernel.journal.refusals["the sender is not known here"] = 3
    for number in range(15):
        kernel.journal.drops[f"reason {number}"] = 1
    kernel.troubles.note("partner", "away.example", "its certificate has expired")
    found = (await run("status")).stdout
    assert "answers to MESSAGE: 200 x 1, 403 x 1" in found
    assert "3 x the sender is not known here" in found
    assert "and 5 for other reasons" in found
    assert "partner away.example: its certificate has expired (once, for 0 s)" in found


async def test_what_plugins_show_is_a_table(service):
    routes = {
        "home.example": {"server": "127.0.0.9", "trusted": True},
        "off.example": {"server": "127.0.0.8", "enabled": False},
    }
    run = await service(**{"static-routes": {"route": routes}})
    lines = (await run("status")).stdout.splitlines()
    table = lines[lines.index("routes") + 1 :][:3]
    assert table[0].split() == ["domain", "enabled", "trusted", "protocol", "server", "port",
                                "addresses"]  # fmt: skip
    assert table[1].split()[:5] == ["home.example", "yes", "yes", "udp", "127.0.0.9"]
    assert table[2].split()[:3] == ["off.example", "no", "no"]


@pytest.mark.parametrize("form", [(), ("--json",)])
async def test_nothing_of_others_reaches_the_terminal_raw(service, form):
    run = await service()
    run.kernel.troubles.note("partner", "away\x1b[2J.example", "bad\x9b31m\u2028line")
    run.kernel.journal.refusals["reason\x07"] = 1
    found = (await run("status", *form)).stdout
    assert "away" in found
    assert all(c == "\n" or c.isprintable() for c in found)


async def test_a_failed_reload_is_told_line_by_line(service):
    run = await service()
    run.kernel.reloads.failed_with("a.toml:1:1: one\na.toml:2:1: two", 0.0)
    found = await run("status")
    assert found.exit_code == 0
    assert "the configuration before it runs on: a.toml:1:1: one\n" in found.stdout
    assert found.stdout.splitlines()[-1] == "healthy, with 1 warning"


async def test_objects_in_an_object_of_a_plugin_are_told_line_by_line(service):
    run = await service()
    source = {"bind": "*", "family": 4, "nat": "", "when": 0.0, "error": "no answer\x1b"}
    shown = {
        "servers": ["a", "b"],
        "sources": [source, {"bind": "::"}],
        "records": [],
        "runs": {"silent": 3},
    }
    status = run.kernel.handle("udp").status().model_copy(update={"sections": {"stun": shown}})
    lines = [click.unstyle(line) for line in status_lines(status)]
    at = lines.index("stun")
    assert lines[at + 1 :][:4] == [
        "  servers: a, b",
        "  sources:",
        "    bind: *",
        "      family: 4",
    ]
    assert lines[at + 5].startswith("      when: 19")
    assert lines[at + 6 :][:4] == [
        r"      error: no answer\x1b",
        "    bind: ::",
        "  records: none",
        "  runs: silent 3",
    ]


# ---------------------------------------------------------------- the public address

FOUND = {"127.0.0.1": "203.0.113.5", "*": "203.0.113.5"}
LINES = {"127.0.0.1": "203.0.113.5", "127.0.0.2": "198.51.100.5"}


@pytest.mark.parametrize(
    ("public", "told"),
    [
        ({}, []),
        ({"used": True}, ["not found yet: interfaces show their own addresses"]),
        ({"used": True, "found": FOUND}, ["203.0.113.5, as found"]),
        (
            {"used": True, "found": LINES},
            ["203.0.113.5 (from 127.0.0.1), 198.51.100.5 (from 127.0.0.2), as found"],
        ),
        ({"found": FOUND}, ["203.0.113.5, and not used: wan.use_public_address is off"]),
        (
            {"used": True, "setting": "192.0.2.7", "addresses": ("192.0.2.7",)},
            ["192.0.2.7, as the configuration says"],
        ),
        (
            {"used": True, "setting": "sip.example.com", "addresses": ("192.0.2.7", "2001:db8::7")},
            ["sip.example.com, as the configuration says: 192.0.2.7, 2001:db8::7"],
        ),
        (
            {"used": True, "setting": "sip.example.com"},
            ["sip.example.com, as the configuration says: not known yet"],
        ),
    ],
)
async def test_the_public_address_is_told_where_it_plays_a_part(service, public, told):
    run = await service()
    status = run.kernel.handle("udp").status()
    status = status.model_copy(update={"public": PublicSummary(**public)})
    lines = [click.unstyle(line) for line in status_lines(status)]
    assert ("public address" in lines) is bool(told)
    at = lines.index("public address") if told else len(lines)
    assert [line.strip() for line in lines[at + 1 :][: len(told)]] == told


async def test_interfaces_show_what_they_are_advertised_as(service):
    run = await service(wan={"use_public_address": True})
    found = (await run("status")).stdout.splitlines()
    head = next(line for line in found if "advertised" in line)
    assert head.split()[:5] == ["name", "state", "protocol", "address", "advertised"]
    assert all("not known yet" in line for line in found[found.index(head) + 1 :][:2])
    run.kernel.handle("udp").note_public_addresses({"127.0.0.1": "203.0.113.5"})
    found = (await run("status")).stdout.splitlines()
    assert "  203.0.113.5, as found" in found
    assert found[found.index("interfaces") + 2].split()[6] == "203.0.113.5:5060"
    assert (await run.json("status"))["public"]["addresses"] == ["203.0.113.5"]


# ---------------------------------------------------------------- --watch


async def test_watch_needs_a_terminal_or_json(service):
    run = await service()
    found = await run("status", "--watch")
    assert found.exit_code == 2
    assert "--watch needs a terminal, or --json" in found.stderr
    assert (await run("status", "--watch", "--quiet")).exit_code == 2


WATCH = [sys.executable, "-m", "sipx", "status", "--watch", "--interval", "0.1"]


async def until(process, receive, enough):
    """What a process writes until it is enough; then it is interrupted: its exit code too."""
    found = b""
    try:
        with trio.fail_after(60):
            while not enough(found):
                found += await receive()
            process.send_signal(signal.SIGINT)
            return found, await process.wait()
    finally:
        process.kill()


async def test_watch_streams_documents_until_it_is_interrupted(service):
    await service()
    process = await trio.lowlevel.open_process([*WATCH, "--json"], stdout=subprocess.PIPE)
    async with process.stdout as pipe:
        found, code = await until(process, pipe.receive_some, lambda text: text.count(b"\n") > 2)
    assert code == 0
    assert [json.loads(line)["healthy"] for line in found.splitlines()[:3]] == [True] * 3


async def test_watch_streams_until_the_service_goes(service, nursery):
    run = await service()
    process = await trio.lowlevel.open_process(
        [*WATCH, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    async with process.stdout as pipe:
        await pipe.receive_some()
        run.control.cancel()
        with trio.fail_after(60):
            assert await process.wait() == 4
            said = await process.stderr.receive_some()
    await process.stderr.aclose()
    assert b"ended the connection" in said


async def test_watch_draws_on_a_terminal_and_waits_for_a_service_that_goes(service):
    run = await service()
    master, slave = os.openpty()
    process = await trio.lowlevel.open_process(WATCH, stdout=slave, stderr=slave)
    os.close(slave)

    async def receive():
        await trio.lowlevel.wait_readable(master)
        data = os.read(master, 65536)
        if b", pid " in data:
            run.control.cancel()
        return data

    found, code = await until(process, receive, lambda text: b"trying again; Ctrl-C ends" in text)
    os.close(master)
    assert code == 0
    assert b", pid " in found
