from __future__ import annotations

import os
from pathlib import Path

import pytest
import trio
import trio.testing

from sipx.cli.command_line import CommandLine, wanted_color
from sipx.cli.root import sipx
from sipx.control.client import Forbidden


@pytest.mark.parametrize(
    ("option", "environment", "wanted"),
    [
        ("auto", {}, None),
        ("auto", {"TERM": "dumb"}, False),
        ("auto", {"NO_COLOR": "1"}, False),
        ("auto", {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        ("auto", {"FORCE_COLOR": "0"}, None),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_follows_the_option_then_the_environment(monkeypatch, option, environment, wanted):
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wanted_color(option) is wanted


def test_output_that_goes_nowhere_special_has_no_colour_unless_asked_for(line, two_domains):
    assert "\x1b[" not in line("check", "config").stdout
    assert "\x1b[" in line("check", "config", "--color", "always").stdout
    assert "\x1b[" in line("--color", "always", "check", "config").stdout


def test_options_may_stand_before_or_behind_the_command(line, two_domains):
    behind = line("check", "config", "--json", "--config", str(two_domains))
    before = line("--json", "--config", str(two_domains), "check", "config")
    assert behind.stdout == before.stdout
    assert sipx.name == "sipx"


# ---------------------------------------------------------------- the running service


@pytest.fixture
def nothing_named(monkeypatch):
    """No variable says where the socket is; an account that is not root."""
    monkeypatch.delenv("SIPX_SOCKET")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    monkeypatch.setattr("sipx.control.place.SYSTEM", Path("/nowhere/control.sock"))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('[service]\ncontrol_socket = "/srv/c.sock"', "/srv/c.sock"),
        ('[service]\ncontrol_socket = "run/c.sock"', "{home}/run/c.sock"),
        ("domains = []", "/run/user/1000/sipx/control.sock"),
        ("service = 7", "/run/user/1000/sipx/control.sock"),
        ("[service]\ncontrol_socket = 7", "/run/user/1000/sipx/control.sock"),
        # A file that is broken: the service that runs on it must be found all the same.
        ("[service]\ncontrol_socket = '/srv/c.sock'\nport = = 5", "/srv/c.sock"),
        ("port = = 5", "/run/user/1000/sipx/control.sock"),
    ],
)
def test_the_socket_is_that_of_the_configuration_file(nothing_named, home, text, path):
    (home / "sipx.toml").write_text(text)
    assert str(CommandLine().control_path()) == path.format(home=home)


def test_without_a_file_it_is_the_usual_one(nothing_named, home):
    assert str(CommandLine().control_path()) == "/run/user/1000/sipx/control.sock"


def test_a_named_socket_wins_over_the_variable_and_that_over_the_file(
    nothing_named, home, monkeypatch
):
    (home / "sipx.toml").write_text('[service]\ncontrol_socket = "/srv/c.sock"')
    monkeypatch.setenv("SIPX_SOCKET", "/srv/variable.sock")
    line = CommandLine()
    assert line.control_path() == Path("/srv/variable.sock")
    line.socket = Path("named.sock")
    assert line.control_path() == home / "named.sock"


async def test_the_option_names_the_socket(service, home, monkeypatch):
    run = await service()
    there = os.environ["SIPX_SOCKET"]
    monkeypatch.setenv("SIPX_SOCKET", str(home / "absent.sock"))
    assert (await run("status")).exit_code == 4
    assert (await run("status", "--socket", there)).exit_code == 0


async def test_a_reachable_service_is_used_and_its_absence_is_no_failure(service, home, capsys):
    run = await service()

    def work():
        with CommandLine().reachable_control() as client:
            return client.call_json("status")["healthy"]

    assert await trio.to_thread.run_sync(work) is True
    run.control.cancel()
    await trio.testing.wait_all_tasks_blocked()
    assert await trio.to_thread.run_sync(CommandLine().reachable_control) is None


def test_a_socket_that_is_forbidden_is_5(line, monkeypatch):
    def denied(path):
        raise Forbidden("this account may not use the control socket")

    monkeypatch.setattr("sipx.control.client.Client", denied)
    found = line("status")
    assert found.exit_code == 5
    assert "this account may not use" in found.stderr
    assert CommandLine().reachable_control() is None


def test_a_socket_with_a_path_that_is_too_long_is_4(line):
    found = line("status", "--socket", "/" + "x" * 120)
    assert found.exit_code == 4
    assert "at most 107 bytes" in found.stderr
