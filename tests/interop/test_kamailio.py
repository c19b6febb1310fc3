"""Kamailio is the partner's proxy: calls whose dialogs follow both proxies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .programs import Process, free_port, program, wait_bound
from .proxy import RunningProxy, route
from .sipp import CLIENT, SERVER, Figures, scenario, start

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop

OURS = "a.example"
PARTNER = "b.example"
KAMAILIO = "127.0.0.4"
CALLS = 50
MODULES = sorted(Path("/usr").glob("lib*/**/kamailio/modules/tm.so"))


class PartnerProxy:
    """A Kamailio on 127.0.0.4, whose users are all at one place."""

    def __init__(self, folder: Path, callee_port: int) -> None:
        self.port = free_port(KAMAILIO)
        text = Path(__file__).with_name("kamailio.cfg").read_text()
        for name, value in {
            "IP": KAMAILIO,
            "PORT": self.port,
            "MPATH": MODULES[0].parent,
            "DOMAIN": PARTNER,
            "CALLEE": f"{SERVER}:{callee_port}",
        }.items():
            text = text.replace(f"@{name}@", str(value))
        file = folder / "kamailio.cfg"
        file.write_text(text)
        argv = [program("kamailio"), "-DD", "-E", "-m", "64", "-M", "8", "-f", str(file)]
        argv += ["-Y", str(folder), "-P", str(folder / "pid"), "-w", str(folder)]
        self.process = Process("kamailio", argv, folder)
        wait_bound(KAMAILIO, self.port, "tcp", self.process)


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[list[Process]]:
    """What a test starts; ended with it."""
    program("kamailio")
    program("sipp")
    started: list[Process] = []
    yield started
    for process in reversed(started):
        process.end()


@pytest.mark.parametrize(
    ("near", "far"),
    [("udp", "udp"), ("tcp", "tcp"), ("udp", "tcp"), ("tcp", "udp")],
    ids=lambda protocol: str(protocol),
)
@pytest.mark.parametrize(
    ("uac", "uas"),
    [
        ("invite_uac", "invite_uas"),
        ("invite_uac_hung_up", "invite_uas_hangs_up"),
    ],
    ids=["caller-hangs-up", "callee-hangs-up"],
)
def test_a_dialog_follows_the_record_routes_of_both_proxies(
    tmp_path: Path, peers: list[Process], near: str, far: str, uac: str, uas: str
) -> None:
    client, server = free_port(CLIENT), free_port(SERVER)
    kamailio = PartnerProxy(tmp_path, server)
    peers.append(kamailio.process)
    tables = route(OURS, CLIENT, client, near) + route(PARTNER, KAMAILIO, kamailio.port, far)
    proxy = RunningProxy(tmp_path, domain=OURS, tables=tables)
    peers.append(proxy.process)
    kamailio_place = f"{KAMAILIO}:{kamailio.port}"
    callee = start(
        "uas",
        tmp_path,
        [*scenario(uas), "-rsa", kamailio_place, kamailio_place],
        address=SERVER,
        port=server,
        protocol="udp",
    )
    peers.append(callee)
    wait_bound(SERVER, server, "udp", callee)
    keys = ["-key", "caller_domain", OURS, "-key", "callee_domain", PARTNER]
    place = proxy.place(near)
    caller = start(
        "uac",
        tmp_path,
        [*scenario(uac), *keys, "-m", str(CALLS), "-r", "50", "-timeout", "30s", place],
        address=CLIENT,
        port=client,
        protocol=near,
    )
    peers.append(caller)
    caller.wait(40)
    for process in reversed(peers):
        process.end()
    figures = Figures.read(tmp_path / "uac.csv")
    complaints = "".join(file.read_text(errors="replace") for file in tmp_path.glob("*.errors"))
    assert figures == Figures(
        created=CALLS, successful=CALLS, failed=0, retransmitted=0, incoming=0
    ), complaints[:3000] + proxy.said
    assert Figures.read(tmp_path / "uas.csv").failed == 0, complaints[:3000]
