"""SEC: no command, whatever it is asked and whatever is wrong, shows a secret of the configuration.

The configuration has secrets in every form and every place: written out, in a file, in the
environment, handed over by systemd; by themselves, in lists, in inline tables, behind a ``#``.
"""

from __future__ import annotations

import logging
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from sipx.cli.root import sipx

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
from sipx.plugin import Config, hookimpl
from sipx.config import Secret

class Server(Config):
    user: str = ""
    password: Secret | None = None

class LanConfig(Config):
    password: Secret | None = None
    handed: Secret | None = None
    keys: tuple[Secret, ...] = ()
    words: list[Secret] | None = None
    by_name: dict[str, Secret] = {}
    server: dict[str, Server] = {}
    several: list[Server] = []

class Lan:
    Config = LanConfig
    def __init__(self, config, proxy): self.config, self.log = config, proxy.log
    @hookimpl
    def services(self): return ()
    @hookimpl
    def commands(self): return ()
"""

TEXT = """\
domains = ["example.com"]
plugins = ["udp", "static-routes", "lan"]

[service]
state_dir = "state"

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[static-routes.route."example.com"]
server = "127.0.0.1"
trusted = true

[lan]
password = "hunter2-text"  # written out
#password = "hunter2-comment"
handed = { credential = "lan" }
keys = ["hunter2-list", { env = "LAN_KEY" }, { file = "lan.key" }]
words = [
  "hunter2-first",  # the first
  "hunter2-second",
]
by_name = { one = "hunter2-named", two = { env = "LAN_KEY" } }
several = [{ user = "a", password = "hunter2-inner" }]

