"""docs/nat.md, "Behind NAT in ten minutes": followed in a laboratory, from first step to last.

How a page is read: tests/reader.py. Its names and addresses are those of the laboratory here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sipx.testing import Authority
from tests.reader import environment_in, follow

from .lab import INSIDE, OUTSIDE, OUTSIDE_2, PUBLIC, Lab

pytestmark = pytest.mark.nat

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/nat.md"
NAME_SERVER = ROOT / "docs/examples/open-federation/dns_server.py"
ZONE = f"""\
_sipfederationtls._tcp.example.com. SRV 1 0 5061 sip.example.com.
sip.example.com. A {PUBLIC}
"""
HERE = {
    "stun.example.net (192.0.2.3:3478)": f"{OUTSIDE}:3478",
    "stun.example.net": OUTSIDE,
    "stun.example.org": OUTSIDE_2,
    "203.0.113.5": PUBLIC,
    "10.0.0.10": INSIDE,
    "[stun]\n": f'[dns]\nservers = ["{OUTSIDE}:5300"]\n\n[stun]\n',
}


def test_ten_minutes_behind_nat(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    page = page.partition("\n## Behind NAT in ten minutes\n")[2].partition("\n## ")[0]
    for theirs, ours in HERE.items():
        assert theirs in page, theirs
        page = page.replace(theirs, ours)
    directory = tmp_path / "site"
    (directory / "tls").mkdir(parents=True)
    Authority().leaf(dns=["sip.example.com"]).write(directory / "tls", "sip.example.com")
    (directory / "berlin.password").write_text("secret")
    (tmp_path / "zone").write_text(ZONE)
    with Lab("port-restricted-cone", forward=(5061,)) as lab:
        stun = [sys.executable, "-m", "sipx_stun.testing", OUTSIDE, OUTSIDE_2, "3478", "3479"]
        process = lab.outside.start(stun, log=tmp_path / "stun.log")
        lab.outside.wait_bound(3478, "udp", process)
        server = [sys.executable, str(NAME_SERVER), str(tmp_path / "zone"), OUTSIDE, "5300"]
        process = lab.outside.start(server, log=tmp_path / "dns.log")
        lab.outside.wait_bound(5300, "udp", process)
        environment = environment_in(tmp_path / "home")
        wrapper = tmp_path / "bin/sipx"
        wrapper.parent.mkdir()
        command = f"ip netns exec {lab.inside.name} {sys.executable} -m sipx"
        wrapper.write_text(f'#!/bin/sh\nPATH="$PATH:/usr/sbin:/sbin"\nexec {command} "$@"\n')
        wrapper.chmod(0o755)
        environment["PATH"] = f"{wrapper.parent}:{environment['PATH']}"
        assert follow(page, directory, environment) > 5
