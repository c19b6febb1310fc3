"""SIP while browsers look on: latency with and without them, memory, and how the page keeps up.

    .venv/bin/python benchmarks/console_load.py --rate 1000 --seconds 20 --browsers 2

A real `sipx run`, one MESSAGE after the other through it at a steady pace (each is four messages:
in, out, and the answer back), first with nobody looking, then with so many pages of Live open. The
time is from the request that leaves the sender to the answer that comes back to it. Everything,
the browsers too, runs on this machine: what is measured is the whole of it, and figures of two
machines cannot be compared. With `--apart` sipx has the first processor for itself and the browsers
run in the gaps that the sender and the answering server leave, which root's priorities make sure
of: what is left is what watching costs sipx, as where browsers run on another machine.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import select
import shutil
import socket
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugins/sipx-monitor/tests"))

from browser.proxy import Sipx  # noqa: E402

ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
PER_REQUEST = 4
"""Messages that one MESSAGE and its answer are for the proxy."""
LATE = 2.0
"""Seconds after which an answer is lost."""
FILE = """
domains = ["example.com"]
plugins = ["udp", "static-routes", "monitor"]
[service]
state_dir = "state"
[interface.office]
bind = "127.0.0.1"
port = 0
protocol = "udp"
[static-routes.route."example.com"]
trusted = true
server = "127.0.0.1"
port = {bob}
protocol = "udp"
[static-routes.route."partner.example"]
trusted = true
server = "127.0.0.1"
port = {alice}
protocol = "udp"
[monitor]
port = 0
[log]
level = "info"
"""
FRAMES = """seconds => new Promise(done => {
    const times = []; const end = performance.now() + 1000 * seconds;
    let last = performance.now();
    const tick = now => {
        times.push(now - last); last = now;
        if (now < end) requestAnimationFrame(tick); else done(times);
    };
    requestAnimationFrame(tick);
})"""


@dataclass(frozen=True)
class Load:
    """What the sender has seen; times are milliseconds."""

    sent: int
    lost: int
    times: list[float]

    def line(self) -> str:
        p50, p99 = percentile(self.times, 50), percentile(self.times, 99)
        return f"{self.sent} sent, {self.lost} lost, p50 {p50:.2f} ms, p99 {p99:.2f} ms"


def percentile(values: list[float], part: int) -> float:
    return statistics.quantiles(values, n=100)[part - 1] if len(values) > 1 else 0.0


def answer(bob: socket.socket) -> None:
    """Say 200 to everything, in a process of its own."""
    while True:
        data, sender = bob.recvfrom(65536)
        head = data.partition(b"\r\n\r\n")[0].split(b"\r\n")
        kept = [
            line
            for line in head[1:]
            if line.lower().startswith((b"via:", b"from:", b"call-id:", b"cseq:", b"record-route:"))
        ]
        kept += [line + b";tag=b" for line in head[1:] if line.lower().startswith(b"to:")]
        lines = [b"SIP/2.0 200 OK", *kept, b"Content-Length: 0", b"", b""]
        bob.sendto(b"\r\n".join(lines), sender)


def send(alice: socket.socket, proxy: tuple[str, int], rate: float, seconds: float) -> Load:
    """Send at a steady pace whatever the answers do, and time them."""
    host, port = alice.getsockname()
    begun: dict[bytes, float] = {}
    times: list[float] = []
    start = time.perf_counter()
    number, total = 0, int(rate * seconds)
    mark = b"%x" % time.time_ns()
    while number < total or (begun and time.perf_counter() - start < seconds + LATE):
        now = time.perf_counter()
        while number < total and start + number / rate <= now:
            branch = b"z9hG4bK%b%x" % (mark, number)
            begun[branch] = time.perf_counter()
            alice.sendto(
                b"MESSAGE sip:bob@example.com SIP/2.0\r\n"
                b"Via: SIP/2.0/UDP %b:%d;rport;branch=%b\r\nMax-Forwards: 70\r\n"
                b"From: <sip:alice@partner.example>;tag=a%x\r\nTo: <sip:bob@example.com>\r\n"
                b"Call-ID: %b%x\r\nCSeq: 1 MESSAGE\r\nContent-Type: text/plain\r\n"
                b"Content-Length: 5\r\n\r\nhello"
                % (host.encode(), port, branch, number, mark, number),
                proxy,
            )
            number += 1
        due = start + number / rate if number < total else now + 0.05
        if select.select([alice], [], [], max(0.0, due - time.perf_counter()))[0]:
            data = alice.recv(65536)
            at = time.perf_counter()
            branch = data.partition(b"branch=")[2].split(b"\r\n", 1)[0].split(b";", 1)[0]
            if branch in begun and not data.startswith(b"SIP/2.0 1"):
                times.append(1000 * (at - begun.pop(branch)))
    return Load(total, len(begun), times)


def in_a_process(apart: bool, *args: Any) -> Load:
    """The sender beside us: Python's own locks would make its clock wrong otherwise."""
    ours, theirs = multiprocessing.Pipe()
    child = multiprocessing.Process(target=_sender, args=(theirs, apart, *args))
    child.start()
    found: Load = ours.recv()
    child.join()
    return found


