"""``sipx lan`` as the operator sees it, on real configuration files."""

from __future__ import annotations

import json
import tomllib

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner
from sipx_lan.commands import lan

from sipx import CommandLine

CONFIG = """\
domains = ["example.com"]
plugins = ["udp", "tcp", "lan"]

[lan]  # who logs on
bind = "127.0.0.1"
port = 5070
user = "ucserver"
password = "hunter2secret"

# the capital
[lan.server.berlin]
password = "swordfish99"
users = ["*.berlin", "desk"]

[lan.server.leipzig]
enabled = false
password = "trustno1"
"""
SECRETS = ("hunter2secret", "swordfish99", "trustno1", "fresh-secret")


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "no.sock"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "sipx.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def run(config):
    def run(*words, stdin=""):
        result = CliRunner().invoke(
            lan, [*words, "--config", str(config)], obj=CommandLine(), input=stdin
        )
        for secret in SECRETS:
            assert secret not in result.output, words
        return result

    return run


def read(config):
    return tomllib.loads(config.read_text())["lan"]


# ---------------------------------------------------------------- show


def test_show_tells_settings_and_accounts_without_passwords(run):
    found = json.loads(run("show", "--json").stdout)
    assert found["lan"]["bind"] == "127.0.0.1"
    assert found["lan"]["password"] == "from the configuration file"
    assert found["running"] is False
    berlin, leipzig = found["accounts"]
    assert (berlin["name"], berlin["users"]) == ("berlin", ["*.berlin", "desk"])
    assert (leipzig["enabled"], leipzig["logged_on"]) == (False, [])
    text = run("show").stdout
    assert "listens on 127.0.0.1 port 5070, tcp" in text
    assert "sipx is not running" in text


def test_show_of_one_account(run):
    assert json.loads(run("show", "berlin", "--json").stdout)["weight"] == 1
    assert "*.berlin, desk" in run("show", "berlin").stdout
    result = run("show", "berlni")
    assert result.exit_code == 1
    assert "did you mean 'berlin'?" in result.stderr


# ---------------------------------------------------------------- the LAN settings


def test_the_lan_settings_are_changed_and_comments_stay(run, config):
    result = run("set", "--bind", "127.0.0.2", "--port", "5080", "--protocol", "udp")
    assert result.exit_code == 0, result.output
    assert "bind 127.0.0.2, port 5080, protocol udp" in result.stdout.replace("\n", " ")
    found = read(config)
    assert (found["bind"], found["port"], found["protocol"]) == ("127.0.0.2", 5080, "udp")
    assert "[lan]  # who logs on" in config.read_text()


def test_a_password_is_read_from_standard_input(run, config):
    result = run("set", "--password", stdin="fresh-secret\n")
    assert result.exit_code == 0, result.output
    assert "password is set" in result.stdout
    assert read(config)["password"] == "fresh-secret"


def test_a_password_may_stay_in_a_file(run, config):
    (config.parent / "lan.password").write_text("fresh-secret\n")
    assert run("set", "--password-file", "lan.password").exit_code == 0
    assert read(config)["password"] == {"file": "lan.password"}
    missing = run("set", "--password-file", "nowhere")
    assert missing.exit_code == 3
    assert read(config)["password"] == {"file": "lan.password"}


def test_a_password_is_taken_out_where_that_is_allowed(run, config):
    assert run("set", "--no-password").exit_code == 0
    assert "password" not in read(config)
    refused = run("set", "--bind", "*")
    assert refused.exit_code == 3
    assert "has no password" in refused.stderr
    assert read(config)["bind"] == "127.0.0.1"


def test_a_dry_run_shows_no_secret_and_writes_nothing(run, config):
    result = run("set", "--password", "--dry-run", stdin="fresh-secret\n")
    assert result.exit_code == 0
    assert "password" in result.stdout
    assert config.read_text() == CONFIG


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set",), "at least one setting"),
        (("set", "--weight", "2"), "--weight says nothing about [lan]; name the account"),
        (("set", "berlin", "--bind", "127.0.0.1"), "--bind says nothing about an account"),
        (("set", "--password", "--no-password"), "one of --password"),
        (("set", "berlin", "--users", "a", "--users-file", "b"), "not both"),
        (("unban",), "name a source, or --all"),
        (("unban", "192.0.2.1", "--all"), "name a source, or --all"),
        (("set", "--password"), "standard input gave no password"),
    ],
)
def test_wrong_use_is_exit_code_2(run, config, words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert config.read_text() == CONFIG


# ---------------------------------------------------------------- accounts


def test_an_account_is_added_changed_and_removed(run, config):
    (config.parent / "p").write_text("fresh-secret")
    words = ("--users", "*.hamburg", "--users", "port", "--weight", "3", "--password-file", "p")
    assert run("add", "hamburg", *words).exit_code == 0
    assert read(config)["server"]["hamburg"] == {
        "password": {"file": "p"},
        "users": ["*.hamburg", "port"],
        "weight": 3,
    }
    assert run("add", "hamburg").exit_code == 1
    assert run("set", "hamburg", "--users", "", "--comment", "harbour").exit_code == 0
    assert "users" not in read(config)["server"]["hamburg"]
    assert read(config)["server"]["hamburg"]["comment"] == "harbour"
    assert run("remove", "hamburg", "--yes").exit_code == 0
    assert list(read(config)["server"]) == ["berlin", "leipzig"]


def test_an_account_is_switched_on_and_off(run, config):
    assert run("enable", "leipzig").exit_code == 0
    assert read(config)["server"]["leipzig"]["enabled"] is True
    assert run("disable", "berlin").exit_code == 0
    assert read(config)["server"]["berlin"]["enabled"] is False
    assert "nothing to change" in run("disable", "berlin").stdout


def test_a_users_file_takes_the_place_of_a_list(run, config):
    (config.parent / "u").write_text("anna\n")
    assert run("set", "berlin", "--users-file", "u").exit_code == 0
    assert read(config)["server"]["berlin"]["users"] == {"file": "u"}


@pytest.mark.parametrize(("given", "value"), [("yes", True), ("no", False), ("only", "only")])
def test_md5_is_allowed_forbidden_or_alone(run, config, given, value):
    assert run("set", "berlin", "--allow-md5", given).exit_code == 0
    assert read(config)["server"]["berlin"]["allow_md5"] == value


def test_routes_are_a_list(run, config):
    words = ("--kind", "partner", "--route", "partner.example", "--password")
    assert run("add", "gate", *words, stdin="fresh-secret\n").exit_code == 0
    assert read(config)["server"]["gate"]["routes"] == ["partner.example"]


# ---------------------------------------------------------------- the running service


def test_bans_want_a_running_sipx(run):
    assert run("bans").exit_code == 4


def test_accounts_complete_from_the_file(config, monkeypatch):
    monkeypatch.setenv("SIPX_CONFIG", str(config))
    completes = ShellComplete(lan, {}, "lan", "_LAN_COMPLETE").get_completions
    assert [item.value for item in completes(["set"], "b")] == ["berlin"]


def test_an_account_that_nothing_proves_is_told_of(run):
    told = " ".join(run("add", "bonn", "--user", "uc-bonn").stdout.split())
    assert "believed by its address alone" in told
    told = run("add", "kiel", "--password", stdin="fresh-secret\n").stdout
    assert "address" not in told
