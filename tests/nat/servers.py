"""STUN servers on the outside of a lab: our own for tests, Debian's stund, and coturn."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.interop.programs import program

from .lab import OUTSIDE, OUTSIDE_2

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop.programs import Process

    from .lab import Lab

PORT, SECOND_PORT = 3478, 3479


def start_own(
    lab: Lab, folder: Path, first: str = OUTSIDE, second: str | None = OUTSIDE_2
) -> Process:
    """The server of ``sipx_stun.testing``."""
    places = [first, *([second] if second else []), str(PORT), str(SECOND_PORT)]
    return _started(lab, [sys.executable, "-m", "sipx_stun.testing", *places], folder)


def start_stund(
    lab: Lab, folder: Path, first: str = OUTSIDE, second: str | None = OUTSIDE_2
) -> Process:
    """Vovida's server, which knows RFC 3489 only, and always has a second address."""
    places = ["-h", first, "-a", second or "", "-p", str(PORT), "-o", str(SECOND_PORT)]
    return _started(lab, [program("stund"), *places], folder)


def start_coturn(
    lab: Lab, folder: Path, first: str = OUTSIDE, second: str | None = OUTSIDE_2
) -> Process:
    """coturn as a STUN server, which takes the next port as its second one."""
    turnserver = program("turnserver")
    argv = [turnserver, "--stun-only", "-n", "--no-tls", "--no-dtls", "--no-tcp", "--no-cli"]
    told = subprocess.run([turnserver, "--help"], capture_output=True, text=True, check=False)
    if " --rfc5780" in told.stdout + told.stderr:
        argv.append("--rfc5780")  # since 4.7 it has to be asked for
    argv += ["--pidfile", str(folder / "coturn.pid"), "--db", str(folder / "coturn.db")]
    argv += ["--log-file", "stdout", "--listening-port", str(PORT)]
    for address in (first, second):
        argv += ["--listening-ip", address] if address else []
    return _started(lab, argv, folder)


SERVERS = {"sipx": start_own, "stund": start_stund, "coturn": start_coturn}


def _started(lab: Lab, argv: list[str], folder: Path) -> Process:
    folder.mkdir(parents=True, exist_ok=True)
    return lab.outside.start(argv, log=folder / "server.log")


def wait_ready(lab: Lab, server: Process) -> None:
    """Until it listens. Its second port may come later; who asks there asks more than once."""
    lab.outside.wait_bound(PORT, "udp", server)
