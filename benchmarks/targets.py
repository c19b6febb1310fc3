"""A proxy under test: its processes, what they cost, and that nothing of them stays behind."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = Path(__file__).resolve().parent
KAMAILIO_MODULES = (
    "/usr/lib/x86_64-linux-gnu/kamailio/modules",
    "/usr/lib/aarch64-linux-gnu/kamailio/modules",
    "/usr/lib64/kamailio/modules",
    "/usr/lib/kamailio/modules",
)


# ---------------------------------------------------------------- what processes cost


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = entry.joinpath("stat").read_text()
        except OSError:
            continue
        parent = int(stat[stat.rindex(")") + 2 :].split()[1])
        children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """On-CPU time of every thread in seconds, from nanosecond counters and not from ticks."""
    nanoseconds = 0
    for pid in pids:
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                nanoseconds += int(task.joinpath("schedstat").read_text().split()[0])
        except OSError:
            continue
    return nanoseconds / 1e9


def pss_kib(pids: Iterable[int]) -> int:
    """The proportional set size of processes in KiB: shared pages counted once."""
    total = 0
    for pid in pids:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(ln.split()[1]) for ln in rollup.splitlines() if ln.startswith("Pss:"))
    return total


# ---------------------------------------------------------------- ports


def udp_bound(port: int) -> bool:
    """Whether a UDP socket of this machine has the port."""
    rows = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(f":{port:04X}") for row in rows)


def tcp_open(ip: str, port: int) -> bool:
    """Whether somebody accepts connections there."""
    try:
        socket.create_connection((ip, port), 0.3).close()
    except OSError:
        return False
    return True


# ---------------------------------------------------------------- the target


@dataclass(frozen=True)
class Settings:
    """What all targets of a run share."""

    ip: str = "127.0.0.1"
    base_port: int = 15060
    certs: Path = Path()
    workers: int = 1
    start_timeout: float = 15
    pin: bool = True
    cpus: frozenset[int] = frozenset({0})
    kamailio_memory: int = 2048
    """MiB of Kamailio's shared pool."""
    kamailio_allocator: str = "tlsf"
    kamailio_configuration: str = "kamailio.cfg"
    """The file in the folder kamailio."""


class Target:
    """One proxy. ``spec`` is ``kamailio`` or ``NAME=COMMAND`` (placeholders: README.md)."""

    def __init__(self, spec: str, settings: Settings, index: int, work: Path) -> None:
        self.name, _, self.command = spec.partition("=")
        if not self.command and self.name != "kamailio":
            raise SystemExit(f"--target {spec}: 'kamailio' or NAME=COMMAND is wanted")
        self.settings = settings
        self.ip = settings.ip
        self.port = settings.base_port + index * 20
        self.tls_port = self.port + 1
        self.uac_port = self.port + 1000
        self.uas_port = self.port + 1500
        self.work = work / f"target-{index}"
        self.work.mkdir()
        self.log = self.work / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.pss_after_start = 0

    def fill(self, text: str, protocol: str) -> str:
        """Put the values of this target into the placeholders of a command or a URI."""
        values = {
            "ip": self.ip,
            "port": self.port,
            "tlsport": self.tls_port,
            "certs": self.settings.certs,
            "workers": self.settings.workers,
            "work": self.work,
            "uas": f"{self.ip}:{self.uas_port}",
            "protocol": protocol,
        }
        for name, value in values.items():
            text = text.replace("{" + name + "}", str(value))
        return text

    def start(self, protocol: str) -> None:
        """Start the proxy and wait until it listens for ``protocol`` (udp, tcp or tls)."""
        if udp_bound(self.port) or tcp_open(self.ip, self.port) or tcp_open(self.ip, self.tls_port):
            raise SystemExit(f"{self.name}: port {self.port} is in use; choose --base-port")
        tls = protocol == "tls"
        command = self.fill(self.command, protocol)
        argv = shlex.split(command) if command else self._kamailio(tls)
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                argv,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=self._pin,
            )
        deadline = time.monotonic() + self.settings.start_timeout
        port = self.tls_port if tls else self.port
        while not (udp_bound(port) if protocol == "udp" else tcp_open(self.ip, port)):
            self._must_live()
            if time.monotonic() > deadline:
                self.stop()
                raise SystemExit(f"{self.name}: port {port} did not open; log:\n{self.tail()}")
            time.sleep(0.05)
        time.sleep(0.3)  # the listeners of the other protocols, and Kamailio's workers
        self._must_live()
        self.pss_after_start = pss_kib(self.pids())

    def _must_live(self) -> None:
        if self.process is not None and self.process.poll() is not None:
            status = self.process.returncode
            raise SystemExit(f"{self.name}: ended with status {status}; log:\n{self.tail()}")

    def _pin(self) -> None:
        if self.settings.pin:
            os.sched_setaffinity(0, self.settings.cpus)

    def _kamailio(self, tls: bool) -> list[str]:
        program = shutil.which("kamailio") or "/usr/sbin/kamailio"
        modules = next((path for path in KAMAILIO_MODULES if Path(path).is_dir()), "")
        tls_cfg = self.work / "tls.cfg"
        template = (HERE / "kamailio/tls.cfg").read_text()
        tls_cfg.write_text(template.replace("@CERTS@", str(self.settings.certs)))
        text = (HERE / "kamailio" / self.settings.kamailio_configuration).read_text()
        for name, value in {
            "WORKERS": self.settings.workers,
            "IP": self.ip,
            "PORT": self.port,
            "TLSPORT": self.tls_port,
            "MPATH": modules,
            "TLSCFG": tls_cfg,
            "TLS": "" if tls else "# ",
        }.items():
            text = text.replace(f"@{name}@", str(value))
        configuration = self.work / "kamailio.cfg"
        configuration.write_text(text)
        allocator = self.settings.kamailio_allocator
        return [
            *(program, "-DD", "-E", "-m", str(self.settings.kamailio_memory), "-M", "16"),
            *("-x", allocator, "-X", allocator, "-f", str(configuration)),
            *("-Y", str(self.work), "-P", str(self.work / "pid"), "-w", str(self.work)),
        ]

    def tail(self) -> str:
        """The end of what the proxy wrote."""
        try:
            return self.log.read_text(errors="replace")[-3000:]
        except OSError:
            return ""

    @property
    def alive(self) -> bool:
        """Whether the proxy still runs."""
        return self.process is not None and self.process.poll() is None

    def pids(self) -> list[int]:
        """All processes of the running proxy."""
        return family(self.process.pid) if self.process is not None else []

    def stop(self) -> None:
        """End the proxy, politely first. Only processes that it started are touched."""
        process, self.process = self.process, None
        if process is None:
            return
        pids = family(process.pid)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(8)
            except subprocess.TimeoutExpired:
                print(f"# {self.name}: did not end within 8 s, killed")
        for pid in pids:
            try:
                if pid == process.pid or os.getpgid(pid) == process.pid:
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        process.wait(2)
