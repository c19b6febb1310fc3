"""The programs of others: found, started and ended; and free ports for them."""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import time
from typing import TYPE_CHECKING, ClassVar

import psutil
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

IN_CI = os.environ.get("CI", "") not in ("", "0", "false")


def program(name: str) -> str:
    """The path of a program. Without it the test is skipped, or fails where ``CI`` is set."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if path is None and IN_CI:
        pytest.fail(f"{name} is not installed, and CI must not skip")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _taken(address: str, port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False


def free_port(address: str, among: range | None = None) -> int:
    """A port that is free for UDP and TCP on an address."""
    for port in among or ():
        if not any(_taken(address, port, k) for k in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            return port
    # Below those that connections get of themselves: none of them comes in between.
    while True:
        port = random.randrange(20_000, 32_000)
        if not any(_taken(address, port, k) for k in (socket.SOCK_DGRAM, socket.SOCK_STREAM)):
            return port


def wait_until(true: Callable[[], bool], what: str, seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.02)


def wait_bound(address: str, port: int, protocol: str, process: Process) -> None:
    """Wait until somebody, presumably ``process``, has the port."""

    def bound() -> bool:
        # Looked up, not tried: who tries to bind has the port just when the program wants it.
        ours = psutil.net_connections(f"{protocol}4")
        return any(c.laddr == (address, port) and not c.raddr for c in ours)

    wait_until(lambda: bound() or not process.alive, f"{process.name} on port {port}")
    assert process.alive, process.tail()


class Process:
    """A program that runs, with all it says in one file."""

    started: ClassVar[list[Process]] = []
    """All of this test run, so that even a test that fails half-way leaves none behind."""

    def __init__(
        self,
        name: str,
        argv: list[str],
        folder: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        self.pid = self._process.pid
        self.started.append(self)

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        return f"{self.name}: " + self.log.read_text(errors="replace")[-3000:]

    def wait(self, seconds: float) -> int:
        """The exit status; a program that takes longer is a failure."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            pytest.fail(f"{self.name} did not end within {seconds} s\n{self.tail()}")

    def end(self) -> None:
        """End it, politely first."""
        if self.alive:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
