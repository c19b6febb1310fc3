"""``sipx interfaces`` on a file, without a running sipx."""

from __future__ import annotations

import pytest


def interfaces(line):
    return {row["name"]: row for row in line.json("interfaces", "list")["interfaces"]}


def test_list_shows_all_of_them_with_their_defaults(line, two_domains):
    rows = interfaces(line)
    assert list(rows) == ["near", "far"]
    assert rows["near"]["role"] == "wan"
    assert rows["near"]["enabled"] is True
    assert rows["near"]["live"] is None
    text = line("interfaces", "list").stdout.splitlines()
    assert text[0].split()[:4] == ["interface", "active", "protocol", "bind"]
    assert "now" not in text[0]


def test_list_of_what_is_available_are_the_addresses_by_device(line):
    found = line.json("interfaces", "list", "--available")["addresses"]
    assert any(item["address"] == "127.0.0.1" for item in found)
    assert "127.0.0.1" in line("interfaces", "list", "--available").stdout


def test_show_tells_what_is_a_default(line, two_domains):
    text = line("interfaces", "show", "near").stdout
    assert 'protocol = "udp"\n' in text
    assert 'role = "wan"  # default' in text
    assert line.json("interfaces", "show", "near")["port"] == 0


def test_add_and_remove_leave_the_file_as_it_was(line, two_domains):
    text = two_domains.read_text()
    words = ("--bind", "127.0.0.1", "--port", "0", "--protocol", "udp", "--role", "lan")
    result = line("interfaces", "add", "lan", *words)
    assert result.exit_code == 0
    added = '\n[interface.lan]\nbind = "127.0.0.1"\nport = 0\nprotocol = "udp"\nrole = "lan"\n'
    far = 'port = 0\nprotocol = "tcp"\n'
    assert two_domains.read_text() == text.replace(far, far + added)
    assert line("interfaces", "remove", "lan").exit_code == 0
    assert two_domains.read_text() == text


def test_set_changes_what_is_named(line, two_domains):
    line("interfaces", "disable", "far")
    text = two_domains.read_text()
    assert line("interfaces", "set", "far", "--port", "5061", "--bind", "").exit_code == 0
    far = 'bind = "127.0.0.1"\nport = 0\nprotocol = "tcp"'
    assert two_domains.read_text() == text.replace(far, 'port = 5061\nprotocol = "tcp"')


def test_switching_off_and_on_keeps_the_settings(line, two_domains):
    line("interfaces", "disable", "far")
    assert interfaces(line)["far"]["enabled"] is False
    assert "nothing to change" in line("interfaces", "disable", "far").stdout
    line("interfaces", "enable", "far")
    assert interfaces(line)["far"]["enabled"] is True
    assert "nothing to change" in line("interfaces", "enable", "near").stdout


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("add near --port 1 --protocol udp", 1, "there is an interface 'near' already"),
        ("add new --port 1", 2, "needs --port and --protocol"),
        ("add new --port 70000 --protocol udp", 3, "70000 is more than 65535"),
        ("add new --port 5061 --protocol tls", 3, "tls needs a certificate"),
        ("add a/b --port 0 --protocol udp", 3, "cannot be a name"),
        ("set near", 2, "at least one property"),
        ("set naer --port 1", 1, "did you mean 'near'?"),
        ("remove other", 1, "there are: near, far"),
        ("enable other", 1, "there is no interface 'other'"),
        ("show other", 1, "there is no interface 'other'"),
        ("set near --certificate none", 3, "there is no [certificate.none]"),
    ],
)
def test_what_makes_no_sense_is_told_and_nothing_is_written(line, two_domains, words, code, said):
    text = two_domains.read_text()
    result = line("interfaces", *words.split())
    assert (result.exit_code, two_domains.read_text()) == (code, text)
    assert said in result.stderr


def test_on_a_terminal_it_is_asked_before_an_interface_is_removed(line, two_domains, monkeypatch):
    asked = []
    monkeypatch.setattr("sipx.cli.command_line.stdin_is_terminal", lambda: True)
    monkeypatch.setattr("click.confirm", lambda question, **_: asked.append(question))
    text = two_domains.read_text()
    result = line("interfaces", "remove", "far")
    assert (result.exit_code, two_domains.read_text()) == (1, text)
    assert asked == ["Remove the interface far?"]
    assert line("interfaces", "remove", "far", "--yes").exit_code == 0
    assert len(asked) == 1


