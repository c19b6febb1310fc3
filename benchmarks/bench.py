#!/usr/bin/env python3
"""Side-by-side measurements of SIP proxies, paired in one run. See README.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from load import HERE, SCENARIOS, Generator, Scenario
from targets import Settings, Target

if TYPE_CHECKING:
    from types import FrameType

Row = dict[str, Any]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = parser.add_argument
    add(
        "--target",
        action="append",
        required=True,
        metavar="kamailio | NAME=COMMAND",
        help="the first is the baseline; COMMAND may use {ip} {port} {tlsport} {uas} {protocol} "
        "{certs} {workers} {work}",
    )
    add("--scenarios", default="msg-udp,invite-udp,msg-tcp", help=",".join(SCENARIOS))
    add("--rounds", type=int, default=3)
    add("--scale", type=float, default=1.0, help="multiplies the request counts")
    add("--rate", type=float, default=2000, help="of the open loop, per second (0: skip it)")
    add("--workers", type=int, default=1)
    add("--window", type=int, default=0, help="outstanding requests (0: the scenario's)")
    add("--conns", type=int, default=4, help="long-lived connections")
    add("--ruri", default="", help="request URI, for a target with a routing table of its own")
    add("--keytype", choices=["ec", "rsa"], default="ec")
    add("--ip", default="127.0.0.1")
    add("--base-port", type=int, default=15060)
    add("--start-timeout", type=float, default=15)
    add("--run-timeout", type=float, default=60)
    add("--kam-shm", type=int, default=2048, help="MiB of Kamailio's shared pool")
    add("--kam-mm", default="tlsf", choices=["tlsf", "fm", "qm"], help="Kamailio's allocator")
    add("--no-pin", dest="pin", action="store_false", help="leave the CPUs to the scheduler")
    add("--proxy-cpus", default="0")
    add("--load-cpus", default="", help="default: the last CPU")
    add("--json", default="", help="write every single run to this file")
    return parser.parse_args()


def numbers(text: str) -> frozenset[int]:
    return frozenset(int(number) for number in text.split(","))


class Bench:
    """One run of all scenarios over all targets."""

    def __init__(self, args: argparse.Namespace, work: Path) -> None:
        self.args = args
        self.rows: list[Row] = []
        self.footer: list[str] = []
        unknown = [name for name in args.scenarios.split(",") if name not in SCENARIOS]
        if unknown:
            known = ", ".join(SCENARIOS)
            raise SystemExit(f"no such scenario: {', '.join(unknown)}; known: {known}")
        self.scenarios = {name: SCENARIOS[name] for name in args.scenarios.split(",")}
        load_cpus = args.load_cpus or str(max(os.sched_getaffinity(0)))
        certs = work / "certs"
        subprocess.run([str(HERE / "mkcerts.sh"), str(certs), args.keytype], check=True)
        self.generator = Generator.build(
            work / "sipload",
            certs=certs,
            pin=args.pin,
            cpus=numbers(load_cpus),
            timeout=args.run_timeout,
            request_uri=args.ruri,
            window=args.window,
            connections=args.conns,
        )
        settings = Settings(
            ip=args.ip,
            base_port=args.base_port,
            certs=certs,
            workers=args.workers,
            start_timeout=args.start_timeout,
            pin=args.pin,
            cpus=numbers(args.proxy_cpus),
            kamailio_memory=args.kam_shm,
            kamailio_allocator=args.kam_mm,
        )
        self.targets = [
            Target(spec, settings, index, work) for index, spec in enumerate(args.target)
        ]

    def run(self) -> None:
        """Start the targets once for each protocol and run its scenarios over them."""
        for protocol in dict.fromkeys(scenario.protocol for scenario in self.scenarios.values()):
            try:
                for target in self.targets:
                    target.start(protocol)
                for name, scenario in self.scenarios.items():
                    if scenario.protocol == protocol:
                        self.measure(name, scenario)
                for target in self.targets:
                    self.footer.append(
                        f"# {protocol}: {target.name}: PSS after start "
                        f"{target.pss_after_start / 1024:.1f} MiB, {len(target.pids())} processes, "
                        f"alive at the end: {target.alive}"
                    )
            finally:
                for target in self.targets:
                    target.stop()

    def measure(self, name: str, scenario: Scenario) -> None:
        """All rounds of one scenario: A B, B A, A B ... so that drift hits all alike."""
        count = max(100, int(scenario.count * self.args.scale))
        for target in self.targets:  # a warm-up, not counted
            self.generator.run(target, scenario, rate=0, count=max(100, count // 10))
        for turn in range(self.args.rounds):
            for target in self.targets if turn % 2 == 0 else self.targets[::-1]:
                where = {"scenario": name, "target": target.name, "round": turn}
                closed = self.generator.run(target, scenario, rate=0, count=count)
                self.rows.append({**where, "mode": "closed", **closed})
                rate = self.args.rate * scenario.rate_factor
                if rate:
                    opened = self.generator.run(target, scenario, rate=rate, count=int(rate * 2))
                    self.rows.append({**where, "mode": "open", **opened})

    # ------------------------------------------------------------ the table

    def report(self) -> bool:
        """Print the table; True when nothing failed."""
        columns = (
            f"{'scenario':<12} {'target':<12} {'max/s':>8} {'cpu-us':>8} {'x base':>7} "
            f"{'us@rate':>8} {'x base':>7} {'p50us':>7} {'p99us':>8} {'fail':>5} {'rtx':>5} "
            f"{'bad':>4} {'load-us':>7} {'pssMiB':>7}"
        )
        print(columns)
        print("-" * len(columns))
        good = True
        for name in self.scenarios:
            base = self.median(name, self.targets[0].name, "closed", "cpu_us")
            base_at_rate = self.median(name, self.targets[0].name, "open", "cpu_us")
            for target in self.targets:
                good &= self.report_row(name, target.name, base, base_at_rate)
        print("\n".join(self.footer))
        args = self.args
        print(
            f"# rounds={args.rounds} workers={args.workers} pinned={args.pin} "
            f"proxy cpus={args.proxy_cpus} keys={args.keytype}; figures are medians; "
            "x base: ratio to the first target, lower is better"
        )
        return good

    def report_row(self, name: str, target: str, base: float, base_at_rate: float) -> bool:
        closed, opened = self.runs(name, target, "closed"), self.runs(name, target, "open")
        runs = closed + opened
        errors = [
            row
            for row in self.rows
            if row["scenario"] == name and row["target"] == target and "error" in row
        ]
        cpu = self.median(name, target, "closed", "cpu_us")
        cpu_at_rate = self.median(name, target, "open", "cpu_us")
        failed = sum(row["failed"] for row in runs)
        retransmitted = sum(row["retrans"] for row in runs)
        bad = sum(
            row["bad_at_uas"] + row["bad_at_uac"] + max(0, row["ok"] - row["uas_requests"])
            for row in runs
        )
        print(
            f"{name:<12} {target:<12} {self.median(name, target, 'closed', 'rate'):>8.0f} "
            f"{cpu:>8.1f} {cpu / base:>7.2f} "
            f"{cpu_at_rate:>8.1f} {cpu_at_rate / base_at_rate:>7.2f} "
            f"{self.median(name, target, 'open', 'p50_us'):>7.0f} "
            f"{self.median(name, target, 'open', 'p99_us'):>8.0f} "
            f"{failed:>5} {retransmitted:>5} {bad:>4} "
            f"{self.median(name, target, 'closed', 'load_us'):>7.1f} "
            f"{max([row['pss_kib'] for row in runs] or [0]) / 1024:>7.1f}"
        )
        for row in errors[:2]:
            print("    ERROR", row["error"], row.get("stderr", "")[-300:].replace("\n", " | "))
        return not (failed or bad or errors)

    def runs(self, name: str, target: str, mode: str) -> list[Row]:
        """The runs of one cell that have figures."""
        return [
            row
            for row in self.rows
            if (row["scenario"], row["target"], row["mode"]) == (name, target, mode)
            and "error" not in row
        ]

    def median(self, name: str, target: str, mode: str, figure: str) -> float:
        """The median of a figure over the rounds, NaN without any."""
        values = [row[figure] for row in self.runs(name, target, mode)]
        return statistics.median(values) if values else float("nan")


def leave(number: int, frame: FrameType | None) -> None:
    """End by a signal with the clean-up done, undisturbed by further signals."""
    for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    args = arguments()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, leave)
    work = Path(tempfile.mkdtemp(prefix="sipx-bench."))
    try:
        bench = Bench(args, work)
        try:
            bench.run()
            return 0 if bench.report() else 1
        finally:
            if args.json:
                Path(args.json).write_text(json.dumps(bench.rows, indent=1))
    finally:
        if os.environ.get("KEEP"):
            print("# kept", work, file=sys.stderr)
        else:
            shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
