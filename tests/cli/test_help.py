from __future__ import annotations


def test_help_is_a_command_too(line):
    assert "Usage: sipx check" in line("help", "check").stdout
    assert "Usage: sipx plugins list" in line("help", "plugins", "list").stdout
    assert line("help", "nothing").exit_code == 2
