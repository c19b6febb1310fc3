"""`sipx run` behind a router: it finds its public address and takes up another one, and it answers
STUN on its SIP ports.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from select import select
from typing import TYPE_CHECKING, Any

import pytest

from sipx.control.client import Client
from tests.interop.programs import program, wait_until

from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC, Lab, Space
from .servers import PORT, start_coturn, start_stund, wait_ready

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.nat

MOVED, OTHER = "203.0.113.2", "203.0.113.99"
SIP = 5060
UC = "10.99.1.3"
_FILE = """\
config_version = 1
domains = ["home.example"]
plugins = ["udp", "tcp", "static-routes", "stun"]

[interface.udp]
bind = "{address}"
port = {sip}
protocol = "udp"

[interface.tcp]
bind = "{address}"
port = {sip}
protocol = "tcp"

[static-routes.route."home.example"]
server = "10.99.1.3"
protocol = "udp"
trusted = true
insecure_trust = "yes, there are no strangers in the laboratory"

[static-routes.route."away.example"]
server = "203.0.113.11"
protocol = "udp"
trusted = true
insecure_trust = "yes, there are no strangers in the laboratory"

[wan]
use_public_address = true

[stun]
servers = {servers}
interval = "1h"

[service]
state_dir = "{folder}/state"
control_socket = "{folder}/control.sock"
stop_timeout = "1s"
"""


class Proxy:
    """`sipx run` in a namespace."""

    def __init__(self, space: Space, folder: Path, address: str, servers: tuple[str, ...]) -> None:
        folder.mkdir(exist_ok=True)
        self.space = space
        self.folder = folder
        self.file = folder / "sipx.toml"
        listed = json.dumps([f"{server}:{PORT}" for server in servers])
        self.file.write_text(_FILE.format(address=address, sip=SIP, servers=listed, folder=folder))
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-m", "sipx", "run", "--json", "--config", str(self.file)]
        self.process = self.space.start(argv, log=self.folder / "sipx.log")
        self.space.wait_bound(SIP, "tcp", self.process)

    def call(self, method: str) -> Any:
        """A method of its control socket."""
        with Client(self.folder / "control.sock") as client:
            return client.call_json(method)

    def source(self) -> dict[str, Any]:
        """What STUN has found so far."""
        sources = self.call("stun.status")["sources"]
        return sources[0] if sources else {}

    def advertised(self) -> set[str]:
        """What stands in messages in the place of its own address."""
        return {one["advertised"] for one in self.call("status")["interfaces"]}

    def wait_for(self, **expected: str) -> None:
        """Until this has been found."""

        def there() -> bool:
            source = self.source()
            return all(source.get(key) == value for key, value in expected.items())

        try:
            wait_until(there, f"{expected}", 60)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.source()}\n{self.process.tail()}") from None


class Dialog:
    """A subscription of the partner at OUTSIDE_2 to somebody behind the UC server, byte by byte."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        lab.inside.call(["ip", "addr", "add", f"{UC}/24", "dev", "lan0"])
        self.partner = stack.enter_context(closing(lab.outside.socket()))
        self.uc = stack.enter_context(closing(lab.inside.socket()))
        for end, address in ((self.partner, OUTSIDE_2), (self.uc, UC)):
            end.settimeout(10)
            end.bind((address, SIP))
        self.routes: list[str] = []
        self._number = 0

    def subscribe(self, to: str) -> int:
        """Send a SUBSCRIBE, the first or a further one, to an address of sipx; the status."""
        self._number += 1
        first = self._number == 1
        uri = "sip:ada@home.example" if first else f"sip:ada@{UC}"
        lines = [
            f"SUBSCRIBE {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {OUTSIDE_2}:{SIP};branch=z9hG4bK{self._number}",
            "Max-Forwards: 70",
            "From: <sip:bob@away.example>;tag=far",
            "To: <sip:ada@home.example>" + ("" if first else ";tag=near"),
            "Call-ID: one@away.example",
            f"CSeq: {self._number} SUBSCRIBE",
            f"Contact: <sip:bob@{OUTSIDE_2}>",
            "Event: presence",
            "Expires: 600",
            *(f"Route: {route}" for route in self.routes),
            "Content-Length: 0",
        ]
        self.partner.sendto("\r\n".join([*lines, "", ""]).encode(), (to, SIP))
        # It comes to the UC server, or the answer comes from sipx.
        if self.uc in select([self.uc, self.partner], [], [], 10)[0]:
            self._accept(*self.uc.recvfrom(4000))
        return int(self.partner.recv(4000).split()[1])

    def _accept(self, request: bytes, source: tuple[str, int]) -> None:
        lines = request.decode().split("\r\n")
        names = ("Via:", "From:", "To:", "Call-ID:", "CSeq:", "Record-Route:")
        copied = [line for line in lines if line.startswith(names)]
        if not self.routes:
            said = [line for line in lines if line.startswith("Record-Route:")]
            self.routes = [line.partition(": ")[2] for line in said]
            copied = [line + ";tag=near" if line.startswith("To:") else line for line in copied]
        more = [f"Contact: <sip:ada@{UC}>", "Expires: 600", "Content-Length: 0", "", ""]
        self.uc.sendto("\r\n".join(["SIP/2.0 200 OK", *copied, *more]).encode(), source)


