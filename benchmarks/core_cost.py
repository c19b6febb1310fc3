#!/usr/bin/env python3
"""What one MESSAGE and its answer cost in the proxy alone, without sockets and other programs.

The real kernel and the plugin static-routes; bytes go in at the edge of a connection as a transport
would hand them over, in batches of ``--batch`` messages, and come out as it would write them. The
two ends of the transaction are made here, outside the clock.

    .venv/bin/python benchmarks/core_cost.py [--batch 32] [--profile]

What a plugin adds is seen in one process: a proxy with it and one without take turns, batch by
batch, so that whatever else the machine does falls on both alike. A method of its control API can
be called once a second, as somebody who watches would.

    .venv/bin/python benchmarks/core_cost.py --plugin metrics --each-second metrics.text

``--watch`` shows in the same way what it costs to watch: an observer that keeps every message and
every step of a request, as the live monitor does. ``--instructions`` counts instructions with
valgrind (cachegrind) in place of time, for which it does not matter what else the machine does:

    .venv/bin/python benchmarks/core_cost.py --instructions [--watch]
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from contextlib import ExitStack
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipx import Config, Flow, Interface, hookimpl
from sipx.cli.run import settle_memory
from sipx.config.load import load
from sipx.kernel import Kernel
from sipx.registry import GROUP, Registry
from sipx.streams import StreamFlow

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CONFIGURATION = """\
config_version = 1
domains = ["a.example"]
plugins = {plugins}
[interface.tcp]
bind = "127.0.0.1"
port = 5060
protocol = "tcp"
[service]
state_dir = "{state}"
[static-routes.route."a.example"]
trusted = true
server = "127.0.0.2"
protocol = "tcp"
[static-routes.route."b.example"]
trusted = true
server = "127.0.0.3"
protocol = "tcp"
"""
REQUEST = (
    "MESSAGE sip:bob@b.example SIP/2.0\r\n"
    "Via: SIP/2.0/TCP 127.0.0.2:5060;branch=z9hG4bK{n:016x}\r\n"
    "Max-Forwards: 70\r\n"
    "From: <sip:alice@a.example>;tag=t{n:x}\r\n"
    "To: <sip:bob@b.example>\r\n"
    "Call-ID: c{n:016x}@a.example\r\n"
    "CSeq: 1 MESSAGE\r\n"
    "Contact: <sip:alice@127.0.0.2:5060;transport=tcp>\r\n"
    "User-Agent: core_cost\r\n"
    "Content-Type: text/plain\r\n"
    "Content-Length: 120\r\n\r\n" + "x" * 120
)


class Wire(StreamFlow):
    """One connection whose far end is this program."""

    __slots__ = ("written",)

    def write(self, data: bytes) -> None:
        """Keep it for whoever asks."""
        self.written.append(data)

    def close(self, reason: str) -> None:
        """Nothing ends here but by mistake."""
        raise AssertionError(reason)


class Wires:
    """The transport ``tcp``, as far as the kernel asks for it."""

    Config = Config
    name = "tcp"
    via = b"TCP"
    reliable = True
    secure = False
    default_port = 5060

    def __init__(self, config: Config, proxy: Any) -> None:
        self.flows: dict[str, Wire] = {}

    @hookimpl
    def transports(self) -> Iterable[Any]:
        """Itself."""
        return [self]

    def flow_to(self, interface: Interface, address: str, port: int, partner: Any = None) -> Flow:
        """Always there."""
        return self.flows[address]


class Watcher:
    """Keeps what it sees, as far as the live monitor keeps it while a message is under way."""

    def __init__(self) -> None:
        self.kept: deque[tuple[Any, ...]] = deque(maxlen=10_000)

    @hookimpl
    def message_traced(self, message: Any, flow: Flow, direction: Any) -> None:
        self.kept.append((message.start, tuple(message.lines), message.body, flow, direction))

    @hookimpl
    def bytes_traced(self, data: bytes, flow: Flow, direction: Any) -> None:
        self.kept.append((data, flow, direction))

    @hookimpl
    def decision_made(self, request: Any, decision: Any) -> None:
        self.kept.append((request.branch, decision))


def kernel(folder: Path, *more: str) -> tuple[Kernel, Wires]:
    """The kernel, not running, with its interface up and both connections open."""
    plugins = ["wires", "static-routes", *more]
    entries = [*entry_points(group=GROUP), EntryPoint("wires", "__main__:Wires", GROUP)]
    registry = Registry([one for one in entries if one.name in plugins])
    folder.mkdir(exist_ok=True)
    file = folder / "sipx.toml"
    file.write_text(CONFIGURATION.format(state=folder / "state", plugins=plugins))
    made = Kernel(load(file, registry), registry, clock=time.monotonic)
    wires: Any = made.hooks.plugins()["wires"]
    interface = made.interfaces.named("tcp")
    interface.bound(("127.0.0.1", 5060))
    made.interfaces_changed()  # what the kernel does when a listener is bound
    for address in ("127.0.0.2", "127.0.0.3"):
        wire = Wire(interface, address, 5060, made.edge, outbound=False)
        wire.written = []
        made.edge.opened(wire)
        wires.flows[address] = wire
    return made, wires


def answers(forwarded: bytes) -> bytes:
    """The 200 to each request that was forwarded."""
    found = []
    for request in forwarded.split(b"x" * 120)[:-1]:
        lines = request.split(b"\r\n")
        kept = [line for line in lines if line.startswith((b"Via", b"From", b"Call-ID", b"CSeq"))]
        to = next(line for line in lines if line.startswith(b"To:"))
        head = [b"SIP/2.0 200 OK", *kept, to + b";tag=u", b"Content-Length: 0", b"", b""]
        found.append(b"\r\n".join(head))
    return b"".join(found)


class Run:
    """Batches of requests, and the time that the proxy takes for them."""

    def __init__(self, made: Kernel, wires: Wires, batch: int) -> None:
        self.edge = made.edge
        self.timers = made.timers
        self.near, self.far = wires.flows["127.0.0.2"], wires.flows["127.0.0.3"]
        self.batch = batch
        self.sent = 0
        self.inward = self.outward = 0

    def requests(self) -> Iterator[str]:
        for _ in range(self.batch):
            self.sent += 1
            yield REQUEST.format(n=self.sent)

    def feed(self, wire: Wire, data: bytes, out: Wire) -> bytes:
        """One wake-up of a connection; what the other one then writes."""
        self.edge.batch_begins()
        self.edge.stream(data, wire)
        self.edge.batch_ends()
        found = b"".join(out.written)
        out.written.clear()
        return found

    def turn(self) -> None:
        """One batch there and back."""
        data = "".join(self.requests()).encode()
        clock = time.perf_counter_ns
        begun = clock()
        forwarded = self.feed(self.near, data, self.far)
        self.inward += clock() - begun
        back = answers(forwarded)
        begun = clock()
        answered = self.feed(self.far, back, self.near)
        self.outward += clock() - begun
        assert answered.count(b"SIP/2.0 200 OK\r\n") == self.batch, "a message was lost"
        if self.sent % 512 == 0:
            begun = clock()
            self.timers.tick(self.edge.now())
            self.outward += clock() - begun


def compare(folder: Path, args: argparse.Namespace) -> None:
    """What a plugin adds."""
    made, wires = kernel(folder / "with", *([args.plugin] if args.plugin else []))
    with ExitStack() as watching:
        if args.watch:
            watching.enter_context(made.handle("watcher").watch(Watcher()))
        _compare(folder, args, made, wires)


def _compare(folder: Path, args: argparse.Namespace, made: Kernel, wires: Wires) -> None:
    runs = (Run(*kernel(folder / "without"), args.batch), Run(made, wires, args.batch))
    watch = None
    if args.each_second:
        given = {method.name: method.function for method in made.hooks.control_methods()}
        if args.each_second not in given:
            raise SystemExit(f"{args.plugin} has no method {args.each_second}: {', '.join(given)}")
        watch = given[args.each_second]
    for _ in range(2000 // args.batch + 1):
        for run in runs:
            run.turn()
    settle_memory()
    print("us per transaction    without       with    median of the differences of two turns")
    for number in range(args.rounds):
        turns: tuple[list[float], list[float]] = ([], [])
        for turn in range(args.count // args.batch):
            # Who goes first changes: the second one finds the caches warm.
            for which in (0, 1) if turn % 2 else (1, 0):
                run = runs[which]
                run.inward = run.outward = 0
                run.turn()
                turns[which].append((run.inward + run.outward) / run.batch / 1000)
        without, with_it = map(statistics.median, turns)
        added = statistics.median(b - a for a, b in zip(*turns, strict=True)) / without
        print(f"round {number + 1:<15} {without:7.2f}    {with_it:7.2f}    {100 * added:+.2f} %")
    if watch is not None:
        taken = []
        for _ in range(100):
            begun = time.perf_counter()
            watch()
            taken.append(time.perf_counter() - begun)
        once = statistics.median(taken)
        print(f"{args.each_second}: {once * 1000:.2f} ms, once a second {100 * once:+.2f} %")


COUNTS = (1024, 5120)
"""Transactions of two runs: what both do alike, such as the start, is not in the difference."""


def instructions(watch: bool) -> None:
    """Instructions per transaction, by cachegrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        raise SystemExit("valgrind is not installed")
    found = []
    for count in COUNTS:
        told = [sys.executable, __file__, "--counted", str(count), *(["--watch"] * watch)]
        with tempfile.NamedTemporaryFile() as out:
            tool = ["--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={out.name}"]
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            done = subprocess.run(
                [valgrind, *tool, *told], capture_output=True, text=True, check=True,
                env=environment,
            )  # fmt: skip
        seen = re.search(r"I\s+refs:\s+([0-9,]+)", done.stderr)
        assert seen is not None, done.stderr
        found.append(int(seen[1].replace(",", "")))
    each = (found[1] - found[0]) / (COUNTS[1] - COUNTS[0])
    print(f"{each:,.0f} instructions per transaction{', watched' if watch else ''}")


