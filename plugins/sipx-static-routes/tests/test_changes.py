"""``sipx routes add``, ``set``, ``remove`` and the switches, on real configuration files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sipx_static_routes.commands import routes

from sipx import CommandLine

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
domains = ["example.com"]
plugins = ["udp", "static-routes"]

[service]
state_dir = "state"
control_socket = "no.sock"

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

# the switch
[static-routes]
enabled = true  # use static routes

# the partner
[static-routes.route."partner.example"]
server = "127.0.0.2" # in Berlin
trusted = true

[static-routes.route."secure.example"]
server = "sip.secure.example"
protocol = "mtls"
enabled = false
"""
PARTNER = CONFIG[CONFIG.index("# the partner") : CONFIG.index('[static-routes.route."secure')]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sipx.toml"
    path.write_text(CONFIG)
    return path


def _run(config: Path, *words: str) -> Result:
    return CliRunner().invoke(routes, [*words, "--config", str(config)], obj=CommandLine())


def _json(config: Path, *words: str) -> Any:
    return json.loads(_run(config, *words, "--json").stdout)


# ---------------------------------------------------------------- add, set, remove


def test_a_route_is_added_behind_the_others(config):
    words = ("--server", "127.0.0.5", "--port", "5080", "--protocol", "udp", "--trusted")
    result = _run(config, "add", "new.example", *words, "--comment", "contract 8")
    assert result.exit_code == 0, result.stderr
    assert "the route new.example is added: server 127.0.0.5, port 5080" in result.stdout
    assert config.read_text() == CONFIG + (
        '\n[static-routes.route."new.example"]\nserver = "127.0.0.5"\nport = 5080\n'
        'protocol = "udp"\ntrusted = true\ncomment = "contract 8"\n'
    )


def test_several_servers_and_a_pattern_that_is_off(config):
    words = ("--server", "127.0.0.5", "--server", "127.0.0.6", "--bind", "127.0.0.1", "--disabled")
    assert _run(config, "add", "*.lab.example", *words).exit_code == 0
    row = _json(config, "show", "*.lab.example")
    assert row["server"] == ["127.0.0.5", "127.0.0.6"]
    assert row["enabled"] is False
    assert row["bind"] == "127.0.0.1"


def test_the_first_route_of_a_file(config):
    config.write_text(CONFIG[: CONFIG.index("# the switch")].rstrip() + "\n")
    assert _run(config, "add", "a.example", "--server", "127.0.0.5").exit_code == 0
    assert config.read_text().endswith(
        '"udp"\n\n[static-routes.route."a.example"]\nserver = "127.0.0.5"\n'
    )


def test_set_changes_what_is_named_and_takes_out_what_is_empty(config):
    words = ("--server", "127.0.0.9", "--port", "5070", "--untrusted")
    assert _run(config, "set", "Partner.Example.", *words).exit_code == 0
    changed = PARTNER.replace('"127.0.0.2"', '"127.0.0.9"').replace(
        "trusted = true\n", "trusted = false\nport = 5070\n"
    )
    assert config.read_text() == CONFIG.replace(PARTNER, changed)
    assert _run(config, "set", "partner.example", "--comment", "x").exit_code == 0
    assert _run(config, "set", "partner.example", "--comment", "").exit_code == 0
    assert config.read_text() == CONFIG.replace(PARTNER, changed)


