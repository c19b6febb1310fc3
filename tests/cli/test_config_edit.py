"""``sipx config edit``: what an editor leaves is checked before it counts."""

from __future__ import annotations

import shlex
import stat
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``editor(statements)``: an editor that runs Python on the ``text`` of its ``path``."""

    def use(statements: str) -> None:
        script = tmp_path / "editor.py"
        script.write_text(
            "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\ntext = path.read_text()\n"
            f"{statements}\npath.write_text(text)\n"
        )
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", shlex.join([sys.executable, str(script)]))
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    return use


def copies(tmp_path: Path) -> list[Path]:
    return list(tmp_path.glob("sipx-*.toml"))


def test_what_is_valid_takes_the_place_of_the_file(line, two_domains, editor, tmp_path):
    text = two_domains.read_text()
    editor('text = text.replace("5070", "5071")')
    result = line("config", "edit")
    assert result.exit_code == 0
    assert two_domains.read_text() == text.replace("5070", "5071")
    assert line.json("config", "history")["versions"][-1]["why"].startswith("edited with python")
    assert copies(tmp_path) == []


def test_without_a_change_it_says_so(line, two_domains, editor, tmp_path):
    editor("pass")
    result = line("config", "edit")
    assert (result.exit_code, "you changed nothing" in result.stdout) == (0, True)
    assert copies(tmp_path) == []


def test_what_is_not_valid_is_not_written_and_not_lost(line, two_domains, editor, tmp_path):
    text = two_domains.read_text()
    editor('text = text.replace("5070", "99999")')
    result = line("config", "edit")
    assert result.exit_code == 3
    assert "99999 is more than 65535" in result.stderr
    assert two_domains.read_text() == text
    [copy] = copies(tmp_path)
    assert str(copy) in result.stderr
    assert copy.read_text() == text.replace("5070", "99999")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_it_can_be_edited_again(line, two_domains, editor, tmp_path, monkeypatch):
    editor('text = text.replace("99999", "5072").replace("5070", "99999")')
    monkeypatch.setattr("sipx.cli.command_line.stdin_is_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", lambda *_, **__: True)
    assert line("config", "edit").exit_code == 0
    assert "port = 5072" in two_domains.read_text()
    assert copies(tmp_path) == []


def test_a_file_that_is_no_toml_can_be_edited(line, two_domains, editor):
    good = two_domains.read_text()
    two_domains.write_text("= broken\n" + good)
    editor('text = text.replace("= broken\\n", "")')
    assert line("config", "edit").exit_code == 0
    assert two_domains.read_text() == good


def test_a_file_that_was_changed_meanwhile_is_not_written_over(line, two_domains, editor, tmp_path):
    editor(
        f'pathlib.Path({str(two_domains)!r}).write_text(text + "# other")\n'
        'text = text.replace("5070", "5071")'
    )
    result = line("config", "edit")
    assert (result.exit_code, "changed by somebody else" in result.stderr) == (1, True)
    assert two_domains.read_text().endswith("# other")
    assert len(copies(tmp_path)) == 1


def test_a_dry_run_shows_the_change(line, two_domains, editor, tmp_path):
    text = two_domains.read_text()
    editor('text = text.replace("5070", "5071")')
    assert "+port = 5071" in line("config", "edit", "--dry-run").stdout
    assert two_domains.read_text() == text
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [("false", 1, "ended with exit code 1"), ("/no/such/editor -x", 2, "cannot be run")],
)
def test_an_editor_that_fails_changes_nothing(
    line, two_domains, tmp_path, monkeypatch, command, code, said
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("VISUAL", command)
    result = line("config", "edit")
    assert (result.exit_code, said in result.stderr) == (code, True)
    assert copies(tmp_path) == []


@pytest.mark.parametrize(
    ("end", "said"),
    [("sys.exit(3)", "exit code 3"), ("os.kill(os.getpid(), 9)", "by signal 9")],
)
def test_what_an_editor_wrote_before_it_failed_is_kept(
    line, two_domains, editor, tmp_path, end, said
):
    text = two_domains.read_text()
    editor(f"import os\npath.write_text(text + '# mine')\n{end}")
    result = line("config", "edit")
    assert (result.exit_code, said in result.stderr) == (1, True)
    assert two_domains.read_text() == text
    [copy] = copies(tmp_path)
    assert f"what you wrote is kept in {copy}" in result.stderr
    assert copy.read_text() == text + "# mine"


def test_an_editor_that_leaves_no_file_is_said(line, two_domains, editor):
    text = two_domains.read_text()
    editor("path.unlink()\nsys.exit(0)")
    result = line("config", "edit")
    assert (result.exit_code, "has left no file" in result.stderr) == (1, True)
    assert two_domains.read_text() == text


def test_an_editor_that_is_no_command_is_said(line, two_domains, monkeypatch):
    monkeypatch.setenv("VISUAL", "vim '")
    result = line("config", "edit")
    assert result.exit_code == 2
    assert "$VISUAL is no command: vim ': no closing quotation" in result.stderr
