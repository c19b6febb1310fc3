"""sipp on both sides of the proxy. Its own statistics are the judge."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .programs import Process, free_port, program, wait_bound
from .proxy import RunningProxy, route

if TYPE_CHECKING:
    from collections.abc import Sequence

SCENARIOS = Path(__file__).parent / "scenarios"
CLIENT = "127.0.0.2"
SERVER = "127.0.0.3"
RATE = 50
SECONDS = 60
"""The longest that the calls of one exchange may take."""


@dataclass(frozen=True)
class Figures:
    """The last row of sipp's statistics, cumulated."""

    created: int
    successful: int
    failed: int
    retransmitted: int
    incoming: int

    @classmethod
    def read(cls, file: Path) -> Figures:
        with file.open() as lines:
            row = list(csv.DictReader(lines, delimiter=";"))[-1]
        return cls(
            created=int(row["TotalCallCreated"]),
            successful=int(row["SuccessfulCall(C)"]),
            failed=int(row["FailedCall(C)"]),
            retransmitted=int(row["Retransmissions(C)"]),
            incoming=int(row["IncomingCall(C)"]),
        )


def scenario(name: str) -> list[str]:
    """``uac`` and ``uas`` are sipp's own; the others are files beside this one."""
    return ["-sn", name] if name in {"uac", "uas"} else ["-sf", str(SCENARIOS / f"{name}.xml")]


def start(
    name: str,
    folder: Path,
    argv: Sequence[str],
    *,
    address: str,
    port: int,
    protocol: str,
    options: Sequence[str] = (),
) -> Process:
    """One sipp; its statistics are in ``folder/NAME.csv``."""
    common = [
        *("-i", address, "-p", str(port), "-t", "t1" if protocol == "tcp" else "u1"),
        *("-nostdin", "-trace_stat", "-stf", str(folder / f"{name}.csv"), "-fd", "1"),
        *("-trace_err", "-error_file", str(folder / f"{name}.errors")),
    ]
    return Process(name, [program("sipp"), *common, *options, *argv], folder)


class Exchange:
    """Calls from a sipp on 127.0.0.2 through one proxy to a sipp on 127.0.0.3; it runs at once.

    sipp says its address where its domain belongs: the caller's address is the domain served, and
    the callee's a partner's.
    """

    def __init__(
        self,
        folder: Path,
        uac: str,
        uas: str,
        protocol: str = "udp",
        *,
        calls: int = 1000,
        uac_options: Sequence[str] = (),
        uas_options: Sequence[str] = (),
    ) -> None:
        self.folder = folder
        client, server = free_port(CLIENT), free_port(SERVER)
        tables = route(CLIENT, CLIENT, client, protocol) + route(SERVER, SERVER, server, protocol)
        self.proxy = RunningProxy(folder, domain=CLIENT, tables=tables)
        self.uas = start(
            "uas",
            folder,
            [*scenario(uas), self.proxy.place(protocol)],
            address=SERVER,
            port=server,
            protocol=protocol,
            options=uas_options,
        )
        wait_bound(SERVER, server, protocol, self.uas)
        keys = ["-key", "caller_domain", CLIENT, "-key", "callee_domain", SERVER]
        far_end = [*scenario(uac), "-rsa", self.proxy.place(protocol), f"{SERVER}:{server}"]
        self.uac = start(
            "uac",
            folder,
            [*far_end, "-m", str(calls), "-r", str(RATE), "-timeout", f"{SECONDS}s"],
            address=CLIENT,
            port=client,
            protocol=protocol,
            options=[*keys, *uac_options],
        )

    def result(self) -> tuple[Figures, Figures]:
        """Wait for the last call: the figures of the caller and of the callee."""
        self.uac.wait(SECONDS + 10)
        self.end()
        return Figures.read(self.folder / "uac.csv"), Figures.read(self.folder / "uas.csv")

    @property
    def said(self) -> str:
        """What the three programs complained about, for the message of a failed assertion."""
        errors = sorted(self.folder.glob("*.errors"))
        texts = [f"{file.stem}: {file.read_text(errors='replace')[:3000]}" for file in errors]
        return "\n".join([*texts, self.proxy.said])

    def end(self) -> None:
        self.uac.end()
        self.uas.end()
        self.proxy.end()
