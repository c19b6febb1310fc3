from __future__ import annotations

from pathlib import Path

import pytest

from sipx.cli import config_file


@pytest.fixture
def places(home, tmp_path, monkeypatch):
    """A file in every place."""
    monkeypatch.setattr(config_file, "SYSTEM", tmp_path / "etc/sipx.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    files = {
        "here": Path("sipx.toml"),
        "user": tmp_path / "xdg/sipx/sipx.toml",
        "system": tmp_path / "etc/sipx.toml",
    }
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("")
    return files


def test_the_option_wins_then_the_variable_then_the_places_in_order(places, monkeypatch):
    monkeypatch.setenv("SIPX_CONFIG", "by-variable.toml")
    assert config_file.find(Path("by-option.toml")) == (Path("by-option.toml"), "--config")
    assert config_file.find(None) == (Path("by-variable.toml"), "SIPX_CONFIG")
    monkeypatch.delenv("SIPX_CONFIG")
    for place in ("here", "user", "system"):
        found = config_file.find(None)
        assert found is not None
        assert found.path == places[place]
        places[place].unlink()
    assert config_file.find(None) is None


def test_a_relative_xdg_path_is_ignored(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    assert config_file.usual_places()[1] == tmp_path / "home/.config/sipx/sipx.toml"


def test_without_a_file_the_places_and_init_are_named(line, monkeypatch, tmp_path):
    monkeypatch.setattr(config_file, "SYSTEM", tmp_path / "etc/sipx.toml")
    result = line("run")
    assert result.exit_code == 3
    for said in ("--config", "$SIPX_CONFIG", "sipx.toml", ".config/sipx", "`sipx init`"):
        assert said in result.stderr


def test_a_file_that_was_found_is_named_on_stderr(line, two_domains):
    assert f"using {two_domains}" in line("check", "config").stderr


def test_a_named_file_that_is_not_there_is_exit_code_3(line):
    result = line("check", "--config", "nowhere.toml")
    assert result.exit_code == 3
    assert "nowhere.toml: cannot be read" in result.stdout