def test_remove_takes_the_table_with_its_comment(config):
    result = _run(config, "remove", "partner.example")
    assert result.exit_code == 0
    assert config.read_text() == CONFIG.replace(PARTNER, "")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("add partner.example --server 127.0.0.5", 1, "there is a route for 'partner.example'"),
        ("add PARTNER.example. --server 127.0.0.5", 1, "there is a route for 'partner.example'"),
        ("add new.example", 2, "needs --server"),
        ("add new.example --server sip:127.0.0.5", 3, "is no server"),
        ("add new.example --server 203.0.113.5 --trusted", 3, "is not in a private network"),
        ("add new.example:5060 --server 127.0.0.5", 3, "is not a domain name"),
        ("add new.example --server 127.0.0.5 --port 0", 3, "0 is less than 1"),
        ("set partner.example", 2, "at least one property"),
        ("set partnr.example --port 1", 1, "did you mean 'partner.example'?"),
        ("remove other.org", 1, "there are: partner.example, secure.example"),
        ("show other.org", 1, "there is no route for 'other.org'"),
        ("trust other.org", 1, "there is no route for 'other.org'"),
    ],
)
def test_what_makes_no_sense_is_told_in_the_words_of_the_loader(config, words, code, said):
    result = _run(config, *words.split())
    assert (result.exit_code, config.read_text()) == (code, CONFIG)
    assert said in result.stderr


# ---------------------------------------------------------------- the switches


def test_the_switches_change_one_word(config):
    assert _run(config, "disable", "partner.example").exit_code == 0
    off = CONFIG.replace("trusted = true\n", "trusted = true\nenabled = false\n")
    assert config.read_text() == off
    assert _run(config, "enable", "partner.example").exit_code == 0
    assert config.read_text() == off.replace("true\nenabled = false", "true\nenabled = true")
    assert _run(config, "untrust", "partner.example").exit_code == 0
    assert "trusted = false" in config.read_text()
    assert _run(config, "trust", "partner.example").exit_code == 0
    assert "trusted = true" in config.read_text()


def test_a_switch_that_stands_right_is_no_change(config):
    assert "nothing to change" in _run(config, "enable", "partner.example").stdout
    assert "nothing to change" in _run(config, "trust", "partner.example").stdout
    assert "nothing to change" in _run(config, "untrust", "secure.example").stdout
    assert config.read_text() == CONFIG


def test_over_mtls_a_route_is_trusted_anyway_which_is_said(config):
    result = _run(config, "trust", "secure.example")
    assert result.exit_code == 0
    assert "over mtls the route secure.example is trusted anyway" in result.stderr


def test_a_dry_run_shows_the_change(config):
    result = _run(config, "untrust", "partner.example", "--dry-run")
    assert "-trusted = true" in result.stdout
    assert "+trusted = false" in result.stdout
    assert config.read_text() == CONFIG


# ---------------------------------------------------------------- "use static routes" is off


@pytest.mark.parametrize(
    "words",
    [
        "add new.example --server 127.0.0.5",
        "set partner.example --port 5070",
        "remove partner.example",
        "enable secure.example",
        "disable partner.example",
        "trust secure.example",
        "untrust partner.example",
    ],
)
def test_while_static_routes_are_off_no_route_is_changed_unless_forced(config, words):
    off = CONFIG.replace("enabled = true  # use", "enabled = false  # use")
    config.write_text(off)
    result = _run(config, *words.split())
    assert (result.exit_code, config.read_text()) == (1, off)
    assert "static routes are switched off, so no route is changed" in result.stderr
    assert "`sipx plugins enable static-routes`" in result.stderr
    assert _run(config, *words.split(), "--force").exit_code == 0
    assert config.read_text() != off


# ---------------------------------------------------------------- show


def test_show_tells_every_property(config):
    text = _run(config, "show", "partner.example").stdout
    assert "partner.example: a partner's domain" in text
    assert "server    127.0.0.2" in text
    assert "port      5060" in text
    text = _run(config, "show", "secure.example").stdout
    assert "yes, as over mtls every route is" in text
    config.write_text(CONFIG.replace("enabled = true", "enabled = false"))
    text = _run(config, "show", "partner.example").stdout
    assert "yes, but all static routes are switched off" in text


def test_the_changes_are_in_the_history(config, tmp_path):
    _run(config, "untrust", "partner.example")
    [folder] = (tmp_path / "state" / "config-history").iterdir()
    kept = json.loads((folder / "000002.json").read_text())
    assert kept["why"] == "the route partner.example is not trusted any more"
