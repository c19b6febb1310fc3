#!/usr/bin/env python3
"""A discovered partner that sends too much: what it gets, and what the others notice of it.

    .venv/bin/python benchmarks/federation.py [--rounds 5] [--rate 200] [--json]

One `sipx run` with open federation. Two UC servers are logged on; a partner, found by the DNS,
exchanges messages with one of them at a steady pace. Each round has two spans: without, and with
another partner that sends messages at ``--rate``, ten times what it may, over one connection.
Latency is that of a MESSAGE from its sender to the 200 of its receiver, on all streams but the
greedy one's; the figures are medians over the rounds.

The exit status is 1 if a message of the others was lost or refused. Times are printed and judged
by nobody.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import trio

from sipx.control.client import Client
from sipx.sip import RemoteError, Response, StreamParser, Via
from sipx.testing import (
    Authority,
    Logon,
    NoAnswerError,
    TcpCarrier,
    TlsCarrier,
    UserAgent,
    dns_server,
    register,
    running,
)

Place = tuple[str, int]
HOME, STEADY, GREEDY = "home.example", "steady.example", "greedy.example"
ADDRESSES = {HOME: "127.0.0.21", STEADY: "127.0.0.22", GREEDY: "127.0.0.23"}
SERVERS = {"berlin": "127.0.0.10", "munich": "127.0.0.11", "hamburg": "127.0.0.12"}
PASSWORD = "Horse, battery and staple"
SPANS = ("alone", "beside")
SETTLE = 2.0
"""Seconds before the first span, in which connections are made and names are looked up."""
_CONFIG = """\
config_version = 1
domains = ["{home}"]
plugins = ["tcp", "tls", "lan", "registrar", "open-federation"]

[interface.lan]
bind = "{address}"
port = 0
protocol = "tcp"
role = "lan"

[interface.federation]
bind = "{address}"
port = 0
protocol = "mtls"
certificate = "own"

[certificate.own]
cert_file = "{certificate}"
key_file = "{key}"

[trust]
ca = "{ca}"
networks = ["127.0.0.0/8"]

[dns]
servers = ["{dns}"]

[lan.server.berlin]
password = "{password}"
users = "alice"

[lan.server.munich]
password = "{password}"
users = "bob"

[lan.server.hamburg]
password = "{password}"
users = "dave"

[registrar]
store = "memory"

[open-federation]
interface = "federation"
ports = [{port}]

[log]
level = "warning"

[service]
state_dir = "{folder}/state"
control_socket = "{folder}/control.sock"
stop_timeout = "1s"
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0, help="of each of a round's spans")
    parser.add_argument("--pace", type=float, default=15.0, help="messages a second of a stream")
    parser.add_argument("--rate", type=float, default=200.0, help="messages a second of the greedy")
    parser.add_argument("--json", action="store_true", help="one document in place of the table")
    parser.add_argument("--no-pin", dest="pin", action="store_false")
    return parser.parse_args()


# ---------------------------------------------------------------- sipx


class Proxy:
    """A `sipx run` in a process of its own."""

    def __init__(self, folder: Path, authority: Authority, dns: str, port: int) -> None:
        certificate, key = authority.leaf(dns=[f"sip.{HOME}"]).write(folder, "home")
        self.log = folder / "sipx.log"
        file = folder / "sipx.toml"
        file.write_text(
            _CONFIG.format(
                home=HOME,
                address=ADDRESSES[HOME],
                certificate=certificate,
                key=key,
                ca=folder / "ca.crt",
                dns=dns,
                password=PASSWORD,
                port=port,
                folder=folder,
            )
        )
        argv = [sys.executable, "-m", "sipx", "run", "--json", "--config", str(file)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, cwd=folder, stdout=log, stderr=log)

    async def places(self) -> dict[str, Place]:
        """Where its interfaces are, once they listen."""
        with trio.fail_after(30):
            while True:
                text = self.log.read_text()
                begin, end = text.find("{\n"), text.find("\n}\n")
                if 0 <= begin < end:
                    rows = json.loads(text[begin : end + 2])["interfaces"]
                    return {row["name"]: (row["address"], row["port"]) for row in rows}
                if self.process.poll() is not None:
                    raise SystemExit(f"sipx did not start:\n{text}")
                await trio.sleep(0.05)

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)


