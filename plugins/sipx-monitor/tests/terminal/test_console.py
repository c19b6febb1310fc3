"""``sipx console`` as the operator sees it, against a service that runs."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from click.testing import CliRunner
from sipx_monitor.terminal import console as module
from sipx_monitor.terminal.console import console
from sipx_monitor.web.passwords import fits

from sipx import CommandLine

CONFIG = """
domains = ["example.com"]
plugins = ["udp", "monitor"]

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[monitor]
port = 0   # a free one

[service]
state_dir = "state"
control_socket = "control.sock"
"""


@pytest.fixture(scope="module")
def running():
    """`sipx run` with this file, in a directory with a short path: names of sockets are short."""
    with tempfile.TemporaryDirectory(prefix="sipx-") as folder:
        path = Path(folder, "sipx.toml")
        path.write_text(CONFIG)
        words = [sys.executable, "-m", "sipx", "run", "--config", str(path)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stderr:
                    if '"started"' in line:
                        break
                yield path
            finally:
                process.terminate()
                process.communicate()


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "sipx.toml"
    path.write_text(CONFIG)
    return path


def run(config, *words, text=None):
    words = [*words, "--config", str(config)]
    return CliRunner().invoke(console, words, obj=CommandLine(), input=text)


def log_on(url: str):
    base, _, token = url.partition("#token=")
    request = urllib.request.Request(
        base + "session",
        json.dumps({"token": token}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def test_a_link_logs_on_with_a_role(running):
    done = run(running, "url", "--role", "operator")
    assert done.exit_code == 0, done.output
    assert "this link works once, within 1 h" in done.stderr
    url = done.stdout.strip()
    session = log_on(url)
    assert session["role"] == "operator"
    with pytest.raises(urllib.error.HTTPError, match="401"):
        log_on(url)


def test_as_json_it_is_data(running):
    found = json.loads(run(running, "url", "--json").stdout)
    assert found["url"].startswith(found["plain"] + "#token=")


def test_a_browser_is_opened_where_there_is_one(running, monkeypatch):
    opened = []
    monkeypatch.setattr(module.webbrowser, "open", lambda url: opened.append(url) or True)
    done = run(running, "open")
    assert done.exit_code == 0
    assert log_on(opened[0])["role"] == "admin"
    assert "token" not in done.stdout
    monkeypatch.setattr(module.webbrowser, "open", lambda url: False)
    done = run(running, "open")
    assert done.exit_code == 1


def test_tokens_are_made_listed_and_revoked(running):
    done = run(running, "token", "create", "grafana", "--lasting", "90d")
    assert done.exit_code == 0, done.output
    token = done.stdout.strip()
    assert token.startswith("sipx_")
    assert "not shown again" in done.stderr
    assert run(running, "token", "create", "grafana").exit_code == 1
    listed = run(running, "token", "list")
    assert "grafana" in listed.stdout
    assert token not in listed.stdout
    assert run(running, "token", "revoke", "grafana").exit_code == 0
    assert run(running, "token", "revoke", "grafana").exit_code == 1
    assert run(running, "token", "list").stdout == "there are no tokens\n"


def test_without_a_service_it_is_exit_code_4(config, monkeypatch):
    monkeypatch.delenv("SIPX_SOCKET", raising=False)
    for words in (["url"], ["open"], ["token", "list"]):
        assert run(config, *words).exit_code == 4


def test_a_password_is_written_as_its_hash(config):
    done = run(config, "password", "anna", "--role", "admin", "--stdin", text="correct horse\n")
    assert done.exit_code == 0, done.output
    assert 'auth = "password"' in done.stderr
    text = config.read_text()
    assert "# a free one" in text
    assert "correct" not in text
    user = tomllib.loads(text)["monitor"]["user"]["anna"]
    assert user["role"] == "admin"
    assert fits("correct horse", user["password_hash"])
    done = run(config, "password", "anna", "--stdin", text="another horse\n")
    assert done.exit_code == 0, done.output
    user = tomllib.loads(config.read_text())["monitor"]["user"]["anna"]
    assert user["role"] == "admin"
    assert fits("another horse", user["password_hash"])


def test_a_password_is_asked_for_twice(config):
    done = run(config, "password", "anna", "--dry-run", text="correct horse\ncorrect horse\n")
    assert done.exit_code == 0, done.output
    assert "correct horse" not in done.output
    assert config.read_text() == CONFIG


def test_a_password_that_is_too_short(config):
    done = run(config, "password", "anna", "--stdin", text="short\n")
    assert done.exit_code == 1
    assert config.read_text() == CONFIG
