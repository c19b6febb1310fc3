from __future__ import annotations

from sipx.registry import specifications


def test_list_tells_what_is_on_off_not_listed_and_not_installed(line, two_domains):
    text = two_domains.read_text().replace('"udp", "tcp",', '"udp", "teleport",')
    two_domains.write_text(text + "\n[static-routes]\nenabled = false\n")
    found = {p["name"]: p for p in line.json("plugins", "list")["plugins"]}
    assert found["udp"]["enabled"] is True
    assert found["udp"]["distribution"] == "sipx-udp"
    assert (found["static-routes"]["listed"], found["static-routes"]["enabled"]) == (True, False)
    assert found["tcp"]["listed"] is False
    assert found["teleport"]["installed"] is False
    text = line("plugins", "list").stdout
    for state in ("on", "off", "not listed", "listed, not installed"):
        assert any(row.endswith(f" {state}") for row in text.splitlines())


def test_list_works_without_a_configuration(line):
    found = {p["name"]: p for p in line.json("plugins", "list")["plugins"]}
    assert {"udp", "tcp", "static-routes"} <= set(found)


def test_hooks_are_all_there_with_their_plugins_in_the_order_of_asking(line, two_domains):
    two_domains.write_text(two_domains.read_text().replace('"udp", "tcp"', '"tcp", "udp"'))
    found = {h["hook"]: h for h in line.json("plugins", "hooks")["hooks"]}
    assert set(found) == set(specifications())
    assert found["transports"]["plugins"] == ["tcp", "udp"]
    assert found["determine_targets"]["plugins"] == ["static-routes"]
    assert found["determine_targets"]["arguments"] == ["request", "sender"]
    assert all(hook["help"] for hook in found.values())


def test_a_plugin_that_is_off_has_no_hooks(line, two_domains):
    two_domains.write_text(two_domains.read_text() + "\n[static-routes]\nenabled = false\n")
    found = {h["hook"]: h for h in line.json("plugins", "hooks")["hooks"]}
    assert found["determine_targets"]["plugins"] == []


def test_a_plugin_is_switched_off_and_on_in_its_table(line, two_domains):
    text = two_domains.read_text()
    assert line("plugins", "disable", "tcp").exit_code == 0
    assert two_domains.read_text().endswith("\n[tcp]\nenabled = false\n")
    assert "nothing to change" in line("plugins", "disable", "tcp").stdout
    assert line("plugins", "enable", "tcp").exit_code == 0
    assert two_domains.read_text().endswith("\n[tcp]\nenabled = true\n")
    assert "nothing to change" in line("plugins", "enable", "udp").stdout
    assert text.partition("[interface.far]")[0] in two_domains.read_text()


def test_enabling_what_is_not_listed_lists_it_behind_the_others(line, two_domains):
    text = two_domains.read_text()
    assert line("plugins", "enable", "tls").exit_code == 0
    assert two_domains.read_text() == text.replace('routes"]', 'routes", "tls"]')


def test_enabling_the_first_plugin_of_a_file(line, home):
    path = home / "sipx.toml"
    path.write_text('domains = ["example.com"]\n')
    assert line("plugins", "enable", "tls").exit_code == 0
    assert path.read_text() == 'domains = ["example.com"]\nplugins = ["tls"]\n'


def test_a_plugin_that_is_not_there_is_exit_code_1(line, two_domains):
    result = line("plugins", "enable", "tsl")
    assert (result.exit_code, "did you mean 'tls'?" in result.stderr) == (1, True)
    assert line("plugins", "disable", "tls").exit_code == 1