def test_several_certificates_are_a_list(line, two_domains):
    words = ("--disabled", "--port", "0", "--protocol", "tls")
    two = ("--certificate", "a", "--certificate", "b")
    result = line("interfaces", "add", "far2", *words, *two, "--dry-run")
    assert "there is no [certificate.a]" in result.stderr
    with two_domains.open("a") as file:
        for name in "ab":
            file.write(f'\n[certificate.{name}]\ncert_file = "x"\nkey_file = "y"\n')
    result = line("interfaces", "add", "far2", *words, *two, "--dry-run")
    assert '+certificate = ["a", "b"]' in result.stdout


@pytest.mark.parametrize(
    ("words", "written"),
    [
        (("--advertise", "203.0.113.5:15061"), '"203.0.113.5:15061"'),
        (("--advertise", "[2001:db8::5]:5061"), '"[2001:db8::5]:5061"'),
        (("--advertise", "sip.example.com"), '"sip.example.com"'),
        (("--no-advertise",), "false"),
        (("--advertise",), "true"),
    ],
)
def test_what_is_advertised_is_set_and_taken_back(line, two_domains, words, written):
    before = two_domains.read_text()
    assert line("interfaces", "set", "far", *words).exit_code == 0
    assert f"\nadvertise = {written}\n" in two_domains.read_text()
    assert line("interfaces", "set", "far", "--advertise", "").exit_code == 0
    assert two_domains.read_text() == before


def test_an_interface_is_added_with_what_it_is_advertised_as(line, two_domains):
    words = ("--port", "0", "--protocol", "tcp", "--bind", "127.0.0.9")
    assert line("interfaces", "add", "third", *words, "--advertise", "203.0.113.5").exit_code == 0
    assert interfaces(line)["third"]["advertise"] == "203.0.113.5"
    assert line("interfaces", "add", "fourth", *words, "--no-advertise").exit_code == 0
    assert interfaces(line)["fourth"]["advertise"] is False


@pytest.mark.parametrize(
    ("wan", "near", "far"),
    [
        ("", "", ""),
        ("use_public_address = true", "auto", "auto"),
        ('use_public_address = true\npublic_address = "192.0.2.7"', "192.0.2.7:0", "192.0.2.7:0"),
        (
            'use_public_address = true\npublic_address = "2001:db8::7"\npublic_port = 5061',
            "[2001:db8::7]:5061",
            "[2001:db8::7]:5061",
        ),
    ],
)
def test_list_and_show_tell_what_an_interface_is_advertised_as(line, two_domains, wan, near, far):
    with two_domains.open("a") as file:
        file.write(f"\n[wan]\n{wan}\n")
    rows = interfaces(line)
    assert (rows["near"]["advertised"], rows["far"]["advertised"]) == (near, far)
    text = line("interfaces", "list").stdout.splitlines()
    assert text[0].split()[-1] == "advertised"
    assert text[1].split()[-1] == (near or "-")
    assert f"advertised: {near or 'its own address'}\n" in line("interfaces", "show", "near").stdout
    line("interfaces", "set", "near", "--no-advertise")
    line("interfaces", "set", "far", "--advertise", "sip.example.com:5061")
    rows = interfaces(line)
    assert (rows["near"]["advertised"], rows["far"]["advertised"]) == ("", "sip.example.com:5061")


def test_advertise_and_no_advertise_exclude_each_other(line, two_domains):
    result = line("interfaces", "set", "far", "--advertise", "192.0.2.1", "--no-advertise")
    assert result.exit_code == 2
    assert "exclude each other" in result.stderr


@pytest.mark.parametrize(
    ("advertised", "advertises", "shown"),
    [("203.0.113.5:5061", True, "203.0.113.5:5061"), ("", True, "not known yet"), ("", False, "")],
)
def test_what_runs_tells_what_is_advertised_now(
    line, two_domains, monkeypatch, advertised, advertises, shown
):
    live = {"state": "listening", "reason": "", "address": "127.0.0.1", "port": 5060, "flows": 0}
    near = {**live, "name": "near", "advertised": advertised, "advertises": advertises}
    monkeypatch.setattr("sipx.cli.interfaces.running_status", lambda *_: {"interfaces": [near]})
    rows = interfaces(line)
    assert (rows["near"]["advertised"], rows["far"]["advertised"]) == (shown, "")
    assert (
        f"advertised: {shown or 'its own address'}\n" in line("interfaces", "show", "near").stdout
    )
