from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def free_ports(monkeypatch):
    """The written port is 5060, which may be in use where tests run: it is not bound here."""
    monkeypatch.setattr("sipx.checks.ports._bind", lambda interface: None)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--domain", "uc.example"),
        ("--server", "127.0.0.1"),
        ("--server", "10.0.0.5", "--server", "uc2.lan.example"),
        ("--server", "192.0.2.77", "--domain", "bücher.example"),
    ],
)
def test_check_accepts_what_init_writes(line, options):
    assert line("init", *options).exit_code == 0
    result = line("check")
    assert result.exit_code == 0, result.output


def test_a_file_that_is_there_is_overwritten_only_by_force(line):
    Path("sipx.toml").write_text("# mine\n")
    refused = line("init")
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert Path("sipx.toml").read_text() == "# mine\n"
    assert line("init", "--force").exit_code == 0
    assert "domains" in Path("sipx.toml").read_text()


def test_the_next_steps_name_the_file(line):
    Path("conf").mkdir()
    result = line("init", "conf")
    assert "sipx check --config conf/sipx.toml" in result.stdout
    found = line.json("init", "other.toml")
    assert Path(found["path"]) == Path("other.toml").absolute()
    assert found["next"][-1] == "sipx run --config other.toml"


@pytest.mark.parametrize("options", [("--domain", "no domain"), ("--server", "sip:uc")])
def test_what_would_not_be_valid_is_not_written(line, options):
    result = line("init", *options)
    assert result.exit_code == 2
    assert not Path("sipx.toml").exists()
