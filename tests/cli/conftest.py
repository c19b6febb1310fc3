"""Commands in a directory and a home of their own."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import trio
from click.testing import CliRunner, Result

from sipx.cli.root import sipx
from sipx.control.kernel import serve_control

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
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
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
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
    scene: Any, nursery: trio.Nursery, home: Path, line: Line, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Awaitable[Service]]:
    """``await service(**tables)``: a scene that commands find by $SIPX_SOCKET."""

    async def start(**tables: Any) -> Service:
        stage = await scene(**tables)
        monkeypatch.setenv("SIPX_SOCKET", str(home / "control.sock"))
        made = Service(stage, line)
        await nursery.start(made.serve)
        return made

    return start
