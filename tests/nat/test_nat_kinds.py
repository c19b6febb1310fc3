"""`sipx stun --nat` behind every kind of router, with three servers that know nothing of it.

What it finds takes up to 9.5 s where silence is the answer: all kinds are looked at side by side.
"""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from .lab import INSIDE, INSIDE_6, KINDS, OUTSIDE, OUTSIDE_2_6, OUTSIDE_6, PUBLIC, PUBLIC_6, Lab
from .servers import PORT, SERVERS, start_coturn, start_own, wait_ready

if TYPE_CHECKING:
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

TRY_LATER = 75


@dataclass
class Asked:
    """One run of `sipx stun`."""

    process: Process

    @classmethod
    def start(cls, lab: Lab, folder: Path, *options: str, server: str = OUTSIDE) -> Asked:
        """Ask a server from the inside."""
        server = f"[{server}]:{PORT}" if ":" in server else f"{server}:{PORT}"
        argv = [sys.executable, "-m", "sipx", "stun", server, "--nat", "--json", *options]
        return cls(lab.inside.start(argv, log=folder / "asked.log"))

    def ended(self) -> tuple[int, dict[str, Any]]:
        """The exit status, and the one thing that was found."""
        status = self.process.wait(90)
        text = self.process.log.read_text()
        begin = text.find("{\n")
        assert begin >= 0, self.process.tail()
        (found,) = json.JSONDecoder().raw_decode(text[begin:])[0]["detections"]
        return status, found


def gist(found: dict[str, Any]) -> tuple[str, ...]:
    """What has to be right of it."""
    return (found["nat"], found["mapping"], found["filtering"], found["public"])


@pytest.fixture(scope="module", params=SERVERS)
def found(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, dict[str, Any]]]:
    """The exit status and what was found behind each kind of router, with one server."""
    folder = tmp_path_factory.mktemp(request.param)
    with ExitStack() as stack:
        labs = {kind: stack.enter_context(Lab(kind)) for kind in KINDS}
        start = SERVERS[request.param]
        servers = {kind: start(lab, folder / kind) for kind, lab in labs.items()}
        asked = {}
        for kind, lab in labs.items():
            wait_ready(lab, servers[kind])
            # Where nothing comes at all it is not waited as long as on a slow line.
            options = ["--timeout", "3"] if EXPECTED[kind] is BLOCKED else []
            asked[kind] = Asked.start(lab, folder / kind, *options)
        return {kind: one.ended() for kind, one in asked.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_and_the_public_address_are_found(kind: str, found: Any) -> None:
    status, told = found[kind]
    assert gist(told) == EXPECTED[kind], told
    assert status == (TRY_LATER if EXPECTED[kind] is BLOCKED else 0), told
    assert told["local"] in {INSIDE, ""}


def test_without_a_second_address_there_is_an_address_and_no_kind(tmp_path: Path) -> None:
    with Lab("restricted-cone") as one, Lab("restricted-cone") as other:
        wait_ready(one, start_own(one, tmp_path / "sipx", second=None))
        wait_ready(other, start_coturn(other, tmp_path / "coturn", second=None))
        both = [Asked.start(one, tmp_path / "sipx"), Asked.start(other, tmp_path / "coturn")]
        for status, told in [asked.ended() for asked in both]:
            assert status == 0
            assert told["nat"] == "Unknown"
            assert told["public"] == PUBLIC
            assert "second address" in told["error"]


KINDS_6 = {
    "open": ("Open Internet", "no NAT", INDEPENDENT, INSIDE_6),
    "symmetric-firewall": ("Symmetric UDP Firewall", "no NAT", BY_PORT, INSIDE_6),
    "linux-masquerade": ("Port Restricted Cone", INDEPENDENT, BY_PORT, PUBLIC_6),
}


def test_ipv6(tmp_path: Path) -> None:
    asked = {}
    with ExitStack() as labs:
        for kind in KINDS_6:
            lab = labs.enter_context(Lab(kind, ipv6=True))
            wait_ready(lab, start_own(lab, tmp_path / kind, OUTSIDE_2_6, first=OUTSIDE_6))
            asked[kind] = Asked.start(lab, tmp_path / kind, server=OUTSIDE_6)
        assert {kind: gist(one.ended()[1]) for kind, one in asked.items()} == KINDS_6
