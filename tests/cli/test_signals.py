"""What a real process does on TERM, INT, HUP and USR1, and what its service manager hears."""

from __future__ import annotations

import itertools
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest

PATIENCE = 30.0


@contextmanager
def datagrams(address=("127.0.0.1", 0)):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
        end.bind(address)
        end.settimeout(PATIENCE)
        yield end


def message(peer, call: str) -> bytes:
    host, port = peer.getsockname()
    return (
        f"MESSAGE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{call}"
        "\r\nFrom: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\n"
        f"Call-ID: {call}\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answer(request: bytes) -> bytes:
    lines = request.decode().split("\r\n")
    kept = [line for line in lines if line.startswith(("Via", "From", "To", "Call-ID", "CSeq"))]
    return "\r\n".join(["SIP/2.0 200 OK", *kept, "Content-Length: 0", "", ""]).encode()


def routed_to(server, file) -> None:
    """The route of example.com leads to this socket."""
    head, table, rest = file.read_text().partition('[static-routes.route."example.com"]')
    lines = [
        f"port = {server.getsockname()[1]}" if line.startswith("port") else line
        for line in rest.split("\n\n")[0].splitlines()
    ]
    after = rest.partition("\n\n")[2]
    file.write_text(head + table + "\n".join(lines) + "\n\n" + after)


def passes(proxy, server, call: str) -> None:
    """A message goes through the proxy to this server, and its answer comes back."""
    with datagrams() as peer:
        peer.sendto(message(peer, call), proxy.address("near"))
        request, sender = server.recvfrom(4096)
        assert request.startswith(b"MESSAGE ")
        server.sendto(answer(request), sender)
        assert peer.recv(4096).startswith(b"SIP/2.0 200 ")


def refused(proxy) -> bool:
    """Whether there comes a time when new requests are refused."""
    until = time.monotonic() + PATIENCE
    with datagrams() as peer:
        peer.settimeout(0.1)
        for number in itertools.count():
            peer.sendto(message(peer, f"new{number}"), proxy.address("near"))
            with suppress(TimeoutError):
                if peer.recv(4096).startswith(b"SIP/2.0 503 "):
                    return True
            if time.monotonic() > until:
                break
    return False


# ---------------------------------------------------------------- the end


def test_term_lets_what_is_under_way_finish(two_domains, running):
    with datagrams() as server, datagrams() as peer:
        routed_to(server, two_domains)
        with running() as proxy:
            peer.sendto(message(peer, "first"), proxy.address("near"))
            request, sender = server.recvfrom(4096)
            proxy.send(signal.SIGTERM)
            assert refused(proxy)
            server.sendto(answer(request), sender)
            server.setblocking(False)
            with suppress(BlockingIOError):
                while True:  # those that came before the end had begun
                    request, sender = server.recvfrom(4096)
                    server.sendto(answer(request), sender)
            while (said := peer.recv(4096)).startswith(b"SIP/2.0 100 "):
                pass
            assert said.startswith(b"SIP/2.0 200 ")
            assert proxy.ended() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_ends_at_once(two_domains, running, number, code):
    with datagrams() as server, datagrams() as peer:
        routed_to(server, two_domains)
        with running() as proxy:
            peer.sendto(message(peer, "first"), proxy.address("near"))
            assert server.recv(4096).startswith(b"MESSAGE ")
            proxy.send(number)
            proxy.logged("stopping")
            proxy.send(number)
            assert proxy.ended() == code
            assert "sipx: ended before everything was finished" in proxy.rest()


def test_term_ends_a_process_whose_stderr_nobody_reads(two_domains, running, tmp_path):
    text = two_domains.read_text()
    two_domains.write_text(text + '\n[log]\nlevel = "trace"\n')
    os.mkfifo(tmp_path / "unread")
    unread = os.open(tmp_path / "unread", os.O_RDWR)
    before = ("sh", "-c", f'exec "$@" 2> {tmp_path}/unread', "sh")
    with os.fdopen(unread), running(before=before) as proxy:
        with datagrams() as peer:
            # Each refusal is two long lines; a pipe takes 64 KiB.
            for number in range(600):
                peer.sendto(message(peer, f"c{number}" * 20), proxy.address("near"))
                assert peer.recv(4096).startswith(b"SIP/2.0 ")
        proxy.send(signal.SIGTERM)
        assert proxy.process.wait(PATIENCE) == 0


def test_the_control_socket_is_there_as_long_as_the_process(two_domains, running, home):
    control = home / "control.sock"
    with running() as proxy:
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(control))
            proxy.send(signal.SIGTERM)
            client.settimeout(PATIENCE)
            while client.recv(4096):
                pass
        assert proxy.ended() == 0
    assert not control.exists()


# ---------------------------------------------------------------- HUP


def test_hup_takes_up_the_changed_file(two_domains, running):
    with datagrams() as old, datagrams() as new:
        routed_to(old, two_domains)
        with running() as proxy:
            passes(proxy, old, "before")
            routed_to(new, two_domains)
            proxy.send(signal.SIGHUP)
            assert 'static-routes.route.\\"example.com\\".port' in proxy.logged("reloaded")
            passes(proxy, new, "after")
            proxy.send(signal.SIGTERM)
            assert proxy.ended() == 0


