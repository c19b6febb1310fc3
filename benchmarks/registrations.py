#!/usr/bin/env python3
"""Registrations: how fast REGISTERs are taken beside Kamailio, and what many bindings cost.

    .venv/bin/python benchmarks/registrations.py rate [--rounds 5]
    .venv/bin/python benchmarks/registrations.py bindings [--count 100000]

``rate``: one UC server registers 10 000 users over one TCP connection, 64 REGISTERs under way, the
targets taking turns (A B C, C B A ...). "digest": each REGISTER has a SHA-256 digest of its own.
"connection": only the first one has, and the registration it made vouches for the connection; for
registrars that know such a thing.

``bindings``: sipx is filled with so many bindings through REGISTER, stopped, and started again from
its SQLite store, beside one that is empty. Then, in this process, one address-of-record is looked
up among so many.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from register_load import Registrant
from targets import Settings, Target, cpu_seconds, pss_kib

if TYPE_CHECKING:
    from register_load import Run

HERE = Path(__file__).resolve().parent
SIPX = f"{sys.executable} {HERE}/sipx_registrar_target.py --port {{port}} --ip {{ip}}"
TARGETS = (
    "kamailio",
    "sipx-sqlite=" + SIPX + " --store sqlite",
    "sipx-memory=" + SIPX + " --store memory",
)
STARTS = 3
READ = re.compile(r"registrations read .*?; ([\d.]+) s")
FEW = 100
"""Look-ups among this many are the other column."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    rate = commands.add_parser("rate", help="REGISTERs a second, and what one costs")
    rate.add_argument("--target", action="append", metavar="kamailio | NAME=COMMAND")
    rate.add_argument("--rounds", type=int, default=3)
    rate.add_argument("--users", type=int, default=10_000)
    rate.add_argument("--count", type=int, default=20_000, help="REGISTERs of one measured run")
    rate.add_argument("--window", type=int, default=64)
    bindings = commands.add_parser("bindings", help="memory, start and look-up of many bindings")
    bindings.add_argument("--count", type=int, default=100_000)
    for one in (rate, bindings):
        one.add_argument("--base-port", type=int, default=16060)
        one.add_argument("--no-pin", dest="pin", action="store_false")
    return parser.parse_args()


def settings(args: argparse.Namespace) -> Settings:
    if args.pin:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return Settings(
        base_port=args.base_port,
        pin=args.pin,
        cpus=frozenset({0}),
        start_timeout=120,
        kamailio_configuration="registrar.cfg",
    )


# ---------------------------------------------------------------- the rate


def measure(target: Target, args: argparse.Namespace, *, credentials: bool) -> tuple[Run, float]:
    """One run on a new connection: what it came to, and microseconds of CPU per REGISTER."""
    registrant = Registrant((target.ip, target.port), credentials=credentials)
    try:
        # All users have a binding, and the connection is that of all, before the clock starts.
        registrant.run(range(args.users), args.users, window=args.window)
        before = cpu_seconds(target.pids())
        run = registrant.run(range(args.users), args.count, window=args.window)
        cost = cpu_seconds(target.pids()) - before
    finally:
        registrant.close()
    return run, cost / max(run.registered, 1) * 1e6


def vouches(target: Target) -> bool:
    """Whether a registration vouches for its connection: the second REGISTER is not challenged."""
    registrant = Registrant((target.ip, target.port), credentials=False)
    try:
        return registrant.run(range(20), 20, window=1).challenges < 10
    finally:
        registrant.close()