# ---------------------------------------------------------------- those who keep their limits


@dataclass
class Stream:
    """Messages of one sender to one receiver, at a steady pace; what became of those of a span."""

    name: str
    sender: UserAgent
    to: str
    milliseconds: list[float] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """0: no answer."""

    async def one(self) -> None:
        begun = trio.current_time()
        try:
            status = (await self.sender.message(self.to, "good morning")).status
        except NoAnswerError:
            status = 0
        self.statuses.append(status)
        self.milliseconds.append((trio.current_time() - begun) * 1000)

    async def span(self, seconds: float, pace: float, delay: float) -> dict[str, float]:
        """Send for so long, after a delay; the figures when the last answer has come."""
        self.milliseconds, self.statuses = [], []
        async with trio.open_nursery() as nursery:
            begun = trio.current_time() + delay
            for number in range(max(int(seconds * pace), 1)):
                await trio.sleep_until(begun + number / pace)
                nursery.start_soon(self.one)
        cuts = statistics.quantiles(self.milliseconds, n=100, method="inclusive")
        return {
            "sent": len(self.statuses),
            "ok": self.statuses.count(200),
            "p50": round(cuts[49], 2),
            "p99": round(cuts[98], 2),
        }


# ---------------------------------------------------------------- the one who does not


@dataclass
class Sent:
    """One message of the greedy partner. Times are those of trio's clock."""

    at: float
    status: int = 0
    answered: float = 0.0
    retry_after: str = ""


class Greedy:
    """A partner that writes message after message into one connection, as fast as it is let."""

    def __init__(self, stream: trio.SSLStream[Any], place: Place, to: str) -> None:
        self.sent: list[Sent] = []
        self.stream = stream
        self._place = place
        self._to = to

    async def flood(self, rate: float) -> None:
        """Send until cancelled. A write that has to wait is waited for, nothing is made up for."""
        while True:
            began = trio.current_time()
            await self._send()
            await trio.sleep_until(began + 1 / rate)

    async def _send(self) -> None:
        number = len(self.sent)
        self.sent.append(Sent(trio.current_time()))
        host, port = self._place
        text = (
            f"MESSAGE {self._to} SIP/2.0\r\n"
            f"Via: SIP/2.0/TLS {host}:{port};branch=z9hG4bKgreedy{number}\r\n"
            "Max-Forwards: 70\r\n"
            f"From: <sip:eve@{GREEDY}>;tag=g{number}\r\n"
            f"To: <{self._to}>\r\n"
            f"Call-ID: greedy-{number}@{host}\r\n"
            "CSeq: 1 MESSAGE\r\n"
            "Content-Type: text/plain\r\n"
            "Content-Length: 10\r\n\r\nbuy it now"
        )
        await self.stream.send_all(text.encode())

    async def read(self) -> None:
        """Take the answers until the connection ends, or cancelled."""
        parser = StreamParser()
        while data := bytes(await self.stream.receive_some()):
            for item in parser.feed(data):
                if isinstance(item, RemoteError):
                    raise SystemExit(f"the greedy partner cannot read what came: {item}")
                if isinstance(item, Response) and item.status >= 200:
                    branch = Via.parse(item.get_list(b"Via")[0]).branch or b""
                    one = self.sent[int(branch.removeprefix(b"z9hG4bKgreedy"))]
                    one.status, one.answered = item.status, trio.current_time()
                    one.retry_after = (item.get(b"Retry-After") or b"").decode()

    def figures(self, seconds: float) -> dict[str, Any]:
        """What came of what it has sent so far."""
        answered = sorted((one for one in self.sent if one.status), key=lambda one: one.answered)
        accepted = [one for one in answered if one.status == 200]
        runs = [
            [status, sum(1 for _ in group)]
            for status, group in groupby(answered, key=lambda one: one.status)
        ]
        return {
            "sent": len(self.sent),
            "accepted": len(accepted),
            "refused": sum(one.status == 503 for one in answered),
            "unanswered": len(self.sent) - len(answered),
            "accepted_per_second": round(len(accepted) / seconds, 1),
            "longest_wait": round(max((one.answered - one.at for one in accepted), default=0.0), 2),
            "retry_after": sorted({one.retry_after for one in answered if one.status == 503}),
            "in_order": runs,
            "statuses": sorted({one.status for one in answered}),
        }


