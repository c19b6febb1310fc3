"""The laboratory itself: that a router does what the other tests take for granted."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.interop.programs import program, wait_until

from .lab import (
    INSIDE,
    INSIDE_6,
    KINDS,
    OUTSIDE,
    OUTSIDE_2,
    OUTSIDE_6,
    PUBLIC,
    PUBLIC_6,
    Lab,
    Space,
    remove_leftovers,
)
from .rules import WITHOUT_NAT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nat

NAT = [kind for kind in KINDS if kind not in WITHOUT_NAT]


def listening(space: Space, address: str, port: int) -> socket.socket:
    """A TCP socket of the test in a namespace."""
    made = space.socket(socket.SOCK_STREAM, family_of(address))
    made.settimeout(10)
    made.bind((address, port))
    made.listen()
    return made


def connected(space: Space, address: str, port: int) -> socket.socket:
    """A TCP connection of the test from a namespace."""
    made = space.socket(socket.SOCK_STREAM, family_of(address))
    made.settimeout(10)
    try:
        made.connect((address, port))
    except OSError:
        made.close()
        raise
    return made


def family_of(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def datagram_socket(space: Space, address: str, port: int) -> socket.socket:
    """A UDP socket of the test in a namespace."""
    made = space.socket()
    made.settimeout(10)
    made.bind((address, port))
    return made


def seen_from(space: Space, address: str, listener: socket.socket) -> str:
    """Connects, and says which address the listener sees."""
    port = listener.getsockname()[1]
    with closing(connected(space, address, port)), closing(listener.accept()[0]) as arrived:
        seen: str = arrived.getpeername()[0]
        return seen


@pytest.mark.parametrize("kind", KINDS)
def test_tcp_goes_out_through_every_kind_and_comes_in_on_forwarded_ports(kind: str) -> None:
    with (
        Lab(kind, forward=(5061, 5062), ipv6=True) as lab,
        closing(listening(lab.outside, OUTSIDE, 5061)) as outside,
        closing(listening(lab.inside, INSIDE, 5062)) as inside,
        closing(listening(lab.outside, OUTSIDE_6, 5061)) as outside_6,
        closing(listening(lab.inside, INSIDE_6, 5062)) as inside_6,
    ):
        own = kind in WITHOUT_NAT
        assert seen_from(lab.inside, OUTSIDE, outside) == (INSIDE if own else PUBLIC)
        assert seen_from(lab.inside, OUTSIDE_6, outside_6) == (INSIDE_6 if own else PUBLIC_6)
        assert seen_from(lab.outside, PUBLIC, inside) == OUTSIDE
        assert seen_from(lab.outside, PUBLIC_6, inside_6) == OUTSIDE_6
        with pytest.raises(ConnectionRefusedError):
            connected(lab.inside, PUBLIC, 5062)


@pytest.mark.parametrize("kind", NAT)
def test_the_public_address_moves(kind: str) -> None:
    with (
        Lab(kind) as lab,
        closing(datagram_socket(lab.outside, OUTSIDE, 5060)) as outside,
        closing(datagram_socket(lab.inside, INSIDE, 5060)) as inside,
    ):
        inside.sendto(b"before", (OUTSIDE, 5060))
        assert outside.recvfrom(100)[1][0] == PUBLIC
        lab.change_public("203.0.113.2")
        inside.sendto(b"after", (OUTSIDE, 5060))
        data, source = outside.recvfrom(100)
        assert (data, source[0]) == (b"after", "203.0.113.2")
        outside.sendto(b"answer", source)
        assert inside.recv(100) == b"answer"


def test_a_symmetric_router_has_a_mapping_for_each_end() -> None:
    with (
        Lab("symmetric-per-address") as by_address,
        Lab("symmetric") as by_port,
    ):
        for lab, one_for_both_ports in ((by_address, True), (by_port, False)):
            with closing(datagram_socket(lab.inside, INSIDE, 5060)) as inside:
                seen = []
                for place in ((OUTSIDE, 7000), (OUTSIDE, 7001), (OUTSIDE_2, 7000)):
                    with closing(datagram_socket(lab.outside, *place)) as outside:
                        inside.sendto(b"", place)
                        seen.append(outside.recvfrom(100)[1])
                assert (seen[0] == seen[1]) is one_for_both_ports
                assert seen[0] != seen[2]


def test_a_forwarded_port_is_reached_from_the_inside_with_hairpin_alone() -> None:
    with (
        Lab("linux-masquerade", forward=(5061,), hairpin=True) as lab,
        closing(listening(lab.inside, INSIDE, 5061)) as inside,
    ):
        assert seen_from(lab.inside, PUBLIC, inside) == "10.99.1.1"


def test_programs_end_with_the_lab_and_their_words_stay(tmp_path: Path) -> None:
    with Lab("open") as lab:
        told = lab.inside.start(["sh", "-c", "echo here; exec sleep 600"], log=tmp_path / "a.log")
        wait_until(lambda: "here" in told.log.read_text(), "the program")
        names = [lab.inside.name, lab.router.name, lab.outside.name]
    assert not told.alive
    assert not {*names} & {*namespaces()}


KILLED = """
import os, pathlib, signal, sys
sys.path.insert(0, {root!r})
from tests.nat.lab import Lab
with Lab("open") as lab:
    lab.inside.start(["sleep", "600"], log=pathlib.Path({log!r}))
    print(lab.inside.name, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_run_left_behind_is_removed(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    script = KILLED.format(root=str(pytestconfig.rootpath), log=str(tmp_path / "sleep.log"))
    killed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    name = killed.stdout.strip()
    assert name in namespaces(), killed.stderr
    remove_leftovers()
    assert name not in namespaces()


def namespaces() -> list[str]:
    """The names of all there are."""
    listed = subprocess.run(
        [program("ip"), "netns", "list"], capture_output=True, text=True, check=True
    )
    return [line.split()[0] for line in listed.stdout.splitlines()]


def test_the_namespaces_of_a_run_that_lives_stay() -> None:
    with Lab("open") as lab:
        remove_leftovers()
        assert f"-{os.getpid()}-" in lab.inside.name
        assert lab.inside.run(["ip", "link", "show", "lan0"]).returncode == 0
