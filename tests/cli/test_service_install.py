"""``sipx service install`` and ``uninstall`` into a directory that stands for the machine's."""

from __future__ import annotations

import pwd
import re
import shutil

import pytest

from sipx.cli import service_install, systemctl


@pytest.fixture
def machine(tmp_path, monkeypatch, manager):
    """A machine on which this is root, and on which there is no account sipx."""
    monkeypatch.setattr(systemctl, "SYSTEM_UNITS", tmp_path / "units")
    monkeypatch.setattr(service_install, "SYSUSERS", tmp_path / "sysusers" / "sipx.conf")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    known = pwd.getpwnam

    def getpwnam(name):
        if name == "sipx":
            raise KeyError(name)
        return known(name)

    monkeypatch.setattr(pwd, "getpwnam", getpwnam)
    return manager


@pytest.fixture
def unit(tmp_path):
    return tmp_path / "units" / "sipx.service"


def test_print_shows_the_unit_and_writes_nothing(two_domains, line, machine, unit):
    shown = line("service", "install", "--print")
    assert shown.exit_code == 0
    assert f"run --config {two_domains}\n" in shown.stdout
    assert f"ReadWritePaths={two_domains.parent}\n" in shown.stdout
    assert not unit.exists()
    assert machine.told() == []


def test_install_writes_the_unit_and_makes_the_account(two_domains, line, machine, unit, tmp_path):
    done = line("service", "install", "--yes")
    assert done.exit_code == 0, done.stderr
    assert unit.read_text() == line("service", "install", "--print").stdout
    assert unit.stat().st_mode & 0o777 == 0o644
    accounts = tmp_path / "sysusers" / "sipx.conf"
    assert accounts.read_text().startswith("u sipx - ")
    assert machine.told() == [f"systemd-sysusers {accounts}", "systemctl daemon-reload"]
    if shutil.which("systemd-analyze") is not None:
        assert re.search(r"^exposure: [1-9.]+ \w+$", done.stdout, re.M)


def test_installing_again_changes_nothing(two_domains, line, machine, unit):
    line("service", "install", "--yes")
    machine.told()
    again = line("service", "install")
    assert again.exit_code == 0
    assert f"{unit} is as it should be" in again.stdout
    assert machine.told() == []


def test_a_unit_that_is_different_is_shown_and_kept_without_force(two_domains, line, machine, unit):
    line("service", "install", "--yes")
    two_domains.write_text(two_domains.read_text().replace("port = 0", "port = 99", 1))
    before = unit.read_text()
    refused = line("service", "install", "--yes")
    assert refused.exit_code == 1
    assert "+CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in refused.stderr
    assert "--force replaces it" in refused.stderr
    assert unit.read_text() == before
    assert line("service", "install", "--yes", "--force").exit_code == 0
    assert "CapabilityBoundingSet=CAP_NET_BIND_SERVICE" in unit.read_text()


def test_enable_starts_it(two_domains, line, machine):
    done = line.json("service", "install", "--yes", "--enable")
    assert done["enabled"] is True
    assert machine.told()[-1] == "systemctl enable --now sipx.service"


def test_where_nobody_can_be_asked_nothing_is_written(two_domains, line, machine, unit):
    refused = line("service", "install")
    assert refused.exit_code == 2
    assert "and make the account sipx? Nobody can be asked here: --yes says so" in refused.stderr
    assert not unit.exists()


def test_further_directories_are_writable_once(two_domains, line, machine, tmp_path):
    (tmp_path / "logs").mkdir()
    words = [word for path in ("logs", "logs/old") for word in ("--writable", tmp_path / path)]
    shown = line("service", "install", "--print", *map(str, words)).stdout
    assert re.findall("^ReadWritePaths=(.*)$", shown, re.M) == [
        str(tmp_path / "logs"),
        str(two_domains.parent),
    ]


def test_a_directory_that_is_not_there_yet_is_told_of(two_domains, line, machine, tmp_path):
    shown = line("service", "install", "--print", "--writable", str(tmp_path / "none"))
    assert f"the unit cannot start without {tmp_path / 'none'}" in shown.stderr


def test_a_user_needs_no_root_and_no_account(two_domains, line, manager, home, monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    done = line("service", "install", "--user", "--yes")
    assert done.exit_code == 0, done.stderr
    unit = home.parent / "home/.config/systemd/user/sipx.service"
    assert "User=" not in unit.read_text()
    assert manager.told() == ["systemctl --user daemon-reload"]


def test_who_is_not_root_is_told_what_to_do(two_domains, line, machine, monkeypatch, unit):
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    refused = line("service", "install", "--yes")
    assert refused.exit_code == 5
    assert "use sudo, or --user" in refused.stderr
    assert not unit.exists()


def test_without_systemd_the_unit_can_still_be_seen(two_domains, line, no_manager):
    assert "ExecStart=" in line("service", "install", "--print").stdout
    refused = line("service", "install", "--yes")
    assert refused.exit_code == 1
    assert "this machine has no systemd" in refused.stderr


def test_a_configuration_that_is_wrong_gets_no_unit(two_domains, line, machine, unit):
    two_domains.write_text("domains = 1\n")
    assert line("service", "install", "--yes").exit_code == 3
    assert not unit.exists()


def test_uninstall_stops_and_removes_what_sipx_has_written(two_domains, line, machine, unit):
    line("service", "install", "--yes")
    machine.has_unit()
    machine.told()
    assert line("service", "uninstall", "--yes").exit_code == 0
    assert not unit.exists()
    assert machine.told() == [
        "systemctl disable --now sipx.service",
        "systemctl daemon-reload",
    ]


def test_a_unit_of_others_stays(two_domains, line, machine, unit):
    unit.parent.mkdir()
    unit.write_text("[Service]\n")
    refused = line("service", "uninstall", "--yes")
    assert refused.exit_code == 1
    assert "was not written by sipx" in refused.stderr
    assert unit.exists()
    assert line("service", "uninstall", "--yes", "--force").exit_code == 0
    assert not unit.exists()
