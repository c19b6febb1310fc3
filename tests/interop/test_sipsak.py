"""sipsak asks the proxy itself, and asks for the hops behind it."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

import pytest

from .programs import free_port, program, wait_bound
from .proxy import ADDRESS, RunningProxy, route
from .sipp import CLIENT, SERVER, scenario, start

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.interop

FOUR_DIGITS = range(6100, 9999)
"""sipsak writes no more than four digits of a port into the request URI."""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningProxy]:
    """A proxy between sipsak, which says it is 127.0.0.2, and a sipp that answers anything."""
    program("sipsak")
    folder = tmp_path_factory.mktemp("sipsak")
    port = free_port(SERVER)
    tables = route(CLIENT, ADDRESS, free_port(ADDRESS)) + route(SERVER, SERVER, port)
    udp_port = free_port(ADDRESS, FOUR_DIGITS)
    running = RunningProxy(folder, domain=CLIENT, tables=tables, udp_port=udp_port)
    uas = start(
        "uas",
        folder,
        [*scenario("reply_uas"), running.place("udp")],
        address=SERVER,
        port=port,
        protocol="udp",
    )
    wait_bound(SERVER, port, "udp", uas)
    yield running
    uas.end()
    running.end()


def sipsak(*argv: str) -> tuple[int, str]:
    """Exit status and output of one run."""
    run = subprocess.run(
        [program("sipsak"), "-H", CLIENT, *argv],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    )
    return run.returncode, run.stdout.decode(errors="replace")


def test_options_to_the_proxy_itself_gets_200(proxy: RunningProxy) -> None:
    status, said = sipsak("-vv", "-s", f"sip:{proxy.place('udp')}")
    assert status == 0, said
    assert "SIP/2.0 200 OK" in said


def test_max_forwards_0_gets_483(proxy: RunningProxy) -> None:
    _, said = sipsak("-vv", "-m", "0", "-p", proxy.place("udp"), "-s", f"sip:bob@{SERVER}")
    assert "SIP/2.0 483 Too Many Hops" in said


def test_a_trace_shows_the_proxy_as_a_hop_and_then_the_end(proxy: RunningProxy) -> None:
    status, said = sipsak("-T", "-vv", "-p", proxy.place("udp"), "-s", f"sip:bob@{SERVER}")
    assert status == 0, said
    assert re.search(r"sipx \([\d.]+ ms\) SIP/2.0 483 Too Many Hops", said), said
    assert re.search(r"\([\d.]+ ms\) SIP/2.0 200 OK", said), said
