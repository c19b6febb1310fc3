#!/usr/bin/env python3
"""The same targets under sipp, which nobody here wrote.

A cross-check of the bench's figures, and whole flows (a subscription with its notification, a
call). sipp takes a core itself: trust cpu-us, not the rate.
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from targets import HERE, Settings, Target, cpu_seconds

SCENARIOS = HERE / "scenarios"
CPU = max(os.sched_getaffinity(0))


@dataclass(frozen=True)
class Flow:
    """Two scenarios that belong together. ``share``: the part of ``--rate`` it is run at."""

    client: str
    server: str
    protocol: str = "udp"
    share: float = 1.0


FLOWS = {
    "message": Flow("message_uac.xml", "reply_uas.xml"),
    "message-tcp": Flow("message_uac.xml", "reply_uas.xml", "tcp"),
    "subscribe": Flow("subscribe_uac.xml", "subscribe_uas.xml", share=0.5),
    "invite": Flow("invite_uac.xml", "invite_uas.xml", share=0.5),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--target", action="append", required=True)
    parser.add_argument("--flows", default="message,subscribe,invite", help=",".join(FLOWS))
    parser.add_argument("--rate", type=int, default=2000)
    parser.add_argument("--secs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--base-port", type=int, default=21060)
    return parser.parse_args()


def pin() -> None:
    os.sched_setaffinity(0, {CPU})


def sipp(target: Target, folder: Path, *argv: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ["sipp", *argv, f"{target.ip}:{target.port}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=pin,
    )


def finish(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def measure(target: Target, flow: Flow, folder: Path, args: argparse.Namespace) -> tuple[str, bool]:
    """Run one flow through a target. Answers the row of the table and whether all was well."""
    rate = int(args.rate * flow.share)
    count = rate * args.secs
    far_end = f"{target.ip}:{target.uas_port}"
    common = [
        *("-i", target.ip, "-t", "t1" if flow.protocol == "tcp" else "u1", "-nostdin"),
        *("-trace_stat", "-fd", "1", "-m", str(count), "-timeout", f"{args.secs + 10}s"),
        *("-buff_size", "4194304"),
    ]
    proxy = f"{target.ip}:{target.port}"
    scenario = ["-sf", str(SCENARIOS / flow.server), "-p", str(target.uas_port), "-rsa", proxy]
    server = sipp(target, folder, *scenario, *common)
    time.sleep(0.5)
    pids = target.pids()
    before, began = cpu_seconds(pids), time.monotonic()
    uri = far_end + (";transport=tcp" if flow.protocol == "tcp" else "")
    scenario = ["-sf", str(SCENARIOS / flow.client), "-p", str(target.uac_port), "-key", "uas", uri]
    client = sipp(target, folder, *scenario, *common, "-r", str(rate))
    finish(client, args.secs + 20)
    cpu, seconds = cpu_seconds(pids) - before, time.monotonic() - began
    server.terminate()
    finish(server, 3)
    good, failed, retransmitted = figures(folder, count)
    row = (
        f"{good / seconds:>7.0f} {good:>7} {failed:>7} {retransmitted:>6} "
        f"{cpu / max(good, 1) * 1e6:>12.1f}"
    )
    return row, failed == 0


def figures(folder: Path, count: int) -> tuple[int, int, int]:
    """Successful calls, failed calls and retransmissions of the client's statistics."""
    try:
        with next(folder.glob("*_uac_*_.csv")).open() as file:
            row = list(csv.DictReader(file, delimiter=";"))[-1]
        return (
            int(row["SuccessfulCall(C)"]),
            int(row["FailedCall(C)"]),
            int(row["Retransmissions(C)"]),
        )
    except (StopIteration, IndexError, KeyError):
        return 0, count, 0


def main() -> int:
    args = arguments()
    work = Path(tempfile.mkdtemp(prefix="sipx-sipp-check."))
    certs = work / "certs"
    good = True
    targets: list[Target] = []
    try:
        subprocess.run([str(HERE / "mkcerts.sh"), str(certs), "ec"], check=True)
        settings = Settings(
            base_port=args.base_port, certs=certs, workers=args.workers, kamailio_memory=1024
        )
        targets = [Target(spec, settings, i, work) for i, spec in enumerate(args.target)]
        flow_names = args.flows.split(",")
        print(
            f"{'flow':<12} {'target':<16} {'rate/s':>7} {'flows':>7} {'failed':>7} {'rtx':>6} "
            f"{'cpu-us/flow':>12}"
        )
        for protocol in dict.fromkeys(FLOWS[name].protocol for name in flow_names):
            for target in targets:
                target.start(protocol)
            for name in flow_names:
                if FLOWS[name].protocol != protocol:
                    continue
                for target in targets:
                    folder = work / f"{name}-{target.name}"
                    folder.mkdir()
                    row, well = measure(target, FLOWS[name], folder, args)
                    print(f"{name:<12} {target.name:<16} {row}", flush=True)
                    good &= well
            for target in targets:
                target.stop()
    finally:
        for target in targets:
            target.stop()
        shutil.rmtree(work, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
