"""``sipx lan`` against a service that runs: who is logged on, who is banned, changes at once."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from sipx_lan.commands import lan

from sipx import CommandLine
from sipx.sip import digest, parse_datagram

CONFIG = """
domains = ["example.com"]
plugins = ["udp", "lan"]

[lan]
bind = "127.0.0.1"
port = {port}
protocol = "udp"
ban_after = 3

[lan.server.berlin]
password = "swordfish"

[service]
state_dir = "state"
control_socket = "control.sock"
"""


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def run(port, monkeypatch):
    """``run("show")``, beside a ``sipx run`` in a directory with a short path."""
    monkeypatch.delenv("SIPX_SOCKET", raising=False)
    with tempfile.TemporaryDirectory(prefix="sipx-") as folder:
        path = Path(folder, "sipx.toml")
        path.write_text(CONFIG.format(port=port))
        words = [sys.executable, "-m", "sipx", "run", "--config", str(path)]
        with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as process:
            try:
                for line in process.stderr:
                    if '"started"' in line:
                        break
                yield lambda *words: CliRunner().invoke(
                    lan, [*words, "--config", str(path)], obj=CommandLine()
                )
            finally:
                process.terminate()
                process.communicate()


def ask(sock, number, credentials=b""):
    """A MESSAGE, and its response."""
    host, port = sock.getsockname()
    sock.send(
        b"MESSAGE sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %b:%d;branch=z9hG4bK%d\r\n"
        b"Max-Forwards: 70\r\nFrom: <sip:anna@example.com>;tag=1\r\nTo: <sip:example.com>\r\n"
        b"Call-ID: %d\r\nCSeq: 1 MESSAGE\r\n%bContent-Length: 0\r\n\r\n"
        % (host.encode(), port, number, number, credentials)
    )
    return parse_datagram(sock.recv(65535))


def log_on(port, password, *, times=1):
    """The statuses of so many requests with credentials."""
    statuses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        for number in range(times):
            asked = ask(sock, 2 * number).get_all(b"Proxy-Authenticate")
            value = digest.answer(
                asked, b"berlin", password, b"MESSAGE", b"sip:example.com", b"c", 1
            )
            header = b"Proxy-Authorization: " + value + b"\r\n"
            statuses.append(ask(sock, 2 * number + 1, header).status)
    return statuses


def test_who_is_logged_on_is_shown(run, port):
    assert log_on(port, b"swordfish") == [404]
    found = json.loads(run("show", "--json").stdout)
    assert found["running"] is True
    [berlin] = found["accounts"]
    assert berlin["logged_on"][0].startswith("udp:127.0.0.1:")
    assert "udp:127.0.0.1:" in run("show").stdout
    assert "swordfish" not in run("show", "berlin").stdout


def test_bans_are_listed_and_ended(run, port):
    assert "nobody is banned" in run("bans").stdout
    assert log_on(port, b"wrong", times=3) == [407, 407, 403]
    [ban] = json.loads(run("bans", "--json").stdout)["bans"]
    assert (ban["source"], ban["failures"]) == ("127.0.0.1", 3)
    assert ban["until"] - ban["since"] == pytest.approx(600)
    assert "127.0.0.1" in run("bans").stdout
    assert run("unban", "192.0.2.1").exit_code == 1
    done = run("unban", "127.0.0.1")
    assert done.stdout == "not banned any more: 127.0.0.1\n"
    assert "there was no ban" in run("unban", "--all").stdout
    assert log_on(port, b"swordfish") == [404]


def test_a_change_counts_at_once(run, port):
    assert log_on(port, b"swordfish") == [404]
    done = run("disable", "berlin")
    assert done.exit_code == 0, done.output
    assert "the running sipx uses it" in done.stdout
    assert log_on(port, b"swordfish") == [407]
