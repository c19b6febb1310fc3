"""``sipx config history``, ``undo`` and ``diff``."""

from __future__ import annotations

import pytest


@pytest.fixture
def changed(line, two_domains):
    """A file after two changes."""
    line("config", "set", "dns.timeout", "2s")
    line("config", "set", "dns.timeout", "3s")
    return two_domains


def test_history_tells_when_who_and_what(line, changed):
    found = line.json("config", "history")["versions"]
    assert [version["why"] for version in found] == [
        "as it was found",
        'dns.timeout = "2s"',
        'dns.timeout = "3s"',
    ]
    assert [version["current"] for version in found] == [False, False, True]
    assert found[1]["author"]
    text = line("config", "history").stdout.splitlines()
    assert text[0].split() == ["version", "when", "who", "what"]
    assert text[3].startswith("3*")


def test_without_a_change_the_file_as_it_is_begins_the_history(line, two_domains):
    assert [v["why"] for v in line.json("config", "history")["versions"]] == ["as it was found"]


def test_behind_sudo_the_author_is_who_called_it(line, two_domains, monkeypatch):
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    line("config", "set", "dns.timeout", "2s")
    assert line.json("config", "history")["versions"][-1]["author"] == "ada"


def test_undo_and_once_more(line, changed):
    result = line("config", "undo")
    assert result.exit_code == 0
    assert 'undone: dns.timeout = "3s"' in result.stdout
    assert "`sipx config undo 3` takes this back" in result.stderr
    assert 'timeout = "2s"' in changed.read_text()
    line("config", "undo")
    assert "timeout" not in changed.read_text()
    assert line("config", "undo").exit_code == 1
    assert line("config", "undo", "3").exit_code == 0
    assert 'timeout = "3s"' in changed.read_text()


def test_undo_can_be_tried(line, changed):
    result = line("config", "undo", "--dry-run")
    assert '+timeout = "2s"' in result.stdout
    assert 'timeout = "3s"' in changed.read_text()
    assert len(line.json("config", "history")["versions"]) == 3


def test_undo_of_a_version_that_is_not_kept(line, changed):
    result = line("config", "undo", "9")
    assert (result.exit_code, "version 9 is not kept" in result.stderr) == (1, True)
    assert line("config", "undo", "0").exit_code == 2


def test_undo_mends_a_file_that_is_no_toml(line, changed):
    good = changed.read_text()
    changed.write_text("= broken\n")
    assert line("config", "undo").exit_code == 0
    assert changed.read_text() == good


def test_diff_with_a_version_has_exit_code_1_for_a_difference(line, changed):
    result = line("config", "diff", "2")
    assert result.exit_code == 1
    assert '-timeout = "2s"' in result.stdout
    assert '+timeout = "3s"' in result.stdout
    assert line("config", "diff", "3").exit_code == 0
    assert line.json("config", "diff", "3") == {"different": False, "diff": []}
    assert line("config", "diff", "7").exit_code == 1


def test_diff_without_a_running_sipx_is_exit_code_4(line, changed, tmp_path):
    result = line("config", "diff", "--socket", str(tmp_path / "none.sock"))
    assert result.exit_code == 4