def test_the_public_address_is_found_and_a_change_is_taken_up(tmp_path: Path) -> None:
    with Lab("full-cone", forward=(SIP,)) as lab, ExitStack() as stack:
        wait_ready(lab, start_stund(lab, tmp_path / "stund"))
        dialog = Dialog(lab, stack)
        home = Proxy(lab.inside, tmp_path / "home", INSIDE, (OUTSIDE, OUTSIDE_2))
        home.wait_for(public=PUBLIC, nat="Full Cone", candidate="")
        assert home.advertised() == {f"{PUBLIC}:{SIP}"}
        shown = lab.inside.sipx("status", "--config", str(home.file)).stdout
        assert PUBLIC in shown
        assert "Full Cone" in shown
        assert dialog.subscribe(PUBLIC) == 200
        assert f"@{PUBLIC}:{SIP};" in dialog.routes[0]

        lab.change_public(MOVED)
        with ThreadPoolExecutor() as threads:
            looking = threads.submit(home.call, "stun.detect")
            # One run has found it, and another one has to.
            home.wait_for(public=PUBLIC, candidate=MOVED)
            assert home.advertised() == {f"{PUBLIC}:{SIP}"}
            (source,) = looking.result()["sources"]
        assert (source["public"], source["candidate"]) == (MOVED, "")
        assert home.advertised() == {f"{MOVED}:{SIP}"}
        assert "Full Cone" in home.call("stun.status")["sources"][0]["nat"]

        # A dialog keeps the routes that it began with, also over a restart.
        assert dialog.subscribe(MOVED) == 200
        home.process.end()
        home.start()
        assert home.advertised() == {f"{MOVED}:{SIP}"}
        assert dialog.subscribe(MOVED) == 200
        dialog.routes[0] = dialog.routes[0].replace(PUBLIC, OTHER)
        assert dialog.subscribe(MOVED) == 403


def test_an_address_that_only_one_run_finds_is_not_used(tmp_path: Path) -> None:
    with Lab("full-cone", forward=(SIP,)) as lab:
        wait_ready(lab, start_coturn(lab, tmp_path / "coturn"))
        home = Proxy(lab.inside, tmp_path / "home", INSIDE, (OUTSIDE,))
        home.wait_for(public=PUBLIC, nat="Full Cone", candidate="")
        lab.change_public(MOVED)
        with ThreadPoolExecutor() as threads:
            looking = threads.submit(home.call, "stun.detect")
            home.wait_for(public=PUBLIC, candidate=MOVED)
            lab.change_public(PUBLIC)
            (source,) = looking.result()["sources"]
        assert (source["public"], source["candidate"]) == (PUBLIC, "")
        assert home.advertised() == {f"{PUBLIC}:{SIP}"}


def test_another_address_of_the_machine_is_a_reason_to_look_again(tmp_path: Path) -> None:
    with Lab("full-cone", forward=(SIP,)) as lab:
        wait_ready(lab, start_stund(lab, tmp_path / "stund"))
        home = Proxy(lab.inside, tmp_path / "home", INSIDE, (OUTSIDE,))
        home.wait_for(public=PUBLIC, nat="Full Cone", candidate="")
        lab.change_public(MOVED)
        lab.inside.call(["ip", "addr", "add", f"{UC}/24", "dev", "lan0"])
        home.wait_for(public=MOVED, candidate="")
        assert home.advertised() == {f"{MOVED}:{SIP}"}


def test_an_address_stays_when_the_servers_fall_silent(tmp_path: Path) -> None:
    with Lab("full-cone", forward=(SIP,)) as lab:
        server = start_stund(lab, tmp_path / "stund")
        wait_ready(lab, server)
        home = Proxy(lab.inside, tmp_path / "home", INSIDE, (OUTSIDE,))
        text = home.file.read_text().replace('"1h"', '"1h"\ntimeout = "2s"')
        home.file.write_text(text)
        home.call("reload")
        home.wait_for(public=PUBLIC, nat="Full Cone", candidate="")
        server.end()
        (source,) = home.call("stun.detect")["sources"]
        assert source["public"] == PUBLIC
        assert source["error"]
        assert home.advertised() == {f"{PUBLIC}:{SIP}"}


@pytest.mark.parametrize("kind", ["linux-masquerade", "symmetric"])
def test_the_sip_port_outside_tells_who_is_behind_a_router_his_address(
    tmp_path: Path, kind: str
) -> None:
    """RFC 5626 §8, asked by Debian's client (RFC 3489), by coturn's, and by our own."""
    with Lab(kind) as lab:
        Proxy(lab.outside, tmp_path / "away", OUTSIDE, ())
        old = lab.inside.run(["timeout", "20", program("stun"), f"{OUTSIDE}:{SIP}", "1", "-v"])
        assert f"MappedAddress = {PUBLIC}:" in old.stdout + old.stderr, old
        newer = lab.inside.run([program("turnutils_stunclient"), "-p", str(SIP), OUTSIDE])
        assert f"reflexive addr: {PUBLIC}:" in newer.stdout, newer
        ours = lab.inside.sipx("stun", f"{OUTSIDE}:{SIP}", "--json")
        assert ours.returncode == 0, ours.stderr
        assert json.loads(ours.stdout)["detections"][0]["public"] == PUBLIC


def test_the_sip_port_inside_answers_through_a_forwarded_port(tmp_path: Path) -> None:
    with Lab("linux-masquerade", forward=(SIP,)) as lab:
        Proxy(lab.inside, tmp_path / "home", INSIDE, ())
        told = lab.outside.run(["timeout", "20", program("stun"), f"{PUBLIC}:{SIP}", "1", "-v"])
        said = told.stdout + told.stderr
        assert f"MappedAddress = {OUTSIDE}:" in said, said
