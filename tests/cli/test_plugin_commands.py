from __future__ import annotations

import os
import sys

import pytest

from sipx.cli import plugin_commands
from sipx.cli.command_line import CommandLine

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
