from __future__ import annotations

CHECKED = """
from sipx import Check, Config, Finding, Severity, hookimpl
class Lab:
    Config = Config
    def __init__(self, config, proxy): ...
    @hookimpl
    def checks(self):
        return [Check("lab", self.look)]
    def look(self):
        yield Finding("LAB-1", Severity.WARNING, "it is warm", "open a window")
"""

BREAKING = CHECKED.replace('yield Finding("LAB-1"', 'raise KeyError("x"); yield Finding("LAB-1"')


def _codes(found, area):
    return [(f["code"], f["severity"]) for f in found["findings"] if f["area"] == area]


def test_a_right_configuration_passes(line, two_domains):
    result = line("check")
    assert result.exit_code == 0
    assert result.stdout.rstrip().endswith("All checks passed.")


def test_an_invalid_file_is_exit_code_3_with_all_problems(line, two_domains):
    text = two_domains.read_text().replace('"udp"\n', '"upd"\n').replace("5070", "99999")
    two_domains.write_text(text)
    result = line("check")
    assert result.exit_code == 3
    assert "sipx.toml:11:12: interface.near.protocol" in result.stdout
    assert "99999" in result.stdout
    assert result.stdout.rstrip().endswith("2 failures; see above.")
    assert _codes(line.json("check"), "config") == [("SIPX-C002", "failure")] * 2


def test_areas_are_chosen_by_name_only_and_skip(line, two_domains):
    areas = lambda *words: {f["area"] for f in line.json("check", *words)["findings"]}  # noqa: E731
    assert areas("config", "ports") == {"config", "ports"}
    assert areas("--only", "plugins") == {"plugins"}
    assert "ports" not in areas("--skip", "ports")


def test_an_unknown_area_is_wrong_use(line, two_domains):
    result = line("check", "prots")
    assert result.exit_code == 2
    assert "did you mean 'ports'?" in result.stderr


def test_an_area_of_a_plugin_that_is_switched_off_says_so(line, two_domains):
    two_domains.write_text(two_domains.read_text() + "\n[static-routes]\nenabled = false\n")
    result = line("check", "routes")
    assert result.exit_code == 2
    said = result.stderr.partition("plugins that are not listed, or switched off, have none: ")[2]
    assert "static-routes" in said


def test_a_warning_fails_only_when_strict(line, install, home):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=CHECKED)
    (home / "sipx.toml").write_text('domains = ["example.com"]\nplugins = ["lab"]\n')
    relaxed = line("check", "lab")
    assert relaxed.exit_code == 0
    assert "LAB-1  it is warm" in relaxed.stdout
    assert "open a window" in relaxed.stdout
    assert "1 warning; it will run." in relaxed.stdout
    assert line("check", "lab", "--strict").exit_code == 1


def test_a_check_that_breaks_is_a_failure_and_no_crash(line, install, home):
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=BREAKING)
    (home / "sipx.toml").write_text('domains = ["example.com"]\nplugins = ["lab"]\n')
    result = line("check")
    assert result.exit_code == 1
    assert "the check of plugin lab broke: KeyError" in result.stdout


def test_a_protocol_without_a_plugin_is_a_failure(line, two_domains):
    two_domains.write_text(two_domains.read_text().replace('"udp", "tcp", ', '"tcp", '))
    result = line("check")
    assert result.exit_code == 1
    assert "no enabled plugin brings the protocol 'udp'" in result.stdout
    assert "`sipx plugins enable udp`" in result.stdout


def test_plugins_are_told_with_version_and_state(line, two_domains):
    two_domains.write_text(two_domains.read_text() + "\n[static-routes]\nenabled = false\n")
    found = line.json("check", "plugins")
    codes = _codes(found, "plugins")
    assert sorted(code for code in codes if code != ("SIPX-P003", "ok")) == [
        ("SIPX-P001", "ok"),
        ("SIPX-P001", "ok"),
        ("SIPX-P002", "ok"),
    ]
    # The shipped plugins that this file does not list: however many they are.
    assert ("SIPX-P003", "ok") in codes
    assert any("0.1.0 (sipx-udp)" in f["text"] for f in found["findings"])


def test_no_interface_is_a_warning(line, home):
    (home / "sipx.toml").write_text('domains = ["example.com"]\n')
    assert _codes(line.json("check"), "ports") == [("SIPX-N005", "warning")]


TRUST = """
domains = ["example.com"]
plugins = ["udp"]
[trust]
ca = "none.crt"
"""


def test_authorities_that_cannot_be_read_are_told_once_and_not_in_the_log(line, home, caplog):
    (home / "sipx.toml").write_text(TRUST)
    result = line("check", "certs")
    assert result.exit_code == 1
    assert result.output.count("none.crt cannot be read") == 1
    assert not caplog.records


def test_a_password_in_the_open_configuration_is_a_failure(line, home):
    file = home / "sipx.toml"
    file.write_text(
        'domains = ["example.com"]\n[certificate.main]\n'
        'pkcs12_file = "none.p12"\npkcs12_password = "secret"\n'
    )
    file.chmod(0o644)
    assert ("SIPX-T004", "failure") in _codes(line.json("check", "certs"), "certs")
    file.chmod(0o600)
    assert ("SIPX-T004", "failure") not in _codes(line.json("check", "certs"), "certs")


def test_a_group_that_is_not_there_is_a_warning(line, two_domains):
    two_domains.write_text(
        two_domains.read_text().replace("[service]", '[service]\ncontrol_group = "no-such-group"')
    )
    found = line.json("check", "config")
    assert [f["code"] for f in found["findings"]] == ["SIPX-C001", "SIPX-C004"]
    assert found["verdict"] == "warnings"


def test_a_plugin_sees_what_it_keeps_on_the_disk(line, tmp_path):
    """Not only in the process that runs: what an operator has told a server holds on."""
    state = tmp_path / "state/plugins/registrar"
    state.mkdir(parents=True)
    (state / "servers.json").write_text('{"berlin": "draining"}')
    config = tmp_path / "sipx.toml"
    config.write_text(
        'domains = ["home.example"]\nplugins = ["tcp", "lan", "registrar"]\n'
        '[service]\nstate_dir = "state"\n[lan]\nbind = "127.0.0.1"\n'
        '[lan.server.berlin]\npassword = "secret"\n'
    )
    told = line("check", "servers", "--config", str(config))
    assert (told.exit_code, "SIPX-U004" in told.output) == (0, True), told.output


def test_accounts_without_a_registrar_are_a_finding(line, tmp_path):
    config = tmp_path / "sipx.toml"
    text = (
        'domains = ["home.example"]\nplugins = ["tcp", "lan"{}]\n[lan]\nbind = "127.0.0.1"\n'
        '[lan.server.berlin]\npassword = "secret"\n'
    )
    for more, wanted in (("", True), (', "registrar"', False)):
        config.write_text(text.format(more))
        found = line.json("check", "plugins", "--config", str(config))
        assert (("SIPX-P006", "warning") in _codes(found, "plugins")) is wanted


def test_a_public_address_that_nothing_finds_is_told(line, two_domains):
    two_domains.write_text(two_domains.read_text() + "\n[wan]\nuse_public_address = true\n")
    assert ("SIPX-C005", "warning") in _codes(line.json("check", "config"), "config")
    text = two_domains.read_text().replace('"udp"', '"udp", "stun"', 1)
    two_domains.write_text(text)
    assert _codes(line.json("check", "config"), "config") == [("SIPX-C001", "ok")]
    assert _codes(line.json("check", "stun"), "stun") == [("SIPX-S002", "warning")]