def test_hup_with_a_broken_file_changes_nothing(two_domains, running):
    with datagrams() as server:
        routed_to(server, two_domains)
        with running() as proxy:
            text = two_domains.read_text()
            two_domains.write_text(text.replace('protocol = "udp"', 'protocol = "upd"'))
            proxy.send(signal.SIGHUP)
            said = json.loads(proxy.logged("not reloaded"))
            assert said["level"] == "error"
            assert "sipx.toml:11:12: interface.near.protocol" in said["event"]
            passes(proxy, server, "after")
            two_domains.write_text(text)
            proxy.send(signal.SIGHUP)
            proxy.logged("reloaded")


def test_hup_takes_up_the_level_of_the_log(two_domains, running):
    with datagrams() as peer, running() as proxy:
        two_domains.write_text(two_domains.read_text() + '\n[log]\nlevel = "debug"\n')
        proxy.send(signal.SIGHUP)
        proxy.logged("reloaded")
        peer.sendto(b"nonsense\r\n\r\n", proxy.address("near"))
        assert json.loads(proxy.logged("dropped input"))["level"] == "debug"


def test_hup_because_the_terminal_has_gone_is_an_end(two_domains):
    """What was started by hand does not live on without anybody who sees it."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "sipx", "run", "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    try:
        assert process.stdout is not None
        while process.stdout.readline() != "}\n":
            assert process.poll() is None
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.communicate()


# ---------------------------------------------------------------- USR1

KEEPER = """
import logging
from sipx import Config, hookimpl

class Handler(logging.StreamHandler):
    def __init__(self):
        super().__init__(open("kept.log", "a"))

    def reopen(self):
        self.setStream(open("kept.log", "a"))

class Keeper:
    Config = Config

    def __init__(self, config, proxy):
        pass

    @hookimpl
    def log_handlers(self):
        return [Handler()]
"""


def test_usr1_opens_log_files_anew(two_domains, running, install, home):
    site = install("sipx-keeper", {"keeper": "sipx_keeper:Keeper"}, sipx_keeper=KEEPER)
    text = two_domains.read_text()
    two_domains.write_text(text.replace('"static-routes"]', '"static-routes", "keeper"]'))
    with running(PYTHONPATH=str(site)) as proxy:
        home.joinpath("kept.log").rename(home / "moved.log")
        proxy.send(signal.SIGUSR1)
        proxy.logged("log files are opened anew: 1")
        proxy.send(signal.SIGHUP)
        proxy.logged("reloaded")
        proxy.send(signal.SIGTERM)
        assert proxy.ended() == 0
    assert "listening" in home.joinpath("moved.log").read_text()
    assert "reloaded" in home.joinpath("kept.log").read_text()
    assert "reloaded" not in home.joinpath("moved.log").read_text()


# ---------------------------------------------------------------- what the service manager hears


@contextmanager
def manager(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.bind(str(path))
        end.settimeout(PATIENCE)
        yield end


def hears(manager, word: str) -> dict[str, str]:
    """The next datagram with this field, without WATCHDOG and STATUS on their own."""
    while True:
        fields = dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())
        if fields.keys() - {"WATCHDOG", "STATUS"}:
            assert word in fields, fields
            return fields


def test_the_service_manager_hears_ready_reloading_ready_stopping(two_domains, running, tmp_path):
    with (
        manager(tmp_path / "notify") as end,
        running(NOTIFY_SOCKET=str(tmp_path / "notify")) as proxy,
    ):
        assert hears(end, "READY")["STATUS"] == "running: 2 of 2 interfaces listen, 0 flows"
        for text in (two_domains.read_text(), "nonsense"):
            two_domains.write_text(text)
            proxy.send(signal.SIGHUP)
            assert int(hears(end, "RELOADING")["MONOTONIC_USEC"]) > 0
            assert hears(end, "READY")["STATUS"].startswith("running: 2 of 2")
        proxy.send(signal.SIGTERM)
        assert hears(end, "STOPPING")["EXTEND_TIMEOUT_USEC"] == "25000000"
        assert proxy.ended() == 0


def test_the_watchdog_hears_of_a_proxy_that_works_and_not_of_one_that_hangs(
    two_domains, running, tmp_path
):
    with (
        manager(tmp_path / "notify") as end,
        running(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="200000") as proxy,
    ):
        hears(end, "READY")
        for _ in range(3):
            while end.recv(4096) != b"WATCHDOG=1":
                pass
        proxy.send(signal.SIGSTOP)
        end.settimeout(0.5)
        with suppress(TimeoutError):
            while end.recv(4096):  # what it said before it stood still
                pass
        with pytest.raises(TimeoutError):
            end.recv(4096)
        proxy.send(signal.SIGABRT)
        proxy.send(signal.SIGCONT)
        assert proxy.ended() == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in proxy.rest()


def test_a_start_that_fails_is_never_ready(home, two_domains, running, tmp_path):
    two_domains.write_text('domains = ["example.com"]\n')
    with manager(tmp_path / "notify") as end:
        done = subprocess.run(
            [sys.executable, "-m", "sipx", "run"],
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")},
            capture_output=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 6
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(4096)
