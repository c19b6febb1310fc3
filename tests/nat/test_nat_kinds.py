"""`sipx stun --nat` behind every kind of router, with three servers that know nothing of it.

What it finds takes up to 9.5 s where silence is the answer: all kinds are looked at side by side.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from .lab import (
    INSIDE,
    INSIDE_6,
    KINDS,
    OUTSIDE,
    OUTSIDE_2,
    OUTSIDE_2_6,
    OUTSIDE_6,
    PUBLIC,
    PUBLIC_6,
    Lab,
)
from .servers import PORT, SERVERS, wait_ready

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.interop.programs import Process

pytestmark = pytest.mark.nat

INDEPENDENT = "endpoint-independent"
BY_ADDRESS = "address-dependent"
BY_PORT = "address-and-port-dependent"
BLOCKED = ("Firewall blocking UDP", "unknown", "unknown", "")
EXPECTED = {
    "open": ("Open Internet", "no NAT", INDEPENDENT, INSIDE),
    "symmetric-firewall": ("Symmetric UDP Firewall", "no NAT", BY_PORT, INSIDE),
    "udp-blocked": BLOCKED,
    "udp-rejected": BLOCKED,
    "full-cone": ("Full Cone", INDEPENDENT, INDEPENDENT, PUBLIC),
    "restricted-cone": ("Restricted Cone", INDEPENDENT, BY_ADDRESS, PUBLIC),
    "port-restricted-cone": ("Port Restricted Cone", INDEPENDENT, BY_PORT, PUBLIC),
    "symmetric": ("Symmetric NAT", BY_PORT, BY_PORT, PUBLIC),
    "symmetric-per-address": ("Symmetric NAT", BY_ADDRESS, BY_PORT, PUBLIC),
    # The walk of RFC 3489 §10.1 calls this one symmetric, as its own test II makes it so.
    "linux-masquerade": ("Port Restricted Cone", INDEPENDENT, BY_PORT, PUBLIC),
    "linux-masquerade-input-drop": ("Port Restricted Cone", INDEPENDENT, BY_PORT, PUBLIC),
}
"""The word, the mapping, the filtering and the public address, by kind of router."""
EXPECTED_6 = {
    "open": ("Open Internet", "no NAT", INDEPENDENT, INSIDE_6),
    "symmetric-firewall": ("Symmetric UDP Firewall", "no NAT", BY_PORT, INSIDE_6),
    "linux-masquerade": ("Port Restricted Cone", INDEPENDENT, BY_PORT, PUBLIC_6),
}
WITHOUT_SECOND = ("Unknown", "unknown", "unknown", PUBLIC)
TRY_LATER = 75


@dataclass(frozen=True)
class Case:
    """A server, where it is, and the router that it is asked through."""

    server: str
    kind: str
    expected: tuple[str, ...]
    first: str = OUTSIDE
    second: str | None = OUTSIDE_2

    def __str__(self) -> str:
        more = "-one-address" if self.second is None else "-ipv6" if ":" in self.first else ""
        return f"{self.server}-{self.kind}{more}"

    def lab(self) -> Lab:
        return Lab(self.kind, ipv6=":" in self.first)

    def start(self, lab: Lab, folder: Path) -> Process:
        """Start the server."""
        return SERVERS[self.server](lab, folder, self.first, self.second)

    def ask(self, lab: Lab, folder: Path) -> Process:
        """Ask it from the inside."""
        server = f"[{self.first}]:{PORT}" if ":" in self.first else f"{self.first}:{PORT}"
        argv = [sys.executable, "-m", "sipx", "stun", server, "--nat", "--json"]
        # Where nothing comes at all it is not waited as long as on a slow line.
        argv += ["--timeout", "3"] if self.expected is BLOCKED else []
        return lab.inside.start(argv, log=folder / "asked.log")


CASES = [
    *(Case(server, kind, EXPECTED[kind]) for server in SERVERS for kind in KINDS),
    *(
        Case("sipx", kind, expected, OUTSIDE_6, OUTSIDE_2_6)
        for kind, expected in EXPECTED_6.items()
    ),
    Case("sipx", "restricted-cone", WITHOUT_SECOND, second=None),
    Case("coturn", "restricted-cone", WITHOUT_SECOND, second=None),
]

Told = tuple[int, dict[str, Any]]
"""The exit status, and the one thing that was found."""


def told(asked: Process) -> Told:
    """What a run of `sipx stun` came to."""
    status = asked.wait(90)
    text = asked.log.read_text()
    begin = text.find("{\n")
    assert begin >= 0, asked.tail()
    (found,) = json.JSONDecoder().raw_decode(text[begin:])[0]["detections"]
    return status, found


def all_told(server: str, folder: Path) -> dict[Case, Told]:
    """What one server brings to light behind each kind of router."""
    cases = {case: folder / str(case) for case in CASES if case.server == server}
    with ExitStack() as stack:
        labs = {case: stack.enter_context(case.lab()) for case in cases}
        servers = {case: case.start(labs[case], place) for case, place in cases.items()}
        asked: dict[Case, Process] = {}
        for case, place in cases.items():
            wait_ready(labs[case], servers[case])
            asked[case] = case.ask(labs[case], place)
        return {case: told(process) for case, process in asked.items()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[Case, Told]]:
    """By server, each asked once."""
    return cache(lambda server: all_told(server, tmp_path_factory.mktemp(server)))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_kind_and_the_public_address_are_found(
    answers: Callable[[str], dict[Case, Told]], case: Case
) -> None:
    status, found = answers(case.server)[case]
    gist = (found["nat"], found["mapping"], found["filtering"], found["public"])
    assert gist == case.expected, found
    assert status == (TRY_LATER if case.expected is BLOCKED else 0), found
    assert ("second address" in found["error"]) is (case.expected is WITHOUT_SECOND), found
