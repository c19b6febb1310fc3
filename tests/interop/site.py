"""A site: `sipx run` with interfaces for UC servers, accounts, a registrar and one partner."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from sipx.control.client import Client
from sipx.testing import Authority

from .programs import free_port, wait_until
from .proxy import ADDRESS, RunningProxy, route

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DOMAIN = "home.example"
PARTNER = "away.example"
PARTNER_ADDRESS = "127.0.0.5"
PLUGINS = ("udp", "tcp", "tls", "static-routes", "lan", "registrar")
_LAN = """
[interface.lan-udp]
bind = "127.0.0.1"
port = {udp}
protocol = "udp"
role = "lan"

[interface.lan-tcp]
bind = "127.0.0.1"
port = {tcp}
protocol = "tcp"
role = "lan"

[interface.lan-tls]
bind = "127.0.0.1"
port = {tls}
protocol = "tls"
role = "lan"
certificate = "own"

[certificate.own]
cert_file = "{certificate}"
key_file = "{key}"

[trust]
ca = "{ca}"
"""


class Site:
    """sipx for ``home.example``; its partner ``away.example`` is at 127.0.0.5.

    ``tables`` are those of lan and registrar. ``partner`` is the partner's port and protocol.
    """

    def __init__(
        self,
        folder: Path,
        tables: str,
        *,
        partner: tuple[int, str] = (5060, "udp"),
        level: str = "info",
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.authority = Authority("Home CA")
        self.ca = folder / "home-ca.crt"
        self.authority.write(folder, "home-ca")
        identity = self.authority.leaf(dns=[f"sip.{DOMAIN}"], ips=[ADDRESS])
        certificate, key = identity.write(folder, "own")
        self.lan = {protocol: (ADDRESS, free_port(ADDRESS)) for protocol in ("udp", "tcp", "tls")}
        ports = {protocol: place[1] for protocol, place in self.lan.items()}
        lan = _LAN.format(**ports, certificate=certificate, key=key, ca=self.ca)
        self.proxy = RunningProxy(
            folder,
            domain=DOMAIN,
            tables=lan + route(PARTNER, PARTNER_ADDRESS, *partner) + tables,
            plugins=PLUGINS,
            level=level,
        )
        self.file = folder / "sipx.toml"

    def wan(self, protocol: str) -> tuple[str, int]:
        """Where the partner sends to."""
        with self.client() as client:
            rows = client.call_json("status")["interfaces"]
        return ADDRESS, next(row["port"] for row in rows if row["name"] == protocol)

    # ------------------------------------------------------------ what an operator sees

    def client(self) -> Client:
        """The control socket."""
        return Client(self.folder / "control.sock")

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

    def servers(self) -> dict[str, dict[str, Any]]:
        """``sipx servers --json`` by name."""
        found = json.loads(self.sipx("servers", "--json"))
        rows = found["servers"] if isinstance(found, dict) else found
        return {row["name"]: row for row in rows}

    def registrations(self) -> list[dict[str, Any]]:
        """All registrations of users, in no order; those of servers themselves left out."""
        found: list[dict[str, Any]] = []
        with self.client() as client:
            while True:
                asked = {"limit": 1000, "offset": len(found)}
                piece = client.call_json("registrar.registrations", asked)["registrations"]
                found += piece
                if len(piece) < 1000:
                    return [row for row in found if row["user"]]

    def log(self) -> str:
        """All it has written since it was started last."""
        return self.proxy.process.log.read_text(errors="replace")

    def wait_logged(self, *words: str, seconds: float = 30) -> str:
        """The first line of the log with all of these words, waited for."""

        def line() -> str:
            lines = self.log().splitlines()
            return next((one for one in lines if all(word in one for word in words)), "")

        wait_until(lambda: bool(line()), f"a line with {words} in the log of sipx", seconds)
        return line()

    def wait_for(self, true: Callable[[], bool], what: str, seconds: float = 30) -> None:
        """Until something is so; what sipx has said is in the message if it never is."""
        try:
            wait_until(true, what, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.proxy.said}") from None

    def end(self) -> None:
        """End it."""
        self.proxy.end()
