from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import click
import pytest

from sipx.cli import plugin_commands
from sipx.cli.command_line import CommandLine, wanted_color
from sipx.cli.root import COMMANDS, sipx
from sipx.config import ConfigError, Problem
from sipx.errors import PluginError, StartError

BROKEN = """
from sipx import Config, hookimpl
class Lab:
    Config = Config
    def __init__(self, config, proxy): ...
    @hookimpl
    def commands(self):
        return self.made_in_init
"""
GOOD = """
import click
from sipx import CommandLine, Config, command_options, hookimpl

@click.command()
@command_options
@click.pass_obj
def measure(line: CommandLine) -> None:
    "Measure something."
    line.result({"measured": 42}, "42")

class Lab:
    Config = Config
    def __init__(self, config, proxy):
        raise AssertionError("never made for a command")
    @hookimpl
    def commands(self):
        return [measure]
"""


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_lists_all_commands(line, option):
    result = line(option)
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"\n  {name} " in result.output


def test_the_lines_of_the_help_are_the_first_lines_of_the_docstrings():
    for name, place in COMMANDS.items():
        if name == "demo" and not _has_demo():
            continue
        command = getattr(import_module(place.module), name)
        assert command.get_short_help_str(limit=200).rstrip(".") == place.help.rstrip(".")


def _has_demo() -> bool:
    try:
        import_module("sipx.cli.demo")
    except ModuleNotFoundError as error:
        return error.name != "sipx.cli.demo"
    return True


def test_help_imports_neither_trio_nor_the_kernel_nor_pydantic(line):
    line("--help")  # keeps the list of the plugins' commands
    code = (
        "import sys\n"
        "from sipx.cli.root import sipx\n"
        "sipx(['--help'], standalone_mode=False)\n"
        "bad = {'trio', 'pydantic', 'sipx.kernel', 'dns', 'structlog'} & set(sys.modules)\n"
        "print('imported:', sorted(bad))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert "imported: []" in done.stdout


def test_an_unknown_command_is_wrong_use_and_says_what_was_meant(line):
    result = line("rnu")
    assert result.exit_code == 2
    assert "there is no command 'rnu'; did you mean 'run'?" in result.stderr


def test_version_has_an_option_and_a_command(line):
    short = line("--version")
    assert short.exit_code == 0
    assert line("version").stdout == short.stdout
    assert line.json("version") == {"sipx": short.stdout.split()[1]}


def test_verbose_version_tells_what_sipx_runs_on(line):
    found = line.json("version", "-v")
    assert found["Python"].startswith("3.")
    assert {"trio", "pluggy", "pydantic", "dnspython"} <= set(found)
    assert {"udp", "tcp", "static-routes"} <= set(found["plugins"])


def test_help_is_a_command_too(line):
    assert "Usage: sipx check" in line("help", "check").stdout
    assert "Usage: sipx plugins list" in line("help", "plugins", "list").stdout
    assert line("help", "nothing").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(line, shell):
    result = line("completion", shell)
    assert result.exit_code == 0
    assert "_SIPX_COMPLETE" in result.stdout


# ---------------------------------------------------------------- plugin commands


def test_plugin_commands_stand_in_a_section_of_their_own(line, install):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=GOOD)
    section = line("--help").stdout.partition("Plugin commands:")[2]
    assert "measure" in section
    assert "Measure something. (lab)" in section


def test_a_plugin_command_runs_without_a_configuration(line, install):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=GOOD)
    assert line.json("measure") == {"measured": 42}


def test_only_listed_plugins_bring_commands_where_there_is_a_file(line, install, two_domains):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=GOOD)
    result = line("--help")
    assert "measure" not in result.stdout
    assert "routes" in result.stdout.partition("Plugin commands:")[2]


@pytest.mark.parametrize("source", [BROKEN, "raise RuntimeError('out of order')"])
def test_a_broken_plugin_does_not_break_the_help(line, install, source):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=source)
    result = line("--help")
    assert result.exit_code == 0
    assert "no commands of" in result.stderr
    assert "lab" in result.stderr
    assert "routes" in result.stdout


def test_a_broken_file_does_not_break_the_help(line, home):
    (home / "sipx.toml").write_text("domains = [")
    result = line("--help")
    assert result.exit_code == 0
    assert "sipx.toml is not read" in result.stderr
    assert "routes" in result.stdout


def test_the_list_of_commands_is_made_anew_when_a_plugin_changes(line, install):
    site = install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=GOOD)
    assert [c.name for c in plugin_commands.listing(CommandLine()) if c.plugin == "lab"] == [
        "measure"
    ]
    sys.modules.pop("sipx_lab")
    source = site / "sipx_lab.py"
    source.write_text(GOOD.replace("def measure", "def weigh").replace("[measure]", "[weigh]"))
    later = source.stat().st_mtime_ns + 10**9
    os.utime(source, ns=(later, later))
    assert [c.name for c in plugin_commands.listing(CommandLine()) if c.plugin == "lab"] == [
        "weigh"
    ]


# ---------------------------------------------------------------- ways to end


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
    [report] = (tmp_path / "home/.local/state/sipx/reports").iterdir() if os.geteuid() else (
        [_named(result.stderr)]
    )
    text = report.read_text()
    report.unlink()
    assert "Traceback" in text
    assert "hunter2" not in text
    assert "trio: " in text


def _named(stderr: str):
    from pathlib import Path

    return Path(stderr.rpartition("written to ")[2].strip())


def test_a_report_can_be_read_by_its_owner_only(monkeypatch, line):
    result = _ends(monkeypatch, line, RuntimeError("odd"))
    report = _named(result.stderr)
    mode = report.stat().st_mode & 0o777
    report.unlink()
    assert mode == 0o600


# ---------------------------------------------------------------- colours


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
