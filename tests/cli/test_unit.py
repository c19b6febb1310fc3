"""The systemd unit: what systemd says to it, and that the proxy can live with it."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from sipx.cli.unit import MARK, Service, below, unit_text, weaknesses

ROOT = Path(__file__).parents[2]
ANALYZE = shutil.which("systemd-analyze")
PATIENCE = 30.0
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


def service(**changes) -> Service:
    given = {"command": (sys.executable, "run", "--config", "/etc/sipx/sipx.toml"), "systemd": 252}
    return Service(**{**given, **changes})


def settings(text: str) -> dict[str, str]:
    """The keys of a unit; of one that is there several times the last."""
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"\w+=", line))


def test_a_reload_is_waited_for_where_systemd_can_do_that():
    old, new = settings(unit_text(service())), settings(unit_text(service(systemd=253)))
    assert (old["Type"], old["ExecReload"]) == ("notify", "/bin/kill -HUP $MAINPID")
    assert new["Type"] == "notify-reload"
    assert "ExecReload" not in new


def test_the_drain_has_time_before_systemd_kills():
    assert settings(unit_text(service(stop_timeout=15.5)))["TimeoutStopSec"] == "26"


@pytest.mark.parametrize(("low", "right"), [(False, ""), (True, "CAP_NET_BIND_SERVICE")])
def test_only_a_low_port_needs_a_right(low, right):
    found = settings(unit_text(service(low_port=low)))
    assert (found["CapabilityBoundingSet"], found["AmbientCapabilities"]) == (right, right)


def test_words_of_the_command_are_what_they_were():
    text = unit_text(service(command=("/opt/my sipx/sipx", "run", "--config", "/etc/a%b$c.toml")))
    assert 'ExecStart="/opt/my sipx/sipx" run --config /etc/a%%b$$c.toml\n' in text


def test_what_the_proxy_needs_is_not_hidden_from_it():
    hidden = settings(unit_text(service()))
    assert (hidden["ProtectHome"], hidden["PrivateTmp"]) == ("yes", "yes")
    seen = service(read=(Path("/home/ada/bin/sipx"),), writable=(Path("/tmp/sipx"),))
    found = settings(unit_text(seen))
    assert (found["ProtectHome"], found["PrivateTmp"]) == ("read-only", "no")
    assert found["ReadWritePaths"] == "/tmp/sipx"
    assert [words.partition(" from")[0] for words in weaknesses(seen)] == [
        "the unit would rather hide /home",
        "the unit would rather hide /tmp",
    ]
    assert weaknesses(service()) == []


def test_a_path_is_below_a_directory_and_not_beside_it():
    home = Path("/home")
    assert below((Path("/homes/a"), Path("/home/a")), (home,)) == [(Path("/home/a"), home)]


def test_the_group_of_the_control_socket_is_one_of_the_account():
    assert settings(unit_text(service(group="ops")))["SupplementaryGroups"] == "ops"
    assert "SupplementaryGroups" not in settings(unit_text(service()))


def test_a_unit_of_a_user_has_no_account_and_asks_for_nothing_that_needs_root():
    found = settings(unit_text(service(user=True)))
    assert not found.keys() & {"User", "CapabilityBoundingSet", "ProtectSystem", "StateDirectory"}
    assert found["NoNewPrivileges"] == "yes"
    assert found["WantedBy"] == "default.target"


# ---------------------------------------------------------------- systemd


def systemd_version() -> int:
    return int(subprocess.check_output([ANALYZE, "--version"], text=True).split()[1])


@needs_systemd
@pytest.mark.parametrize("low", [False, True])
def test_systemd_finds_nothing_wrong(tmp_path, low):
    unit = tmp_path / "sipx.service"
    unit.write_text(unit_text(service(low_port=low, systemd=systemd_version())))
    assert unit.read_text().startswith(MARK)
    done = subprocess.run([ANALYZE, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
def test_the_exposure_is_the_one_that_the_documentation_states(tmp_path):
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"exposure (\d\.\d) \(.*?(without|with) ports below 1024", page))
    assert sorted(stated.values()) == ["with", "without"]
    for score, word in stated.items():
        unit = tmp_path / "sipx.service"
        unit.write_text(unit_text(service(low_port=word == "with")))
        rated = subprocess.run(
            [ANALYZE, "security", "--offline=true", "--no-pager", unit],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
        found = re.search(r"Overall exposure level for sipx.service: ([\d.]+) OK", rated)
        assert found is not None, rated
        if systemd_version() == 252:
            assert found[1] == score
        else:
            assert float(found[1]) < 2


FILTER = """
import ctypes, errno, os, sys
seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
seccomp.seccomp_init.restype = ctypes.c_void_p
seccomp.seccomp_init.argtypes = [ctypes.c_uint32]
seccomp.seccomp_rule_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint]
seccomp.seccomp_load.argtypes = [ctypes.c_void_p]
filter = seccomp.seccomp_init(0x00050000 | errno.EPERM)
count = 0
for name in sys.argv[1].split():
    number = seccomp.seccomp_syscall_resolve_name(name.encode())
    if number >= 0:
        count += seccomp.seccomp_rule_add(filter, 0x7FFF0000, number, 0) == 0
