"""``sipx federation`` and ``sipx partners`` on real configuration files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from sipx_open_federation.federation_commands import federation
from sipx_open_federation.partners_commands import partners

from sipx import CommandLine
from sipx.testing import Authority

if TYPE_CHECKING:
    from pathlib import Path

HEAD = """\
domains = ["home.example"]
plugins = ["tls", "open-federation"]

[service]
state_dir = "state"
control_socket = "no.sock"

[dns]
servers = ["127.0.0.1:9"]
timeout = "1s"

[certificate.main]
cert_file = "main.crt"
key_file = "main.key"

"""
TABLE = """\
# with anybody
[open-federation]
enabled = true # use open federation
certificate = "main"
"""
LISTS = """\
allow = ["a.example", "*.b.example"] # friends
deny = ["evil.example", "*.bad.example"]
"""
PARTNERS = """
# a contract
[open-federation.partner."a.example"]
burst = 100

[open-federation.partner."c.example"]
blocked = true
"""


@pytest.fixture(scope="module")
def issued():
    return Authority("Some CA").leaf(dns=["home.example"])


@pytest.fixture
def config(tmp_path: Path, issued: Any) -> Path:
    issued.write(tmp_path, "main")
    path = tmp_path / "sipx.toml"
    path.write_text(HEAD + TABLE + LISTS + PARTNERS)
    return path


def _run(config: Path, *words: str) -> Result:
    group = partners if words[0] in partners.commands else federation
    return CliRunner().invoke(group, [*words, "--config", str(config)], obj=CommandLine())


def _changed(config: Path, before: str, after: str) -> None:
    """The file is what it was but for this."""
    whole = HEAD + TABLE + LISTS + PARTNERS
    assert before in whole
    assert config.read_text() == whole.replace(before, after)


# ---------------------------------------------------------------- the switch


def test_open_federation_is_switched_off_and_on(config):
    result = _run(config, "disable")
    assert result.exit_code == 0, result.stderr
    assert "open federation is switched off" in result.stdout
    _changed(config, "enabled = true #", "enabled = false #")
    assert _run(config, "enable").exit_code == 0
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_without_a_table_it_is_on_and_can_be_switched_off(config):
    config.write_text(HEAD + '[wan]\ncertificate = "main"\n')
    assert "nothing to change" in _run(config, "enable").stdout
    assert _run(config, "disable").exit_code == 0
    assert "[open-federation]\nenabled = false" in config.read_text()


def test_a_dry_run_shows_the_change_and_makes_none(config):
    result = _run(config, "disable", "--dry-run")
    assert "+enabled = false" in result.stdout
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


# ---------------------------------------------------------------- allow and deny


def test_a_domain_is_allowed_behind_the_others(config):
    assert _run(config, "allow", "New.Example.").exit_code == 0
    _changed(config, '"*.b.example"]', '"*.b.example", "new.example"]')


def test_allowing_blocks_no_longer(config):
    assert _run(config, "allow", "evil.example", "c.example").exit_code == 0
    text = config.read_text()
    assert 'deny = ["*.bad.example"]' in text
    assert 'allow = ["a.example", "*.b.example", "evil.example", "c.example"]' in text
    assert "blocked" not in text
    assert 'partner."c.example"' not in text


def test_only_these_are_allowed(config):
    assert _run(config, "allow", "--only", "new.example").exit_code == 0
    _changed(config, 'allow = ["a.example", "*.b.example"]', 'allow = ["new.example"]')


def test_where_everybody_is_allowed_nobody_has_to_be(config):
    config.write_text(HEAD + TABLE)
    result = _run(config, "allow", "new.example")
    assert "nothing to change: allowed: new.example" in result.stdout


def test_only_one_in_the_place_of_everybody(config):
    config.write_text(HEAD + TABLE)
    assert _run(config, "allow", "--only", "new.example", "*.lab.example").exit_code == 0
    assert config.read_text() == HEAD + TABLE + 'allow = ["new.example", "*.lab.example"]\n'


def test_what_stays_blocked_by_a_pattern_is_said(config):
    result = _run(config, "allow", "x.bad.example")
    assert result.exit_code == 0
    assert "x.bad.example stays blocked: deny has '*.bad.example'" in result.stderr


def test_denying_blocks(config):
    assert _run(config, "deny", "worse.example", "evil.example").exit_code == 0
    _changed(config, '"*.bad.example"]', '"*.bad.example", "worse.example"]')


def test_what_is_no_domain_is_said(config):
    result = _run(config, "deny", "no domain")
    assert result.exit_code == 2
    assert "'no domain' is not a domain name" in result.output
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_denying_an_allowed_partner_takes_that_away(config):
    _run(config, "promote", "a.example")
    assert _run(config, "deny", "a.example").exit_code == 0
    assert "allowed" not in config.read_text()


# ---------------------------------------------------------------- single partners


def test_a_partner_with_a_table_is_promoted_in_it(config):
    result = _run(config, "promote", "A.example")
    assert "a.example is an allowed partner" in result.stdout
    _changed(config, "burst = 100\n", "burst = 100\nallowed = true\n")
    assert _run(config, "demote", "a.example").exit_code == 0
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_a_partner_without_a_table_gets_one(config):
    assert _run(config, "promote", "new.example").exit_code == 0
    added = '\n[open-federation.partner."new.example"]\nallowed = true\n'
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS + added
    assert _run(config, "demote", "new.example").exit_code == 0
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_promoting_ends_a_block(config):
    assert _run(config, "promote", "c.example").exit_code == 0
    _changed(config, "blocked = true", "allowed = true")
    assert _run(config, "promote", "evil.example").exit_code == 0
    assert 'deny = ["*.bad.example"]' in config.read_text()


def test_who_is_blocked_by_a_pattern_cannot_be_promoted(config):
    result = _run(config, "promote", "x.bad.example")
    assert result.exit_code == 1
    assert "sipx federation allow '*.bad.example'" in result.output


def test_blocking_and_unblocking(config):
    _run(config, "promote", "a.example")
    result = _run(config, "block", "a.example")
    assert "a.example is blocked, in both directions" in result.stdout
    _changed(config, "burst = 100\n", "burst = 100\nblocked = true\n")
    assert _run(config, "unblock", "a.example").exit_code == 0
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_unblocking_takes_out_of_deny(config):
    assert _run(config, "unblock", "evil.example").exit_code == 0
    _changed(config, '"evil.example", ', "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("unblock", "a.example"), "a.example is not blocked"),
        (("unblock", "x.bad.example"), "it is '*.bad.example' in deny that blocks"),
        (("demote", "a.example"), "a.example is no allowed partner"),
        (("block", "home.example"), "home.example is one of your own domains"),
    ],
)
def test_what_makes_no_sense_is_said(config, words, said):
    result = _run(config, *words)
    assert result.exit_code != 0
    assert said in result.output
    assert config.read_text() == HEAD + TABLE + LISTS + PARTNERS


def test_a_table_that_was_switched_off_counts_again(config):
    config.write_text(
        HEAD + TABLE + '\n[open-federation.partner."d.example"]\nenabled = false\nburst = 7\n'
    )
    assert _run(config, "block", "d.example").exit_code == 0
    assert config.read_text().endswith("burst = 7\nblocked = true\n")


# ---------------------------------------------------------------- status without a service


@pytest.mark.parametrize("enabled", [True, False])
def test_the_status_of_a_file_that_nobody_runs(config, enabled):
    config.write_text(
        config.read_text().replace("enabled = true", f"enabled = {str(enabled).lower()}")
    )
    result = _run(config, "status", "--json")
    assert result.exit_code == 0, result.stderr
    state = json.loads(result.stdout)
    assert (state["enabled"], state["running"]) == (enabled, False)
    assert state["certificate"]["name"] == "main"
    assert state["match"] is None
    assert state["interface"] == {
        "name": "open-federation", "state": "", "reason": "", "bind": "*", "port": 5061,
    }  # fmt: skip
    assert state["allow"] == ["a.example", "*.b.example"]
    [name] = state["names"]
    assert (name["name"], name["good"]) == ("home.example", False)
    assert [finding["severity"] for finding in state["findings"]]


def test_the_status_as_text_fits_80_columns(config):
    result = _run(config, "status")
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == "open federation is on; sipx is not running"
    assert "  SRV record      none matches: no partner finds its way here" in lines
    assert max(map(len, lines)) <= 80


def test_partners_are_known_to_a_running_sipx_only(config):
    result = CliRunner().invoke(partners, ["--config", str(config)], obj=CommandLine())
    assert result.exit_code == 4
    assert "no running service" in result.output
