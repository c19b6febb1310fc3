"""`sipx run` as an operator has it: a control socket, a file that changes, traffic all the time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sipx.control.client import Client

from .programs import free_port, wait_bound, wait_until
from .proxy import RunningProxy, route
from .sipp import CLIENT, SERVER, Figures, scenario, start

if TYPE_CHECKING:
    from pathlib import Path

RATE = 500
"""Messages a second."""


class Operation:
    """A proxy, and sipp on both sides that sends messages through it until it is told to stop."""

    def __init__(
        self,
        folder: Path,
        *,
        tables: str = "",
        plugins: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        level: str = "warning",
    ) -> None:
        self.folder = folder
        self.client_port, self.server_port = free_port(CLIENT), free_port(SERVER)
        # The proxy is found again at the same place after a stop.
        self.udp_port = free_port("127.0.0.1")
        ends = route(CLIENT, CLIENT, self.client_port) + route(SERVER, SERVER, self.server_port)
        self.proxy = RunningProxy(
            folder,
            domain=CLIENT,
            tables=ends + tables,
            udp_port=self.udp_port,
            plugins=("udp", "tcp", "static-routes", *plugins),
            environment=environment,
            level=level,
        )
        self.file = folder / "sipx.toml"
        self.text = self.file.read_text()

    def send(self, uac: str = "message_uac") -> None:
        """Begin to send, 500 messages a second, for as long as the test takes."""
        self.uas = start(
            "uas",
            self.folder,
            [*scenario("reply_uas"), self.proxy.place("udp")],
            address=SERVER,
            port=self.server_port,
            protocol="udp",
        )
        wait_bound(SERVER, self.server_port, "udp", self.uas)
        load = ["-r", str(RATE), "-timeout", "300s"]
        self.uac = start(
            "uac",
            self.folder,
            [
                *scenario(uac),
                *("-rsa", self.proxy.place("udp"), f"{SERVER}:{self.server_port}"),
                *load,
            ],
            address=CLIENT,
            port=self.client_port,
            protocol="udp",
        )

    @property
    def sending(self) -> bool:
        """Whether there are more messages."""
        return self.uac.alive

    def sent(self) -> Figures:
        """Stop sending; the figures of the sender, when all of its messages are answered."""
        assert self.sending, self.uac.tail()
        os.kill(self.uac.pid, signal.SIGUSR1)  # sipp begins no further call, and ends with the last
        self.uac.wait(60)
        self.uas.end()
        return Figures.read(self.folder / "uac.csv")

    # ------------------------------------------------------------ what an operator does

    def client(self) -> Client:
        """The control socket."""
        return Client(self.folder / "control.sock")

    def status(self) -> dict[str, Any]:
        """``sipx status --json``, whatever it says of the health."""
        found: dict[str, Any] = json.loads(self.sipx("status", "--json", codes=(0, 1)))
        return found

    def sipx(self, *argv: str, codes: tuple[int, ...] = (0,)) -> str:
        """A command of sipx on this configuration; what it wrote to stdout."""
        done = subprocess.run(
            [sys.executable, "-m", "sipx", *argv, "--config", str(self.file)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode in codes, f"sipx {' '.join(argv)}: {done.returncode}\n{done.stderr}"
        return done.stdout

    def answered(self) -> int:
        """How many messages were answered with 200 so far."""
        with self.client() as client:
            answers = client.call_json("status")["answers"]
        return sum(a["count"] for a in answers if (a["method"], a["status"]) == ("MESSAGE", 200))

    def wait_for_traffic(self, more: int = 200) -> None:
        """Until so many further messages have passed."""
        before = self.answered()
        wait_until(lambda: self.answered() >= before + more, f"{more} further messages")

    def end(self) -> None:
        for process in (self.uac, self.uas, self.proxy):
            process.end()
