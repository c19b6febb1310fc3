"""``sipx stun`` as the operator sees it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner
from sipx_stun import commands
from sipx_stun.behaviour import Filtering, Mapping, NatType
from sipx_stun.client import Detection
from sipx_stun.commands import stun

from sipx import CommandLine

ONE, TWO = "203.0.113.1", "203.0.113.2"
FOUND = Detection(
    bind="",
    family=4,
    server="stun.example.net",
    server_address=("192.0.2.53", 3478),
    local=("10.99.1.2", 40000),
    public=(ONE, 41000),
)
KIND = replace(
    FOUND,
    mapping=Mapping.ENDPOINT_INDEPENDENT,
    filtering=Filtering.ADDRESS_AND_PORT_DEPENDENT,
    nat=NatType.PORT_RESTRICTED_CONE,
)
SILENT = Detection(
    bind="", family=4, nat=NatType.FIREWALL_BLOCKING_UDP, error="192.0.2.53: no answer in 2 s"
)
FILE = """\
config_version = 1
domains = ["a.example"]
plugins = ["tcp", "stun"]

[wan]                         # behind the router
public_address = "auto"       # what STUN finds

[interface.far]
bind = "*"
port = 5061
protocol = "tcp"

[service]
state_dir = "state"

[stun]
servers = ["192.0.2.53", "192.0.2.54:3479"]
timeout = "7s"
"""


class Asked:
    """Stands for ``detect``: gives what it is told to, and keeps what it was asked."""

    def __init__(self):
        self.gives = [FOUND]
        self.calls = []

    async def __call__(self, servers, *, progress, **more):
        self.calls.append(([str(server) for server in servers], more))
        progress("asking 192.0.2.53 port 3478")
        return self.gives.pop(0) if len(self.gives) > 1 else self.gives[0]

    @property
    def last(self):
        return self.calls[-1][1]


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """An empty directory, and nobody to ask."""
    found = Asked()

    monkeypatch.setattr(commands, "detect", found)
    monkeypatch.setattr(commands, "CONFIRM_AFTER", 0)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("SIPX_CONFIG", "SIPX_SOCKET", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return found


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "sipx.toml"
    path.write_text(FILE)
    return path


def run(*words):
    return CliRunner().invoke(stun, [*words], obj=CommandLine())


# ---------------------------------------------------------------- a server by name


def test_a_server_is_asked_without_any_configuration(asked):
    result = run("stun.example.net")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"public address: {ONE}",
        "  asked        stun.example.net (192.0.2.53:3478)",
        "  own address  10.99.1.2, behind NAT",
    ]
    assert result.stderr == "sipx: asking 192.0.2.53 port 3478\n"
    assert asked.calls[0][0] == ["stun.example.net"]
    assert (asked.last["nat"], asked.last["family"], asked.last["timeout"]) == (False, 4, 39.5)


def test_the_kind_of_the_nat_and_what_it_means(asked):
    asked.gives = [KIND]
    result = run("stun.example.net", "--nat", "--timeout", "3")
    assert "  NAT type     Port Restricted Cone" in result.stdout
    assert "  mapping      endpoint-independent" in result.stdout
    assert "  filtering    address-and-port-dependent" in result.stdout
    assert "TCP 5061 has to be" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert (asked.last["nat"], asked.last["timeout"]) == (True, 3)


def test_an_address_is_not_told_twice(asked):
    asked.gives = [replace(FOUND, server="192.0.2.53")]
    assert "  asked        192.0.2.53:3478\n" in run("192.0.2.53").stdout
    asked.gives = [replace(FOUND, server="2001:db8::1", server_address=("2001:db8::1", 3478))]
    assert "  asked        [2001:db8::1]:3478\n" in run("2001:db8::1").stdout


def test_the_reason_why_the_kind_is_unknown(asked):
    asked.gives = [replace(FOUND, error="192.0.2.53 port 3478 has no second address")]
    result = run("192.0.2.53", "--nat")
    assert result.exit_code == 0
    assert "  NAT type     Unknown" in result.stdout
    assert "  why          192.0.2.53 port 3478 has no second address" in result.stdout


def test_json_is_one_document(asked):
    result = run("stun.example.net", "--json")
    [found] = json.loads(result.stdout)["detections"]
    assert found == {
        "bind": "*", "family": 4, "server": "stun.example.net",
        "server_address": "192.0.2.53:3478", "local": "10.99.1.2", "public": ONE,
        "public_port": 41000, "nat": None, "mapping": None, "filtering": None, "meaning": None,
        "error": "",
    }  # fmt: skip
    asked.gives = [KIND]
    [found] = json.loads(run("192.0.2.53", "--nat", "--json").stdout)["detections"]
    assert found["nat"] == "Port Restricted Cone"
    assert found["meaning"]


@pytest.mark.parametrize(
    ("words", "families"),
    [
        (("stun.example.net",), [4]),
        (("stun.example.net", "-6"), [6]),
        (("stun.example.net", "-4", "-6"), [4, 6]),
        (("192.0.2.1",), [4]),
        (("[2001:db8::1]:3479",), [6]),
    ],
)
def test_over_which_family(asked, words, families):
    result = run(*words)
    assert result.exit_code == 0
    assert sorted(more["family"] for _, more in asked.calls) == families
    assert result.stdout.count("public address over IPv") == (2 if len(families) > 1 else 0)


def test_silence_is_exit_code_75(asked):
    asked.gives = [SILENT]
    result = run("192.0.2.53", "--nat")
    assert result.exit_code == 75
    assert result.stdout.startswith("public address: none was found\n")
    assert "Firewall blocking UDP" in result.stdout
    assert "  why        192.0.2.53: no answer in 2 s" in result.stdout
    assert "  try        another server; or, if a firewall keeps UDP back, let" in result.stdout


def test_a_name_that_does_not_exist_is_exit_code_1(asked):
    asked.gives = [replace(SILENT, temporary=False)]
    result = run("nosuch.invalid")
    assert result.exit_code == 1
    assert "  try" not in result.stdout


def test_an_address_of_a_private_network_is_told_to_be_one(asked):
    asked.gives = [replace(FOUND, public=("10.99.1.1", 1))]
    assert "10.99.1.1 is private" in run("10.99.1.3").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stun.example.net:x",), "has no port from 1 to 65535"),
        (("::1", "-4"), "::1 can be asked over IPv6 only"),
        (("192.0.2.1", "--timeout", "60"), "39.5"),
    ],
)
def test_wrong_use_is_exit_code_2(asked, words, said):
    result = run(*words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert asked.calls == []


def test_what_a_server_is_called_does_nothing_to_a_terminal(asked):
    asked.gives = [replace(SILENT, error="\x1b[2J")]
    assert "\x1b" not in run("192.0.2.53").output


# ---------------------------------------------------------------- those of the configuration


def test_the_servers_of_the_configuration(asked, file):
    result = run()
    assert result.exit_code == 0
    assert asked.calls[0][0] == ["192.0.2.53", "192.0.2.54:3479"]
    assert (asked.last["bind"], asked.last["timeout"]) == ("", 7)


def test_from_the_addresses_that_are_advertised(asked, file):
    text = FILE.replace("[wan]", "[wan]\nuse_public_address = true").replace('"*"', '"127.0.0.1"')
    file.write_text(text.replace('"192.0.2.54:3479"', '"127.0.0.1"'))
    assert run().exit_code == 0
    assert asked.last["bind"] == "127.0.0.1"
    assert asked.calls[0][0] == ["127.0.0.1"]


def test_also_where_the_plugin_is_switched_off(asked, file):
    file.write_text(f"{FILE}enabled = false\n")
    assert run().exit_code == 0


def test_without_a_configuration_and_without_a_server(asked):
    result = run()
    assert result.exit_code == 3
    *_, last = result.stderr.splitlines()
    assert last == "sipx: `sipx stun SERVER` asks a server without any configuration"


def test_without_servers_in_the_configuration(asked, file):
    file.write_text(FILE.partition("servers")[0])
    result = run()
    assert result.exit_code == 2
    assert "no server is named" in result.stderr


# ---------------------------------------------------------------- --apply


def test_apply_writes_what_two_runs_agree_on_and_keeps_comments(asked, file):
    asked.gives = [replace(FOUND, server="192.0.2.53")]
    result = run("--apply")
    assert result.exit_code == 0
    assert [servers for servers, _ in asked.calls] == [
        ["192.0.2.53", "192.0.2.54:3479"],
        ["192.0.2.54:3479", "192.0.2.53"],
    ], "who answered does not confirm himself where there is another"
    assert file.read_text() == FILE.replace(
        'public_address = "auto"       #', f'public_address = "{ONE}"       #'
    )
    assert f"wan.public_address is {ONE}" in result.stdout
    assert "wan.use_public_address is off" in result.stderr
    assert "`sipx config set wan.use_public_address true` switches it on" in result.stderr


def test_apply_says_nothing_of_a_switch_that_is_on(asked, file):
    file.write_text(FILE.replace("[wan]", "[wan]\nuse_public_address = true"))
    result = run("--apply")
    assert result.exit_code == 0
    assert "use_public_address" not in result.stderr
    assert "`sipx config set wan.public_address auto` lets it do so again" in result.stderr
    assert "follow" not in run("--apply").stderr, "it was not followed before"


def test_apply_in_json_is_one_document_as_well(asked, file):
    found = json.loads(run("192.0.2.1", "--apply", "--json").stdout)
    assert found["detections"][0]["public"] == ONE
    assert found["applied"]["changed"] is True
    assert found["applied"]["use_public_address"] is False


def test_two_runs_that_do_not_agree_write_nothing(asked, file):
    asked.gives = [FOUND, replace(FOUND, public=(TWO, 1))]
    result = run("--apply", "--json")
    assert result.exit_code == 1
    assert file.read_text() == FILE
    assert f"the first run found {ONE}, the second {TWO}" in result.stderr
    assert json.loads(result.stdout)["applied"] is None


def test_nothing_that_was_found_writes_nothing(asked, file):
    asked.gives = [SILENT]
    assert run("--apply").exit_code == 75
    assert file.read_text() == FILE


def test_several_addresses_are_for_people_to_choose_from(asked, file):
    asked.gives = [FOUND, replace(FOUND, public=("2001:db8::1", 1))]
    result = run("stun.example.net", "-4", "-6", "--apply")
    assert result.exit_code == 1
    assert f"there are several addresses, 2001:db8::1, {ONE}" in result.stderr
    assert file.read_text() == FILE


def test_apply_without_a_configuration_asks_nobody(asked):
    result = run("192.0.2.1", "--apply")
    assert result.exit_code == 3
    assert asked.calls == []
