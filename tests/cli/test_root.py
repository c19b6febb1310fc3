from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module

import pytest

from sipx.cli.root import COMMANDS


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


def test_an_unknown_command_may_be_one_of_a_plugin_that_is_not_listed(line, two_domains):
    text = two_domains.read_text().partition("[static-routes")[0]
    two_domains.write_text(text.replace(', "static-routes"', ""))
    result = line("routes", "list")
    assert result.exit_code == 2
    assert "`sipx plugins enable static-routes` lists one" in result.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("words", [["--help"], ["config", "show"], ["config", "show", "--json"]])
def test_an_answer_that_finds_no_room_is_no_internal_error(two_domains, words):
    command = [sys.executable, "-m", "sipx", "--config", str(two_domains), *words]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "sipx: the answer cannot be written: No space left on device\n"
