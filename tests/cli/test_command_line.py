from __future__ import annotations

import pytest

from sipx.cli.command_line import wanted_color
from sipx.cli.root import sipx


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