def _sender(pipe: Any, apart: bool, *args: Any) -> None:
    if apart:
        first(os.getpid())
    pipe.send(send(*args))


def give_way() -> None:
    """The browsers run while nobody else wants the processor: every thread of them, as Linux
    schedules threads. Those that come later do as who has made them.
    """
    for process in psutil.Process().children(recursive=True):
        if process.name().startswith("chrom"):
            for thread in process.threads():
                with suppress(ProcessLookupError):
                    os.sched_setscheduler(thread.id, os.SCHED_IDLE, os.sched_param(0))


def first(pid: int) -> None:
    """Let a process run at once whenever it has something to do; only root may say so."""
    for thread in psutil.Process(pid).threads():
        try:
            os.sched_setscheduler(thread.id, os.SCHED_FIFO, os.sched_param(1))
        except PermissionError:
            print("without root's priorities browsers delay the sender: p99 is partly theirs")
            return


def memory(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rate", type=int, default=1000, help="messages per second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each of the runs")
    parser.add_argument("--browsers", type=int, default=2)
    parser.add_argument("--apart", action="store_true", help="sipx has a processor for itself")
    wanted = parser.parse_args()
    requests = wanted.rate / PER_REQUEST
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        alice, bob = (stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in "ab")
        for one in (alice, bob):
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            one.bind(("127.0.0.1", 0))
        text = FILE.format(alice=alice.getsockname()[1], bob=bob.getsockname()[1])
        proxy = Sipx(folder, text)
        stack.callback(proxy.kill)
        everywhere = os.sched_getaffinity(0)
        if wanted.apart:
            os.sched_setaffinity(0, {min(everywhere)})
        proxy.start()
        if wanted.apart:
            os.sched_setaffinity(0, everywhere - {min(everywhere)})
        answering = multiprocessing.Process(target=answer, args=(bob,), daemon=True)
        answering.start()
        stack.callback(answering.terminate)
        if wanted.apart and answering.pid is not None:
            first(answering.pid)
            first(proxy.pid)
        place = proxy.place("office")
        send(alice, place, requests, 2.0)
        print(f"{wanted.rate} messages/s, {wanted.seconds:g} s each")
        print("memory at the start:", f"{memory(proxy.pid):.0f} MB")
        without = in_a_process(wanted.apart, alice, place, requests, wanted.seconds)
        print("nobody looks:      ", without.line())
        print("memory:            ", f"{memory(proxy.pid):.0f} MB")
        looked_at(stack, proxy, alice, place, requests, wanted)
        after = in_a_process(wanted.apart, alice, place, requests, wanted.seconds)
        print("nobody any more:   ", after.line())


def looked_at(
    stack: ExitStack,
    proxy: Sipx,
    alice: socket.socket,
    place: tuple[str, int],
    requests: float,
    wanted: argparse.Namespace,
) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=[*ARGUMENTS]
        )
        pages = []
        for _ in range(wanted.browsers):
            page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
            page.goto(proxy.link())
            page.get_by_role("navigation").first.wait_for()
            page.evaluate("location.hash = '#/live'")
            page.get_by_role("grid").wait_for()
            pages.append(page)
        if wanted.apart:
            give_way()
        ours, theirs = multiprocessing.Pipe()
        child = multiprocessing.Process(
            target=_sender,
            args=(theirs, wanted.apart, alice, place, requests, wanted.seconds),
        )
        child.start()
        peak, frames = 0.0, []
        end = time.monotonic() + wanted.seconds
        while time.monotonic() < end - 2.0:
            frames += pages[0].evaluate(FRAMES, 1.0)
            peak = max(peak, memory(proxy.pid))
        seen: Load = ours.recv()
        child.join()
        print(f"{wanted.browsers} browsers look:   ", seen.line())
        print("memory, at most:   ", f"{peak:.0f} MB")
        told = f"p50 {percentile(frames, 50):.0f} ms, p99 {percentile(frames, 99):.0f} ms"
        print("a frame of a page: ", told)
        shown = [page.get_by_role("grid").get_attribute("aria-rowcount") for page in pages]
        state = json.loads(proxy.command("control", "call", "monitor.state"))
        print("rows in the pages: ", ", ".join(str(rows) for rows in shown))
        print("kept:", state.get("kept"), "lost by the tap:", state.get("lost"))
        browser.close()


if __name__ == "__main__":
    main()