async def connected(folder: Path, place: Place, to: str) -> Greedy:
    """Its connection, with a certificate of its own."""
    context = ssl.create_default_context(cafile=folder / "ca.crt")
    context.check_hostname = False
    context.load_cert_chain(folder / "greedy.crt", folder / "greedy.key")
    stream = await trio.open_tcp_stream(*place, local_address=ADDRESSES[GREEDY])
    own = stream.socket.getsockname()[:2]
    secured = trio.SSLStream(stream, context, https_compatible=True)
    await secured.do_handshake()
    return Greedy(secured, own, to)


async def logged_on(stack: AsyncExitStack, name: str, user: str, lan: Place) -> UserAgent:
    """A UC server with one user."""
    agent = UserAgent(f"sip:{user}@{HOME}", TcpCarrier(SERVERS[name]), proxy=lan)
    agent.logon = Logon(name, PASSWORD)
    await stack.enter_async_context(running(agent))
    await register(agent, agent.uri)
    return agent


def feast(folder: Path, places: dict[str, Place], rate: float, seconds: float, out: Any) -> None:
    """The greedy partner and the server that it writes to, in a process of their own.

    What they do between two messages of others would count as the delay of these.
    """

    async def main() -> None:
        async with AsyncExitStack() as stack:
            dave = await logged_on(stack, "hamburg", "dave", places["lan"])
            eager = await connected(folder, places["federation"], dave.uri)
            out.send("begun")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(eager.read)
                nursery.start_soon(eager.flood, rate)
                await trio.sleep(seconds)
                nursery.cancel_scope.cancel()
            await trio.aclose_forcefully(eager.stream)
            out.send(eager.figures(seconds))

    trio.run(main)


# ---------------------------------------------------------------- all of it