[lan.server.berlin]
user = "uc"
password = '''hunter2-literal'''
"""

COMMANDS = [
    "config get lan.password",
    "config get lan.keys",
    "config get lan",
    "config get lan.server.berlin.password",
    "config get lan.several",
    "config get lan.passwort",
    "config show",
    "config show --defaults --origin",
    "config show lan --origin",
    "config set lan.password hunter2-new --dry-run",
    "config set lan.password hunter2-new",
    "config set lan.keys[0] hunter2-item",
    "config set lan.keys[3] hunter2-more",
    "config set lan.by_name.one hunter2-other",
    "config set lan.several[0].password hunter2-deep",
    "config set lan.server.berlin.password 74747474",
    "config set lan.server.berlin.password 74747474.5",
    'config set lan.words ["hunter2-a","hunter2-b"]',
    'config set lan.words {a="hunter2-table"}',
    "config set lan.words hunter2-alone",
    "config set lan.keys hunter2-alone",
    "config set lan.passwort hunter2-mistyped",
    "config set lan.password.text hunter2-below",
    'config set lan.password {text="hunter2-text"}',
    "config unset lan.keys[0] --dry-run",
    "config unset lan.password --dry-run",
    "config unset lan.server",
    "config undo --dry-run",
    "config undo",
    "config history",
    "config diff 1",
    "config diff 2",
    "config diff",
    "config check",
    "config fmt --check",
    "config fmt --dry-run",
    "config fmt",
    "config schema",
    "config path",
    "check",
    "check config",
    "plugins list",
    "plugins hooks",
    "plugins disable lan --dry-run",
    "plugins disable lan",
    "plugins enable lan",
    "interfaces list",
    "interfaces show near",
    "interfaces set near --port 5060 --dry-run",
    "interfaces disable near",
    "routes list",
    "routes show example.com",
    "routes explain sip:a@example.com",
    "routes untrust example.com",
    "cert list",
    "status",
    "reload",
]

LOOKING = [
    "check",
    "check config --json",
    "config check",
    "config get lan",
    "config get lan.keys",
    "config get lan.password",
    "config show --defaults --origin",
    "config show --json",
    "config set dns.timeout 2s",
    "config set lan.keys[0] hunter2-item",
    "config unset dns.timeout",
    "config history",
    "config diff 1",
    "config undo",
    "plugins list",
    "routes list",
    "interfaces list",
    "run",
]
"""What is tried on a file with a mistake."""

WRONG = {
    "a number": ('"hunter2-text"', "7474747474"),
    "empty": ('"hunter2-text"', '""'),
    "a list": ('"hunter2-text"', '["hunter2-wrong"]'),
    "a table": ('"hunter2-text"', '{ text = "hunter2-wrong" }'),
    "a misspelt place": ('"hunter2-text"', '{ fiel = "hunter2-wrong" }'),
    "numbers in a list": ('["hunter2-list",', "[7474747474, 74.747474,"),
    "no list": ('["hunter2-list", { env = "LAN_KEY" }, { file = "lan.key" }]', '"hunter2-wrong"'),
    "a list in a list": ('"hunter2-first"', '["hunter2-wrong"]'),
    "a misspelt key": ("password = '''", "pasword = '''"),
    "a misspelt table": ("[lan.server.berlin]", "[lan.sever.berlin]"),
    "twice": ('"hunter2-text"', '"hunter2-text"\npassword = "hunter2-twice"'),
    "no TOML": ('"hunter2-text"', '"hunter2-text'),
    "no TOML either": ('"hunter2-text"', "hunter2-text"),
    "no file": ('"lan.key"', '"none.key"'),
    "not listed": (', "lan"]', "]"),
    "not installed": (', "lan"]', ', "lna"]'),
}
SECRETS = ("hunter2", "74747474", "74.7474")


@pytest.fixture
def config(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    install("sipx-lan", {"lan": "fake_lan:Lan"}, fake_lan=SOURCE)
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "lan").write_text("hunter2-credential")
    (tmp_path / "lan.key").write_text("hunter2-file\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    monkeypatch.setenv("LAN_KEY", "hunter2-environment")
    monkeypatch.setenv("SIPX_SOCKET", str(tmp_path / "none.sock"))
    for name in ("HOME", "XDG_CACHE_HOME", "STATE_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "home"))
    path = tmp_path / "sipx.toml"
    path.write_text(TEXT)
    monkeypatch.setenv("SIPX_CONFIG", str(path))
    return path


def run(caplog: pytest.LogCaptureFixture, *words: str) -> Result:
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        result = CliRunner().invoke(sipx, list(words), prog_name="sipx")
    shown = result.stdout + result.stderr + caplog.text
    for secret in SECRETS:
        assert secret not in shown, (words, shown)
    assert result.exit_code != 70, result.stderr
    return result


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["text", "json"])
def test_no_command_shows_one(config, caplog, more):
    done = [run(caplog, *command.split(" "), *more).exit_code for command in COMMANDS]
    assert done.count(0) > len(COMMANDS) / 2


@pytest.mark.parametrize("wrong", WRONG)
def test_no_mistake_shows_one(config, caplog, wrong):
    old, new = WRONG[wrong]
    assert old in TEXT
    config.write_text(TEXT.replace(old, new))
    assert run(caplog, "check").exit_code == 3
    for command in LOOKING:
        run(caplog, *command.split(" "))


def test_an_editor_and_what_comes_of_it_show_none(config, caplog, tmp_path, monkeypatch):
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\npath = pathlib.Path(sys.argv[1])\n"
        "path.write_text(path.read_text().replace('hunter2-text', 'hunter2-edited'))\n"
    )
    monkeypatch.setenv("VISUAL", f"{sys.executable} {script}")
    result = run(caplog, "config", "edit", "--dry-run")
    assert '+password = "********** (another)"' in result.stdout
    assert run(caplog, "config", "edit").exit_code == 0
    assert "hunter2-edited" in config.read_text()
    run(caplog, "config", "diff", "1")
    run(caplog, "config", "history")


def test_what_is_kept_can_be_read_by_its_owner_only_and_says_nothing_beside_it(config, caplog):
    for command in COMMANDS[:20]:
        run(caplog, *command.split(" "))
    kept = [path for path in (config.parent / "state").rglob("*") if path.is_file()]
    assert len([path for path in kept if path.suffix == ".toml"]) > 3
    for path in kept:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        if path.suffix == ".json":
            assert not any(secret in path.read_text() for secret in SECRETS)