def rate(args: argparse.Namespace, work: Path) -> bool:
    shared = settings(args)
    targets = [
        Target(spec, shared, index, work) for index, spec in enumerate(args.target or TARGETS)
    ]
    rows: dict[tuple[str, str], list[tuple[Run, float]]] = {}
    try:
        for target in targets:
            target.start("tcp")
        cells = [(target, "digest") for target in targets]
        cells += [(target, "connection") for target in targets if vouches(target)]
        for turn in range(args.rounds):
            for target, mode in cells if turn % 2 == 0 else cells[::-1]:
                found = measure(target, args, credentials=mode == "digest")
                rows.setdefault((mode, target.name), []).append(found)
    finally:
        for target in targets:
            target.stop()
    base = statistics.median(cost for _, cost in rows[("digest", targets[0].name)])
    columns = f"{'proof':<11} {'target':<14} {'max/s':>8} {'cpu-us':>8} {'x base':>7} "
    columns += f"{'401':>6} {'fail':>5}"
    print(columns)
    print("-" * len(columns))
    good = True
    for (mode, name), runs in rows.items():
        cost = statistics.median(cost for _, cost in runs)
        failed = [line for run, _ in runs for line in run.failed]
        good &= not failed
        print(
            f"{mode:<11} {name:<14} {statistics.median(run.rate for run, _ in runs):>8.0f} "
            f"{cost:>8.1f} {cost / base:>7.2f} {sum(run.challenges for run, _ in runs):>6} "
            f"{len(failed):>5}"
        )
        for line in failed[:2]:
            print("    FAILED", line)
    print(
        f"# users={args.users} REGISTERs={args.count} window={args.window} rounds={args.rounds} "
        f"pinned={args.pin}; medians; x base: CPU beside the first target with digest"
    )
    return good


# ---------------------------------------------------------------- many bindings


def started(target: Target) -> float:
    """Start it anew; the seconds until it listens."""
    target.stop()
    begin = time.perf_counter()
    target.start("tcp")
    return time.perf_counter() - begin


def seconds_to_read(target: Target) -> float:
    """What it says itself about reading its store, in its log."""
    said = READ.findall(target.log.read_text(errors="replace"))
    return float(said[-1]) if said else 0.0


def bindings(args: argparse.Namespace, work: Path) -> bool:
    shared = settings(args)
    command = f"{SIPX} --state {{work}} --log-level info"
    empty = Target(f"empty={command}", shared, 0, work)
    full = Target(f"full={command}", shared, 1, work)
    try:
        started(full)
        registrant = Registrant((full.ip, full.port), credentials=False)
        run = registrant.run(range(args.count), args.count)
        filled = pss_kib(full.pids())
        full.stop()
        registrant.close()
        starts = [(started(empty), started(full), seconds_to_read(full)) for _ in range(STARTS)]
        base_memory, again_memory = pss_kib(empty.pids()), pss_kib(full.pids())
    finally:
        empty.stop()
        full.stop()
    base_start, again_start, reading = (statistics.median(one) for one in zip(*starts, strict=True))
    store = sum(file.stat().st_size for file in full.work.rglob("registrations*"))
    each = 1024 / args.count
    few, many = look_up(FEW), look_up(args.count)
    for name, value in {
        "registered": f"{run.registered} in {run.seconds:.1f} s ({run.rate:.0f}/s), "
        f"{len(run.failed)} failed",
        "memory, as registered": f"{filled / 1024:.1f} MiB, empty {base_memory / 1024:.1f} MiB: "
        f"{(filled - base_memory) * each:.0f} bytes each",
        "memory, started again": f"{again_memory / 1024:.1f} MiB: "
        f"{(again_memory - base_memory) * each:.0f} bytes each",
        "store": f"{store / 2**20:.1f} MiB: {store / args.count:.0f} bytes each",
        "start": f"{again_start:.2f} s, empty {base_start:.2f} s; {reading:.1f} s of it reading "
        f"(medians of {STARTS})",
        "look-up": f"{many:.2f} us among {args.count}, {few:.2f} us among {FEW}",
    }.items():
        print(f"{name:<22} {value}")
    return not run.failed


def look_up(count: int) -> float:
    """Microseconds to find the bindings of one of ``count`` addresses-of-record."""
    # Here, because the rate is measured without sipx in this process.
    from sipx_registrar.bindings import Bindings

    from sipx import Binding, BindingChange

    table = Bindings(time.monotonic, time.time)
    until = time.time() + 36_000
    places = [b"u%d@a.example" % number for number in range(count)]
    for number, place in enumerate(places):
        contact = b"sip:u%d@127.0.0.1:5060" % number
        one = Binding(place, contact, "bench", b"r%d" % number, 1, until, 0.0)
        table.apply([BindingChange(place, one.key, one)])
    asked = random.Random(1).choices(places, k=200_000)
    costs = []
    for _ in range(5):
        begin = time.perf_counter()
        for place in asked:
            table.of(place)
        costs.append((time.perf_counter() - begin) / len(asked) * 1e6)
    return statistics.median(costs)


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="sipx-registrations.") as folder:
        command = {"rate": rate, "bindings": bindings}[args.command]
        if not command(args, Path(folder)):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