def counted(folder: Path, count: int, watch: bool) -> None:
    """Transactions for somebody who counts instructions."""
    made, wires = kernel(folder)
    with ExitStack() as watching:
        if watch:
            watching.enter_context(made.handle("watcher").watch(Watcher()))
        run = Run(made, wires, 32)
        settle_memory()
        while run.sent < count:
            run.turn()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batch", type=int, default=32, help="messages of one wake-up")
    parser.add_argument("--count", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="where the time goes, by function")
    parser.add_argument("--plugin", metavar="NAME", help="what this plugin adds")
    parser.add_argument("--each-second", metavar="METHOD", help="a control method of the plugin")
    parser.add_argument("--watch", action="store_true", help="what somebody who watches adds")
    parser.add_argument("--instructions", action="store_true", help="count them with valgrind")
    parser.add_argument("--counted", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.each_second and not args.plugin:
        parser.error("--each-second needs --plugin")
    if args.instructions:
        instructions(args.watch)
        return
    with tempfile.TemporaryDirectory(prefix="sipx-core-cost.") as folder:
        if args.counted:
            counted(Path(folder), args.counted, args.watch)
            return
        if args.plugin or args.watch:
            compare(Path(folder), args)
            return
        made, wires = kernel(Path(folder))
        run = Run(made, wires, args.batch)
        for _ in range(2000 // args.batch + 1):
            run.turn()
        settle_memory()  # as `sipx run` does
        if args.profile:
            with cProfile.Profile() as profile:
                for _ in range(args.count // args.batch):
                    run.turn()
            pstats.Stats(profile).sort_stats("tottime").print_stats(45)
            return
        print("us per transaction    request   response      both")
        for number in range(args.rounds):
            run.inward = run.outward = 0
            begun = run.sent
            while run.sent - begun < args.count:
                run.turn()
            sent = run.sent - begun
            inward, outward = run.inward / sent / 1000, run.outward / sent / 1000
            print(
                f"round {number + 1:<15} {inward:7.2f}    {outward:7.2f}   {inward + outward:7.2f}"
            )


if __name__ == "__main__":
    main()
