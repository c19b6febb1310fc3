from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sipx.cli.exits import ExitCode
from sipx.cli.summary import nothing_listens
from sipx.interfaces import Interface

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE = 30.0
"""Seconds after which a process that should have ended has failed."""


def _command(*words: str) -> list[str]:
    return [sys.executable, "-m", "sipx", *words]


def _done(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _command(*words), capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@contextmanager
def _running(*words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A proxy that has started, and its start summary."""
    process = subprocess.Popen(
        _command("run", "--json", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()
            text += line
        yield process, json.loads(text)
    finally:
        process.kill()
        process.communicate()


def _ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    stderr = process.communicate(timeout=PATIENCE)[1]
    return process.returncode, stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_run_cleanly(two_domains, number):
    with _running() as (process, summary):
        assert summary["domains"] == ["example.com"]
        assert summary["plugins"] == ["udp", "tcp", "static-routes"]
        assert [i["status"] for i in summary["interfaces"]] == ["listening", "listening"]
        assert all(i["port"] > 0 for i in summary["interfaces"])
        process.send_signal(number)
        code, stderr = _ended(process)
    assert code == 0
    assert f"using {two_domains}" in stderr


def test_a_running_proxy_answers_options(two_domains):
    with _running() as (process, summary):
        [near, _] = summary["interfaces"]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
            peer.settimeout(PATIENCE)
            peer.connect((near["address"], near["port"]))
            host, port = peer.getsockname()
            uri = f"sip:{near['address']}:{near['port']}"
            peer.send(
                f"OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bKa\r\n"
                f"From: <sip:a@example.com>;tag=1\r\nTo: <{uri}>\r\nCall-ID: a\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\nContent-Length: 0\r\n\r\n".encode()
            )
            assert peer.recv(4096).startswith(b"SIP/2.0 200 ")
        process.send_signal(signal.SIGTERM)
        assert _ended(process)[0] == 0


def test_a_second_signal_ends_at_once(two_domains):
    """A request that gets no answer keeps the drain waiting."""
    text = two_domains.read_text()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(PATIENCE)
        two_domains.write_text(text.replace("5070", str(server.getsockname()[1])))
        with (
            _running() as (process, summary),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer,
        ):
            near = summary["interfaces"][0]
            peer.bind(("127.0.0.1", 0))
            host, port = peer.getsockname()
            peer.sendto(
                f"MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};"
                "branch=z9hG4bKb\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n"
                "Call-ID: b\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\n"
                "Content-Length: 0\r\n\r\n".encode(),
                (near["address"], near["port"]),
            )
            assert server.recv(4096).startswith(b"MESSAGE ")
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            while "stopping" not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            assert _ended(process)[0] == 130


def test_addresses_in_use_are_exit_code_6_with_the_reasons(two_domains):
    with _running() as (_, summary):
        text = two_domains.read_text()
        for interface in summary["interfaces"]:
            text = text.replace("port = 0", f"port = {interface['port']}", 1)
        two_domains.write_text(text)
        second = _done("run")
        assert second.returncode == 6
        assert second.stdout == ""
        for name in ("near", "far"):
            assert f"sipx: interface {name}: cannot listen on 127.0.0.1" in second.stderr
        assert "Address already in use" in second.stderr
        checked = _done("check", "ports", "--json")
        assert checked.returncode == 0, checked.stdout


def test_one_interface_that_cannot_listen_does_not_stop_the_others(two_domains):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        head, table, rest = two_domains.read_text().partition("[interface.far]")
        port = taken.getsockname()[1]
        two_domains.write_text(head + table + rest.replace("port = 0", f"port = {port}", 1))
        with _running() as (process, summary):
            near, far = summary["interfaces"]
            assert near["status"] == "listening"
            assert (far["status"], far["reason"]) == ("failed", os.strerror(errno.EADDRINUSE))
            process.send_signal(signal.SIGTERM)
            assert _ended(process)[0] == 0


def test_an_invalid_configuration_is_exit_code_3_with_all_problems(two_domains):
    text = two_domains.read_text().replace('"udp"\n', '"upd"\n').replace("5070", "99999")
    two_domains.write_text(text)
    done = _done("run")
    assert done.returncode == 3
    assert "sipx.toml:11:12: interface.near.protocol" in done.stderr
    assert 'static-routes.route."example.com".port' in done.stderr
    assert done.stdout == ""


def test_no_configuration_is_exit_code_3(home):
    done = _done("run", "--config", "none.toml")
    assert done.returncode == 3
    assert "none.toml: cannot be read" in done.stderr


def test_no_interface_is_exit_code_6(line, home):
    (home / "sipx.toml").write_text('domains = ["example.com"]\n')
    result = line("run")
    assert result.exit_code == 6
    assert "no interface is switched on" in result.stderr


def test_a_plugin_that_cannot_be_made_is_exit_code_3(line, home, install):
    source = (
        "from sipx import Config, hookimpl\n"
        "class Lab:\n"
        "    Config = Config\n"
        "    def __init__(self, config, proxy): raise ValueError('no lamp')\n"
        "    @hookimpl\n"
        "    def services(self): return ()\n"
    )
    install("sipx-lab", {"lab": "sipx_lab:Lab"}, sipx_lab=source)
    (home / "sipx.toml").write_text('domains = ["example.com"]\nplugins = ["lab"]\n')
    result = line("run")
    assert result.exit_code == 3
    assert "plugin 'lab': cannot be made: ValueError: no lamp" in result.stderr


def test_a_missing_right_for_all_ports_is_exit_code_5():
    transport = SimpleNamespace(name="udp")
    interface = Interface("low", "127.0.0.1", 99, transport)  # type: ignore[arg-type]
    interface.failed(os.strerror(errno.EACCES))
    interfaces = SimpleNamespace(all=[interface], listening=list)
    failure = nothing_listens(SimpleNamespace(interfaces=interfaces))  # type: ignore[arg-type]
    assert failure is not None
    assert failure.exit_code == ExitCode.NOT_PERMITTED
    assert "CAP_NET_BIND_SERVICE" in failure.message


TLS = """
domains = ["example.com"]
plugins = ["udp", "tls"]
[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "tls"
certificate = "main"
[certificate.main]
cert_file = "none.crt"
key_file = "none.key"
"""


def test_an_interface_without_its_certificate_leads_to_check_certs(line, home):
    (home / "sipx.toml").write_text(TLS)
    done = line("run")
    assert done.exit_code == 6
    assert "none.crt cannot be read" in done.stderr
    assert "`sipx check certs` tells what is wrong with the certificates" in done.stderr
    assert "sipx check ports" not in done.stderr


def test_certificates_and_addresses_are_told_apart(line, home):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        near = f'[interface.near]\nbind = "127.0.0.1"\nport = {taken.getsockname()[1]}\n'
        (home / "sipx.toml").write_text(f'{TLS}{near}protocol = "udp"\n')
        done = line("run")
    assert done.exit_code == 6
    assert "`sipx check certs`" in done.stderr
    assert "`sipx check ports`" in done.stderr
