from __future__ import annotations

import os
import subprocess
import sys

import click
import pytest

from sipx.config import ConfigError, Problem
from sipx.errors import PluginError, StartError


def _ends(monkeypatch, line, error: BaseException):
    @click.command("check")
    def fails() -> None:
        raise error

    monkeypatch.setattr("sipx.cli.check.check", fails)
    return line("check")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError([Problem("x.toml", 1, 2, "port", "is wrong")]), 3),
        (PluginError("plugin 'x': not installed"), 3),
        (StartError("the address is in use"), 6),
        (ExceptionGroup("two", [StartError("one"), ExceptionGroup("in", [StartError("two")])]), 6),
        (KeyboardInterrupt(), 130),
        (BaseExceptionGroup("interrupted", [KeyboardInterrupt()]), 130),
    ],
)
def test_failures_end_in_words_and_their_exit_code(monkeypatch, line, error, code):
    result = _ends(monkeypatch, line, error)
    assert result.exit_code == code
    assert "Traceback" not in result.stderr
    assert "sipx: " in result.stderr
    assert result.stdout == ""


def test_a_bug_leaves_a_report_and_exit_code_70(monkeypatch, line, tmp_path):
    error = ExceptionGroup("nursery", [ValueError("password=hunter2 was odd")])
    result = _ends(monkeypatch, line, error)
    assert result.exit_code == 70
    assert "internal error: ValueError" in result.stderr
    [report] = (tmp_path / "state/reports").iterdir()
    text = report.read_text()
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "trio: " in text


def test_a_report_can_be_read_by_its_owner_only(monkeypatch, line, tmp_path):
    _ends(monkeypatch, line, RuntimeError("odd"))
    [report] = (tmp_path / "state/reports").iterdir()
    assert report.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "variables", "colored"),
    [
        ((), {}, True),
        ((), {"NO_COLOR": "1"}, False),
        ((), {"TERM": "dumb"}, False),
        (("--color", "never"), {}, False),
        (("--color", "always"), {"NO_COLOR": "1"}, True),
    ],
)
def test_a_failure_on_a_terminal_has_the_colours_that_are_wanted(
    two_domains, words, variables, colored
):
    master, slave = os.openpty()
    command = [sys.executable, "-m", "sipx", "config", "get", "no.such", *words]
    environment = {**os.environ, "TERM": "xterm", **variables}
    try:
        subprocess.run(command, stderr=slave, check=False, env=environment)
        said = os.read(master, 4096)
    finally:
        os.close(master)
        os.close(slave)
    assert b"there is no key" in said
    assert (b"\x1b[" in said) is colored
