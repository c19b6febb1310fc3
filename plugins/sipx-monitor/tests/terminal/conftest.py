"""Messages made up, a source that answers what a test wants, and a service with traffic."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner
from sipx_monitor.terminal.monitor import monitor
from sipx_monitor.terminal.trace import trace
from sipx_monitor.traffic.models import MessageSummary

from sipx import CommandLine

HERE = "127.0.0.1"
NOON = 1_800_000_000.0

CONFIG = """
domains = ["example.com"]
plugins = ["udp", "static-routes", "monitor"]

[interface.near]
bind = "127.0.0.1"
port = {port}
protocol = "udp"

[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = {home}
protocol = "udp"

[static-routes.route."partner.example"]
trusted = true
server = "127.0.0.1"
port = {partner}
protocol = "udp"

[monitor]
port = 0
record = "always"

[service]
state_dir = "state"
control_socket = "control.sock"
"""


def summary(seq=1, **more):
    """A message of a call from alice to bob."""
    facts = {
        "seq": seq, "time": NOON + seq, "direction": "in", "interface": "lan", "transport": "udp",
        "local": "10.0.0.1:5060", "remote": "10.0.0.2:5060", "source": "10.0.0.2:5060",
        "target": "10.0.0.1:5060", "peer": "", "method": "INVITE", "status": 0, "reason": "",
        "uri": "sip:bob@partner.example", "from_uri": "sip:alice@example.com",
        "to_uri": "sip:bob@partner.example", "from_tag": "a", "to_tag": "", "call_id": "c1",
        "cseq": "1 INVITE", "branch": "z9hG4bK1", "size": 500, "sdp": False, "body_type": "",
        "body": "none", "retransmission": False, "malformed": False, "rtt": None, "leg": 0,
        "dialog": "d1", "transaction": "t1", "twin": None, "marked": "", "note": "",
        "trusted": None, "tls": False, "domain": "partner.example",
    }  # fmt: skip
    return MessageSummary.model_validate(facts | more)


class Answers:
    """A source: ``say`` what a method answers, ``tell`` what a stream says next."""

    def __init__(self):
        self.answers = {}
        self.asked = []
        self.number = "1"
        self._send, self._events = trio.open_memory_channel(100)

    def say(self, name, answer):
        self.answers[name] = answer

    def tell(self, event):
        self._send.send_nowait(event)

    def end(self):
        self._send.close()

    async def call(self, name, params, result):
        await trio.lowlevel.checkpoint()
        self.asked.append((name, params))
        answer = self.answers[name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def process(self):
        await trio.lowlevel.checkpoint()
        return self.number

    async def follow(self, name, params, event):
        self.asked.append((name, params))
        async for one in self._events:
            if isinstance(one, Exception):
                raise one
            yield one


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """No variables that change what commands do; UTC."""
    for name in ("SIPX_SOCKET", "SIPX_CONFIG", "SIPX_TOKEN", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


# ---------------------------------------------------------------- a service


class Service:
    """``sipx run``, two servers beside it, and commands that find it."""

    def __init__(self, folder, port, home, partner):
        self.folder = folder
        self.socket = folder / "control.sock"
        self.port = port
        self.home = home
        self.partner = partner
        self._number = 0
        self._process = None

    def start(self):
        """Run, until it listens."""
        words = [sys.executable, "-m", "sipx", "run", "--config", str(self.folder / "sipx.toml")]
        self._process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        for line in self._process.stderr:
            if '"started"' in line:
                return
        raise AssertionError("it has ended at once")

    def end(self, how=signal.SIGTERM):
        """End it, in order or not."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.communicate()
            self._process = None

    def __call__(self, *words):
        """What `sipx monitor` or `sipx trace` does here."""
        command = {"monitor": monitor, "trace": trace}[words[0]]
        asked = [*words[1:]]
        if "record" in asked or words[0] == "monitor":
            asked += ["--socket", str(self.socket)]
        return CliRunner().invoke(command, asked, obj=CommandLine())

    def json(self, *words):
        """The JSON documents that it prints."""
        return [json.loads(line) for line in self(*words).stdout.splitlines()]

    def sipx(self, *words):
        """What another command prints."""
        command = [sys.executable, "-m", "sipx", *words, "--socket", str(self.socket)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def message(self, to="bob@partner.example", text="hello"):
        """Send a MESSAGE and wait for its answer; its Call-ID."""
        self._number += 1
        call_id = f"call-{self._number}-{os.getpid()}"
        lines = (
            f"MESSAGE sip:{to} SIP/2.0",
            f"Via: SIP/2.0/UDP {HERE}:{self.home.getsockname()[1]};branch=z9hG4bK{call_id}",
            "Max-Forwards: 70",
            f"From: <sip:alice@example.com>;tag={self._number}",
            f"To: <sip:{to}>",
            f"Call-ID: {call_id}",
            "CSeq: 1 MESSAGE",
            "Content-Type: text/plain",
            f"Content-Length: {len(text)}",
        )
        self.home.sendto("\r\n".join((*lines, "", text)).encode(), (HERE, self.port))
        self.home.recv(65536)
        return call_id


def answer_all(sock):
    """The partner: each request gets 200, until the socket is closed."""
    while True:
        try:
            data, source = sock.recvfrom(65536)
        except OSError:
            return
        if not data:
            return
        names = (b"Via:", b"From:", b"To:", b"Call-ID:", b"CSeq:")
        lines = [line for line in data.split(b"\r\n\r\n")[0].split(b"\r\n") if line[:4] != b"Max-"]
        kept = [line for line in lines if line.startswith(names)]
        kept = [line + b";tag=p" if line.startswith(b"To:") else line for line in kept]
        answer = b"\r\n".join((b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""))
        sock.sendto(answer, source)


def bound():
    sock = socket.socket(type=socket.SOCK_DGRAM)
    sock.bind((HERE, 0))
    sock.settimeout(20)
    return sock


@contextmanager
def placed():
    """A service that is not started yet; its directory has a short name: so have sockets."""
    with (
        tempfile.TemporaryDirectory(prefix="sipx-") as folder,
        bound() as home,
        bound() as partner,
        bound() as free,
    ):
        partner.settimeout(None)
        port = free.getsockname()[1]
        free.close()
        places = {"home": home.getsockname()[1], "partner": partner.getsockname()[1]}
        Path(folder, "sipx.toml").write_text(CONFIG.format(port=port, **places))
        thread = threading.Thread(target=answer_all, args=(partner,))
        thread.start()
        made = Service(Path(folder), port, home, partner)
        try:
            yield made
        finally:
            made.end()
            partner.sendto(b"", partner.getsockname())
            thread.join()


@pytest.fixture(scope="package")
def service():
    """A running sipx that records."""
    with placed() as made:
        made.start()
        yield made


@pytest.fixture
def own_service():
    """Another one, that may be ended and started again."""
    with placed() as made:
        made.start()
        yield made
