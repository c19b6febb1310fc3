"""Commands in a directory and a home of their own."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from click.testing import CliRunner, Result

from sipx.cli.root import sipx
from sipx.control.kernel import serve_control

if TYPE_CHECKING:
    import signal
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

TWO_DOMAINS = """
domains = ["example.com"]
plugins = ["udp", "tcp", "static-routes"]

[service]
state_dir = "state"

[interface.near]
bind = "127.0.0.1"
port = 0
protocol = "udp"

[interface.far]
bind = "127.0.0.1"
port = 0
protocol = "tcp"

[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = 5070

[static-routes.route."partner.example"]
trusted = true
server = "127.0.0.2"
protocol = "tcp"
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory and all XDG directories, empty."""
    for name in list(os.environ):
        if name.startswith(("SIPX_", "XDG_")):
            monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SIPX_SOCKET", str(work / "control.sock"))
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("sipx.state.state_directory", lambda configured: tmp_path / "state")
    monkeypatch.chdir(work)
    return work


class Line:
    """Runs commands in this process."""

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(sipx, list(words), prog_name="sipx")

    def json(self, *words: str) -> Any:
        """The one JSON document that a command prints."""
        return json.loads(self(*words, "--json").stdout)


@pytest.fixture
def line() -> Line:
    return Line()


@pytest.fixture
def two_domains(home: Path) -> Path:
    """A valid configuration as ./sipx.toml."""
    path = home / "sipx.toml"
    path.write_text(TWO_DOMAINS)
    return path


class Service:
    """A proxy with a control socket, and commands that are run beside it, in a thread."""

    def __init__(self, stage: Any, line: Line) -> None:
        self.stage = stage
        self.kernel = stage.kernel
        self.control = trio.CancelScope()
        """Ends the control socket."""
        self._line = line

    async def serve(self, *, task_status: trio.TaskStatus[None]) -> None:
        """Be there for commands."""
        with self.control:
            await serve_control(self.kernel, task_status=task_status)

    async def __call__(self, *words: str) -> Result:
        """What a command does."""
        return await trio.to_thread.run_sync(partial(self._line, *words))

    async def json(self, *words: str) -> Any:
        """The one JSON document that it prints."""
        return json.loads((await self(*words, "--json")).stdout)


@pytest.fixture
def service(
    scene: Any, nursery: trio.Nursery, home: Path, line: Line
) -> Callable[..., Awaitable[Service]]:
    """``await service(**tables)``: a scene that commands find by $SIPX_SOCKET."""

    async def start(**tables: Any) -> Service:
        stage = await scene(**tables)
        made = Service(stage, line)
        await nursery.start(made.serve)
        return made

    return start


# ---------------------------------------------------------------- domains that find each other


class Beside:
    """Commands in a thread, beside proxies on real sockets. ``await beside(site)``: those that
    find the proxy of a site; ``alone``: those for which nothing runs.
    """

    def __init__(self, nursery: trio.Nursery, line: Line) -> None:
        self._nursery = nursery
        self._line = line

    async def __call__(self, site: Any) -> Service:
        made = Service(site.proxy, self._line)
        await self._nursery.start(made.serve)
        return made

    async def alone(self, *words: str) -> Result:
        """What a command does."""
        return await trio.to_thread.run_sync(partial(self._line, *words))


@pytest.fixture
def beside(nursery: trio.Nursery, line: Line) -> Beside:
    return Beside(nursery, line)


@pytest.fixture
def federated(sites: Any, home: Path) -> Callable[..., None]:
    """``federated("a.example")``: ./sipx.toml with open federation, for which nothing runs."""

    def write(
        domain: str, *, port: int = 0, servers: list[str] | None = None, timeout: str = "3s"
    ) -> None:
        files = sites.certificate(f"sip.{domain}")["main"]
        asked = json.dumps([sites.dns.server] if servers is None else servers)
        (home / "sipx.toml").write_text(
            f"""
domains = ["{domain}"]
plugins = ["tls", "open-federation"]
[wan]
certificate = "main"
[certificate.main]
cert_file = "{files["cert_file"]}"
key_file = "{files["key_file"]}"
[trust]
ca = "{sites.ca_file}"
networks = ["127.0.0.0/8"]
[dns]
servers = {asked}
timeout = "{timeout}"
[open-federation]
bind = "127.0.0.1"
port = {port}
ports = []
"""
        )

    return write


# ---------------------------------------------------------------- a real process

PATIENCE = 30.0
"""Seconds after which what should have happened has failed."""


class Running:
    """A real ``sipx run``: its start summary, and the lines of its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert process.stdout is not None
        text = ""
        while not text.endswith("\n}\n"):
            line = process.stdout.readline()
            assert line, (text, self.rest())
            text += line
        self.summary = json.loads(text)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.put(line)

    def address(self, name: str) -> tuple[str, int]:
        """Where an interface listens."""
        [found] = [i for i in self.summary["interfaces"] if i["name"] == name]
        return (found["address"], found["port"])

    def send(self, number: signal.Signals) -> None:
        """A signal to the process."""
        self.process.send_signal(number)

    def logged(self, text: str) -> str:
        """The next line on stderr with this text; those before it are gone then."""
        while True:
            line = self._lines.get(timeout=PATIENCE)
            if text in line:
                return line

    def rest(self) -> str:
        """All further lines, when it has ended."""
        self._reader.join(PATIENCE)
        found = []
        while not self._lines.empty():
            found.append(self._lines.get())
        return "".join(found)

    def ended(self) -> int:
        """Its exit code, when it has ended."""
        return self.process.wait(PATIENCE)


@pytest.fixture
def running() -> Callable[..., AbstractContextManager[Running]]:
    """``with running("--config", ..., VARIABLE="value") as proxy``: started and ready.

    ``before`` is a command that becomes the one behind it.
    """

    @contextmanager
    def running_(*words: str, before: tuple[str, ...] = (), **variables: str) -> Iterator[Running]:
        process = subprocess.Popen(
            [*before, sys.executable, "-m", "sipx", "run", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables},
        )
        try:
            yield Running(process)
        finally:
            process.kill()
            process.communicate()

    return running_


SYSTEMCTL = """#!/bin/sh
here=$(dirname "$0")
echo "$(basename "$0") $*" >> "$here/said"
case "$*" in
*--version*) echo "systemd 252 (252)" ;;
*show*) cat "$here/unit" 2>/dev/null || echo LoadState=not-found ;;
*) test ! -e "$here/refuses" || { echo "Access denied" >&2; exit 4; } ;;
esac
"""


class ServiceManager:
    """A ``systemctl`` that writes down what it is told, and tells what a test has written down."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name in ("systemctl", "systemd-sysusers"):
            directory.joinpath(name).write_text(SYSTEMCTL)
            directory.joinpath(name).chmod(0o755)

    def told(self) -> list[str]:
        """What it was told since, without questions."""
        said = self._directory / "said"
        lines = said.read_text().splitlines() if said.exists() else []
        said.unlink(missing_ok=True)
        return [line for line in lines if " show " not in line and "--version" not in line]

    def has_unit(self, pid: int = 0, state: str = "active") -> None:
        """From now on there is a unit, in the user's manager as well as in the system's."""
        self._directory.joinpath("unit").write_text(
            f"LoadState=loaded\nActiveState={state}\nSubState=running\nUnitFileState=enabled\n"
            f"FragmentPath=/etc/systemd/system/sipx.service\nMainPID={pid}\nNRestarts=2\n"
            "Result=success\nStatusText=running\n"
        )

    def refuses(self) -> None:
        """From now on whoever asks has no right to."""
        self._directory.joinpath("refuses").touch()


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ServiceManager:
    """The service manager of a machine on which systemd runs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    monkeypatch.setenv("PATH", f"{directory}:{os.environ['PATH']}")
    return ServiceManager(directory)


@pytest.fixture
def no_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without systemd."""
    monkeypatch.setenv("PATH", str(tmp_path / "none"))
