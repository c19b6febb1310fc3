from __future__ import annotations

import click
import pytest

from sipx.cli.completion import interface_names


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_each_shell(line, shell):
    result = line("completion", shell)
    assert result.exit_code == 0
    assert "_SIPX_COMPLETE" in result.stdout


def test_interfaces_complete_from_the_file_in_use(two_domains):
    ctx = click.Context(click.Command("x"))
    found = interface_names(ctx, click.Option(["--interface"]), "n")
    assert [item.value for item in found] == ["near"]


def test_a_broken_file_completes_nothing(home):
    (home / "sipx.toml").write_text("[interface")
    assert interface_names(click.Context(click.Command("x")), click.Option(["--i"]), "") == []