assert count > 150, count
assert ctypes.CDLL(None).prctl(38, 1, 0, 0, 0) == 0
assert seccomp.seccomp_load(filter) == 0
try:
    os.chroot("/")
except PermissionError:
    pass
else:
    sys.exit("the filter does not filter")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Lets only these system calls through, as systemd would, and becomes another program."""


def calls_of(name: str, sets: dict[str, list[str]]) -> set[str]:
    """The system calls that one word of SystemCallFilter= stands for."""
    if not name.startswith("@"):
        return {name}
    return set().union(*(calls_of(inner, sets) for inner in sets[name]))


def allowed_calls() -> set[str]:
    shown = subprocess.check_output([ANALYZE, "syscall-filter", "--no-pager"], text=True)
    sets: dict[str, list[str]] = {}
    for line in shown.splitlines():
        if line.startswith("@"):
            sets[line.strip()] = now = []
        elif line.strip() and not line.strip().startswith("#"):
            now.append(line.strip())
    # Those that every filter lets through (systemd.exec(5)).
    allowed = calls_of("@default", sets)
    for words in re.findall(r"^SystemCallFilter=(.+)$", unit_text(service()), re.M):
        for word in words.removeprefix("~").split():
            calls = calls_of(word, sets)
            allowed = allowed - calls if words.startswith("~") else allowed | calls
    return allowed


TLS = """
domains = ["example.com"]
plugins = ["tls", "udp"]
[certificate.main]
cert_file = "tls/sip.example.com.crt"
key_file = "tls/sip.example.com.key"
[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "tls"
certificate = "main"
"""


@needs_systemd
def test_the_proxy_lives_with_the_system_calls_it_is_left(home, line, running):
    made = line("cert", "self-signed", "sip.example.com", "--out-dir", "tls")
    assert made.exit_code == 0, made.stderr
    file = home / "sipx.toml"
    file.write_text(TLS)
    wrapped = (sys.executable, "-c", FILTER, " ".join(sorted(allowed_calls())))
    with running(before=wrapped) as proxy:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(proxy.address("near"), PATIENCE) as connection,
            context.wrap_socket(connection) as encrypted,
        ):
            assert encrypted.version() == "TLSv1.3"
            encrypted.sendall(b"\r\n\r\n")
            assert encrypted.recv(10) == b"\r\n"
        file.write_text(TLS.replace('protocol = "tls"', 'protocol = "udp"'))
        proxy.send(signal.SIGHUP)
        proxy.logged("reloaded")
        assert line("service", "restart").exit_code == 0
        proxy.send(signal.SIGTERM)
        assert proxy.ended() == 0
        assert "not permitted" not in proxy.rest()