class World:
    """sipx, its UC servers, the steady partner, and the DNS that both partners are found by."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.authority = Authority()
        self.authority.write(folder)
        self.streams: list[Stream] = []
        self.authority.leaf(dns=[f"sip.{GREEDY}"]).write(folder, "greedy")
        self.places: dict[str, Place] = {}

    async def begin(self, *, pin: bool) -> None:
        """Start all, and pass a message over each stream once."""
        steady = await self._steady()
        records = [
            f"_sipfederationtls._tcp.{domain}. SRV 0 0 {steady.place[1]} sip.{domain}.\n"
            f"sip.{domain}. A {ADDRESSES[domain]}"
            for domain in (STEADY, GREEDY)
        ]
        dns = await self.stack.enter_async_context(dns_server("\n".join(records)))
        proxy = Proxy(self.folder, self.authority, dns.server, steady.place[1])
        self.stack.callback(proxy.end)
        self.places = places = await proxy.places()
        if pin:
            os.sched_setaffinity(proxy.process.pid, {0})
            os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        steady.proxy = places["federation"]
        alice = await logged_on(self.stack, "berlin", "alice", places["lan"])
        bob = await logged_on(self.stack, "munich", "bob", places["lan"])
        self.streams = [
            Stream("server to server", alice, bob.uri),
            Stream("partner to server", steady, alice.uri),
            Stream("server to partner", alice, steady.uri),
        ]

    async def _steady(self) -> UserAgent:
        issued = self.authority.leaf(dns=[f"sip.{STEADY}"])
        certificate, key = issued.write(self.folder, "steady")
        ca = self.folder / "ca.crt"
        carrier = TlsCarrier(ADDRESSES[STEADY], 0, cert_file=certificate, key_file=key, ca=ca)
        agent = UserAgent(f"sip:carol@{STEADY}", carrier)
        return await self.stack.enter_async_context(running(agent))

    async def span(self, seconds: float, pace: float) -> dict[str, dict[str, float]]:
        """All streams for so long."""
        found: dict[str, dict[str, float]] = {}

        async def run(stream: Stream, delay: float) -> None:
            found[stream.name] = await stream.span(seconds, pace, delay)

        async with trio.open_nursery() as nursery:
            for number, stream in enumerate(self.streams):
                # Not all at the same moment: a stream shall not wait for another one.
                nursery.start_soon(run, stream, number / len(self.streams) / pace)
        return {stream.name: found[stream.name] for stream in self.streams}


async def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """The figures of each round: of the streams in both spans, and of the greedy partner."""
    rounds = []
    async with AsyncExitStack() as stack:
        world = World(folder, stack)
        await world.begin(pin=args.pin)
        await world.span(SETTLE, args.pace)
        for _ in range(args.rounds):
            alone = await world.span(args.seconds, args.pace)
            heard, said = multiprocessing.get_context("spawn").Pipe(duplex=False)
            glutton = multiprocessing.get_context("spawn").Process(
                target=feast, args=(folder, world.places, args.rate, args.seconds, said)
            )
            glutton.start()
            await trio.to_thread.run_sync(heard.recv)
            beside = await world.span(args.seconds, args.pace)
            figures = await trio.to_thread.run_sync(heard.recv)
            await trio.to_thread.run_sync(glutton.join)
            rounds.append({"alone": alone, "beside": beside, "greedy": figures})
        with Client(folder / "control.sock") as client:
            partners = client.call_json("federation.partners")["partners"]
    return {
        "rounds": rounds,
        "partners": partners,
        "seconds": args.seconds,
        "rate": args.rate,
        "pace": args.pace,
    }


def table(found: dict[str, Any]) -> str:
    """What people read: medians over the rounds."""
    rounds = found["rounds"]
    lines = [f"{'stream':<20}{'greedy':<8}{'sent':>7}{'200':>7}{'p50 ms':>9}{'p99 ms':>9}"]
    lines.append("-" * len(lines[0]))
    for name in rounds[0]["alone"]:
        for span, word in (("alone", "silent"), ("beside", "sends")):
            rows = [one[span][name] for one in rounds]
            sent, ok = (sum(row[key] for row in rows) for key in ("sent", "ok"))
            p50, p99 = (statistics.median(row[key] for row in rows) for key in ("p50", "p99"))
            lines.append(f"{name:<20}{word:<8}{sent:>7}{ok:>7}{p50:>9.2f}{p99:>9.2f}")
    lines += ["", f"{'greedy partner':<20}{'sent':>7}{'200':>7}{'503':>7}{'200/s':>8}{'waited':>9}"]
    lines += [
        f"{f'round {number}':<20}{one['sent']:>7}{one['accepted']:>7}{one['refused']:>7}"
        f"{one['accepted_per_second']:>8.1f}{one['longest_wait']:>7.2f} s"
        for number, one in enumerate((one["greedy"] for one in rounds), 1)
    ]
    lines += [
        "",
        f"# rounds={len(rounds)} of 2 x {found['seconds']:g} s; messages a second: "
        f"{found['pace']:g} on each stream, {found['rate']:g} of the greedy; medians",
    ]
    return "\n".join(lines)


def main() -> None:
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="sipx-federation.") as folder:
        found = trio.run(measure, args, Path(folder))
    print(json.dumps(found) if args.json else table(found))
    rows = [row for one in found["rounds"] for span in SPANS for row in one[span].values()]
    if any(row["ok"] < row["sent"] for row in rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
