"""The load: scenarios, one run of the load generator, and the figures of a run."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from targets import cpu_seconds, pss_kib

if TYPE_CHECKING:
    from targets import Target

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Scenario:
    """What is sent. ``count`` is the number of requests (calls for INVITE) of a measured run."""

    protocol: str
    method: str
    count: int
    body: int = 120
    window: int = 128
    new_connections: bool = False

    @property
    def rate_factor(self) -> float:
        """The part of ``--rate`` that this scenario is run at."""
        if self.new_connections:
            return 0.1
        return 0.5 if self.method == "INVITE" else 1.0


SCENARIOS = {
    "msg-udp": Scenario("udp", "MESSAGE", 40000),
    "sub-udp": Scenario("udp", "SUBSCRIBE", 40000),
    "notify-udp": Scenario("udp", "NOTIFY", 40000, body=900),
    "options-udp": Scenario("udp", "OPTIONS", 40000),
    "invite-udp": Scenario("udp", "INVITE", 15000, body=250),
    "msg-tcp": Scenario("tcp", "MESSAGE", 40000),
    "invite-tcp": Scenario("tcp", "INVITE", 15000, body=250),
    "msg-tls": Scenario("tls", "MESSAGE", 40000),
    "mtls-new": Scenario("tls", "MESSAGE", 2000, window=16, new_connections=True),
    "tcp-new": Scenario("tcp", "MESSAGE", 5000, window=16, new_connections=True),
}


@dataclass(frozen=True)
class Generator:
    """The load generator and how it is run."""

    program: Path
    certs: Path
    pin: bool
    cpus: frozenset[int]
    timeout: float
    request_uri: str = ""
    window: int = 0
    connections: int = 4

    @classmethod
    def build(cls, program: Path, **settings: Any) -> Generator:
        """Compile loadgen/sipload.c to ``program``."""
        compiler = os.environ.get("CC", "cc")
        source = str(HERE / "loadgen/sipload.c")
        argv = [compiler, "-O2", "-o", str(program), source, "-lssl", "-lcrypto"]
        subprocess.run(argv, check=True)
        return cls(program=program, **settings)

    def _pin(self) -> None:
        if self.pin:
            os.sched_setaffinity(0, self.cpus)

    def run(self, target: Target, scenario: Scenario, *, rate: float, count: int) -> dict[str, Any]:
        """One run; ``rate`` 0 is the closed loop. Shape: the JSON of sipload and the costs.

        A run that failed as a whole has the key ``error`` instead of figures.
        """
        tls = scenario.protocol == "tls"
        argv = [
            *(str(self.program), "--transport", scenario.protocol, "--method", scenario.method),
            *("--proxy", f"{target.ip}:{target.tls_port if tls else target.port}"),
            *("--uas", f"{target.ip}:{target.uas_port}", "--uac", f"{target.ip}:{target.uac_port}"),
            *("--window", str(self.window or scenario.window), "--count", str(count)),
            *("--rate", str(rate), "--body", str(scenario.body)),
            *("--conns", str(self.connections), "--tail", "4"),
        ]
        if self.request_uri:
            argv += ["--ruri", target.fill(self.request_uri, scenario.protocol)]
        if scenario.new_connections:
            argv.append("--newconn")
        if tls:
            argv += ["--cert", str(self.certs / "uac.pem"), "--key", str(self.certs / "uac.key")]
            argv += ["--ca", str(self.certs / "ca.pem")]
        before_pids = target.pids()
        before = cpu_seconds(before_pids)
        process = subprocess.Popen(
            argv,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=self._pin,
        )
        try:
            out, err = process.communicate(timeout=self.timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return {"error": "timeout", "stderr": err[-500:]}
        after = cpu_seconds({*before_pids, *target.pids()})
        try:
            result: dict[str, Any] = json.loads(out)
        except ValueError:
            return {"error": f"sipload status {process.returncode}", "stderr": err[-800:]}
        done = max(result["ok"], 1)
        result["proxy_cpu_s"] = after - before
        result["cpu_us"] = (after - before) / done * 1e6
        result["load_us"] = result["loadgen_cpu_s"] / done * 1e6
        result["pss_kib"] = pss_kib(target.pids())
        if err:
            result["stderr"] = err[-800:]
        return result
