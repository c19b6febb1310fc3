from __future__ import annotations

import json


def test_help_is_a_command_too(line):
    assert "Usage: sipx check" in line("help", "check").stdout
    assert "Usage: sipx plugins list" in line("help", "plugins", "list").stdout
    assert line("help", "nothing").exit_code == 2


def test_a_page_of_the_documentation_is_shown(line):
    assert line("help", "trust").stdout.startswith("# ")
    assert "Usage: sipx dns" in line("help", "dns").stdout
    assert line("help", "--page", "dns").stdout.startswith("# ")
    assert json.loads(line("help", "--page", "dns", "--json").stdout)["topic"] == "dns"


def test_pages_are_listed(line):
    assert "trust" in line("help", "--page").stdout


def test_what_is_neither_is_told(line):
    done = line("help", "trsut")
    assert done.exit_code == 2
    assert "there is no command and no page 'trsut'; did you mean 'trust'?" in done.stderr
    assert line("help", "--page", "check").exit_code == 2
