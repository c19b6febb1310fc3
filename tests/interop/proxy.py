"""`sipx run` as a process of its own, with a configuration made for one test."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import psutil

from .programs import Process, wait_until

if TYPE_CHECKING:
    from pathlib import Path

ADDRESS = "127.0.0.1"
INTERFACES = """
[interface.udp]
bind = "127.0.0.1"
port = {udp_port}
protocol = "udp"

[interface.tcp]
bind = "127.0.0.1"
port = 0
protocol = "tcp"
"""
HEAD = """\
config_version = 1
domains = {domains}
plugins = {plugins}

[log]
level = "{level}"

[service]
state_dir = "{folder}/state"
control_socket = "{folder}/control.sock"
stop_timeout = "1s"
"""
ROUTE = """
[static-routes.route."{domain}"]
trusted = true
server = "{server}"
port = {port}
protocol = "{protocol}"
"""


def route(domain: str, server: str, port: int, protocol: str = "udp") -> str:
    """The table of a trusted route."""
    return ROUTE.format(domain=domain, server=server, port=port, protocol=protocol)


class RunningProxy:
    """A proxy that listens on free ports of 127.0.0.1, or on ``interfaces``."""

    def __init__(
        self,
        folder: Path,
        *,
        domain: str,
        tables: str,
        udp_port: int = 0,
        plugins: tuple[str, ...] = ("udp", "tcp", "static-routes"),
        environment: dict[str, str] | None = None,
        level: str = "warning",
        interfaces: str = INTERFACES,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "sipx.toml"
        head = HEAD.format(
            domains=[domain],
            plugins=list(plugins),
            folder=folder,
            level=level,
        )
        file.write_text(head + interfaces.format(udp_port=udp_port) + tables)
        self.file = file
        self.folder = folder
        self.environment = environment
        self.starts = 0
        self.ports: dict[str, int] = {}
        self.start()

    def start(self) -> None:
        """Start it, for the first time or again; each start has a log of its own."""
        self.starts += 1
        name = "sipx" if self.starts == 1 else f"sipx-{self.starts}"
        argv = [sys.executable, "-m", "sipx", "run", "--json", "--config", str(self.file)]
        self.process = Process(name, argv, self.folder, self.environment)
        wait_until(self._started, "the start of sipx")
        assert self.process.alive, self.process.tail()

    def kill(self) -> None:
        """kill -9: it says nothing to anybody and writes nothing down."""
        psutil.Process(self.process.pid).kill()
        self.process.wait(10)

    def _started(self) -> bool:
        """Whether the start summary, one JSON document among the lines of the log, is there."""
        text = self.process.log.read_text()
        begin, end = text.find("{\n"), text.find("\n}\n")
        if begin < 0 or end < 0:
            return not self.process.alive
        for interface in json.loads(text[begin : end + 2])["interfaces"]:
            assert interface["status"] == "listening", interface
            self.ports[interface["protocol"]] = interface["port"]
        return True

    def place(self, protocol: str) -> str:
        """The address and port of an interface, as programs want it."""
        return f"{ADDRESS}:{self.ports[protocol]}"

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(psutil.Process(self.process.pid).memory_info().rss)

    def end(self) -> None:
        self.process.end()

    @property
    def said(self) -> str:
        """What it wrote after the start summary: warnings and worse."""
        return "sipx: " + self.process.log.read_text().partition("\n}\n")[2][-3000:]
