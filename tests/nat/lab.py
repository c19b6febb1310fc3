"""A router of any kind on one machine: three network namespaces, and nftables in the middle one.

    inside 10.99.1.2 --- 10.99.1.1 router 203.0.113.1 --- 203.0.113.10 and .11 outside

Several labs are apart from each other: all have the same addresses, none sees another, and none
touches the network of the machine. They need root. The names of the namespaces carry the process
id of the tests, so that what a killed run left behind is found, and removed, by the next.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, ClassVar

import psutil

from tests.interop.programs import Process, program, wait_until

from .rules import KINDS, WITHOUT_NAT, Family, rules

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

__all__ = [
    "INSIDE",
    "INSIDE_6",
    "KINDS",
    "OUTSIDE",
    "OUTSIDE_2",
    "OUTSIDE_2_6",
    "OUTSIDE_6",
    "PUBLIC",
    "PUBLIC_6",
    "ROUTER",
    "ROUTER_6",
    "Lab",
    "LabError",
    "Space",
    "remove_leftovers",
]

INSIDE, ROUTER = "10.99.1.2", "10.99.1.1"
PUBLIC, SPARE = "203.0.113.1", "203.0.113.3"
OUTSIDE, OUTSIDE_2 = "203.0.113.10", "203.0.113.11"
INSIDE_6, ROUTER_6 = "fd99:1::2", "fd99:1::1"
PUBLIC_6, SPARE_6 = "2001:db8:203::1", "2001:db8:203::3"
OUTSIDE_6, OUTSIDE_2_6 = "2001:db8:203::10", "2001:db8:203::11"

_SPACES = ("inside", "router", "outside")
_NAME = re.compile(r"sipx-nat-(\d+)-\d+-(?:inside|router|outside)")
_CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """The machine cannot, or will not, make the lab."""


def _call(argv: Sequence[str], text: str | None = None) -> str:
    """A program that is to succeed; what it wrote."""
    done = subprocess.run(
        [program(argv[0]), *argv[1:]],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}\n{text or ''}")
    return done.stdout


class Space:
    """One of the three network namespaces, and the programs in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.processes: list[Process] = []

    def run(
        self, argv: Sequence[str], *, seconds: float = 60, text: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever its exit status.

        ``seconds`` is how long that may take, ``text`` its standard input.
        """
        return subprocess.run(
            self._argv(argv),
            input=text or "",
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def call(self, argv: Sequence[str], text: str | None = None) -> str:
        """Run a program that is to succeed; what it wrote. Raises LabError."""
        return _call(["ip", "netns", "exec", self.name, *argv], text)

    def sipx(self, *argv: str, seconds: float = 90) -> subprocess.CompletedProcess[str]:
        """Run a command of sipx to its end, whatever its exit status."""
        return self.run([sys.executable, "-m", "sipx", *argv], seconds=seconds)

    def start(
        self, argv: Sequence[str], *, log: Path, environment: dict[str, str] | None = None
    ) -> Process:
        """Start a program that ends with the lab at the latest.

        ``log``, named NAME.log, takes all it says; the folder of it is where the program runs.
        """
        process = Process(log.stem, self._argv(argv), log.parent, environment)
        self.processes.append(process)
        return process

    def socket(
        self,
        kind: socket.SocketKind = socket.SOCK_DGRAM,
        family: socket.AddressFamily = socket.AF_INET,
    ) -> socket.socket:
        """A socket of the test's own process that lives in this namespace."""
        made: list[socket.socket] = []
        faults: list[int] = []

        def make() -> None:
            # setns() is for the thread that calls it, and this one has nothing else to do.
            with open(f"/run/netns/{self.name}", "rb") as namespace:  # noqa: PTH123
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    faults.append(ctypes.get_errno())
                    return
            made.append(socket.socket(family, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        if not made:
            why = os.strerror(faults[0]) if faults else "no socket"
            raise LabError(f"{self.name}: {why}")
        return made[0]

    def wait_bound(self, port: int, protocol: str, process: Process) -> None:
        """Wait until somebody here, presumably ``process``, has the port of UDP or TCP."""
        ask = ["ss", "-Hln", f"--{protocol}", f"sport = :{port}"]
        what = f"{process.name} on port {port}"
        wait_until(lambda: bool(self.call(ask)) or not process.alive, what, seconds=60)
        assert process.alive, process.tail()

    def end(self) -> None:
        """End what was started here: all at once, politely first."""
        for process in self.processes:
            if process.alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    psutil.Process(process.pid).terminate()
        for process in reversed(self.processes):
            process.end()
        self.processes.clear()

    def _argv(self, argv: Sequence[str]) -> list[str]:
        return [program("ip"), "netns", "exec", self.name, *argv]


class Lab:
    """A lab with a router of one kind, for the time of a ``with`` block.

    ``forward`` are the TCP and UDP ports of the public address that lead to the inside;
    ``hairpin`` lets them be reached from the inside too. With ``ipv6`` all three have IPv6
    addresses as well, and the router does the same with them.
    """

    _count: ClassVar = itertools.count(1)

    def __init__(
        self,
        kind: str,
        *,
        forward: Collection[int] = (),
        hairpin: bool = False,
        ipv6: bool = False,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of router; these are: {', '.join(KINDS)}")
        prefix = f"sipx-nat-{os.getpid()}-{next(self._count)}"
        self.kind = kind
        self.inside, self.router, self.outside = (Space(f"{prefix}-{name}") for name in _SPACES)
        self._spaces = (self.inside, self.router, self.outside)
        self._families = [Family("ip", PUBLIC, SPARE, INSIDE, (OUTSIDE, OUTSIDE_2), 24)]
        if ipv6:
            outside = (OUTSIDE_6, OUTSIDE_2_6)
            self._families.append(Family("ip6", PUBLIC_6, SPARE_6, INSIDE_6, outside, 64))
        self._forward = sorted(forward)
        self._hairpin = hairpin

    def __enter__(self) -> Lab:
        remove_leftovers()
        try:
            self._build()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for space in self._spaces:
                space.end()
        finally:
            self._remove()

    def change_public(self, address: str) -> None:
        """The router's public address moves, as when a provider gives a new one.

        What the router knew of connections is gone with the old one.
        """
        name = "ip6" if ":" in address else "ip"
        family = next(family for family in self._families if family.name == name)
        old, family.public = family.public, address
        bits = family.bits
        self._ip(
            self.router,
            f"addr del {old}/{bits} dev wan0",
            f"addr add {address}/{bits} dev wan0",
        )
        if self.kind in WITHOUT_NAT:
            self._route_back()
        self._load_rules()
        # Its own neighbours' tables need no help: nobody asks for the old address any more.
        self.router.call([sys.executable, "-c", _FORGET_CONNECTIONS])

    # ------------------------------------------------------------ making and removing

    def _build(self) -> None:
        six = len(self._families) > 1
        # With a prefix of its own no masquerade takes it for the router's own address.
        spares = (f"{SPARE}/32", *([f"{SPARE_6}/128"] if six else []))
        if self.kind != "symmetric-per-address":
            spares = ()
        for space in self._spaces:
            _call(["ip", "netns", "add", space.name])
            if six:
                # Nobody else can have the addresses: they are to be of use at once.
                space.call(_write("0", *(f"net/ipv6/conf/{of}/accept_dad" for of in _LINKS)))
        switches = ["net/ipv4/ip_forward", *(["net/ipv6/conf/all/forwarding"] if six else [])]
        self.router.call(_write("1", *switches))
        self._ip(
            self.router,
            "link set lo up",
            f"link add lan0 type veth peer name lan0 netns {self.inside.name}",
            f"link add wan0 type veth peer name wan0 netns {self.outside.name}",
            f"addr add {ROUTER}/24 dev lan0",
            f"addr add {PUBLIC}/24 dev wan0",
            *([f"addr add {ROUTER_6}/64 dev lan0"] if six else []),
            *([f"addr add {PUBLIC_6}/64 dev wan0"] if six else []),
            *(f"addr add {spare} dev wan0" for spare in spares),
            "link set lan0 up",
            "link set wan0 up",
        )
        self._ip(
            self.inside,
            "link set lo up",
            f"addr add {INSIDE}/24 dev lan0",
            *([f"addr add {INSIDE_6}/64 dev lan0"] if six else []),
            "link set lan0 up",
            f"route add default via {ROUTER}",
            *([f"-6 route add default via {ROUTER_6}"] if six else []),
        )
        self._ip(
            self.outside,
            "link set lo up",
            f"addr add {OUTSIDE}/24 dev wan0",
            f"addr add {OUTSIDE_2}/24 dev wan0",
            # Of IPv6 the newest address is the one that is taken where none is asked for.
            *([f"addr add {OUTSIDE_2_6}/64 dev wan0"] if six else []),
            *([f"addr add {OUTSIDE_6}/64 dev wan0"] if six else []),
            "link set wan0 up",
        )
        if self.kind in WITHOUT_NAT:
            self._route_back()
        self._load_rules()

    def _route_back(self) -> None:
        """Without NAT the outside has to know the way to the inside."""
        for family in self._families:
            network = "10.99.1.0/24" if family.name == "ip" else "fd99:1::/64"
            flag = "" if family.name == "ip" else "-6 "
            self._ip(self.outside, f"{flag}route replace {network} via {family.public}")

    def _load_rules(self) -> None:
        for family in self._families:
            text = rules(self.kind, family, self._forward, hairpin=self._hairpin)
            self.router.call(["nft", "-f", "-"], text)

    def _ip(self, space: Space, *commands: str) -> None:
        """Commands of ip(8), one after the other, in a namespace."""
        # One batch is of one family, and only the routes of IPv6 ask for another.
        for six, group in itertools.groupby(commands, lambda one: one.startswith("-6 ")):
            text = "".join(f"{command.removeprefix('-6 ')}\n" for command in group)
            argv = ["ip", *(["-6"] if six else []), "-n", space.name, "-batch", "-"]
            _call(argv, text)

    def _remove(self) -> None:
        for space in self._spaces:
            _remove(space.name)


_LINKS = ("all", "default")


def _write(value: str, *switches: str) -> list[str]:
    """The command that sets kernel parameters, in whatever namespace it is run."""
    script = 'value=$1; shift; for one; do echo "$value" > "/proc/sys/$one" || exit 1; done'
    return ["sh", "-c", script, "sh", value, *switches]


_FORGET_CONNECTIONS = """
import socket, struct
IPCTNL_MSG_CT_DELETE, REQUEST_AND_ACK = 1 << 8 | 2, 5
with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as netfilter:
    netfilter.send(struct.pack("=IHHII4x", 20, IPCTNL_MSG_CT_DELETE, REQUEST_AND_ACK, 1, 0))
    fault = struct.unpack_from("=i", netfilter.recv(4096), 16)[0]
    raise SystemExit(fault and f"conntrack is not emptied: error {-fault}")
"""
"""What `conntrack -F` does; without a name of its own no connection is meant, so all are."""


def _remove(name: str) -> None:
    """Kill what still runs in a namespace, and remove it; one that is gone is no error."""
    ip = program("ip")
    told = subprocess.run([ip, "netns", "pids", name], capture_output=True, text=True, check=False)
    for pid in told.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run([ip, "netns", "del", name], capture_output=True, check=False)


def remove_leftovers() -> None:
    """Remove the labs of test runs that were killed."""
    for line in _call(["ip", "netns", "list"]).splitlines():
        found = _NAME.fullmatch(line.split()[0])
        if found and not psutil.pid_exists(int(found[1])):
            _remove(found[0])
