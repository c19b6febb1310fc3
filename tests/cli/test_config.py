"""``sipx config``: values got, set and taken out, and the file as it is otherwise."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from sipx.cli.root import sipx

if TYPE_CHECKING:
    from pathlib import Path

COMMENTED = """\
# The proxy of the laboratory. Do not touch without asking Ada.

domains = ["example.com"]   # ours
plugins = ["udp", "tcp", "static-routes"]

[service] # where things are
state_dir = "state"

# ---- listeners ----

# towards the UC server
[interface.near]   # the LAN
bind = "127.0.0.1" # loopback
port = 0           # any
protocol = "udp"

[interface.far]
bind = "127.0.0.1"
  port = 0
protocol = "tcp"
#role = "wan"

[limits]
body = "256KiB"   # large
# vias = 70

[dns]
servers = [
  "192.0.2.53",   # the first
  "192.0.2.54",   # the second
]
timeout = '5s'

# the UC server
[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = 5070

# contract 4711
[static-routes.route."partner.example"]   # do not delete
trusted = true
server = ["127.0.0.2", "127.0.0.3"]       # both
protocol = "tcp"
"""


@pytest.fixture
def commented(home: Path) -> Path:
    path = home / "sipx.toml"
    path.write_text(COMMENTED)
    return path


# ---------------------------------------------------------------- get


def test_get_prints_what_the_file_says_or_the_default(line, two_domains):
    assert line("config", "get", "interface.near.port").stdout == "0\n"
    assert line("config", "get", "interface.near.bind").stdout == "127.0.0.1\n"
    assert line("config", "get", "domains").stdout == '["example.com"]\n'
    result = line("config", "get", "dns.timeout")
    assert result.stdout == "5s\n"
    assert "this is the default" in result.stderr
    assert line.json("config", "get", "interface.near.port") == {
        "key": "interface.near.port",
        "value": 0,
        "line": 10,
    }


def test_quotes_that_a_shell_ate_are_not_missed(line, two_domains):
    for key in (
        "static-routes.route.partner.example.server",
        'static-routes.route."partner.example".server',
    ):
        assert line("config", "get", key).stdout == "127.0.0.2\n"


def test_get_of_a_table_is_toml(line, two_domains):
    result = line("config", "get", "interface.far")
    assert result.stdout == 'bind = "127.0.0.1"\nport = 0\nprotocol = "tcp"\n'
    assert line.json("config", "get", "interface")["value"]["far"]["protocol"] == "tcp"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("wan.publik_port", "there is no key 'wan.publik_port'; did you mean 'public_port'?"),
        ("interfcae.near", "did you mean 'interface'?"),
        ("interface.naer.port", "did you mean 'near'?"),
        ("wan.public_port", "is not set, and has no default"),
        ("nothing.at.all", "there is no key 'nothing.at.all'"),
    ],
)
def test_a_key_that_is_not_there_is_exit_code_1(line, two_domains, key, said):
    result = line("config", "get", key)
    assert result.exit_code == 1
    assert said in result.stderr
    assert result.stdout == ""


def test_a_key_that_is_none_is_wrong_use(line, two_domains):
    assert line("config", "get", "a..b").exit_code == 2


# ---------------------------------------------------------------- show


def test_show_is_the_file_as_toml_with_where_it_comes_from(line, two_domains):
    result = line("config", "show", "--origin")
    assert re.search(r"^port = 0 +# sipx.toml:10$", result.stdout, re.M)
    assert "[interface.near]" in result.stdout
    assert "dns" not in result.stdout
    shown = line("config", "show", "dns", "--defaults", "--origin").stdout
    assert 'timeout = "5s"' in shown
    assert "# default" in shown


def test_show_without_origin_can_be_read_back(line, two_domains):
    import tomllib

    shown = tomllib.loads(line("config", "show").stdout)
    assert shown == tomllib.loads(two_domains.read_text())
    whole = tomllib.loads(line("config", "show", "--defaults").stdout)
    assert whole["limits"]["vias"] == 70


def test_show_as_json_has_origin_and_line(line, two_domains):
    found = {s["key"]: s for s in line.json("config", "show", "--defaults")["settings"]}
    assert found["interface.near.port"]["origin"] == "sipx.toml:10"
    assert found["dns.timeout"] == {
        "key": "dns.timeout",
        "value": "5s",
        "origin": "default",
        "line": None,
    }


def test_show_of_nothing(line, two_domains):
    result = line("config", "show", "dns")
    assert (result.exit_code, result.stdout.strip()) == (0, "")
    assert "--defaults" in result.stderr
    assert line("config", "show", "dsn").exit_code == 1


# ---------------------------------------------------------------- set and unset


def test_set_changes_one_value_and_says_so(line, commented):
    result = line("config", "set", "interface.near.port", "5062")
    assert result.exit_code == 0
    assert "interface.near.port = 5062" in result.stdout
    assert "counts from the next start" in result.stdout
    assert commented.read_text() == COMMENTED.replace(
        "port = 0           #", "port = 5062           #"
    )


@pytest.mark.parametrize(
    ("key", "value", "written"),
    [
        ("trust.min_tls", "1.3", 'min_tls = "1.3"'),
        ("log.level", "debug", 'level = "debug"'),
        ("log.level", '"debug"', 'level = "debug"'),
        ("wan.use_public_address", "true", "use_public_address = true"),
        ("limits.vias", "50", "vias = 50"),
        ("dns.servers", '["192.0.2.1"]', 'servers = ["192.0.2.1"]'),
        ("dns.timeout", "2", "timeout = 2"),
        ("static-routes.route.partner.example.comment", "4711", 'comment = "4711"'),
        ("static-routes.route.partner.example.comment", "true", 'comment = "true"'),
        ("static-routes.route.partner.example.server", "127.0.0.9", 'server = "127.0.0.9"'),
    ],
)
def test_a_value_is_toml_or_the_text_that_the_key_wants(line, commented, key, value, written):
    result = line("config", "set", key, value)
    assert result.exit_code == 0, result.stderr
    assert written in commented.read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("set", "interface.near.port", "99999"), 3, "99999 is more than 65535"),
        (("set", "interface.near.prot", "udp"), 3, "did you mean 'port'?"),
        (("set", "interface.near", "5"), 1, "is a table"),
        (("set", "interface.near.port.x", "5"), 1, "has no key 'x'"),
        (("set", "domains[7]", "x.example"), 1, "domains[7]"),
        (("unset", "interface.near.port"), 3, "is missing"),
        (("unset", "interface.near.prot"), 1, "did you mean 'port'?"),
        (("unset", "domains[3]"), 1, "domains[3]"),
    ],
)
def test_nonsense_is_told_and_nothing_is_written(line, commented, words, code, said):
    result = line("config", *words)
    assert (result.exit_code, commented.read_text()) == (code, COMMENTED)
    assert said in result.stderr


def test_unset_takes_a_key_or_a_table(line, commented):
    line("config", "unset", "dns.timeout")
    line("config", "unset", "static-routes.route.partner.example")
    text = COMMENTED.replace("timeout = '5s'\n", "")
    assert commented.read_text() == text.partition("\n# contract")[0]


def test_a_dry_run_shows_the_change_and_writes_nothing(line, commented, tmp_path):
    result = line("config", "set", "dns.timeout", "2s", "--dry-run")
    assert result.exit_code == 0
    assert "-timeout = '5s'" in result.stdout
    assert '+timeout = "2s"' in result.stdout
    assert commented.read_text() == COMMENTED
    assert not (tmp_path / "state").exists()
    assert line.json("config", "set", "dns.timeout", "2s", "--dry-run")["changed"] is True


def test_the_same_value_again_is_no_change(line, commented):
    result = line("config", "set", "static-routes.route.example.com.port", "5070")
    assert "nothing to change" in result.stdout
    assert line.json("config", "history")["versions"][0]["why"] == "as it was found"


def test_a_value_from_stdin_is_on_no_command_line(commented):
    words = ["config", "set", "log.level", "-"]
    result = CliRunner().invoke(sipx, words, input="debug\n", prog_name="sipx")
    assert result.exit_code == 0
    assert 'level = "debug"' in commented.read_text()


def test_an_invalid_file_can_be_made_valid(line, two_domains):
    text = two_domains.read_text()
    two_domains.write_text(text.replace("5070", "99999"))
    assert line("config", "set", "dns.timeout", "2s").exit_code == 3
    assert "99999" in two_domains.read_text()
    assert line("config", "set", "static-routes.route.example.com.port", "5070").exit_code == 0
    assert two_domains.read_text() == text


TWENTY = [
    ("config set interface.near.port 5062", "port = 0           #", "port = 5062           #"),
    ("config set interface.near.bind 127.0.0.9", '"127.0.0.1" # loop', '"127.0.0.9" # loop'),
    ("config set interface.far.port 5063", "  port = 0\n", "  port = 5063\n"),
    ("config set limits.body 128KiB", '"256KiB"', '"128KiB"'),
    ("config set limits.vias 60", "# vias = 70\n", "# vias = 70\nvias = 60\n"),
    ("config set dns.timeout 2s", "'5s'", '"2s"'),
    ("config set dns.servers[0] 192.0.2.99", '"192.0.2.53"', '"192.0.2.99"'),
    ("config set dns.servers[2] 192.0.2.55", "# the second\n", '# the second\n  "192.0.2.55",\n'),
    ("config unset dns.servers[2]", '  "192.0.2.55",\n', ""),
    ("config set domains[0] lab.example", '["example.com"]', '["lab.example"]'),
    ("config set domains[1] example.com", '["lab.example"]', '["lab.example", "example.com"]'),
    ("config set interface.far.role lan", '#role = "wan"\n', '#role = "wan"\nrole = "lan"\n'),
    ("config unset interface.far.role", 'role = "lan"\n', ""),
    (
        "interfaces disable far",
        'protocol = "tcp"\n#role',
        'protocol = "tcp"\nenabled = false\n#role',
    ),
    ("interfaces enable far", "enabled = false\n#role", "enabled = true\n#role"),
    ("routes set example.com --port 5071", "5070", "5071"),
    ("routes untrust partner.example", "delete\ntrusted = true", "delete\ntrusted = false"),
    ("routes trust partner.example", "delete\ntrusted = false", "delete\ntrusted = true"),
    ("config set static-routes.route.partner.example.server[1] 127.0.0.7", "0.0.3", "0.0.7"),
    ("config set service.stop_timeout 5s", '"state"\n', '"state"\nstop_timeout = "5s"\n'),
]


def test_a_file_full_of_comments_differs_after_twenty_commands_only_in_the_values(line, commented):
    wanted = COMMENTED
    for words, old, new in TWENTY:
        result = line(*words.split())
        assert result.exit_code == 0, (words, result.stderr)
        assert wanted.count(old) == 1, words
        wanted = wanted.replace(old, new)
        assert commented.read_text() == wanted, words
    assert len(TWENTY) == 20


# ---------------------------------------------------------------- the file as a whole


def test_check_tells_only_whether_the_file_is_valid(line, two_domains):
    assert line.json("config", "check")["verdict"] == "ok"
    two_domains.write_text(two_domains.read_text().replace("5070", "99999"))
    result = line("config", "check")
    assert result.exit_code == 3
    assert "99999 is more than 65535" in result.stdout


def test_path_tells_which_file_and_why(line, two_domains, monkeypatch):
    result = line("config", "path")
    assert result.stdout == f"{two_domains}\n"
    monkeypatch.setenv("SIPX_CONFIG", "/nowhere/sipx.toml")
    found = line.json("config", "path")
    assert found == {"path": "/nowhere/sipx.toml", "by": "SIPX_CONFIG", "exists": False}


def test_path_without_a_file_is_exit_code_3(line):
    assert line("config", "path").exit_code == 3


def test_schema_has_the_tables_of_the_plugins(line):
    schema = json.loads(line("config", "schema").stdout)
    assert {"wan", "static-routes", "udp"} <= schema["properties"].keys()


def test_fmt_puts_the_spacing_in_order_and_keeps_all_else(line, two_domains):
    text = two_domains.read_text()
    two_domains.write_text(text.replace("port = 0", "port=0").replace("\n\n", "\n\n\n") + "\n")
    result = line("config", "fmt", "--check")
    assert result.exit_code == 1
    assert "+port = 0" in result.stdout
    assert line("config", "fmt").exit_code == 0
    assert two_domains.read_text() == text.lstrip("\n")
    assert line("config", "fmt", "--check").exit_code == 0


def test_unset_of_a_default_says_that_it_is_one(line, commented):
    result = line("config", "unset", "limits.idle_timeout")
    assert result.exit_code == 1
    assert "limits.idle_timeout is not in the file; what counts is its default" in result.stderr


def test_a_value_that_is_there_already_keeps_its_notation(line, commented):
    result = line("config", "set", "dns.timeout", "5s")
    assert (result.exit_code, "nothing to change" in result.stdout) == (0, True)
    assert commented.read_text() == COMMENTED


def test_a_number_beyond_the_list_says_which_one_adds_an_item(line, commented):
    result = line("config", "set", "domains[7]", "b.example")
    assert result.exit_code == 1
    assert "there is no domains[7]: domains has 1 item, domains[1] adds one" in result.stderr
    assert commented.read_text() == COMMENTED
