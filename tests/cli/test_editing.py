"""A change of the file while a sipx runs on it: taken up, or taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipx.cli.command_line import CommandLine
from sipx.config.file import ConfigFile
from sipx.control.client import Unreachable
from sipx.control.errors import ControlError
from sipx.reload import Plan

if TYPE_CHECKING:
    from pathlib import Path


class Running:
    """The client of a service that runs on a file; ``answer`` is what a reload comes to."""

    pid = 4711

    def __init__(self, config: str, answer: Any) -> None:
        self.config = config
        self.answer = answer
        self.text = ""
        self.calls: list[str] = []
        self.more: list[dict[str, Any]] = []

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.calls.append("closed")

    def call_json(self, name: str, *_: Any, **__: Any) -> Any:
        self.calls.append(name)
        live = {"name": "near", "state": "failed", "reason": "in use", "address": None, "flows": 0}
        return {"service": {"config": self.config}, "interfaces": [live, *self.more]}

    def call(self, name: str, *_: Any, **__: Any) -> Any:
        self.calls.append(name)
        with open(self.config) as file:  # noqa: PTH123  # as the service would
            self.text = file.read()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.fixture
def runs(two_domains: Path, monkeypatch: pytest.MonkeyPatch):
    """``runs(answer)``: a service runs on ./sipx.toml (or on ``config``)."""

    def start(answer: Any, config: str | None = None) -> Running:
        running = Running(config or str(two_domains), answer)
        monkeypatch.setattr(CommandLine, "reachable_control", lambda _: running)
        return running

    return start


def test_a_change_is_taken_up_by_the_running_sipx(line, two_domains, runs):
    running = runs(Plan(changed=("dns.timeout",), restart=("service.state_dir",)))
    result = line("config", "set", "dns.timeout", "2s")
    assert result.exit_code == 0
    assert running.calls == ["status", "reload", "closed"]
    assert 'timeout = "2s"' in running.text
    assert "and the running sipx uses it" in result.stdout
    assert "only after a restart of the process: service.state_dir" in result.stdout
    data = line.json("config", "set", "dns.timeout", "3s")
    assert data["applied"] is True
    assert data["plan"]["changed"] == ["dns.timeout"]


def test_a_change_that_it_cannot_take_up_is_taken_back(line, two_domains, runs):
    text = two_domains.read_text()
    runs(ControlError("reload", "interface far: Address already in use"))
    result = line("config", "set", "interface.far.port", "5099")
    assert result.exit_code == 1
    assert two_domains.read_text() == text
    assert "Address already in use" in result.stderr
    assert "sipx.toml is as it was" in result.stderr
    whys = [version["why"] for version in line.json("config", "history")["versions"]]
    assert whys[-2:] == ["interface.far.port = 5099", "taken back: interface.far.port = 5099"]


def test_an_undo_after_that_goes_behind_it(line, two_domains, runs):
    running = runs(Plan())
    line("config", "set", "dns.timeout", "2s")
    running.answer = ControlError("reload", "no")
    line("config", "set", "dns.timeout", "3s")
    running.answer = Plan()
    assert 'undone: dns.timeout = "2s"' in line("config", "undo").stdout
    assert "timeout" not in two_domains.read_text()


def test_no_apply_and_dry_run_leave_it_alone(line, two_domains, runs):
    running = runs(Plan())
    assert line("config", "set", "dns.timeout", "2s", "--dry-run").exit_code == 0
    assert line("config", "set", "dns.timeout", "2s", "--no-apply").exit_code == 0
    assert running.calls == []


def test_a_sipx_that_was_not_told_may_be_told_later(line, two_domains, home):
    assert "from the next start\n" in line("config", "set", "dns.timeout", "2s").stdout
    (home / "control.sock").touch()
    done = line("config", "set", "dns.timeout", "3s", "--no-apply")
    assert "from the next start or reload\n" in done.stdout


def test_a_sipx_that_uses_another_file_is_left_alone(line, two_domains, runs, tmp_path):
    running = runs(Plan(), config=str(tmp_path / "other.toml"))
    result = line("config", "set", "dns.timeout", "2s")
    assert result.exit_code == 0
    assert running.calls == ["status", "closed"]
    assert "uses another file" in result.stderr
    assert "counts from the next start" in result.stdout


def test_a_sipx_that_ends_meanwhile_is_said_and_the_file_is_written(line, two_domains, runs):
    runs(Unreachable("it has ended"))
    result = line("config", "set", "dns.timeout", "2s")
    assert result.exit_code == 0
    assert "did not take it up: it has ended" in result.stderr
    assert 'timeout = "2s"' in two_domains.read_text()


def test_an_interrupt_while_it_is_taken_up_tells_what_stands_in_the_file(line, two_domains, runs):
    running = runs(Plan())
    running.answer = KeyboardInterrupt()
    result = line("config", "set", "dns.timeout", "2s")
    assert (result.exit_code, "sipx.toml is written, and" in result.stderr) == (130, True)
    assert 'timeout = "2s"' in two_domains.read_text()


def test_what_an_interface_does_is_shown_beside_it(line, two_domains, runs):
    runs(Plan())
    rows = {row["name"]: row for row in line.json("interfaces", "list")["interfaces"]}
    assert rows["near"]["live"]["state"] == "failed"
    assert rows["far"]["live"] is None
    text = line("interfaces", "list").stdout
    assert "failed: in use" in text
    assert "not taken up" in text
    assert "now: failed: in use" in line("interfaces", "show", "near").stdout


def test_the_interfaces_of_plugins_are_listed_while_they_run(line, two_domains, runs):
    assert "added by plugins" not in line("interfaces", "list").stdout
    place = {"bind": "192.0.2.1", "configured_port": 5061, "address": "192.0.2.1", "port": 5061}
    seen = {"advertises": True, "advertised": "198.51.100.7:5061", "flows": 0}
    added = {"name": "federation", "protocol": "mtls", "role": "wan", "state": "listening"}
    runs(Plan()).more = [{**added, **place, **seen, "reason": ""}]
    rows = {row["name"]: row for row in line.json("interfaces", "list")["interfaces"]}
    assert rows["federation"]["of_plugin"]
    assert not rows["near"]["of_plugin"]
    assert rows["federation"].keys() == rows["near"].keys()
    text = line("interfaces", "list").stdout
    assert "198.51.100.7:5061" in text
    assert "added by plugins, whose own tables say how: federation" in text
    shown = line("interfaces", "show", "federation").stdout
    assert "advertised: 198.51.100.7:5061" in shown
    assert "now: listening on 192.0.2.1 port 5061, 0 flows" in shown


def test_a_file_that_may_not_be_written_is_exit_code_5(line, two_domains, monkeypatch):
    def denied(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("sipx.config.file.tempfile.mkstemp", denied)
    result = line("config", "set", "dns.timeout", "2s")
    assert (result.exit_code, "cannot be written" in result.stderr) == (5, True)
    assert f"needs the right to write the file and the directory {two_domains.parent}" in (
        result.stderr
    )


def test_a_change_is_made_again_on_what_others_wrote_meanwhile(line, two_domains, monkeypatch):
    others = iter(["# one\n", "# two\n"])
    write = ConfigFile.write

    def late(file: ConfigFile, *given: Any, **named: Any) -> Any:
        if (other := next(others, None)) is not None:
            two_domains.write_text(two_domains.read_text() + other)
        return write(file, *given, **named)

    monkeypatch.setattr(ConfigFile, "write", late)
    result = line("config", "set", "dns.timeout", "2s")
    assert (result.exit_code, result.stdout.count("is written")) == (0, 1)
    text = two_domains.read_text()
    assert 'timeout = "2s"' in text
    assert "# one\n# two\n" in text


def test_a_file_that_never_rests_is_given_up(line, two_domains, monkeypatch):
    write = ConfigFile.write

    def late(file: ConfigFile, *given: Any, **named: Any) -> Any:
        two_domains.write_text(two_domains.read_text() + "#\n")
        return write(file, *given, **named)

    monkeypatch.setattr(ConfigFile, "write", late)
    result = line("config", "set", "dns.timeout", "2s")
    assert (result.exit_code, "changed by somebody else" in result.stderr) == (1, True)
    assert "timeout" not in two_domains.read_text()


def test_a_history_that_cannot_be_kept_is_said(line, two_domains, tmp_path, monkeypatch):
    text = two_domains.read_text()
    two_domains.write_text(text)
    (tmp_path / "state").write_text("in the way")
    result = line("config", "set", "dns.timeout", "2s")
    assert result.exit_code == 0
    assert "the history is not kept" in result.stderr
    assert 'timeout = "2s"' in two_domains.read_text()


def test_a_real_process_takes_changes_up_and_refuses_them(line, two_domains, running):
    text = two_domains.read_text()
    words = ("--bind", "127.0.0.1", "--protocol", "udp")
    with running() as proxy:
        assert line("config", "diff").exit_code == 0
        done = line.json("interfaces", "add", "new", *words, "--port", "0")
        assert done["applied"] is True
        assert done["plan"]["listen"] == ["new"]
        rows = {row["name"]: row for row in line.json("interfaces", "list")["interfaces"]}
        assert rows["new"]["live"]["state"] == "listening"
        taken = str(proxy.address("near")[1])
        result = line("interfaces", "add", "more", *words, "--port", taken)
        assert (result.exit_code, "Address already in use" in result.stderr) == (1, True)
        assert line("config", "set", "dns.timeout", "2s", "--no-apply").exit_code == 0
        result = line("config", "diff")
        assert (result.exit_code, '+timeout = "2s"' in result.stdout) == (1, True)
        for _ in range(2):
            assert line("config", "undo").exit_code == 0
        assert two_domains.read_text() == text
        rows = {row["name"]: row for row in line.json("interfaces", "list")["interfaces"]}
        assert list(rows) == ["near", "far"]
        assert line("config", "diff").exit_code == 0
