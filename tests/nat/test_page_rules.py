"""The firewall rules of docs/nat.md do what the page says of them."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC, ROUTER, Lab, Space

pytestmark = pytest.mark.nat

PAGE = Path(__file__).parents[2] / "docs/nat.md"
PLACES = {
    "203.0.113.5": PUBLIC,
    "10.0.0.0/24": "10.99.1.0/24",
    "10.0.0.10": INSIDE,
    "10.0.0.1 ": f"{ROUTER} ",
    "10.0.0.1\n": f"{ROUTER}\n",
    "198.51.100.7": OUTSIDE,
    "198.51.100.8": OUTSIDE_2,
}
PATIENCE = 10.0
"""Seconds for a packet that has no way to go."""


def rules() -> list[str]:
    """The rules of the page: two for routers, one for the machine of sipx."""
    found = re.findall(r"^```nft\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.M | re.S)
    for theirs, ours in PLACES.items():
        found = [text.replace(theirs, ours) for text in found]
    return found


def load(space: Space, text: str) -> None:
    space.call(["nft", "flush", "ruleset"])
    space.call(["nft", "-f", "-"], text)


class Server:
    """Waits inside at port 5061 over TCP."""

    def __init__(self, lab: Lab) -> None:
        self._socket = lab.inside.socket(socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self._socket.bind((INSIDE, 5061))
        self._socket.listen()

    def reached(self, space: Space, address: str) -> str:
        """Who the client is that connects from there to port 5061 of ``address``."""
        with space.socket(socket.SOCK_STREAM) as client:
            client.settimeout(PATIENCE)
            client.connect((address, 5061))
            connection, peer = self._socket.accept()
            connection.close()
            return str(peer[0])

    def close(self) -> None:
        self._socket.close()


@pytest.mark.parametrize("number", [0, 1], ids=["static", "dynamic"])
def test_the_rules_of_the_router_forward_the_port_from_outside_and_from_inside(number: int) -> None:
    with Lab("linux-masquerade") as lab:
        load(lab.router, rules()[number])
        server = Server(lab)
        assert server.reached(lab.outside, PUBLIC) == OUTSIDE
        assert server.reached(lab.inside, PUBLIC) == ROUTER
        if number == 1:
            with pytest.raises(ConnectionRefusedError):
                server.reached(lab.inside, ROUTER)
        server.close()


def test_the_rules_of_the_router_keep_the_port_of_udp_in_both_directions() -> None:
    with Lab("linux-masquerade") as lab:
        load(lab.router, rules()[0])
        with lab.inside.socket() as inside, lab.outside.socket() as outside:
            inside.settimeout(PATIENCE)
            outside.settimeout(PATIENCE)
            inside.bind((INSIDE, 5060))
            outside.bind((OUTSIDE, 9))
            inside.sendto(b"out", (OUTSIDE, 9))
            assert outside.recvfrom(9) == (b"out", (PUBLIC, 5060))
        with lab.inside.socket() as inside, lab.outside.socket() as outside:
            inside.settimeout(PATIENCE)
            inside.bind((INSIDE, 5060))
            outside.bind((OUTSIDE_2, 99))
            outside.sendto(b"unasked", (PUBLIC, 5060))
            assert inside.recvfrom(9) == (b"unasked", (OUTSIDE_2, 99))


def test_the_rules_of_the_machine_let_out_what_sipx_needs_and_nothing_else() -> None:
    with Lab("linux-masquerade", forward=(5061,)) as lab:
        load(lab.inside, rules()[2])
        server = Server(lab)
        assert server.reached(lab.outside, PUBLIC) == OUTSIDE
        server.close()
        with lab.inside.socket() as sock:
            for place in ((OUTSIDE, 3478), (OUTSIDE_2, 3479), (OUTSIDE, 53), (OUTSIDE, 123)):
                sock.sendto(b"x", place)
            for place in ((OUTSIDE, 9), (ROUTER, 3478)):
                with pytest.raises(PermissionError):
                    sock.sendto(b"x", place)
